/*
 * run.c - a script's statements, one after the other, on one side
 */
#include "interpret/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "interpret/run_tasks.h"
#include "interpret/side.h"
#include "interpret/world.h"

/* Also where the script doesn't care. */
static bool expects_block(const struct statement *statement)
{
    if (statement->wanted.kind == WANTED_RESULT && statement->wanted.result->kind == EXPR_ANY)
        return true;
    return statement->wanted.kind == WANTED_BLOCKED || statement->until.kind == WANTED_BLOCKED;
}

static void run_once(struct run *run)
{
    uint64_t words[SCRIPT_MAX_ARGUMENTS];

    run_memory_reset(run);
    run->outcome->came[0] = '\0';
    encode_arguments(run, words);
    side_call(run, words, expects_block(run->statement));
}

static void hash_result(struct run *run)
{
    run_hash(run, &run->result, sizeof(run->result));
    for (size_t i = 0; i < run->signal_count; i++)
        run_hash(run, &run->signals[i].si_signo, sizeof(int));
}

static void run_call(struct run *run)
{
    const struct statement *statement = run->statement;

    run_once(run);
    render_result(run, run->outcome->got, sizeof(run->outcome->got));
    match_all(run, &statement->wanted);
}

static void run_repeat(struct run *run)
{
    const struct statement *statement = run->statement;
    int64_t count = evaluate_number(run, statement->left);

    if (count < 0 || count > RUN_MAX_REPEATS)
        run_fail(run, statement->left->place, "repeat 0 to %d times", RUN_MAX_REPEATS);
    for (int64_t i = 0; i < count; i++) {
        run_once(run);
        hash_result(run);
        render_result(run, run->outcome->got, sizeof(run->outcome->got));
        match_all(run, &statement->wanted);
        if (run->outcome->state == OUTCOME_DIFFERS) {
            size_t length = strlen(run->outcome->got);

            snprintf(run->outcome->got + length, sizeof(run->outcome->got) - length,
                     " (repetition %lld)", (long long)i + 1);
            return;
        }
    }
}

static void run_until(struct run *run)
{
    const struct statement *statement = run->statement;
    int64_t count = 0;
    int64_t total = 0;
    char last[160];

    for (;;) {
        run_once(run);
        hash_result(run);
        if (match_result(run, &statement->until))
            break;
        if (run->result < 0 || run->blocked || count == RUN_MAX_REPEATS) {
            render_result(run, last, sizeof(last));
            snprintf(run->outcome->got, sizeof(run->outcome->got),
                     "%lld calls, total %lld, then %s", (long long)count, (long long)total, last);
            run_differs(run, statement->place, "result");
            return;
        }
        match_all(run, &statement->wanted);
        count++;
        total += run->result;
    }
    render_result(run, last, sizeof(last));
    snprintf(run->outcome->got, sizeof(run->outcome->got), "%lld calls, total %lld, then %s",
             (long long)count, (long long)total, last);
    match_all(run, &statement->until);
    variable_bind(run, statement->place, "count", value_number(count));
    variable_bind(run, statement->place, "total", value_number(total));
}

static void run_check(struct run *run)
{
    const struct statement *statement = run->statement;
    struct value left;
    struct value right;
    bool same;

    run_memory_reset(run);
    left = evaluate(run, statement->left);
    right = evaluate(run, statement->right);
    if (left.kind != right.kind)
        run_fail(run, statement->place, "a number is compared with bytes");
    if (left.kind == VALUE_NUMBER) {
        same = left.number == right.number;
        snprintf(run->outcome->got, sizeof(run->outcome->got), "left side %lld",
                 (long long)left.number);
    } else {
        same = left.size == right.size && memcmp(left.bytes, right.bytes, left.size) == 0;
        snprintf(run->outcome->got, sizeof(run->outcome->got), "%zu and %zu bytes", left.size,
                 right.size);
    }
    if (!same)
        run_differs(run, statement->place, "the two sides of == differ");
}

static void run_statement(struct run *run)
{
    const struct statement *statement = run->statement;

    switch (statement->kind) {
    case STATEMENT_CALL:
        if (statement->unfinished)
            run_unfinished(run);
        else
            run_call(run);
        break;
    case STATEMENT_REPEAT: run_repeat(run); break;
    case STATEMENT_REPEAT_UNTIL: run_until(run); break;
    case STATEMENT_CHECK: run_check(run); break;
    case STATEMENT_SET:
        run_memory_reset(run);
        variable_bind(run, statement->place, statement->name, evaluate(run, statement->left));
        break;
    default: run_task_statement(run); break;
    }
}

void run_script(const struct script *script, enum side side, bool keep_going,
                struct outcome *outcomes)
{
    static struct run run; /* large: it holds the watches */
    bool differs = false;

    run.script = script;
    run.side = side;
    run.keep_going = keep_going;
    run.outcome = &outcomes[script->count]; /* errors of the set-up */
    side_init(&run);
    for (size_t i = 0; i < script->count; i++) {
        run.statement = &script->statements[i];
        run.outcome = &outcomes[i];
        run.outcome->state = OUTCOME_STARTED;
        if (run.statement->kind != STATEMENT_RESUMED)
            run_ended_early(&run);
        run_statement(&run);
        if (run.outcome->state == OUTCOME_DIFFERS) {
            differs = true;
            if (!keep_going)
                break;
        } else {
            run.outcome->state = OUTCOME_DONE;
        }
    }
    if (!differs)
        differs = run_left_over(&run);
    world_destroy(run.world);
    _exit(differs ? 1 : 0);
}
