/*
 * decode_process.h - what the recording says of tasks, as strace prints it: fork, execve, exit,
 * wait4; signals
 */
#ifndef TRACE_DECODE_PROCESS_H
#define TRACE_DECODE_PROCESS_H

#include "trace/show.h"

/* "fork", "vfork", "execve", "exit", "exit_group", "wait4"; NULL: it is none of these. */
const char *process_name(const struct trace_call *call);

/* All its arguments. */
void process_arguments(const struct show *show);

/* What stands behind "= ". */
void process_result(const struct show *show);

/* TRACE_SIGNAL: which it was, and "{si_signo=SIGPIPE, si_code=SI_USER, si_pid=1, si_uid=0}". */
int process_signal_number(const struct trace_call *call);
void process_signal(const struct show *show);

#endif
