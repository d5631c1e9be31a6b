/*
 * parse_expr.c - expressions: numbers, names, strings, lists, structs, functions, C's operators
 *
 *   expr    = or [ "=>" or ]                       sum = product { ("+" | "-") product }
 *   or      = shift { ("|" | "&") shift }          product = unary { ("*" | "/" | "%") unary }
 *   shift   = sum { ("<<" | ">>") sum }            unary = [ "-" | "~" ] operand
 *   operand = NUMBER | NAME | "_" | STRING | NAME "(" list ")" | "(" expr ")"
 *           | "[" list "]" | "{" NAME "=" expr , ... "}"
 *
 * `|` and `&` have one rank: scripts join flags with them and nothing else.
 */
#include "interpret/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interpret/constants.h"

static struct expr *new_expr(struct parser *parser, enum expr_kind kind, struct place place)
{
    struct expr *expr = script_allocate(parser->script, sizeof(*expr));

    memset(expr, 0, sizeof(*expr));
    expr->kind = kind;
    expr->place = place;
    return expr;
}

static void set_items(struct parser *parser, struct expr *expr, struct expr *const *items,
                      size_t count)
{
    expr->items = script_allocate(parser->script, (count + 1) * sizeof(expr->items[0]));
    for (size_t i = 0; i < count; i++) {
        expr->items[i] = items[i];
        expr->height = items[i]->height >= expr->height ? items[i]->height + 1 : expr->height;
    }
    expr->count = count;
}

static struct expr *join(struct parser *parser, enum expr_kind kind, int64_t operation,
                         struct expr *left, struct expr *right)
{
    struct expr *const items[2] = { left, right };
    struct expr *expr = new_expr(parser, kind, left->place);

    expr->number = operation;
    set_items(parser, expr, items, 2);
    return expr;
}

static struct expr *wrap(struct parser *parser, enum expr_kind kind, struct place place,
                         struct expr *inner)
{
    struct expr *expr = new_expr(parser, kind, place);

    set_items(parser, expr, &inner, 1);
    return expr;
}

const char *parser_found(const struct parser *parser, char scratch[80])
{
    const struct token *token = &parser->token;

    if (token->kind == TOKEN_END)
        return "the end of the file";
    if (token->kind == TOKEN_NEWLINE)
        return "the end of the line";
    snprintf(scratch, 80, "'%.*s'",
             (int)(token->end - token->start > 60 ? 60 : token->end - token->start),
             parser->lexer.text + token->start);
    return scratch;
}

int parser_advance(struct parser *parser)
{
    parser->last_end = parser->token.end;
    return lex_next(&parser->lexer, &parser->token);
}

bool parser_at_mark(const struct parser *parser, char mark)
{
    return parser->token.kind == TOKEN_MARK && parser->token.mark == mark;
}

int parser_mark(struct parser *parser, char mark)
{
    char scratch[80];

    if (!parser_at_mark(parser, mark))
        return lex_error(parser->script, parser->token.place, "expected '%c', found %s", mark,
                         parser_found(parser, scratch));
    return parser_advance(parser);
}

/* Reads "a, b, c" up to `close`, which it takes too; with field names when `expr` is a struct. */
static int parse_items(struct parser *parser, struct expr *expr, char close)
{
    bool named = expr->kind == EXPR_STRUCT;
    struct expr **items = calloc(SCRIPT_MAX_ITEMS, sizeof(struct expr *));
    const char **fields = calloc(SCRIPT_MAX_ITEMS, sizeof(char *));
    size_t count = 0;
    char scratch[80];
    int result = -1;

    if (!items || !fields)
        abort();
    while (!parser_at_mark(parser, close)) {
        if (count > 0 && parser_mark(parser, ',') != 0)
            goto out;
        if (count == SCRIPT_MAX_ITEMS) {
            lex_error(parser->script, parser->token.place, "too many items");
            goto out;
        }
        if (named) {
            if (parser->token.kind != TOKEN_NAME) {
                lex_error(parser->script, parser->token.place, "expected a field's name, found %s",
                          parser_found(parser, scratch));
                goto out;
            }
            fields[count] = parser->token.name;
            if (parser_advance(parser) != 0 || parser_mark(parser, '=') != 0)
                goto out;
        }
        items[count] = parse_expr(parser);
        if (!items[count])
            goto out;
        count++;
    }
    if (parser_advance(parser) != 0)
        goto out;
    set_items(parser, expr, items, count);
    if (named) {
        expr->fields = script_allocate(parser->script, (count + 1) * sizeof(char *));
        memcpy(expr->fields, fields, count * sizeof(char *));
    }
    result = 0;
out:
    free(items);
    free(fields);
    return result;
}

static struct expr *parse_brackets(struct parser *parser, enum expr_kind kind, char close)
{
    struct expr *expr = new_expr(parser, kind, parser->token.place);

    if (parser_advance(parser) != 0 || parse_items(parser, expr, close) != 0)
        return NULL;
    return expr;
}

static struct expr *parse_name(struct parser *parser)
{
    struct expr *expr = new_expr(parser, EXPR_NAME, parser->token.place);

    expr->name = parser->token.name;
    if (parser_advance(parser) != 0)
        return NULL;
    if (parser_at_mark(parser, '(')) {
        expr->kind = EXPR_FUNCTION;
        if (parser_advance(parser) != 0 || parse_items(parser, expr, ')') != 0)
            return NULL;
    } else if (strcmp(expr->name, "_") == 0) {
        expr->kind = EXPR_ANY;
    } else if (strcmp(expr->name, "NULL") == 0) {
        expr->kind = EXPR_NUMBER;
    } else if (constant_value(expr->name, &expr->number)) {
        expr->kind = EXPR_NUMBER;
    }
    return expr;
}

static struct expr *parse_group(struct parser *parser)
{
    struct place place = parser->token.place;
    struct expr *inner;

    if (parser_advance(parser) != 0)
        return NULL;
    inner = parse_expr(parser);
    if (!inner || parser_mark(parser, ')') != 0)
        return NULL;
    return wrap(parser, EXPR_GROUP, place, inner);
}

static struct expr *parse_operand(struct parser *parser)
{
    const struct token token = parser->token;
    struct expr *expr;
    char scratch[80];

    if (token.kind == TOKEN_NAME)
        return parse_name(parser);
    if (token.kind == TOKEN_NUMBER || token.kind == TOKEN_BYTES) {
        expr = new_expr(parser, token.kind == TOKEN_NUMBER ? EXPR_NUMBER : EXPR_BYTES, token.place);
        expr->number = token.number;
        expr->bytes = token.bytes;
        expr->size = token.size;
        return parser_advance(parser) == 0 ? expr : NULL;
    }
    if (parser_at_mark(parser, '['))
        return parse_brackets(parser, EXPR_LIST, ']');
    if (parser_at_mark(parser, '{'))
        return parse_brackets(parser, EXPR_STRUCT, '}');
    if (parser_at_mark(parser, '('))
        return parse_group(parser);
    lex_error(parser->script, token.place, "expected a value, found %s",
              parser_found(parser, scratch));
    return NULL;
}

static struct expr *parse_unary(struct parser *parser)
{
    struct place place = parser->token.place;
    bool negate = parser_at_mark(parser, '-');
    struct expr *inner;

    if (!negate && !parser_at_mark(parser, '~'))
        return parse_operand(parser);
    if (parser_advance(parser) != 0)
        return NULL;
    inner = parse_operand(parser);
    return inner ? wrap(parser, negate ? EXPR_NEGATE : EXPR_INVERT, place, inner) : NULL;
}

/* The operator at the next token when its rank is this one (0 binds loosest), else 0. */
static int operator_at(const struct parser *parser, int rank)
{
    static const char *const marks[] = { "|&", "<>", "+-", "*/%" };
    const struct token *token = &parser->token;
    int operation = token->kind == TOKEN_SHIFT_LEFT    ? '<'
                    : token->kind == TOKEN_SHIFT_RIGHT ? '>'
                    : token->kind == TOKEN_MARK        ? token->mark
                                                       : 0;

    return operation != 0 && strchr(marks[rank], operation) ? operation : 0;
}

static struct expr *parse_rank(struct parser *parser, int rank)
{
    struct expr *left = rank == 3 ? parse_unary(parser) : parse_rank(parser, rank + 1);

    while (left) {
        int operation = operator_at(parser, rank);
        struct expr *right;

        if (operation == 0)
            return left;
        if (left->height >= SCRIPT_MAX_HEIGHT) {
            lex_error(parser->script, parser->token.place, "too many operands");
            return NULL;
        }
        if (parser_advance(parser) != 0)
            return NULL;
        right = rank == 3 ? parse_unary(parser) : parse_rank(parser, rank + 1);
        if (!right)
            return NULL;
        left = join(parser, EXPR_BINARY, operation, left, right);
    }
    return NULL;
}

struct expr *parse_sum(struct parser *parser)
{
    return parse_rank(parser, 0);
}

struct expr *parse_expr(struct parser *parser)
{
    struct expr *left;
    struct expr *right;

    if (++parser->depth > SCRIPT_MAX_DEPTH) {
        lex_error(parser->script, parser->token.place, "nested too deeply");
        return NULL;
    }
    left = parse_rank(parser, 0);
    if (left && parser->token.kind == TOKEN_ARROW) {
        if (parser_advance(parser) != 0)
            return NULL;
        right = parse_rank(parser, 0);
        left = right ? join(parser, EXPR_ARROW, 0, left, right) : NULL;
    }
    parser->depth--;
    return left;
}
