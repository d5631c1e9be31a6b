/*
 * guard_works - what the guard denies, seen from below it
 *
 * Proves: under the guard, socket(AF_VSOCK) gives EAFNOSUPPORT and io_uring_setup ENOSYS through
 * the x86-64 entry and by i386 numbers (int $0x80, which a 64-bit program may use too), socketcall
 * is gone, x32 numbers reach nothing, and AF_UNIX is untouched. Inline system calls throughout: the
 * guard must hold where no wrapper is. Makes sockets and never connects one.
 *
 * Exit: 0 all of it held; 1 something got through, named on stderr.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* arch/x86/entry/syscalls/syscall_32.tbl */
enum {
    I386_SOCKETCALL = 102,
    I386_SOCKET = 359,
    I386_SOCKETPAIR = 360,
    I386_IO_URING_SETUP = 425,
    SOCKETCALL_SOCKET = 1, /* linux/net.h: SYS_SOCKET */
    X32_BIT = 0x40000000,  /* asm/unistd.h: __X32_SYSCALL_BIT */
    NO_ENTRY = -4096,      /* int $0x80 faults: the kernel has no 32-bit entry */
};

static long call_64(long number, long a, long b, long c, long d)
{
    register long r10 __asm__("r10") = d;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
}

static long call_32(long number, long a, long b, long c, long d)
{
    int result;

    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "0"((int)number), "b"(a), "c"(b), "d"(c), "S"(d)
                     : "r8", "r9", "r10", "r11", "memory");
    return result;
}

typedef long entry_fn(long number, long a, long b, long c, long d);

/* In a child: where the kernel has no such entry the instruction kills. The result comes by pipe.
 */
static long call_in_child(entry_fn *entry, long number, long a, long b, long c, long d)
{
    int ends[2];
    long result = NO_ENTRY;

    if (pipe(ends) != 0)
        return 0;
    const pid_t child = fork();
    if (child == 0) {
        result = entry(number, a, b, c, d);
        _exit(write(ends[1], &result, sizeof result) == sizeof result ? 0 : 1);
    }
    close(ends[1]);
    const bool came = read(ends[0], &result, sizeof result) == sizeof result;
    close(ends[0]);
    waitpid(child, NULL, 0);
    return came ? result : NO_ENTRY;
}

static int failures;

static void expect(const char *what, long got, long wanted)
{
    if (got == wanted || got == NO_ENTRY)
        return;
    fprintf(stderr, "guard_works: %s: %ld, not %ld\n", what, got, wanted);
    failures++;
}

static void expect_i386_denied(void)
{
    uint32_t *args = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (args == MAP_FAILED) {
        perror("guard_works: mmap");
        failures++;
        return;
    }
    args[0] = AF_VSOCK;
    args[1] = SOCK_STREAM;
    const long where = (long)(uintptr_t)args;

    expect("i386 socket(AF_VSOCK)",
           call_in_child(call_32, I386_SOCKET, AF_VSOCK, SOCK_STREAM, 0, 0), -EAFNOSUPPORT);
    expect("i386 socketpair(AF_VSOCK)",
           call_in_child(call_32, I386_SOCKETPAIR, AF_VSOCK, SOCK_STREAM, 0, where + 64),
           -EAFNOSUPPORT);
    expect("i386 socketcall(socket)",
           call_in_child(call_32, I386_SOCKETCALL, SOCKETCALL_SOCKET, where, 0, 0), -ENOSYS);
    expect("i386 io_uring_setup", call_in_child(call_32, I386_IO_URING_SETUP, 1, where, 0, 0),
           -ENOSYS);
}

static void expect_x86_64_denied(void)
{
    int pair[2];
    char params[256] = { 0 }; /* struct io_uring_params, all zero */
    /* The kernel takes the family as an int and never sees the upper half. */
    const long high_bits = (long)(UINT64_C(1) << 32) | AF_VSOCK;

    expect("socket(AF_VSOCK)", call_64(SYS_socket, AF_VSOCK, SOCK_STREAM, 0, 0), -EAFNOSUPPORT);
    expect("socket(AF_VSOCK) with high bits", call_64(SYS_socket, high_bits, SOCK_STREAM, 0, 0),
           -EAFNOSUPPORT);
    expect("socket(AF_VSOCK, SOCK_SEQPACKET)", call_64(SYS_socket, AF_VSOCK, SOCK_SEQPACKET, 0, 0),
           -EAFNOSUPPORT);
    expect("socketpair(AF_VSOCK)",
           call_64(SYS_socketpair, AF_VSOCK, SOCK_STREAM, 0, (long)(uintptr_t)pair), -EAFNOSUPPORT);
    expect("io_uring_setup", call_64(SYS_io_uring_setup, 1, (long)(uintptr_t)params, 0, 0),
           -ENOSYS);
}

/* The filter answers EAFNOSUPPORT; a kernel without x32 answers ENOSYS before it or after. */
static void expect_x32_denied(void)
{
    const long got = call_in_child(call_64, X32_BIT + SYS_socket, AF_VSOCK, SOCK_STREAM, 0, 0);

    if (got != -ENOSYS)
        expect("x32 socket(AF_VSOCK)", got, -EAFNOSUPPORT);
}

int main(void)
{
    expect_x86_64_denied();
    expect_i386_denied();
    expect_x32_denied();

    int pair[2];
    expect("socketpair(AF_UNIX) must work",
           call_64(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, (long)(uintptr_t)pair), 0);
    return failures == 0 ? 0 : 1;
}
