/*
 * threads.h - where in a script a thread is made
 *
 * The making of a thread isn't recorded, only that it begins, when the thread that made it may
 * already sleep in its next call. Whoever replays a log needs the clone before that call.
 */
#ifndef TRACE_THREADS_H
#define TRACE_THREADS_H

#include "trace/reader.h"

struct threads;

/* Reads all of the recording. Returns NULL without memory. */
struct threads *threads_create(struct trace *trace);
void threads_destroy(struct threads *threads);

/*
 * The threads that are made before this event, by the event's task, one with each call; NULL: no
 * more. An event that begins a thread counts too: then another task may be the maker.
 */
const struct trace_task *threads_next(struct threads *threads, const struct trace_call *call,
                                      const struct trace_task **ret_maker);

#endif
