/*
 * constants.h - the constants of constants.def, by name and by value
 */
#ifndef INTERPRET_CONSTANTS_H
#define INTERPRET_CONSTANTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns true and the value when `name` is a constant. */
bool constant_value(const char *name, int64_t *ret_value);

/* Returns true and the number when `name` is an errno. */
bool constant_errno(const char *name, int *ret_error);

/* "EAGAIN", or "errno 513" in *scratch where the number has no name here. */
const char *errno_name(int error, char scratch[24]);

/* The signal's number when it is one that the runner catches, else 0. */
int constant_signal(const char *name);
const char *signal_name(int number);

/* The i-th signal that the runner catches, 0 behind the last. */
int signal_caught(size_t index);

/* Renders a set of bits with all constants "PREFIX_...": "POLLIN|POLLHUP", or "0". */
void constant_flags(const char *prefix, uint64_t value, char *ret_text, size_t size);

#endif
