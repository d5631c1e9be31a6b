/*
 * libevent.c - a program over libevent: `libevent METHOD PART`
 *
 * METHOD is the waiting call (epoll, poll, select; changelist: epoll with a list of changes and
 * timerfd). Bufferevents over socket pairs and pipes of children, edges, signals, wake-ups from
 * threads, a base that lives on after fork, real descriptors among emulated ones. What is printed
 * doesn't depend on order or speed. Exit: 0, or 1 with the call that failed.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/thread.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BULK = 512 * 1024, PAIRS = 3, SIGNALS = 40, THREADS = 4, SENDS = 300, EDGES = 500 };

static struct event_base *base;

static void check(bool good, const char *call)
{
    if (!good) {
        fprintf(stderr, "%s failed, errno %d\n", call, errno);
        exit(1);
    }
}

static void make_base(const char *method)
{
    static const char *const others[] = { "epoll", "poll", "select" };
    struct event_config *config = event_config_new();
    bool changes = strcmp(method, "changelist") == 0;

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(others[i], changes ? "epoll" : method) != 0)
            event_config_avoid_method(config, others[i]);
    }
    if (changes)
        event_config_set_flag(config,
                              EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST | EVENT_BASE_FLAG_PRECISE_TIMER);
    base = event_base_new_with_config(config);
    event_config_free(config);
    check(base != NULL, "event_base_new_with_config");
}

static void dispatch(void)
{
    check(event_base_dispatch(base) >= 0, "event_base_dispatch");
}

static uint64_t sum_of(uint64_t sum, struct evbuffer *buffer)
{
    unsigned char bytes[4096];
    int size;

    while ((size = evbuffer_remove(buffer, bytes, sizeof bytes)) > 0) {
        for (int i = 0; i < size; i++)
            sum = (sum ^ bytes[i]) * 1099511628211u; /* FNV-1a */
    }
    return sum;
}

/* BULK bytes, in one piece, into a bufferevent. */
static void give_bulk(struct bufferevent *to, uint32_t seed)
{
    static unsigned char bytes[BULK];

    for (size_t i = 0; i < BULK; i++) {
        seed = seed * 1103515245 + 12345;
        bytes[i] = (unsigned char)(seed >> 16);
    }
    check(bufferevent_write(to, bytes, BULK) == 0, "bufferevent_write");
}

/* What one end has got; BULK bytes, or the peer's end, are the end. */
struct got {
    struct bufferevent *stream;
    size_t bytes;
    uint64_t sum;
    int ends;
};

static void take(struct bufferevent *stream, void *data)
{
    struct got *got = data;
    struct evbuffer *input = bufferevent_get_input(stream);

    got->bytes += evbuffer_get_length(input);
    got->sum = sum_of(got->sum, input);
    if (got->bytes >= BULK)
        bufferevent_disable(stream, EV_READ);
}

static void ended(struct bufferevent *stream, short what, void *data)
{
    struct got *got = data;

    got->ends += (what & BEV_EVENT_EOF) != 0;
    bufferevent_disable(stream, EV_READ | EV_WRITE);
}

static struct bufferevent *watch(struct bufferevent *stream, struct got *got)
{
    check(stream != NULL, "bufferevent");
    got->stream = stream;
    bufferevent_setcb(stream, take, NULL, ended, got);
    check(bufferevent_enable(stream, EV_READ | EV_WRITE) == 0, "bufferevent_enable");
    return stream;
}

static void print_got(const char *label, const struct got *got)
{
    printf("%s: %zu bytes, sum %llx, ends %d\n", label, got->bytes, (unsigned long long)got->sum,
           got->ends);
}

/* Both ends of each pair in one base, both ways at once. */
static void part_pairs(void)
{
    struct got got[PAIRS][2] = { 0 };

    for (int i = 0; i < PAIRS; i++) {
        for (int end = 0, fds[2]; end < 2; end++) {
            if (end == 0)
                check(evutil_socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0, "evutil_socketpair");
            check(evutil_make_socket_nonblocking(fds[end]) == 0, "nonblocking");
            give_bulk(watch(bufferevent_socket_new(base, fds[end], BEV_OPT_CLOSE_ON_FREE),
                            &got[i][end]),
                      (uint32_t)(2 * i + end));
        }
    }
    dispatch();
    for (int i = 0; i < PAIRS; i++) {
        for (int end = 0; end < 2; end++) {
            print_got("pair", &got[i][end]);
            bufferevent_free(got[i][end].stream);
        }
    }
}

/* The same between two bufferevents of one process: no descriptor at all, but the base's own. */
static void part_inside(void)
{
    struct bufferevent *ends[2];
    struct got got[2] = { 0 };

    check(bufferevent_pair_new(base, 0, ends) == 0, "bufferevent_pair_new");
    give_bulk(watch(ends[0], &got[0]), 1);
    give_bulk(watch(ends[1], &got[1]), 2);
    dispatch();
    for (int end = 0; end < 2; end++) {
        print_got("inside", &got[end]);
        bufferevent_free(ends[end]);
    }
}

/* A child's standard input and output as one socket, and a pipe for what it says as errors. */
static void part_child(void)
{
    struct got output = { 0 }, errors = { 0 };
    int sockets[2], pipe_ends[2], status;

    check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0, "socketpair");
    check(pipe2(pipe_ends, O_CLOEXEC) == 0, "pipe2");
    pid_t child = fork();
    if (child == 0) {
        dup2(sockets[1], 0);
        dup2(sockets[1], 1);
        dup2(pipe_ends[1], 2);
        execlp("sh", "sh", "-c", "head -c 524288; seq 1 50000 >&2; exit 6", (char *)NULL);
        _exit(127);
    }
    close(sockets[1]);
    close(pipe_ends[1]);
    evutil_make_socket_nonblocking(sockets[0]);
    evutil_make_socket_nonblocking(pipe_ends[0]);
    give_bulk(watch(bufferevent_socket_new(base, sockets[0], BEV_OPT_CLOSE_ON_FREE), &output), 7);
    watch(bufferevent_socket_new(base, pipe_ends[0], BEV_OPT_CLOSE_ON_FREE), &errors);
    bufferevent_disable(errors.stream, EV_WRITE);
    dispatch();
    check(waitpid(child, &status, 0) == child, "waitpid");
    print_got("output", &output);
    print_got("errors", &errors);
    printf("exit code %d\n", WEXITSTATUS(status));
    bufferevent_free(output.stream);
    bufferevent_free(errors.stream);
}

/* Signals, one after the other: from itself and from a child. */
static struct event *signal_event;
static unsigned signals_seen;

static void signalled(evutil_socket_t number, short what, void *unused)
{
    (void)what;
    (void)unused;
    if (++signals_seen == SIGNALS)
        event_del(signal_event);
    else if (signals_seen % 2 == 0)
        raise((int)number);
    else
        check(system("kill -USR1 $PPID") == 0, "system");
}

static void part_signals(void)
{
    signal_event = evsignal_new(base, SIGUSR1, signalled, NULL);
    check(signal_event != NULL && event_add(signal_event, NULL) == 0, "evsignal");
    raise(SIGUSR1);
    dispatch();
    printf("signals: %u\n", signals_seen);
    event_free(signal_event);
}

/* Threads activate an event of the base, and add events of their own, while it waits. */
static struct {
    struct event *wake;
    pthread_mutex_t mutex;
    unsigned sent, seen, read;
} wakes = { .mutex = PTHREAD_MUTEX_INITIALIZER };

static void woken(evutil_socket_t fd, short what, void *unused)
{
    (void)fd;
    (void)what;
    (void)unused;
    pthread_mutex_lock(&wakes.mutex);
    wakes.seen = wakes.sent;
    pthread_mutex_unlock(&wakes.mutex);
    if (wakes.seen == THREADS * SENDS)
        event_del(wakes.wake);
}

static void pipe_readable(evutil_socket_t fd, short what, void *unused)
{
    char byte;

    (void)what;
    (void)unused;
    wakes.read += read(fd, &byte, 1) == 1;
    close(fd);
}

static void *sender(void *unused)
{
    int ends[2];

    check(pipe(ends) == 0, "pipe");
    check(event_base_once(base, ends[0], EV_READ, pipe_readable, NULL, NULL) == 0, "once");
    for (int i = 0; i < SENDS; i++) {
        pthread_mutex_lock(&wakes.mutex);
        wakes.sent++;
        pthread_mutex_unlock(&wakes.mutex);
        event_active(wakes.wake, EV_READ, 1);
    }
    check(write(ends[1], "x", 1) == 1, "write");
    close(ends[1]);
    return unused;
}

static void part_threads(void)
{
    const struct timeval long_time = { .tv_sec = 100 };
    pthread_t threads[THREADS];

    wakes.wake = event_new(base, -1, EV_PERSIST, woken, NULL);
    check(event_add(wakes.wake, &long_time) == 0, "event_add");
    for (int i = 0; i < THREADS; i++)
        check(pthread_create(&threads[i], NULL, sender, NULL) == 0, "pthread_create");
    dispatch();
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    dispatch(); /* what the threads added when all wakes had been seen */
    printf("threads: %u sent, %u seen, %u read\n", wakes.sent, wakes.seen, wakes.read);
    event_free(wakes.wake);
}

/* Descriptors of all kinds; the child process, with the base made anew, makes them ready. */
enum { MIXED_EVENT, MIXED_TIMER, MIXED_INOTIFY, MIXED_PIPE, MIXED_SOCKET, MIXED };
static bool mixed_seen[MIXED];

static void mixed_readable(evutil_socket_t fd, short what, void *data)
{
    char bytes[512];

    (void)what;
    *(bool *)data = read(fd, bytes, sizeof bytes) > 0;
    close(fd);
}

struct outside {
    int event, pipe_end, socket;
    char folder[32];
};

static void make_ready(evutil_socket_t fd, short what, void *data)
{
    const struct outside *outside = data;
    uint64_t one = 1;
    char path[64];

    (void)fd;
    (void)what;
    snprintf(path, sizeof path, "%s/file", outside->folder);
    int file = open(path, O_CREAT | O_WRONLY, 0600);
    check(file >= 0 && unlink(path) == 0, "file");
    check(write(outside->event, &one, sizeof one) == 8, "eventfd");
    check(write(outside->pipe_end, "x", 1) == 1, "pipe");
    check(write(outside->socket, "x", 1) == 1, "socket");
    close(file);
}

static void part_mixed(void)
{
    const struct itimerspec soon = { .it_value = { .tv_nsec = 50000000 } };
    const struct timeval soon_too = { .tv_usec = 20000 };
    struct outside outside = { .folder = "/tmp/libevent.XXXXXX" };
    int pipe_ends[2], sockets[2], fds[MIXED], status;

    check(mkdtemp(outside.folder) != NULL, "mkdtemp");
    check(pipe(pipe_ends) == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) == 0, "pairs");
    fds[MIXED_EVENT] = outside.event = eventfd(0, 0);
    fds[MIXED_TIMER] = timerfd_create(CLOCK_MONOTONIC, 0);
    fds[MIXED_INOTIFY] = inotify_init();
    fds[MIXED_PIPE] = pipe_ends[0], outside.pipe_end = pipe_ends[1];
    fds[MIXED_SOCKET] = sockets[0], outside.socket = sockets[1];
    check(timerfd_settime(fds[MIXED_TIMER], 0, &soon, NULL) == 0, "timerfd_settime");
    check(inotify_add_watch(fds[MIXED_INOTIFY], outside.folder, IN_CREATE) >= 0, "inotify");
    pid_t child = fork();
    if (child == 0) {
        check(event_reinit(base) == 0, "event_reinit");
        event_base_once(base, -1, EV_TIMEOUT, make_ready, &outside, &soon_too);
        dispatch();
        _exit(3);
    }
    for (int i = 0; i < MIXED; i++)
        event_base_once(base, fds[i], EV_READ, mixed_readable, &mixed_seen[i], NULL);
    dispatch();
    check(waitpid(child, &status, 0) == child, "waitpid");
    printf("mixed: %d %d %d %d %d, exit code %d\n", mixed_seen[0], mixed_seen[1], mixed_seen[2],
           mixed_seen[3], mixed_seen[4], WEXITSTATUS(status));
    close(pipe_ends[1]);
    close(sockets[1]);
    rmdir(outside.folder);
}

/* Edges: each byte is an edge of its own, though the bytes before it are still there. */
static struct event *edge_event;
static unsigned edges_seen;
static int edge_ends[2];

static void edge(evutil_socket_t fd, short what, void *unused)
{
    (void)fd;
    (void)unused;
    edges_seen += (what & EV_ET) != 0;
    if (edges_seen < EDGES)
        check(write(edge_ends[1], "x", 1) == 1, "write");
    else
        event_del(edge_event);
}

static void part_edges(void)
{
    const struct timeval pause = { .tv_usec = 50000 };
    int left = 0;

    check(pipe2(edge_ends, O_NONBLOCK) == 0, "pipe2");
    edge_event = event_new(base, edge_ends[0], EV_READ | EV_ET | EV_PERSIST, edge, NULL);
    check(edge_event != NULL && event_add(edge_event, NULL) == 0, "event_add");
    event_base_loop(base, EVLOOP_NONBLOCK);
    check(edges_seen == 0 && write(edge_ends[1], "x", 1) == 1, "first edge");
    dispatch();
    /* Level again: it is ready at once, though no edge comes. */
    event_base_once(base, edge_ends[0], EV_READ, mixed_readable, &mixed_seen[0], &pause);
    check(ioctl(edge_ends[0], FIONREAD, &left) == 0, "FIONREAD");
    dispatch();
    printf("edges: %u, %d bytes left, then level: %d\n", edges_seen, left, mixed_seen[0]);
    event_free(edge_event);
    close(edge_ends[1]);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } parts[] = {
        { "pairs", part_pairs },     { "inside", part_inside },   { "child", part_child },
        { "signals", part_signals }, { "threads", part_threads }, { "mixed", part_mixed },
        { "edges", part_edges },
    };

    check(argc == 3, "usage: libevent METHOD PART");
    check(evthread_use_pthreads() == 0, "evthread_use_pthreads");
    make_base(argv[1]);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strcmp(argv[2], parts[i].name) == 0) {
            printf("%s\n", event_base_get_method(base));
            parts[i].run();
            event_base_free(base);
            return 0;
        }
    }
    check(false, argv[2]);
}
