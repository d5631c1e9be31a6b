/*
 * decode.c - a recorded call as strace prints it
 *
 * Each call has a form: a letter for each argument, in strace's order. A bar parts those that are
 * printed when the call is entered from those that its end tells. Behind a colon stands what the
 * result is, when it isn't a number.
 */
#include "trace/decode.h"

#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "emu.h"
#include "trace/decode_process.h"
#include "trace/names.h"

/*
 * Letters that take a word:
 *   d descriptor        i int           u unsigned      l 64 bits, signed    z 64 bits
 *   Y family            y socket type   x protocol      k flags of accept4   h how to shut down
 *   o flags of pipe2    r RWF_...       j SPLICE_F_...  f MSG_...            n flags of
 * epoll_create1 c close_range's     C epoll_ctl's operation         w whence             L flock's
 *   P pair of descriptors, filled       J offset        t timespec           T timeval
 *   S signal set and its size           @ pselect6's    s fd_set             e epoll_event
 *   m msghdr, sent      M ... filled    p pointer
 * two words:
 *   b bytes, size   B ... filled        v iovec, count  V ... filled         a address, size
 *   A address and length, filled        q pollfds, count                     N mmsghdrs, count
 *   E epoll_events, count               O level and option                   F fcntl's  I ioctl's
 *   g value of an option, size          G value and length, filled           N mmsghdrs, sent: X
 * none:
 *   0 prints 0      _ prints NULL       U prints 4294967295
 */
static const struct form {
    const char *name;
    const char *text;
} forms[] = {
    [EMU_CALL_read] = { "read", "d|B" },
    [EMU_CALL_write] = { "write", "db" },
    [EMU_CALL_readv] = { "readv", "d|V" },
    [EMU_CALL_writev] = { "writev", "dv" },
    [EMU_CALL_preadv2] = { "preadv2", "d|Vlr" },
    [EMU_CALL_pwritev2] = { "pwritev2", "dvlr" },
    [EMU_CALL_pread] = { "pread64", "d|Bl" },
    [EMU_CALL_pwrite] = { "pwrite64", "dbl" },
    [EMU_CALL_preadv] = { "preadv", "d|Vl" },
    [EMU_CALL_pwritev] = { "pwritev", "dvl" },
    [EMU_CALL_pipe] = { "pipe2", "|P0" },
    [EMU_CALL_pipe2] = { "pipe2", "|Po" },
    [EMU_CALL_socket] = { "socket", "Yyx:d" },
    [EMU_CALL_socketpair] = { "socketpair", "Yyx|P" },
    [EMU_CALL_bind] = { "bind", "da" },
    [EMU_CALL_listen] = { "listen", "di" },
    [EMU_CALL_accept] = { "accept", "d|A:d" },
    [EMU_CALL_accept4] = { "accept4", "d|Ak:d" },
    [EMU_CALL_connect] = { "connect", "da" },
    [EMU_CALL_getsockname] = { "getsockname", "d|A" },
    [EMU_CALL_getpeername] = { "getpeername", "d|A" },
    [EMU_CALL_shutdown] = { "shutdown", "dh" },
    [EMU_CALL_send] = { "sendto", "dbf_0" },
    [EMU_CALL_sendto] = { "sendto", "dbfa" },
    [EMU_CALL_sendmsg] = { "sendmsg", "dmf" },
    [EMU_CALL_sendmmsg] = { "sendmmsg", "d|Xf" },
    [EMU_CALL_recv] = { "recvfrom", "d|Bf__" },
    [EMU_CALL_recvfrom] = { "recvfrom", "d|BfA" },
    [EMU_CALL_recvmsg] = { "recvmsg", "d|Mf" },
    [EMU_CALL_recvmmsg] = { "recvmmsg", "d|Nft:m" },
    [EMU_CALL_getsockopt] = { "getsockopt", "dO|G" },
    [EMU_CALL_setsockopt] = { "setsockopt", "dOg" },
    [EMU_CALL_close] = { "close", "d" },
    [EMU_CALL_close_range] = { "close_range", "uuc" },
    [EMU_CALL_closefrom] = { "close_range", "uU0" },
    [EMU_CALL_dup] = { "dup", "d:d" },
    [EMU_CALL_dup2] = { "dup2", "dd:d" },
    [EMU_CALL_dup3] = { "dup3", "ddo:d" },
    [EMU_CALL_fcntl] = { "fcntl", "d|F:f" },
    [EMU_CALL_ioctl] = { "ioctl", "d|I" },
    [EMU_CALL_lseek] = { "lseek", "dlw" },
    [EMU_CALL_fstat] = { "fstat", "d|p" },
    [EMU_CALL_isatty] = { "isatty", "d" },
    [EMU_CALL_ftruncate] = { "ftruncate", "dl" },
    [EMU_CALL_fsync] = { "fsync", "d" },
    [EMU_CALL_posix_fallocate] = { "fallocate", "d0ll" },
    [EMU_CALL_flock] = { "flock", "dL" },
    [EMU_CALL_splice] = { "splice", "dJdJzj" },
    [EMU_CALL_tee] = { "tee", "ddzj" },
    [EMU_CALL_vmsplice] = { "vmsplice", "dvj" },
    [EMU_CALL_sendfile] = { "sendfile", "ddJz" },
    [EMU_CALL_poll] = { "poll", "qi:p" },
    [EMU_CALL_ppoll] = { "ppoll", "qtS:p" },
    [EMU_CALL_select] = { "pselect6", "isssT_:s" },
    [EMU_CALL_pselect] = { "pselect6", "issst@:s" },
    [EMU_CALL_epoll_create] = { "epoll_create", "i:d" },
    [EMU_CALL_epoll_create1] = { "epoll_create1", "n:d" },
    [EMU_CALL_epoll_ctl] = { "epoll_ctl", "dCde" },
    [EMU_CALL_epoll_wait] = { "epoll_wait", "d|Ei" },
    [EMU_CALL_epoll_pwait] = { "epoll_pwait", "d|EiS" },
    [EMU_CALL_epoll_pwait2] = { "epoll_pwait2", "d|EtS" },
};

static const struct form *form_of(const struct trace_call *call)
{
    if (call->kind != TRACE_CALL || call->call >= sizeof(forms) / sizeof(forms[0]) ||
        forms[call->call].name == NULL)
        return NULL;
    return &forms[call->call];
}

const char *decode_name(const struct trace_call *call)
{
    const struct form *form = form_of(call);
    const char *name = process_name(call);

    if (name != NULL)
        return name;
    return form != NULL ? form->name : "";
}

/* ---- Arguments that are small enough to stand here ---- */

static void show_socket_type(const struct show *show, unsigned type)
{
    const unsigned kind = type & 0xf; /* SOCK_TYPE_MASK, include/linux/net.h */
    const unsigned flags = type & ~0xfU;

    if (name_of(NAMES_SOCK_TYPE, kind) == NULL) {
        print_name(show->out, NAMES_SOCK_TYPE, type);
        return;
    }
    print_name(show->out, NAMES_SOCK_TYPE, kind);
    if (flags != 0) {
        fputc('|', show->out);
        print_flags(show->out, NAMES_SOCK_FLAGS, flags);
    }
}

static void show_protocol(const struct show *show, unsigned protocol)
{
    const unsigned family = (unsigned)show->call->words[0];

    if (family == AF_INET || family == AF_INET6)
        print_name(show->out, NAMES_PROTOCOL, protocol);
    else
        fprintf(show->out, "%u", protocol);
}

/* Two descriptors that the call made. */
static void show_pair(const struct show *show, uint64_t address)
{
    int fds[2];

    if (show_failed(show) || !show_memory(show, address, fds, sizeof fds)) {
        show_address(show, address);
        return;
    }
    fputc('[', show->out);
    show_new_fd(show, fds[0]);
    fputs(", ", show->out);
    show_new_fd(show, fds[1]);
    fputc(']', show->out);
}

static void show_offset(const struct show *show, uint64_t address)
{
    const struct show entered = { .call = show->call, .when = TRACE_AT_ENTER };
    int64_t before, after;

    if (address == 0 || !show_memory(&entered, address, &before, sizeof before)) {
        show_address(show, address);
        return;
    }
    after = before;
    show_memory(show, address, &after, sizeof after);
    if (after != before)
        fprintf(show->out, "[%" PRId64 " => %" PRId64 "]", before, after);
    else
        fprintf(show->out, "[%" PRId64 "]", before);
}

/* Bytes that a buffer was filled with. */
static void show_filled(const struct show *show, uint64_t address, uint64_t size)
{
    const int64_t result = show->call->result;

    if (result < 0 || show->call->native)
        show_address(show, address);
    else
        show_string(show, address, (uint64_t)result < size ? (size_t)result : size);
}

static uint64_t filled(const struct show *show)
{
    return show->call->result > 0 ? (uint64_t)show->call->result : 0;
}

/* ---- Letters ---- */

static bool show_flag_word(const struct show *show, char letter, uint64_t word)
{
    const unsigned value = (unsigned)word;

    switch (letter) {
    case 'k': print_flags(show->out, NAMES_SOCK_FLAGS, value); return true;
    case 'o': show_open_flags(show, value, false); return true;
    case 'r': print_flags(show->out, NAMES_RWF, value); return true;
    case 'j': print_flags(show->out, NAMES_SPLICE, value); return true;
    case 'f': print_flags(show->out, NAMES_MSG, value); return true;
    case 'n': print_flags(show->out, NAMES_EPOLL_CREATE, value); return true;
    case 'c': print_flags(show->out, NAMES_CLOSE_RANGE, value); return true;
    case 'L': print_flags(show->out, NAMES_LOCK, value); return true;
    case 'Y': print_name(show->out, NAMES_FAMILY, value); return true;
    case 'y': show_socket_type(show, value); return true;
    case 'x': show_protocol(show, value); return true;
    case 'h': print_name(show->out, NAMES_SHUT, value); return true;
    case 'C': print_name(show->out, NAMES_EPOLL_OPERATION, value); return true;
    case 'w': print_name(show->out, NAMES_SEEK, value); return true;
    default: return false;
    }
}

/* A letter that takes one word. */
static bool show_word(const struct show *show, char letter, uint64_t word)
{
    struct show entered = *show; /* a call may change its time-out */

    entered.when = TRACE_AT_ENTER;
    if (show_flag_word(show, letter, word))
        return true;
    switch (letter) {
    case 'd': show_fd(show, (int)word); return true;
    case 'i': fprintf(show->out, "%d", (int)word); return true;
    case 'u': fprintf(show->out, "%u", (unsigned)word); return true;
    case 'l': fprintf(show->out, "%" PRId64, (int64_t)word); return true;
    case 'z': fprintf(show->out, "%" PRIu64, word); return true;
    case 'p': show_address(show, word); return true;
    case 'P': show_pair(show, word); return true;
    case 'J': show_offset(show, word); return true;
    case 't': show_timespec(&entered, word); return true;
    case 'T': show_timeval_as_timespec(&entered, word); return true;
    case 's': show_fd_set(show, word, (int)show->call->words[0]); return true;
    case 'e': show_epoll_event(show, word); return true;
    case 'm': show_msghdr(show, word, UINT64_MAX); return true;
    case 'M': show_msghdr(show, word, filled(show)); return true;
    case 'S':
        show_sigset(show, word);
        fprintf(show->out, "%s8", show->between);
        return true;
    case '@':
        fputs("{sigmask=", show->out);
        show_sigset(show, word);
        fputs(", sigsetsize=8}", show->out);
        return true;
    default: return false;
    }
}

/* A letter that takes two words, and prints two arguments. */
static void show_words(const struct show *show, char letter, uint64_t first, uint64_t second)
{
    const int level = (int)show->call->words[1], option = (int)show->call->words[2];

    switch (letter) {
    case 'b': show_string(show, first, second); break;
    case 'B': show_filled(show, first, second); break;
    case 'v': show_iov(show, first, second, UINT64_MAX); break;
    case 'V': show_iov(show, first, second, filled(show)); break;
    case 'X': show_mmsghdr(show, first, second, false); break;
    case 'N': show_mmsghdr(show, first, second, true); break;
    case 'q': show_pollfds(show, first, second); break;
    case 'E': show_epoll_events(show, first, filled(show)); break;
    case 'a': show_sockaddr(show, first, (uint32_t)second); break;
    case 'A': show_sockaddr_out(show, first, second); return;
    case 'O': show_level_and_option(show, (int)first, (int)second); return;
    case 'g': show_option(show, level, option, first, (uint32_t)second); return;
    case 'G': show_option_out(show, level, option, first, second); return;
    case 'F': show_fcntl(show, (int)first, second); return;
    case 'I': show_ioctl(show, first, second); return;
    default: return;
    }
    if (letter == 'b' || letter == 'B')
        fprintf(show->out, "%s%" PRIu64, show->between, second);
    else
        fprintf(show->out, "%s%u", show->between, (unsigned)second);
}

/* How many words a letter takes. */
static unsigned words_of(char letter)
{
    if (strchr("0_U", letter) != NULL)
        return 0;
    return strchr("bBvVaAqNXEOFIgG", letter) != NULL ? 2 : 1;
}

static void show_letter(const struct show *show, char letter, const uint64_t *words)
{
    if (letter == '0')
        fputc('0', show->out);
    else if (letter == '_')
        fputs("NULL", show->out);
    else if (letter == 'U')
        fputs("4294967295", show->out);
    else if (!show_word(show, letter, words[0]))
        show_words(show, letter, words[0], words[1]);
}

void decode_arguments(struct show *show, enum trace_when part)
{
    const struct form *form = form_of(show->call);
    enum trace_when now = TRACE_AT_ENTER;
    unsigned used = 0;

    if (part == TRACE_AT_ENTER && process_name(show->call) != NULL)
        process_arguments(show);
    if (form == NULL)
        return;
    for (const char *at = form->text; *at != '\0' && *at != ':'; at++) {
        const unsigned words = words_of(*at);

        if (*at == '|') {
            now = TRACE_AT_LEAVE;
            continue;
        }
        if (used + words > show->call->word_count)
            break;
        if (now == part) {
            const char next = at[1] == '|' ? at[2] : at[1];

            show_letter(show, *at, show->call->words + used);
            if (next != '\0' && next != ':')
                fputs(show->between, show->out);
        }
        used += words;
    }
}

/* ---- Results ---- */

static char result_kind(const struct trace_call *call)
{
    const struct form *form = form_of(call);
    const char *colon = form != NULL ? strchr(form->text, ':') : NULL;

    return colon != NULL ? colon[1] : '\0';
}

static void show_recvmmsg_result(const struct show *show)
{
    const uint8_t *bytes;
    const uint64_t timeout = show->call->words[4];

    fprintf(show->out, "%" PRId64, show->call->result);
    if (timeout == 0 || memory_find(show->call, TRACE_AT_LEAVE, timeout, &bytes) == 0)
        return;
    fputs(" (left ", show->out);
    show_timespec(show, timeout);
    fputc(')', show->out);
}

void decode_result(struct show *show)
{
    const struct trace_call *call = show->call;

    if (process_name(call) != NULL) {
        process_result(show);
        return;
    }
    if (!call->left || call->native || call->abandoned || call->result < 0) {
        show_result(show);
        return;
    }
    switch (result_kind(call)) {
    case 'd': show_new_fd(show, (int)call->result); break;
    case 'f': show_fcntl_result(show, (int)call->words[1], call->result); break;
    case 'm': show_recvmmsg_result(show); break;
    case 'p':
        show_result(show);
        show_poll_result(show, call->words[0], call->words[1],
                         call->call == EMU_CALL_ppoll ? call->words[2] : 0);
        break;
    case 's':
        show_result(show);
        show_select_result(show);
        break;
    default: show_result(show); break;
    }
}
