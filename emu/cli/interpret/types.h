/*
 * types.h - the C structs that scripts spell as {name=value, ...}
 */
#ifndef INTERPRET_TYPES_H
#define INTERPRET_TYPES_H

#include "interpret/script.h"

enum role {
    ROLE_NUMBER,
    ROLE_VECTOR,  /* pointer to an array of struct iovec */
    ROLE_BUFFER,  /* iov_base */
    ROLE_ADDRESS, /* msg_name */
    ROLE_CONTROL, /* msg_control */
    ROLE_MESSAGE, /* a struct msghdr inside */
    ROLE_TEXT,    /* bytes inside */
};

enum direction {
    IN,    /* written before the call, never looked at */
    OUT,   /* looked at after it: what the script doesn't name is still compared between sides */
    INOUT, /* both */
    ASKED, /* written, and looked at only where a value comes out as a whole */
};

struct field {
    const char *name;
    uint32_t offset;
    uint32_t size;
    bool is_signed;
    enum role role;
    enum direction sent;     /* in calls that send */
    enum direction received; /* in calls that receive; poll's too */
    const char *companion;   /* the field with this one's size or count; filled in when left out */
};

struct type {
    const char *name;
    uint32_t size;
    const struct field *fields;
    size_t field_count;
};

extern const struct type type_iovec;
extern const struct type type_msghdr;
extern const struct type type_mmsghdr;
extern const struct type type_pollfd;
extern const struct type type_epoll_event;
extern const struct type type_timespec;
extern const struct type type_timeval;
extern const struct type type_stat;
extern const struct type type_rlimit;
extern const struct type type_sockaddr;
extern const struct type type_siginfo;

/* The struct that has all fields of `expr`, or NULL. For places where C says void. */
const struct type *type_infer(const struct expr *expr);

const struct field *type_field(const struct type *type, const char *name);

#endif
