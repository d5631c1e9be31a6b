/*
 * kill_names_steps - a process killed at every instruction of a call that names or connects sockets
 *
 * Proves: wherever SIGKILL meets a process that makes, binds, listens, connects, accepts or closes,
 * the others go on: a name that died with its owner can be had again, the listener serves the next
 * client, who waits at it is accepted with all that it has sent, who was being connected learns of
 * the end, a connection beside is as it was, and the table of names and the arena hold what they
 * should: also while the listener is open, but for the windows that LOCKING.md lists. How:
 * kill_steps.h.
 *
 *     kill_names_steps [--stride N] [--only SCENARIO]
 *
 * Without --stride every STRIDE-th instruction is tried. Run below the guard: AF_VSOCK is the
 * emulator's here, and stays so.
 *
 * Leaves out: records, since connections differ by type only in their data (kill_every_step).
 */
#include "kill_names.h"

/* ---- The calls ---- */

static int64_t call_socket(const struct objects *objects)
{
    (void)objects;
    return emu_socket(&self, family(), SOCK_STREAM, 0);
}

static int64_t call_bind(const struct objects *objects)
{
    return bind_socket(objects->fds[1]);
}

static int64_t call_listen(const struct objects *objects)
{
    return emu_listen(&self, objects->fds[1], 8);
}

static int64_t call_connect(const struct objects *objects)
{
    const int64_t result = connect_socket(objects->fds[1]);

    return result < 0 ? result : emu_write(&self, objects->fds[1], call_data, CALL);
}

/* First to where nobody listens. */
static int64_t call_connect_twice(const struct objects *objects)
{
    const int64_t result = connect_nowhere(objects->fds[1]);

    return result != -ECONNREFUSED && result != -ECONNRESET ? -1 : call_connect(objects);
}

static int64_t call_refused(const struct objects *objects)
{
    return connect_nowhere(objects->fds[1]) == -ECONNRESET ? 0 : -1;
}

static int64_t call_full(const struct objects *objects)
{
    return connect_socket(objects->fds[1]) == -ECONNRESET ? 0 : -1;
}

static int64_t call_time_out(const struct objects *objects)
{
    return connect_unanswered(objects->fds[1]) == -ETIMEDOUT ? 0 : -1;
}

/* It has been over for some time: the first who looks says so. */
static int64_t call_expire(const struct objects *objects)
{
    return (poll_any(objects->fds[1], POLLOUT, 0) & POLLERR) != 0 ? 0 : -1;
}

static int64_t call_accept(const struct objects *objects)
{
    return accept_any(objects->fds[0]);
}

static int64_t call_close_listener(const struct objects *objects)
{
    return emu_close(&self, objects->fds[0]);
}

static int64_t call_close_client(const struct objects *objects)
{
    return emu_close(&self, objects->fds[1]);
}

static int64_t call_exit(const struct objects *objects)
{
    (void)objects;
    emu_process_exit(&self);
    return 0;
}

static int64_t call_native(const struct objects *objects)
{
    return emu_native_one(&self, objects->fds[0]);
}

static int64_t call_admit(const struct objects *objects)
{
    return admit(accept_any(objects->fds[0]), 0);
}

static int64_t call_refuse(const struct objects *objects)
{
    return admit(accept_any(objects->fds[0]), ECONNREFUSED);
}

static int64_t call_close_undecided(const struct objects *objects)
{
    return close_any(accept_any(objects->fds[0]));
}

/* ---- The checks ---- */

static void check_nothing(struct objects *objects)
{
    (void)objects;
    see_bystander();
}

/* The parent has the socket as well: it is bound, or can be. */
static void check_bound(struct objects *objects)
{
    const int64_t result = bind_socket(objects->fds[1]);

    check(result == 0 || result == -EINVAL || (kind == PATH && result == -EADDRINUSE),
          "the socket can't be bound");
    listen_on(objects, objects->fds[1]);
    finish(objects);
}

/* The child had it alone: the name is free, but for the file of a path. */
static void check_bindable(struct objects *objects)
{
    unlink_path();
    make_listener(objects, 8);
    finish(objects);
}

static void check_listening(struct objects *objects)
{
    listen_on(objects, objects->fds[1]);
    finish(objects);
}

/* A dead client: either it had not come, or it is accepted with all that it sent, and its end. */
static void check_dead_client(struct objects *objects)
{
    const int server = poll_any(objects->fds[0], POLLIN, 0) ? accept_any(objects->fds[0]) : -1;

    if (server >= 0) {
        const size_t got = take_all(server);

        check(got == 0 || got == CALL, "other bytes than were sent");
        see_end(server);
        CHECK_EQUAL(close_any(server), 0);
    }
    finish(objects);
}

/* The parent has the client too: if it waits to be accepted, it is connected. */
static void check_shared_client(struct objects *objects)
{
    if (!poll_any(objects->fds[0], POLLIN, 0))
        connect_again(objects->fds[1]);
    use_client(objects);
    finish(objects);
}

static void check_reconnected(struct objects *objects)
{
    connect_again(objects->fds[1]);
    use_client(objects);
    finish(objects);
}

/* There is room again when the one that waits is accepted. */
static void check_room(struct objects *objects)
{
    const int server = accept_any(objects->fds[0]);

    exchange(second, server);
    close_both(second, server);
    second = -1;
    check_reconnected(objects);
}

/* Two waited. The first was accepted by the dead, and learns of its end; or we get it. */
static void check_accepted(struct objects *objects)
{
    int server = accept_any(objects->fds[0]);
    size_t got;

    check(server >= 0, "nobody waits");
    got = take_all(server);
    if (got == BEFORE) {
        exchange(objects->fds[1], server);
        CHECK_EQUAL(close_any(server), 0);
        server = accept_any(objects->fds[0]);
        check(server >= 0, "the second doesn't wait");
        got = take_all(server);
    }
    see_end(objects->fds[1]);
    CHECK_EQUAL((int64_t)got, SECOND);
    CHECK_EQUAL(close_any(objects->fds[1]), 0);
    exchange(second, server);
    close_both(second, server);
    finish(objects);
}

/* The same with a thread that reads: it gets what we write, or the end. */
static void check_sleeping_client(struct objects *objects)
{
    const int server = accept_any(objects->fds[0]);
    const bool ours = take_all(server) == BEFORE;

    if (ours)
        CHECK_EQUAL(write_any(server, call_data, CALL), CALL);
    pthread_join(objects->sleeper, NULL);
    check(objects->slept_result == (ours ? CALL : 0) ||
              (!ours && objects->slept_result == -ECONNRESET),
          "the sleeper got something else");
    CHECK_EQUAL(close_any(server), 0);
    CHECK_EQUAL(close_any(objects->fds[1]), 0);
    if (ours)
        CHECK_EQUAL(close_any(accept_any(objects->fds[0])), 0);
    CHECK_EQUAL(close_any(second), 0);
    finish(objects);
}

/* The listener is gone with the child: those that waited are told, and the name is free. */
static void check_listener_gone(struct objects *objects)
{
    const int clients[2] = { objects->fds[1], second };

    for (int i = 0; i < 2; i++) {
        check((poll_any(clients[i], POLLIN, LIMIT_MS) & POLLIN) != 0, "the end isn't told");
        if (kind != VSOCK)
            CHECK_EQUAL(receive(clients[i]), -ECONNRESET);
        see_end(clients[i]);
        check(write_any(clients[i], "x", 1) < 0, "a write to nobody");
        CHECK_EQUAL(close_any(clients[i]), 0);
    }
    check_bindable(objects);
}

/* Both still wait, with all that they sent. */
static void check_waiting(struct objects *objects)
{
    const int clients[2] = { objects->fds[1], second };

    for (int i = 0; i < 2; i++) {
        const int server = accept_any(objects->fds[0]);

        check(server >= 0, "it doesn't wait any more");
        CHECK_EQUAL((int64_t)take_all(server), i == 0 ? BEFORE : SECOND);
        exchange(clients[i], server);
        close_both(clients[i], server);
    }
    finish(objects);
}

/* What was handed over is the kernel's; whoever comes later may be either's. */
static void check_native(struct objects *objects)
{
    check_waiting(objects);
}

/* The client closed before it was accepted: its bytes are there. */
static void check_closed_client(struct objects *objects)
{
    const int server = accept_any(objects->fds[0]);

    check(server >= 0, "it doesn't wait any more");
    CHECK_EQUAL((int64_t)take_all(server), BEFORE);
    see_end(server);
    CHECK_EQUAL(close_any(server), 0);
    CHECK_EQUAL(close_any(accept_any(objects->fds[0])), 0);
    CHECK_EQUAL(close_any(second), 0);
    finish(objects);
}

/* Nobody has taken the error yet, unless the child did with its look at the clock. */
static void check_expired(struct objects *objects)
{
    check((poll_any(objects->fds[1], POLLOUT, LIMIT_MS) & POLLERR) != 0, "the time isn't over");
    CHECK_EQUAL(pending_error(objects->fds[1]), ETIMEDOUT);
    check_reconnected(objects);
}

/* The gateway died: the guest is refused, or was admitted and sees the end. */
static void check_gateway_gone(struct objects *objects)
{
    int error;

    poll_any(objects->fds[1], POLLOUT, LIMIT_MS);
    error = pending_error(objects->fds[1]);
    check(error == 0 || error == ECONNRESET || error == ECONNREFUSED, "another error");
    if (error == 0)
        see_end(objects->fds[1]);
    CHECK_EQUAL(close_any(objects->fds[1]), 0);
    make_gateway(objects);
    finish_gateway(objects);
}

/* Another process is the gateway too. */
static void check_gateway(struct objects *objects)
{
    const int server = poll_any(objects->fds[0], POLLIN, 0) ? accept_any(objects->fds[0]) : -1;
    const int error = server >= 0 ? (CHECK_EQUAL(admit(server, 0), 0), 0) : 1;

    poll_any(objects->fds[1], POLLOUT, LIMIT_MS);
    if (error == 0) {
        CHECK_EQUAL(pending_error(objects->fds[1]), 0);
        exchange(objects->fds[1], server);
        CHECK_EQUAL(close_any(server), 0);
        see_end(objects->fds[1]);
    } else if (pending_error(objects->fds[1]) == 0) {
        see_end(objects->fds[1]);
    }
    CHECK_EQUAL(close_any(objects->fds[1]), 0);
    finish_gateway(objects);
}

/* ---- A sleeper ---- */

static void *sleep_in_read(void *argument)
{
    struct objects *objects = argument;
    struct emu_task task = { 0 };
    unsigned char data[CALL];

    emu_task_enter(&task, &process);
    objects->slept_result = emu_read(&task, objects->fds[1], data, sizeof data);
    emu_task_leave(&task);
    return NULL;
}

#define CHILDS_LISTENER CHILDS_READER
#define CHILDS_CLIENT   CHILDS_WRITER

static const struct scenario scenarios[] = {
    { "socket unix", -1, 0, 0, call_socket, check_nothing, .prepare = path_nothing },
    { "socket vsock", -1, 0, 0, call_socket, check_nothing, .prepare = vsock_nothing },
    { "bind path", -1, 0, CHILDS_CLIENT, call_bind, check_bindable, .prepare = path_socket },
    { "bind abstract", -1, 0, CHILDS_CLIENT, call_bind, check_bindable,
      .prepare = abstract_socket },
    { "bind vsock", -1, 0, CHILDS_CLIENT, call_bind, check_bindable, .prepare = vsock_socket },
    { "bind shared", -1, 0, 0, call_bind, check_bound, .prepare = path_socket },
    { "bind vsock shared", -1, 0, 0, call_bind, check_bound, .prepare = vsock_socket },
    { "bind any shared", -1, 0, 0, call_bind, check_bound, .prepare = any_socket },
    { "listen", -1, 0, CHILDS_CLIENT, call_listen, check_bindable, .prepare = path_bound },
    { "listen vsock", -1, 0, CHILDS_CLIENT, call_listen, check_bindable, .prepare = vsock_bound },
    { "listen shared", -1, 0, 0, call_listen, check_listening, .prepare = path_bound },
    { "listen vsock shared", -1, 0, 0, call_listen, check_listening, .prepare = vsock_bound },
    { "connect path", -1, 0, CHILDS_CLIENT, call_connect, check_dead_client,
      .prepare = path_fresh },
    { "connect named", -1, 0, CHILDS_CLIENT, call_connect, check_dead_client,
      .prepare = named_fresh },
    { "connect vsock", -1, 0, CHILDS_CLIENT, call_connect, check_dead_client,
      .prepare = vsock_fresh },
    { "connect shared", -1, 0, 0, call_connect, check_shared_client, .prepare = path_fresh },
    { "connect named shrd", -1, 0, 0, call_connect, check_shared_client, .prepare = named_fresh },
    { "connect vsock shrd", -1, 0, 0, call_connect, check_shared_client, .prepare = vsock_fresh },
    { "reconnect", -1, 0, 0, call_connect, check_reconnected, .prepare = path_fresh },
    { "reconnect named", -1, 0, 0, call_connect, check_reconnected, .prepare = named_fresh },
    { "reconnect vsock", -1, 0, 0, call_connect, check_reconnected, .prepare = vsock_fresh },
    { "connect twice", -1, 0, CHILDS_CLIENT, call_connect_twice, check_dead_client,
      .prepare = abstract_fresh },
    { "twice shared", -1, 0, 0, call_connect_twice, check_reconnected, .prepare = abstract_fresh },
    { "twice vsock", -1, 0, 0, call_connect_twice, check_reconnected, .prepare = vsock_fresh },
    { "refused", -1, 0, 0, call_refused, check_reconnected, .prepare = vsock_fresh },
    { "backlog full", -1, 0, 0, call_full, check_room, .prepare = vsock_full },
    { "time-out", -1, 0, 0, call_time_out, check_reconnected, .prepare = guest_fresh,
      .sleeps = true, .sample = 3 },
    { "expire", -1, 0, 0, call_expire, check_expired, .prepare = guest_unanswered },
    { "accept path", -1, 0, 0, call_accept, check_accepted, .prepare = path_waiting },
    { "accept named", -1, 0, 0, call_accept, check_accepted, .prepare = named_waiting },
    { "accept vsock", -1, 0, 0, call_accept, check_accepted, .prepare = vsock_waiting },
    { "accept, sleeper", -1, 0, 0, call_accept, check_sleeping_client, .sleeper = sleep_in_read,
      .prepare = path_waiting },
    { "accept vsock, slpr", -1, 0, 0, call_accept, check_sleeping_client, .sleeper = sleep_in_read,
      .prepare = vsock_waiting },
    { "close listener", -1, 0, CHILDS_LISTENER, call_close_listener, check_listener_gone,
      .prepare = path_waiting },
    { "close named lstnr", -1, 0, CHILDS_LISTENER, call_close_listener, check_listener_gone,
      .prepare = named_waiting },
    { "close vsock lstnr", -1, 0, CHILDS_LISTENER, call_close_listener, check_listener_gone,
      .prepare = vsock_waiting },
    { "exit", -1, 0, CHILDS_LISTENER, call_exit, check_listener_gone, .prepare = abstract_waiting },
    { "close shared lstnr", -1, 0, 0, call_close_listener, check_waiting, .prepare = path_waiting },
    { "close client", -1, 0, CHILDS_CLIENT, call_close_client, check_closed_client,
      .prepare = path_waiting },
    { "close named client", -1, 0, CHILDS_CLIENT, call_close_client, check_closed_client,
      .prepare = named_waiting },
    { "close vsock client", -1, 0, CHILDS_CLIENT, call_close_client, check_closed_client,
      .prepare = vsock_waiting },
    { "native", -1, 0, 0, call_native, check_native, .prepare = abstract_waiting },
    { "native named", -1, 0, 0, call_native, check_native, .prepare = named_waiting },
    { "admit", -1, 0, CHILDS_LISTENER, call_admit, check_gateway_gone, .prepare = gateway_asked },
    { "refuse", -1, 0, CHILDS_LISTENER, call_refuse, check_gateway_gone, .prepare = gateway_asked },
    { "undecided", -1, 0, CHILDS_LISTENER, call_close_undecided, check_gateway_gone,
      .prepare = gateway_asked },
    { "admit shared", -1, 0, 0, call_admit, check_gateway, .prepare = gateway_asked },
    { "refuse shared", -1, 0, 0, call_refuse, check_gateway, .prepare = gateway_asked },
};

int main(int argc, char **argv)
{
    int result;

    names_begin();
    result = run_scenarios(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
    names_end();
    return result;
}
