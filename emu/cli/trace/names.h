/*
 * names.h - numbers as strace names them: sets of the constants of interpret/constants.def
 *
 * A set's order is the order in which strace prints its members.
 */
#ifndef TRACE_NAMES_H
#define TRACE_NAMES_H

#include <stdint.h>
#include <stdio.h>

enum names {
    NAMES_OPEN,
    NAMES_ACCESS,
    NAMES_FD_FLAGS,
    NAMES_FCNTL,
    NAMES_IOCTL,
    NAMES_CLOSE_RANGE,
    NAMES_FAMILY,
    NAMES_SOCK_TYPE,
    NAMES_SOCK_FLAGS,
    NAMES_PROTOCOL,
    NAMES_SHUT,
    NAMES_LEVEL,
    NAMES_SO,
    NAMES_VSOCK_OPTION,
    NAMES_CID,
    NAMES_MSG,
    NAMES_SCM,
    NAMES_POLL,
    NAMES_EPOLL,
    NAMES_EPOLL_OPERATION,
    NAMES_EPOLL_CREATE,
    NAMES_SPLICE,
    NAMES_RWF,
    NAMES_SEEK,
    NAMES_LOCK,
    NAMES_LOCK_TYPE,
    NAMES_COUNT,
};

/* The name of a value that is one of a set, or NULL. */
const char *name_of(enum names set, uint64_t value);

/* A value that is one of a set: its name, or "0x1267 and the hint that strace gives". */
void print_name(FILE *out, enum names set, uint64_t value);

/* Bits: "POLLIN|POLLHUP", unknown ones in hexadecimal, "0" when there is none. */
void print_flags(FILE *out, enum names set, uint64_t value);

/* The signal's name, "SIGPIPE", "SIGRT_1" or its number. */
void print_signal(FILE *out, int number);

#endif
