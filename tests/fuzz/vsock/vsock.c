/*
 * vsock.c - random calls on AF_VSOCK, on the emulator alone: what must always hold
 *
 *   vsock [--seed N] [--calls N] [--seconds N] [--findings DIR] [--replay FILE]
 *         [--spoil lose|repeat|reorder|leak|crash|hang] [--patience SECONDS] [--trials N]
 *
 * No kernel can be asked (its AF_VSOCK ends at a hypervisor), so invariants stand in for it: see
 * judge.c and look.c. Sequences run in a child process, many in each; what is found is run again in
 * a fresh one, shrunk there, printed as a script, and kept in a file of --findings. --spoil breaks
 * something on purpose in each sequence, so that it must be found.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vsock/run.h"

#define ACTIONS_LEAST 24u
#define ACTIONS_MORE  160u
#define REPORT_EVERY  10.0
#define TEXT_SIZE     (1u << 20)

/* Written by the child, read by the parent, also when the child has died. */
struct shared {
    _Atomic uint64_t number; /* of the sequence that runs */
    _Atomic uint64_t calls;
    _Atomic bool ended;
    uint64_t slept;
    uint64_t bytes;
    uint64_t records;
    uint64_t results[OP_COUNT][2];
    char rule[RUN_RULE];
    char detail[RUN_DETAIL];
    char text[TEXT_SIZE];
};

struct campaign {
    struct shared *shared;
    uint64_t seed;
    uint64_t calls_wanted;
    double seconds;
    double started;
    int trials;      /* to shrink a finding */
    double patience; /* seconds without a call, until it hangs */
    const char *findings;
    enum spoil spoil;
};

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void make_sequence(const struct campaign *campaign, uint64_t number,
                          struct sequence *ret_sequence)
{
    uint64_t state = campaign->seed * 1000003 + number;
    uint64_t seed = sequence_next(&state);

    sequence_random(seed, ACTIONS_LEAST + (uint32_t)(sequence_next(&state) % ACTIONS_MORE),
                    ret_sequence);
}

/* ---- the child ---- */

static void run_one(const struct campaign *campaign, struct run *run,
                    const struct sequence *sequence, FILE *text)
{
    struct shared *shared = campaign->shared;

    if (campaign->spoil == SPOIL_CRASH)
        abort();
    while (campaign->spoil == SPOIL_HANG)
        pause();
    run_sequence(run, sequence, text);
    memcpy(shared->rule, run->rule, RUN_RULE);
    memcpy(shared->detail, run->detail, RUN_DETAIL);
}

static struct run *begin_child(const struct campaign *campaign)
{
    struct run *run;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    run = run_create();
    if (!run)
        _exit(125);
    run->spoil = campaign->spoil;
    return run;
}

static void run_many(const struct campaign *campaign, uint64_t number)
{
    struct shared *shared = campaign->shared;
    uint64_t before = atomic_load(&shared->calls);
    struct run *run = begin_child(campaign);
    struct sequence sequence;

    for (;; number++) {
        atomic_store(&shared->number, number);
        make_sequence(campaign, number, &sequence);
        run_one(campaign, run, &sequence, NULL);
        atomic_store(&shared->calls, before + run->calls);
        if (shared->rule[0] || before + run->calls >= campaign->calls_wanted ||
            now() - campaign->started > campaign->seconds)
            break;
    }
    shared->slept += run->slept;
    shared->bytes += run->bytes;
    shared->records += run->records;
    for (int i = 0; i < OP_COUNT; i++) {
        shared->results[i][0] += run->results[i][0];
        shared->results[i][1] += run->results[i][1];
    }
    atomic_store(&shared->ended, true);
    _exit(0);
}

static void run_single(const struct campaign *campaign, const struct sequence *sequence)
{
    struct shared *shared = campaign->shared;
    struct run *run = begin_child(campaign);
    FILE *text = fmemopen(shared->text, TEXT_SIZE - 1, "w");

    if (!text)
        _exit(125);
    run_one(campaign, run, sequence, text);
    fclose(text);
    atomic_store(&shared->ended, true);
    _exit(0);
}

/* ---- the parent ---- */

static void report(const struct campaign *campaign)
{
    const struct shared *shared = campaign->shared;
    uint64_t calls = atomic_load(&shared->calls);
    double seconds = now() - campaign->started;

    printf("%llu calls, %llu sequences, %.0f calls/s\n", (unsigned long long)calls,
           (unsigned long long)atomic_load(&shared->number) + 1,
           (double)calls / (seconds > 0 ? seconds : 1));
    fflush(stdout);
}

/* Waits for the child; one that died or hangs has broken a rule of its own. */
static void mind_child(const struct campaign *campaign, pid_t pid, bool reports)
{
    const struct timespec pause_time = { .tv_nsec = 1000000 };
    struct shared *shared = campaign->shared;
    double moved = now();
    double reported = moved;
    uint64_t calls = atomic_load(&shared->calls);
    int status;

    while (waitpid(pid, &status, WNOHANG) != pid) {
        nanosleep(&pause_time, NULL);
        if (atomic_load(&shared->calls) != calls) {
            calls = atomic_load(&shared->calls);
            moved = now();
        }
        if (reports && now() - reported > REPORT_EVERY) {
            report(campaign);
            reported = now();
        }
        if (now() - moved > campaign->patience) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
            strcpy(shared->rule, "hang");
            return;
        }
    }
    if (atomic_load(&shared->ended))
        return;
    snprintf(shared->rule, RUN_RULE, "crash");
    snprintf(shared->detail, RUN_DETAIL, "%s %d", WIFSIGNALED(status) ? "signal" : "exit code",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static pid_t begin_fork(const struct campaign *campaign)
{
    pid_t pid;

    fflush(NULL);
    campaign->shared->rule[0] = campaign->shared->detail[0] = campaign->shared->text[0] = '\0';
    atomic_store(&campaign->shared->ended, false);
    pid = fork();
    if (pid < 0) {
        perror("fuzz: fork");
        exit(125);
    }
    return pid;
}

static void look_once(const struct campaign *campaign, const struct sequence *sequence)
{
    pid_t pid = begin_fork(campaign);

    if (pid == 0)
        run_single(campaign, sequence);
    mind_child(campaign, pid, false);
}

/* ---- shrinking: as in ../shrink.c, by the rule that is broken ---- */

struct shrinking {
    const struct campaign *campaign;
    char rule[RUN_RULE];
    int runs;
};

static bool still_there(struct shrinking *shrinking, const struct sequence *sequence)
{
    if (++shrinking->runs > shrinking->campaign->trials)
        return false;
    look_once(shrinking->campaign, sequence);
    return strcmp(shrinking->campaign->shared->rule, shrinking->rule) == 0;
}

static bool remove_parts(struct shrinking *shrinking, struct sequence *sequence, uint32_t size)
{
    uint32_t first = sequence_count(sequence);
    bool removed = false;

    while (first > 0) {
        struct sequence shorter = *sequence;
        uint32_t count = first < size ? first : size;

        first -= count;
        sequence_remove(&shorter, first, count);
        if (still_there(shrinking, &shorter)) {
            *sequence = shorter;
            removed = true;
        }
    }
    return removed;
}

static void shrink(const struct campaign *campaign, struct sequence *sequence)
{
    struct shrinking shrinking = { .campaign = campaign };
    bool removed = true;

    memcpy(shrinking.rule, campaign->shared->rule, RUN_RULE);
    if (strcmp(shrinking.rule, "hang") == 0)
        return; /* each trial would take as long */
    for (uint32_t size = sequence_count(sequence) / 2; size > 1; size /= 2)
        remove_parts(&shrinking, sequence, size);
    while (removed && shrinking.runs < campaign->trials)
        removed = remove_parts(&shrinking, sequence, 1);
    for (uint32_t i = 1; i < sequence->size; i++) {
        struct sequence simpler = *sequence;

        if (sequence->bytes[i] == 0)
            continue;
        simpler.bytes[i] = 0;
        if (still_there(&shrinking, &simpler))
            *sequence = simpler;
    }
    remove_parts(&shrinking, sequence, 1);
}

/* ---- findings ---- */

static void keep(const struct campaign *campaign, uint64_t number, const char *ending,
                 const void *bytes, size_t size)
{
    char path[300];
    FILE *file;

    if (!campaign->findings)
        return;
    mkdir(campaign->findings, 0777);
    snprintf(path, sizeof(path), "%s/vsock-%llu-%llu%s", campaign->findings,
             (unsigned long long)campaign->seed, (unsigned long long)number, ending);
    file = fopen(path, "wb");
    if (!file)
        return;
    fwrite(bytes, 1, size, file);
    fclose(file);
    printf("kept in %s\n", path);
}

static void print_finding(const struct campaign *campaign, const struct sequence *sequence)
{
    const struct shared *shared = campaign->shared;

    look_once(campaign, sequence);
    printf("%u actions: %s: %s\n%s", sequence_count(sequence), shared->rule, shared->detail,
           shared->text);
    fflush(stdout);
}

static void look_closer(const struct campaign *campaign, uint64_t number)
{
    struct sequence sequence;

    make_sequence(campaign, number, &sequence);
    printf("sequence %llu of seed %llu: %s: %s\n", (unsigned long long)number,
           (unsigned long long)campaign->seed, campaign->shared->rule, campaign->shared->detail);
    keep(campaign, number * 10, ".bin", sequence.bytes, sequence.size);
    look_once(campaign, &sequence);
    if (!campaign->shared->rule[0]) {
        printf("not so in a fresh process: what went before it matters\n");
        return;
    }
    shrink(campaign, &sequence);
    print_finding(campaign, &sequence);
    keep(campaign, number * 10 + 1, ".bin", sequence.bytes, sequence.size);
    keep(campaign, number * 10 + 1, ".strace", campaign->shared->text,
         strlen(campaign->shared->text));
}

static void print_share(const struct shared *shared)
{
    static const char *const names[OP_COUNT] = {
        [OP_SHUTDOWN] = "shutdown", [OP_CLOSE] = "close",     [OP_CONNECT] = "connect",
        [OP_SEND] = "send",         [OP_ACCEPT] = "accept",   [OP_TAKE] = "receive",
        [OP_SOCKET] = "socket",     [OP_BIND] = "bind",       [OP_LISTEN] = "listen",
        [OP_OPTION] = "options",    [OP_FLAGS] = "fcntl",     [OP_DUP] = "dup",
        [OP_REPLACE] = "dup2",      [OP_EPOLL] = "epoll",     [OP_WATCH] = "epoll_ctl",
        [OP_POLL] = "poll",         [OP_WAIT] = "epoll_wait",
    };

    printf("%llu bytes, %llu records; %llu calls slept; succeeded/failed:",
           (unsigned long long)shared->bytes, (unsigned long long)shared->records,
           (unsigned long long)shared->slept);
    for (int i = 0; i < OP_COUNT; i++)
        printf(" %s %llu/%llu", names[i], (unsigned long long)shared->results[i][1],
               (unsigned long long)shared->results[i][0]);
    printf("\n");
}

static bool run_campaign(const struct campaign *campaign)
{
    struct shared *shared = campaign->shared;
    pid_t pid = begin_fork(campaign);

    if (pid == 0)
        run_many(campaign, 0);
    mind_child(campaign, pid, true);
    report(campaign);
    print_share(shared);
    if (!shared->rule[0])
        return false;
    look_closer(campaign, atomic_load(&shared->number));
    return true;
}

static bool replay(const struct campaign *campaign, const char *path)
{
    struct sequence sequence = { 0 };
    FILE *file = fopen(path, "rb");

    if (!file) {
        fprintf(stderr, "fuzz: %s: %s\n", path, strerror(errno));
        exit(125);
    }
    sequence.size = (uint32_t)fread(sequence.bytes, 1, SEQUENCE_MAXSIZE, file);
    fclose(file);
    print_finding(campaign, &sequence);
    return campaign->shared->rule[0];
}

static enum spoil spoil_by_name(const char *name)
{
    static const char *const names[] = { "none", "lose",  "repeat", "reorder",
                                         "leak", "crash", "hang" };

    for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++) {
        if (strcmp(names[i], name) == 0)
            return (enum spoil)i;
    }
    fprintf(stderr, "fuzz: --spoil %s?\n", name);
    exit(125);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "seed", 1, NULL, 's' },     { "calls", 1, NULL, 'c' },  { "seconds", 1, NULL, 't' },
        { "findings", 1, NULL, 'f' }, { "replay", 1, NULL, 'r' }, { "spoil", 1, NULL, 'p' },
        { "patience", 1, NULL, 'w' }, { "trials", 1, NULL, 'n' }, { NULL, 0, NULL, 0 },
    };
    struct campaign campaign = {
        .seed = 1, .calls_wanted = 100000, .seconds = 1e9, .trials = 1500, .patience = 20
    };
    const char *replayed = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's': campaign.seed = strtoull(optarg, NULL, 0); break;
        case 'c': campaign.calls_wanted = strtoull(optarg, NULL, 0); break;
        case 't': campaign.seconds = atof(optarg); break;
        case 'f': campaign.findings = optarg; break;
        case 'r': replayed = optarg; break;
        case 'n': campaign.trials = atoi(optarg); break;
        case 'w': campaign.patience = atof(optarg); break;
        case 'p': campaign.spoil = spoil_by_name(optarg); break;
        default: return 125;
        }
    }
    campaign.shared = mmap(NULL, sizeof(*campaign.shared), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (campaign.shared == MAP_FAILED)
        return 125;
    campaign.started = now();
    if (replayed)
        return replay(&campaign, replayed) ? 1 : 0;
    return run_campaign(&campaign) ? 1 : 0;
}
