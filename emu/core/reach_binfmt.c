/*
 * reach_binfmt.c - see reach_binfmt.h
 *
 * Each registered handler is a file in /proc/sys/fs/binfmt_misc, as bm_entry_read() of
 * fs/binfmt_misc.c writes it:
 *
 *     enabled
 *     interpreter /usr/bin/qemu-aarch64
 *     flags: F
 *     offset 0
 *     magic 7f454c46
 *     mask ffffffff
 *
 * or, in place of the last three, "extension .exe". Handlers are tried in the order of the folder,
 * which need not be the kernel's: where two match, either may be named. Leaves out a binfmt_misc
 * that is mounted elsewhere.
 */
#include "reach_binfmt.h"

#include "base.h"
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#define FOLDER     "/proc/sys/fs/binfmt_misc"
#define ENTRY_SIZE 2560 /* bm_register_write takes 1920 bytes; magic and mask are shown as hex */
#define NAMES_SIZE 1024

/* struct linux_dirent64 of getdents64(2). */
struct entry {
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

/* What stands behind `word` at the start of a line, up to the line's end. NULL: no such line. */
static const char *line_of(const char *text, const char *word, size_t *ret_size)
{
    size_t length = strlen(word);

    for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        if (strncmp(line, word, length) == 0) {
            *ret_size = strcspn(line + length, "\n");
            return line + length;
        }
    }
    return NULL;
}

static unsigned hex_digit(char digit)
{
    return (unsigned)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

static uint8_t hex_byte(const char *text)
{
    return (uint8_t)(hex_digit(text[0]) << 4 | hex_digit(text[1]));
}

static bool matches_magic(const char *text, const char *head, size_t size)
{
    size_t length;
    size_t mask_length = 0;
    size_t digits;
    const char *magic = line_of(text, "magic ", &length);
    const char *mask = line_of(text, "mask ", &mask_length);
    const char *offset = line_of(text, "offset ", &digits);
    size_t at = 0;

    if (!magic) {
        return false;
    }
    for (size_t i = 0; offset && i < digits && at < size; i++) {
        at = at * 10 + (size_t)(offset[i] - '0');
    }
    for (size_t i = 0; i + 1 < length; i += 2, at++) {
        uint8_t care = mask && i + 1 < mask_length ? hex_byte(mask + i) : 0xff;

        if (at >= size || (((uint8_t)head[at] ^ hex_byte(magic + i)) & care) != 0) {
            return false;
        }
    }
    return true;
}

static bool matches_extension(const char *text, const char *path)
{
    size_t length;
    const char *extension = line_of(text, "extension .", &length);
    const char *dot = strrchr(path, '.');

    return extension && dot && strlen(dot + 1) == length && memcmp(dot + 1, extension, length) == 0;
}

/* Reads one handler. True: it is enabled and takes the file. */
static bool handles(int folder, const char *name, const char *path, const char *head, size_t size,
                    char *ret_interpreter, size_t room)
{
    char text[ENTRY_SIZE];
    const char *interpreter;
    size_t length = 0;
    int64_t got;
    int fd = (int)host_syscall(SYS_openat, folder, (long)name, O_RDONLY | O_CLOEXEC, 0, 0, 0);

    if (fd < 0) {
        return false;
    }
    got = host_read(fd, text, sizeof text - 1);
    host_close(fd);
    if (got <= 0) {
        return false;
    }
    text[got] = 0;
    interpreter = line_of(text, "interpreter ", &length);
    if (strncmp(text, "enabled\n", 8) != 0 || !interpreter || length >= room ||
        !(matches_magic(text, head, size) || matches_extension(text, path))) {
        return false;
    }
    memcpy(ret_interpreter, interpreter, length);
    ret_interpreter[length] = 0;
    return true;
}

bool reach_binfmt(const char *path, const char *head, size_t size, char *ret_interpreter,
                  size_t room)
{
    union {
        char bytes[NAMES_SIZE];
        struct entry first;
    } names;
    int folder = (int)host_syscall(SYS_open, (long)FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0,
                                   0, 0);
    bool found = false;
    int64_t got = 0;

    while (folder >= 0 && !found &&
           (got = host_syscall(SYS_getdents64, folder, (long)names.bytes, sizeof names, 0, 0, 0)) >
               0) {
        for (int64_t at = 0; at < got && !found;) {
            const struct entry *entry = (const void *)(names.bytes + at);

            if (strcmp(entry->name, "status") != 0 && strcmp(entry->name, "register") != 0 &&
                entry->name[0] != '.') {
                found = handles(folder, entry->name, path, head, size, ret_interpreter, room);
            }
            at += entry->size;
        }
    }
    if (folder >= 0) {
        host_close(folder);
    }
    return found;
}
