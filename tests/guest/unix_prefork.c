/*
 * Proves: N processes that share one listener serve each connection exactly once, with its own
 * bytes: blocked in accept, or in epoll or poll with a non-blocking listener where the late ones
 * get EAGAIN. Workers that are killed in accept take no connection with them.
 *
 * Rows: 3.2 "listen / accept / connect in several processes", 3.2 "accept: empty"
 */
#include <sys/epoll.h>

#include "unix_names.h"

enum { WORKERS = 4, CLIENT_PROCESSES = 3, ROUNDS = 40 };

enum waiting { IN_ACCEPT, IN_POLL, IN_EPOLL, WAITINGS };

struct request {
    uint32_t client, round;
    unsigned char bytes[200];
};

struct reply {
    uint32_t client, round, worker, sum;
};

static uint32_t sum_of(const struct request *request)
{
    uint32_t sum = request->client * 31 + request->round;
    for (size_t i = 0; i < sizeof request->bytes; i++) {
        sum = sum * 33 + request->bytes[i];
    }
    return sum;
}

static void wait_for_one(int listener, int epoll, enum waiting waiting)
{
    struct epoll_event event;
    if (waiting == IN_POLL) {
        CHECK_EQ(POLLIN, guest_poll(listener, POLLIN, -1));
    } else if (waiting == IN_EPOLL) {
        CHECK_EQ(1, epoll_wait(epoll, &event, 1, -1));
    }
}

/* Serves until a request with round == ROUNDS comes, which ends it. */
static void work(int listener, uint32_t worker, enum waiting waiting)
{
    int epoll = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    struct epoll_event event = { .events = EPOLLIN };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event));
    for (;;) {
        struct request request;
        wait_for_one(listener, epoll, waiting);
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            CHECK(waiting != IN_ACCEPT && errno == EAGAIN);
            continue;
        }
        CHECK_EQ(sizeof request, guest_read_all(fd, &request, sizeof request));
        struct reply reply = { request.client, request.round, worker, sum_of(&request) };
        CHECK_EQ(sizeof reply, write(fd, &reply, sizeof reply));
        CHECK_OK(close(fd));
        if (request.round == ROUNDS) {
            _exit(0);
        }
    }
}

static void request_once(int type, const struct unix_name *name, uint32_t client, uint32_t round)
{
    struct request request = { .client = client, .round = round };
    struct reply reply;
    char byte;
    guest_pattern_fill(request.bytes, sizeof request.bytes, client * 1000 + round);
    int fd = unix_client(type, name);
    CHECK_EQ(sizeof request, write(fd, &request, sizeof request));
    CHECK_EQ(sizeof reply, guest_read_all(fd, &reply, sizeof reply));
    CHECK_EQ(client, reply.client);
    CHECK_EQ(round, reply.round);
    CHECK_EQ(sum_of(&request), reply.sum);
    CHECK(reply.worker < WORKERS);
    CHECK_EQ(0, read(fd, &byte, 1));
    CHECK_OK(close(fd));
}

static void each_once(int type, enum unix_form form, enum waiting waiting)
{
    struct unix_name name = unix_named(form, "prefork");
    int listener = unix_listener(type, &name, 2); /* clients wait for room, too */
    pid_t workers[WORKERS], clients[CLIENT_PROCESSES];
    guest_set_nonblock(listener, waiting != IN_ACCEPT);
    for (uint32_t i = 0; i < WORKERS; i++) {
        workers[i] = guest_fork();
        if (workers[i] == 0) {
            work(listener, i, waiting);
        }
    }
    CHECK_OK(close(listener));
    for (uint32_t i = 0; i < CLIENT_PROCESSES; i++) {
        clients[i] = guest_fork();
        if (clients[i] == 0) {
            for (uint32_t round = 0; round < ROUNDS; round++) {
                request_once(type, &name, i, round);
            }
            _exit(0);
        }
    }
    for (int i = 0; i < CLIENT_PROCESSES; i++) {
        guest_wait_exit(clients[i], 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        request_once(type, &name, CLIENT_PROCESSES, ROUNDS);
    }
    for (int i = 0; i < WORKERS; i++) {
        guest_wait_exit(workers[i], 0);
    }
    unix_forget(&name);
}

/* Three sleep in accept, two are killed there; the third serves all who come. */
static void killed_in_accept(int type)
{
    struct unix_name name = unix_abstract("prefork");
    int listener = unix_listener(type, &name, 8);
    pid_t workers[3];
    for (uint32_t i = 0; i < 3; i++) {
        workers[i] = guest_fork();
        if (workers[i] == 0) {
            work(listener, i, IN_ACCEPT);
        }
        guest_process_blocked(workers[i]);
    }
    for (int i = 0; i < 2; i++) {
        CHECK_OK(kill(workers[i], SIGKILL));
        guest_wait_killed(workers[i], SIGKILL);
        request_once(type, &name, 1, (uint32_t)i);
    }
    request_once(type, &name, 1, ROUNDS);
    guest_wait_exit(workers[2], 0);
    CHECK_OK(close(listener));
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        for (enum waiting waiting = IN_ACCEPT; waiting < WAITINGS; waiting++) {
            each_once(unix_types[i], UNIX_PATH, waiting);
            each_once(unix_types[i], UNIX_ABSTRACT, waiting);
        }
        killed_in_accept(unix_types[i]);
    }
    return unix_end();
}
