/*
 * fixture.h - a session with one process and two tasks over the fake host
 *
 * `.init = fixture_start, .fini = fixture_end` of a test suite. At the end nothing may be left: no
 * object in the arena, no descriptor, no waiter.
 */
#ifndef FIXTURE_H
#define FIXTURE_H

#include "emu.h"

extern struct emu_process process;
extern struct emu_task self;
extern struct emu_task other; /* a second thread: whoever acts while `self` sleeps */

void fixture_start(void);
void fixture_end(void);

/* A pipe {read end, write end} or a pair with these flags; fails the test when there is none. */
void fixture_pipe(int ret_fds[2], int flags);
void fixture_pair(int ret_fds[2], int type);
void fixture_close(const int fds[2]);

/* Bits that poll() says for fd now. */
short fixture_poll(int fd, short events);

/* Writes `size` bytes again and again until EAGAIN; the sum. Requires: non-blocking. */
int64_t fixture_fill(int fd, size_t size);

/* The call as the shim makes it: what is the placeholder's to say, the placeholder says. */
int64_t fixture_fcntl(int fd, int command, unsigned long argument);

/* Descriptors that are open, the session's own aside. */
int fixture_open_fds(void);

#define MS 1000000ull /* in nanoseconds */

#endif
