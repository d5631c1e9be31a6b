/*
 * storm - kill -9 at random moments in a tree of eight processes
 *
 * Proves: however many of the tree are killed, and whenever, nobody sleeps for ever; who reads gets
 * a prefix of what was written, whole messages but for the last of one who was killed; small
 * records in a pipe that all of them write are never torn, and none of one who wasn't killed is
 * missing; nobody is left.
 *
 * Plain libc: passes on the kernel, and unchanged under the preload. Node 0 is our child, node i
 * the child of node (i - 1) / 2. Each sends messages to its parent, through a pipe or a socket, and
 * reads those of its children, blocked, in poll(2) or in epoll_wait(2); writes records into the
 * log, a pipe that we read; and now and then has a child do that in its place, in this image or in
 * a new one. A killer, another child of ours, waits until all are there, and then kills some: by
 * pidfds, so that it can't hit a pid that is somebody else's by now. We adopt the orphans and reap
 * them all.
 *
 * Exit: 0; 1 with a line for what was wrong; killed by SIGALRM: somebody slept for ever.
 */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    NODES = 8,
    CHILDREN = 2,
    ROUND_LIMIT_S = 60,
    DELAY_LIMIT_US = 6000, /* the kills of a round fall into so much time */
    ERRAND_ONE_IN = 24,
    LOG_FD = 100, /* where an errand in a new image finds the log */
};

enum waits { WAITS_BLOCKED, WAITS_POLL, WAITS_EPOLL, WAITS };

/* In the log: smaller than PIPE_BUF, so written as one. */
struct record {
    uint32_t node;
    uint32_t sequence;
    uint64_t check;
    char rest[40];
};

/* What all processes of a round know of each other. Never moved by the emulator. */
struct shared {
    uint64_t seed;
    _Atomic uint32_t ready; /* nodes that are there */
    _Atomic uint32_t go;
    _Atomic uint32_t stop;  /* no new messages */
    _Atomic uint32_t bad;   /* somebody has complained */
    _Atomic uint32_t ended; /* nodes that ended by themselves */
    _Atomic int pids[NODES];
    _Atomic uint32_t killed[NODES]; /* set before it is killed */
    _Atomic uint32_t logged[NODES]; /* records that are written for sure */
};

/* A channel's reading end, and the message that is coming in. */
struct inlet {
    int fd; /* -1: closed */
    uint32_t node;
    uint32_t sequence;
    bool records; /* a socket that keeps them */
    size_t have;
    unsigned char message[STRESS_MESSAGE_MAX];
};

static struct shared *shared;
static struct inlet inlets[CHILDREN];

static void complain(uint32_t node, const char *what, long detail)
{
    fprintf(stderr, "storm: round seed 0x%llx, node %u, pid %d: %s (%ld)\n",
            (unsigned long long)shared->seed, node, (int)getpid(), what, detail);
    atomic_store(&shared->bad, 1);
}

/* Each node's own sequence of chance, and that of the edge above it. */
static uint64_t chance_of(uint32_t node, uint32_t purpose)
{
    uint64_t state = shared->seed ^ ((uint64_t)purpose << 40 | node);

    stress_random(&state);
    return state;
}

/* ---- Messages ---- */

static const int edge_kinds[] = { 0, SOCK_STREAM, SOCK_SEQPACKET }; /* 0: a pipe */

static int edge_kind(uint32_t node)
{
    uint64_t chance = chance_of(node, 1);

    return edge_kinds[stress_below(&chance, sizeof edge_kinds / sizeof edge_kinds[0])];
}

/* fds[0] is the reading end. */
static bool open_edge(uint32_t node, int fds[2])
{
    const int kind = edge_kind(node);

    return (kind == 0 ? pipe2(fds, O_CLOEXEC) : socketpair(AF_UNIX, kind | SOCK_CLOEXEC, 0, fds)) ==
           0;
}

static uint32_t size_limit(uint32_t node)
{
    uint64_t chance = chance_of(node, 2);

    return stress_below(&chance, 3) == 0 ? 200 : 20000;
}

/* False: the parent has gone. */
static bool send_message(uint32_t node, int fd, uint32_t sequence, uint64_t *chance)
{
    static unsigned char message[STRESS_MESSAGE_MAX];
    const uint32_t size = stress_size(chance, size_limit(node));
    size_t done = 0;

    stress_make(message, size, shared->seed, node, sequence);
    while (done < size) {
        const ssize_t put = write(fd, message + done, size - done);

        if (put < 0 && errno != EINTR) {
            if (errno != EPIPE && errno != ECONNRESET)
                complain(node, "write ends with errno", errno);
            return false;
        }
        done += put > 0 ? (size_t)put : 0;
    }
    return true;
}

/* How much of the message that is coming in is to be read next. */
static size_t wanted(const struct inlet *inlet)
{
    uint32_t size;

    if (inlet->records)
        return sizeof inlet->message;
    if (inlet->have < sizeof(struct stress_header))
        return sizeof(struct stress_header) - inlet->have;
    memcpy(&size, inlet->message, sizeof size);
    return size > inlet->have && size <= sizeof inlet->message ? size - inlet->have : 0;
}

static void end_inlet(struct inlet *inlet)
{
    if (inlet->have > 0 && !atomic_load(&shared->killed[inlet->node]))
        complain(inlet->node, "its last message is cut off, and it wasn't killed",
                 (long)inlet->have);
    close(inlet->fd);
    inlet->fd = -1;
}

/* Reads once, which may block. */
static void take_in(struct inlet *inlet)
{
    const ssize_t got = read(inlet->fd, inlet->message + inlet->have, wanted(inlet));

    if (got < 0 && errno == EINTR)
        return;
    if (got <= 0) {
        if (got < 0 && errno != ECONNRESET)
            complain(inlet->node, "read from it ends with errno", errno);
        end_inlet(inlet);
        return;
    }
    inlet->have += (size_t)got;
    if (!inlet->records && (inlet->have < sizeof(struct stress_header) || wanted(inlet) > 0))
        return;
    const char *wrong = stress_check(inlet->message, inlet->have, inlet->node, inlet->sequence);
    if (wrong != NULL)
        complain(inlet->node, wrong, (long)inlet->sequence);
    inlet->sequence++;
    inlet->have = 0;
}

/* ---- The log ---- */

static uint64_t record_check(const struct record *record)
{
    uint64_t state = (uint64_t)record->node << 32 | record->sequence;

    return stress_random(&state);
}

static void write_record(int log, uint32_t node, uint32_t sequence)
{
    struct record record = { .node = node, .sequence = sequence };

    record.check = record_check(&record);
    memset(record.rest, (int)sequence, sizeof record.rest);
    const ssize_t put = write(log, &record, sizeof record);
    if (put != (ssize_t)sizeof record && !(put < 0 && errno == EPIPE))
        complain(node, "a record isn't written as a whole", put);
}

/* A child writes the next record; sometimes as a new image, which finds all by itself. */
static void send_errand(int log, uint32_t node, uint32_t sequence, bool new_image)
{
    char number[2][16];
    int status = 0;
    const pid_t child = fork();

    if (child < 0) {
        complain(node, "fork fails with errno", errno);
        return;
    }
    if (child == 0 && new_image) {
        snprintf(number[0], sizeof number[0], "%u", node);
        snprintf(number[1], sizeof number[1], "%u", sequence);
        dup2(log, LOG_FD);
        execl("/proc/self/exe", "storm", "--errand", number[0], number[1], (char *)NULL);
        complain(node, "exec fails with errno", errno);
        _exit(1);
    }
    if (child == 0) {
        write_record(log, node, sequence);
        _exit(0);
    }
    if (waitpid(child, &status, 0) != child || status != 0)
        complain(node, "an errand's status", status);
}

/* The other image: no shared memory, no inlets. */
static int do_errand(char **argv)
{
    struct record record = { .node = (uint32_t)atoi(argv[2]), .sequence = (uint32_t)atoi(argv[3]) };

    record.check = record_check(&record);
    memset(record.rest, (int)record.sequence, sizeof record.rest);
    return write(LOG_FD, &record, sizeof record) == (ssize_t)sizeof record || errno == EPIPE ? 0
                                                                                             : 1;
}

/* ---- A node ---- */

struct node {
    uint32_t number;
    int up;
    int log;
    int set; /* WAITS_EPOLL */
    enum waits waits;
};

/* Waits until a child has sent something, or takes what there is. */
static void hear_children(const struct node *node, bool may_block)
{
    struct pollfd fds[CHILDREN];
    struct epoll_event told[CHILDREN];

    if (node->waits == WAITS_EPOLL) {
        const int count = epoll_wait(node->set, told, CHILDREN, may_block ? -1 : 0);

        for (int i = 0; i < count; i++)
            take_in(&inlets[told[i].data.u32]);
        return;
    }
    for (int i = 0; i < CHILDREN; i++)
        fds[i] = (struct pollfd){ .fd = inlets[i].fd, .events = POLLIN };
    if (!may_block || node->waits == WAITS_POLL) {
        const int count = poll(fds, CHILDREN, may_block ? -1 : 0);

        for (int i = 0; count > 0 && i < CHILDREN; i++) {
            if (fds[i].revents != 0)
                take_in(&inlets[i]);
        }
        return;
    }
    for (int i = 0; i < CHILDREN; i++) {
        if (inlets[i].fd >= 0)
            take_in(&inlets[i]);
    }
}

static bool has_children(void)
{
    for (int i = 0; i < CHILDREN; i++) {
        if (inlets[i].fd >= 0)
            return true;
    }
    return false;
}

static void run_node(uint32_t number, int up, int log);

/* Forks the children. Their other ends are closed here. */
static void make_children(struct node *node)
{
    for (uint32_t i = 0; i < CHILDREN; i++) {
        const uint32_t below = node->number * CHILDREN + 1 + i;
        int fds[2];

        inlets[i] = (struct inlet){ .fd = -1, .node = below };
        if (below >= NODES)
            continue;
        if (!open_edge(below, fds)) {
            complain(node->number, "no channel, errno", errno);
            continue;
        }
        const pid_t child = fork();
        if (child == 0) {
            for (uint32_t other = 0; other < i; other++)
                close(inlets[other].fd);
            close(fds[0]);
            close(node->up);
            run_node(below, fds[1], node->log);
        }
        close(fds[1]);
        inlets[i].fd = fds[0];
        inlets[i].records = edge_kind(below) == SOCK_SEQPACKET;
        if (child < 0)
            complain(node->number, "fork fails with errno", errno);
    }
}

static void make_set(struct node *node)
{
    struct epoll_event event = { .events = EPOLLIN };

    node->set = epoll_create1(EPOLL_CLOEXEC);
    for (uint32_t i = 0; i < CHILDREN; i++) {
        event.data.u32 = i;
        if (inlets[i].fd >= 0 && epoll_ctl(node->set, EPOLL_CTL_ADD, inlets[i].fd, &event) != 0)
            complain(node->number, "EPOLL_CTL_ADD fails with errno", errno);
    }
}

/* Works until it is told to stop; hears its children to their end; is killed at any moment. */
static void work(const struct node *node)
{
    uint64_t chance = chance_of(node->number, 3);
    uint32_t records = 0;

    for (uint32_t sequence = 0; !atomic_load(&shared->stop); sequence++) {
        if (!send_message(node->number, node->up, sequence, &chance))
            return;
        if (stress_below(&chance, ERRAND_ONE_IN) == 0)
            send_errand(node->log, node->number, records++, stress_below(&chance, 3) == 0);
        else
            write_record(node->log, node->number, records++);
        atomic_store(&shared->logged[node->number], records);
        if (has_children())
            hear_children(node, stress_below(&chance, 4) == 0);
    }
    while (has_children())
        hear_children(node, true);
}

/* Never returns. */
static void run_node(uint32_t number, int up, int log)
{
    struct node node = { .number = number, .up = up, .log = log, .set = -1 };
    uint64_t chance = chance_of(number, 4);
    int status;

    node.waits = (enum waits)stress_below(&chance, WAITS);
    alarm(ROUND_LIMIT_S);
    make_children(&node);
    if (node.waits == WAITS_EPOLL)
        make_set(&node);
    atomic_store(&shared->pids[number], getpid());
    atomic_fetch_add(&shared->ready, 1);
    while (!atomic_load(&shared->go))
        sched_yield();
    work(&node);
    for (int i = 0; i < CHILDREN; i++) {
        if (inlets[i].fd >= 0)
            close(inlets[i].fd); /* so that it learns of our end */
    }
    close(up);
    if (number % 2 == 0) { /* the others leave theirs to us all */
        while (wait(&status) > 0)
            ;
    }
    atomic_fetch_add(&shared->ended, 1);
    _exit(0);
}

/* ---- The killer ---- */

static void wait_us(uint32_t time_us)
{
    const struct timespec pause = { .tv_nsec = (long)time_us * 1000 };

    nanosleep(&pause, NULL);
}

/* Never returns. All nodes are there, and none has ended: their pids are theirs. */
static void run_killer(uint64_t chance)
{
    int pidfds[NODES];
    const uint32_t kills = stress_below(&chance, NODES + 1);

    for (int i = 0; i < NODES; i++)
        pidfds[i] = (int)syscall(SYS_pidfd_open, atomic_load(&shared->pids[i]), 0);
    atomic_store(&shared->go, 1);
    for (uint32_t i = 0; i < kills; i++) {
        const uint32_t node = stress_below(&chance, NODES);

        wait_us(stress_below(&chance, DELAY_LIMIT_US / (kills + 1)));
        atomic_store(&shared->killed[node], 1);
        syscall(SYS_pidfd_send_signal, pidfds[node], SIGKILL, NULL, 0);
    }
    wait_us(stress_below(&chance, DELAY_LIMIT_US / (kills + 1)));
    atomic_store(&shared->stop, 1);
    _exit(0);
}

/* ---- A round ---- */

/* Reads one record of the log; returns false at its end. */
static bool take_record(int log, uint32_t *seen)
{
    struct record record;
    const ssize_t got = read(log, &record, sizeof record);

    if (got == 0)
        return false;
    if (got != (ssize_t)sizeof record) {
        complain(NODES, "a record is torn", got);
        return false;
    }
    if (record.node >= NODES || record.check != record_check(&record) ||
        record.rest[17] != (char)record.sequence) {
        complain(record.node, "a record is damaged", (long)record.sequence);
        return false;
    }
    /* Of one who was killed while its child was at it, the next is that child's. */
    if (record.sequence != seen[record.node])
        complain(record.node, "a record is out of order", (long)record.sequence);
    seen[record.node] = record.sequence + 1;
    return true;
}

/* Reads the tree's channel and the log to their ends. */
static void listen_to_all(struct inlet *top, int log, uint32_t *seen)
{
    while (top->fd >= 0 || log >= 0) {
        struct pollfd fds[2] = { { .fd = top->fd, .events = POLLIN },
                                 { .fd = log, .events = POLLIN } };

        if (poll(fds, 2, -1) < 0 && errno != EINTR) {
            complain(NODES, "poll fails with errno", errno);
            return;
        }
        if (fds[0].revents != 0)
            take_in(top);
        if (fds[1].revents != 0 && !take_record(log, seen)) {
            close(log);
            log = -1;
        }
    }
}

static void reap_all(void)
{
    int status;

    while (wait(&status) > 0) {
        const bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;

        if (status != 0 && !killed)
            complain(NODES, "somebody ended with status", status);
    }
    if (errno != ECHILD)
        complain(NODES, "wait ends with errno", errno);
}

static int count_descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < 400; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static bool run_round(uint64_t seed)
{
    static struct inlet top;
    uint32_t seen[NODES] = { 0 };
    const int before = count_descriptors();
    int edge[2], log[2];

    memset(shared, 0, sizeof *shared);
    shared->seed = seed;
    alarm(ROUND_LIMIT_S);
    if (!open_edge(0, edge) || pipe2(log, O_CLOEXEC) != 0) {
        complain(NODES, "no channel, errno", errno);
        return false;
    }
    const pid_t root = fork();
    if (root == 0) {
        close(edge[0]);
        close(log[0]);
        run_node(0, edge[1], log[1]);
    }
    close(edge[1]);
    close(log[1]);
    while (atomic_load(&shared->ready) < NODES && !atomic_load(&shared->bad))
        sched_yield();
    const pid_t killer = fork();
    if (killer == 0) {
        close(edge[0]);
        close(log[0]);
        run_killer(chance_of(NODES, 5));
    }
    top = (struct inlet){ .fd = edge[0], .records = edge_kind(0) == SOCK_SEQPACKET };
    listen_to_all(&top, log[0], seen);
    reap_all();
    for (uint32_t node = 0; node < NODES; node++) {
        if (seen[node] < atomic_load(&shared->logged[node]))
            complain(node, "records are missing; it wrote", (long)shared->logged[node]);
    }
    if (count_descriptors() != before)
        complain(NODES, "descriptors are left: more than before by", count_descriptors() - before);
    return !atomic_load(&shared->bad);
}

int main(int argc, char **argv)
{
    struct stress_options options = { .seed = (uint64_t)time(NULL), .rounds = 100 };
    uint32_t rounds = 0, killed = 0, ended = 0;
    bool good = true;

    if (argc == 4 && strcmp(argv[1], "--errand") == 0)
        return do_errand(argv);
    if (!stress_options_parse(argc, argv, &options))
        return 1;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        return 1;
    signal(SIGPIPE, SIG_IGN);
    printf("storm: --seed %llu --rounds %u --seconds %u\n", (unsigned long long)options.seed,
           options.rounds, options.seconds);
    fflush(stdout);
    const time_t end = time(NULL) + options.seconds;
    for (; rounds < options.rounds && good; rounds++) {
        if (options.seconds > 0 && time(NULL) >= end)
            break;
        good = run_round(options.seed + rounds);
        for (int i = 0; i < NODES; i++)
            killed += atomic_load(&shared->killed[i]);
        ended += atomic_load(&shared->ended);
    }
    printf("storm: %u rounds, %u kills, %u nodes ended by themselves, %s\n", rounds, killed, ended,
           good ? "good" : "failed");
    return good ? 0 : 1;
}
