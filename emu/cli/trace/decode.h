/*
 * decode.h - a recorded call as strace prints it: its name, its arguments, its result
 */
#ifndef TRACE_DECODE_H
#define TRACE_DECODE_H

#include "trace/show.h"

/* The system call's name: "sendto" for send. "" when the call isn't one of this build's. */
const char *decode_name(const struct trace_call *call);

/*
 * The arguments, with show->between in between and no brackets around. strace prints some when the
 * call is entered, the rest when it is left: show->when says which. Requires, for those of the
 * leave: call->left.
 *
 * At the enter `show->between` ends the text when there are more to come.
 */
void decode_arguments(struct show *show, enum trace_when part);

/* What stands behind "= ", without what -T adds. */
void decode_result(struct show *show);

#endif
