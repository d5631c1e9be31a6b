/*
 * values.c - memory of a statement, variables, and the evaluation of expressions
 *
 * A value is a number or a string of bytes. Built-in functions: pattern(seed, size[, offset]):
 * bytes that differ at every offset, from `offset` on; len(bytes). fault() is no value: see
 * encode.c.
 */
#include "interpret/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "interpret/world.h"

#define VARIABLE_MAX (16u << 20)

void run_fail(struct run *run, struct place place, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(run->outcome->why, sizeof(run->outcome->why), format, arguments);
    va_end(arguments);
    run->outcome->place = place;
    run->outcome->state = OUTCOME_ERROR;
    _exit(125);
}

void run_differs(struct run *run, struct place place, const char *format, ...)
{
    va_list arguments;

    if (run->outcome->state == OUTCOME_DIFFERS)
        return;
    va_start(arguments, format);
    vsnprintf(run->outcome->why, sizeof(run->outcome->why), format, arguments);
    va_end(arguments);
    run->outcome->place = place;
    run->outcome->state = OUTCOME_DIFFERS;
}

size_t run_memory_size(void)
{
    return RUN_MEMORY + (size_t)(SCRIPT_MAX_TASKS - 1) * RUN_MEMORY_MORE;
}

void run_memory_init(struct run *run)
{
    const struct place nowhere = { 0, 0 };
    uint8_t *memory = world_memory(run->world);
    struct watch *watches = mmap(NULL, SCRIPT_MAX_TASKS * RUN_MAX_WATCHES * sizeof(*watches),
                                 PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (watches == MAP_FAILED)
        run_fail(run, nowhere, "no memory");
    for (size_t i = 0; i < SCRIPT_MAX_TASKS; i++) {
        struct flight *flight = &run->flights[i];

        flight->memory = memory;
        flight->memory_size = i == 0 ? RUN_MEMORY : RUN_MEMORY_MORE;
        flight->watches = watches + i * RUN_MAX_WATCHES;
        memory += flight->memory_size;
    }
    run->flight = &run->flights[0];
}

void run_memory_reset(struct run *run)
{
    bool faults = false;

    run->flight = NULL;
    for (size_t i = 0; i < SCRIPT_MAX_TASKS; i++) {
        if (!run->flights[i].blocked && !run->flight)
            run->flight = &run->flights[i];
        faults |= run->flights[i].blocked && run->flights[i].faults;
    }
    if (!faults) /* those that a blocked call uses aren't taken back alone */
        world_faults_reset(run->world);
    run->flight->faults = false;
    memset(run->flight->memory, 0, run->flight->memory_used);
    run->flight->memory_used = 0;
    run->flight->watch_count = 0;
    run->flight->messages = NULL;
}

void *run_allocate(struct run *run, struct place place, size_t size)
{
    void *memory = run->flight->memory + run->flight->memory_used;

    size = (size + 15) & ~(size_t)15;
    if (size > run->flight->memory_size - run->flight->memory_used)
        run_fail(run, place, "this needs too much memory");
    run->flight->memory_used += size;
    return memory;
}

void *run_allocate_fault(struct run *run, struct place place, size_t size)
{
    void *memory = world_fault(run->world, size);

    if (!memory)
        run_fail(run, place, "too many or too large faults in one call");
    run->flight->faults = true;
    return memory;
}

struct value value_number(int64_t number)
{
    return (struct value){ .kind = VALUE_NUMBER, .number = number };
}

struct value value_bytes(const void *bytes, size_t size)
{
    return (struct value){ .kind = VALUE_BYTES, .bytes = bytes, .size = size };
}

bool binds(const struct expr *expr)
{
    return expr && expr->kind == EXPR_NAME && strcmp(expr->name, "BADPTR") != 0;
}

void variable_bind(struct run *run, struct place place, const char *name, struct value value)
{
    struct variable *variable = NULL;

    for (size_t i = 0; i < run->variable_count && !variable; i++) {
        if (strcmp(run->variables[i].name, name) == 0)
            variable = &run->variables[i];
    }
    if (!variable) {
        if (run->variable_count == RUN_MAX_VARIABLES)
            run_fail(run, place, "too many variables");
        variable = &run->variables[run->variable_count++];
        variable->name = name;
    } else if (variable->value.kind == VALUE_BYTES) {
        free((void *)(uintptr_t)variable->value.bytes);
    }
    if (value.kind == VALUE_BYTES) {
        uint8_t *copy = value.size <= VARIABLE_MAX ? malloc(value.size + 1) : NULL;

        if (copy)
            memcpy(copy, value.bytes, value.size);
        else
            run_fail(run, place, "no memory for the variable '%s'", name);
        value.bytes = copy;
    }
    variable->value = value;
}

static struct value variable_get(struct run *run, const struct expr *expr)
{
    for (size_t i = 0; i < run->variable_count; i++) {
        if (strcmp(run->variables[i].name, expr->name) == 0)
            return run->variables[i].value;
    }
    if (strcmp(expr->name, "BADPTR") == 0)
        return value_number((int64_t)(uintptr_t)world_bad_page(run->world));
    run_fail(run, expr->place, "unknown name '%s'", expr->name);
}

/* Byte `offset` of the stream that belongs to `seed`: splitmix64's mixing of both. */
static uint8_t pattern_byte(uint64_t seed, uint64_t offset)
{
    uint64_t word = (seed + 1) * 0x9e3779b97f4a7c15u + offset * 0xd1342543de82ef95u;

    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
    word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
    return (uint8_t)(word >> 56);
}

static struct value evaluate_pattern(struct run *run, const struct expr *expr)
{
    int64_t seed;
    int64_t size;
    int64_t offset;
    uint8_t *bytes;

    if (expr->count != 2 && expr->count != 3)
        run_fail(run, expr->place, "pattern(seed, size[, offset])");
    seed = evaluate_number(run, expr->items[0]);
    size = evaluate_number(run, expr->items[1]);
    offset = expr->count == 3 ? evaluate_number(run, expr->items[2]) : 0;
    if (size < 0 || offset < 0)
        run_fail(run, expr->place, "pattern's size or offset is negative");
    bytes = run_allocate(run, expr->place, (size_t)size);
    for (int64_t i = 0; i < size; i++)
        bytes[i] = pattern_byte((uint64_t)seed, (uint64_t)(offset + i));
    return value_bytes(bytes, (size_t)size);
}

static struct value evaluate_function(struct run *run, const struct expr *expr)
{
    if (strcmp(expr->name, "pattern") == 0)
        return evaluate_pattern(run, expr);
    if (strcmp(expr->name, "len") == 0 && expr->count == 1)
        return value_number((int64_t)evaluate_bytes(run, expr->items[0]).size);
    run_fail(run, expr->place, "unknown function '%s' here", expr->name);
}

/* "ab" * 3, "a" + "b" */
static struct value join_bytes(struct run *run, const struct expr *expr, struct value left,
                               struct value right)
{
    uint8_t *bytes;
    size_t size;

    if (expr->number == '+' && right.kind == VALUE_BYTES) {
        bytes = run_allocate(run, expr->place, left.size + right.size);
        memcpy(bytes, left.bytes, left.size);
        memcpy(bytes + left.size, right.bytes, right.size);
        return value_bytes(bytes, left.size + right.size);
    }
    if (expr->number != '*' || right.kind != VALUE_NUMBER || right.number < 0 ||
        (left.size > 0 && (uint64_t)right.number > RUN_MEMORY / left.size))
        run_fail(run, expr->place, "bytes allow \"...\" * COUNT and \"...\" + \"...\"");
    size = left.size * (size_t)right.number;
    bytes = run_allocate(run, expr->place, size);
    for (size_t i = 0; i < size; i += left.size)
        memcpy(bytes + i, left.bytes, left.size);
    return value_bytes(bytes, size);
}

static struct value evaluate_binary(struct run *run, const struct expr *expr)
{
    struct value left = evaluate(run, expr->items[0]);
    struct value right = evaluate(run, expr->items[1]);
    uint64_t a = (uint64_t)left.number;
    uint64_t b = (uint64_t)right.number;

    if (left.kind == VALUE_BYTES)
        return join_bytes(run, expr, left, right);
    if (right.kind == VALUE_BYTES)
        run_fail(run, expr->place, "a number can't be joined with bytes");
    if (strchr("/%", (int)expr->number) && (right.number == 0 || right.number == -1))
        run_fail(run, expr->place, "division by %lld", (long long)right.number);
    switch (expr->number) {
    case '+': return value_number((int64_t)(a + b));
    case '-': return value_number((int64_t)(a - b));
    case '*': return value_number((int64_t)(a * b));
    case '/': return value_number(left.number / right.number);
    case '%': return value_number(left.number % right.number);
    case '|': return value_number((int64_t)(a | b));
    case '&': return value_number((int64_t)(a & b));
    case '<': return value_number((int64_t)(a << (b & 63)));
    default: return value_number((int64_t)(a >> (b & 63)));
    }
}

struct value evaluate(struct run *run, const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_NUMBER: return value_number(expr->number);
    case EXPR_BYTES: return value_bytes(expr->bytes, expr->size);
    case EXPR_NAME: return variable_get(run, expr);
    case EXPR_GROUP: return evaluate(run, expr->items[0]);
    case EXPR_NEGATE: return value_number(-(uint64_t)evaluate_number(run, expr->items[0]));
    case EXPR_INVERT: return value_number(~evaluate_number(run, expr->items[0]));
    case EXPR_BINARY: return evaluate_binary(run, expr);
    case EXPR_FUNCTION: return evaluate_function(run, expr);
    case EXPR_ANY: run_fail(run, expr->place, "_ has no value");
    case EXPR_LIST: run_fail(run, expr->place, "a list can't stand here");
    case EXPR_STRUCT: run_fail(run, expr->place, "a struct can't stand here");
    case EXPR_ARROW: run_fail(run, expr->place, "=> can't stand here");
    }
    run_fail(run, expr->place, "this has no value");
}

int64_t evaluate_number(struct run *run, const struct expr *expr)
{
    struct value value = evaluate(run, expr);

    if (value.kind != VALUE_NUMBER)
        run_fail(run, expr->place, "a number must stand here");
    return value.number;
}

struct value evaluate_bytes(struct run *run, const struct expr *expr)
{
    struct value value = evaluate(run, expr);

    if (value.kind != VALUE_BYTES)
        run_fail(run, expr->place, "bytes must stand here");
    return value;
}

void run_hash(struct run *run, const void *bytes, size_t size)
{
    uint64_t hash = run->outcome->hash;

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u; /* FNV-1a */
    run->outcome->hash = hash;
}
