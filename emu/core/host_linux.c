/*
 * host_linux.c - host.h on x86-64 Linux, by raw system calls
 *
 * libc is used for nothing that the shim may intercept: the two exceptions, clock_gettime (a vDSO
 * call) and the rseq area, are neither intercepted nor system calls.
 */
#include "host.h"

#include "base.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <ucontext.h>

_Thread_local bool host_copy_slow __attribute__((tls_model("initial-exec")));

int64_t host_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    int64_t result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#define CALL0(nr)             host_syscall(nr, 0, 0, 0, 0, 0, 0)
#define CALL1(nr, a)          host_syscall(nr, (long)(a), 0, 0, 0, 0, 0)
#define CALL2(nr, a, b)       host_syscall(nr, (long)(a), (long)(b), 0, 0, 0, 0)
#define CALL3(nr, a, b, c)    host_syscall(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define CALL4(nr, a, b, c, d) host_syscall(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define CALL5(nr, a, b, c, d, e) \
    host_syscall(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)

/*
 * host_copy_asm(to, from, size): leaf, never touches the stack, so that a fault anywhere between
 * its first and last instruction can be answered by returning -EFAULT from it. Small sizes are
 * moved by overlapping loads and stores without a loop, all loads first; up to 1 KiB 64 bytes a
 * round; more by rep movsb, which costs 12 ns to start (tests/proof/efault_copy.c has the figures).
 */
__asm__(".text\n"
        ".p2align 6\n"
        ".type host_copy_asm, @function\n"
        ".globl host_copy_asm\n"
        ".hidden host_copy_asm\n"
        ".globl host_copy_asm_fault\n"
        ".hidden host_copy_asm_fault\n"
        "host_copy_asm:\n"
        "    cmp $16, %rdx\n"
        "    jb 2f\n"
        "    cmp $32, %rdx\n"
        "    ja 3f\n"
        "    movups (%rsi), %xmm0\n"
        "    movups -16(%rsi,%rdx), %xmm1\n"
        "    movups %xmm0, (%rdi)\n"
        "    movups %xmm1, -16(%rdi,%rdx)\n"
        "    xor %eax, %eax\n"
        "    ret\n"
        "2:  cmp $8, %rdx\n" /* 0 to 15 */
        "    jae 4f\n"
        "    cmp $4, %rdx\n"
        "    jae 5f\n"
        "    test %rdx, %rdx\n"
        "    jz 6f\n"
        "    movzbl (%rsi), %eax\n" /* 1 to 3: first, middle, last */
        "    movzbl -1(%rsi,%rdx), %ecx\n"
        "    mov %rdx, %r8\n"
        "    shr $1, %r8\n"
        "    movzbl (%rsi,%r8), %r9d\n"
        "    movb %al, (%rdi)\n"
        "    movb %r9b, (%rdi,%r8)\n"
        "    movb %cl, -1(%rdi,%rdx)\n"
        "6:  xor %eax, %eax\n"
        "    ret\n"
        "4:  mov (%rsi), %rax\n"
        "    mov -8(%rsi,%rdx), %rcx\n"
        "    mov %rax, (%rdi)\n"
        "    mov %rcx, -8(%rdi,%rdx)\n"
        "    xor %eax, %eax\n"
        "    ret\n"
        "5:  mov (%rsi), %eax\n"
        "    mov -4(%rsi,%rdx), %ecx\n"
        "    mov %eax, (%rdi)\n"
        "    mov %ecx, -4(%rdi,%rdx)\n"
        "    xor %eax, %eax\n"
        "    ret\n"
        "3:  cmp $64, %rdx\n"
        "    ja 7f\n"
        "    movups (%rsi), %xmm0\n"
        "    movups 16(%rsi), %xmm1\n"
        "    movups -32(%rsi,%rdx), %xmm2\n"
        "    movups -16(%rsi,%rdx), %xmm3\n"
        "    movups %xmm0, (%rdi)\n"
        "    movups %xmm1, 16(%rdi)\n"
        "    movups %xmm2, -32(%rdi,%rdx)\n"
        "    movups %xmm3, -16(%rdi,%rdx)\n"
        "    xor %eax, %eax\n"
        "    ret\n"
        "7:  cmp $1024, %rdx\n"
        "    jae 9f\n"
        "    lea -64(%rsi,%rdx), %r8\n" /* the last 64 bytes, which may overlap the round before */
        "    lea -64(%rdi,%rdx), %r9\n"
        "8:  movups (%rsi), %xmm0\n"
        "    movups 16(%rsi), %xmm1\n"
        "    movups 32(%rsi), %xmm2\n"
        "    movups 48(%rsi), %xmm3\n"
        "    movups %xmm0, (%rdi)\n"
        "    movups %xmm1, 16(%rdi)\n"
        "    movups %xmm2, 32(%rdi)\n"
        "    movups %xmm3, 48(%rdi)\n"
        "    add $64, %rsi\n"
        "    add $64, %rdi\n"
        "    cmp %r8, %rsi\n"
        "    jb 8b\n"
        "    movups (%r8), %xmm0\n"
        "    movups 16(%r8), %xmm1\n"
        "    movups 32(%r8), %xmm2\n"
        "    movups 48(%r8), %xmm3\n"
        "    movups %xmm0, (%r9)\n"
        "    movups %xmm1, 16(%r9)\n"
        "    movups %xmm2, 32(%r9)\n"
        "    movups %xmm3, 48(%r9)\n"
        "    xor %eax, %eax\n"
        "    ret\n"
        "9:  mov %rdx, %rcx\n"
        "    rep movsb\n"
        "    xor %eax, %eax\n"
        "    ret\n"
        /* host_put_revents_asm(to, from, count): the same way out of a fault, so inside the range.
         * Two bytes of each entry, upwards. Requires: count > 0. */
        ".type host_put_revents_asm, @function\n"
        ".globl host_put_revents_asm\n"
        ".hidden host_put_revents_asm\n"
        ".p2align 4\n"
        "host_put_revents_asm:\n"
        "    lea (%rsi,%rdx,8), %r8\n"
        "1:  movzwl 6(%rsi), %eax\n"
        "    mov %ax, 6(%rdi)\n"
        "    add $8, %rsi\n"
        "    add $8, %rdi\n"
        "    cmp %r8, %rsi\n"
        "    jb 1b\n"
        "    xor %eax, %eax\n"
        "    ret\n"
        "host_copy_asm_fault:\n"
        "    mov $-14, %eax\n"
        "    ret\n"
        ".size host_copy_asm, . - host_copy_asm\n");

int host_copy_asm(void *to, const void *from, size_t size) __attribute__((visibility("hidden")));
int host_put_revents_asm(struct pollfd *to, const struct pollfd *from, size_t count)
    __attribute__((visibility("hidden")));
extern const char host_copy_asm_fault[] __attribute__((visibility("hidden")));

/*
 * A fault would kill a thread that blocks SIGSEGV: the kernel copies instead, and says EFAULT. Not
 * inlined: host_copy() would save registers for it in every call.
 */
__attribute__((noinline, cold)) static int copy_by_kernel(void *to, const void *from, size_t size)
{
    struct iovec local = { to, size };
    struct iovec remote = { (void *)(uintptr_t)from, size };
    int64_t done = host_syscall(SYS_process_vm_readv, host_getpid(), (long)&local, 1, (long)&remote,
                                1, 0);

    return done == (int64_t)size ? 0 : -EFAULT;
}

int host_copy(void *to, const void *from, size_t size)
{
    if (EMU_UNLIKELY(host_copy_slow) && size > 0) {
        return copy_by_kernel(to, from, size);
    }
    return host_copy_asm(to, from, size);
}

int host_put_revents(struct pollfd *to, const struct pollfd *from, size_t count)
{
    static_assert(offsetof(struct pollfd, revents) == 6 && sizeof *to == 8, "the assembly's");
    if (EMU_LIKELY(!host_copy_slow)) {
        return count > 0 ? host_put_revents_asm(to, from, count) : 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (copy_by_kernel(&to[i].revents, &from[i].revents, sizeof to->revents) < 0) {
            return -EFAULT;
        }
    }
    return 0;
}

bool host_copy_recover(void *ucontext)
{
    ucontext_t *context = ucontext;
    uintptr_t ip = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];

    if (ip < (uintptr_t)host_copy_asm || ip >= (uintptr_t)host_copy_asm_fault) {
        return false;
    }
    context->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)host_copy_asm_fault;
    context->uc_mcontext.gregs[REG_EFL] &= ~0x400; /* the direction flag: rep movsb went upwards */
    return true;
}

int host_pipe2(int *ret_fds, int flags)
{
    return (int)CALL2(SYS_pipe2, ret_fds, flags);
}

int host_socketpair(int domain, int type, int protocol, int *ret_fds)
{
    return (int)CALL4(SYS_socketpair, domain, type, protocol, ret_fds);
}

int host_socket(int domain, int type, int protocol)
{
    return (int)CALL3(SYS_socket, domain, type, protocol);
}

int host_close(int fd)
{
    return (int)CALL1(SYS_close, fd);
}

int host_close_range(unsigned first, unsigned last, int flags)
{
    return (int)CALL3(SYS_close_range, first, last, flags);
}

int host_dup(int fd)
{
    return (int)CALL1(SYS_dup, fd);
}

int host_dup2(int fd, int target)
{
    return (int)CALL2(SYS_dup2, fd, target);
}

int host_dup3(int fd, int target, int flags)
{
    return (int)CALL3(SYS_dup3, fd, target, flags);
}

int64_t host_fcntl(int fd, int command, unsigned long argument)
{
    return CALL3(SYS_fcntl, fd, command, argument);
}

int64_t host_ioctl(int fd, unsigned long request, void *argument)
{
    return CALL3(SYS_ioctl, fd, request, argument);
}

int host_getsockopt(int fd, int level, int name, void *ret_value, socklen_t *ret_size)
{
    return (int)CALL5(SYS_getsockopt, fd, level, name, ret_value, ret_size);
}

int host_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    return (int)CALL5(SYS_setsockopt, fd, level, name, value, size);
}

int host_shutdown(int fd, int how)
{
    return (int)CALL2(SYS_shutdown, fd, how);
}

int64_t host_read(int fd, void *data, size_t size)
{
    return CALL3(SYS_read, fd, data, size);
}

int64_t host_write(int fd, const void *data, size_t size)
{
    return CALL3(SYS_write, fd, data, size);
}

int64_t host_readv(int fd, const struct iovec *iov, int count)
{
    return CALL3(SYS_readv, fd, iov, count);
}

int64_t host_record_size(int fd)
{
    return host_syscall(SYS_recvfrom, fd, 0, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT, 0, 0);
}

int host_identify(int fd, struct host_identity *ret_identity)
{
    struct stat status;
    int64_t rc = CALL2(SYS_fstat, fd, &status);

    if (rc < 0) {
        return (int)rc;
    }
    *ret_identity = (struct host_identity){ 0 };
    if (S_ISFIFO(status.st_mode)) {
        int64_t flags = host_fcntl(fd, F_GETFL, 0);

        ret_identity->kind = HOST_PIPE;
        ret_identity->device = status.st_dev;
        ret_identity->object = status.st_ino;
        ret_identity->access = (uint32_t)flags & O_ACCMODE;
    } else if (S_ISSOCK(status.st_mode)) {
        socklen_t size = sizeof ret_identity->object;

        rc = host_getsockopt(fd, SOL_SOCKET, SO_COOKIE, &ret_identity->object, &size);
        ret_identity->kind = rc == 0 ? HOST_SOCKET : HOST_OTHER;
    }
    return 0;
}

short host_poll_one(int fd, short events)
{
    struct pollfd entry = { .fd = fd, .events = events };
    struct timespec zero = { 0, 0 };
    int64_t rc = CALL5(SYS_ppoll, &entry, 1, &zero, NULL, _NSIG / 8);

    return rc > 0 ? entry.revents : 0;
}

int host_poll(struct pollfd *fds, nfds_t count, int64_t timeout_ns, const sigset_t *mask)
{
    struct timespec timeout = { timeout_ns / 1000000000, timeout_ns % 1000000000 };

    return (int)CALL5(SYS_ppoll, fds, count, timeout_ns < 0 ? NULL : &timeout, mask, _NSIG / 8);
}

void host_bell_ring(int bell)
{
    char rubbish[4096];

    if (host_write(bell, "", 1) == -EAGAIN) {
        host_read(bell, rubbish, sizeof rubbish);
        host_write(bell, "", 1);
    }
}

/* "/proc/self/fd/N" without libc's formatting. */
static void proc_fd_path(char path[40], int fd)
{
    char digits[12];
    int count = 0;

    strcpy(path, "/proc/self/fd/");
    path += strlen(path);
    do {
        digits[count++] = (char)('0' + fd % 10);
        fd /= 10;
    } while (fd > 0);
    while (count > 0) {
        *path++ = digits[--count];
    }
    *path = 0;
}

int host_bell_create(void)
{
    int fds[2];
    char path[40];
    int rc = host_pipe2(fds, O_CLOEXEC | O_NONBLOCK);
    int fd;

    if (rc < 0) {
        return rc;
    }
    proc_fd_path(path, fds[0]);
    fd = (int)CALL3(SYS_open, path, O_RDWR | O_NONBLOCK, 0);
    host_close(fds[0]);
    host_close(fds[1]);
    return fd;
}

int host_reopen_writer(int fd)
{
    char path[40];

    proc_fd_path(path, fd);
    return (int)CALL3(SYS_open, path, O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0);
}

int host_reopen_reader(int fd)
{
    char path[40];

    proc_fd_path(path, fd);
    return (int)CALL3(SYS_open, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
}

struct proc_entry {
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

static bool is_open(int fd)
{
    return host_fcntl(fd, F_GETFD, 0) >= 0;
}

#define LOW_FDS 64 /* numbers that are looked at one by one, 0.05 us each */

/*
 * The open ones of the lowest numbers, when these and the known ones are all that there are: the
 * size of /proc/self/fd says how many (fs/proc/fd.c:proc_fd_getattr, since 6.2). To read that
 * directory takes 3 us for each. False: not so.
 */
static bool find_low_fds(const int *known, int count, uint64_t *ret_open)
{
    struct stat status;
    uint64_t open = 0;
    int64_t left;

    static_assert(LOW_FDS == 64, "a word of bits");
    if (CALL2(SYS_stat, "/proc/self/fd", &status) < 0 || status.st_size == 0) {
        return false;
    }
    left = status.st_size;
    for (int i = 0; i < count; i++) {
        left -= known[i] >= LOW_FDS && is_open(known[i]);
    }
    for (int fd = 0; fd < LOW_FDS && left > 0; fd++) {
        if (is_open(fd)) {
            open |= 1ull << fd;
            left--;
        }
    }
    *ret_open = open;
    return left == 0;
}

static int each_listed_fd(void (*each)(void *context, int fd), void *context)
{
    _Alignas(8) char block[4096];
    int directory = (int)CALL3(SYS_open, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    int64_t got;

    if (directory < 0) {
        return directory;
    }
    while ((got = CALL3(SYS_getdents64, directory, block, sizeof block)) > 0) {
        for (int64_t at = 0; at < got;) {
            const struct proc_entry *entry = (const void *)(block + at);
            int fd = 0;

            at += entry->size;
            if (entry->name[0] == '.') {
                continue;
            }
            for (const char *digit = entry->name; *digit; digit++) {
                fd = fd * 10 + (*digit - '0');
            }
            if (fd != directory) {
                each(context, fd);
            }
        }
    }
    host_close(directory);
    return 0;
}

int host_each_fd(void (*each)(void *context, int fd), void *context, const int *known, int count)
{
    uint64_t open;

    if (!find_low_fds(known, count, &open)) {
        return each_listed_fd(each, context);
    }
    for (int fd = 0; fd < LOW_FDS; fd++) {
        if (open >> fd & 1) {
            each(context, fd);
        }
    }
    return 0;
}

uint32_t host_gettid(void)
{
    return (uint32_t)CALL0(SYS_gettid);
}

int32_t host_getpid(void)
{
    return (int32_t)CALL0(SYS_getpid);
}

struct robust_list_head *host_robust_list(void)
{
    struct robust_list_head *head = NULL;
    size_t size = 0;

    return CALL3(SYS_get_robust_list, 0, &head, &size) == 0 ? head : NULL;
}

int host_cpu(void)
{
    const struct rseq *area;

    if (__rseq_size == 0) {
        return -1;
    }
    area = (const void *)((const char *)__builtin_thread_pointer() + __rseq_offset);
    return (int)*(const volatile uint32_t *)&area->cpu_id;
}

void host_yield(void)
{
    CALL0(SYS_sched_yield);
}

uint64_t host_clock_ns;

uint64_t host_now_ns(void)
{
    struct timespec now;

    if (EMU_UNLIKELY(host_clock_ns != 0)) {
        return host_clock_ns += 1000; /* a loop that waits for a time ends */
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int64_t host_futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns)
{
    struct timespec until = { (time_t)(deadline_ns / 1000000000),
                              (long)(deadline_ns % 1000000000) };

    return host_syscall(SYS_futex, (long)word, FUTEX_WAIT_BITSET, expected,
                        deadline_ns ? (long)&until : 0, 0, FUTEX_BITSET_MATCH_ANY);
}

void host_futex_wake(const _Atomic uint32_t *word, int count)
{
    CALL3(SYS_futex, word, FUTEX_WAKE, count);
}

void host_sigmask(const sigset_t *mask, sigset_t *ret_old)
{
    CALL4(SYS_rt_sigprocmask, SIG_SETMASK, mask, ret_old, _NSIG / 8);
}

uint64_t host_fd_limit(void)
{
    struct rlimit limit = { 1024, 1024 };

    CALL4(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
    return limit.rlim_cur;
}

void host_program(char ret_name[16])
{
    ret_name[0] = 0;
    CALL2(SYS_prctl, 16 /* PR_GET_NAME */, ret_name);
    ret_name[15] = 0;
}

int host_memory_create(const char *name, uint64_t size)
{
    int fd = (int)CALL2(SYS_memfd_create, name, 0);
    int rc;

    if (fd < 0) {
        return fd;
    }
    rc = (int)CALL2(SYS_ftruncate, fd, size);
    if (rc < 0) {
        host_close(fd);
        return rc;
    }
    return fd;
}

int64_t host_memory_size(int fd)
{
    struct stat status;
    int64_t rc = CALL2(SYS_fstat, fd, &status);

    return rc < 0 ? rc : status.st_size;
}

static void *map(int fd, uint64_t size, int flags)
{
    int64_t at = host_syscall(SYS_mmap, 0, (long)size, PROT_READ | PROT_WRITE, flags, fd, 0);

    return at < 0 && at > -4096 ? NULL : (void *)at;
}

void *host_memory_map(int fd, uint64_t size)
{
    void *base = map(fd, size, MAP_SHARED | MAP_NORESERVE);

    if (base) {
        CALL3(SYS_madvise, base, size, MADV_DONTDUMP); /* a core would hold, and fill, all of it */
    }
    return base;
}

/*
 * On x86-64 what may be written can be read; but who walks over the mappings believes it can't. A
 * new mapping, since valgrind takes seconds over an mprotect of this size.
 */
void host_memory_conceal(int fd, void *base, uint64_t from, uint64_t size)
{
    char *part = (char *)base + from;

    host_syscall(SYS_mmap, (long)part, (long)(size - from), PROT_WRITE,
                 MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, (long)from);
    CALL3(SYS_madvise, part, size - from, MADV_DONTDUMP);
}

void host_memory_unmap(void *base, uint64_t size)
{
    CALL2(SYS_munmap, base, size);
}

void host_memory_drop(void *address, uint64_t size)
{
    CALL3(SYS_madvise, address, size, MADV_REMOVE);
}

void *host_memory_private(uint64_t size)
{
    return map(-1, size, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
}

void host_abort(const char *message)
{
    host_write(2, message, strlen(message));
    for (;;) {
        CALL2(SYS_kill, host_getpid(), SIGABRT);
        CALL1(SYS_exit_group, 134);
    }
}
