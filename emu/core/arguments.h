/*
 * arguments.h - what the arguments of each call mean, a letter each, beside calls.def's signatures
 *
 *   i  number
 *   F  descriptor that the call is about, or makes (dup2's target)
 *   f  int array, filled with new descriptors (pipe's and socketpair's)
 *   w  bytes that go in, their size is the next argument
 *   r  buffer that is filled, likewise
 *   W  iovec array, sent; its length is the next argument
 *   R  iovec array, filled            x  iovec array, either
 *   m  msghdr, sent                   M  msghdr, filled
 *   n  mmsghdr array, sent            N  mmsghdr array, filled
 *   a  address that goes in           A  address that comes out
 *   l  length of what comes out, in and out
 *   v  value that goes in             V  value that comes out (types by the option)
 *   t  timespec                       T  timespec, updated
 *   u  timeval, updated               o  offset, updated
 *   p  pollfd array                   s  fd_set
 *   e  epoll_event, sent              E  epoll_event array, filled
 *   g  signal set                     S  stat
 *   L  rlimit
 *   d  last argument of fcntl and ioctl: number or value, may be left out
 *
 * A call of calls.def that has no line here doesn't compile where this is used.
 */
#ifndef EMU_ARGUMENTS_H
#define EMU_ARGUMENTS_H

#define KINDS_read            "Fri"
#define KINDS_write           "Fwi"
#define KINDS_readv           "FRi"
#define KINDS_writev          "FWi"
#define KINDS_preadv2         "FRiii"
#define KINDS_pwritev2        "FWiii"
#define KINDS_pread           "Frii"
#define KINDS_pwrite          "Fwii"
#define KINDS_preadv          "FRii"
#define KINDS_pwritev         "FWii"
#define KINDS_pipe            "f"
#define KINDS_pipe2           "fi"
#define KINDS_socket          "iii"
#define KINDS_socketpair      "iiif"
#define KINDS_bind            "Fai"
#define KINDS_listen          "Fi"
#define KINDS_accept          "FAl"
#define KINDS_accept4         "FAli"
#define KINDS_connect         "Fai"
#define KINDS_getsockname     "FAl"
#define KINDS_getpeername     "FAl"
#define KINDS_shutdown        "Fi"
#define KINDS_send            "Fwii"
#define KINDS_sendto          "Fwiiai"
#define KINDS_sendmsg         "Fmi"
#define KINDS_sendmmsg        "Fnii"
#define KINDS_recv            "Frii"
#define KINDS_recvfrom        "FriiAl"
#define KINDS_recvmsg         "FMi"
#define KINDS_recvmmsg        "FNiiT"
#define KINDS_getsockopt      "FiiVl"
#define KINDS_setsockopt      "Fiivi"
#define KINDS_close           "F"
#define KINDS_close_range     "iii"
#define KINDS_closefrom       "i"
#define KINDS_dup             "F"
#define KINDS_dup2            "FF"
#define KINDS_dup3            "FFi"
#define KINDS_fcntl           "Fid"
#define KINDS_ioctl           "Fid"
#define KINDS_lseek           "Fii"
#define KINDS_fstat           "FS"
#define KINDS_isatty          "F"
#define KINDS_ftruncate       "Fi"
#define KINDS_fsync           "F"
#define KINDS_posix_fallocate "Fii"
#define KINDS_flock           "Fi"
#define KINDS_splice          "FoFoii"
#define KINDS_tee             "FFii"
#define KINDS_vmsplice        "Fxii"
#define KINDS_sendfile        "FFoi"
#define KINDS_poll            "pii"
#define KINDS_ppoll           "pitg"
#define KINDS_select          "isssu"
#define KINDS_pselect         "issstg"
#define KINDS_epoll_create    "i"
#define KINDS_epoll_create1   "i"
#define KINDS_epoll_ctl       "FiFe"
#define KINDS_epoll_wait      "FEii"
#define KINDS_epoll_pwait     "FEiig"
#define KINDS_epoll_pwait2    "FEitg"

#endif
