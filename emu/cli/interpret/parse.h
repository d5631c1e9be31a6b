/*
 * parse.h - between parse.c (statements) and parse_expr.c (expressions)
 */
#ifndef INTERPRET_PARSE_H
#define INTERPRET_PARSE_H

#include "interpret/lex.h"

struct parser {
    struct script *script;
    struct lexer lexer;
    struct token token; /* the one to be read next */
    size_t last_end;    /* where the one before it ended */
    int depth;
};

/* Moves to the next token. Returns 0, -1 after a message. */
int parser_advance(struct parser *parser);

/* True when the next token is this mark. */
bool parser_at_mark(const struct parser *parser, char mark);

/* Requires this mark and steps over it. Returns 0, -1 after a message. */
int parser_mark(struct parser *parser, char mark);

/* "a name", "'=='", ...: what the next token is, for messages. */
const char *parser_found(const struct parser *parser, char scratch[80]);

/* Reads an expression, `=>` included. Returns NULL after a message. */
struct expr *parse_expr(struct parser *parser);

/* Reads one operand: what may stand behind "= " without brackets around it. */
struct expr *parse_sum(struct parser *parser);

#endif
