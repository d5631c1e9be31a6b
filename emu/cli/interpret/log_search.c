/*
 * log_search.c - looks for an order of a log's split calls that explains the log
 *
 * When a run differs from the log, one decision is changed and the log is run again from its
 * beginning, in a new process and a new world: first where the call itself begins that differs,
 * then the calls on the same channels that were split, the most recent ones first. A change that
 * gets further than before is kept, and the search goes on from there; when nothing helps any more
 * it goes back to the change before. Where no single change helps, pairs and triples of what was
 * going on at the same time are tried: two readers and a writer may have to change places at once.
 */
#include "interpret/log_search.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUN_SECONDS     20 /* of one run: a world that hangs */
#define MOST_DEPTH      4096
#define MOST_IN_PAIRS   24 /* moves that pairs are made of: 276 */
#define MOST_IN_TRIPLES 14 /* 364 triples */

struct search {
    const struct log *log;
    struct log_plan *plan;
    const struct log_run_options *options;
    struct log_order *order;
    struct log_search_result *result;
    struct log_outcome *shared; /* what a run's process writes */
    uint64_t calls;
    uint32_t furthest;     /* the run that came further than all before */
    struct log_order best; /* the order that came furthest */
};

/* ---- One run ---- */

static void remove_names(const struct log_plan *plan, const char *directory)
{
    for (uint32_t i = 0; i < plan->names.count; i++) {
        char path[160];

        snprintf(path, sizeof(path), "%s/%u", directory, i);
        unlink(path);
    }
    rmdir(directory);
}

/* Waits for the run's end; one that hangs is ended. */
static void wait_for(pid_t pid)
{
    struct pollfd polled = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };

    if (polled.fd >= 0) {
        while (poll(&polled, 1, RUN_SECONDS * 1000) < 0 && errno == EINTR)
            continue;
        if (!(polled.revents & POLLIN))
            kill(pid, SIGKILL);
        close(polled.fd);
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

/* Runs the log in the order as it is now. Returns the outcome, which holds until the next run. */
static const struct log_outcome *run_once(struct search *search)
{
    struct log_run_options options = *search->options;
    char directory[64];
    char tag[48];
    pid_t pid;

    search->result->runs++;
    memset(search->shared, 0, sizeof(*search->shared));
    snprintf(directory, sizeof(directory), "%s/%u", options.directory, search->result->runs);
    snprintf(tag, sizeof(tag), "sockrig-log.%d.%u", (int)getpid(), search->result->runs);
    options.directory = directory;
    options.tag = tag;
    if (mkdir(directory, 0700) != 0) {
        snprintf(search->shared->why, sizeof(search->shared->why), "%s: %s", directory,
                 strerror(errno));
        search->shared->state = LOG_RUN_STUCK;
        return search->shared;
    }
    fflush(NULL);
    pid = fork();
    if (pid == 0)
        log_run(search->log, search->plan, search->order, &options, search->shared);
    if (pid > 0)
        wait_for(pid);
    remove_names(search->plan, directory);
    search->calls += search->shared->calls;
    return search->shared;
}

/* How far a run came: the event of its first difference. */
static uint64_t reach(const struct log_outcome *outcome)
{
    if (outcome->state != LOG_RUN_DONE)
        return 0;
    return outcome->count == 0 ? UINT64_MAX : outcome->differences[0].event;
}

/* ---- The search ---- */

/* Moves that are tried together: one, two or three. */
struct combination {
    size_t count;
    size_t places[3];
};

/* A place in the search: a difference, and what can be tried there. */
struct level {
    uint64_t reach;
    struct log_moves *moves;
    struct combination next;
    struct log_move back[3]; /* undo what led here, the last one first */
    size_t back_count;
};

/* How many moves combinations of this size are made of. */
static size_t choices(const struct log_moves *moves, size_t size)
{
    size_t most = size == 2 ? MOST_IN_PAIRS : MOST_IN_TRIPLES;

    if (size == 1)
        return moves->count;
    return moves->local < most ? moves->local : most;
}

/* The next combination: all single moves, then pairs and triples of local ones. False: no more. */
static bool advance(const struct log_moves *moves, struct combination *next)
{
    for (;;) {
        size_t count = choices(moves, next->count);
        size_t i = next->count;

        while (i > 0 && next->places[i - 1] + (next->count - i) + 1 >= count)
            i--;
        if (i > 0) { /* like counting: the last place that can grow does, those behind follow */
            next->places[i - 1]++;
            for (; i < next->count; i++)
                next->places[i] = next->places[i - 1] + 1;
            return true;
        }
        if (next->count == 3)
            return false;
        next->count++;
        for (i = 0; i < next->count; i++)
            next->places[i] = i;
        if (choices(moves, next->count) >= next->count)
            return true;
    }
}

/* Makes the moves of the combination. Returns how many; what undoes them is in `back`. */
static size_t make_moves(struct search *search, const struct level *level, struct log_move back[3])
{
    for (size_t i = 0; i < level->next.count; i++)
        back[i] = log_move_make(search->order, level->moves->items[level->next.places[i]]);
    return level->next.count;
}

static void undo(struct search *search, const struct log_move *back, size_t count)
{
    while (count > 0)
        log_move_make(search->order, back[--count]);
}

static bool push(struct search *search, struct level **levels, size_t *depth,
                 const struct log_move *back, size_t back_count, const struct log_outcome *outcome)
{
    struct level *level;
    void *grown = realloc(*levels, (*depth + 1) * sizeof(**levels));

    if (!grown)
        return false;
    *levels = grown;
    level = &(*levels)[*depth];
    memset(level, 0, sizeof(*level));
    level->reach = reach(outcome);
    level->moves = malloc(sizeof(*level->moves));
    if (!level->moves)
        return false;
    log_moves_find(search->log, search->plan, search->order, &outcome->differences[0],
                   level->moves);
    memcpy(level->back, back, back_count * sizeof(back[0]));
    level->back_count = back_count;
    (*depth)++;
    return true;
}

static void copy_order(const struct log *log, const struct log_order *from, struct log_order *to)
{
    memcpy(to->starts, from->starts, log->call_count * sizeof(to->starts[0]));
    memcpy(to->cut, from->cut, log->call_count * sizeof(to->cut[0]));
    memcpy(to->halves, from->halves, log->call_count * sizeof(to->halves[0]));
    memcpy(to->exits, from->exits, log->task_count * sizeof(to->exits[0]));
}

static bool is_spent(const struct search *search)
{
    return search->result->runs >= LOG_SEARCH_RUNS || search->calls >= LOG_SEARCH_CALLS ||
           search->result->runs - search->furthest >= LOG_SEARCH_STALL;
}

/* Runs the present order, and keeps it when it came further than all others. */
static const struct log_outcome *try_order(struct search *search)
{
    const struct log_outcome *outcome = run_once(search);

    if (outcome->state == LOG_RUN_DONE && reach(outcome) > reach(&search->result->outcome)) {
        search->result->outcome = *outcome;
        search->furthest = search->result->runs;
        copy_order(search->log, search->order, &search->best);
    }
    return outcome;
}

/* Tries changes until one run is as the log, or the bounds are met. Returns true for the former. */
static bool try_moves(struct search *search)
{
    struct log_move back[3] = { 0 };
    struct level *levels = NULL;
    size_t depth = 0;
    bool explained = false;
    bool room = push(search, &levels, &depth, back, 0, search->shared);

    while (room && depth > 0 && !explained && !is_spent(search)) {
        struct level *level = &levels[depth - 1];
        const struct log_outcome *outcome;
        size_t count;

        if (!advance(level->moves, &level->next)) {
            undo(search, level->back, level->back_count);
            free(level->moves);
            depth--;
            continue;
        }
        count = make_moves(search, level, back);
        outcome = try_order(search);
        explained = outcome->state == LOG_RUN_DONE && outcome->count == 0;
        if (explained)
            continue;
        if (outcome->state == LOG_RUN_DONE && reach(outcome) > level->reach && depth < MOST_DEPTH)
            room = push(search, &levels, &depth, back, count, outcome);
        else
            undo(search, back, count);
    }
    for (size_t i = 0; i < depth; i++)
        free(levels[i].moves);
    free(levels);
    return explained;
}

/* Everything that a search needs. Returns NULL when there is no memory. */
static struct search *search_new(const struct log *log, struct log_plan *plan,
                                 const struct log_run_options *options, struct log_order *order,
                                 struct log_search_result *result)
{
    struct search *search = calloc(1, sizeof(*search));

    if (!search)
        return NULL;
    *search = (struct search){
        .log = log, .plan = plan, .options = options, .order = order, .result = result
    };
    search->shared = mmap(NULL, sizeof(*search->shared), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (search->shared != MAP_FAILED && log_order_first(log, plan, &search->best) == 0) {
        copy_order(log, order, &search->best);
        return search;
    }
    if (search->shared != MAP_FAILED)
        munmap(search->shared, sizeof(*search->shared));
    free(search);
    return NULL;
}

static void search_free(struct search *search)
{
    munmap(search->shared, sizeof(*search->shared));
    log_order_free(&search->best);
    free(search);
}

bool log_search(const struct log *log, struct log_plan *plan, const struct log_run_options *options,
                struct log_order *order, struct log_search_result *ret_result)
{
    struct log_run_options first = *options;
    struct search *search = search_new(log, plan, &first, order, ret_result);
    bool explained;

    memset(ret_result, 0, sizeof(*ret_result));
    ret_result->outcome.state = LOG_RUN_STUCK;
    snprintf(ret_result->outcome.why, sizeof(ret_result->outcome.why), "no memory");
    if (!search)
        return false;
    first.keep_going = false;
    ret_result->outcome = *run_once(search);
    explained = ret_result->outcome.state == LOG_RUN_DONE && ret_result->outcome.count == 0;
    if (!explained && ret_result->outcome.state == LOG_RUN_DONE)
        explained = try_moves(search);
    if (!explained) {
        copy_order(log, &search->best, order);
        first.keep_going = options->keep_going;
        if (options->keep_going)
            ret_result->outcome = *run_once(search);
    }
    for (size_t i = 0; i < log->call_count; i++)
        ret_result->moved += order->starts[i] != log->calls[i].start || order->cut[i];
    search_free(search);
    return explained;
}
