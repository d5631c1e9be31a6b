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
    struct {
        bool gone;       /* exited */
        bool unfinished; /* it is in a call that isn't resumed yet, ... */
        size_t start;    /* ... which begins in this statement */
    } tasks[SCRIPT_MAX_TASKS];
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

/* ---- parse_tasks.c ---- */

/* "[NAME]" in front of a statement. Returns 0, -1 after a message. */
int parse_prefix(struct parser *parser, uint32_t *ret_task);

/* True when the statement is none of calls.h: `fork() = NAME` and so on; name is its first token.
 */
bool is_task_statement(const char *name);
int parse_task_statement(struct parser *parser, struct statement *statement,
                         const struct token *name);

/* A task that is in a call can do nothing else. Returns 0, -1 after a message. */
int parser_check_free(struct parser *parser, uint32_t task, struct place place);

/* Notes that the statement's call goes on. Returns 0, -1 after a message. */
int parse_unfinished(struct parser *parser, struct statement *statement);

/* The first part of <... NAME resumed>: whose call it is. Returns 0, -1 after a message. */
int parse_resumed(struct parser *parser, struct statement *statement);

/* At the end of the script: calls that are never resumed. Returns 0, -1 after a message. */
int parse_tasks_end(struct parser *parser);

/* ---- parse.c ---- */

int parser_expected(struct parser *parser, const char *what);

/* Too few arguments for the call? Returns 0, -1 after a message. */
int parser_enough_arguments(struct parser *parser, const struct statement *statement,
                            struct place place);

#endif
