/*
 * sanitizer.h - programs whose sanitizer lives in a shared library
 *
 * AddressSanitizer, LeakSanitizer and ThreadSanitizer replace read, write, pthread_create, ... by
 * their own, which look at the caller's memory, or learn what synchronizes threads. gcc links them
 * as libraries; clang puts them into the program, unless asked. Such a library must be found before
 * the preloaded one, or nobody calls it: then it misses errors and finds some that aren't there.
 */
#ifndef EMU_SANITIZER_H
#define EMU_SANITIZER_H

#include <stdbool.h>
#include <stddef.h>

#define SANITIZER_NAME_SIZE 48

/*
 * The sanitizer's library that the program at `path` is linked with, as it names it
 * ("libasan.so.8"). Returns false, and "" in ret_name, when there is none.
 */
bool sanitizer_of_program(const char *path, char ret_name[SANITIZER_NAME_SIZE]);

/* True when `size` characters at `name` are the name, or the path, of such a library. */
bool sanitizer_is_library(const char *name, size_t size);

#endif
