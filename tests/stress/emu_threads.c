/*
 * emu_threads - the core under threads and forked processes, without the preload
 *
 * Proves: the same as stress_streams, through emu.h alone, so that the sanitizers see the core's
 * own code; and after each round no object is left in the arena.
 *
 * Each thread is a task. A round opens channels, forks, and gives every flow a writer and a reader
 * thread in one of the processes. Blocking and non-blocking ends are mixed; the latter wait in
 * emu_poll(). Under TSan there is one process: it doesn't see what another one orders (a chunk that
 * we wrote, and that comes back to us after the other process freed it, looks like a race).
 *
 * Exit: 0; 1 with a line for what was wrong; killed by SIGALRM: somebody slept for ever.
 */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "emu.h"

enum {
    CHANNELS_MAX = 6,
#ifdef __SANITIZE_THREAD__
    PROCESSES_MAX = 1,
#else
    PROCESSES_MAX = 3,
#endif
    MESSAGES_MAX = 40,
    ROUND_LIMIT_S = 240, /* TSan is slow */
};

enum kind { KIND_PIPE, KIND_STREAM, KIND_SEQPACKET, KINDS };

struct channel {
    enum kind kind;
    int fds[2]; /* of a pipe: read end, write end */
};

struct round {
    uint64_t seed;
    int process_count;
    int channel_count;
    struct channel channels[CHANNELS_MAX];
};

/* Flow `2 * channel + to` goes to end `to` of its channel. */
struct job {
    const struct round *round;
    uint32_t flow;
    bool writes;
    int fd; /* the thread's own; it closes it */
    struct emu_task task;
    uint64_t chance;
    pthread_t thread;
};

static struct emu_process process;
static atomic_bool failed;

static void complain(const struct job *job, const char *what, long long detail)
{
    atomic_store(&failed, true);
    fprintf(stderr, "emu_threads: round seed 0x%llx, flow %u, %s: %s (%lld)\n",
            (unsigned long long)job->round->seed, job->flow, job->writes ? "writer" : "reader",
            what, detail);
}

static const struct channel *channel_of(const struct job *job)
{
    return &job->round->channels[job->flow / 2];
}

static uint32_t messages_of(const struct round *round, uint32_t flow)
{
    uint64_t chance = round->seed + flow;

    return stress_below(&chance, MESSAGES_MAX + 1);
}

static bool wait_for(struct job *job, short events)
{
    struct pollfd one = { .fd = job->fd, .events = events };
    const int64_t result = emu_poll(&job->task, &one, 1, -1);

    if (result != 1)
        complain(job, "poll answered", result);
    return result == 1;
}

static bool write_message(struct job *job, const unsigned char *data, size_t size)
{
    while (size > 0) {
        const bool flags = channel_of(job)->kind != KIND_PIPE && stress_below(&job->chance, 2);
        const int64_t done = flags ? emu_send(&job->task, job->fd, data, size, MSG_DONTWAIT)
                                   : emu_write(&job->task, job->fd, data, size);

        if (done == -EAGAIN) {
            if (!wait_for(job, POLLOUT))
                return false;
        } else if (done <= 0 || (uint64_t)done > size) {
            complain(job, "write answered", done);
            return false;
        } else {
            data += done;
            size -= (size_t)done;
        }
    }
    return true;
}

static void finish(struct job *job)
{
    if (job->writes && channel_of(job)->kind != KIND_PIPE) {
        const int64_t result = emu_shutdown(&job->task, job->fd, SHUT_WR);

        if (result != 0)
            complain(job, "shutdown answered", result);
    }
    const int64_t result = emu_close(&job->task, job->fd);
    if (result != 0)
        complain(job, "close answered", result);
    emu_task_leave(&job->task);
}

static void *run_writer(void *argument)
{
    struct job *job = argument;
    const uint32_t count = messages_of(job->round, job->flow);
    unsigned char *buffer = malloc(STRESS_MESSAGE_MAX);

    emu_task_enter(&job->task, &process);
    for (uint32_t i = 0; i < count && buffer != NULL; i++) {
        const uint32_t size = stress_size(&job->chance, STRESS_MESSAGE_MAX);

        stress_make(buffer, size, job->round->seed, job->flow, i);
        if (!write_message(job, buffer, size))
            break;
    }
    finish(job);
    free(buffer);
    return NULL;
}

/* Fills `data`. Returns its size, less at end-of-file, or -1 when it failed. */
static ssize_t read_all(struct job *job, unsigned char *data, size_t size)
{
    const bool record = channel_of(job)->kind == KIND_SEQPACKET;
    size_t done = 0;

    while (done < size) {
        const size_t left = size - done;
        const size_t most = record ? left : 1 + stress_random(&job->chance) % left;
        const int64_t got = emu_read(&job->task, job->fd, data + done, most);

        if (got == -EAGAIN) {
            if (!wait_for(job, POLLIN))
                return -1;
            continue;
        }
        if (got < 0 || (uint64_t)got > most) {
            complain(job, "read answered", got);
            return -1;
        }
        if (got == 0 || record)
            return (ssize_t)done + got;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* Returns the message's size, 0: end-of-file, -1: failed. */
static ssize_t read_message(struct job *job, unsigned char *buffer)
{
    struct stress_header header;

    if (channel_of(job)->kind == KIND_SEQPACKET)
        return read_all(job, buffer, STRESS_MESSAGE_MAX);
    ssize_t size = read_all(job, buffer, sizeof header);
    if (size != (ssize_t)sizeof header) {
        if (size > 0)
            complain(job, "end-of-file inside a header", size);
        return size > 0 ? -1 : size;
    }
    memcpy(&header, buffer, sizeof header);
    if (header.size < sizeof header || header.size > STRESS_MESSAGE_MAX) {
        complain(job, "a header with a wild size", header.size);
        return -1;
    }
    size = read_all(job, buffer + sizeof header, header.size - sizeof header);
    return size < 0 ? -1 : (ssize_t)sizeof header + size;
}

static void *run_reader(void *argument)
{
    struct job *job = argument;
    unsigned char *buffer = malloc(STRESS_MESSAGE_MAX);
    uint32_t count = 0;
    ssize_t size;

    emu_task_enter(&job->task, &process);
    while (buffer != NULL && (size = read_message(job, buffer)) > 0) {
        const char *wrong = stress_check(buffer, (size_t)size, job->flow, count);

        if (wrong != NULL) {
            complain(job, wrong, count);
            break;
        }
        count++;
    }
    if (count != messages_of(job->round, job->flow))
        complain(job, "messages received, not as many as sent", count);
    finish(job);
    free(buffer);
    return NULL;
}

static bool make_round(struct round *round, uint64_t seed, struct emu_task *self)
{
    uint64_t chance = seed;

    round->seed = seed;
    round->process_count = 1 + (int)stress_below(&chance, PROCESSES_MAX);
    round->channel_count = 1 + (int)stress_below(&chance, CHANNELS_MAX);
    for (int i = 0; i < round->channel_count; i++) {
        struct channel *channel = &round->channels[i];
        int64_t result;

        channel->kind = (enum kind)stress_below(&chance, KINDS);
        if (channel->kind == KIND_PIPE)
            result = emu_pipe2(self, channel->fds, 0);
        else
            result = emu_socketpair(self, AF_UNIX,
                                    channel->kind == KIND_STREAM ? SOCK_STREAM : SOCK_SEQPACKET, 0,
                                    channel->fds);
        for (int end = 0; end < 2 && result == 0; end++) {
            if (stress_below(&chance, 2) == 0)
                result = emu_fcntl(self, channel->fds[end], F_SETFL, O_RDWR | O_NONBLOCK);
        }
        if (result != 0) {
            fprintf(stderr, "emu_threads: a channel answered %lld\n", (long long)result);
            return false;
        }
    }
    return true;
}

/* The threads of process number `number`; returns when all are done. */
static void run_crew(const struct round *round, int number, struct emu_task *self)
{
    struct job *jobs = calloc(4 * CHANNELS_MAX, sizeof *jobs);
    int count = 0;

    for (uint32_t i = 0; jobs != NULL && i < 4u * (uint32_t)round->channel_count; i++) {
        const uint32_t flow = i / 2;
        const bool writes = i % 2 != 0;
        const struct channel *channel = &round->channels[flow / 2];
        const int end = (int)(writes ? 1 - flow % 2 : flow % 2);
        uint64_t chance = round->seed ^ (i + 1) * 0x9e3779b97f4a7c15u;

        if ((int)stress_below(&chance, (uint32_t)round->process_count) != number ||
            (channel->kind == KIND_PIPE && flow % 2 != 0))
            continue;
        struct job *job = &jobs[count];
        *job = (struct job){ .round = round, .flow = flow, .writes = writes, .chance = chance };
        job->fd = (int)emu_dup(self, channel->fds[end]);
        if (job->fd < 0)
            complain(job, "dup answered", job->fd);
        else if (pthread_create(&job->thread, NULL, writes ? run_writer : run_reader, job) != 0)
            complain(job, "no thread", 0);
        else
            count++;
    }
    for (int i = 0; i < round->channel_count; i++) {
        emu_close(self, round->channels[i].fds[0]);
        emu_close(self, round->channels[i].fds[1]);
    }
    for (int i = 0; i < count; i++)
        pthread_join(jobs[i].thread, NULL);
    free(jobs);
}

static pid_t fork_process(const struct round *round, int number, struct emu_task *self)
{
    const int slot = emu_fork_before(self);

    if (slot < 0)
        return -1;
    const pid_t child = fork();
    if (child == 0) {
        emu_task_enter(self, &process);
        emu_fork_child(self, slot);
        alarm(ROUND_LIMIT_S);
        run_crew(round, number, self);
        emu_process_exit(self);
        _exit(atomic_load(&failed) ? 1 : 0);
    }
    emu_fork_parent(self, slot, child);
    return child;
}

static void run_round(uint64_t seed, struct emu_task *self)
{
    static struct round round;
    pid_t children[PROCESSES_MAX];
    struct emu_session_counts left;

    alarm(ROUND_LIMIT_S);
    if (!make_round(&round, seed, self)) {
        atomic_store(&failed, true);
        return;
    }
    for (int i = 1; i < round.process_count; i++)
        children[i] = fork_process(&round, i, self);
    run_crew(&round, 0, self);
    for (int i = 1; i < round.process_count; i++) {
        int status = 0;

        if (children[i] < 0 || waitpid(children[i], &status, 0) < 0 || status != 0) {
            fprintf(stderr, "emu_threads: process %d failed (status 0x%x)\n", i, status);
            atomic_store(&failed, true);
        }
        emu_process_sweep(self, children[i]);
    }
    emu_session_count(&left);
    if (left.descriptions != 0 || left.bufs != 0 || left.waiters != 0 || left.processes != 1) {
        fprintf(stderr,
                "emu_threads: round seed 0x%llx left %u descriptions, %u bufs, %u waiters, "
                "%u processes\n",
                (unsigned long long)seed, left.descriptions, left.bufs, left.waiters,
                left.processes);
        atomic_store(&failed, true);
    }
}

int main(int argc, char **argv)
{
    struct stress_options options = { .seed = (uint64_t)time(NULL), .rounds = 20 };
    static struct emu_task self;
    uint32_t rounds = 0;

    if (!stress_options_parse(argc, argv, &options))
        return 1;
    printf("emu_threads: --seed %llu --rounds %u --seconds %u\n", (unsigned long long)options.seed,
           options.rounds, options.seconds);
    fflush(stdout);
    const int arena = emu_session_create();
    if (arena < 0) {
        fprintf(stderr, "emu_threads: no session (%d)\n", arena);
        return 1;
    }
    emu_task_enter(&self, &process);
    if (emu_process_join(&process, &self) != 0) {
        fprintf(stderr, "emu_threads: can't join\n");
        return 1;
    }

    const time_t end = time(NULL) + options.seconds;
    for (; rounds < options.rounds && !atomic_load(&failed); rounds++) {
        if (options.seconds > 0 && time(NULL) >= end)
            break;
        run_round(options.seed + rounds, &self);
    }
    printf("emu_threads: %u rounds, %s\n", rounds, atomic_load(&failed) ? "failed" : "good");
    return atomic_load(&failed) ? 1 : 0;
}
