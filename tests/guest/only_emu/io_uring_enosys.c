/*
 * Proves (in the emulator only): io_uring_setup answers ENOSYS, as on a kernel without it, so that
 * programs fall back to calls that are modeled. The answer is the library's own: a filter below it
 * makes the kernel answer something else here.
 *
 * Rows: none (decision 8 of the design)
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "../guest.h"

/* Of two filters that both deny, the newest one's errno is what comes (seccomp(2)). */
static void make_kernel_say(int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = { sizeof code / sizeof *code, code };
    CHECK_OK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    CHECK_OK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
}

static long raw_setup(unsigned entries, void *parameters)
{
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_io_uring_setup), "D"(entries), "S"(parameters)
                     : "rcx", "r11", "memory");
    return result;
}

int main(void)
{
    static char parameters[256]; /* struct io_uring_params, all zero */
    int fds[2];
    guest_start();
    make_kernel_say(EUCLEAN);
    CHECK_EQ(-EUCLEAN, raw_setup(4, parameters));
    CHECK_ERR(ENOSYS, syscall(SYS_io_uring_setup, 4, parameters));
    CHECK_ERR(ENOSYS, syscall(SYS_io_uring_setup, 0, NULL));
    guest_pipe(fds); /* and with an emulated fd around */
    CHECK_ERR(ENOSYS, syscall(SYS_io_uring_setup, 4, parameters));
    guest_close_both(fds);
    return guest_end();
}
