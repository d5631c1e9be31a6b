/*
 * decode_set.c - sets of descriptors: pollfd, fd_set, epoll_event; their time-outs and masks
 */
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>

#include "trace/names.h"
#include "trace/show.h"

/* ---- poll ---- */

void show_pollfds(const struct show *show, uint64_t address, uint64_t count)
{
    struct pollfd entry;

    if (address == 0 || (count > 0 && !show_memory(show, address, &entry, sizeof entry))) {
        show_address(show, address);
        return;
    }
    fputc('[', show->out);
    for (uint64_t i = 0; i < count; i++) {
        if (i > 0)
            fputs(", ", show->out);
        if (i == show->string_limit ||
            !show_memory(show, address + i * sizeof entry, &entry, sizeof entry)) {
            fputs("...", show->out);
            break;
        }
        fputs("{fd=", show->out);
        show_fd(show, entry.fd);
        if (entry.fd >= 0) {
            fputs(", events=", show->out);
            print_flags(show->out, NAMES_POLL, (uint16_t)entry.events);
        }
        fputc('}', show->out);
    }
    fputc(']', show->out);
}

static void show_left(const struct show *show, uint64_t timeout, const char *before)
{
    const uint8_t *bytes;

    if (timeout == 0 ||
        memory_find(show->call, TRACE_AT_LEAVE, timeout, &bytes) < sizeof(struct timespec))
        return;
    fprintf(show->out, "%sleft ", before);
    show_timespec(show, timeout);
}

void show_poll_result(const struct show *show, uint64_t fds, uint64_t count, uint64_t timeout)
{
    uint64_t shown = 0;
    struct pollfd entry;

    if (show->call->result == 0) {
        fputs(" (Timeout)", show->out);
        return;
    }
    fputs(" ([", show->out);
    for (uint64_t i = 0; i < count; i++) {
        if (!show_memory(show, fds + i * sizeof entry, &entry, sizeof entry))
            break;
        if (entry.revents == 0)
            continue;
        if (shown > 0)
            fputs(", ", show->out);
        if (shown++ == show->string_limit) {
            fputs("...", show->out);
            break;
        }
        fprintf(show->out, "{fd=%d, revents=", entry.fd);
        print_flags(show->out, NAMES_POLL, (uint16_t)entry.revents);
        fputc('}', show->out);
    }
    fputc(']', show->out);
    show_left(show, timeout, ", ");
    fputc(')', show->out);
}

/* ---- select ---- */

/* Returns false when the set isn't known. */
static bool read_set(const struct show *show, uint64_t address, int count, fd_set *ret_set)
{
    FD_ZERO(ret_set);
    return show_memory(show, address, ret_set, ((size_t)count + NFDBITS - 1) / NFDBITS * 8);
}

static void print_set(const struct show *show, const fd_set *set, int count, bool with_objects)
{
    const char *between = "";

    fputc('[', show->out);
    for (int fd = 0; fd < count; fd++) {
        if (!FD_ISSET(fd, set))
            continue;
        fputs(between, show->out);
        if (with_objects)
            show_fd(show, fd);
        else
            fprintf(show->out, "%d", fd);
        between = " ";
    }
    fputc(']', show->out);
}

static int set_size(int count)
{
    return count < 0 ? 0 : count > FD_SETSIZE ? FD_SETSIZE : count;
}

void show_fd_set(const struct show *show, uint64_t address, int count)
{
    fd_set set;

    if (address == 0 || !read_set(show, address, set_size(count), &set))
        show_address(show, address);
    else
        print_set(show, &set, set_size(count), true);
}

void show_select_result(const struct show *show)
{
    static const char *const names[] = { "in", "out", "except" };
    const int count = set_size((int)show->call->words[0]);
    const char *between = " (";

    if (show->call->result == 0) {
        fputs(" (Timeout)", show->out);
        return;
    }
    for (size_t i = 0; i < 3; i++) {
        const uint64_t address = show->call->words[1 + i];
        fd_set set, none;

        FD_ZERO(&none);
        if (address == 0 || !read_set(show, address, count, &set) ||
            memcmp(&set, &none, sizeof set) == 0)
            continue;
        fprintf(show->out, "%s%s ", between, names[i]);
        print_set(show, &set, count, false);
        between = ", ";
    }
    if (between[0] == ',')
        fputc(')', show->out);
}

/* ---- epoll ---- */

static void print_event(const struct show *show, const struct epoll_event *event)
{
    uint64_t data;

    memcpy(&data, &event->data, sizeof data); /* the struct is packed */
    fputs("{events=", show->out);
    print_flags(show->out, NAMES_EPOLL, event->events);
    fprintf(show->out, ", data={u32=%u, u64=%" PRIu64 "}}", (uint32_t)data, data);
}

void show_epoll_event(const struct show *show, uint64_t address)
{
    struct epoll_event event;

    if (address == 0 || !show_memory(show, address, &event, sizeof event))
        show_address(show, address);
    else
        print_event(show, &event);
}

void show_epoll_events(const struct show *show, uint64_t address, uint64_t count)
{
    struct epoll_event event;

    if (show_failed(show)) {
        show_address(show, address);
        return;
    }
    fputc('[', show->out);
    for (uint64_t i = 0; i < count; i++) {
        if (i > 0)
            fputs(", ", show->out);
        if (i == show->string_limit ||
            !show_memory(show, address + i * sizeof event, &event, sizeof event)) {
            fputs("...", show->out);
            break;
        }
        print_event(show, &event);
    }
    fputc(']', show->out);
}

/* ---- times and masks ---- */

static void print_time(const struct show *show, int64_t seconds, int64_t ns)
{
    fprintf(show->out, "{tv_sec=%" PRId64 ", tv_nsec=%" PRId64 "}", seconds, ns);
}

void show_timespec(const struct show *show, uint64_t address)
{
    struct timespec time;

    if (address == 0 || !show_memory(show, address, &time, sizeof time))
        show_address(show, address);
    else
        print_time(show, time.tv_sec, time.tv_nsec);
}

void show_timeval_as_timespec(const struct show *show, uint64_t address)
{
    struct timeval time;

    if (address == 0 || !show_memory(show, address, &time, sizeof time))
        show_address(show, address);
    else
        print_time(show, time.tv_sec, (int64_t)((uint64_t)time.tv_usec * 1000));
}

static void print_signals(FILE *out, uint64_t mask)
{
    const char *between = "";

    fputc('[', out);
    for (int number = 1; number <= 64; number++) {
        if ((mask >> (number - 1) & 1) == 0)
            continue;
        fputs(between, out);
        between = " ";
        if (sigabbrev_np(number) != NULL)
            fputs(sigabbrev_np(number), out);
        else if (number == 32)
            fputs("RTMIN", out);
        else
            fprintf(out, "RT_%d", number - 32);
    }
    fputc(']', out);
}

void show_sigset(const struct show *show, uint64_t address)
{
    uint64_t mask;

    if (address == 0 || !show_memory(show, address, &mask, sizeof mask)) {
        show_address(show, address);
        return;
    }
    if (__builtin_popcountll(mask) > 64 * 2 / 3) { /* strace's rule: print the fewer ones */
        fputc('~', show->out);
        mask = ~mask;
    }
    print_signals(show->out, mask);
}
