/*
 * Proves: a signal ends a blocked accept and a connect that waits for room in the backlog with
 * EINTR; under SA_RESTART they go on, but with a time-out set they end all the same; an interrupted
 * connect leaves nothing, so that it may be tried again; cancellation works at both.
 *
 * Rows: 3.2 "connect: backlog full, a signal", 3.2 "accept: a signal", 5.5 "pipe read/write, unix
 * read/recv/send/accept/connect", 5.5 "same with SO_RCVTIMEO/SNDTIMEO set"
 */
#include "unix_names.h"

struct call {
    struct guest_thread thread;
    bool is_accept;
    int fd, result, error;
    const struct unix_name *name;
};

static void *make_call(void *argument)
{
    struct call *call = argument;
    call->result = call->is_accept ? accept(call->fd, NULL, NULL)
                                   : unix_connect(call->fd, call->name);
    call->error = errno;
    return NULL;
}

static void call_start(struct call *call, bool is_accept, int fd, const struct unix_name *name)
{
    call->is_accept = is_accept;
    call->fd = fd;
    call->name = name;
    guest_thread_start(&call->thread, make_call, call);
    guest_thread_blocked(&call->thread);
}

static void call_signal(struct call *call, int times)
{
    for (int i = 0; i < times; i++) {
        int before = atomic_load(&guest_signal_count[SIGUSR1]);
        CHECK_ZERO(pthread_kill(call->thread.pthread, SIGUSR1));
        while (atomic_load(&guest_signal_count[SIGUSR1]) == before) { /* until the deadline */
            sched_yield();
        }
    }
}

static void call_interrupted(struct call *call)
{
    call_signal(call, 1);
    guest_thread_join(&call->thread);
    CHECK_EQ(-1, call->result);
    CHECK_EQ(EINTR, call->error);
}

static void of_accept(int type, int flags, bool has_time)
{
    struct unix_name name = unix_abstract("signals");
    int listener = unix_listener(type, &name, 0), client;
    struct call call;
    guest_count_signal(SIGUSR1, flags);
    if (has_time) {
        unix_set_time(listener, SO_RCVTIMEO, 25000);
    }
    call_start(&call, true, listener, NULL);
    if (flags == SA_RESTART && !has_time) {
        call_signal(&call, 3);
        guest_thread_blocked(&call.thread);
        client = unix_client(type, &name);
        guest_thread_join(&call.thread);
        unix_finish(client, (int)CHECK_OK(call.result));
    } else {
        call_interrupted(&call);
        client = unix_client(type, &name);
        unix_finish(client, unix_accept(listener));
    }
    CHECK_OK(close(listener));
}

static void of_connect(int type, int flags, bool has_time)
{
    struct unix_name name = unix_abstract("signals");
    int listener = unix_listener(type, &name, 0), first = unix_client(type, &name);
    int fd = unix_socket(type);
    struct call call;
    guest_count_signal(SIGUSR1, flags);
    if (has_time) {
        unix_set_time(fd, SO_SNDTIMEO, 25000);
    }
    call_start(&call, false, fd, &name);
    if (flags == SA_RESTART && !has_time) {
        call_signal(&call, 3);
        guest_thread_blocked(&call.thread);
        unix_finish(first, unix_accept(listener));
        guest_thread_join(&call.thread);
        CHECK_OK(call.result);
    } else {
        call_interrupted(&call);
        guest_set_nonblock(fd, true);
        CHECK_ERR(EAGAIN, unix_connect(fd, &name));
        unix_finish(first, unix_accept(listener));
        guest_set_nonblock(listener, true);
        CHECK_ERR(EAGAIN, accept(listener, NULL, NULL)); /* nothing was left behind */
        CHECK_OK(unix_connect(fd, &name));
        guest_set_nonblock(fd, false);
    }
    unix_finish(fd, unix_accept(listener));
    CHECK_OK(close(listener));
}

/* The handler itself makes what the call waits for. */
static int handler_listener, handler_client;
static struct unix_name handler_name;

static void connect_in_handler(int signo)
{
    int error = errno;
    CHECK_OK(unix_connect(handler_client, &handler_name));
    guest_count_handler(signo);
    errno = error;
}

static void handler_connects(int type)
{
    struct call call;
    handler_listener = unix_any_listener(type, 1, &handler_name);
    handler_client = unix_socket(type);
    guest_on_signal(SIGUSR1, connect_in_handler, SA_RESTART);
    call_start(&call, true, handler_listener, NULL);
    call_signal(&call, 1);
    guest_thread_join(&call.thread);
    unix_finish(handler_client, (int)CHECK_OK(call.result));
    CHECK_OK(close(handler_listener));
}

static void cancelled(int type, bool is_accept)
{
    struct unix_name name = unix_abstract("cancel");
    int listener = unix_listener(type, &name, 0), fd = unix_socket(type), first = -1;
    struct call call;
    if (!is_accept) {
        first = unix_client(type, &name);
    }
    call_start(&call, is_accept, is_accept ? listener : fd, &name);
    CHECK_ZERO(pthread_cancel(call.thread.pthread));
    CHECK(guest_thread_join(&call.thread) == PTHREAD_CANCELED);
    if (!is_accept) {
        unix_finish(first, unix_accept(listener));
    }
    CHECK_OK(unix_connect(fd, &name)); /* both sockets are as they were */
    unix_finish(fd, unix_accept(listener));
    CHECK_OK(close(listener));
}

int main(void)
{
    static const int flags[] = { 0, SA_RESTART };
    unix_start();
    for (int i = 0; i < 2; i++) {
        for (int kind = 0; kind < 4; kind++) {
            of_accept(unix_types[i], flags[kind & 1], kind >= 2);
            of_connect(unix_types[i], flags[kind & 1], kind >= 2);
        }
        handler_connects(unix_types[i]);
        cancelled(unix_types[i], true);
        cancelled(unix_types[i], false);
    }
    return unix_end();
}
