/*
 * parse.c - a script's statements, one a line
 *
 *   NAME(args) [= result]              --- SIGNAL [{...}] ---           (belongs to the line above)
 *   repeat N: NAME(args) [= result]    repeat until result: NAME(args)
 *   NAME = expr                        check expr == expr
 *   [TASK] in front of any of them; what is about tasks alone stands in parse_tasks.c
 *
 * A result is `expr`, `-1 ENAME`, `?` (blocks) or `? expr`; behind it strace's explanation in
 * parentheses is stepped over, `([{fd=..., revents=...}])` and "bytes" are expected to come out.
 */
#include "interpret/parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interpret/calls.h"
#include "interpret/constants.h"

#define SCRIPT_MAX_SIZE       (16u << 20)
#define SCRIPT_MAX_STATEMENTS 100000
#define SCRIPT_MAX_MEMORY     (512u << 20) /* of the tree; looked at after each statement */
#define MAX_HEADER            80           /* a header line is cut there */

struct block {
    struct block *next;
    _Alignas(16) char memory[];
};

void *script_allocate(struct script *script, size_t size)
{
    struct block *block = calloc(1, sizeof(*block) + size);

    if (!block)
        abort();
    script->used += sizeof(*block) + size;
    block->next = script->blocks;
    script->blocks = block;
    return block->memory;
}

void script_destroy(struct script *script)
{
    struct block *block = script->blocks;

    while (block) {
        struct block *next = block->next;

        free(block);
        block = next;
    }
    memset(script, 0, sizeof(*script));
}

static bool at_name(const struct parser *parser, const char *name)
{
    return parser->token.kind == TOKEN_NAME && strcmp(parser->token.name, name) == 0;
}

int parser_expected(struct parser *parser, const char *what)
{
    char scratch[80];

    return lex_error(parser->script, parser->token.place, "expected %s, found %s", what,
                     parser_found(parser, scratch));
}

/* Behind a result: "(Resource temporarily unavailable)" or "([{fd=3, revents=POLLIN}])". */
static int parse_explanation(struct parser *parser, struct wanted *wanted)
{
    if (parser_advance(parser) != 0)
        return -1;
    if (parser_at_mark(parser, '[')) {
        wanted->ready = parse_expr(parser);
        return wanted->ready ? parser_mark(parser, ')') : -1;
    }
    while (parser->token.kind == TOKEN_NAME || parser->token.kind == TOKEN_NUMBER) {
        if (parser_advance(parser) != 0)
            return -1;
    }
    return parser_mark(parser, ')');
}

static int parse_wanted(struct parser *parser, struct wanted *wanted)
{
    int error;

    if (parser_at_mark(parser, '?')) {
        wanted->kind = WANTED_BLOCKED;
        if (parser_advance(parser) != 0)
            return -1;
        if (parser->token.kind != TOKEN_NUMBER && parser->token.kind != TOKEN_NAME)
            return 0;
        wanted->result = parse_sum(parser);
        return wanted->result ? 0 : -1;
    }
    wanted->kind = WANTED_RESULT;
    wanted->result = parse_sum(parser);
    if (!wanted->result)
        return -1;
    if (parser->token.kind == TOKEN_NAME && wanted->result->kind == EXPR_NEGATE) {
        if (!constant_errno(parser->token.name, &error))
            return parser_expected(parser, "an errno");
        wanted->kind = WANTED_ERRNO;
        wanted->error = error;
        if (parser_advance(parser) != 0)
            return -1;
    }
    if (parser_at_mark(parser, '(') && parse_explanation(parser, wanted) != 0)
        return -1;
    if (parser->token.kind == TOKEN_BYTES || parser->token.kind == TOKEN_NAME) {
        wanted->contents = parse_sum(parser);
        return wanted->contents ? 0 : -1;
    }
    return 0;
}

int parser_enough_arguments(struct parser *parser, const struct statement *statement,
                            struct place place)
{
    const struct call *call = call_get(statement->call);

    if (statement->argument_count < strlen(call->kinds) &&
        !(call->kinds[statement->argument_count] == 'd')) /* fcntl's and ioctl's last one */
        return lex_error(parser->script, place, "too few arguments for %s", call->name);
    return 0;
}

/* Up to the closing bracket, or to <unfinished ...>; both are left to be read. */
static int parse_arguments(struct parser *parser, struct statement *statement)
{
    const struct call *call = call_get(statement->call);
    bool first = statement->argument_count == 0;

    while (!parser_at_mark(parser, ')') && parser->token.kind != TOKEN_UNFINISHED) {
        if (!first) {
            if (parser_mark(parser, ',') != 0)
                return -1;
            if (parser->token.kind == TOKEN_UNFINISHED)
                return 0;
        }
        first = false;
        if (statement->argument_count == strlen(call->kinds))
            return lex_error(parser->script, parser->token.place, "too many arguments for %s",
                             call->name);
        statement->arguments[statement->argument_count] = parse_expr(parser);
        if (!statement->arguments[statement->argument_count])
            return -1;
        statement->argument_count++;
    }
    return 0;
}

/* From the closing bracket on. */
static int parse_ending(struct parser *parser, struct statement *statement)
{
    if (parser_enough_arguments(parser, statement, parser->token.place) != 0 ||
        parser_advance(parser) != 0)
        return -1;
    if (!parser_at_mark(parser, '='))
        return 0;
    return parser_advance(parser) != 0 ? -1 : parse_wanted(parser, &statement->wanted);
}

static int parse_call(struct parser *parser, struct statement *statement)
{
    if (parser->token.kind != TOKEN_NAME)
        return parser_expected(parser, "a call");
    statement->name = parser->token.name;
    statement->call = call_find(statement->name);
    if (statement->call < 0)
        return lex_error(parser->script, parser->token.place, "unknown call '%s'", statement->name);
    if (parser_check_free(parser, statement->task, parser->token.place) != 0 ||
        parser_advance(parser) != 0 || parser_mark(parser, '(') != 0 ||
        parse_arguments(parser, statement) != 0)
        return -1;
    if (parser->token.kind == TOKEN_UNFINISHED)
        return parse_unfinished(parser, statement);
    return parse_ending(parser, statement);
}

/* <... NAME resumed>, the rest of the arguments, and the result. */
static int parse_rest(struct parser *parser, struct statement *statement)
{
    struct statement *start;

    if (parse_resumed(parser, statement) != 0)
        return -1;
    /* The comma stands before <unfinished ...>, or here. */
    if (!parser_at_mark(parser, ',') && !parser_at_mark(parser, ')') &&
        statement->argument_count > 0) {
        statement->arguments[statement->argument_count] = parse_expr(parser);
        if (!statement->arguments[statement->argument_count])
            return -1;
        statement->argument_count++;
    }
    if (parse_arguments(parser, statement) != 0)
        return -1;
    if (parser->token.kind == TOKEN_UNFINISHED)
        return parser_expected(parser, "the end of this call");
    start = &parser->script->statements[statement->start];
    memcpy(start->arguments, statement->arguments, sizeof(start->arguments));
    start->argument_count = statement->argument_count;
    return parse_ending(parser, statement);
}

static int parse_repeat(struct parser *parser, struct statement *statement)
{
    statement->kind = STATEMENT_REPEAT;
    if (at_name(parser, "until")) {
        statement->kind = STATEMENT_REPEAT_UNTIL;
        if (parser_advance(parser) != 0 || parse_wanted(parser, &statement->until) != 0)
            return -1;
    } else {
        statement->left = parse_sum(parser);
        if (!statement->left)
            return -1;
    }
    return parser_mark(parser, ':') != 0 ? -1 : parse_call(parser, statement);
}

static int parse_check(struct parser *parser, struct statement *statement)
{
    statement->kind = STATEMENT_CHECK;
    statement->left = parse_sum(parser);
    if (!statement->left)
        return -1;
    if (parser->token.kind != TOKEN_EQUAL)
        return parser_expected(parser, "'=='");
    if (parser_advance(parser) != 0)
        return -1;
    statement->right = parse_sum(parser);
    return statement->right ? 0 : -1;
}

static int parse_set(struct parser *parser, struct statement *statement, const struct token *name)
{
    int64_t value;

    statement->kind = STATEMENT_SET;
    statement->name = name->name;
    if (constant_value(name->name, &value))
        return lex_error(parser->script, name->place, "'%s' is a constant", name->name);
    if (parser_mark(parser, '=') != 0)
        return -1;
    statement->left = parse_sum(parser);
    return statement->left ? 0 : -1;
}

/* --- SIGPIPE --- or --- SIGIO {si_code=SI_KERNEL} ---, a part of the statement before it */
static int parse_signal(struct parser *parser, struct statement *previous)
{
    struct wanted_signal *wanted;

    if (!previous || previous->unfinished ||
        (previous->kind != STATEMENT_CALL && previous->kind != STATEMENT_REPEAT &&
         previous->kind != STATEMENT_REPEAT_UNTIL && previous->kind != STATEMENT_RESUMED))
        return lex_error(parser->script, parser->token.place, "no call stands before this signal");
    if (previous->signal_count == SCRIPT_MAX_SIGNALS)
        return lex_error(parser->script, parser->token.place, "too many signals for one call");
    wanted = &previous->signals[previous->signal_count];
    wanted->place = parser->token.place;
    if (parser_advance(parser) != 0)
        return -1;
    wanted->number = parser->token.kind == TOKEN_NAME ? constant_signal(parser->token.name) : 0;
    if (wanted->number == 0)
        return parser_expected(parser, "the name of a signal");
    if (parser_advance(parser) != 0)
        return -1;
    if (parser_at_mark(parser, '{')) {
        wanted->info = parse_expr(parser);
        if (!wanted->info)
            return -1;
    }
    if (parser->token.kind != TOKEN_RULE)
        return parser_expected(parser, "'---'");
    previous->signal_count++;
    return parser_advance(parser);
}

static int parse_statement(struct parser *parser, struct statement *statement)
{
    struct token first = parser->token;
    struct lexer saved = parser->lexer;

    statement->place = first.place;
    if (first.kind == TOKEN_RESUMED)
        return parse_rest(parser, statement);
    if (first.kind != TOKEN_NAME)
        return parser_expected(parser, "a call");
    if (parser_advance(parser) != 0)
        return -1;
    if (strcmp(first.name, "repeat") == 0)
        return parse_repeat(parser, statement);
    if (strcmp(first.name, "check") == 0)
        return parse_check(parser, statement);
    if (!parser_at_mark(parser, '('))
        return parse_set(parser, statement, &first);
    if (is_task_statement(first.name))
        return parse_task_statement(parser, statement, &first);
    parser->lexer = saved;
    parser->token = first;
    return parse_call(parser, statement);
}

static struct statement *add_statement(struct parser *parser, size_t *capacity)
{
    struct script *script = parser->script;

    if (script->count == *capacity) {
        struct statement *larger;

        *capacity = *capacity ? *capacity * 2 : 64;
        larger = script_allocate(script, *capacity * sizeof(*larger));
        if (script->count > 0)
            memcpy(larger, script->statements, script->count * sizeof(*larger));
        script->statements = larger;
    }
    return &script->statements[script->count++];
}

static void set_text(struct parser *parser, struct statement *statement, size_t start, size_t end)
{
    char *text = script_allocate(parser->script, end - start + 1);

    memcpy(text, parser->lexer.text + start, end - start);
    statement->text = text;
}

static int parse_lines(struct parser *parser)
{
    struct script *script = parser->script;
    struct statement *last = NULL;
    size_t capacity = 0;

    if (parser_advance(parser) != 0)
        return -1;
    while (parser->token.kind != TOKEN_END) {
        size_t start = parser->token.start;
        uint32_t task = 0;

        if (parser->token.kind == TOKEN_NEWLINE) {
            if (parser_advance(parser) != 0)
                return -1;
            continue;
        }
        if (parser_at_mark(parser, '[') && parse_prefix(parser, &task) != 0)
            return -1;
        if (parser->token.kind == TOKEN_RULE) {
            if (parse_signal(parser, script->count > 0 ? last : NULL) != 0)
                return -1;
        } else if (script->count == SCRIPT_MAX_STATEMENTS || script->used > SCRIPT_MAX_MEMORY) {
            return lex_error(script, parser->token.place, "too much for one script");
        } else {
            last = add_statement(parser, &capacity);
            last->task = task;
            if (parse_statement(parser, last) != 0)
                return -1;
            set_text(parser, last, start, parser->last_end);
        }
        if (parser->token.kind != TOKEN_NEWLINE && parser->token.kind != TOKEN_END)
            return parser_expected(parser, "the end of the line");
    }
    return parse_tasks_end(parser);
}

static int parse_sides(struct script *script, struct place place, const char *word)
{
    if (strcmp(word, "kernel") == 0)
        script->sides = SIDE_KERNEL;
    else if (strcmp(word, "emu") == 0)
        script->sides = SIDE_EMU;
    else if (strcmp(word, "both") != 0)
        return lex_error(script, place, "expected kernel, emu or both, found '%s'", word);
    return 0;
}

static int parse_header_line(struct script *script, struct place place, const char *line)
{
    char word[16];

    if (sscanf(line, "# on: %15s", word) == 1 && parse_sides(script, place, word) != 0)
        return -1;
    if (strncmp(line, "# native: yes", 13) == 0)
        script->native = true;
    if (strncmp(line, "# signals: any", 14) == 0)
        script->signals = true;
    if (strncmp(line, "# kernel:", 9) == 0 &&
        sscanf(line, "# kernel: %3d.%3d", &script->kernel[0], &script->kernel[1]) != 2)
        return lex_error(script, place, "expected a version such as 6.17");
    return 0;
}

/* "# on: kernel" and its like: comment lines of their own, anywhere. */
static int parse_header(struct script *script, const char *text)
{
    uint32_t number = 0;

    script->sides = SIDE_KERNEL | SIDE_EMU;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        struct place place = { ++number, 1 };
        char start[MAX_HEADER + 1];
        size_t length;

        line += *line == '\n';
        if (*line != '#')
            continue;
        /* A copy: sscanf() looks at all that follows, to the end of the text. */
        length = strcspn(line, "\n");
        snprintf(start, sizeof(start), "%.*s", (int)(length < MAX_HEADER ? length : MAX_HEADER),
                 line);
        if (parse_header_line(script, place, start) != 0)
            return -1;
    }
    return 0;
}

static char *read_file(struct script *script, const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "re");
    size_t capacity = 1 << 15;
    size_t size = 0;
    char *text = NULL;
    bool ended = false;

    while (file && !ended && capacity < SCRIPT_MAX_SIZE) {
        char *larger = script_allocate(script, (capacity *= 2) + 1);

        if (size > 0)
            memcpy(larger, text, size);
        text = larger;
        size += fread(text + size, 1, capacity - size, file);
        ended = ferror(file) || size < capacity;
    }
    if (!file || ferror(file) || !ended) {
        fprintf(stderr, "%s: %s\n", path,
                file && !ended ? "too large for a script" : strerror(errno));
        text = NULL;
    }
    if (file)
        fclose(file);
    *ret_size = size;
    return text;
}

int script_parse(const char *path, struct script *ret_script)
{
    struct parser parser = { 0 };

    memset(ret_script, 0, sizeof(*ret_script));
    ret_script->path = path;
    ret_script->tasks[0] = "main";
    ret_script->task_count = 1;
    parser.script = ret_script;
    parser.lexer.script = ret_script;
    parser.lexer.line = 1;
    parser.lexer.text = read_file(ret_script, path, &parser.lexer.size);
    if (!parser.lexer.text || parse_header(ret_script, parser.lexer.text) != 0 ||
        parse_lines(&parser) != 0) {
        script_destroy(ret_script);
        return -1;
    }
    return 0;
}
