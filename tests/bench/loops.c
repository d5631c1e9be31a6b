/*
 * Benchmark: waiting for many descriptors at once, and event loops.
 *
 *   loops answer COUNT THINK   poll of COUNT reading ends while another thread, on another CPU, is
 *                              asked to make the last one ready, and takes THINK us before it does;
 *                              from the question to the answer, less THINK
 *   loops wait COUNT           epoll_wait with COUNT sockets registered, one of them ready
 *   loops pair                 write of 64 bytes, epoll_wait, read
 *   loops pingpong             64 bytes there and back between two processes on two CPUs, each with
 *                              a loop of epoll_wait, read, write; a sample is one round trip
 *   loops mixed CALL           CALL (poll, epoll) of an eventfd and 100 reading ends, one of these
 *                              ready
 *
 * Prints one line of JSON (measure.h).
 */
#include "measure.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum {
    COUNT_MAX = 16384,
    THINK_MAX_US = 1000,
    MIXED_COUNT = 100,
    SIZE = 64,
    EVENTS_MAX = 64, /* what loops ask for at a time */
    WARM_UP_TRIPS = 1000,
};

static const char *const usage =
    "usage: loops answer COUNT THINK | wait COUNT | pair | pingpong | mixed poll|epoll\n";

static _Noreturn void usage_error(void)
{
    fputs(usage, stderr);
    exit(2);
}

static unsigned long number_parse(const char *text, unsigned long max)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || number > max) {
        usage_error();
    }
    return number;
}

/* The usual soft limit is 1024. */
static void allow_fds(rlim_t count)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        die("getrlimit");
    }
    if (limit.rlim_cur < count) {
        limit.rlim_cur = count;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            die("setrlimit");
        }
    }
}

static void pipe_open(int fds[2])
{
    if (pipe2(fds, O_CLOEXEC) != 0) {
        die("pipe2");
    }
}

static void pair_open(int fds[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) {
        die("socketpair");
    }
}

static void send_byte(int fd)
{
    char byte = 'b';

    check_count(write(fd, &byte, 1), 1, "write of a byte");
}

static void take_byte(int fd)
{
    char byte;

    check_count(read(fd, &byte, 1), 1, "read of a byte");
}

static int set_make(void)
{
    int set = epoll_create1(EPOLL_CLOEXEC);

    if (set < 0) {
        die("epoll_create1");
    }
    return set;
}

static void set_add(int set, int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

    if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) != 0) {
        die("epoll_ctl");
    }
}

/* Waits for the one event that is due, and returns its fd. */
static int set_wait_one(int set)
{
    struct epoll_event events[EVENTS_MAX];

    check_count(epoll_wait(set, events, EVENTS_MAX, -1), 1, "epoll_wait");
    return events[0].data.fd;
}

/* --- answer ----------------------------------------------------------------------------------- */

struct asked {
    int question; /* reading end: a byte for each question; its end ends the thread */
    int answer;   /* writing end */
    uint64_t think_ns;
};

static void *answer_thread(void *argument)
{
    struct asked *asked = argument;
    ssize_t count;
    char byte;

    pin(CPU_FIRST);
    while ((count = read(asked->question, &byte, 1)) != 0) {
        uint64_t end = now_ns() + asked->think_ns;

        check_count(count, 1, "read of the question");
        while (asked->think_ns != 0 && now_ns() < end) {
        }
        send_byte(asked->answer);
    }
    return NULL;
}

static void ask(struct samples *samples, struct pollfd *fds, nfds_t count, int question,
                uint64_t think_ns)
{
    uint64_t started = now_ns();
    uint64_t before;
    uint64_t after;

    do {
        before = now_ns();
        send_byte(question);
        check_count(poll(fds, count, -1), 1, "poll");
        after = now_ns();
        take_byte(fds[count - 1].fd);
        samples_add(samples, (double)(after - before) - (double)think_ns);
    } while (samples_wanted(samples, started, after));
}

static bool run_answer(struct samples *samples, nfds_t count, uint64_t think_ns)
{
    static struct pollfd fds[COUNT_MAX];
    struct asked asked = { .think_ns = think_ns };
    int question[2];
    int ends[2] = { -1, -1 };
    bool emulated = true;
    pthread_t thread;

    allow_fds(2 * count + 64);
    for (nfds_t i = 0; i < count; i++) {
        pipe_open(ends);
        emulated = is_emulated(ends[1], ends[0]) && emulated;
        fds[i] = (struct pollfd){ .fd = ends[0], .events = POLLIN };
    }
    pipe_open(question);
    asked.question = question[0];
    asked.answer = ends[1];
    errno = pthread_create(&thread, NULL, answer_thread, &asked);
    if (errno != 0) {
        die("pthread_create");
    }
    pin(CPU_LAST); /* after the thread is started: its own pin() needs to see every CPU */
    ask(samples, fds, count, question[1], think_ns);
    close(question[1]);
    errno = pthread_join(thread, NULL);
    if (errno != 0) {
        die("pthread_join");
    }
    return emulated;
}

/* --- wait ------------------------------------------------------------------------------------- */

static void wait_batch(void *context, uint64_t ops)
{
    int set = *(int *)context;

    for (uint64_t i = 0; i < ops; i++) {
        set_wait_one(set);
    }
}

/* Both ends of each pair are registered; the last one is ready. */
static bool run_wait(struct samples *samples, unsigned count)
{
    int set = set_make();
    int ends[2] = { -1, -1 };
    bool emulated = true;

    allow_fds(count + 64);
    for (unsigned i = 0; i < count; i += 2) {
        pair_open(ends);
        set_add(set, ends[0]);
        if (i + 1 < count) {
            set_add(set, ends[1]);
        }
        emulated = is_emulated(ends[1], ends[0]) && emulated; /* registered, and still ours */
    }
    send_byte(ends[1]);
    pin(CPU_LAST);
    samples_take(samples, wait_batch, &set);
    return emulated;
}

/* --- pair ------------------------------------------------------------------------------------- */

struct pair {
    int set;
    int out;
    int in;
};

static void pair_batch(void *context, uint64_t ops)
{
    struct pair *pair = context;
    char buffer[SIZE] = { 0 };

    for (uint64_t i = 0; i < ops; i++) {
        check_count(write(pair->out, buffer, SIZE), SIZE, "write");
        check_count(read(set_wait_one(pair->set), buffer, SIZE), SIZE, "read");
    }
}

static bool run_pair(struct samples *samples)
{
    struct pair pair = { .set = set_make() };
    int ends[2];

    pair_open(ends);
    pair.in = ends[0];
    pair.out = ends[1];
    set_add(pair.set, pair.in);
    pin(CPU_LAST);
    samples_take(samples, pair_batch, &pair);
    return is_emulated(pair.out, pair.in);
}

/* --- pingpong --------------------------------------------------------------------------------- */

/* One turn of a loop: false at end of file. */
static bool turn(int set)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(set, events, EVENTS_MAX, -1);

    if (count < 0) {
        die("epoll_wait");
    }
    for (int i = 0; i < count; i++) {
        char buffer[SIZE];
        ssize_t size = read(events[i].data.fd, buffer, sizeof buffer);

        if (size == 0) {
            return false;
        }
        check_count(size, sizeof buffer, "read");
        check_count(write(events[i].data.fd, buffer, sizeof buffer), sizeof buffer, "write");
    }
    return true;
}

static _Noreturn void echo_process(int fd)
{
    int set = set_make();

    pin(CPU_FIRST);
    set_add(set, fd);
    while (turn(set)) {
    }
    _exit(0);
}

/* The ball is in the air; a turn sends it back. */
static void play(struct samples *samples, int set)
{
    uint64_t started;
    uint64_t before;
    uint64_t after;

    for (int i = 0; i < WARM_UP_TRIPS; i++) {
        turn(set);
    }
    started = before = now_ns();
    do {
        turn(set);
        after = now_ns();
        samples_add(samples, (double)(after - before));
        before = after;
    } while (samples_wanted(samples, started, after));
}

static bool run_pingpong(struct samples *samples)
{
    char ball[SIZE] = { 0 };
    int ends[2];
    int status;
    int set;
    bool emulated;
    pid_t pid;

    pair_open(ends);
    pid = fork();
    if (pid < 0) {
        die("fork");
    }
    if (pid == 0) {
        close(ends[0]);
        echo_process(ends[1]);
    }
    set = set_make();
    set_add(set, ends[0]);
    pin(CPU_LAST);
    check_count(write(ends[0], ball, sizeof ball), sizeof ball, "write");
    play(samples, set);
    set_wait_one(set);
    /* Unread here, and does the kernel have it? */
    emulated = kernel_bytes_readable(ends[0]) == 0;
    check_count(read(ends[0], ball, sizeof ball), sizeof ball, "read of the last ball");
    close(ends[0]);
    close(ends[1]);
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        die("the other process");
    }
    return emulated;
}

/* --- mixed ------------------------------------------------------------------------------------ */

struct mixed {
    int set;
    struct pollfd fds[MIXED_COUNT + 1];
};

static void mixed_poll_batch(void *context, uint64_t ops)
{
    struct mixed *mixed = context;

    for (uint64_t i = 0; i < ops; i++) {
        check_count(poll(mixed->fds, MIXED_COUNT + 1, -1), 1, "poll");
    }
}

static void mixed_epoll_batch(void *context, uint64_t ops)
{
    struct mixed *mixed = context;

    wait_batch(&mixed->set, ops);
}

static bool run_mixed(struct samples *samples, bool by_epoll)
{
    struct mixed mixed = { .set = set_make() };
    int real = eventfd(0, EFD_CLOEXEC);
    int ends[2];
    bool emulated = true;

    if (real < 0) {
        die("eventfd");
    }
    mixed.fds[0] = (struct pollfd){ .fd = real, .events = POLLIN };
    set_add(mixed.set, real);
    for (int i = 1; i <= MIXED_COUNT; i++) {
        pipe_open(ends);
        mixed.fds[i] = (struct pollfd){ .fd = ends[0], .events = POLLIN };
        if (by_epoll) {
            set_add(mixed.set, ends[0]);
        }
        emulated = is_emulated(ends[1], ends[0]) && emulated;
    }
    send_byte(ends[1]);
    pin(CPU_LAST);
    samples_take(samples, by_epoll ? mixed_epoll_batch : mixed_poll_batch, &mixed);
    return emulated;
}

/* ---------------------------------------------------------------------------------------------- */

static bool run(struct samples *samples, int argc, char **argv)
{
    const char *workload = argc > 1 ? argv[1] : "";

    if (strcmp(workload, "answer") == 0 && argc == 4) {
        return run_answer(samples, number_parse(argv[2], COUNT_MAX),
                          number_parse(argv[3], THINK_MAX_US) * 1000);
    }
    if (strcmp(workload, "wait") == 0 && argc == 3) {
        return run_wait(samples, (unsigned)number_parse(argv[2], COUNT_MAX));
    }
    if (strcmp(workload, "pair") == 0 && argc == 2) {
        return run_pair(samples);
    }
    if (strcmp(workload, "pingpong") == 0 && argc == 2) {
        return run_pingpong(samples);
    }
    if (strcmp(workload, "mixed") == 0 && argc == 3 &&
        (strcmp(argv[2], "poll") == 0 || strcmp(argv[2], "epoll") == 0)) {
        return run_mixed(samples, strcmp(argv[2], "epoll") == 0);
    }
    usage_error();
}

int main(int argc, char **argv)
{
    struct samples samples;
    bool emulated;

    samples_init(&samples);
    emulated = run(&samples, argc, argv);
    samples_report(&samples, emulated, argc == 2 && strcmp(argv[1], "pingpong") == 0);
    return 0;
}
