/*
 * Proves: a wake-up with a key (data, room) touches only edge entries that ask for it; one without
 * a key (shutdown, close, the last writer's or reader's end) touches all, and they report what is
 * true then; both for one end's entries side by side and for a sleeper.
 *
 * Rows: 6.4 "interest only OUT, data arrives", 6.4 "Wake-ups carrying no key", 6.4 "listener: 2nd
 * connection while one is queued", 6.4 "listen() on a registered unconnected socket", 6.4 "A mask
 * of 0 (not oneshot) still reports HUP/ERR"
 */
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/un.h>

#include "guest.h"

static int watch(int fd, uint32_t events)
{
    int epoll = (int)CHECK_OK(epoll_create1(0));
    struct epoll_event event = { .events = events | EPOLLET, .data.fd = fd };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
    return epoll;
}

static uint32_t next_event(int epoll)
{
    struct epoll_event events[2];
    int count = (int)CHECK_OK(epoll_wait(epoll, events, 2, 0));
    CHECK(count <= 1);
    return count == 1 ? events[0].events : 0;
}

/* Edge entries on one end with different interests, each in an instance of its own. */
enum { IN, OUT, PRI, RDHUP, NONE, INTERESTS };
static int sets[INTERESTS];

static void open_sets(int fd)
{
    const uint32_t masks[INTERESTS] = { EPOLLIN, EPOLLOUT, EPOLLPRI, EPOLLRDHUP, 0 };
    for (int i = 0; i < INTERESTS; i++) {
        sets[i] = watch(fd, masks[i]);
        next_event(sets[i]); /* what ADD found */
    }
}

static void close_sets(void)
{
    for (int i = 0; i < INTERESTS; i++) {
        CHECK_OK(close(sets[i]));
    }
}

static void check_sets(int line, const uint32_t expected[INTERESTS])
{
    const char *names[INTERESTS] = { "IN", "OUT", "PRI", "RDHUP", "0" };
    for (int i = 0; i < INTERESTS; i++) {
        uint32_t bits = next_event(sets[i]);
        if (bits != expected[i]) {
            guest_fail(__FILE__, line, "edge", "interest %s: expected %#x, got %#x", names[i],
                       expected[i], bits);
        }
    }
}

#define CHECK_SETS(...) check_sets(__LINE__, (const uint32_t[INTERESTS]){ __VA_ARGS__ })

static void socket_keys(int type)
{
    int fds[2];
    char byte;
    guest_pair(type, fds);
    open_sets(fds[0]);
    CHECK_EQ(1, write(fds[1], "x", 1)); /* key: IN, PRI and their bands */
    CHECK_SETS(EPOLLIN, 0, 0, 0, 0);
    CHECK_EQ(1, write(fds[0], "x", 1));
    CHECK_SETS(0, 0, 0, 0, 0);
    CHECK_EQ(1, read(fds[1], &byte, 1)); /* key: OUT and its bands */
    CHECK_SETS(0, EPOLLOUT, 0, 0, 0);
    CHECK_OK(shutdown(fds[1], SHUT_RD)); /* no key */
    CHECK_SETS(EPOLLIN, EPOLLOUT, 0, 0, 0);
    CHECK_OK(shutdown(fds[0], SHUT_WR)); /* one's own: no key */
    CHECK_SETS(EPOLLIN, EPOLLOUT, 0, 0, 0);
    CHECK_OK(shutdown(fds[1], SHUT_WR));
    CHECK_SETS(EPOLLIN | EPOLLHUP, EPOLLOUT | EPOLLHUP, EPOLLHUP, EPOLLRDHUP | EPOLLHUP, EPOLLHUP);
    CHECK_OK(close(fds[1]));
    CHECK_SETS(EPOLLIN | EPOLLHUP, EPOLLOUT | EPOLLHUP, EPOLLHUP, EPOLLRDHUP | EPOLLHUP, EPOLLHUP);
    CHECK_OK(close(fds[0]));
    close_sets();
}

/* The key of data says PRI, too: who asks for it is woken and reports what else is true. */
static void data_says_urgent(int type)
{
    int fds[2];
    guest_pair(type, fds);
    int epoll = watch(fds[0], EPOLLPRI | EPOLLOUT);
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(EPOLLOUT, next_event(epoll));
    CHECK_OK(close(epoll));
    epoll = watch(fds[0], EPOLLRDNORM | EPOLLWRBAND);
    CHECK_EQ(EPOLLRDNORM | EPOLLWRBAND, next_event(epoll));
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_EQ(EPOLLRDNORM | EPOLLWRBAND, next_event(epoll));
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

static void socket_half_close(int type)
{
    int fds[2];
    guest_pair(type, fds);
    open_sets(fds[0]);
    CHECK_OK(shutdown(fds[1], SHUT_WR));
    CHECK_SETS(EPOLLIN, EPOLLOUT, 0, EPOLLRDHUP, 0);
    guest_close_both(fds);
    close_sets();
}

static void pipe_reader_keys(void)
{
    int fds[2];
    guest_pipe(fds);
    open_sets(fds[0]);
    CHECK_EQ(1, write(fds[1], "x", 1));
    CHECK_SETS(EPOLLIN, 0, 0, 0, 0);
    CHECK_OK(close(fds[1]));
    CHECK_SETS(EPOLLIN | EPOLLHUP, EPOLLHUP, EPOLLHUP, EPOLLHUP, EPOLLHUP);
    CHECK_OK(close(fds[0]));
    close_sets();
}

static void pipe_writer_keys(void)
{
    int fds[2];
    char *buffer = calloc(1, GUEST_PIPE_SIZE);
    guest_pipe(fds);
    open_sets(fds[1]);
    CHECK_EQ(GUEST_PIPE_SIZE, write(fds[1], buffer, GUEST_PIPE_SIZE));
    CHECK_SETS(0, 0, 0, 0, 0);
    CHECK_EQ(GUEST_PAGE, read(fds[0], buffer, GUEST_PAGE));
    CHECK_SETS(0, EPOLLOUT, 0, 0, 0);
    CHECK_OK(close(fds[0]));
    CHECK_SETS(EPOLLERR, EPOLLOUT | EPOLLERR, EPOLLERR, EPOLLERR, EPOLLERR);
    CHECK_OK(close(fds[1]));
    close_sets();
    free(buffer);
}

static void *sleep_for_hup(void *argument)
{
    struct epoll_event event;
    const int *epoll = argument;
    CHECK_EQ(1, epoll_wait(*epoll, &event, 1, -1));
    CHECK_EQ(EPOLLHUP, event.events);
    return NULL;
}

/* A sleeper with a mask of 0 isn't disturbed by data, and woken by the end. */
static void sleeper_without_interest(int type)
{
    int fds[2];
    struct guest_thread thread;
    if (type == 0) {
        guest_pipe(fds);
    } else {
        guest_pair(type, fds);
    }
    int epoll = watch(fds[0], 0);
    guest_thread_start(&thread, sleep_for_hup, &epoll);
    guest_thread_blocked(&thread);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(1, write(fds[1], "x", 1));
        guest_thread_blocked(&thread);
    }
    CHECK_OK(close(fds[1]));
    guest_thread_join(&thread);
    CHECK_OK(close(fds[0]));
    CHECK_OK(close(epoll));
}

/* An unconnected socket that becomes a listener; natively served, in a set all the same. */
static void listener(int type)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    int clients[2], accepted[2], server = (int)CHECK_OK(socket(AF_UNIX, type, 0));
    int epoll = watch(server, EPOLLIN | EPOLLOUT);
    CHECK_EQ(EPOLLOUT | EPOLLHUP, next_event(epoll));
    int size = snprintf(name.sun_path, sizeof name.sun_path, "%cepoll_keys-%d", 0, getpid());
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)size);
    CHECK_OK(bind(server, (struct sockaddr *)&name, length));
    CHECK_OK(listen(server, 2));
    CHECK_EQ(0, next_event(epoll));
    for (int i = 0; i < 2; i++) { /* the second one while the first is queued */
        clients[i] = (int)CHECK_OK(socket(AF_UNIX, type, 0));
        CHECK_OK(connect(clients[i], (struct sockaddr *)&name, length));
        CHECK_EQ(EPOLLIN, next_event(epoll));
    }
    for (int i = 0; i < 2; i++) {
        accepted[i] = (int)CHECK_OK(accept(server, NULL, NULL));
        CHECK_EQ(0, next_event(epoll));
    }
    guest_close_both(clients);
    guest_close_both(accepted);
    CHECK_OK(close(server));
    CHECK_OK(close(epoll));
}

int main(void)
{
    guest_start();
    const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
    for (int i = 0; i < 2; i++) {
        socket_keys(types[i]);
        data_says_urgent(types[i]);
        socket_half_close(types[i]);
        sleeper_without_interest(types[i]);
        listener(types[i]);
    }
    pipe_reader_keys();
    pipe_writer_keys();
    sleeper_without_interest(0);
    return guest_end();
}
