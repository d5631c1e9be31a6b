/*
 * parse.c - a script's statements, one a line
 *
 *   NAME(args) [= result]              --- SIGNAL [{...}] ---           (belongs to the line above)
 *   repeat N: NAME(args) [= result]    repeat until result: NAME(args)
 *   NAME = expr                        check expr == expr
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

#define SCRIPT_MAX_SIZE (16u << 20)

struct block {
    struct block *next;
    _Alignas(16) char memory[];
};

void *script_allocate(struct script *script, size_t size)
{
    struct block *block = calloc(1, sizeof(*block) + size);

    if (!block)
        abort();
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

static int expected(struct parser *parser, const char *what)
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
            return expected(parser, "an errno");
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

static int parse_call(struct parser *parser, struct statement *statement)
{
    const struct call *call;

    if (parser->token.kind != TOKEN_NAME)
        return expected(parser, "a call");
    statement->name = parser->token.name;
    statement->call = call_find(statement->name);
    if (statement->call < 0)
        return lex_error(parser->script, parser->token.place, "unknown call '%s'", statement->name);
    call = call_get(statement->call);
    if (parser_advance(parser) != 0 || parser_mark(parser, '(') != 0)
        return -1;
    while (!parser_at_mark(parser, ')')) {
        if (statement->argument_count > 0 && parser_mark(parser, ',') != 0)
            return -1;
        if (statement->argument_count == strlen(call->kinds))
            return lex_error(parser->script, parser->token.place, "too many arguments for %s",
                             call->name);
        statement->arguments[statement->argument_count] = parse_expr(parser);
        if (!statement->arguments[statement->argument_count])
            return -1;
        statement->argument_count++;
    }
    if (statement->argument_count < strlen(call->kinds) &&
        !(call->kinds[statement->argument_count] == 'd')) /* fcntl's and ioctl's last one */
        return lex_error(parser->script, parser->token.place, "too few arguments for %s",
                         call->name);
    if (parser_advance(parser) != 0)
        return -1;
    if (!parser_at_mark(parser, '='))
        return 0;
    return parser_advance(parser) != 0 ? -1 : parse_wanted(parser, &statement->wanted);
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
        return expected(parser, "'=='");
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

    if (!previous || previous->kind == STATEMENT_SET || previous->kind == STATEMENT_CHECK)
        return lex_error(parser->script, parser->token.place, "no call stands before this signal");
    if (previous->signal_count == SCRIPT_MAX_SIGNALS)
        return lex_error(parser->script, parser->token.place, "too many signals for one call");
    wanted = &previous->signals[previous->signal_count];
    wanted->place = parser->token.place;
    if (parser_advance(parser) != 0)
        return -1;
    wanted->number = parser->token.kind == TOKEN_NAME ? constant_signal(parser->token.name) : 0;
    if (wanted->number == 0)
        return expected(parser, "the name of a signal");
    if (parser_advance(parser) != 0)
        return -1;
    if (parser_at_mark(parser, '{')) {
        wanted->info = parse_expr(parser);
        if (!wanted->info)
            return -1;
    }
    if (parser->token.kind != TOKEN_RULE)
        return expected(parser, "'---'");
    previous->signal_count++;
    return parser_advance(parser);
}

static int parse_statement(struct parser *parser, struct statement *statement)
{
    struct token first = parser->token;
    struct lexer saved = parser->lexer;

    statement->place = first.place;
    if (first.kind != TOKEN_NAME)
        return expected(parser, "a call");
    if (parser_advance(parser) != 0)
        return -1;
    if (strcmp(first.name, "repeat") == 0)
        return parse_repeat(parser, statement);
    if (strcmp(first.name, "check") == 0)
        return parse_check(parser, statement);
    if (!parser_at_mark(parser, '('))
        return parse_set(parser, statement, &first);
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

        if (parser->token.kind == TOKEN_NEWLINE) {
            if (parser_advance(parser) != 0)
                return -1;
            continue;
        }
        if (parser->token.kind == TOKEN_RULE) {
            if (parse_signal(parser, script->count > 0 ? last : NULL) != 0)
                return -1;
        } else {
            last = add_statement(parser, &capacity);
            if (parse_statement(parser, last) != 0)
                return -1;
            set_text(parser, last, start, parser->last_end);
        }
        if (parser->token.kind != TOKEN_NEWLINE && parser->token.kind != TOKEN_END)
            return expected(parser, "the end of the line");
    }
    return 0;
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

/* "# on: kernel" and its like: comment lines of their own, anywhere. */
static int parse_header(struct script *script, const char *text)
{
    uint32_t number = 0;

    script->sides = SIDE_KERNEL | SIDE_EMU;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        struct place place = { ++number, 1 };
        char word[16];

        line += *line == '\n';
        if (sscanf(line, "# on: %15s", word) == 1 && parse_sides(script, place, word) != 0)
            return -1;
        if (strncmp(line, "# native: yes", 13) == 0)
            script->native = true;
        if (strncmp(line, "# signals: any", 14) == 0)
            script->signals = true;
        if (strncmp(line, "# kernel:", 9) == 0 &&
            sscanf(line, "# kernel: %d.%d", &script->kernel[0], &script->kernel[1]) != 2)
            return lex_error(script, place, "expected a version such as 6.17");
    }
    return 0;
}

static char *read_file(struct script *script, const char *path, size_t *ret_size)
{
    FILE *file = fopen(path, "re");
    char *text;

    if (!file) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        return NULL;
    }
    text = script_allocate(script, SCRIPT_MAX_SIZE + 1);
    *ret_size = fread(text, 1, SCRIPT_MAX_SIZE + 1, file);
    if (ferror(file) || *ret_size > SCRIPT_MAX_SIZE) {
        fprintf(stderr, "%s: %s\n", path,
                ferror(file) ? strerror(errno) : "too large for a script");
        text = NULL;
    }
    fclose(file);
    return text;
}

int script_parse(const char *path, struct script *ret_script)
{
    struct parser parser = { 0 };

    memset(ret_script, 0, sizeof(*ret_script));
    ret_script->path = path;
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
