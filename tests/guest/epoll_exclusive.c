/*
 * Proves: who is woken by EPOLLEXCLUSIVE entries of several instances on one end: the first
 * registered one with a sleeper, alone; instances without a sleeper don't use the wake-up up; plain
 * entries are always told. Idle instances both report later; closes wake everybody.
 *
 * Rows: 6.4 "EPOLLEXCLUSIVE changes who is woken, not level readiness"
 */
#include <sys/epoll.h>

#include "guest.h"

enum kind { PIPE, STREAM, SEQPACKET, KINDS };
enum { INSTANCES = 3 };

static struct set {
    int fds[2], control[2];
    struct instance {
        int epoll;
        struct guest_thread thread;
        bool sleeps;
        uint32_t events; /* what the sleeper got */
        int fd;
    } instances[INSTANCES];
} set;

static void open_kind(enum kind kind, int fds[2])
{
    if (kind == PIPE) {
        guest_pipe(fds);
    } else {
        guest_pair(kind == STREAM ? SOCK_STREAM : SOCK_SEQPACKET, fds);
    }
}

static void add(int epoll, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}

/* Bits of the end under test that the instance reports now; 0: none. */
static uint32_t look(const struct instance *instance)
{
    struct epoll_event event;
    return CHECK_OK(epoll_wait(instance->epoll, &event, 1, 0)) == 1 ? event.events : 0;
}

static void *sleep_once(void *argument)
{
    struct instance *instance = argument;
    struct epoll_event event;
    CHECK_EQ(1, epoll_wait(instance->epoll, &event, 1, -1));
    instance->events = event.events;
    instance->fd = event.data.fd;
    return NULL;
}

/* One flag per instance, in the order of registration: E exclusive, P plain. */
static void open_set(enum kind kind, const char *flags, uint32_t edge)
{
    open_kind(kind, set.fds);
    guest_pipe(set.control);
    for (int i = 0; i < INSTANCES; i++) {
        struct instance *instance = &set.instances[i];
        memset(instance, 0, sizeof *instance);
        instance->epoll = (int)CHECK_OK(epoll_create1(0));
        add(instance->epoll, set.fds[0], EPOLLIN | edge | (flags[i] == 'E' ? EPOLLEXCLUSIVE : 0));
    }
}

static void put_to_sleep(int index)
{
    struct instance *instance = &set.instances[index];
    instance->sleeps = true;
    guest_thread_start(&instance->thread, sleep_once, instance);
    guest_thread_blocked(&instance->thread);
}

static void check_woken(int index, uint32_t events)
{
    struct instance *instance = &set.instances[index];
    guest_thread_join(&instance->thread);
    instance->sleeps = false;
    CHECK_EQ(set.fds[0], instance->fd);
    CHECK_EQ(events, instance->events);
}

static void check_asleep(int index)
{
    guest_thread_blocked(&set.instances[index].thread);
}

/* Ends the sleepers that are left by another end, which they get alone. */
static void close_set(bool closed)
{
    CHECK_EQ(1, write(set.control[1], "x", 1));
    for (int i = 0; i < INSTANCES; i++) {
        struct instance *instance = &set.instances[i];
        if (instance->sleeps) {
            add(instance->epoll, set.control[0], EPOLLIN);
            guest_thread_join(&instance->thread);
            CHECK_EQ(set.control[0], instance->fd);
        }
        CHECK_OK(close(instance->epoll));
    }
    CHECK_OK(close(set.fds[0]));
    if (!closed) {
        CHECK_OK(close(set.fds[1]));
    }
    guest_close_both(set.control);
}

static void send_one(void)
{
    CHECK_EQ(1, write(set.fds[1], "x", 1));
}

/* First registered, first woken, and nobody else; the others aren't even told for later. */
static void first_sleeper_alone(enum kind kind, uint32_t edge)
{
    open_set(kind, "EEE", edge);
    for (int i = INSTANCES - 1; i >= 0; i--) {
        put_to_sleep(i); /* the order of going to sleep plays no part */
    }
    send_one();
    check_woken(0, EPOLLIN);
    check_asleep(1);
    check_asleep(2);
    send_one(); /* no sleeper in instance 0 now */
    check_woken(1, EPOLLIN);
    check_asleep(2);
    close_set(false);
}

/* Instances without a sleeper are told and pass the wake-up on. */
static void idle_ones_pass_it_on(enum kind kind)
{
    open_set(kind, "EEE", 0);
    put_to_sleep(1);
    send_one();
    check_woken(1, EPOLLIN);
    CHECK_EQ(EPOLLIN, look(&set.instances[0])); /* before the sleeper: told */
    CHECK_EQ(0, look(&set.instances[2]));       /* behind it: not told, though it's readable */
    CHECK_EQ(EPOLLIN, look(&set.instances[1]));
    close_set(false);
}

static void all_idle(enum kind kind, uint32_t edge)
{
    open_set(kind, "EEE", edge);
    send_one();
    for (int i = 0; i < INSTANCES; i++) {
        CHECK_EQ(EPOLLIN, look(&set.instances[i]));
        CHECK_EQ(edge ? 0 : EPOLLIN, look(&set.instances[i]));
    }
    close_set(false);
}

/* Plain entries hang before exclusive ones in the queue, whenever they were registered. */
static void plain_ones_always(enum kind kind)
{
    open_set(kind, "EPE", 0);
    for (int i = 0; i < INSTANCES; i++) {
        put_to_sleep(i);
    }
    send_one();
    check_woken(1, EPOLLIN);
    check_woken(0, EPOLLIN);
    check_asleep(2);
    close_set(false);
}

/* A close has no key and wakes everybody. */
static void close_wakes_all(enum kind kind)
{
    const uint32_t end = kind == PIPE ? EPOLLHUP : EPOLLIN | EPOLLHUP;
    open_set(kind, "EEE", 0);
    for (int i = 0; i < INSTANCES; i++) {
        put_to_sleep(i);
    }
    CHECK_OK(close(set.fds[1]));
    for (int i = 0; i < INSTANCES; i++) {
        check_woken(i, end);
    }
    close_set(true);
}

/* ADD looks at once, exclusive or not. */
static void add_looks(enum kind kind)
{
    int epoll = (int)CHECK_OK(epoll_create1(0));
    struct epoll_event event;
    open_set(kind, "EEE", 0);
    send_one();
    add(epoll, set.fds[0], EPOLLIN | EPOLLEXCLUSIVE | EPOLLET);
    CHECK_EQ(1, epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(EPOLLIN, event.events);
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
    send_one();
    CHECK_EQ(1, epoll_wait(epoll, &event, 1, 0));
    CHECK_OK(close(epoll));
    close_set(false);
}

int main(void)
{
    guest_start();
    for (int kind = 0; kind < KINDS; kind++) {
        first_sleeper_alone((enum kind)kind, 0);
        first_sleeper_alone((enum kind)kind, EPOLLET);
        idle_ones_pass_it_on((enum kind)kind);
        all_idle((enum kind)kind, 0);
        all_idle((enum kind)kind, EPOLLET);
        plain_ones_always((enum kind)kind);
        close_wakes_all((enum kind)kind);
        add_looks((enum kind)kind);
    }
    return guest_end();
}
