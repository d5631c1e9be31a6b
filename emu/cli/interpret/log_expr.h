/*
 * log_expr.h - arguments in strace's text as trees
 */
#ifndef INTERPRET_LOG_EXPR_H
#define INTERPRET_LOG_EXPR_H

#include "interpret/log_lex.h"

/* Reads one expression. Returns NULL after a message. */
struct log_expr *log_read_expr(struct log_cursor *cursor);

/*
 * Reads expressions up to the bracket that closes them, which it takes too. In an argument list an
 * argument may have a name (flags=...) and, as strace prints results, a word before it (in [3]).
 *
 * Returns 0; -1 after a message. *ret_items lives as long as the log.
 */
int log_read_items(struct log_cursor *cursor, char close, struct log_expr ***ret_items,
                   size_t *ret_count);

#endif
