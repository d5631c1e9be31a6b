/*
 * actions_socket.c - sockets, their names and options
 *
 * Paths are relative, so that each side has files of its own; an abstract name holds the side's
 * letter.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "actions.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void say_type(struct builder *b, int type)
{
    build_say(b, ", %s%s%s",
              (type & 15) == SOCK_STREAM      ? "SOCK_STREAM"
              : (type & 15) == SOCK_SEQPACKET ? "SOCK_SEQPACKET"
              : (type & 15) == SOCK_DGRAM     ? "SOCK_DGRAM"
                                              : "0x7",
              type & SOCK_NONBLOCK ? "|SOCK_NONBLOCK" : "",
              type & SOCK_CLOEXEC ? "|SOCK_CLOEXEC" : "");
    build_word(b, (uint64_t)(unsigned)type);
}

static int choose_type(struct builder *b)
{
    int type = build_below(b, 3) ? SOCK_STREAM : SOCK_SEQPACKET;

    if (build_below(b, 256) >= b->blocking)
        type |= SOCK_NONBLOCK;
    if (build_below(b, 4) == 0)
        type |= SOCK_CLOEXEC;
    return type;
}

/* What is never modeled (datagrams) is left out; the errors come before that. */
static void family_and_type(struct builder *b)
{
    int type = choose_type(b);

    b->made.kind = (type & 15) == SOCK_STREAM ? KIND_STREAM : KIND_RECORDS;
    b->made.nonblocking = type & SOCK_NONBLOCK;
    if (build_odd(b)) {
        static const int families[] = { 1, 1, 0, 99, -1, 1000 };
        static const int types[] = { 0x10, 11, 7, 15, SOCK_STREAM, 0 };

        b->made.nonblocking = false;
        b->made.kind = KIND_STREAM; /* of those that succeed */
        build_argument(b, families[build_below(b, COUNT(families))]);
        build_argument(b, types[build_below(b, COUNT(types))]);
        build_argument(b, build_below(b, 3));
        return;
    }
    build_named(b, AF_UNIX, "AF_UNIX");
    say_type(b, type);
    build_argument(b, build_odd(b) ? build_below(b, 3) : 0);
}

void action_pair(struct builder *b)
{
    int32_t *numbers = build_struct(b, 2 * sizeof(*numbers));

    if (!model_has_room(b->model, 2)) {
        b->made.call = -1;
        return;
    }
    BUILD_BEGIN(b, socketpair);
    family_and_type(b);
    b->made.effect = EFFECT_PAIR;
    b->made.slot = build_below(b, MODEL_SLOTS);
    b->made.slot2 = build_below(b, MODEL_SLOTS);
    b->made.place = numbers;
    if (build_odd(b)) {
        build_named(b, 0, "NULL");
        return;
    }
    build_say(b, ", [_, _]");
    build_pointer(b, numbers);
    build_out(b, OUT_SUCCESS, "numbers", numbers, 2 * sizeof(*numbers));
}

void action_socket(struct builder *b)
{
    if (!model_has_room(b->model, 2)) {
        b->made.call = -1;
        return;
    }
    BUILD_BEGIN(b, socket);
    family_and_type(b);
    b->made.effect = EFFECT_SOCKET;
    b->made.slot = build_below(b, MODEL_SLOTS);
}

static uint32_t fill_name(struct builder *b, uint32_t index, struct sockaddr_un *name)
{
    char *path = name->sun_path;
    int length;

    name->sun_family = AF_UNIX;
    if (index < MODEL_NAMES / 2) {
        length = snprintf(path, sizeof(name->sun_path), "s%u", index);
        build_say(b, ", {sa_family=AF_UNIX, sun_path=\"%s\"}", path);
    } else {
        length = 1 + snprintf(path + 1, sizeof(name->sun_path) - 1, "z%c%s%u", b->side, b->scratch,
                              index);
        build_say(b, ", {sa_family=AF_UNIX, sun_path=\"\\0z%s%u\"}", b->scratch, index);
    }
    return (uint32_t)offsetof(struct sockaddr_un, sun_path) + (uint32_t)length;
}

static void name_argument(struct builder *b, bool binds)
{
    struct sockaddr_un *name = build_struct(b, sizeof(*name) + 32);
    uint32_t size;

    b->made.name_index = (uint8_t)build_below(b, MODEL_NAMES);
    if (build_odd(b) && build_below(b, 2)) {
        build_named(b, 0, "NULL");
        build_argument(b, 110);
        return;
    }
    if (build_odd(b)) {
        static const char *const paths[] = { "none/x", "f/x", "/dev/null", "", "gone" };
        const char *path = paths[build_below(b, COUNT(paths))];

        name->sun_family = build_below(b, 4) ? AF_UNIX : 2;
        strcpy(name->sun_path, path);
        build_say(b, ", {sa_family=%u, sun_path=\"%s\"}", name->sun_family, path);
        size = (uint32_t)offsetof(struct sockaddr_un, sun_path) + (uint32_t)strlen(path);
    } else {
        size = fill_name(b, b->made.name_index, name);
    }
    build_pointer(b, name);
    if (build_odd(b)) {
        static const int32_t sizes[] = { 0, 1, 2, 111, 128, 129, -1 };

        size = (uint32_t)sizes[build_below(b, COUNT(sizes) - !binds)];
    }
    build_argument(b, (int32_t)size);
}

void action_bind(struct builder *b)
{
    int64_t fd = build_fd(b, KIND_FRESH);
    const struct description *description = build_description(b, fd);

    /* After connect the placeholder has a hidden name: docs/DIFFERENCES.md. */
    if (description && (description->tried || description->kind == KIND_UNKNOWN)) {
        b->made.call = -1;
        return;
    }
    BUILD_BEGIN(b, bind);
    build_argument(b, fd);
    name_argument(b, true);
    b->made.fd = fd;
    b->made.effect = EFFECT_BIND;
}

void action_listen(struct builder *b)
{
    static const int backlogs[] = { 0, 1, 2, 5, -1, 128 };
    int64_t fd = build_fd(b, KIND_FRESH | KIND_LISTENER);

    BUILD_BEGIN(b, listen);
    build_argument(b, fd);
    build_argument(b, backlogs[build_below(b, COUNT(backlogs))]);
    b->made.fd = fd;
    b->made.effect = EFFECT_LISTEN;
}

void action_connect(struct builder *b)
{
    int64_t fd = build_fd(b, KIND_FRESH);
    struct description *description = build_description(b, fd);
    uint8_t listener;

    if (description)
        description->tried = true;
    BUILD_BEGIN(b, connect);
    build_argument(b, fd);
    name_argument(b, false);
    b->made.fd = fd;
    b->made.effect = EFFECT_CONNECT;
    listener = b->model->listeners[b->made.name_index];
    if (listener)
        touch_puts(&b->made.touch, &b->model->descriptions[listener - 1]);
    b->made.waits = description && !description->nonblocking && listener;
}

void action_accept(struct builder *b)
{
    int64_t fd = build_fd(b, KIND_LISTENER);
    const struct description *description = build_description(b, fd);
    bool flags = build_below(b, 2) || b->urgent;
    bool address = build_below(b, 4) == 0;
    uint8_t *name = build_struct(b, 128);
    int32_t *length = build_struct(b, sizeof(*length));

    if (!model_has_room(b->model, 2)) {
        b->made.call = -1;
        return;
    }
    if (flags)
        BUILD_BEGIN(b, accept4);
    else
        BUILD_BEGIN(b, accept);
    build_argument(b, fd);
    if (address) {
        *length = build_odd(b) ? (int32_t)build_number(b) : 110;
        build_say(b, ", _, [%d => _]", *length);
        build_pointer(b, name);
        build_pointer(b, length);
        build_out(b, OUT_FIXED, "length", length, sizeof(*length));
        build_out(b, OUT_ADDRESS, "address", name, 128);
    } else {
        build_named(b, 0, "NULL");
        build_named(b, 0, "NULL");
    }
    if (flags) {
        uint32_t value = build_below(b, 256) < b->blocking ? 0 : SOCK_NONBLOCK;

        b->made.nonblocking = value;
        if (build_odd(b))
            value |= 1u << build_below(b, 31);
        b->made.nonblocking = value & SOCK_NONBLOCK;
        build_argument(b, value);
    }
    touch_takes(&b->made.touch, description);
    b->made.waits = description && !description->nonblocking && description->kind == KIND_LISTENER;
    b->made.fd = fd;
    b->made.effect = EFFECT_ACCEPT;
    b->made.slot = build_below(b, MODEL_SLOTS);
}

void action_address(struct builder *b)
{
    int64_t fd = build_fd(b, KIND_SOCKETS);
    uint8_t *name = build_struct(b, 128);
    int32_t *length = build_struct(b, sizeof(*length));

    if (build_below(b, 2))
        BUILD_BEGIN(b, getsockname);
    else
        BUILD_BEGIN(b, getpeername);
    build_argument(b, fd);
    *length = build_odd(b) ? (int32_t)build_number(b) : 110;
    build_say(b, ", _, ");
    build_pointer(b, name);
    if (build_odd(b) && build_below(b, 2)) {
        build_say(b, "NULL");
        build_pointer(b, NULL);
        return;
    }
    build_say(b, "[%d => _]", *length);
    build_pointer(b, length);
    build_out(b, OUT_FIXED, "length", length, sizeof(*length));
    build_out(b, OUT_ADDRESS, "address", name, 128);
}

void action_shutdown(struct builder *b)
{
    static const char *const names[] = { "SHUT_RD", "SHUT_WR", "SHUT_RDWR" };
    int64_t fd = build_fd(b, KIND_SOCKETS);
    uint32_t how = build_below(b, 3);

    BUILD_BEGIN(b, shutdown);
    build_argument(b, fd);
    if (build_odd(b))
        build_argument(b, build_number(b));
    else
        build_named(b, how, names[how]);
}

/* ---- options ---- */

struct option {
    int value;
    const char *name;
};
#define OPTION(name) \
    {                \
        name, #name  \
    }

/* Left out: what makes a channel native, or belongs to a machine. */
static const struct option options[] = {
    OPTION(SO_DEBUG),
    OPTION(SO_REUSEADDR),
    OPTION(SO_TYPE),
    OPTION(SO_ERROR),
    OPTION(SO_DONTROUTE),
    OPTION(SO_BROADCAST),
    OPTION(SO_SNDBUF),
    OPTION(SO_RCVBUF),
    OPTION(SO_KEEPALIVE),
    OPTION(SO_OOBINLINE),
    OPTION(SO_LINGER),
    OPTION(SO_REUSEPORT),
    OPTION(SO_RCVLOWAT),
    OPTION(SO_SNDLOWAT),
    OPTION(SO_RCVTIMEO),
    OPTION(SO_SNDTIMEO),
    OPTION(SO_ACCEPTCONN),
    OPTION(SO_PROTOCOL),
    OPTION(SO_DOMAIN),
    OPTION(SO_PEEK_OFF),
    OPTION(SO_PRIORITY),
    OPTION(SO_SNDBUF),
    OPTION(SO_PEEK_OFF),
    OPTION(SO_ERROR),
    OPTION(SO_NO_CHECK),
    OPTION(SO_RXQ_OVFL),
    OPTION(SO_BUSY_POLL),
    { 200, "200" },
    { 0, "0" },
};

static int option_arguments(struct builder *b)
{
    uint32_t chosen = build_below(b, COUNT(options));
    int64_t fd = build_fd(b, KIND_SOCKETS);

    build_argument(b, fd);
    if (build_odd(b))
        build_argument(b, build_below(b, 2) ? 0 : 6);
    else
        build_named(b, SOL_SOCKET, "SOL_SOCKET");
    build_named(b, options[chosen].value, options[chosen].name);
    return options[chosen].value;
}

void action_getsockopt(struct builder *b)
{
    static const int32_t odd[] = { 1, 0, -1, 3, 100, 8 };
    uint8_t *value = build_struct(b, 128);
    int32_t *length = build_struct(b, sizeof(*length));
    int option;

    BUILD_BEGIN(b, getsockopt);
    option = option_arguments(b);
    *length = option == SO_RCVTIMEO || option == SO_SNDTIMEO ? 16 : option == SO_LINGER ? 8 : 4;
    if (build_odd(b))
        *length = odd[build_below(b, COUNT(odd))];
    if (build_odd(b) && build_below(b, 4) == 0) {
        build_named(b, 0, "NULL");
    } else {
        build_say(b, ", _");
        build_pointer(b, value);
    }
    if (build_odd(b) && build_below(b, 4) == 0) {
        build_named(b, 0, "NULL");
    } else {
        build_say(b, ", [%d => _]", *length);
        build_pointer(b, length);
    }
    build_out(b, OUT_FIXED, "length", length, sizeof(*length));
    build_out(b, OUT_FIXED, "value", value, 128);
}

/*
 * Time-outs are none, far away, or refused: nothing here waits for a clock.
 */
static uint32_t option_value(struct builder *b, int option, int64_t *value)
{
    static const int32_t values[] = { 0, 1, -1, 5, 100, 2500, 5000, 20000, 100000, 300000 };

    if (option == SO_RCVTIMEO || option == SO_SNDTIMEO) {
        static const int64_t times[][2] = { { 0, 0 }, { 100, 0 }, { 100, 1000000 }, { 100, -1 } };
        uint32_t chosen = build_below(b, COUNT(times));

        memcpy(value, times[chosen], sizeof(times[0]));
        build_say(b, ", {tv_sec=%lld, tv_usec=%lld}", (long long)value[0], (long long)value[1]);
        return 16;
    }
    if (option == SO_LINGER) {
        build_say(b, ", [0, 0]");
        return 8;
    }
    *(int32_t *)value = values[build_below(b, COUNT(values))];
    build_say(b, ", [%d]", *(int32_t *)value);
    return 4;
}

void action_setsockopt(struct builder *b)
{
    static const int32_t odd[] = { 1, 0, -1, 3, 100, 8 };
    int64_t *value = build_struct(b, 128);
    uint32_t size;
    int option;

    BUILD_BEGIN(b, setsockopt);
    option = option_arguments(b);
    if (build_odd(b) && build_below(b, 4) == 0) {
        build_named(b, 0, "NULL");
        build_argument(b, 4);
        return;
    }
    size = option_value(b, option, value);
    build_pointer(b, value);
    if (build_odd(b))
        size = (uint32_t)odd[build_below(b, COUNT(odd))];
    build_argument(b, (int32_t)size);
}
