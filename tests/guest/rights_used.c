/*
 * Proves: a descriptor that was received serves in everything that takes one: poll, select, epoll
 * (also by a set that sleeps), stdio, as standard input and output of a program, sendfile, and as
 * the channel of the next message; in the thread that received it and in others that were there
 * before. A number that held something else before it was received is what it is now.
 *
 * Rows: 3.9 "received fd: same open file description"
 */
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "rights.h"

static int channel[2];

/* Passes, and closes what was sent. */
static int move(int fd)
{
    int passed = rights_pass(channel, fd);
    CHECK_OK(close(fd));
    return passed;
}

static void move_both(int fds[2])
{
    fds[0] = move(fds[0]);
    fds[1] = move(fds[1]);
}

enum object { PIPE, STREAM, SEQPACKET, OBJECTS };

static void open_object(enum object object, int fds[2])
{
    if (object == PIPE) {
        guest_pipe(fds);
    } else {
        guest_pair(rights_types[object - STREAM], fds);
    }
}

static void open_moved(enum object object, int fds[2])
{
    open_object(object, fds);
    move_both(fds);
}

/* ---- waiting ---- */

struct sleeper {
    int fd;
    int result;
};

static void *sleep_in_poll(void *argument)
{
    struct sleeper *sleeper = argument;
    sleeper->result = guest_poll(sleeper->fd, POLLIN | POLLRDHUP, -1);
    return NULL;
}

static void *sleep_in_epoll(void *argument)
{
    struct sleeper *sleeper = argument;
    struct epoll_event event;
    CHECK_EQ(1, epoll_wait(sleeper->fd, &event, 1, -1));
    sleeper->result = (int)event.events;
    return NULL;
}

static void *sleep_in_read(void *argument)
{
    struct sleeper *sleeper = argument;
    sleeper->result = (int)read(sleeper->fd, (char[1]){ 0 }, 1);
    return NULL;
}

/* A thread sleeps on fd until a byte is written; returns what it saw. */
static int asleep(void *(*run)(void *), int fd, int writer)
{
    struct guest_thread thread;
    struct sleeper sleeper = { .fd = fd };
    guest_thread_start(&thread, run, &sleeper);
    guest_thread_blocked(&thread);
    CHECK_EQ(1, write(writer, "w", 1));
    guest_thread_join(&thread);
    return sleeper.result;
}

static void in_sets(enum object object)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    struct epoll_event event = { .events = EPOLLIN | EPOLLET };
    open_moved(object, fds);
    CHECK_EQ(0, guest_poll(fds[0], POLLIN, 0));
    CHECK_EQ(0, guest_select(fds[0]) & GUEST_READABLE);
    CHECK_EQ(POLLIN, asleep(sleep_in_poll, fds[0], fds[1]));
    CHECK_EQ(GUEST_READABLE, guest_select(fds[0]) & GUEST_READABLE);
    CHECK_EQ(1, read(fds[0], (char[1]){ 0 }, 1));
    CHECK_EQ(1, asleep(sleep_in_read, fds[0], fds[1]));
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
    CHECK_EQ(EPOLLIN, asleep(sleep_in_epoll, epoll, fds[1]));
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
    fds[0] = move(fds[0]); /* the same description under another number */
    CHECK_EQ(EPOLLIN, asleep(sleep_in_epoll, epoll, fds[1]));
    epoll = move(epoll);
    CHECK_EQ(EPOLLIN, asleep(sleep_in_epoll, epoll, fds[1]));
    CHECK_OK(close(fds[0]));
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0)); /* the last number closed: no entry any more */
    CHECK_OK(close(fds[1]));
    CHECK_OK(close(epoll));
}

/* ---- stdio, programs, other calls ---- */

static void by_stdio(enum object object)
{
    int fds[2];
    char line[32];
    open_moved(object, fds);
    FILE *in = fdopen(fds[0], "r"), *out = fdopen(fds[1], "w");
    CHECK(in != NULL && out != NULL);
    CHECK_EQ(6, fprintf(out, "one %d\n", 1));
    CHECK_EQ(0, fflush(out));
    CHECK_STR("one 1\n", fgets(line, sizeof line, in));
    CHECK_EQ(4, dprintf(fds[1], "two\n"));
    CHECK_STR("two\n", fgets(line, sizeof line, in));
    CHECK_EQ(0, fclose(out));
    CHECK(fgets(line, sizeof line, in) == NULL && feof(in));
    CHECK_EQ(0, fclose(in));
}

static void by_a_program(enum object object)
{
    int in[2], out[2];
    char line[32];
    open_moved(object, in);
    open_moved(object, out);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_EQ(0, dup2(in[0], 0));
        CHECK_EQ(1, dup2(out[1], 1));
        CHECK_EQ(0, close_range(3, ~0U, 0));
        execl("/bin/sh", "sh", "-c", "read line; echo \"got $line\"", (char *)NULL);
        _exit(127);
    }
    CHECK_OK(close(in[0]));
    CHECK_OK(close(out[1]));
    CHECK_EQ(5, write(in[1], "line\n", 5));
    CHECK_EQ(9, guest_read_all(out[0], line, sizeof line));
    CHECK_MEM("got line\n", line, 9);
    guest_wait_exit(pid, 0);
    CHECK_OK(close(in[1]));
    CHECK_OK(close(out[0]));
}

static void by_sendfile(enum object object)
{
    int fds[2], file = (int)CHECK_OK(memfd_create("sent", 0));
    char bytes[8];
    CHECK_EQ(4, pwrite(file, "file", 4, 0));
    open_moved(object, fds);
    file = move(file);
    CHECK_EQ(4, sendfile(fds[1], file, NULL, 4));
    CHECK_EQ(4, read(fds[0], bytes, sizeof bytes));
    CHECK_MEM("file", bytes, 4);
    CHECK_OK(close(file));
    guest_close_both(fds);
}

/* A received channel carries the next descriptors, and itself. */
static void as_channel(void)
{
    for (int type = 0; type < 2; type++) {
        int pair[2], fds[2];
        guest_pair(rights_types[type], pair);
        move_both(pair);
        guest_pipe(fds);
        int writer = rights_pass(pair, fds[1]);
        CHECK_OK(close(fds[1]));
        CHECK_EQ(1, write(writer, "x", 1));
        CHECK_EQ(1, read(fds[0], (char[1]){ 0 }, 1));
        CHECK_OK(close(writer));
        CHECK_GONE(fds[0]);
        int copy = rights_pass(pair, pair[0]);
        CHECK_OK(close(pair[0]));
        CHECK_EQ(1, write(copy, "x", 1));
        CHECK_EQ(1, read(pair[1], (char[1]){ 0 }, 1));
        CHECK_OK(close(copy));
        CHECK_EQ(0, read(pair[1], (char[1]){ 0 }, 1));
        CHECK_OK(close(pair[1]));
    }
}

/* ---- numbers ---- */

/* A number that was a pipe's, a file's, a socket's, and now is what comes. */
static void number_used_again(void)
{
    for (int i = 0; i < OBJECTS * 3; i++) {
        int old[2], fds[2];
        open_object((enum object)(i % OBJECTS), fds);
        open_object((enum object)(i / OBJECTS), old);
        CHECK_EQ(1, write(old[1], "o", 1));
        const int number = old[0];
        CHECK_EQ(1, message_send(channel[0], "p", 1, &fds[0], 1));
        CHECK_OK(close(old[0])); /* the lowest free number now */
        struct message_received received;
        rights_expect(__FILE__, __LINE__, channel[1], 8, 0, "p", 1, &received);
        CHECK_EQ(number, received.fds[0]);
        CHECK_EQ(0, guest_poll(number, POLLIN, 0)); /* not the old one's byte */
        CHECK_EQ(1, write(fds[1], "n", 1));
        char byte = 0;
        CHECK_EQ(1, read(number, &byte, 1));
        CHECK_EQ('n', byte);
        CHECK_OK(close(number));
        CHECK_OK(close(old[1]));
        guest_close_both(fds);
    }
}

struct relay {
    atomic_int fd; /* -1: nothing yet */
};

static void *use_when_there(void *argument)
{
    struct relay *relay = argument;
    int fd;
    while ((fd = atomic_load(&relay->fd)) < 0) { /* bounded by the deadline */
        sched_yield();
    }
    CHECK_EQ(6, write(fd, "thread", 6));
    CHECK_OK(close(fd));
    return NULL;
}

/* A thread that is older than the descriptor uses the number that another one received. */
static void by_another_thread(enum object object)
{
    int fds[2];
    char bytes[8];
    struct relay relay = { .fd = -1 };
    struct guest_thread thread;
    guest_thread_start(&thread, use_when_there, &relay);
    open_moved(object, fds);
    atomic_store(&relay.fd, move(fds[1]));
    CHECK_EQ(6, read(fds[0], bytes, sizeof bytes));
    guest_thread_join(&thread);
    CHECK_EQ(0, read(fds[0], bytes, sizeof bytes));
    CHECK_OK(close(fds[0]));
}

int main(void)
{
    guest_start();
    for (int type = 0; type < 2; type++) {
        guest_pair(rights_types[type], channel);
        for (int i = 0; i < OBJECTS; i++) {
            in_sets((enum object)i);
            by_stdio((enum object)i);
            if (i != SEQPACKET) { /* a shell reads byte by byte: a record would lose its rest */
                by_a_program((enum object)i);
            }
            by_sendfile((enum object)i);
            by_another_thread((enum object)i);
        }
        as_channel();
        number_used_again();
        guest_close_both(channel);
    }
    return guest_end();
}
