/*
 * Benchmark: two threads, or two processes, with a channel between them.
 *
 *   two_tasks pingpong KIND TASKS CPUS   64 bytes there and back; a sample is one round trip
 *   two_tasks bulk KIND TASKS CPUS       one way, as fast as it goes; per chunk of 64 KiB
 *
 * KIND is pipe, stream (a socket pair) or the name of a listener, as which a connection is made
 * before the second task starts: path, abstract, vsock (connection.h). TASKS is threads or
 * processes, CPUS is 1 or 2: both tasks pinned on one CPU, or each on its own. Prints one line of
 * JSON (measure.h).
 *
 * The second task works until end of file, so the first alone decides how long a run is. Bulk is
 * timed at the writer: the channel holds a few chunks at most, and a sample is 32.
 */
#include "connection.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

enum {
    PING_SIZE = 64,
    WARM_UP_TRIPS = 1000,
    CHUNK_SIZE = 64 * 1024,
    CHUNKS_PER_SAMPLE = 32,
};

static const char *const usage =
    "usage: two_tasks pingpong|bulk KIND TASKS CPUS\n"
    "       KIND: pipe, stream, path, abstract, vsock. TASKS: threads, processes. CPUS: 1, 2\n";

/* One side's two fds: the same one twice for a socket. */
struct side {
    int out;
    int in;
};

typedef void (*peer_fn)(const struct side *side);

struct peer {
    struct side side;
    peer_fn work;
    enum cpu cpu;
    bool is_process;
    pid_t pid;
    pthread_t thread;
};

static _Noreturn void usage_error(void)
{
    fputs(usage, stderr);
    exit(2);
}

/* Which of the two names it is. */
static bool is_second(const char *name, const char *first, const char *second)
{
    if (strcmp(name, second) == 0) {
        return true;
    }
    if (strcmp(name, first) == 0) {
        return false;
    }
    usage_error();
}

static void sides_open(const char *kind, struct side *mine, struct side *theirs)
{
    const enum name name = name_parse(kind);
    int there[2];
    int back[2];

    if (name != NAME_NONE || is_second(kind, "pipe", "stream")) {
        if (name != NAME_NONE) {
            connection_open_alone(name, there);
        } else if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, there) != 0) {
            die("socketpair");
        }
        *mine = (struct side){ .out = there[0], .in = there[0] };
        *theirs = (struct side){ .out = there[1], .in = there[1] };
        return;
    }
    if (pipe2(there, O_CLOEXEC) != 0 || pipe2(back, O_CLOEXEC) != 0) {
        die("pipe2");
    }
    *mine = (struct side){ .out = there[1], .in = back[0] };
    *theirs = (struct side){ .out = back[1], .in = there[0] };
}

static void side_close(const struct side *side)
{
    if (close(side->out) != 0 || (side->in != side->out && close(side->in) != 0)) {
        die("close");
    }
}

/* --- the second task -------------------------------------------------------------------------- */

static void echo(const struct side *side)
{
    char buffer[PING_SIZE];
    ssize_t count;

    while ((count = read(side->in, buffer, sizeof buffer)) != 0) {
        check_count(count, sizeof buffer, "the peer's read");
        check_count(write(side->out, buffer, sizeof buffer), sizeof buffer, "the peer's write");
    }
}

static void swallow(const struct side *side)
{
    static char buffer[CHUNK_SIZE];
    ssize_t count;

    while ((count = read(side->in, buffer, sizeof buffer)) != 0) {
        if (count < 0) {
            die("the peer's read");
        }
    }
}

static void *peer_thread(void *argument)
{
    struct peer *peer = argument;

    pin(peer->cpu);
    peer->work(&peer->side);
    return NULL;
}

static void peer_start(struct peer *peer, const struct side *mine)
{
    if (!peer->is_process) {
        errno = pthread_create(&peer->thread, NULL, peer_thread, peer);
        if (errno != 0) {
            die("pthread_create");
        }
        return;
    }
    peer->pid = fork();
    if (peer->pid < 0) {
        die("fork");
    }
    if (peer->pid == 0) {
        side_close(mine); /* or it never sees the end of file */
        peer_thread(peer);
        _exit(0);
    }
    side_close(&peer->side);
}

/* The caller has closed its side. */
static void peer_join(struct peer *peer)
{
    int status;

    if (!peer->is_process) {
        errno = pthread_join(peer->thread, NULL);
        if (errno != 0) {
            die("pthread_join");
        }
        side_close(&peer->side);
        return;
    }
    if (waitpid(peer->pid, &status, 0) != peer->pid) {
        die("waitpid");
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "the peer ended with wait status 0x%x\n", (unsigned)status);
        _exit(1);
    }
}

/* --- the first task --------------------------------------------------------------------------- */

static void trip(const struct side *side)
{
    char buffer[PING_SIZE] = { 0 };

    check_count(write(side->out, buffer, sizeof buffer), sizeof buffer, "write");
    check_count(read(side->in, buffer, sizeof buffer), sizeof buffer, "read");
}

static void pingpong(const struct side *side, struct samples *samples)
{
    uint64_t started;
    uint64_t before;
    uint64_t after;

    for (int i = 0; i < WARM_UP_TRIPS; i++) {
        trip(side);
    }
    started = before = now_ns();
    do {
        trip(side);
        after = now_ns();
        samples_add(samples, (double)(after - before));
        before = after;
    } while (samples_wanted(samples, started, after));
}

static void write_chunks(const struct side *side)
{
    static char buffer[CHUNK_SIZE];

    for (int i = 0; i < CHUNKS_PER_SAMPLE; i++) {
        check_count(write(side->out, buffer, sizeof buffer), sizeof buffer, "write");
    }
}

static void bulk(const struct side *side, struct samples *samples)
{
    uint64_t started;
    uint64_t before;
    uint64_t after;

    write_chunks(side);
    started = before = now_ns();
    do {
        write_chunks(side);
        after = now_ns();
        samples_add(samples, (double)(after - before) / CHUNKS_PER_SAMPLE);
        before = after;
    } while (samples_wanted(samples, started, after));
}

int main(int argc, char **argv)
{
    struct samples samples;
    struct peer peer = { 0 };
    struct side mine;
    bool is_bulk;
    bool emulated;

    if (argc != 5) {
        usage_error();
    }
    is_bulk = is_second(argv[1], "pingpong", "bulk");
    peer.work = is_bulk ? swallow : echo;
    peer.is_process = is_second(argv[3], "threads", "processes");
    peer.cpu = is_second(argv[4], "1", "2") ? CPU_FIRST : CPU_LAST;
    sides_open(argv[2], &mine, &peer.side);
    emulated = is_emulated(mine.out, peer.side.in) && is_emulated(peer.side.out, mine.in);

    /* Pinned after the peer is started: its own pin() needs to see every CPU. */
    peer_start(&peer, &mine);
    pin(CPU_LAST);
    samples_init(&samples);
    if (is_bulk) {
        bulk(&mine, &samples);
    } else {
        pingpong(&mine, &samples);
    }
    side_close(&mine);
    peer_join(&peer);
    samples_report(&samples, emulated, !is_bulk);
    return 0;
}
