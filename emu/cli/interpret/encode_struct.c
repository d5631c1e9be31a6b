/*
 * encode_struct.c - structs, buffers and values of inferred type: from expressions to memory
 *
 * What must be looked at after the call is noted as a watch while its place is written. A field
 * that holds the size of another one and is left out is filled in.
 */
#include "interpret/encode.h"

#include <string.h>
#include <sys/uio.h>

#define BUFFER_MAX (64u << 20) /* what a buffer is given, however large the call says it is */

struct halves halves_of(const struct expr *expr)
{
    if (expr->kind == EXPR_ARROW)
        return (struct halves){ expr->items[0], expr->items[1], true };
    return (struct halves){ expr, expr, false };
}

struct watch *watch_add(struct run *run, struct place place, enum watch_kind kind)
{
    struct watch *watch = &run->flight->watches[run->flight->watch_count];

    if (run->flight->watch_count == RUN_MAX_WATCHES)
        run_fail(run, place, "too much to look at in one call");
    run->flight->watch_count++;
    memset(watch, 0, sizeof(*watch));
    watch->kind = kind;
    return watch;
}

struct watch *watch_number(struct run *run, const char *name, const void *address, size_t size,
                           bool is_signed, const struct expr *out)
{
    const struct place nowhere = { 0, 0 };
    struct watch *watch = watch_add(run, out ? out->place : nowhere, WATCH_NUMBER);

    watch->name = name;
    watch->address = address;
    watch->size = size;
    watch->is_signed = is_signed;
    watch->out = out && out->kind != EXPR_ANY ? out : NULL;
    watch->hashed = !out || binds(out);
    return watch;
}

static const struct expr *field_of(const struct expr *expr, const char *name)
{
    if (!expr || expr->kind != EXPR_STRUCT)
        return NULL;
    for (size_t i = 0; i < expr->count; i++) {
        if (strcmp(expr->fields[i], name) == 0)
            return expr->items[i];
    }
    return NULL;
}

bool is_fault(const struct expr *expr)
{
    return expr->kind == EXPR_FUNCTION && strcmp(expr->name, "fault") == 0;
}

const struct expr *fault_inner(struct run *run, const struct expr *expr)
{
    if (expr->count != 1)
        run_fail(run, expr->place, "fault(VALUE) or fault(SIZE)");
    return expr->items[0];
}

void put_number(void *address, size_t size, int64_t number)
{
    memcpy(address, &number, size); /* little-endian: the low bytes come first */
}

static uint64_t get_number(const void *address, size_t size)
{
    uint64_t number = 0;

    memcpy(&number, address, size);
    return number;
}

/* ---- Buffers ---- */

void *encode_bytes(struct run *run, const struct expr *expr, size_t *ret_size)
{
    bool fault = is_fault(expr);
    struct value value = evaluate(run, fault ? fault_inner(run, expr) : expr);
    void *memory;

    *ret_size = 0;
    if (value.kind == VALUE_NUMBER && !fault)
        return (void *)(uintptr_t)value.number;
    *ret_size = value.kind == VALUE_NUMBER ? (size_t)value.number : value.size;
    if (!fault)
        return (void *)(uintptr_t)value.bytes;
    memory = run_allocate_fault(run, expr->place, *ret_size);
    if (value.kind == VALUE_BYTES)
        memcpy(memory, value.bytes, value.size);
    return memory;
}

void *encode_buffer(struct context *context, const struct expr *expr, size_t size)
{
    struct run *run = context->run;
    struct halves halves = halves_of(expr);
    const struct expr *in = halves.in;
    struct watch *watch;
    struct value value;

    if (size > BUFFER_MAX)
        size = BUFFER_MAX;
    watch = watch_add(run, expr->place, WATCH_BUFFER);
    watch->size = size;
    watch->group = context->group;
    watch->hashed = in->kind != EXPR_ANY;
    watch->out = halves.out->kind == EXPR_ANY || is_fault(halves.out) ? NULL : halves.out;
    if (is_fault(in)) {
        value = evaluate(run, fault_inner(run, in));
        watch->size = (size_t)value.number;
        watch->address = run_allocate_fault(run, in->place, watch->size);
    } else if (in->kind == EXPR_ANY || binds(in)) {
        watch->address = run_allocate(run, in->place, size);
    } else {
        value = evaluate(run, in);
        if (value.kind == VALUE_NUMBER) {
            run->flight->watch_count--;
            return (void *)(uintptr_t)value.number;
        }
        watch->address = run_allocate(run, in->place, size > value.size ? size : value.size);
    }
    return (void *)(uintptr_t)watch->address;
}

/* ---- Structs ---- */

static void encode_struct(struct context *context, const struct type *type, struct halves halves,
                          void *address);

void *encode_pointer(struct context *context, const struct type *type, const struct expr *expr,
                     size_t *ret_count)
{
    struct run *run = context->run;
    struct halves halves = halves_of(expr);
    bool fault = is_fault(halves.in);
    const struct expr *in = fault ? fault_inner(run, halves.in) : halves.in;
    uint32_t group = context->group;
    const struct expr *out = halves.arrow ? halves.out : in;
    uint8_t *memory;
    size_t count;

    *ret_count = 0;
    if (in->kind != EXPR_LIST && in->kind != EXPR_STRUCT && in->kind != EXPR_ANY)
        return (void *)(uintptr_t)evaluate_number(run, in);
    count = in->kind == EXPR_LIST ? in->count : 1;
    memory = fault ? run_allocate_fault(run, in->place, count * type->size)
                   : run_allocate(run, in->place, count * type->size);
    *ret_count = count;
    if (type == &type_mmsghdr)
        run->flight->messages = memory;
    for (size_t i = 0; i < count; i++) {
        struct halves item = { in, out, halves.arrow };

        if (in->kind == EXPR_LIST) {
            item = halves_of(in->items[i]);
            if (halves.arrow)
                item = (struct halves){ in->items[i], i < out->count ? out->items[i] : NULL, true };
        }
        if (type == &type_mmsghdr)
            context->group = (uint32_t)i;
        encode_struct(context, type, item, memory + i * type->size);
    }
    context->group = group;
    return memory;
}

/* A field that points somewhere. Returns the size or count behind it. */
static size_t encode_behind(struct context *context, const struct field *field,
                            const struct expr *expr, void *address, size_t companion, bool known)
{
    struct run *run = context->run;
    size_t count = 0;
    void *pointer = NULL;

    switch (field->role) {
    case ROLE_BUFFER:
        if (context->receiving && !(context->either && expr->kind == EXPR_BYTES)) {
            if (!known)
                run_fail(run, expr->place, "a buffer to be filled needs its iov_len");
            pointer = encode_buffer(context, expr, companion);
            count = companion;
        } else {
            pointer = encode_bytes(run, expr, &count);
        }
        break;
    case ROLE_VECTOR: pointer = encode_pointer(context, &type_iovec, expr, &count); break;
    case ROLE_ADDRESS:
        context->filled = context->receiving;
        pointer = encode_pointer(context, &type_sockaddr, expr, &count);
        context->filled = false;
        count *= type_sockaddr.size;
        break;
    default: /* ROLE_CONTROL */
        if (expr->kind == EXPR_LIST && !context->receiving) {
            pointer = control_encode(run, expr, &count);
        } else if (expr->kind == EXPR_LIST || expr->kind == EXPR_ANY) {
            count = known ? companion : 256;
            pointer = run_allocate(run, expr->place, count);
        } else {
            pointer = encode_bytes(run, expr, &count);
        }
        break;
    }
    memcpy(address, &pointer, sizeof(pointer));
    return count;
}

static void watch_field(struct context *context, const struct field *field, struct halves halves,
                        const void *address)
{
    enum direction direction = context->receiving ? field->received : field->sent;
    const struct expr *out = field_of(halves.out, field->name);
    struct watch *watch;

    if (direction == IN || (direction == ASKED && (!out || !(halves.arrow || context->filled))))
        return;
    if (out && out->kind == EXPR_ARROW)
        out = out->items[1];
    if (field->role == ROLE_TEXT) {
        if (!out || out->kind == EXPR_ANY)
            return;
        watch = watch_add(context->run, out->place, WATCH_TEXT);
        watch->address = address;
        watch->size = field->size;
        watch->out = out;
        watch->group = context->group;
        watch->after_failure = halves.arrow;
        return;
    }
    watch = watch_number(context->run, field->name, address, field->size, field->is_signed, out);
    watch->group = context->group;
    watch->hashed = watch->hashed && direction != ASKED;
    watch->after_failure = halves.arrow;
}

static void check_fields(struct run *run, const struct type *type, const struct expr *expr)
{
    if (!expr || expr->kind == EXPR_ANY)
        return;
    if (expr->kind != EXPR_STRUCT)
        run_fail(run, expr->place, "{...} of struct %s must stand here", type->name);
    for (size_t i = 0; i < expr->count; i++) {
        if (!type_field(type, expr->fields[i]))
            run_fail(run, expr->items[i]->place, "struct %s has no field '%s'", type->name,
                     expr->fields[i]);
    }
}

/* Numbers and texts, that stand in the struct itself. */
static void encode_plain(struct context *context, const struct field *field, struct halves halves,
                         uint8_t *address)
{
    const struct expr *in = field_of(halves.in, field->name);
    enum direction direction = context->receiving ? field->received : field->sent;

    if (in && in->kind == EXPR_ARROW)
        in = in->items[0];
    else if ((direction == OUT || context->filled) && !halves.arrow)
        in = NULL; /* revents=POLLIN is what comes out */
    if (in && in->kind != EXPR_ANY && field->role == ROLE_TEXT) {
        struct value text = evaluate_bytes(context->run, in);

        memcpy(address, text.bytes, text.size < field->size ? text.size : field->size);
    } else if (in && in->kind != EXPR_ANY) {
        put_number(address, field->size, evaluate_number(context->run, in));
    }
    watch_field(context, field, halves, address);
}

static void encode_struct(struct context *context, const struct type *type, struct halves halves,
                          void *address)
{
    uint8_t *base = address;

    check_fields(context->run, type, halves.in);
    check_fields(context->run, type, halves.out);
    for (size_t i = 0; i < type->field_count; i++) {
        const struct field *field = &type->fields[i];

        if (field->role == ROLE_NUMBER || field->role == ROLE_TEXT)
            encode_plain(context, field, halves, base + field->offset);
    }
    for (size_t i = 0; i < type->field_count; i++) {
        const struct field *field = &type->fields[i];
        const struct field *companion = field->companion ? type_field(type, field->companion)
                                                         : NULL;
        const struct expr *in = field_of(halves.in, field->name);
        bool known = companion && field_of(halves.in, companion->name);
        size_t count;

        if (!in || field->role == ROLE_NUMBER || field->role == ROLE_TEXT)
            continue;
        if (field->role == ROLE_MESSAGE) {
            encode_struct(context, &type_msghdr, halves_of(in), base + field->offset);
            continue;
        }
        count = encode_behind(context, field, in, base + field->offset,
                              get_number(base + companion->offset, companion->size), known);
        if (!known)
            put_number(base + companion->offset, companion->size, (int64_t)count);
        if (field->role == ROLE_CONTROL && context->receiving && in->kind == EXPR_LIST) {
            struct watch *watch = watch_add(context->run, in->place, WATCH_CONTROL);

            watch->address = base;
            watch->out = in;
            watch->group = context->group;
        }
    }
}

/* ---- Values whose type is inferred: options, fcntl's and ioctl's arguments, control data ---- */

static const struct type *infer(struct run *run, const struct expr *expr)
{
    const struct type *type = type_infer(expr);

    if (!type)
        run_fail(run, expr->place, "no struct with these fields is known here");
    return type;
}

size_t value_size(struct run *run, const struct expr *expr)
{
    if (expr->kind == EXPR_LIST)
        return expr->count * sizeof(int);
    if (expr->kind == EXPR_STRUCT)
        return infer(run, expr)->size;
    return expr->kind == EXPR_ANY ? 0 : evaluate_bytes(run, expr).size;
}

void encode_value(struct run *run, const struct expr *expr, void *address)
{
    struct context context = { .run = run };

    if (expr->kind == EXPR_LIST) {
        for (size_t i = 0; i < expr->count; i++) {
            const struct expr *in = halves_of(expr->items[i]).in;

            if (in->kind != EXPR_ANY)
                put_number((int *)address + i, sizeof(int), evaluate_number(run, in));
        }
    } else if (expr->kind == EXPR_STRUCT) {
        encode_struct(&context, infer(run, expr), (struct halves){ expr, NULL, false }, address);
    } else if (expr->kind != EXPR_ANY) {
        struct value value = evaluate_bytes(run, expr);

        memcpy(address, value.bytes, value.size);
    }
}

void watch_value(struct run *run, const struct expr *expr, const void *address, bool after_failure)
{
    struct context context = { .run = run, .receiving = true };
    struct watch *watch;

    if (expr->kind == EXPR_LIST) {
        for (size_t i = 0; i < expr->count; i++) {
            struct halves item = halves_of(expr->items[i]);

            watch = watch_number(run, "value", (const int *)address + i, sizeof(int), true,
                                 item.out);
            watch->after_failure = after_failure || item.arrow;
        }
    } else if (expr->kind == EXPR_STRUCT) {
        const struct type *type = infer(run, expr);

        for (size_t i = 0; i < type->field_count; i++)
            watch_field(&context, &type->fields[i], (struct halves){ NULL, expr, true },
                        (const uint8_t *)address + type->fields[i].offset);
    } else if (expr->kind != EXPR_ANY) {
        watch = watch_add(run, expr->place, WATCH_BYTES);
        watch->name = "value";
        watch->address = address;
        watch->out = expr;
        watch->after_failure = after_failure;
    }
}
