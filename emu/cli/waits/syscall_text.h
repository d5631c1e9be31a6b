/*
 * syscall_text.h - a system call that a thread is blocked in, as text
 */
#ifndef CLI_SYSCALL_TEXT_H
#define CLI_SYSCALL_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "waits/proc.h"

#define SYSCALL_NAME 24

/* "wait4", or "syscall 999". */
void syscall_name(long number, char ret_name[SYSCALL_NAME]);

/* "wait4(412)": with those of its arguments that say what it waits for. */
void syscall_text(int32_t pid, const struct proc_call *call, const char *name, char *ret_text,
                  size_t room);

/* The descriptor that it waits on, or -1. */
int syscall_fd(const struct proc_call *call);

#endif
