/*
 * host_fake.h - steering the fake host that the unit tests link in the place of host_linux.c
 *
 * The clock stands still until somebody sleeps: a sleep with a deadline moves it there at once, so
 * a test of a ten-second time-out takes no time. Actions that the test planned run on the way. When
 * there is none, and sleeps have no end or follow each other without any effect, the fake says
 * -EDEADLK: nothing could ever wake the caller.
 */
#ifndef HOST_FAKE_H
#define HOST_FAKE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As after exec: no descriptors but 0 to 2, clock at 1 s, one live process. */
void fake_reset(void);

/* Plans `act` for when the clock reaches `at_ns`; actions run inside sleeps, in time's order. */
void fake_plan(uint64_t at_ns, void (*act)(void *), void *context);
#define FAKE_PLANS 32

/* Sleeps that were made, futex wakes, and rings of another process's bell, since the reset. */
unsigned fake_sleeps(void);
unsigned fake_wakes(void);
unsigned fake_rings(void);

/* From now on copies that touch [address, address + size) fail; size 0: none. */
void fake_bad_memory(const void *address, size_t size);

/* Who is alive, and which process and thread is running. */
void fake_run_as(int32_t pid, uint32_t tid);
void fake_kill(int32_t pid);

/* Bytes that come past the net: written into the placeholder itself, as libc's own code might. */
void fake_write_past(int fd, const void *data, size_t size);

/* Closes the descriptor as a process that nobody watches does: the core isn't told. */
void fake_close_unseen(int fd);

/* Open descriptors, 0 to 2 not counted. */
int fake_open_fds(void);

/* The next `count` calls that make a descriptor fail with -EMFILE. */
void fake_no_fds(int count);

/* A signal that was queued: to a process, or to a thread of it (tid > 0). */
struct fake_signal {
    int32_t pid;
    int32_t tid;
    int number;
    siginfo_t info;
};

/* The oldest signal that was sent and not yet taken; false: there is none. */
bool fake_take_signal(struct fake_signal *ret_signal);

/* The next `count` real-time signals find the queue full. */
void fake_fill_signal_queue(int count);

/* ---- Between the fake's parts ---- */

/* Owner and signal of one end of an object. `end`: a number of its own. */
int64_t fake_owner_command(int end, int command, unsigned long argument);
int64_t fake_signal_call(long number, long a, long b, long c, long d);
void fake_reset_signals(void);

/* Ends of objects as numbers > 0; 0: no socket's. Holding is what a listener's queue does. */
int fake_end(int fd);
bool fake_end_is_open(int end);
void fake_hold_other_end(int end, int change);
int fake_other_end(int end, int flags); /* a new descriptor for it, SOCK_* flags */

/* connect and accept4: false, it is none of them. */
bool fake_name_call(long number, long a, long b, long c, long d, int64_t *ret_result);
void fake_reset_names(void);

#define FAKE_INSTANCE 3 /* beside HOST_OTHER, ...: an epoll instance */

/* A new descriptor for one; what is in it stands in host_fake_epoll.c. */
int fake_instance(bool cloexec);

#define FAKE_MEMORY_FIRST 4096 /* numbers of the arena's memfds: out of the table's way */

void fake_reset_world(void);
void fake_wake(void); /* counts a wake-up */
bool fake_is_bad(const void *place, size_t size);

/* Sleeps: true when an action made `woken` answer true; else the clock stands at the deadline. */
bool fake_sleep(uint64_t deadline_ns, bool (*woken)(const void *), const void *context);

/* True when the sleep that has just ended in vain will never end otherwise. */
bool fake_is_stuck(uint64_t deadline_ns);

#endif
