/*
 * encode.h - between encode.c (arguments) and encode_struct.c (structs, buffers, values)
 */
#ifndef INTERPRET_ENCODE_H
#define INTERPRET_ENCODE_H

#include "interpret/run.h"
#include "interpret/types.h"

/* What is the same for all parts of one argument. */
struct context {
    struct run *run;
    bool receiving;
    bool either; /* vmsplice: a buffer without contents is filled */
    bool filled; /* fstat and its like: the struct is written by the call alone */
    uint32_t group;
};

/* An expression's two halves: what goes in, what must come out. */
struct halves {
    const struct expr *in;
    const struct expr *out;
    bool arrow;
};

struct halves halves_of(const struct expr *expr);

/* fault(x): is it one, and x. */
bool is_fault(const struct expr *expr);
const struct expr *fault_inner(struct run *run, const struct expr *expr);

/* Writes the low `size` bytes of a number. */
void put_number(void *address, size_t size, int64_t number);

/* Bytes that go in. Returns their address, or the literal pointer. */
void *encode_bytes(struct run *run, const struct expr *expr, size_t *ret_size);

/* A buffer of `size` bytes to be filled. Returns its address, or the literal pointer. */
void *encode_buffer(struct context *context, const struct expr *expr, size_t size);

/*
 * A pointer to structs: one for {...}, an array for [...].
 * Returns the address, or the literal pointer; the number of structs in *ret_count.
 */
void *encode_pointer(struct context *context, const struct type *type, const struct expr *expr,
                     size_t *ret_count);

#endif
