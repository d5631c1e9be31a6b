/*
 * memory.h - the guest's memory, as far as it was recorded with a call
 */
#ifndef TRACE_MEMORY_H
#define TRACE_MEMORY_H

#include "trace/reader.h"

/*
 * The guest's memory at `address`: as it was when the call left, if it was seen then and `when` is
 * TRACE_AT_LEAVE; else when it entered.
 *
 * Returns how many bytes of it were recorded from there on, 0: none; then *ret_bytes is untouched.
 */
size_t memory_find(const struct trace_call *call, enum trace_when when, uint64_t address,
                   const uint8_t **ret_bytes);

#endif
