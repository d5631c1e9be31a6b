/*
 * lex.h - a script's characters as tokens
 *
 * Blanks and comments ("#" to the end of the line) vanish; the end of a line is a token unless a
 * bracket is open. Header comments ("# on: ...") are found by the parser in the text itself.
 */
#ifndef INTERPRET_LEX_H
#define INTERPRET_LEX_H

#include "interpret/script.h"

enum token_kind {
    TOKEN_END,
    TOKEN_NEWLINE,
    TOKEN_NUMBER,
    TOKEN_NAME,
    TOKEN_BYTES,
    TOKEN_MARK,       /* one character, in `mark` */
    TOKEN_SHIFT_LEFT, /* << */
    TOKEN_SHIFT_RIGHT,
    TOKEN_EQUAL,      /* == */
    TOKEN_ARROW,      /* => */
    TOKEN_RULE,       /* --- */
    TOKEN_UNFINISHED, /* <unfinished ...>: the brackets that are open are closed elsewhere */
    TOKEN_RESUMED,    /* <... NAME resumed>: inside of the bracket behind NAME */
};

struct token {
    enum token_kind kind;
    struct place place;
    size_t start; /* offset in the text */
    size_t end;
    char mark;
    int64_t number;
    const char *name;     /* NAME, RESUMED */
    const uint8_t *bytes; /* BYTES, decoded */
    size_t size;
};

struct lexer {
    struct script *script; /* owns names and strings */
    const char *text;
    size_t size;
    size_t at;
    size_t line_start;
    uint32_t line;
    int open_brackets;
};

/* Reads the next token. Returns 0, or -1 after a message. */
int lex_next(struct lexer *lexer, struct token *ret_token);

/* Prints "path:line:column: message" on stderr. Returns -1, for `return lex_error(...)`. */
__attribute__((format(printf, 3, 4))) int lex_error(const struct script *script, struct place place,
                                                    const char *format, ...);

#endif
