/*
 * args.h - what the arguments of each call mean, a letter each, beside calls.def's signatures
 *
 *   i  number                               w  bytes that go in
 *   r  buffer that is filled, its size is the next argument
 *   W  iovec array, sent                    R  iovec array, filled         x  iovec array, either
 *   m  msghdr, sent     n  mmsghdr array, sent                M  msghdr, N  mmsghdr array: filled
 *   f  int array, filled (pipe's and socketpair's)
 *   a  address that goes in                 A  address that comes out      l  its length, in and
 * out v  value that goes in (type inferred)   V  value that comes out t  timespec   T  timespec,
 * updated      u  timeval, updated p  pollfd array     s  fd_set           g  signal set d  last
 * argument of fcntl and ioctl: number or value, may be left out o  offset, updated  S  stat L
 * rlimit
 *   e  epoll_event, sent                    E  epoll_event array, filled
 *
 * A call of calls.def that has no line here doesn't compile.
 */
#ifndef INTERPRET_ARGS_H
#define INTERPRET_ARGS_H

#define KINDS_read            "iri"
#define KINDS_write           "iwi"
#define KINDS_readv           "iRi"
#define KINDS_writev          "iWi"
#define KINDS_preadv2         "iRiii"
#define KINDS_pwritev2        "iWiii"
#define KINDS_pread           "irii"
#define KINDS_pwrite          "iwii"
#define KINDS_preadv          "iRii"
#define KINDS_pwritev         "iWii"
#define KINDS_pipe            "f"
#define KINDS_pipe2           "fi"
#define KINDS_socket          "iii"
#define KINDS_socketpair      "iiif"
#define KINDS_bind            "iai"
#define KINDS_listen          "ii"
#define KINDS_accept          "iAl"
#define KINDS_accept4         "iAli"
#define KINDS_connect         "iai"
#define KINDS_getsockname     "iAl"
#define KINDS_getpeername     "iAl"
#define KINDS_shutdown        "ii"
#define KINDS_send            "iwii"
#define KINDS_sendto          "iwiiai"
#define KINDS_sendmsg         "imi"
#define KINDS_sendmmsg        "inii"
#define KINDS_recv            "irii"
#define KINDS_recvfrom        "iriiAl"
#define KINDS_recvmsg         "iMi"
#define KINDS_recvmmsg        "iNiiT"
#define KINDS_getsockopt      "iiiVl"
#define KINDS_setsockopt      "iiivi"
#define KINDS_close           "i"
#define KINDS_close_range     "iii"
#define KINDS_closefrom       "i"
#define KINDS_dup             "i"
#define KINDS_dup2            "ii"
#define KINDS_dup3            "iii"
#define KINDS_fcntl           "iid"
#define KINDS_ioctl           "iid"
#define KINDS_lseek           "iii"
#define KINDS_fstat           "iS"
#define KINDS_isatty          "i"
#define KINDS_ftruncate       "ii"
#define KINDS_fsync           "i"
#define KINDS_posix_fallocate "iii"
#define KINDS_flock           "ii"
#define KINDS_splice          "ioioii"
#define KINDS_tee             "iiii"
#define KINDS_vmsplice        "ixii"
#define KINDS_sendfile        "iioi"
#define KINDS_poll            "pii"
#define KINDS_ppoll           "pitg"
#define KINDS_select          "isssu"
#define KINDS_pselect         "issstg"
#define KINDS_epoll_create    "i"
#define KINDS_epoll_create1   "i"
#define KINDS_epoll_ctl       "iiie"
#define KINDS_epoll_wait      "iEii"
#define KINDS_epoll_pwait     "iEiig"
#define KINDS_epoll_pwait2    "iEitg"

/*
 * HELPER(name, signature, kinds): libc's alone, on both sides; a script needs them to set things
 * up. 'i' results of these may be new descriptors.
 */
#define HELPERS(HELPER)                 \
    HELPER(open, "i:pi", "wi")          \
    HELPER(eventfd, "i:ui", "ii")       \
    HELPER(setrlimit, "i:ip", "iL")     \
    HELPER(fallocate, "i:iill", "iiii") \
    HELPER(fdatasync, "i:i", "i")       \
    HELPER(mmap, "l:pziiil", "iiiiii")  \
    HELPER(getpid, "i:", "")            \
    HELPER(getuid, "u:", "")            \
    HELPER(getgid, "u:", "")

#endif
