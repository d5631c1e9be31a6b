/*
 * lex.c - a script's characters as tokens: names, numbers, strings with C's escapes, marks
 *
 * Leaves out: strace's cut strings ("abc"...), character constants, floating point.
 */
#include "interpret/lex.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int lex_error(const struct script *script, struct place place, const char *format, ...)
{
    va_list arguments;

    fprintf(stderr, "%s:%u:%u: ", script->path, place.line, place.column);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return -1;
}

static int peek(const struct lexer *lexer, size_t ahead)
{
    size_t at = lexer->at + ahead;

    return at < lexer->size ? (unsigned char)lexer->text[at] : -1;
}

static bool is_name(int c)
{
    return isalnum(c) || c == '_';
}

static void skip_blanks(struct lexer *lexer)
{
    for (;;) {
        int c = peek(lexer, 0);

        if (c == '#') {
            while (peek(lexer, 0) != '\n' && peek(lexer, 0) != -1)
                lexer->at++;
        } else if (c == '\n' && lexer->open_brackets > 0) {
            lexer->at++;
            lexer->line++;
            lexer->line_start = lexer->at;
        } else if (c == ' ' || c == '\t' || c == '\r') {
            lexer->at++;
        } else {
            return;
        }
    }
}

static int hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The character behind a backslash and what follows it. Returns its value, -1 when unknown. */
static int escape(struct lexer *lexer)
{
    static const char letters[] = "abefnrtv\\\"'?";
    static const char values[] = "\a\b\033\f\n\r\t\v\\\"'?";
    int c = peek(lexer, 0);
    int value = 0;
    const char *letter;

    if (c >= '0' && c <= '7') {
        for (int i = 0; i < 3 && peek(lexer, 0) >= '0' && peek(lexer, 0) <= '7'; i++)
            value = value * 8 + (lexer->text[lexer->at++] - '0');
        return value <= 255 ? value : -1;
    }
    lexer->at++;
    if (c == 'x') {
        if (hex_digit(peek(lexer, 0)) < 0)
            return -1;
        for (int i = 0; i < 2 && hex_digit(peek(lexer, 0)) >= 0; i++)
            value = value * 16 + hex_digit(lexer->text[lexer->at++]);
        return value;
    }
    letter = c > 0 ? strchr(letters, c) : NULL;
    return letter ? (unsigned char)values[letter - letters] : -1;
}

static int lex_string(struct lexer *lexer, struct token *token)
{
    size_t most = 0;
    uint8_t *bytes;

    lexer->at++;
    /* Never longer than it is written. */
    while (peek(lexer, most) != -1 && peek(lexer, most) != '\n' && peek(lexer, most) != '"')
        most += peek(lexer, most) == '\\' ? 2 : 1;
    bytes = script_allocate(lexer->script, most + 1);
    token->kind = TOKEN_BYTES;
    token->bytes = bytes;
    while (peek(lexer, 0) != '"') {
        int c = peek(lexer, 0);

        if (c == -1 || c == '\n')
            return lex_error(lexer->script, token->place, "this string does not end");
        lexer->at++;
        if (c == '\\' && (c = escape(lexer)) < 0)
            return lex_error(lexer->script, token->place, "unknown escape in this string");
        bytes[token->size++] = (uint8_t)c;
    }
    lexer->at++;
    return 0;
}

static int lex_number(struct lexer *lexer, struct token *token)
{
    char digits[40];
    size_t length = 0;
    char *end;

    while (is_name(peek(lexer, length)))
        length++;
    token->kind = TOKEN_NUMBER;
    if (length >= sizeof(digits))
        return lex_error(lexer->script, token->place, "this number is too long");
    memcpy(digits, lexer->text + lexer->at, length);
    digits[length] = '\0';
    errno = 0;
    token->number = (int64_t)strtoull(digits, &end, 0);
    if (*end != '\0' || errno != 0)
        return lex_error(lexer->script, token->place, "'%s' is not a number", digits);
    lexer->at += length;
    return 0;
}

static void lex_name(struct lexer *lexer, struct token *token)
{
    size_t length = 0;
    char *name;

    while (is_name(peek(lexer, length)))
        length++;
    name = script_allocate(lexer->script, length + 1);
    memcpy(name, lexer->text + lexer->at, length);
    name[length] = '\0';
    token->kind = TOKEN_NAME;
    token->name = name;
    lexer->at += length;
}

/* <unfinished ...> or <... NAME resumed>, as strace writes a call that others come in between. */
static bool lex_split(struct lexer *lexer, struct token *token)
{
    static const char unfinished[] = "<unfinished ...>";
    static const char before[] = "<... ";
    static const char behind[] = " resumed>";
    const char *text = lexer->text + lexer->at;
    size_t left = lexer->size - lexer->at;
    size_t at = strlen(before);
    size_t length = 0;
    char *name;

    if (left >= strlen(unfinished) && memcmp(text, unfinished, strlen(unfinished)) == 0) {
        token->kind = TOKEN_UNFINISHED;
        lexer->at += strlen(unfinished);
        lexer->open_brackets = 0;
        return true;
    }
    if (left < at || memcmp(text, before, at) != 0)
        return false;
    while (is_name(peek(lexer, at + length)))
        length++;
    if (left < at + length + strlen(behind) ||
        memcmp(text + at + length, behind, strlen(behind)) != 0)
        return false;
    name = script_allocate(lexer->script, length + 1);
    memcpy(name, text + at, length);
    token->kind = TOKEN_RESUMED;
    token->name = name;
    lexer->at += at + length + strlen(behind);
    lexer->open_brackets = 1;
    return true;
}

static int lex_mark(struct lexer *lexer, struct token *token, int c)
{
    static const struct {
        const char *text;
        enum token_kind kind;
    } longer[] = { { "---", TOKEN_RULE },
                   { "<<", TOKEN_SHIFT_LEFT },
                   { ">>", TOKEN_SHIFT_RIGHT },
                   { "==", TOKEN_EQUAL },
                   { "=>", TOKEN_ARROW } };

    if (c == '<' && lex_split(lexer, token))
        return 0;
    for (size_t i = 0; i < sizeof(longer) / sizeof(longer[0]); i++) {
        size_t length = strlen(longer[i].text);

        if (lexer->size - lexer->at >= length &&
            memcmp(lexer->text + lexer->at, longer[i].text, length) == 0) {
            token->kind = longer[i].kind;
            lexer->at += length;
            return 0;
        }
    }
    if (c == 0 || !strchr("()[]{},=|&+-*/%~?:.^", c))
        return lex_error(lexer->script, token->place,
                         isprint(c) ? "unexpected character '%c'" : "unexpected byte \\x%02x", c);
    if (strchr("([{", c))
        lexer->open_brackets++;
    if (strchr(")]}", c) && lexer->open_brackets > 0)
        lexer->open_brackets--;
    token->kind = TOKEN_MARK;
    token->mark = (char)c;
    lexer->at++;
    return 0;
}

int lex_next(struct lexer *lexer, struct token *ret_token)
{
    struct token token = { 0 };
    int result = 0;
    int c;

    skip_blanks(lexer);
    c = peek(lexer, 0);
    token.start = lexer->at;
    token.place.line = lexer->line;
    token.place.column = (uint32_t)(lexer->at - lexer->line_start) + 1;
    if (c == -1) {
        token.kind = TOKEN_END;
    } else if (c == '\n') {
        token.kind = TOKEN_NEWLINE;
        lexer->at++;
        lexer->line++;
        lexer->line_start = lexer->at;
    } else if (c == '"') {
        result = lex_string(lexer, &token);
    } else if (isdigit(c)) {
        result = lex_number(lexer, &token);
    } else if (is_name(c)) {
        lex_name(lexer, &token);
    } else {
        result = lex_mark(lexer, &token, c);
    }
    token.end = lexer->at;
    *ret_token = token;
    return result;
}
