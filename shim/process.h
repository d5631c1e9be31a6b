/*
 * process.h - what the constructor starts of man2_proc.c
 */
#ifndef SHIM_PROCESS_H
#define SHIM_PROCESS_H

/* Registers the handlers that run around each fork. Called once, before the program's own. */
void process_watch_forks(void);

#endif
