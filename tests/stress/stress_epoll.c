/*
 * stress_epoll - one side changes what epoll sets watch, the other sleeps in them
 *
 * Proves: no wake-up is lost. Every byte that is written is seen by a loop that sleeps in
 * epoll_wait and reads when told; so is every end-of-file; a writer that met a full buffer is told
 * when there is room. The right bytes, in order; and all within LOST_S of the last event.
 *
 * Plain libc: passes on the kernel, and unchanged under the preload. In each round a writer (a
 * thread, or another process) sends random sizes through random channels and closes them; one
 * reader or two sleep in one set, level-triggered, edge-triggered or one-shot, directly, through a
 * set around it, or in poll(2). Meanwhile the writer adds channels to the readers' set, modifies
 * entries, and makes and closes duplicates. An eventfd among the channels makes a mixed set.
 *
 * Edge-triggered and level-triggered sets have one reader: two would read one channel at a time.
 *
 * Exit: 0; 1 with a line for what was wrong; killed by SIGALRM: somebody slept for ever.
 */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CHANNELS_MAX = 24,
    READERS_MAX = 2,
    EVENTS_MAX = 16, /* asked for at once: fewer than there may be */
    TOTAL_MAX = 150000,
    PIECE_MAX = 20000, /* of a record: what any SO_SNDBUF lets through */
    COUNTS_MAX = 200,  /* of an eventfd */
    LOST_S = 10,
    ROUND_LIMIT_S = 120,
};

#define EVENTFD_END (UINT64_C(1) << 32) /* "end-of-file" of an eventfd */
#define STOP        UINT32_MAX          /* the data word of what ends the readers */

enum kind { KIND_PIPE, KIND_STREAM, KIND_SEQPACKET, KIND_EVENTFD, KINDS };
enum way { WAY_DIRECT, WAY_OUTER, WAY_POLL, WAYS };

struct channel {
    enum kind kind;
    int in, out;
    uint64_t total;   /* bytes, or counts, that go through it */
    uint64_t written; /* the writer's */
    bool writable;
    bool late;     /* the writer adds it, when half is written or it is full */
    uint64_t read; /* the reader's that was told of it */
};

struct round {
    uint64_t seed;
    uint32_t mode; /* EPOLLET, EPOLLONESHOT, both or 0 */
    enum way way;
    bool process; /* the writer is one */
    bool edge_out;
    int readers;
    int count;
    int set, outer, stop[2];
    struct channel channels[CHANNELS_MAX];
    atomic_int open;
    atomic_bool failed;
};

struct reader {
    struct round *round;
    uint64_t chance;
    struct timespec last; /* event */
    bool stopped;
    pthread_t thread;
};

static bool complain(struct round *round, const char *what, long detail)
{
    atomic_store(&round->failed, true);
    fprintf(stderr,
            "stress_epoll: round seed 0x%llx (mode 0x%x, way %d, %s, %d readers, %d channels): "
            "%s (%ld)\n",
            (unsigned long long)round->seed, round->mode, (int)round->way,
            round->process ? "process" : "thread", round->readers, round->count, what, detail);
    return false;
}

static unsigned char byte_at(const struct channel *channel, uint64_t place)
{
    return (unsigned char)(place * 31 + (place >> 8) + channel->total);
}

static bool control(struct round *round, int set, int operation, int fd, uint32_t events,
                    uint32_t data)
{
    struct epoll_event event = { .events = events, .data.u32 = data };

    if (epoll_ctl(set, operation, fd, &event) == 0)
        return true;
    return complain(round, "epoll_ctl", errno);
}

static bool add_channel(struct round *round, int i)
{
    return control(round, round->set, EPOLL_CTL_ADD, round->channels[i].in, EPOLLIN | round->mode,
                   (uint32_t)i);
}

/* ---- The writer ---- */

/* A piece of a channel's bytes. Returns -1 when there was no room. */
static ssize_t write_piece(struct channel *channel, uint64_t *chance)
{
    static unsigned char data[PIECE_MAX];
    const uint64_t left = channel->total - channel->written;
    uint64_t size = stress_size(chance, PIECE_MAX);
    uint64_t one = 1;

    if (channel->kind == KIND_EVENTFD)
        return write(channel->out, &one, sizeof one) == sizeof one ? 1 : -1;
    size = size < left ? size : left;
    for (uint64_t i = 0; i < size; i++)
        data[i] = byte_at(channel, channel->written + i);
    return write(channel->out, data, size);
}

static bool finish(struct round *round, struct channel *channel)
{
    const uint64_t end = EVENTFD_END;

    if (channel->kind == KIND_EVENTFD && write(channel->out, &end, sizeof end) != sizeof end)
        return complain(round, "the end of an eventfd", errno);
    if (close(channel->out) != 0)
        return complain(round, "close", errno);
    channel->out = -1;
    return true;
}

/* What the readers must not notice. */
static void disturb(struct round *round, struct channel *channel, uint64_t *chance)
{
    const int i = (int)(channel - round->channels);
    int copy;

    switch (stress_below(chance, 12)) {
    case 0:
        copy = dup(channel->out);
        close(copy);
        break;
    case 1: /* re-arming what a reader is at would give it to both */
        if (!round->process && (round->mode & EPOLLONESHOT) == 0 && !channel->late)
            control(round, round->set, EPOLL_CTL_MOD, channel->in, EPOLLIN | round->mode,
                    (uint32_t)i);
        break;
    default: break;
    }
}

static bool write_some(struct round *round, struct channel *channel, uint64_t *chance)
{
    const int i = (int)(channel - round->channels);
    ssize_t done;

    if (channel->written < channel->total) {
        done = write_piece(channel, chance);
        if (done < 0 && errno != EAGAIN)
            return complain(round, "write", errno);
        channel->writable = done >= 0;
        channel->written += done > 0 ? (uint64_t)done : 0;
        disturb(round, channel, chance);
    }
    if (channel->late && (!channel->writable || channel->written >= channel->total / 2)) {
        channel->late = false;
        if (!add_channel(round, i))
            return false;
    }
    return channel->written < channel->total || finish(round, channel);
}

/* Every open channel was full: sleeps until one isn't. */
static bool wait_for_room(struct round *round, int set)
{
    struct epoll_event events[EVENTS_MAX];
    int count;

    for (int i = 0; i < round->count && !round->edge_out; i++) {
        if (round->channels[i].out >= 0)
            control(round, set, EPOLL_CTL_ADD, round->channels[i].out, EPOLLOUT, (uint32_t)i);
    }
    count = epoll_wait(set, events, EVENTS_MAX, LOST_S * 1000);
    if (count <= 0)
        return complain(round, "the writer wasn't told of room", errno);
    for (int i = 0; i < count; i++)
        round->channels[events[i].data.u32].writable = true;
    for (int i = 0; i < round->count && !round->edge_out; i++) {
        if (round->channels[i].out >= 0)
            control(round, set, EPOLL_CTL_DEL, round->channels[i].out, 0, 0);
    }
    return true;
}

/* One that is open and not known to be full, from a random place on. */
static struct channel *choose(struct round *round, uint64_t *chance, bool *ret_any)
{
    const int start = (int)stress_below(chance, (uint32_t)round->count);

    *ret_any = false;
    for (int i = 0; i < round->count; i++) {
        struct channel *channel = &round->channels[(start + i) % round->count];

        *ret_any |= channel->out >= 0;
        if (channel->out >= 0 && channel->writable)
            return channel;
    }
    return NULL;
}

static void *write_all(void *argument)
{
    struct round *round = argument;
    uint64_t chance = round->seed ^ 0x777;
    const int set = epoll_create1(0);
    bool any = true;

    for (int i = 0; i < round->count && round->edge_out; i++)
        control(round, set, EPOLL_CTL_ADD, round->channels[i].out, EPOLLOUT | EPOLLET, (uint32_t)i);
    while (any && !atomic_load(&round->failed)) {
        struct channel *channel = choose(round, &chance, &any);

        if (channel != NULL)
            write_some(round, channel, &chance);
        else if (any && !wait_for_room(round, set))
            break;
    }
    close(set);
    return NULL;
}

/* ---- A reader ---- */

/* All is read: the channel leaves the set, and who read the last one ends the round. */
static void leave(struct reader *reader, struct channel *channel)
{
    struct round *round = reader->round;

    if (channel->read != channel->total)
        complain(round, "bytes are missing", (long)(channel->total - channel->read));
    if (round->process || stress_below(&reader->chance, 2) == 0)
        control(round, round->set, EPOLL_CTL_DEL, channel->in, 0, 0);
    close(channel->in);
    channel->in = -1;
    if (atomic_fetch_sub(&round->open, 1) == 1 && write(round->stop[1], "stopstop", 8) != 8)
        complain(round, "stop", errno);
}

static ssize_t read_counts(struct channel *channel)
{
    uint64_t value;

    if (read(channel->in, &value, sizeof value) != sizeof value)
        return -1;
    channel->read += value % EVENTFD_END;
    return value >= EVENTFD_END ? 0 : 1;
}

static ssize_t read_bytes(struct reader *reader, struct channel *channel)
{
    unsigned char data[PIECE_MAX];
    const bool records = channel->kind == KIND_SEQPACKET;
    const size_t room = records ? sizeof data : stress_size(&reader->chance, sizeof data);
    const ssize_t done = read(channel->in, data, room);

    for (ssize_t i = 0; i < done; i++, channel->read++) {
        if (data[i] != byte_at(channel, channel->read)) {
            complain(reader->round, "a wrong byte", (long)channel->read);
            break;
        }
    }
    return done;
}

/* Told of a channel: reads some of it; all of it when nobody would tell again. */
static void serve(struct reader *reader, uint32_t i)
{
    struct round *round = reader->round;
    struct channel *channel = &round->channels[i];
    const bool all = round->mode == EPOLLET;
    ssize_t done;

    if (channel->in < 0)
        return;
    do
        done = channel->kind == KIND_EVENTFD ? read_counts(channel) : read_bytes(reader, channel);
    while (all && done > 0 && !atomic_load(&round->failed));
    if (done < 0 && errno != EAGAIN)
        complain(round, "read", errno);
    else if (done == 0)
        leave(reader, channel);
    else if ((round->mode & EPOLLONESHOT) != 0)
        control(round, round->set, EPOLL_CTL_MOD, channel->in, EPOLLIN | round->mode, i);
}

static bool is_late(struct reader *reader)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec - reader->last.tv_sec > LOST_S;
}

/* Sleeps outside of the set itself; it is asked with no time-out then. Returns whether to ask. */
static bool sleep_around(struct reader *reader, int timeout_ms)
{
    const struct round *round = reader->round;
    struct pollfd one = { .fd = round->set, .events = POLLIN };
    struct epoll_event event;

    if (round->way == WAY_POLL)
        return poll(&one, 1, timeout_ms) > 0;
    return epoll_wait(round->outer, &event, 1, timeout_ms) > 0;
}

/* Once around the loop. What the set around it told once must be asked until nothing is left. */
static void turn(struct reader *reader)
{
    struct round *round = reader->round;
    const int room = 1 + (int)stress_below(&reader->chance, EVENTS_MAX);
    const bool brief = stress_below(&reader->chance, 4) == 0;
    const int timeout_ms = brief ? (int)stress_below(&reader->chance, 3) : LOST_S * 1000;
    struct epoll_event events[EVENTS_MAX];
    const bool direct = round->way == WAY_DIRECT;
    int count = 1;

    if (!direct && !sleep_around(reader, timeout_ms))
        count = 0;
    while (count > 0 && !reader->stopped && !atomic_load(&round->failed)) {
        count = epoll_wait(round->set, events, room, direct ? timeout_ms : 0);
        if (count > 0)
            clock_gettime(CLOCK_MONOTONIC, &reader->last);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u32 == STOP)
                reader->stopped = true;
            else
                serve(reader, events[i].data.u32);
        }
        if (direct)
            break;
    }
    if (count < 0)
        complain(round, "epoll_wait", errno);
    if (count == 0 && is_late(reader))
        complain(round, "a reader was told of nothing", atomic_load(&round->open));
}

static void *read_all(void *argument)
{
    struct reader *reader = argument;

    clock_gettime(CLOCK_MONOTONIC, &reader->last);
    while (!reader->stopped && !atomic_load(&reader->round->failed))
        turn(reader);
    return NULL;
}

/* ---- A round ---- */

static bool open_channel(struct channel *channel, uint64_t *chance)
{
    int fds[2];
    bool good;

    channel->kind = (enum kind)stress_below(chance, KINDS);
    channel->total = stress_below(chance, 4) == 0 ? stress_below(chance, 3)
                                                  : stress_below(chance, TOTAL_MAX);
    switch (channel->kind) {
    case KIND_PIPE: good = pipe2(fds, O_NONBLOCK) == 0; break;
    case KIND_EVENTFD:
        channel->total %= COUNTS_MAX;
        fds[0] = eventfd(0, EFD_NONBLOCK);
        fds[1] = dup(fds[0]);
        good = fds[1] >= 0;
        break;
    default:
        good = socketpair(AF_UNIX,
                          (channel->kind == KIND_STREAM ? SOCK_STREAM : SOCK_SEQPACKET) |
                              SOCK_NONBLOCK,
                          0, fds) == 0;
        break;
    }
    channel->in = fds[0];
    channel->out = fds[1];
    channel->writable = true;
    return good;
}

static bool open_round(struct round *round)
{
    static const uint32_t modes[] = { 0, EPOLLET, EPOLLONESHOT, EPOLLONESHOT | EPOLLET };
    uint64_t chance = round->seed;
    bool good;

    round->mode = modes[stress_below(&chance, 4)];
    round->way = (enum way)stress_below(&chance, WAYS);
    round->process = stress_below(&chance, 3) == 0;
    round->edge_out = stress_below(&chance, 2) == 0;
    round->readers = (round->mode & EPOLLONESHOT) != 0 ? 1 + (int)stress_below(&chance, 2) : 1;
    round->count = 1 + (int)stress_below(&chance, CHANNELS_MAX);
    atomic_store(&round->open, round->count);
    round->set = epoll_create1(0);
    round->outer = epoll_create1(0);
    good = round->set >= 0 && round->outer >= 0 &&
           control(round, round->outer, EPOLL_CTL_ADD, round->set,
                   round->readers == 1 && stress_below(&chance, 2) == 0 ? EPOLLIN | EPOLLET
                                                                        : EPOLLIN,
                   0);
    if (stress_below(&chance, 2) == 0) {
        good = good && pipe2(round->stop, O_NONBLOCK) == 0;
    } else {
        round->stop[0] = eventfd(0, EFD_NONBLOCK);
        round->stop[1] = dup(round->stop[0]);
    }
    good = good && control(round, round->set, EPOLL_CTL_ADD, round->stop[0], EPOLLIN, STOP);
    for (int i = 0; i < round->count && good; i++) {
        struct channel *channel = &round->channels[i];

        good = open_channel(channel, &chance);
        channel->late = !round->process && stress_below(&chance, 4) == 0;
        good = good && (channel->late || add_channel(round, i));
    }
    return good || complain(round, "can't start", errno);
}

/* The writer as another process: it has copies of all, and closes those of the readers. */
static void write_as_child(struct round *round)
{
    for (int i = 0; i < round->count; i++)
        close(round->channels[i].in);
    close(round->set);
    close(round->outer);
    write_all(round);
    _exit(atomic_load(&round->failed) ? 1 : 0);
}

static void run_writer(struct round *round, pthread_t *ret_thread, pid_t *ret_child)
{
    if (!round->process) {
        pthread_create(ret_thread, NULL, write_all, round);
        return;
    }
    *ret_child = fork();
    if (*ret_child == 0)
        write_as_child(round);
    for (int i = 0; i < round->count; i++)
        close(round->channels[i].out);
}

static bool run_round(uint64_t seed)
{
    static struct round round;
    struct reader readers[READERS_MAX] = { 0 };
    pthread_t writer;
    pid_t child = -1;
    int status = 0;

    memset(&round, 0, sizeof round);
    round.seed = seed;
    alarm(ROUND_LIMIT_S);
    if (!open_round(&round))
        return false;
    run_writer(&round, &writer, &child);
    for (int i = 0; i < round.readers; i++) {
        readers[i] = (struct reader){ .round = &round, .chance = seed ^ (uint64_t)(i + 1) };
        pthread_create(&readers[i].thread, NULL, read_all, &readers[i]);
    }
    for (int i = 0; i < round.readers; i++)
        pthread_join(readers[i].thread, NULL);
    if (!round.process)
        pthread_join(writer, NULL);
    else if (waitpid(child, &status, 0) != child || status != 0)
        complain(&round, "the writing process", status);
    close(round.stop[0]);
    close(round.stop[1]);
    close(round.set);
    close(round.outer);
    return !atomic_load(&round.failed);
}

int main(int argc, char **argv)
{
    struct stress_options options = { .seed = 1, .rounds = 2000 };
    struct timespec start, now;

    if (!stress_options_parse(argc, argv, &options))
        return 2;
    if (getenv("SOCKRIG_TEST_LEVEL") != NULL && strcmp(getenv("SOCKRIG_TEST_LEVEL"), "long") == 0)
        options.rounds *= 10;
    clock_gettime(CLOCK_MONOTONIC, &start);
    for (uint32_t i = 0; i < options.rounds; i++) {
        if (!run_round(options.seed * 1000003 + i))
            return 1;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (options.seconds != 0 && now.tv_sec - start.tv_sec >= (time_t)options.seconds)
            break;
    }
    return 0;
}
