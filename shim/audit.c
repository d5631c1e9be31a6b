/*
 * audit.c - --audit: which calls neither a wrapper nor the redirection of libc's entries would have
 * caught
 *
 * Listed is what would have gone wrong without Syscall User Dispatch: calls on emulated
 * descriptors, and those that make pipes, sockets, epoll instances, processes and images. The many
 * others that libc and the loader make for themselves (a file opened, a signal's action set)
 * concern the emulator only when they are served, so they are left out. A call site is the file
 * that the instruction stands in and its place there.
 */
#include "wrap.h"

#include <sys/syscall.h>

#define NAME_SIZE 24 /* with room for the longest */

/*
 * "SYS_read" of each number that is handed to a wrapper. No pointers: the loader would have to
 * write to each of them whenever a program starts.
 */
#define CALL_BY_NUMBER(number, expression) [number] = #number,
static const char names[SYSCALL_NUMBERS][NAME_SIZE] = {
#define SECTION_RW
#define SECTION_FD
#define SECTION_SOCKET
#define SECTION_PROC
#include "syscalls.def"
#undef SECTION_RW
#undef SECTION_FD
#undef SECTION_SOCKET
#undef SECTION_PROC
};
#undef CALL_BY_NUMBER

#define PREFIX_SIZE 4 /* of "SYS_read" */

/* A poll looks at many: taken for missed when the process has any descriptor of ours. */
static bool would_be_missed(long number, const long *v)
{
    switch (number) {
    case SYS_pipe:
    case SYS_pipe2:
    case SYS_socket:
    case SYS_socketpair:
    case SYS_epoll_create:
    case SYS_epoll_create1:
    case SYS_io_uring_setup:
    case SYS_fork:
    case SYS_vfork:
    case SYS_clone:
    case SYS_clone3:
    case SYS_execve:
    case SYS_execveat: return true;
    case SYS_poll:
    case SYS_ppoll:
    case SYS_select:
    case SYS_pselect6: return shim.emulates;
    case SYS_close_range:
    case SYS_open:
    case SYS_openat:
    case SYS_openat2:
    case SYS_creat:
    case SYS_stat:
    case SYS_lstat:
    case SYS_newfstatat:
    case SYS_statx:
    case SYS_access:
    case SYS_faccessat:
    case SYS_faccessat2:
    case SYS_eventfd2:
    case SYS_timerfd_create:
    case SYS_memfd_create:
    case SYS_pidfd_open:
    case SYS_pidfd_getfd:
    case SYS_exit_group:
    case SYS_wait4:
    case SYS_waitid:
    case SYS_rt_sigaction:
    case SYS_rt_sigprocmask:
    case SYS_rt_sigtimedwait: return false;
    case SYS_splice: return emu_fd_is_known((int)v[0]) || emu_fd_is_known((int)v[2]);
    case SYS_dup2:
    case SYS_dup3:
    case SYS_tee:
    case SYS_sendfile: return emu_fd_is_known((int)v[0]) || emu_fd_is_known((int)v[1]);
    default: return emu_fd_is_known((int)v[0]);
    }
}

void audit_note(long number, const long *arguments, const void *address)
{
    struct emu_task *self;

    if (!would_be_missed(number, arguments) || !session_ensure()) {
        return;
    }
    self = route_enter_from(address);
    if (self) {
        emu_report_add(self, EMU_REPORT_ESCAPED, names[number] + PREFIX_SIZE, -1, -1, 0);
        route_exit(self);
    }
}
