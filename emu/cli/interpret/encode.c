/*
 * encode.c - a call's arguments: from expressions to words
 *
 * Where C wants a pointer a script writes the value itself; NULL, BADPTR, a number or (name) is a
 * literal pointer; fault(...) puts the value directly in front of a page that can't be touched.
 * `a => b` writes a and looks for b afterwards, whatever the call returned.
 */
#include "interpret/encode.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "interpret/calls.h"

/* True when this fcntl or ioctl fills what its argument points to. */
static bool fills(const struct run *run, const uint64_t *words)
{
    if (strcmp(run->statement->name, "fcntl") == 0)
        return words[1] == F_GETLK || words[1] == F_OFD_GETLK;
    return words[1] == FIONREAD || words[1] == TIOCOUTQ || words[1] == SIOCATMARK ||
           words[1] == FIOGETOWN || words[1] == SIOCGPGRP || words[1] == TIOCGWINSZ ||
           words[1] == TCGETS;
}

/* [a => b]: a, of a list that the call fills */
static void encode_arrows(struct run *run, const struct expr *list, int *address)
{
    for (size_t i = 0; list->kind == EXPR_LIST && i < list->count; i++) {
        if (list->items[i]->kind == EXPR_ARROW)
            address[i] = (int)evaluate_number(run, list->items[i]->items[0]);
    }
}

/* A pointer to a value of inferred type. `out`: the call fills it. */
static uint64_t encode_inferred(struct run *run, const struct expr *expr, bool out)
{
    struct halves halves = halves_of(expr);
    bool fault = is_fault(halves.in);
    const struct expr *in = fault ? fault_inner(run, halves.in) : halves.in;
    uint8_t *memory;
    size_t size;

    if (!fault && in->kind != EXPR_LIST && in->kind != EXPR_STRUCT && in->kind != EXPR_ANY) {
        struct value value = evaluate(run, in);

        if (value.kind == VALUE_NUMBER)
            return (uint64_t)value.number;
    }
    size = value_size(run, in);
    memory = fault ? run_allocate_fault(run, in->place, size)
                   : run_allocate(run, in->place, size > 256 ? size : 256);
    if (out && !halves.arrow)
        encode_arrows(run, in, (int *)(void *)memory);
    else
        encode_value(run, in, memory);
    if (out || halves.arrow)
        watch_value(run, halves.arrow ? halves.out : in, memory, halves.arrow);
    return (uint64_t)(uintptr_t)memory;
}

/* ---- Arguments ---- */

static uint64_t encode_set(struct run *run, const struct expr *expr)
{
    struct halves halves = halves_of(expr);
    fd_set *set;
    struct watch *watch;

    if (halves.in->kind != EXPR_LIST)
        return (uint64_t)evaluate_number(run, halves.in);
    set = run_allocate(run, expr->place, sizeof(*set));
    for (size_t i = 0; i < halves.in->count; i++) {
        int64_t fd = evaluate_number(run, halves.in->items[i]);

        if (fd < 0 || fd >= FD_SETSIZE)
            run_fail(run, halves.in->items[i]->place, "no place for this in an fd_set");
        FD_SET((int)fd, set);
    }
    watch = watch_add(run, expr->place, WATCH_SET);
    watch->address = set;
    watch->after_failure = halves.arrow;
    watch->hashed = true;
    watch->out = halves.arrow && halves.out->kind != EXPR_ANY ? halves.out : NULL;
    return (uint64_t)(uintptr_t)set;
}

static uint64_t encode_sigset(struct run *run, const struct expr *expr)
{
    sigset_t *set;

    if (expr->kind != EXPR_LIST)
        return (uint64_t)evaluate_number(run, expr);
    set = run_allocate(run, expr->place, sizeof(*set));
    sigemptyset(set);
    for (size_t i = 0; i < expr->count; i++)
        sigaddset(set, (int)evaluate_number(run, expr->items[i]));
    return (uint64_t)(uintptr_t)set;
}

/* A number that goes in and comes out: [16 => 2], socklen_t or off_t. */
static uint64_t encode_cell(struct run *run, const struct expr *expr, size_t size)
{
    bool fault = is_fault(expr);
    const struct expr *list = fault ? fault_inner(run, expr) : expr;
    struct halves halves;
    struct watch *watch;
    void *cell;

    if (list->kind != EXPR_LIST)
        return (uint64_t)evaluate_number(run, list);
    if (list->count != 1)
        run_fail(run, list->place, "[NUMBER] must stand here");
    halves = halves_of(list->items[0]);
    cell = fault ? run_allocate_fault(run, expr->place, size)
                 : run_allocate(run, expr->place, size);
    put_number(cell, size, evaluate_number(run, halves.in));
    watch = watch_number(run, "value", cell, size, true, halves.out);
    watch->after_failure = halves.arrow;
    return (uint64_t)(uintptr_t)cell;
}

static uint64_t encode_argument(struct run *run, size_t index, uint64_t *words)
{
    const struct statement *statement = run->statement;
    const struct call *call = call_get(statement->call);
    const struct expr *expr = statement->arguments[index];
    char kind = call->kinds[index];
    struct context context = { .run = run };
    size_t size;

    context.receiving = strchr("RMNxATuSpE", kind) != NULL;
    context.either = kind == 'x';
    context.filled = kind == 'S' || kind == 'A';
    switch (kind) {
    case 'i':
    case 'F': return (uint64_t)evaluate_number(run, expr);
    case 'w': return (uint64_t)(uintptr_t)encode_bytes(run, expr, &size);
    case 'r':
        size = (size_t)evaluate_number(run, statement->arguments[index + 1]);
        return (uint64_t)(uintptr_t)encode_buffer(&context, expr, size);
    case 'f': return encode_inferred(run, expr, true);
    case 'v': return encode_inferred(run, expr, false);
    case 'V': return encode_inferred(run, expr, true);
    case 'd': return encode_inferred(run, expr, fills(run, words));
    case 'l': return encode_cell(run, expr, sizeof(socklen_t));
    case 'o': return encode_cell(run, expr, sizeof(off_t));
    case 's': return encode_set(run, expr);
    case 'g': return encode_sigset(run, expr);
    default: break;
    }
    static const struct {
        const char *kinds;
        const struct type *type;
    } pointers[] = { { "WRx", &type_iovec },   { "mM", &type_msghdr },      { "nN", &type_mmsghdr },
                     { "aA", &type_sockaddr }, { "tT", &type_timespec },    { "u", &type_timeval },
                     { "p", &type_pollfd },    { "eE", &type_epoll_event }, { "S", &type_stat },
                     { "L", &type_rlimit } };
    for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
        if (strchr(pointers[i].kinds, kind))
            return (uint64_t)(uintptr_t)encode_pointer(&context, pointers[i].type, expr, &size);
    }
    run_fail(run, expr->place, "arguments.h has an unknown letter");
}

void encode_arguments(struct run *run, uint64_t *ret_words)
{
    for (size_t i = 0; i < SCRIPT_MAX_ARGUMENTS; i++)
        ret_words[i] = 0;
    for (size_t i = 0; i < run->statement->argument_count; i++)
        ret_words[i] = encode_argument(run, i, ret_words);
}
