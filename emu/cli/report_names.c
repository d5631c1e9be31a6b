/*
 * report_names.c - numbers of socket families, types and errors as the header files spell them
 *
 * Leaves out families that a program is unlikely to ask for: their number says enough.
 */
#include "report.h"

#include <errno.h>
#include <string.h>

struct name {
    int number;
    const char *text;
};

#define NAME(number)    \
    {                   \
        number, #number \
    }

static const struct name families[] = {
    NAME(AF_UNSPEC), NAME(AF_UNIX),  NAME(AF_INET),      NAME(AF_INET6), NAME(AF_NETLINK),
    NAME(AF_PACKET), NAME(AF_VSOCK), NAME(AF_BLUETOOTH), NAME(AF_ALG),   NAME(AF_CAN),
    NAME(AF_KEY),    NAME(AF_XDP),   NAME(AF_TIPC),
};

static const struct name types[] = {
    NAME(SOCK_STREAM),    NAME(SOCK_DGRAM), NAME(SOCK_RAW),    NAME(SOCK_RDM),
    NAME(SOCK_SEQPACKET), NAME(SOCK_DCCP),  NAME(SOCK_PACKET),
};

static const char *look_up(const struct name *names, size_t count, int number, char *ret_text)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i].number == number)
            return names[i].text;
    }
    snprintf(ret_text, REPORT_NAME, "%d", number);
    return ret_text;
}

const char *report_family_name(int family, char *ret_text)
{
    return look_up(families, sizeof families / sizeof families[0], family, ret_text);
}

const char *report_type_name(int type, char *ret_text)
{
    return look_up(types, sizeof types / sizeof types[0], type, ret_text);
}

const char *report_signal_name(int number, char *ret_text)
{
    const char *name = sigabbrev_np(number);

    if (name != NULL)
        snprintf(ret_text, REPORT_NAME, "SIG%s", name);
    else
        snprintf(ret_text, REPORT_NAME, "signal %d", number);
    return ret_text;
}

const char *report_errno_name(int error, char *ret_text)
{
    /* The name of 95 is EOPNOTSUPP to glibc; for sockets that aren't modeled we say ENOTSUP. */
    const char *name = error == ENOTSUP ? "ENOTSUP" : strerrorname_np(error);

    if (name != NULL)
        return name;
    snprintf(ret_text, REPORT_NAME, "%d", error);
    return ret_text;
}
