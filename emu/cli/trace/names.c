/*
 * names.c - numbers as strace names them: sets of the constants of interpret/constants.def
 *
 * A set is a list of names here; what they stand for is known to constants.c alone. The values are
 * looked up at the first use.
 */
#include "trace/names.h"

#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "base.h"
#include "interpret/constants.h"

#define SET_MAX 48 /* members of one set */

static const struct {
    const char *names; /* in the order of printing, which for bits is strace's */
    const char *hint;  /* what strace writes beside a number that has no name */
} sets[NAMES_COUNT] = {
    [NAMES_OPEN] = { "O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_SYNC O_DIRECT "
                     "O_DIRECTORY O_NOFOLLOW O_NOATIME O_CLOEXEC O_PATH FASYNC",
                     "O_???" },
    [NAMES_ACCESS] = { "O_RDONLY O_WRONLY O_RDWR O_ACCMODE", "O_???" },
    [NAMES_FD_FLAGS] = { "FD_CLOEXEC", "FD_???" },
    [NAMES_FCNTL] = { "F_DUPFD F_GETFD F_SETFD F_GETFL F_SETFL F_GETLK F_SETLK F_SETLKW F_SETOWN "
                      "F_GETOWN F_SETSIG F_GETSIG F_SETOWN_EX F_GETOWN_EX F_OFD_GETLK F_OFD_SETLK "
                      "F_OFD_SETLKW F_SETLEASE F_GETLEASE F_NOTIFY F_DUPFD_CLOEXEC F_DUPFD_QUERY "
                      "F_SETPIPE_SZ F_GETPIPE_SZ F_ADD_SEALS F_GET_SEALS",
                      "F_???" },
    [NAMES_IOCTL] = { "FIONREAD FIONBIO FIOCLEX FIONCLEX FIOASYNC FIOSETOWN FIOGETOWN SIOCSPGRP "
                      "SIOCGPGRP SIOCATMARK TIOCOUTQ SIOCUNIXFILE TCGETS TIOCGWINSZ",
                      NULL },
    [NAMES_CLOSE_RANGE] = { "CLOSE_RANGE_UNSHARE CLOSE_RANGE_CLOEXEC", "CLOSE_RANGE_???" },
    [NAMES_FAMILY] = { "AF_UNSPEC AF_UNIX AF_INET AF_AX25 AF_INET6 AF_NETLINK AF_PACKET AF_VSOCK",
                       "AF_???" },
    [NAMES_SOCK_TYPE] = { "SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_RDM SOCK_SEQPACKET", "SOCK_???" },
    [NAMES_SOCK_FLAGS] = { "SOCK_CLOEXEC SOCK_NONBLOCK", "SOCK_???" },
    [NAMES_PROTOCOL] = { "IPPROTO_IP IPPROTO_TCP IPPROTO_UDP", "IPPROTO_???" },
    [NAMES_SHUT] = { "SHUT_RD SHUT_WR SHUT_RDWR", "SHUT_???" },
    [NAMES_LEVEL] = { "SOL_IP SOL_SOCKET SOL_TCP SOL_UDP AF_VSOCK", "SOL_??" },
    [NAMES_SO] = { "SO_DEBUG SO_REUSEADDR SO_TYPE SO_ERROR SO_DONTROUTE SO_BROADCAST SO_SNDBUF "
                   "SO_RCVBUF SO_KEEPALIVE SO_OOBINLINE SO_PRIORITY SO_LINGER SO_REUSEPORT "
                   "SO_PASSCRED SO_PEERCRED SO_RCVLOWAT SO_SNDLOWAT SO_RCVTIMEO_OLD "
                   "SO_SNDTIMEO_OLD SO_TIMESTAMP_OLD SO_ACCEPTCONN SO_PEERSEC SO_SNDBUFFORCE "
                   "SO_RCVBUFFORCE SO_PASSSEC SO_MARK SO_PROTOCOL SO_DOMAIN SO_PEEK_OFF "
                   "SO_BUSY_POLL SO_INCOMING_CPU SO_COOKIE SO_PEERGROUPS SO_RCVTIMEO_NEW "
                   "SO_SNDTIMEO_NEW SO_PASSPIDFD SO_PEERPIDFD SO_PASSRIGHTS SO_INQ",
                   "SO_???" },
    [NAMES_VSOCK_OPTION] = { "SO_VM_SOCKETS_BUFFER_SIZE SO_VM_SOCKETS_BUFFER_MIN_SIZE "
                             "SO_VM_SOCKETS_BUFFER_MAX_SIZE SO_VM_SOCKETS_PEER_HOST_VM_ID "
                             "SO_VM_SOCKETS_TRUSTED SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD "
                             "SO_VM_SOCKETS_NONBLOCK_TXRX SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW",
                             "SO_VM_SOCKETS_???" },
    [NAMES_CID] = { "VMADDR_CID_ANY VMADDR_CID_HYPERVISOR VMADDR_CID_LOCAL VMADDR_CID_HOST", NULL },
    [NAMES_MSG] = { "MSG_OOB MSG_PEEK MSG_DONTROUTE MSG_CTRUNC MSG_TRUNC MSG_DONTWAIT MSG_EOR "
                    "MSG_WAITALL MSG_ERRQUEUE MSG_NOSIGNAL MSG_MORE MSG_WAITFORONE "
                    "MSG_CMSG_CLOEXEC",
                    "MSG_???" },
    [NAMES_SCM] = { "SCM_RIGHTS SCM_CREDENTIALS SCM_SECURITY SCM_PIDFD", "SCM_???" },
    [NAMES_POLL] = { "POLLIN POLLPRI POLLOUT POLLRDNORM POLLRDBAND POLLWRNORM POLLWRBAND POLLERR "
                     "POLLHUP POLLNVAL POLLRDHUP",
                     "POLL???" },
    [NAMES_EPOLL] = { "EPOLLIN EPOLLPRI EPOLLOUT EPOLLRDNORM EPOLLRDBAND EPOLLWRNORM EPOLLWRBAND "
                      "EPOLLERR EPOLLHUP EPOLLRDHUP EPOLLEXCLUSIVE EPOLLWAKEUP EPOLLONESHOT "
                      "EPOLLET",
                      "EPOLL???" },
    [NAMES_EPOLL_OPERATION] = { "EPOLL_CTL_ADD EPOLL_CTL_DEL EPOLL_CTL_MOD", "EPOLL_CTL_???" },
    [NAMES_EPOLL_CREATE] = { "EPOLL_CLOEXEC", "EPOLL_???" },
    [NAMES_SPLICE] = { "SPLICE_F_MOVE SPLICE_F_NONBLOCK SPLICE_F_MORE SPLICE_F_GIFT",
                       "SPLICE_F_???" },
    [NAMES_RWF] = { "RWF_HIPRI RWF_DSYNC RWF_SYNC RWF_NOWAIT RWF_APPEND", "RWF_???" },
    [NAMES_SEEK] = { "SEEK_SET SEEK_CUR SEEK_END", "SEEK_???" },
    [NAMES_LOCK] = { "LOCK_SH LOCK_EX LOCK_NB LOCK_UN", "LOCK_???" },
    [NAMES_LOCK_TYPE] = { "F_RDLCK F_WRLCK F_UNLCK", "F_???" },
};

struct member {
    char name[40];
    uint64_t value;
};

static struct member members[NAMES_COUNT][SET_MAX];
static size_t counts[NAMES_COUNT]; /* 0: not looked up yet */

static void look_up(enum names set)
{
    const char *next = sets[set].names;

    while (*next != '\0') {
        struct member *member = &members[set][counts[set]];
        const size_t length = strcspn(next, " ");
        int64_t value = 0;

        EMU_ASSERT(counts[set] < SET_MAX && length < sizeof member->name);
        memcpy(member->name, next, length);
        EMU_ASSERT(constant_value(member->name, &value));
        member->value = (uint64_t)value;
        counts[set]++;
        next += length + strspn(next + length, " ");
    }
}

static void need(enum names set)
{
    if (counts[set] == 0)
        look_up(set);
}

const char *name_of(enum names set, uint64_t value)
{
    need(set);
    for (size_t i = 0; i < counts[set]; i++) {
        if (members[set][i].value == value)
            return members[set][i].name;
    }
    return NULL;
}

static void print_unknown(FILE *out, enum names set, uint64_t value)
{
    fprintf(out, "%#" PRIx64, value);
    if (sets[set].hint != NULL)
        fprintf(out, " /* %s */", sets[set].hint);
}

void print_name(FILE *out, enum names set, uint64_t value)
{
    const char *name = name_of(set, value);

    if (name != NULL)
        fputs(name, out);
    else
        print_unknown(out, set, value);
}

void print_flags(FILE *out, enum names set, uint64_t value)
{
    const char *between = "";

    if (value == 0) {
        fputc('0', out);
        return;
    }
    need(set);
    for (size_t i = 0; i < counts[set]; i++) {
        const struct member *member = &members[set][i];

        if (member->value == 0 || (value & member->value) != member->value)
            continue;
        fprintf(out, "%s%s", between, member->name);
        between = "|";
        value &= ~member->value;
    }
    if (between[0] == '\0')
        print_unknown(out, set, value);
    else if (value != 0)
        fprintf(out, "|%#" PRIx64, value);
}

void print_signal(FILE *out, int number)
{
    const char *name = sigabbrev_np(number);

    if (name != NULL)
        fprintf(out, "SIG%s", name);
    else if (number == 32 || number > 33) /* 32 is the kernel's SIGRTMIN */
        fprintf(out, number == 32 ? "SIGRTMIN" : "SIGRT_%d", number - 32);
    else
        fprintf(out, "%d", number);
}
