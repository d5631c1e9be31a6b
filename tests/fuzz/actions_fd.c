/*
 * actions_fd.c - pipes and descriptors: made, copied, closed, asked
 */
#include <fcntl.h>
#include <linux/sockios.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "actions.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#ifndef F_DUPFD_QUERY
#    define F_DUPFD_QUERY 1027
#endif

void action_pipe(struct builder *b)
{
    int32_t *numbers = build_struct(b, 2 * sizeof(*numbers));
    uint32_t flags = 0;

    if (!model_has_room(b->model, 2)) {
        b->made.call = -1;
        return;
    }
    b->made.effect = EFFECT_PIPE;
    b->made.slot = build_below(b, MODEL_SLOTS);
    b->made.slot2 = build_below(b, MODEL_SLOTS);
    b->made.place = numbers;
    if (build_below(b, 8) == 0)
        BUILD_BEGIN(b, pipe);
    else
        BUILD_BEGIN(b, pipe2);
    if (build_odd(b)) {
        build_say(b, "BADPTR");
        build_pointer(b, NULL);
    } else {
        build_say(b, "[_, _]");
        build_pointer(b, numbers);
        build_out(b, OUT_FIXED, "numbers", numbers, 2 * sizeof(*numbers));
    }
    if (strcmp(b->made.name, "pipe") == 0)
        return;
    if (build_below(b, 256) >= b->blocking)
        flags |= O_NONBLOCK;
    if (build_below(b, 8) == 0)
        flags |= O_DIRECT;
    if (build_below(b, 8) == 0)
        flags |= O_CLOEXEC;
    if (build_odd(b)) {
        flags |= 1u << build_below(b, 32);
        flags &= ~(uint32_t)O_EXCL;
    }
    b->made.nonblocking = flags & O_NONBLOCK;
    build_argument(b, flags);
}

void action_close(struct builder *b)
{
    int64_t fd = build_fd(b, KIND_ALL);

    BUILD_BEGIN(b, close);
    build_argument(b, fd);
    b->made.fd = fd;
    b->made.effect = EFFECT_CLOSE;
}

void action_close_range(struct builder *b)
{
    uint32_t first = 3 + build_below(b, 20);
    uint32_t last = first + build_below(b, 6);
    uint32_t flags = 0;

    BUILD_BEGIN(b, close_range);
    if (build_odd(b)) {
        last = first - 1;
        flags = 1u << build_below(b, 32);
        if (flags == CLOSE_RANGE_UNSHARE)
            flags = 0;
    } else if (build_below(b, 2)) {
        flags = CLOSE_RANGE_CLOEXEC;
    }
    build_argument(b, first);
    build_argument(b, last);
    build_argument(b, flags);
    b->made.fd = first;
    b->made.fd2 = last;
    b->made.effect = flags ? EFFECT_NONE : EFFECT_CLOSE_RANGE;
}

static void copy(struct builder *b, int64_t fd)
{
    b->made.fd = fd;
    b->made.slot = build_below(b, MODEL_SLOTS);
    b->made.effect = EFFECT_COPY;
}

void action_dup(struct builder *b)
{
    int64_t fd = build_fd(b, KIND_ALL);

    copy(b, fd);
    if (build_below(b, 2)) {
        BUILD_BEGIN(b, dup);
        build_argument(b, fd);
        return;
    }
    BUILD_BEGIN(b, fcntl);
    build_argument(b, fd);
    if (build_below(b, 2))
        build_named(b, F_DUPFD, "F_DUPFD");
    else
        build_named(b, F_DUPFD_CLOEXEC, "F_DUPFD_CLOEXEC");
    build_argument(b,
                   build_odd(b) ? (build_below(b, 2) ? -1 : 100000000) : (int)build_below(b, 30));
}

void action_dup2(struct builder *b)
{
    int64_t fd = build_fd(b, KIND_ALL);
    int64_t target = build_below(b, 2) ? build_fd(b, KIND_ALL) : 3 + (int64_t)build_below(b, 30);
    bool flags = build_below(b, 2);

    /* Two numbers that the world knows nothing of are one to it. */
    if (target < 3 || target == CLOSED_NUMBER ||
        (target >= MODEL_NUMBERS && !build_description(b, fd)))
        target = 3;
    if (flags)
        BUILD_BEGIN(b, dup3);
    else
        BUILD_BEGIN(b, dup2);
    build_argument(b, fd);
    build_argument(b, target);
    if (flags) {
        if (build_odd(b))
            build_argument(b, 1ll << build_below(b, 31));
        else if (build_below(b, 2))
            build_named(b, O_CLOEXEC, "O_CLOEXEC");
        else
            build_argument(b, 0);
    }
    b->made.fd = fd;
    b->made.fd2 = target;
    b->made.slot = build_below(b, MODEL_SLOTS);
    b->made.effect = EFFECT_REPLACE;
}

struct command {
    int value;
    const char *name;
};
#define COMMAND(name) \
    {                 \
        name, #name   \
    }

static const struct command commands[] = {
    COMMAND(F_GETFD),      COMMAND(F_SETFD),      COMMAND(F_GETFL),      COMMAND(F_GETSIG),
    COMMAND(F_GETPIPE_SZ), COMMAND(F_SETPIPE_SZ), COMMAND(F_SETPIPE_SZ), COMMAND(F_SETPIPE_SZ),
    COMMAND(F_GETLEASE),   COMMAND(F_NOTIFY),     COMMAND(F_GET_SEALS),  { 9999, "9999" },
    COMMAND(F_GETOWN),
};

void action_fcntl(struct builder *b)
{
    static const int64_t sizes[] = { 0, 4096, 8192, 4097, 65536, 131072, 12288, 1048576 };
    uint32_t chosen = build_below(b, COUNT(commands));
    bool size = commands[chosen].value == F_SETPIPE_SZ;

    BUILD_BEGIN(b, fcntl);
    build_argument(b, build_fd(b, size ? KIND_PIPES : KIND_ALL));
    build_named(b, commands[chosen].value, commands[chosen].name);
    if (build_odd(b))
        build_argument(b, build_number(b));
    else
        build_argument(b, size ? sizes[build_below(b, COUNT(sizes))] : build_below(b, 2));
}

/* O_NONBLOCK and O_DIRECT, by fcntl or ioctl. */
void action_flags(struct builder *b)
{
    bool nonblocking = build_below(b, 256) >= b->blocking;
    int64_t fd = build_fd(b, KIND_ALL);
    bool packets;

    b->made.fd = fd;
    b->made.nonblocking = nonblocking;
    b->made.effect = EFFECT_NONBLOCKING;
    if (build_below(b, 4) == 0) {
        int32_t *value = build_struct(b, sizeof(*value));

        *value = nonblocking;
        BUILD_BEGIN(b, ioctl);
        build_argument(b, fd);
        build_named(b, FIONBIO, "FIONBIO");
        if (build_odd(b)) {
            build_named(b, 0, "NULL");
            return;
        }
        build_say(b, ", [%d]", *value);
        build_pointer(b, value);
        return;
    }
    BUILD_BEGIN(b, fcntl);
    build_argument(b, fd);
    build_named(b, F_SETFL, "F_SETFL");
    packets = build_below(b, 8) == 0;
    build_argument(b, (nonblocking ? O_NONBLOCK : 0) | (packets ? O_DIRECT : 0) |
                          (build_odd(b) ? O_APPEND : 0));
}

void action_ioctl(struct builder *b)
{
    static const struct command requests[] = {
        COMMAND(FIONREAD), COMMAND(SIOCOUTQ), COMMAND(FIONREAD),   COMMAND(SIOCATMARK),
        COMMAND(FIOCLEX),  COMMAND(FIONCLEX), COMMAND(TIOCGWINSZ), { 0, "0" },
    };
    uint32_t chosen = build_below(b, COUNT(requests));
    int64_t *value = build_struct(b, 64);

    BUILD_BEGIN(b, ioctl);
    build_argument(b, build_fd(b, KIND_ALL));
    build_named(b, requests[chosen].value, requests[chosen].name);
    if (build_odd(b)) {
        build_named(b, 0, "NULL");
        return;
    }
    build_say(b, ", _");
    build_pointer(b, value);
    build_out(b, OUT_FIXED, "value", value, 8);
}

/* Calls that are for files. */
void action_file(struct builder *b)
{
    uint32_t chosen = build_below(b, 6);
    int64_t fd = build_fd(b, KIND_PIPES | KIND_SOCKETS);

    if (chosen == 0)
        BUILD_BEGIN(b, pread);
    else if (chosen == 1)
        BUILD_BEGIN(b, pwrite);
    else if (chosen == 2)
        BUILD_BEGIN(b, lseek);
    else if (chosen == 3)
        BUILD_BEGIN(b, fsync);
    else if (chosen == 4)
        BUILD_BEGIN(b, ftruncate);
    else
        BUILD_BEGIN(b, isatty);
    build_argument(b, fd);
    if (chosen < 2) {
        build_say(b, ", ");
        build_pointer(b, chosen == 0 ? build_target(b, 16) : build_source(b, 16));
        build_argument(b, 16);
        build_argument(b, build_odd(b) ? -1 : 0);
    } else if (chosen == 2) {
        build_argument(b, 0);
        build_argument(b, 0);
    } else if (chosen == 4) {
        build_argument(b, 0);
    }
}

/* What splice and sendfile take from, and give to. */
void action_open(struct builder *b)
{
    static const char *const paths[] = { "/proc/self/exe", "/dev/null", "none" };
    uint32_t chosen = build_odd(b) ? 2 : build_below(b, 2);
    char *path = build_struct(b, 32);

    if (!model_has_room(b->model, 2)) {
        b->made.call = -1;
        return;
    }
    strcpy(path, paths[chosen]);
    BUILD_BEGIN(b, open);
    build_say(b, "\"%s\"", path);
    build_pointer(b, path);
    if (chosen == 1)
        build_named(b, O_RDWR, "O_RDWR");
    else
        build_named(b, O_RDONLY, "O_RDONLY");
    b->made.effect = EFFECT_OPEN;
    b->made.name_index = (uint8_t)chosen;
    b->made.slot = build_below(b, MODEL_SLOTS);
}
