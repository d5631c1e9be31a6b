/*
 * caller.h - whose call is it? What test harnesses open for themselves is left to the kernel
 */
#ifndef SHIM_CALLER_H
#define SHIM_CALLER_H

#include <stdbool.h>

/*
 * True when what a call from `caller` (a return address) opens stays native for ever. Asked where
 * pipes, sockets and epoll instances are made, and nowhere else.
 * Requires: the session is attached.
 */
bool caller_left_alone(const void *caller);

/* From here to caller_resume(), what this thread opens is left alone: libc works for `caller`. */
bool caller_begin(const void *caller);
void caller_resume(bool before);

#endif
