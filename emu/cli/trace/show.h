/*
 * show.h - what all decoders print with: numbers, addresses, strings, descriptors in strace's way
 *
 * A decoder prints one argument into show->out. What an argument points to is read as it was when
 * the call entered or left (show->when); what wasn't recorded is printed as its address, as strace
 * prints what it can't read.
 */
#ifndef TRACE_SHOW_H
#define TRACE_SHOW_H

#include <stdio.h>
#include <sys/types.h>

#include "trace/memory.h"

enum quoting { QUOTE_OCTAL, QUOTE_HEX_IF_NEEDED, QUOTE_HEX }; /* none, -x, -xx */

struct objects;

struct show {
    FILE *out;
    size_t string_limit; /* -s */
    enum quoting quoting;
    const char *between; /* arguments: ", " */
    const struct trace_call *call;
    enum trace_when when;
    unsigned paths;                /* -y: 1, -yy: 2 */
    const struct objects *objects; /* what descriptors stand for; NULL: -y shows nothing */
};

/* NULL or the address. */
void show_address(const struct show *show, uint64_t address);

/* Copies memory of the guest. Returns false, and *to as it was, when not all of it is known. */
bool show_memory(const struct show *show, uint64_t address, void *to, size_t size);

/* Bytes in quotes, and "..." when there are more than the limit allows, or than were recorded. */
void show_quoted(const struct show *show, const uint8_t *bytes, size_t kept, size_t size,
                 size_t limit);

/* The guest's bytes in quotes, or their address. */
void show_string(const struct show *show, uint64_t address, size_t size);

/* A descriptor's number, and with -y its object: of one that the call is given, or makes. */
void show_fd(const struct show *show, int fd);
void show_new_fd(const struct show *show, int fd);

/* The errno of a call that failed. Any number may stand in a file. */
int show_errno(const struct trace_call *call);

/* Returns true when the call has left with an error. */
bool show_failed(const struct show *show);

/* The result as a number, an errno with its text, or what there is where none is known. */
void show_result(const struct show *show);

/* decode_bytes.c. `data_size`: bytes that the elements hold together; SIZE_MAX: all are full. */
void show_iov(const struct show *show, uint64_t address, uint64_t count, uint64_t data_size);

/* decode_address.c: a struct sockaddr that goes in, and its size; or comes out. */
void show_sockaddr(const struct show *show, uint64_t address, uint32_t size);
void show_sockaddr_out(const struct show *show, uint64_t address, uint64_t size_address);

/* decode_message.c */
void show_msghdr(const struct show *show, uint64_t address, uint64_t data_size);
void show_mmsghdr(const struct show *show, uint64_t address, uint64_t count, bool received);

/* decode_option.c: value and size of the options of a socket. */
void show_level_and_option(const struct show *show, int level, int name);
void show_option(const struct show *show, int level, int name, uint64_t value, uint32_t size);
void show_option_out(const struct show *show, int level, int name, uint64_t value,
                     uint64_t size_address);

/* decode_set.c: pollfd, fd_set, epoll_event, times, sets of signals. */
void show_pollfds(const struct show *show, uint64_t address, uint64_t count);
void show_fd_set(const struct show *show, uint64_t address, int count);
void show_epoll_event(const struct show *show, uint64_t address);
void show_epoll_events(const struct show *show, uint64_t address, uint64_t count);
void show_timespec(const struct show *show, uint64_t address);
void show_timeval_as_timespec(const struct show *show, uint64_t address);
void show_sigset(const struct show *show, uint64_t address);
void show_poll_result(const struct show *show, uint64_t fds, uint64_t count, uint64_t timeout);
void show_select_result(const struct show *show);

/* decode_control.c: fcntl, ioctl. */
void show_open_flags(const struct show *show, uint64_t flags, bool with_access);
void show_fcntl(const struct show *show, int command, uint64_t argument);
void show_fcntl_result(const struct show *show, int command, int64_t result);
void show_ioctl(const struct show *show, uint64_t request, uint64_t argument);

#endif
