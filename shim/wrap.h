/*
 * wrap.h - prototypes of all wrappers, made from symbols.def, and what a wrapper's file includes
 */
#ifndef SHIM_WRAP_H
#define SHIM_WRAP_H

#include "route.h"
#include "shim.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <wordexp.h>

struct open_how;
struct winsize;

#define SYMBOLS_ALL
#define SYM(name, result, parameters, target) result target parameters;
#include "symbols.def"
#undef SYMBOLS_ALL

/* libc's answer to a fortified call whose buffer is too small: ends the program. */
_Noreturn void __chk_fail(void);

/*
 * Before an open of `path`: when it leads to an emulated descriptor, that one goes native. Returns
 * NULL; or, for /dev/vsock and numbers of it, what to open instead, with device_place().
 */
const char *open_prepare(int directory, const char *path);

/* The file that stands in for /dev/vsock; and what to use instead of a path, or NULL: the path. */
#define DEVICE_STAND_IN "/dev/null"
const char *device_instead(int directory, const char *path);

/* `fd`, just opened on a stand-in, becomes /dev/vsock; -1 stays -1. Returns fd, or -1 (errno). */
int device_place(int fd);

/* read(2) and write(2) past cancellation, for libc's _nocancel entries. */
ssize_t wrap_read_nocancel(int fd, void *data, size_t size);
ssize_t wrap_write_nocancel(int fd, const void *data, size_t size);
int wrap_close_nocancel(int fd);

/* Calls that make what caller_left_alone() may leave to the kernel, with a return address. */
int pipe_from(int fds[2], int flags, const void *caller);
int socket_from(int domain, int type, int protocol, const void *caller);
int socketpair_from(int domain, int type, int protocol, int fds[2], const void *caller);
int epoll_create_from(int flags, const void *caller);

/* fcntl(2) and ioctl(2) with their third argument as one word. */
int wrap_fcntl_word(int fd, int command, unsigned long argument);
int wrap_ioctl_word(int fd, unsigned long request, unsigned long argument);

/*
 * syscall(2), from syscall_entry.S and sud.c. syscall_wanted has a 1 for each number that it hands
 * to a wrapper.
 */
long syscall_by_number(long number, long a, long b, long c, long d, long e, long f);
#define SYSCALL_NUMBERS 512
extern const unsigned char syscall_wanted[SYSCALL_NUMBERS];

/* Descriptors in ancillary data leave the emulator: they go native. 0, or -errno. */
int message_give_fds(struct emu_task *self, const struct msghdr *message);

/*
 * Makes ready for an exec or spawn of the program at `path`, relative to `directory`. Returns 0; 1:
 * its loader is a foreign one, which can't take this library; or -errno when the exec is refused:
 * the program can't be followed and a channel can't go native.
 */
int exec_prepare(int directory, const char *path, bool inherited_only);

/* The same for what is known to be out of reach: every channel goes native. */
int exec_give_up(bool inherited_only);

/*
 * Brackets a call that gives this thread descriptors of its own (CLONE_FILES of unshare,
 * CLOSE_RANGE_UNSHARE): all channels go native before (false: they can't), and after it the thread
 * is apart, if there are others. clone_parted() returns what it is given.
 */
bool clone_part_descriptors(void);
long clone_parted(long result);

#endif
