/*
 * stress_streams - checksummed messages through random pipes and socket pairs, threads and
 * processes
 *
 * Proves: under any mix of readers and writers no byte is lost, doubled, reordered or damaged, the
 * reader sees end-of-file exactly behind the last message, and nobody sleeps for ever.
 *
 * Plain libc: passes on the kernel, and unchanged under the preload. Each round opens channels of
 * random kinds, gives each end to one of several processes, and runs one thread for each flow and
 * end. The first process has its threads running before it forks the others.
 *
 * A pipe may have several writers; then its messages are at most PIPE_BUF bytes, which pipe(7)
 * promises to keep whole. A socket pair has a flow in each direction; a writer that is done says so
 * with shutdown(2), for the other direction may still be in use.
 *
 * --vsock: connections of AF_VSOCK among them, which this machine's kernel must not be asked for.
 *
 * Exit: 0; 1 with a line for what was wrong; killed by SIGALRM: somebody slept for ever.
 */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CHANNELS_MAX = 10,
    WRITERS_MAX = 4, /* of one pipe */
    FLOWS_MAX = CHANNELS_MAX * WRITERS_MAX,
    PROCESSES_MAX = 4,
    MESSAGES_MAX = 60, /* of one flow */
    ROUND_LIMIT_S = 120,
};

enum kind { KIND_PIPE, KIND_STREAM, KIND_SEQPACKET, KIND_VSOCK, KIND_VSOCK_RECORDS, KINDS };

static int kinds = KIND_VSOCK; /* that are used: KINDS with --vsock */

struct channel {
    enum kind kind;
    int fds[2]; /* of a pipe: read end, write end */
};

struct flow {
    uint32_t id;
    struct channel *channel;
    int to;            /* the end that is read; the other is written */
    int writer;        /* process */
    int reader;        /* process; for all flows of a channel and direction the same */
    uint32_t messages; /* to be sent */
    uint32_t size_max;
};

/* A round, the same in all its processes; made before the first fork. */
struct round {
    uint64_t seed;
    int process_count;
    int channel_count;
    uint32_t flow_count;
    struct channel channels[CHANNELS_MAX];
    struct flow flows[FLOWS_MAX];
};

/* A thread's work: to write one flow, or to read one end of a channel. */
struct job {
    const struct round *round;
    const struct flow *flow; /* of a reader of a shared pipe: the first of its flows */
    int fd;                  /* the thread's own; it closes it */
    bool writes;
    uint64_t chance;
    pthread_t thread;
};

static atomic_bool failed;

static void complain(const struct job *job, const char *what, long detail)
{
    atomic_store(&failed, true);
    fprintf(stderr, "stress_streams: round seed 0x%llx, flow %u, %s: %s (%ld)\n",
            (unsigned long long)job->round->seed, job->flow->id, job->writes ? "writer" : "reader",
            what, detail);
}

static void wait_for(int fd, short events)
{
    struct pollfd one = { .fd = fd, .events = events };

    while (poll(&one, 1, -1) < 0 && errno == EINTR)
        ;
}

static bool keeps_records(const struct channel *channel)
{
    return channel->kind == KIND_SEQPACKET || channel->kind == KIND_VSOCK_RECORDS;
}

/* ---- Writers ---- */

static ssize_t write_some(struct job *job, const unsigned char *data, size_t size)
{
    const bool socket = job->flow->channel->kind != KIND_PIPE;
    const size_t half = size / 2;
    struct iovec parts[2] = { { (void *)data, half }, { (void *)(data + half), size - half } };
    struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
    const bool waits = job->flow->channel->kind == KIND_VSOCK_RECORDS; /* see make_round() */

    switch (stress_below(&job->chance, socket ? 4 : 2)) {
    case 0: return write(job->fd, data, size);
    case 1: return writev(job->fd, parts, 2);
    case 2: return send(job->fd, data, size, MSG_NOSIGNAL);
    default:
        return sendmsg(job->fd, &message,
                       waits || stress_below(&job->chance, 2) ? 0 : MSG_DONTWAIT);
    }
}

static bool write_message(struct job *job, const unsigned char *data, size_t size)
{
    while (size > 0) {
        const ssize_t done = write_some(job, data, size);

        if (done < 0 && errno == EAGAIN) {
            wait_for(job->fd, POLLOUT);
        } else if (done <= 0 || (size_t)done > size) {
            complain(job, "write failed, errno", done < 0 ? errno : done);
            return false;
        } else {
            data += done;
            size -= (size_t)done;
        }
    }
    return true;
}

static void *run_writer(void *argument)
{
    struct job *job = argument;
    const struct flow *flow = job->flow;
    unsigned char *buffer = malloc(STRESS_MESSAGE_MAX);

    for (uint32_t i = 0; i < flow->messages && buffer != NULL; i++) {
        const uint32_t size = stress_size(&job->chance, flow->size_max);

        stress_make(buffer, size, job->round->seed, flow->id, i);
        if (!write_message(job, buffer, size))
            break;
    }
    if (flow->channel->kind != KIND_PIPE && shutdown(job->fd, SHUT_WR) != 0)
        complain(job, "shutdown failed, errno", errno);
    if (close(job->fd) != 0)
        complain(job, "close failed, errno", errno);
    free(buffer);
    return NULL;
}

/* ---- Readers ---- */

static ssize_t read_some(struct job *job, unsigned char *data, size_t size, bool whole)
{
    const bool socket = job->flow->channel->kind != KIND_PIPE;
    const size_t most = whole ? size : 1 + stress_random(&job->chance) % size;
    struct iovec parts[2] = { { data, most / 3 }, { data + most / 3, most - most / 3 } };

    switch (stress_below(&job->chance, socket ? 4 : 2)) {
    case 0: return read(job->fd, data, most);
    case 1: return readv(job->fd, parts, 2);
    case 2: return recv(job->fd, data, most, whole ? 0 : MSG_WAITALL);
    default: return recv(job->fd, data, most, MSG_DONTWAIT);
    }
}

/* Fills `data`. Returns its size, less at end-of-file, or -1 when it failed. */
static ssize_t read_all(struct job *job, unsigned char *data, size_t size)
{
    const bool record = keeps_records(job->flow->channel);
    size_t done = 0;

    while (done < size) {
        const ssize_t got = read_some(job, data + done, size - done, record);

        if (got < 0 && errno == EAGAIN) {
            wait_for(job->fd, POLLIN);
            continue;
        }
        if (got < 0 || (size_t)got > size - done) {
            complain(job, "read failed, errno", got < 0 ? errno : got);
            return -1;
        }
        if (got == 0 || record)
            return (ssize_t)done + got;
        done += (size_t)got;
    }
    return (ssize_t)done;
}

/* One message, of whatever flow of this channel. Returns its size, 0: end-of-file, -1: failed. */
static ssize_t read_message(struct job *job, unsigned char *buffer)
{
    struct stress_header header;
    ssize_t size;

    if (keeps_records(job->flow->channel))
        return read_all(job, buffer, STRESS_MESSAGE_MAX);
    size = read_all(job, buffer, sizeof header);
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

/* The flows of one channel and direction stand side by side. */
static uint32_t flows_behind(const struct round *round, const struct flow *first)
{
    uint32_t count = 0;

    while (first->id + count < round->flow_count && first[count].channel == first->channel &&
           first[count].to == first->to)
        count++;
    return count;
}

static void *run_reader(void *argument)
{
    struct job *job = argument;
    const struct flow *first = job->flow;
    const uint32_t count = flows_behind(job->round, first);
    uint32_t next[FLOWS_MAX] = { 0 }; /* sequence expected, by flow - first */
    unsigned char *buffer = malloc(STRESS_MESSAGE_MAX);
    ssize_t size;

    while (buffer != NULL && (size = read_message(job, buffer)) > 0) {
        struct stress_header header;

        memcpy(&header, buffer, sizeof header);
        const uint32_t index = header.flow - first->id;
        if (index >= count) {
            complain(job, "message of another channel's flow", header.flow);
            break;
        }
        const char *wrong = stress_check(buffer, (size_t)size, header.flow, next[index]);
        if (wrong != NULL) {
            complain(job, wrong, next[index]);
            break;
        }
        next[index]++;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (next[i] != first[i].messages)
            complain(job, "messages received, not as many as sent", next[i]);
    }
    if (close(job->fd) != 0)
        complain(job, "close failed, errno", errno);
    free(buffer);
    return NULL;
}

/* ---- A round ---- */

/* To oneself; sometimes with little credit. */
static bool open_vsock(int type, uint64_t *chance, int ret_fds[2])
{
    struct sockaddr_vm name = { .svm_family = AF_VSOCK,
                                .svm_cid = VMADDR_CID_ANY,
                                .svm_port = VMADDR_PORT_ANY };
    struct sockaddr *address = (struct sockaddr *)&name;
    socklen_t size = sizeof name;
    const uint64_t credit = stress_below(chance, 2) ? 262144 : STRESS_MESSAGE_MAX;
    const int listener = socket(AF_VSOCK, type, 0);

    ret_fds[0] = socket(AF_VSOCK, type, 0);
    if (listener < 0 || bind(listener, address, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, address, &size) != 0 ||
        setsockopt(ret_fds[0], AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &credit, sizeof credit) != 0)
        return false;
    name.svm_cid = VMADDR_CID_LOCAL;
    if (connect(ret_fds[0], address, sizeof name) != 0)
        return false;
    ret_fds[1] = accept(listener, NULL, NULL);
    return ret_fds[1] >= 0 && close(listener) == 0;
}

static bool open_channel(struct channel *channel, uint64_t *chance)
{
    switch (channel->kind) {
    case KIND_PIPE: return pipe(channel->fds) == 0;
    case KIND_STREAM: return socketpair(AF_UNIX, SOCK_STREAM, 0, channel->fds) == 0;
    case KIND_SEQPACKET: return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, channel->fds) == 0;
    case KIND_VSOCK: return open_vsock(SOCK_STREAM, chance, channel->fds);
    default: return open_vsock(SOCK_SEQPACKET, chance, channel->fds);
    }
}

static void add_flow(struct round *round, uint64_t *chance, struct channel *channel, int to,
                     uint32_t size_max)
{
    const uint32_t processes = (uint32_t)round->process_count;
    struct flow *flow = &round->flows[round->flow_count];

    *flow = (struct flow){
        .id = round->flow_count,
        .channel = channel,
        .to = to,
        .writer = (int)stress_below(chance, processes),
        .reader = (int)stress_below(chance, processes),
        .messages = stress_below(chance, MESSAGES_MAX + 1),
        .size_max = size_max,
    };
    if (flow->id > 0 && flow[-1].channel == channel && flow[-1].to == to)
        flow->reader = flow[-1].reader;
    round->flow_count++;
}

static bool make_round(struct round *round, uint64_t seed)
{
    uint64_t chance = seed;

    memset(round, 0, sizeof *round);
    round->seed = seed;
    round->process_count = 1 + (int)stress_below(&chance, PROCESSES_MAX);
    round->channel_count = 1 + (int)stress_below(&chance, CHANNELS_MAX);
    for (int i = 0; i < round->channel_count; i++) {
        struct channel *channel = &round->channels[i];
        const uint32_t writers = 1 + stress_below(&chance, WRITERS_MAX);

        channel->kind = (enum kind)stress_below(&chance, (uint32_t)kinds);
        if (!open_channel(channel, &chance)) {
            perror("stress_streams: no channel");
            return false;
        }
        for (int end = 0; end < 2; end++) {
            /* Of an AF_VSOCK record that isn't waited for, pieces may have been sent (EAGAIN). */
            if (stress_below(&chance, 2) == 0 && channel->kind != KIND_VSOCK_RECORDS)
                fcntl(channel->fds[end], F_SETFL, O_NONBLOCK);
        }
        for (uint32_t w = 0; w < writers && channel->kind == KIND_PIPE; w++)
            add_flow(round, &chance, channel, 0, writers > 1 ? PIPE_BUF : STRESS_MESSAGE_MAX);
        if (channel->kind != KIND_PIPE) {
            add_flow(round, &chance, channel, 0, STRESS_MESSAGE_MAX);
            add_flow(round, &chance, channel, 1, STRESS_MESSAGE_MAX);
        }
    }
    return true;
}

/* The threads of one process. */
struct crew {
    struct job jobs[2 * FLOWS_MAX];
    size_t count;
};

/* False: complained. */
static bool add_job(struct crew *crew, const struct round *round, const struct flow *flow,
                    bool writes)
{
    struct job *job = &crew->jobs[crew->count];

    *job = (struct job){ .round = round, .flow = flow, .writes = writes };
    job->chance = round->seed ^ (flow->id * 2ull + writes) * 0x9e3779b97f4a7c15u;
    job->fd = dup(flow->channel->fds[writes ? 1 - flow->to : flow->to]);
    if (job->fd < 0) {
        complain(job, "dup failed, errno", errno);
        return false;
    }
    const int error = pthread_create(&job->thread, NULL, writes ? run_writer : run_reader, job);
    if (error != 0) {
        complain(job, "no thread, errno", error);
        close(job->fd);
        return false;
    }
    crew->count++;
    return true;
}

static void start_crew(struct crew *crew, const struct round *round, int process)
{
    bool ok = true;

    crew->count = 0;
    for (uint32_t i = 0; i < round->flow_count && ok; i++) {
        const struct flow *flow = &round->flows[i];
        const bool first = i == 0 || flow[-1].channel != flow->channel || flow[-1].to != flow->to;

        if (first && flow->reader == process)
            ok = add_job(crew, round, flow, false);
        if (ok && flow->writer == process)
            ok = add_job(crew, round, flow, true);
    }
}

/* The descriptors that were open before the crew got its own. */
static void close_channels(const struct round *round)
{
    for (int i = 0; i < round->channel_count; i++) {
        close(round->channels[i].fds[0]);
        close(round->channels[i].fds[1]);
    }
}

static void join_crew(struct crew *crew)
{
    for (size_t i = 0; i < crew->count; i++)
        pthread_join(crew->jobs[i].thread, NULL);
}

/* In a child: `crew` is the parent's, whose descriptors, closed or not yet, we have copies of. */
static void run_child(struct crew *crew, const struct round *round, int process)
{
    alarm(ROUND_LIMIT_S);
    for (size_t i = 0; i < crew->count; i++)
        close(crew->jobs[i].fd);
    start_crew(crew, round, process);
    close_channels(round);
    join_crew(crew);
    _exit(atomic_load(&failed) ? 1 : 0);
}

static void run_round(uint64_t seed)
{
    static struct round round;
    static struct crew crew;
    pid_t children[PROCESSES_MAX];
    int status;

    alarm(ROUND_LIMIT_S);
    if (!make_round(&round, seed)) {
        atomic_store(&failed, true);
        return;
    }
    start_crew(&crew, &round, 0);
    for (int i = 1; i < round.process_count; i++) {
        children[i] = fork();
        if (children[i] == 0)
            run_child(&crew, &round, i);
    }
    close_channels(&round);
    join_crew(&crew);
    for (int i = 1; i < round.process_count; i++) {
        if (children[i] < 0 || waitpid(children[i], &status, 0) < 0 || status != 0) {
            fprintf(stderr, "stress_streams: process %d failed (status 0x%x)\n", i,
                    children[i] < 0 ? 0 : status);
            atomic_store(&failed, true);
        }
    }
}

/* The lowest free number: grows when a round leaves a descriptor open. */
static int lowest_fd(void)
{
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    close(fd);
    return fd;
}

int main(int argc, char **argv)
{
    struct stress_options options = { .seed = (uint64_t)time(NULL), .rounds = 40 };
    uint32_t rounds = 0;

    if (argc > 1 && strcmp(argv[1], "--vsock") == 0) {
        kinds = KINDS;
        argc--;
        argv++;
    }
    if (!stress_options_parse(argc, argv, &options))
        return 1;
    printf("stress_streams: --seed %llu --rounds %u --seconds %u\n",
           (unsigned long long)options.seed, options.rounds, options.seconds);
    fflush(stdout);

    const int lowest = lowest_fd();
    const time_t end = time(NULL) + options.seconds;
    for (; rounds < options.rounds && !atomic_load(&failed); rounds++) {
        if (options.seconds > 0 && time(NULL) >= end)
            break;
        run_round(options.seed + rounds);
    }
    if (lowest_fd() != lowest) {
        fprintf(stderr, "stress_streams: descriptors left open\n");
        return 1;
    }
    printf("stress_streams: %u rounds, %s\n", rounds, atomic_load(&failed) ? "failed" : "good");
    return atomic_load(&failed) ? 1 : 0;
}
