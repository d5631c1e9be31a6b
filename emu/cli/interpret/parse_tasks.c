/*
 * parse_tasks.c - what a script says of its tasks
 *
 *   [NAME] in front of a statement     who does it; without it the first task, [main]
 *   fork() = NAME, thread() = NAME     makes a task
 *   exit(...), exit_group(...)         the task, or its process, ends
 *   execve(...)                        a new image: close-on-exec
 *   interrupt(NAME[, SA_RESTART])      a handler runs in the task's blocked call
 *   wait(NAME)                         it has exited
 *   CALL(... <unfinished ...>          blocks, and goes on
 *   <... CALL resumed>...) = ...       has ended
 *
 * Which task has a call that goes on is known while reading, so that a script that makes no sense
 * is an error with its place.
 */
#include <signal.h>
#include <string.h>

#include "interpret/calls.h"
#include "interpret/parse.h"

static const struct {
    const char *name;
    enum statement_kind kind;
} statements[] = {
    { "fork", STATEMENT_FORK },   { "thread", STATEMENT_THREAD },
    { "exit", STATEMENT_EXIT },   { "exit_group", STATEMENT_EXIT_GROUP },
    { "execve", STATEMENT_EXEC }, { "interrupt", STATEMENT_INTERRUPT },
    { "wait", STATEMENT_WAIT },
};

bool is_task_statement(const char *name)
{
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        if (strcmp(statements[i].name, name) == 0)
            return true;
    }
    return false;
}

/* The task of this name, or UINT32_MAX. */
static uint32_t find(const struct script *script, const char *name)
{
    for (uint32_t i = 0; i < script->task_count; i++) {
        if (strcmp(script->tasks[i], name) == 0)
            return i;
    }
    return UINT32_MAX;
}

/* Reads a task's name. */
static int parse_known(struct parser *parser, uint32_t *ret_task)
{
    struct token token = parser->token;

    if (token.kind != TOKEN_NAME)
        return parser_expected(parser, "a task's name");
    *ret_task = find(parser->script, token.name);
    if (*ret_task == UINT32_MAX)
        return lex_error(parser->script, token.place, "unknown task '%s'", token.name);
    return parser_advance(parser);
}

int parse_prefix(struct parser *parser, uint32_t *ret_task)
{
    struct place place = parser->token.place;

    if (parser_advance(parser) != 0 || parse_known(parser, ret_task) != 0 ||
        parser_mark(parser, ']') != 0)
        return -1;
    if (parser->tasks[*ret_task].gone)
        return lex_error(parser->script, place, "the task '%s' has exited",
                         parser->script->tasks[*ret_task]);
    return 0;
}

/* A task that is in a call can do nothing else. */
int parser_check_free(struct parser *parser, uint32_t task, struct place place)
{
    if (!parser->tasks[task].unfinished)
        return 0;
    return lex_error(parser->script, place, "the task '%s' is in a call that isn't resumed",
                     parser->script->tasks[task]);
}

/* `= NAME` behind fork() and thread(). */
static int parse_child(struct parser *parser, struct statement *statement)
{
    struct script *script = parser->script;
    uint32_t known;

    if (parser_mark(parser, '=') != 0)
        return -1;
    if (parser->token.kind != TOKEN_NAME)
        return parser_expected(parser, "a name for the new task");
    known = find(script, parser->token.name);
    if (known != UINT32_MAX)
        return lex_error(script, parser->token.place, "there is a task '%s' already",
                         parser->token.name);
    if (script->task_count == SCRIPT_MAX_TASKS)
        return lex_error(script, parser->token.place, "more than %d tasks", SCRIPT_MAX_TASKS);
    statement->other = script->task_count;
    script->tasks[script->task_count++] = parser->token.name;
    return parser_advance(parser);
}

static int parse_meant(struct parser *parser, struct statement *statement)
{
    if (parse_known(parser, &statement->other) != 0)
        return -1;
    if (statement->kind != STATEMENT_INTERRUPT || !parser_at_mark(parser, ','))
        return 0;
    if (parser_advance(parser) != 0)
        return -1;
    statement->left = parse_expr(parser);
    return statement->left ? 0 : -1;
}

/* What stands in exit's and execve's brackets says nothing to us. */
static int skip_arguments(struct parser *parser)
{
    while (!parser_at_mark(parser, ')')) {
        if (!parse_expr(parser) || (!parser_at_mark(parser, ')') && parser_mark(parser, ',') != 0))
            return -1;
    }
    return 0;
}

int parse_task_statement(struct parser *parser, struct statement *statement,
                         const struct token *name)
{
    int result;

    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        if (strcmp(statements[i].name, name->name) == 0)
            statement->kind = statements[i].kind;
    }
    statement->name = name->name;
    if (parser_check_free(parser, statement->task, name->place) != 0 ||
        parser_mark(parser, '(') != 0)
        return -1;
    result = statement->kind == STATEMENT_INTERRUPT || statement->kind == STATEMENT_WAIT
                 ? parse_meant(parser, statement)
                 : skip_arguments(parser);
    if (result != 0 || parser_mark(parser, ')') != 0)
        return -1;
    if (statement->kind == STATEMENT_FORK || statement->kind == STATEMENT_THREAD)
        return parse_child(parser, statement);
    if (parser_at_mark(parser, '=')) { /* = ? and = 0 are what strace prints there */
        if (parser_advance(parser) != 0)
            return -1;
        if (!parser_at_mark(parser, '?') &&
            !(parser->token.kind == TOKEN_NUMBER && parser->token.number == 0))
            return parser_expected(parser, "'?' or 0");
        if (parser_advance(parser) != 0)
            return -1;
    }
    if (statement->kind == STATEMENT_EXIT || statement->kind == STATEMENT_EXIT_GROUP)
        parser->tasks[statement->task].gone = true;
    return 0;
}

int parse_unfinished(struct parser *parser, struct statement *statement)
{
    if (statement->kind != STATEMENT_CALL)
        return lex_error(parser->script, parser->token.place,
                         "a call that is repeated can't be left unfinished");
    if (parser_check_free(parser, statement->task, parser->token.place) != 0)
        return -1;
    statement->unfinished = true;
    parser->tasks[statement->task].unfinished = true;
    parser->tasks[statement->task].start = parser->script->count - 1;
    return parser_advance(parser);
}

int parse_resumed(struct parser *parser, struct statement *statement)
{
    const struct token token = parser->token;
    const struct statement *start;

    if (!parser->tasks[statement->task].unfinished)
        return lex_error(parser->script, token.place, "the task '%s' has no unfinished call",
                         parser->script->tasks[statement->task]);
    statement->start = parser->tasks[statement->task].start;
    start = &parser->script->statements[statement->start];
    if (strcmp(start->name, token.name) != 0)
        return lex_error(parser->script, token.place, "the unfinished call is %s, not %s",
                         start->name, token.name);
    parser->tasks[statement->task].unfinished = false;
    statement->kind = STATEMENT_RESUMED;
    statement->name = start->name;
    statement->call = start->call;
    statement->argument_count = start->argument_count;
    memcpy(statement->arguments, start->arguments, sizeof(statement->arguments));
    return parser_advance(parser);
}

int parse_tasks_end(struct parser *parser)
{
    for (uint32_t i = 0; i < parser->script->task_count; i++) {
        const struct statement *start;

        if (!parser->tasks[i].unfinished)
            continue;
        start = &parser->script->statements[parser->tasks[i].start];
        if (parser_enough_arguments(parser, start, start->place) != 0)
            return -1;
    }
    return 0;
}
