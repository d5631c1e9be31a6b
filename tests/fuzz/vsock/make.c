/*
 * make.c - calls about sockets, their addresses, options and numbers
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/time.h>

#include "vsock/run.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NUMBERS_KEPT 40 /* no more descriptors than this, so that all can be followed */

/* Steps of run_pair(). */
enum {
    STEP_SERVER = 1,
    STEP_BIND,
    STEP_LISTEN,
    STEP_CLIENT,
    STEP_CONNECT,
    STEP_ACCEPT,
    STEP_CLOSE
};

static int odd_number(struct builder *b)
{
    static const int numbers[] = { CLOSED_NUMBER, -1, INT_MAX, INT_MIN };

    return numbers[build_below(b, COUNT(numbers))];
}

int make_number(struct run *run, const struct player *player, unsigned kinds)
{
    const struct table *process = &run->processes[player->process];
    uint32_t start = build_below(&run->builder, 256);

    if (build_odd(&run->builder))
        kinds = END_ALL;
    if (kinds == END_ALL && start >= 248)
        return odd_number(&run->builder);
    for (int pass = 0; pass < 2; pass++, kinds = END_ALL) {
        if (pass == 1 && start % 8 != 0)
            run->none = true;
        for (uint32_t i = 0; i < ENDS_NUMBERS; i++) {
            uint32_t number = (start + i) % ENDS_NUMBERS;
            int end = process->numbers[number];

            if (end >= 0 && (run->ends.all[end].kind & kinds))
                return (int)number;
        }
    }
    return CLOSED_NUMBER;
}

static void about(struct run *run, const struct player *player, enum op op, int number)
{
    run->move.op = op;
    run->move.number = number;
    run->move.end = ends_at(&run->processes[player->process], number);
}

/* Room for two more ends, and for their numbers. */
static bool has_room(const struct run *run, const struct player *player)
{
    return run->ends.count + 2 <= ENDS_MAX &&
           run->processes[player->process].numbers[NUMBERS_KEPT] < 0;
}

/* A task of this process sleeps with the number's description, or any does that holds it last. */
static bool is_slept_on(const struct run *run, const struct player *player, int end)
{
    for (uint32_t i = 0; i < RUN_TASKS; i++) {
        const struct player *other = &run->players[i];

        if (!other->alive || !other->blocked ||
            (other->process != player->process && run->ends.all[end].holders > 1))
            continue;
        if (other->move.end == end)
            return true;
        for (uint32_t j = 0; j < other->move.fd_count; j++) {
            if (ends_at(&run->processes[other->process], other->move.asked[j].fd) == end)
                return true;
        }
    }
    return false;
}

bool make_socket(struct run *run, struct player *player)
{
    struct builder *b = &run->builder;
    bool records = build_below(b, 3) == 0;
    bool nonblocking = build_below(b, 256) >= b->blocking;
    int type = (records ? SOCK_SEQPACKET : SOCK_STREAM) | (nonblocking ? SOCK_NONBLOCK : 0);

    if (!has_room(run, player))
        return false;
    BUILD_BEGIN(b, socket);
    about(run, player, OP_SOCKET, -1);
    run->move.records = records;
    run->move.nonblocking = nonblocking;
    build_named(b, AF_VSOCK, "AF_VSOCK");
    if (!run->step && build_odd(b)) {
        static const int types[] = { SOCK_RAW, SOCK_DGRAM, 0, 7, SOCK_STREAM | 0x100 };

        run->move.odd = true;
        build_argument(b, types[build_below(b, COUNT(types))]);
    } else {
        build_named(b, type,
                    records       ? nonblocking ? "SOCK_SEQPACKET|SOCK_NONBLOCK" : "SOCK_SEQPACKET"
                    : nonblocking ? "SOCK_STREAM|SOCK_NONBLOCK"
                                  : "SOCK_STREAM");
    }
    build_argument(b, !run->step && build_odd(b) ? (int)build_below(b, 100) : 0);
    return true;
}

/* ---- addresses ---- */

static void name_argument(struct run *run, uint32_t cid, uint32_t port, bool odd)
{
    struct builder *b = &run->builder;
    struct sockaddr_vm *name = build_struct(b, sizeof(*name));
    int size = sizeof(*name);

    name->svm_family = AF_VSOCK;
    name->svm_cid = cid;
    name->svm_port = port;
    run->move.cid = cid;
    run->move.port = port;
    run->move.odd = odd;
    if (odd) {
        static const int sizes[] = { 0, 15, 16, 128, 129, -1 };

        switch (build_below(b, 4)) {
        case 0: name->svm_family = AF_UNSPEC; break;
        case 1: name->svm_flags = (uint8_t)build_below(b, 256); break;
        case 2: size = sizes[build_below(b, COUNT(sizes))]; break;
        default:
            build_say(b, ", BADPTR");
            build_pointer(b, world_bad_page(run->world));
            build_argument(b, size);
            return;
        }
    }
    build_say(b, ", {sa_family=%u, svm_cid=%u, svm_port=%u, svm_flags=%u}", name->svm_family, cid,
              port, name->svm_flags);
    build_pointer(b, name);
    build_argument(b, size);
}

bool make_bind(struct run *run, struct player *player)
{
    static const uint32_t cids[] = { VMADDR_CID_ANY, VMADDR_CID_ANY, VMADDR_CID_LOCAL,
                                     VMADDR_CID_HOST };
    static const uint32_t odd_cids[] = { 0, 3, 99, 0xfffffffe };
    static const uint32_t ports[] = { 5000, 5001, 5002, VMADDR_PORT_ANY, 1023, 0, 1024, 22 };
    struct builder *b = &run->builder;
    int number = run->step ? run->pair[0] : make_number(run, player, END_FRESH);
    bool odd = !run->step && build_odd(b);

    BUILD_BEGIN(b, bind);
    about(run, player, OP_BIND, number);
    build_argument(b, number);
    if (run->step)
        name_argument(run, cids[build_below(b, COUNT(cids))], VMADDR_PORT_ANY, false);
    else
        name_argument(run,
                      build_odd(b) ? odd_cids[build_below(b, COUNT(odd_cids))]
                                   : cids[build_below(b, COUNT(cids))],
                      ports[build_below(b, COUNT(ports))], odd);
    return true;
}

bool make_listen(struct run *run, struct player *player)
{
    static const int backlogs[] = { 0, 1, 2, 5, -1, 128, 0, 1 };
    struct builder *b = &run->builder;
    int number = run->step ? run->pair[0] : make_number(run, player, END_FRESH | END_LISTENING);

    BUILD_BEGIN(b, listen);
    about(run, player, OP_LISTEN, number);
    run->move.target = backlogs[build_below(b, COUNT(backlogs))];
    build_argument(b, number);
    build_argument(b, run->move.target);
    return true;
}

/* A socket that listens, whoever's; -1: none does. */
static int any_listener(const struct run *run, uint32_t start)
{
    for (uint32_t i = 0; i < run->ends.count; i++) {
        uint32_t index = (start + i) % run->ends.count;

        if (run->ends.all[index].kind == END_LISTENING && !run->ends.all[index].closed)
            return (int)index;
    }
    return -1;
}

bool make_connect(struct run *run, struct player *player)
{
    static const uint32_t cids[] = { VMADDR_CID_LOCAL, VMADDR_CID_HOST };
    static const uint32_t odd_cids[] = { VMADDR_CID_ANY, 0, 3, 99 };
    struct builder *b = &run->builder;
    int number = run->step ? run->pair[1] : make_number(run, player, END_FRESH);
    int listener = any_listener(run, build_below(b, 256));
    uint32_t port = 5000 + build_below(b, 3);
    uint32_t cid = cids[build_below(b, 2)];
    bool odd = !run->step && build_odd(b);

    if (run->step)
        listener = ends_at(&run->processes[player->process], run->pair[0]);
    if (listener >= 0 && (run->step || build_below(b, 4) != 0)) {
        port = run->ends.all[listener].port;
        if (run->ends.all[listener].cid != VMADDR_CID_ANY)
            cid = run->ends.all[listener].cid;
    }
    if (!has_room(run, player))
        return false;
    if (!run->step && build_odd(b))
        cid = odd_cids[build_below(b, COUNT(odd_cids))];
    BUILD_BEGIN(b, connect);
    about(run, player, OP_CONNECT, number);
    build_argument(b, number);
    name_argument(run, cid, port, odd);
    return true;
}

bool make_accept(struct run *run, struct player *player)
{
    struct builder *b = &run->builder;
    int number = run->step ? run->pair[0] : make_number(run, player, END_LISTENING);
    uint32_t how = build_below(b, 4);
    uint32_t flags = build_below(b, 256) < b->blocking ? 0 : SOCK_NONBLOCK;

    if (!has_room(run, player))
        return false;
    BUILD_BEGIN(b, accept4);
    about(run, player, OP_ACCEPT, number);
    build_argument(b, number);
    if (how == 0) {
        struct sockaddr_vm *name = build_struct(b, sizeof(*name));
        uint32_t *size = build_struct(b, sizeof(*size));

        *size = sizeof(*name);
        build_say(b, ", _, [%u => _]", *size);
        build_pointer(b, name);
        build_pointer(b, size);
        run->move.value = (uint64_t)(uintptr_t)name;
    } else {
        build_named(b, 0, "NULL");
        build_named(b, 0, "NULL");
    }
    if (!run->step && build_odd(b)) {
        flags |= 1u << build_below(b, 31);
        run->move.odd = true;
    }
    run->move.nonblocking = flags & SOCK_NONBLOCK;
    build_argument(b, flags);
    return true;
}

bool make_last_accept(struct run *run, struct player *player)
{
    struct builder *b = &run->builder;

    if (!has_room(run, player))
        return false;
    BUILD_BEGIN(b, accept4);
    about(run, player, OP_ACCEPT, run->drained);
    build_argument(b, run->drained);
    build_named(b, 0, "NULL");
    build_named(b, 0, "NULL");
    build_argument(b, SOCK_NONBLOCK);
    run->move.nonblocking = true;
    return true;
}

bool make_address(struct run *run, struct player *player)
{
    struct builder *b = &run->builder;
    int number = make_number(run, player, END_SOCKETS);
    struct sockaddr_vm *name = build_struct(b, 128);
    int *size = build_struct(b, sizeof(*size));

    if (build_below(b, 2))
        BUILD_BEGIN(b, getsockname);
    else
        BUILD_BEGIN(b, getpeername);
    about(run, player, OP_OPTION, number);
    *size = build_odd(b) ? (int)build_below(b, 40) - 8 : 16;
    build_argument(b, number);
    build_say(b, ", _, [%d => _]", *size);
    build_pointer(b, name);
    build_pointer(b, size);
    return true;
}

/* ---- options ---- */

static void bytes_argument(struct builder *b, const void *value, uint32_t size)
{
    const uint8_t *bytes = value;
    uint8_t *copy = build_struct(b, size);

    memcpy(copy, value, size);
    build_say(b, ", \"");
    for (uint32_t i = 0; i < size; i++)
        build_say(b, "\\x%02x", bytes[i]);
    build_say(b, "\"");
    build_pointer(b, copy);
    build_argument(b, size);
}

static void set_size(struct run *run)
{
    static const uint64_t sizes[] = { 1,     64,    128,    200,    500,     1000,      4096,
                                      65536, 70000, 131072, 262144, 1 << 20, 1ull << 40 };
    static const int names[] = { SO_VM_SOCKETS_BUFFER_SIZE, SO_VM_SOCKETS_BUFFER_SIZE,
                                 SO_VM_SOCKETS_BUFFER_MAX_SIZE, SO_VM_SOCKETS_BUFFER_MIN_SIZE };
    struct builder *b = &run->builder;

    run->move.target = names[build_below(b, COUNT(names))];
    run->move.value = build_odd(b) ? 0 : sizes[build_below(b, COUNT(sizes))];
    build_named(b, AF_VSOCK, "AF_VSOCK");
    build_argument(b, run->move.target);
    bytes_argument(b, &run->move.value, 8);
}

static void set_time(struct run *run, int level, int name)
{
    struct builder *b = &run->builder;
    const struct timeval time = { build_odd(b) ? -1 : 0, build_below(b, 2) ? 20000 : 0 };

    build_argument(b, level);
    build_argument(b, name);
    bytes_argument(b, &time, sizeof(time));
    run->move.target = name;
}

bool make_set_option(struct run *run, struct player *player)
{
    static const int lows[] = { 1, 0, 2, 100, 5000, -1, 1 };
    struct builder *b = &run->builder;
    int number = make_number(run, player, END_SOCKETS);
    uint32_t how = build_below(b, 8);
    int low;

    BUILD_BEGIN(b, setsockopt);
    about(run, player, OP_OPTION, number);
    run->move.flags = 1; /* it sets */
    build_argument(b, number);
    if (how < 4) {
        set_size(run);
    } else if (how < 6) {
        low = lows[build_below(b, COUNT(lows))];
        build_argument(b, SOL_SOCKET);
        build_argument(b, SO_RCVLOWAT);
        bytes_argument(b, &low, sizeof(low));
        run->move.target = 100 + SO_RCVLOWAT; /* no number of level AF_VSOCK */
        run->move.value = (uint32_t)low;
    } else if (how == 6) {
        set_time(run, SOL_SOCKET, build_below(b, 2) ? SO_RCVTIMEO : SO_SNDTIMEO);
        run->move.target = 100 + SO_RCVTIMEO;
    } else {
        set_time(run, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW);
    }
    return true;
}

bool make_get_option(struct run *run, struct player *player)
{
    static const int options[][2] = {
        { SOL_SOCKET, SO_ERROR },
        { SOL_SOCKET, SO_ERROR },
        { SOL_SOCKET, SO_TYPE },
        { SOL_SOCKET, SO_ACCEPTCONN },
        { SOL_SOCKET, SO_PEERCRED },
        { SOL_SOCKET, SO_RCVLOWAT },
        { AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE },
        { AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW },
        { AF_VSOCK, SO_VM_SOCKETS_TRUSTED },
        { 6, 1 },
    };
    struct builder *b = &run->builder;
    int number = make_number(run, player, END_SOCKETS);
    const int *option = options[build_below(b, COUNT(options))];
    uint32_t *size = build_struct(b, sizeof(*size));

    BUILD_BEGIN(b, getsockopt);
    about(run, player, OP_OPTION, number);
    build_argument(b, number);
    build_argument(b, option[0]);
    build_argument(b, option[1]);
    *size = build_odd(b) ? build_below(b, 4) : 16;
    build_say(b, ", _, [%u => _]", *size);
    build_pointer(b, build_struct(b, 16));
    build_pointer(b, size);
    if (option[1] == SO_ERROR && option[0] == SOL_SOCKET)
        run->move.target = 100 + SO_ERROR;
    return true;
}

bool make_shutdown(struct run *run, struct player *player)
{
    struct builder *b = &run->builder;
    int number = make_number(run, player, END_CONNECTED);

    BUILD_BEGIN(b, shutdown);
    about(run, player, OP_SHUTDOWN, number);
    run->move.target = build_odd(b) ? 3 : (int)build_below(b, 3);
    build_argument(b, number);
    build_argument(b, run->move.target);
    return true;
}

/* ---- numbers ---- */

bool make_close(struct run *run, struct player *player)
{
    struct builder *b = &run->builder;
    int number = run->step ? run->pair[0] : make_number(run, player, END_ALL);

    about(run, player, OP_CLOSE, number);
    if (run->move.end >= 0 && is_slept_on(run, player, run->move.end))
        return false;
    BUILD_BEGIN(b, close);
    build_argument(b, number);
    return true;
}

bool make_dup(struct run *run, struct player *player)
{
    struct builder *b = &run->builder;
    int number = make_number(run, player, END_ALL);

    if (!has_room(run, player))
        return false;
    BUILD_BEGIN(b, dup);
    about(run, player, OP_DUP, number);
    build_argument(b, number);
    return true;
}

bool make_dup2(struct run *run, struct player *player)
{
    struct builder *b = &run->builder;
    int number = make_number(run, player, END_ALL);
    int target = make_number(run, player, END_ALL);
    int replaced = ends_at(&run->processes[player->process], target);

    if (target < 3 || target >= NUMBERS_KEPT ||
        (replaced >= 0 && is_slept_on(run, player, replaced)))
        return false;
    BUILD_BEGIN(b, dup2);
    about(run, player, OP_REPLACE, number);
    run->move.target = target;
    build_argument(b, number);
    build_argument(b, target);
    return true;
}

static bool set_flags(struct run *run, struct player *player, int number, bool nonblocking)
{
    struct builder *b = &run->builder;

    about(run, player, OP_FLAGS, number);
    if (run->move.end >= 0 && is_slept_on(run, player, run->move.end))
        return false;
    BUILD_BEGIN(b, fcntl);
    run->move.nonblocking = nonblocking;
    build_argument(b, number);
    build_named(b, F_SETFL, "F_SETFL");
    build_named(b, nonblocking ? O_NONBLOCK : 0, nonblocking ? "O_NONBLOCK" : "0");
    return true;
}

bool make_flags(struct run *run, struct player *player)
{
    int number = make_number(run, player, END_SOCKETS);

    return set_flags(run, player, number, build_below(&run->builder, 256) >= run->builder.blocking);
}

bool make_last_flags(struct run *run, struct player *player)
{
    return set_flags(run, player, run->drained, true);
}
