/*
 * Proves: shutdown of a listener for reading wakes those who sleep in accept with EINVAL, in poll
 * and in epoll; what is queued still comes out; connect is refused; for writing alone it changes
 * nothing. Closing a listener's descriptor under a sleeping accept wakes nobody: it takes the next
 * connection all the same.
 *
 * Rows: 3.2 "accept: after shutdown(SHUT_RD) of the listener", 3.2 "shutdown of a listener wakes",
 * 3.2 "a descriptor closed under accept", 3.6 "listening after SHUT_RD"
 */
#include <sys/epoll.h>

#include "unix_names.h"

struct acceptor {
    struct guest_thread thread;
    int listener, result, error;
};

static void *accept_in_thread(void *argument)
{
    struct acceptor *acceptor = argument;
    acceptor->result = accept(acceptor->listener, NULL, NULL);
    acceptor->error = errno;
    return NULL;
}

static void acceptor_start(struct acceptor *acceptor, int listener)
{
    acceptor->listener = listener;
    guest_thread_start(&acceptor->thread, accept_in_thread, acceptor);
    guest_thread_blocked(&acceptor->thread);
}

static void acceptor_fails(struct acceptor *acceptor)
{
    guest_thread_join(&acceptor->thread);
    CHECK_EQ(-1, acceptor->result);
    CHECK_EQ(EINVAL, acceptor->error);
}

static void wakes_accept(int type, int how)
{
    struct unix_name name = unix_abstract("shutdown");
    int listener = unix_listener(type, &name, 4);
    struct acceptor acceptors[3];
    for (int i = 0; i < 3; i++) {
        acceptor_start(&acceptors[i], listener);
    }
    CHECK_OK(shutdown(listener, how));
    for (int i = 0; i < 3; i++) {
        acceptor_fails(&acceptors[i]);
    }
    CHECK_ERR(EINVAL, accept(listener, NULL, NULL));
    guest_set_nonblock(listener, true);
    CHECK_ERR(EAGAIN, accept(listener, NULL, NULL));
    int fd = unix_socket(type);
    CHECK_ERR(ECONNREFUSED, unix_connect(fd, &name));
    CHECK_OK(close(fd));
    CHECK_OK(listen(listener, 4)); /* doesn't bring it back */
    CHECK_EQ(1, unix_option(listener, SO_ACCEPTCONN));
    fd = unix_socket(type);
    CHECK_ERR(ECONNREFUSED, unix_connect(fd, &name));
    CHECK_OK(close(fd));
    CHECK_OK(close(listener));
}

static void for_writing_alone(int type)
{
    struct unix_name name = unix_abstract("shutdown");
    int listener = unix_listener(type, &name, 4);
    struct acceptor acceptor;
    acceptor_start(&acceptor, listener);
    CHECK_OK(shutdown(listener, SHUT_WR));
    guest_thread_blocked(&acceptor.thread);
    int client = unix_client(type, &name);
    guest_thread_join(&acceptor.thread);
    unix_finish(client, (int)CHECK_OK(acceptor.result)); /* and isn't handed down */
    CHECK_OK(close(listener));
}

static void queued_come_out(int type)
{
    struct unix_name name = unix_abstract("shutdown");
    int listener = unix_listener(type, &name, 4), clients[3];
    for (int i = 0; i < 3; i++) {
        clients[i] = unix_client(type, &name);
    }
    CHECK_OK(shutdown(listener, SHUT_RDWR));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(POLLOUT, guest_poll(clients[i], POLLIN | POLLOUT | POLLRDHUP, 0));
        unix_finish(clients[i], unix_accept(listener));
    }
    CHECK_ERR(EINVAL, accept(listener, NULL, NULL));
    CHECK_OK(close(listener));
}

static void *poll_listener(void *argument)
{
    CHECK_EQ(POLLIN | POLLRDHUP, guest_poll(*(int *)argument, POLLIN | POLLRDHUP, -1));
    return NULL;
}

static void *wait_in_epoll(void *argument)
{
    struct epoll_event event;
    CHECK_EQ(1, epoll_wait(*(int *)argument, &event, 1, -1));
    CHECK_EQ(EPOLLIN | EPOLLRDHUP, event.events);
    return NULL;
}

static void wakes_pollers(int type)
{
    struct unix_name name = unix_abstract("shutdown");
    int listener = unix_listener(type, &name, 4), epoll = (int)CHECK_OK(epoll_create1(0));
    struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
    struct guest_thread threads[2];
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event));
    guest_thread_start(&threads[0], poll_listener, &listener);
    guest_thread_start(&threads[1], wait_in_epoll, &epoll);
    guest_thread_blocked(&threads[0]);
    guest_thread_blocked(&threads[1]);
    CHECK_OK(shutdown(listener, SHUT_RD));
    guest_thread_join(&threads[0]);
    guest_thread_join(&threads[1]);
    CHECK_OK(close(listener));
    CHECK_OK(close(epoll));
}

/* By another process: the sleeper's own descriptor is untouched. */
static void by_a_child(int type)
{
    struct unix_name name = unix_abstract("shutdown");
    int listener = unix_listener(type, &name, 4);
    struct acceptor acceptor;
    acceptor_start(&acceptor, listener);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(shutdown(listener, SHUT_RD));
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    acceptor_fails(&acceptor);
    CHECK_OK(close(listener));
}

static void closed_under_accept(int type, bool is_replaced)
{
    struct unix_name name = unix_abstract("shutdown");
    int listener = unix_listener(type, &name, 4), fds[2];
    struct acceptor acceptor;
    acceptor_start(&acceptor, listener);
    if (is_replaced) {
        guest_pipe(fds);
        CHECK_OK(dup2(fds[0], listener));
    } else {
        CHECK_OK(close(listener));
    }
    guest_thread_blocked(&acceptor.thread);
    int client = unix_client(type, &name); /* the call holds the socket */
    guest_thread_join(&acceptor.thread);
    int accepted = (int)CHECK_OK(acceptor.result);
    int other = unix_socket(type); /* and the socket ends with the call */
    CHECK_ERR(ECONNREFUSED, unix_connect(other, &name));
    CHECK_OK(close(other));
    unix_finish(client, accepted);
    if (is_replaced) {
        guest_close_both(fds);
        CHECK_OK(close(listener));
    }
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        wakes_accept(unix_types[i], SHUT_RD);
        wakes_accept(unix_types[i], SHUT_RDWR);
        for_writing_alone(unix_types[i]);
        queued_come_out(unix_types[i]);
        wakes_pollers(unix_types[i]);
        by_a_child(unix_types[i]);
        closed_under_accept(unix_types[i], false);
        closed_under_accept(unix_types[i], true);
    }
    return unix_end();
}
