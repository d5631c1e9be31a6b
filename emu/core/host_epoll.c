/*
 * host_epoll.c - see host.h: real epoll instances
 */
#include "host.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>

int host_epoll_create(int flags)
{
    return (int)host_syscall(SYS_epoll_create1, flags, 0, 0, 0, 0, 0);
}

int host_epoll_ctl(int epoll, int operation, int fd, uint32_t events, uint64_t data)
{
    struct epoll_event event = { .events = events, .data.u64 = data };

    return (int)host_syscall(SYS_epoll_ctl, epoll, operation, fd, (long)&event, 0, 0);
}

int host_epoll_take(int epoll, void *ret_events, int max)
{
    return (int)host_syscall(SYS_epoll_wait, epoll, (long)ret_events, max, 0, 0, 0);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The number behind "data:" in the lines of fdinfo, a character at a time. */
struct scan {
    const char *at;
    uint64_t value;
    bool reads;
};

static bool scan_one(struct scan *scan, char c, uint16_t tag)
{
    static const char word[] = "data:";

    if (scan->reads) {
        if (hex_digit(c) >= 0) {
            scan->value = scan->value << 4 | (uint64_t)hex_digit(c);
        } else if (c != ' ' || scan->value != 0) {
            scan->reads = false;
            return scan->value >> 48 == tag;
        }
        return false;
    }
    scan->at = c == *scan->at ? scan->at + 1 : c == word[0] ? word + 1 : word;
    if (*scan->at == 0) {
        *scan = (struct scan){ .at = word, .reads = true };
    }
    return false;
}

/* Only anonymous inodes have no type (fs/anon_inodes.c). Reading fdinfo takes ten times as long. */
static bool is_anonymous(int fd)
{
    struct stat status;

    return host_syscall(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) == 0 &&
           (status.st_mode & S_IFMT) == 0;
}

uint64_t host_epoll_find(int epoll, uint16_t tag)
{
    char path[48] = "/proc/self/fdinfo/";
    char digits[12];
    char text[4096];
    struct scan scan = { .at = "data:" };
    size_t length = strlen(path);
    bool found = false;
    int count = 0;
    int64_t got = 1;
    int fd;

    if (!is_anonymous(epoll)) {
        return 0;
    }
    do {
        digits[count++] = (char)('0' + epoll % 10);
        epoll /= 10;
    } while (epoll > 0);
    while (count > 0) {
        path[length++] = digits[--count];
    }
    path[length] = 0;
    fd = (int)host_syscall(SYS_open, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0, 0);
    while (fd >= 0 && !found && got > 0) {
        got = host_read(fd, text, sizeof text);
        for (int64_t i = 0; i < got && !found; i++) {
            found = scan_one(&scan, text[i], tag);
        }
    }
    if (fd >= 0) {
        host_close(fd);
    }
    return found ? scan.value : 0;
}
