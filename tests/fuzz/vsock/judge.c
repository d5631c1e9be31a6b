/*
 * judge.c - what came out of a call: may it, and what is known from it
 *
 * Calls that end together are judged in the order of enum op: what was sent is known before what
 * was received.
 */
#include <errno.h>
#include <limits.h>
#include <linux/vm_sockets.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>

#include "vsock/judge.h"

#define ERRORS_MAX 20

struct row {
    const char *call;
    int errors[ERRORS_MAX];
};

static const struct row rows[] = {
#define RESULTS(call, ...) { #call, { __VA_ARGS__ } },
#include "vsock/results.def"
#undef RESULTS
};

static bool row_has(const struct row *row, int64_t error)
{
    for (int i = 0; i < ERRORS_MAX; i++) {
        if (row->errors[i] == error)
            return true;
    }
    return false;
}

static bool is_listed(const char *call, int64_t value)
{
    for (size_t i = 0; value < 0 && i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].call, call) == 0 && row_has(&rows[i], -value))
            return true;
    }
    return value >= 0;
}

/*
 * A stream says EPIPE with SIGPIPE, all else without; records never do (vsock_data.h). Of sendmmsg
 * the errno doesn't show behind the first message.
 */
static void judge_signals(struct run *run, const struct player *player,
                          const struct world_result *result)
{
    const struct move *move = &player->move;
    bool stream = move->end >= 0 && !run->ends.all[move->end].records;
    bool wanted = move->op == OP_SEND && result->value == -EPIPE && stream &&
                  !(move->flags & MSG_NOSIGNAL);

    if (move->op == OP_SEND && move->many && stream && result->value >= 0 &&
        result->value < (int64_t)move->part_count && !(move->flags & MSG_NOSIGNAL))
        wanted = result->signal_count == 1;
    if (result->signal_count != wanted)
        run_wrong(run, "signals", "%zu signals, %d expected", result->signal_count, wanted);
}

/* ---- connections ---- */

/* What an address call of the observer's says: 0 or -errno. */
static int64_t ask_address(struct run *run, const char *name, const struct player *player,
                           struct sockaddr_vm *ret_address)
{
    struct sockaddr_vm *address = (void *)run->observed;
    uint32_t *size = (void *)(run->observed + 64);
    int64_t result;

    memset(address, 0, sizeof(*address));
    *size = sizeof(*address);
    result = run_ask(run, player->process, name, (uint64_t)player->move.number,
                     (uint64_t)(uintptr_t)address, (uint64_t)(uintptr_t)size, 0, 0);
    *ret_address = *address;
    if (result == 0 && (*size != sizeof(*address) || address->svm_family != AF_VSOCK))
        run_wrong(run, "addresses", "%s gives %u bytes of family %u", name, *size,
                  address->svm_family);
    return result;
}

static void learn_address(struct run *run, const struct player *player, struct end *end)
{
    struct sockaddr_vm address;

    if (ask_address(run, "getsockname", player, &address) != 0)
        return;
    end->cid = address.svm_cid;
    end->port = address.svm_port;
}

/* No other socket has this port. Those that were accepted have none of their own. */
static void judge_port(struct run *run, const struct end *end)
{
    for (uint32_t i = 0; i < run->ends.count; i++) {
        const struct end *other = &run->ends.all[i];

        if (other != end && !other->closed && other->port == end->port &&
            end->port != VMADDR_PORT_ANY &&
            (other->cid == end->cid || other->cid == VMADDR_CID_ANY || end->cid == VMADDR_CID_ANY))
            run_wrong(run, "ports", "port %u is bound twice", end->port);
    }
}

static void judge_bind(struct run *run, const struct player *player, int64_t value)
{
    struct end *end = &run->ends.all[player->move.end];

    if (value < 0)
        return;
    learn_address(run, player, end);
    if (end->cid != player->move.cid ||
        (player->move.port != VMADDR_PORT_ANY && end->port != player->move.port))
        run_wrong(run, "addresses", "bound to %u:%u, not to %u:%u", end->cid, end->port,
                  player->move.cid, player->move.port);
    judge_port(run, end);
}

static void judge_listen(struct run *run, const struct player *player, int64_t value)
{
    struct end *end = &run->ends.all[player->move.end];

    if (value < 0) {
        if (end->kind == END_LISTENING)
            run_wrong(run, "listen", "a listener can't listen again");
        return;
    }
    if ((end->kind != END_FRESH && end->kind != END_LISTENING) || end->port == VMADDR_PORT_ANY)
        run_wrong(run, "listen", "a socket listens that is connected, or not bound");
    end->kind = END_LISTENING;
    end->backlog = player->move.target < 0 ? INT_MAX : player->move.target;
}

/* A client's: the server's end is there from now on. */
static void now_connected(struct run *run, const struct player *player, int listener)
{
    struct end *client = &run->ends.all[player->move.end];
    struct end *listening = listener < 0 ? NULL : &run->ends.all[listener];
    int server;

    if (!listening || listening->records != client->records ||
        listening->pending_count > (uint32_t)listening->backlog) {
        run_wrong(run, "connected to nobody", "nobody listens at %u:%u with room", player->move.cid,
                  player->move.port);
        return;
    }
    server = ends_make(&run->ends, END_CONNECTED, client->records);
    if (server < 0 || listening->pending_count == PENDING_MAX) {
        run_wrong(run, "room", "the model is too small");
        return;
    }
    ends_connect(&run->ends, player->move.end, server);
    listening->pending[listening->pending_count++] = server;
}

static void judge_connect(struct run *run, const struct player *player, int64_t value)
{
    struct end *end = &run->ends.all[player->move.end];
    int listener = ends_listener(&run->ends, player->move.cid, player->move.port);
    const struct end *listening = listener < 0 ? NULL : &run->ends.all[listener];
    struct sockaddr_vm address;
    bool connected;

    if (end->kind == END_EPOLL)
        return;
    connected = ask_address(run, "getpeername", player, &address) == 0;
    if (end->kind != END_CONNECTED)
        learn_address(run, player, end);
    if (connected && end->kind != END_CONNECTED) {
        now_connected(run, player, listener);
    } else if (!connected && value == 0) {
        run_wrong(run, "connect", "it says 0, and there is no connection");
    } else if (!connected && !player->slept && !end->tried && listening && end->kind == END_FRESH &&
               (value == -ECONNRESET || value == -EINPROGRESS) &&
               listening->records == end->records &&
               listening->pending_count <= (uint32_t)listening->backlog) {
        run_wrong(run, "refused", "there is a listener at %u:%u with room", player->move.cid,
                  player->move.port);
    }
    if (value == -EINPROGRESS && !connected)
        end->tried = true;
    if (value == -ETIMEDOUT || value == -EINTR)
        end->tried = false;
}

static void judge_accept(struct run *run, const struct player *player, int64_t value)
{
    struct end *listening = &run->ends.all[player->move.end];
    const struct sockaddr_vm *name = (const void *)(uintptr_t)player->move.value;
    const struct end *client;
    int server;

    if (value < 0) {
        if (value == -EAGAIN && listening->kind == END_LISTENING && listening->pending_count > 0)
            run_wrong(run, "accept", "EAGAIN, and %u wait", listening->pending_count);
        if (value == -EAGAIN && !listening->nonblocking && !listening->timed)
            run_wrong(run, "accept", "EAGAIN of a blocking socket");
        return;
    }
    if (listening->kind != END_LISTENING || listening->pending_count == 0) {
        run_wrong(run, "accept", "nobody has connected");
        return;
    }
    server = listening->pending[0];
    memmove(listening->pending, listening->pending + 1,
            --listening->pending_count * sizeof(listening->pending[0]));
    ends_hold(&run->ends, &run->processes[player->process], value, server);
    run->ends.all[server].nonblocking = player->move.nonblocking;
    client = &run->ends.all[run->ends.all[server].peer];
    if (name && (name->svm_family != AF_VSOCK || name->svm_cid != VMADDR_CID_LOCAL ||
                 name->svm_port != client->port))
        run_wrong(run, "accept", "it is %u:%u that connected, not port %u", name->svm_cid,
                  name->svm_port, client->port);
}

static void judge_shutdown(struct run *run, const struct player *player, int64_t value)
{
    struct end *end = &run->ends.all[player->move.end];
    int how = player->move.target;

    if (value < 0) {
        if (value == -ENOTCONN && end->kind == END_CONNECTED)
            run_wrong(run, "shutdown", "ENOTCONN of a connection");
        return;
    }
    end->shut_read = end->shut_read || how != SHUT_WR;
    end->shut_write = end->shut_write || how != SHUT_RD;
}

/* ---- numbers and options ---- */

static void judge_new(struct run *run, const struct player *player, int64_t value)
{
    const struct move *move = &player->move;
    int end;

    if (value < 0)
        return;
    if (move->odd)
        run_wrong(run, "socket", "a type that there isn't");
    end = ends_make(&run->ends, move->op == OP_EPOLL ? END_EPOLL : END_FRESH, move->records);
    ends_hold(&run->ends, &run->processes[player->process], value, end);
    run->ends.all[end].nonblocking = move->nonblocking;
}

static void judge_numbers(struct run *run, const struct player *player, int64_t value)
{
    struct table *process = &run->processes[player->process];
    const struct move *move = &player->move;

    if (value < 0) {
        if (move->end >= 0)
            run_wrong(run, "numbers", "%s(%d) fails", player->made.name, move->number);
        return;
    }
    if (move->op == OP_CLOSE)
        ends_drop(&run->ends, process, move->number);
    else if (move->number != value)
        ends_hold(&run->ends, process, value, move->end);
}

static void judge_option(struct run *run, const struct player *player, int64_t value)
{
    const struct move *move = &player->move;
    struct end *end = &run->ends.all[move->end];

    if (value < 0)
        return;
    if (!(move->flags & 1)) {
        if (move->target == 100 + SO_ERROR)
            end->sick = false;
        return;
    }
    if (move->target == 100 + SO_RCVLOWAT)
        end->low = move->value == 0 ? 1 : move->value > INT_MAX ? INT_MAX : (uint32_t)move->value;
    if (move->target == 100 + SO_RCVTIMEO)
        end->timed = true;
    end->resized = true;
}

/* ---- waiting ---- */

static void judge_poll(struct run *run, const struct player *player, int64_t value)
{
    const struct move *move = &player->move;
    int64_t count = 0;

    for (uint32_t i = 0; value >= 0 && i < move->fd_count; i++) {
        const struct pollfd *fd = &move->fds[i];

        count += fd->revents != 0;
        if (fd->revents & ~(fd->events | POLLERR | POLLHUP | POLLNVAL))
            run_wrong(run, "poll", "fd %d: 0x%x, asked for 0x%x", fd->fd, fd->revents, fd->events);
    }
    if (value >= 0 && count != value)
        run_wrong(run, "poll", "%lld of %lld have events", (long long)value, (long long)count);
    if (value == 0 && (int)player->made.words[2] < 0)
        run_wrong(run, "poll", "it ends without a time-out");
}

/*
 * Entries that were changed, or might be gone (another number of the same end was closed), aren't
 * followed any more.
 */
static void judge_watch(struct run *run, const struct player *player, int64_t value)
{
    const struct move *move = &player->move;
    struct end *set = &run->ends.all[move->end];

    if (value < 0 || move->watched < 0)
        return;
    if (move->edge)
        set->edges = true;
    for (uint32_t i = 0; i < set->watch_count; i++) {
        if (set->watches[i].end == move->watched)
            set->watches[i].end = -1;
    }
    if (move->target == EPOLL_CTL_ADD && (move->flags & EPOLLIN) && (move->flags & EPOLLET) &&
        set->watch_count < WATCHES_MAX && run->ends.all[move->watched].kind == END_CONNECTED &&
        run->ends.all[move->watched].holders == 1)
        set->watches[set->watch_count++] = (struct watch){ move->watched, move->value, false };
}

static void judge_wait(struct run *run, const struct player *player, int64_t value)
{
    const struct epoll_event *events = (const void *)(uintptr_t)player->made.words[1];
    struct end *set = &run->ends.all[player->move.end];
    const struct watch *untold;

    if (value == 0 && (int)player->made.words[3] < 0)
        run_wrong(run, "epoll_wait", "it ends without a time-out");
    for (int64_t i = 0; i < value; i++) {
        for (uint32_t j = 0; j < set->watch_count; j++) {
            if (set->watches[j].id == events[i].data.u64)
                set->watches[j].due = false;
        }
    }
    if (value < 0 || value == (int)player->made.words[2] || player->slept)
        return;
    untold = look_untold(run, player->move.end);
    if (untold)
        run_wrong(run, "edge", "epoll_wait doesn't tell of entry %llu",
                  (unsigned long long)untold->id);
}

void judge(struct run *run, struct player *player, const struct world_result *result)
{
    int64_t value = result->value;

    if (!is_listed(player->made.name, value))
        run_wrong(run, "results", "%s gives %s", player->made.name,
                  strerrorname_np((int)-value) ? strerrorname_np((int)-value) : "no errno");
    judge_signals(run, player, result);
    switch (player->move.op) {
    case OP_SOCKET:
    case OP_EPOLL: judge_new(run, player, value); return;
    case OP_POLL: judge_poll(run, player, value); return;
    default: break;
    }
    if (player->move.end < 0) {
        if (value >= 0)
            run_wrong(run, "numbers", "%s(%d) works", player->made.name, player->move.number);
        return;
    }
    switch (player->move.op) {
    case OP_BIND: judge_bind(run, player, value); break;
    case OP_LISTEN: judge_listen(run, player, value); break;
    case OP_CONNECT: judge_connect(run, player, value); break;
    case OP_ACCEPT: judge_accept(run, player, value); break;
    case OP_SHUTDOWN: judge_shutdown(run, player, value); break;
    case OP_SEND: judge_send(run, player, value); break;
    case OP_TAKE: judge_take(run, player, value); break;
    case OP_OPTION: judge_option(run, player, value); break;
    case OP_FLAGS:
        if (value == 0)
            run->ends.all[player->move.end].nonblocking = player->move.nonblocking;
        break;
    case OP_WATCH: judge_watch(run, player, value); break;
    case OP_WAIT: judge_wait(run, player, value); break;
    default: judge_numbers(run, player, value); break;
    }
}
