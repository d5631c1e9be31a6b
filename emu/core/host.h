/*
 * host.h - the only door to the kernel
 *
 * Everything that the core wants of the machine goes through these functions: descriptors that hold
 * a number (placeholders), sleeping, time, memory of the guest. host_linux.c makes raw system calls
 * and so never meets an intercepted symbol; the unit tests link a fake instead.
 *
 * Unless said otherwise a function returns -errno on failure, never touches errno, never blocks,
 * takes no lock and may be called from a signal handler.
 */
#ifndef EMU_HOST_H
#define EMU_HOST_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

struct robust_list_head;

/* What the kernel knows a description by: never reused while one end is open. */
struct host_identity {
    uint64_t device; /* st_dev; 0 for sockets */
    uint64_t object; /* st_ino, or SO_COOKIE */
    uint32_t access; /* O_RDONLY or O_WRONLY of a pipe's end; 0 for sockets */
    uint32_t kind;   /* HOST_PIPE, HOST_SOCKET; 0: neither */
};
enum { HOST_OTHER, HOST_PIPE, HOST_SOCKET };

/* A system call as it is; may block when the call does. Returns its result or -errno. */
int64_t host_syscall(long number, long a, long b, long c, long d, long e, long f);

/* ---- Memory of the guest ---- */

/*
 * Copies `size` bytes; either side may be the guest's and bad. Needs the SIGSEGV and SIGBUS
 * handlers to call host_copy_recover().
 *
 * Returns 0, or -EFAULT: an unknown part was copied.
 */
int host_copy(void *to, const void *from, size_t size);

/* host_copy() of the revents of `count` entries, upwards: 0, or -EFAULT after some of them. */
int host_put_revents(struct pollfd *to, const struct pollfd *from, size_t count);

/*
 * For the handler of SIGSEGV and SIGBUS: when the context stands in host_copy, makes it return
 * -EFAULT and answers true.
 */
bool host_copy_recover(void *ucontext);

/* True in a thread that blocks SIGSEGV: host_copy then goes through process_vm_readv. */
extern _Thread_local bool host_copy_slow __attribute__((tls_model("initial-exec")));

/* ---- Descriptors ---- */

int host_pipe2(int *ret_fds, int flags);
int host_socketpair(int domain, int type, int protocol, int *ret_fds);
int host_socket(int domain, int type, int protocol);
int host_close(int fd);
int host_close_range(unsigned first, unsigned last, int flags);
int host_dup(int fd);
int host_dup2(int fd, int target);
int host_dup3(int fd, int target, int flags);
int64_t host_fcntl(int fd, int command, unsigned long argument);
int64_t host_ioctl(int fd, unsigned long request, void *argument);
int host_getsockopt(int fd, int level, int name, void *ret_value, socklen_t *ret_size);
int host_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int host_shutdown(int fd, int how);

/* Names of sockets; `address` may be the guest's and bad. For accept and connect: wait.h. */
int host_bind(int fd, const void *address, socklen_t size);
int host_listen(int fd, int backlog);
int host_getsockname(int fd, void *ret_address, socklen_t *ret_size);
int host_getpeername(int fd, void *ret_address, socklen_t *ret_size);

/* Device and inode of the file behind a path, links followed: 0 or -errno. */
int host_file_identity(const char *path, uint64_t *ret_device, uint64_t *ret_inode);

uint64_t host_random(void);

/* Whether this thread's effective capabilities (capabilities(7)) hold number `capability`. */
bool host_has_capability(int capability);
int64_t host_read(int fd, void *data, size_t size);
int64_t host_write(int fd, const void *data, size_t size);
int64_t host_readv(int fd, const struct iovec *iov, int count);
int64_t host_record_size(int fd); /* of the next record in a seqpacket socket; doesn't block */

/* Identity of `fd`. Returns 0, -EBADF; ret_identity->kind says what it is. */
int host_identify(int fd, struct host_identity *ret_identity);

/* Asks without waiting: the bits of `events` and ERR, HUP that hold for fd now; POLLNVAL: closed.
 */
short host_poll_one(int fd, short events);

/* ppoll(2) itself: may block; `timeout_ns` < 0 waits for ever; mask may be NULL. */
int host_poll(struct pollfd *fds, nfds_t count, int64_t timeout_ns, const sigset_t *mask);

/* A real epoll instance; `events` is the guest's array and may be bad. None of them blocks. */
int host_epoll_create(int flags);
int host_epoll_ctl(int epoll, int operation, int fd, uint32_t events, uint64_t data);
int host_epoll_take(int epoll, void *ret_events, int max); /* epoll_wait with a time-out of 0 */

/* The data word of an entry whose upper 16 bits are `tag`, from /proc; 0: there is none. */
uint64_t host_epoll_find(int epoll, uint16_t tag);

/*
 * A task's own bell: a socket that shows POLLIN once it was rung. Anybody rings it by name, from
 * any process of the same network namespace, through a sender. Either's number is hidden but in the
 * guest's table, so it may be somebody else's by now: ask host_bell_stands() before using it. The
 * number is above `above`; a name is never 0.
 */
struct host_bell {
    int fd;
    uint32_t cookie;  /* 0: none */
    uint32_t network; /* in which names are known: SO_NETNS_COOKIE; 0: unknown */
};
int host_bell_open(int above, struct host_bell *ret_bell, uint64_t *ret_name);
int host_bell_sender(int above, struct host_bell *ret_sender);
bool host_bell_stands(const struct host_bell *bell);
int host_bell_send(const struct host_bell *sender, uint64_t name); /* 0 or -errno */
void host_bell_take(const struct host_bell *bell);                 /* takes one ring in */

/*
 * A pidfd, hidden likewise; as host_process_open(). stands: false when the number is somebody
 * else's by now. Before Linux 6.9 all pidfds look the same: one of the guest's would be taken for
 * ours.
 */
int host_bell_process(int above, int32_t pid, uint64_t *ret_object);
bool host_bell_process_stands(int fd, uint64_t object);

/* The session's bell, for those who can't be rung by name: a FIFO, written to and hardly read. */
int host_bell_create(void);                  /* a FIFO's fd, read and write, non-blocking */
int host_bell_watch(int bell);               /* an epoll fd, close-on-exec, edge-triggered on it */
bool host_bell_watches(int watch, int bell); /* whether `watch` is such an fd still */
void host_bell_harvest(int watch);           /* makes the watching epoll fd quiet again */
void host_bell_ring(int bell);               /* never fails: a full bell is drained by who rings */

/* A byte into another process's pipe, if possible: its descriptor `fd`, if that is inode `object`.
 */
void host_ring_other(int32_t pid, int fd, uint64_t object);

/* Reopens the pipe behind `fd` through /proc/self/fd for writing, or reading, non-blocking. */
int host_reopen_writer(int fd);
int host_reopen_reader(int fd);

/* A pidfd of the process, close-on-exec: readable once it has ended. Or -errno; -ESRCH: gone. */
int host_process_open(int32_t pid);

/* Takes a copy of another process's descriptor (pidfd_getfd). */
int host_take_fd(int32_t pid, int fd);

/*
 * Calls `each` once for each of this process's open descriptors, as /proc/self/fd has them. Of the
 * `count` numbers in `known` it need not be told; those that aren't open may be among them. Returns
 * 0, or -errno without /proc.
 */
int host_each_fd(void (*each)(void *context, int fd), void *context, const int *known, int count);

/* ---- Threads, processes, time ---- */

uint32_t host_gettid(void);
int32_t host_getpid(void);
struct robust_list_head *host_robust_list(void);

/* The CPU that this thread runs on now (rseq; no system call), or -1. */
int host_cpu(void);
void host_yield(void);
uint64_t host_now_ns(void); /* CLOCK_MONOTONIC */

/* Not 0: the time of a user with virtual tasks; host_now_ns() answers it, and adds a microsecond.
 */
extern uint64_t host_clock_ns;

/*
 * Sleeps while *word == expected, at most until deadline_ns (CLOCK_MONOTONIC; 0: no end).
 * Returns 0 (woken), -EAGAIN (*word differed), -EINTR, -ETIMEDOUT. Blocks.
 */
int64_t host_futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns);
void host_futex_wake(const _Atomic uint32_t *word, int count);

/*
 * Tells the process `pid` (or the thread) from others that had, or will have, this number. 0: there
 * is none, it is a zombie, or nobody says.
 */
uint64_t host_process_mark(int32_t pid);

#define HOST_MARK_INODE (1ull << 63) /* it is an inode, else a start time */

/* True when both are known, can be compared, and are of different processes. */
static inline bool host_marks_differ(uint64_t a, uint64_t b)
{
    return a != 0 && b != 0 && a != b && (a & HOST_MARK_INODE) == (b & HOST_MARK_INODE);
}

/* Sets the thread's signal mask; old may be NULL. */
void host_sigmask(const sigset_t *mask, sigset_t *ret_old);

/* RLIMIT_NOFILE, soft. */
uint64_t host_fd_limit(void);

/* Name of the running program, NUL-terminated, at most 15 characters. */
void host_program(char ret_name[16]);

/* ---- Memory of the arena ---- */

int host_memory_create(const char *name, uint64_t size); /* a memfd of that size; its fd */
int64_t host_memory_size(int fd);
void *host_memory_map(int fd, uint64_t size); /* shared; NULL on failure */

/*
 * What of a mapping of `fd` stands behind `from` shall not be read from end to end; nobody can
 * sleep on a futex there any more. Requires: it isn't used at this moment; `from` begins a page.
 */
void host_memory_conceal(int fd, void *base, uint64_t from, uint64_t size);
void host_memory_unmap(void *base, uint64_t size);
void host_memory_drop(void *address, uint64_t size); /* gives pages back; they read as zero */
void *host_memory_private(uint64_t size);            /* anonymous, zero; NULL on failure */

/* Writes to the kernel's stderr and ends the process. */
_Noreturn void host_abort(const char *message);

#endif
