/*
 * log_expr.c - arguments in strace's text as trees
 *
 *   item    = [ NAME "=" ] [ "in" | "out" | ... ] expr
 *   expr    = sum [ ("=>" | "->") sum ]
 *   sum     = unary { ("|" | "*" | "+" | "-" | "&" | "&&" | "==" | "<<" | "or") unary }
 *   unary   = [ "-" | "~" | "!" | "&" ] operand
 *   operand = NUMBER | STRING [ "..." ] | "@" STRING | NAME [ "(" items ")" ] | "[" items "]"
 *           | "{" items "}" | "..." | "?"          an annotation <...> may follow each
 *
 * Items are parted by commas, in sets (of select, of signals) by blanks. Operators have one rank
 * and go from left to right: strace joins flags, and writes sizes as 8*1024.
 */
#include "interpret/log_expr.h"

#include <ctype.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/vm_sockets.h>

#include "interpret/constants.h"
#include "interpret/log_blocks.h"

static struct log_expr *new_expr(struct log_cursor *cursor, enum log_expr_kind kind, size_t at)
{
    struct log_expr *expr = log_allocate(cursor->log, sizeof(*expr));

    if (!expr) {
        log_no_memory(cursor);
        return NULL;
    }
    expr->kind = kind;
    expr->place = log_place(cursor, at);
    return expr;
}

/* Constants that strace names and scripts don't. */
static bool log_constant(const char *name, int64_t *ret_value)
{
    static const struct {
        const char *name;
        int64_t value;
    } more[] = {
        { "NULL", 0 },
        { "O_LARGEFILE", 0100000 }, /* glibc defines it as 0, since nothing else is left */
        { "SO_RCVTIMEO_OLD", SO_RCVTIMEO },
        { "SO_SNDTIMEO_OLD", SO_SNDTIMEO },
        { "POLLMSG", 0x400 }, /* include/uapi/asm-generic/poll.h; <poll.h> hides some of these */
        { "POLLREMOVE", 0x1000 },
        { "EPOLLMSG", 0x400 },
        { "EPOLLNVAL", 0x20 },
        { "CLONE_VM", CLONE_VM },
        { "CLONE_FS", CLONE_FS },
        { "CLONE_FILES", CLONE_FILES },
        { "CLONE_SIGHAND", CLONE_SIGHAND },
        { "CLONE_VFORK", CLONE_VFORK },
        { "CLONE_THREAD", CLONE_THREAD },
        { "VMADDR_CID_ANY", VMADDR_CID_ANY },
        { "VMADDR_CID_HYPERVISOR", VMADDR_CID_HYPERVISOR },
        { "VMADDR_CID_LOCAL", VMADDR_CID_LOCAL },
        { "VMADDR_CID_HOST", VMADDR_CID_HOST },
        { "VMADDR_PORT_ANY", VMADDR_PORT_ANY },
    };

    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
        if (strcmp(more[i].name, name) == 0) {
            *ret_value = more[i].value;
            return true;
        }
    }
    return constant_value(name, ret_value);
}

static struct log_expr *read_name(struct log_cursor *cursor)
{
    struct log_expr *expr = new_expr(cursor, LOG_NAME, cursor->at);
    size_t size = log_word(cursor);

    if (!expr)
        return NULL;
    expr->name = log_copy_text(cursor->log, cursor->text->text + cursor->at, size);
    if (!expr->name) {
        log_no_memory(cursor);
        return NULL;
    }
    cursor->at += size;
    if (log_accept(cursor, "(")) {
        expr->kind = LOG_FUNCTION;
        return log_read_items(cursor, ')', &expr->items, &expr->count) == 0 ? expr : NULL;
    }
    if (log_constant(expr->name, &expr->number))
        expr->kind = LOG_NUMBER;
    return expr;
}

static struct log_expr *read_brackets(struct log_cursor *cursor, enum log_expr_kind kind,
                                      char close)
{
    struct log_expr *expr = new_expr(cursor, kind, cursor->at);

    if (!expr)
        return NULL;
    cursor->at++;
    return log_read_items(cursor, close, &expr->items, &expr->count) == 0 ? expr : NULL;
}

static struct log_expr *read_bytes(struct log_cursor *cursor)
{
    struct log_expr *expr = new_expr(cursor, LOG_BYTES, cursor->at);

    if (!expr)
        return NULL;
    expr->is_abstract = log_accept(cursor, "@");
    if (log_peek(cursor) != '"') {
        log_fail(cursor, cursor->at, "expected a string behind '@'");
        return NULL;
    }
    if (log_read_string(cursor, &expr->bytes, &expr->size, &expr->cut) != 0)
        return NULL;
    return expr;
}

static struct log_expr *read_bare(struct log_cursor *cursor)
{
    struct log_expr *expr;
    char c = log_peek(cursor);

    if (isdigit((unsigned char)c)) {
        expr = new_expr(cursor, LOG_NUMBER, cursor->at);
        if (!expr || log_read_number(cursor, &expr->number, &expr->hex) != 0)
            return NULL;
        return expr;
    }
    if (c == '"' || c == '@')
        return read_bytes(cursor);
    if (log_word(cursor) > 0)
        return read_name(cursor);
    if (c == '[')
        return read_brackets(cursor, LOG_LIST, ']');
    if (c == '{')
        return read_brackets(cursor, LOG_STRUCT, '}');
    expr = new_expr(cursor, LOG_MORE, cursor->at);
    if (expr && (log_accept(cursor, "...") || log_accept(cursor, "?")))
        return expr;
    if (expr && cursor->at == cursor->end)
        log_fail(cursor, cursor->at, "expected a value, found the end of the line");
    else if (expr)
        log_fail(cursor, cursor->at, "expected a value, found '%c'",
                 isprint((unsigned char)c) ? c : '?');
    return NULL;
}

static struct log_expr *read_operand(struct log_cursor *cursor)
{
    struct log_expr *expr = read_bare(cursor);
    size_t start;
    size_t end;

    if (!expr || !log_at_annotation(cursor))
        return expr;
    if (log_annotation(cursor, &start, &end) != 0)
        return NULL;
    expr->annotation = log_copy_text(cursor->log, cursor->text->text + start, end - start);
    if (!expr->annotation) {
        log_no_memory(cursor);
        return NULL;
    }
    return expr;
}

static struct log_expr *join(struct log_cursor *cursor, enum log_expr_kind kind, int64_t operation,
                             size_t at, struct log_expr *left, struct log_expr *right)
{
    struct log_expr *expr = left ? new_expr(cursor, kind, at) : NULL;

    if (!expr || (kind != LOG_UNARY && !right))
        return NULL;
    expr->items = log_allocate(cursor->log, 2 * sizeof(expr->items[0]));
    if (!expr->items) {
        log_no_memory(cursor);
        return NULL;
    }
    expr->number = operation;
    expr->items[0] = left;
    expr->items[1] = right;
    expr->count = right ? 2 : 1;
    return expr;
}

static struct log_expr *read_unary(struct log_cursor *cursor)
{
    size_t start = cursor->at;
    char c = log_peek(cursor);

    if (c != '-' && c != '~' && c != '!' && c != '&') /* &sin6_addr */
        return read_operand(cursor);
    cursor->at++;
    return join(cursor, LOG_UNARY, c, start, read_operand(cursor), NULL);
}

/* Steps over an operator. Returns it, or 0. */
static char accept_operator(struct log_cursor *cursor)
{
    static const struct {
        const char *text;
        char operation;
    } operators[] = { { "||", 'l' }, { "&&", 'l' }, { "==", 'l' }, { "<<", '<' }, { "|", '|' },
                      { "*", '*' },  { "+", '+' },  { "&", '&' },  { "or ", 'o' } };

    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        if (log_accept(cursor, operators[i].text))
            return operators[i].operation;
    }
    if (!log_at(cursor, "->") && log_accept(cursor, "-"))
        return '-';
    return 0;
}

static struct log_expr *read_sum(struct log_cursor *cursor)
{
    size_t start = cursor->at;
    struct log_expr *left = read_unary(cursor);

    for (int count = 0; left; count++) {
        size_t before = cursor->at;
        char operation;

        if (log_blanks(cursor) != 0)
            return NULL;
        operation = accept_operator(cursor);
        if (operation == 0) {
            cursor->at = before;
            return left;
        }
        if (count == LOG_MAX_JOINED) {
            log_fail(cursor, before, "too many operands");
            return NULL;
        }
        if (log_blanks(cursor) != 0)
            return NULL;
        left = join(cursor, LOG_JOIN, operation, start, left, read_unary(cursor));
    }
    return NULL;
}

struct log_expr *log_read_expr(struct log_cursor *cursor)
{
    size_t start = cursor->at;
    struct log_expr *left;

    if (cursor->depth >= LOG_MAX_DEPTH) {
        log_fail(cursor, start, "nested too deeply");
        return NULL;
    }
    cursor->depth++;
    left = read_sum(cursor);
    if (!left || log_blanks(cursor) != 0)
        return NULL;
    if (log_accept(cursor, "=>") || log_accept(cursor, "->")) {
        if (log_blanks(cursor) != 0)
            return NULL;
        left = join(cursor, LOG_ARROW, 0, start, left, read_sum(cursor));
        if (!left || log_blanks(cursor) != 0)
            return NULL;
    }
    cursor->depth--;
    return left;
}

/* "fd=" before a value: its name, or NULL when there is none or no memory (*ret_failed). */
static const char *read_field(struct log_cursor *cursor, bool *ret_failed)
{
    size_t size = log_word(cursor);
    const char *text = cursor->text->text + cursor->at;
    const char *name;

    *ret_failed = false;
    if (size == 0 || cursor->at + size >= cursor->end || text[size] != '=' ||
        (cursor->at + size + 1 < cursor->end && (text[size + 1] == '=' || text[size + 1] == '>')))
        return NULL;
    name = log_copy_text(cursor->log, text, size);
    if (!name) {
        log_no_memory(cursor);
        *ret_failed = true;
    }
    cursor->at += size + 1;
    return name;
}

static struct log_expr *read_item(struct log_cursor *cursor)
{
    struct log_expr *expr;
    const char *name;
    bool failed;

    if (log_blanks(cursor) != 0)
        return NULL;
    name = read_field(cursor, &failed);
    if (failed || log_blanks(cursor) != 0)
        return NULL;
    if (!name) { /* select: (in [3], out [4], left {...}) */
        static const char *const words[] = { "in", "out", "except", "left" };

        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
            size_t at = cursor->at + strlen(words[i]);

            if (log_at(cursor, words[i]) && at < cursor->end && cursor->text->text[at] == ' ') {
                name = words[i];
                cursor->at = at;
            }
        }
        if (log_blanks(cursor) != 0)
            return NULL;
    }
    expr = log_read_expr(cursor);
    if (expr)
        expr->field = name;
    return expr;
}

/* A list that grows outside of the log's memory, which is never given back in part. */
struct item_list {
    struct log_expr **items;
    size_t count;
    size_t room;
};

static int add_item(struct log_cursor *cursor, struct item_list *list, struct log_expr *item)
{
    if (!item)
        return -1;
    if (list->count == LOG_MAX_ITEMS)
        return log_fail(cursor, cursor->at, "too many items in one list");
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 8;
        void *grown = realloc(list->items, room * sizeof(list->items[0]));

        if (!grown)
            return log_no_memory(cursor);
        list->items = grown;
        list->room = room;
    }
    list->items[list->count++] = item;
    return 0;
}

int log_read_items(struct log_cursor *cursor, char close, struct log_expr ***ret_items,
                   size_t *ret_count)
{
    const char mark[2] = { close, '\0' };
    struct item_list list = { NULL, 0, 0 };
    size_t start = cursor->at;
    int result = -1;

    if (log_blanks(cursor) != 0)
        goto out;
    while (!log_accept(cursor, mark)) {
        if (cursor->at == cursor->end) {
            log_fail(cursor, start > 0 ? start - 1 : 0, "'%c' is missing behind this", close);
            goto out;
        }
        if (list.count > 0 && !log_accept(cursor, ",") &&
            (close != ']' || cursor->text->text[cursor->at - 1] != ' ')) {
            log_fail(cursor, cursor->at, "expected ',' or '%c', found '%c'", close,
                     isprint((unsigned char)log_peek(cursor)) ? log_peek(cursor) : '?');
            goto out;
        }
        if (add_item(cursor, &list, read_item(cursor)) != 0 || log_blanks(cursor) != 0)
            goto out;
    }
    *ret_items = log_allocate(cursor->log, (list.count + 1) * sizeof(list.items[0]));
    if (!*ret_items) {
        log_no_memory(cursor);
        goto out;
    }
    if (list.count > 0)
        memcpy(*ret_items, list.items, list.count * sizeof(list.items[0]));
    *ret_count = list.count;
    result = 0;
out:
    free(list.items);
    return result;
}

/* ---- What a tree says ---- */

static bool join_numbers(char operation, int64_t left, int64_t right, int64_t *ret_value)
{
    uint64_t a = (uint64_t)left;
    uint64_t b = (uint64_t)right;

    switch (operation) {
    case '|': *ret_value = (int64_t)(a | b); return true;
    case '&': *ret_value = (int64_t)(a & b); return true;
    case '*': *ret_value = (int64_t)(a * b); return true;
    case '+': *ret_value = (int64_t)(a + b); return true;
    case '-': *ret_value = (int64_t)(a - b); return true;
    case '<': *ret_value = (int64_t)(a << (b & 63)); return true;
    default: return false;
    }
}

bool log_number(const struct log_expr *expr, int64_t *ret_value)
{
    int64_t left;
    int64_t right;
    bool known;

    if (!expr)
        return false;
    switch (expr->kind) {
    case LOG_NUMBER: *ret_value = expr->number; return true;
    case LOG_UNARY:
        if ((expr->number != '-' && expr->number != '~') || !log_number(expr->items[0], &left))
            return false;
        *ret_value = expr->number == '-' ? (int64_t)(0 - (uint64_t)left) : ~left;
        return true;
    case LOG_JOIN:
        known = log_number(expr->items[0], &left);
        if (expr->number == 'o') { /* TCGETS or SNDCTL_TMR_TIMEBASE: one number, two names */
            if (known)
                *ret_value = left;
            return known || log_number(expr->items[1], ret_value);
        }
        return known && log_number(expr->items[1], &right) &&
               join_numbers((char)expr->number, left, right, ret_value);
    default: return false;
    }
}

const struct log_expr *log_field(const struct log_expr *expr, const char *name)
{
    if (!expr || expr->kind != LOG_STRUCT)
        return NULL;
    for (size_t i = 0; i < expr->count; i++) {
        if (expr->items[i]->field && strcmp(expr->items[i]->field, name) == 0)
            return expr->items[i];
    }
    return NULL;
}
