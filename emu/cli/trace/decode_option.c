/*
 * decode_option.c - options of sockets: names and values
 */
#include <inttypes.h>
#include <linux/vm_sockets.h>
#include <string.h>
#include <sys/socket.h>

#include "trace/names.h"
#include "trace/show.h"

void show_level_and_option(const struct show *show, int level, int name)
{
    print_name(show->out, NAMES_LEVEL, (unsigned)level);
    fputs(show->between, show->out);
    if (level == SOL_SOCKET)
        print_name(show->out, NAMES_SO, (unsigned)name);
    else if (level == AF_VSOCK)
        print_name(show->out, NAMES_VSOCK_OPTION, (unsigned)name);
    else
        fprintf(show->out, "%d", name);
}

/* The value as strace prints it for this option, when its size is what the option has. */
static bool show_known(const struct show *show, int level, int name, uint64_t value, uint32_t size)
{
    struct linger linger;
    struct ucred cred;
    int number;

    if (level != SOL_SOCKET)
        return false;
    if (name == SO_LINGER && size == sizeof linger &&
        show_memory(show, value, &linger, sizeof linger)) {
        fprintf(show->out, "{l_onoff=%d, l_linger=%d}", linger.l_onoff, linger.l_linger);
        return true;
    }
    if (name == SO_PEERCRED && size == sizeof cred && show_memory(show, value, &cred, size)) {
        fprintf(show->out, "{pid=%d, uid=%u, gid=%u}", cred.pid, cred.uid, cred.gid);
        return true;
    }
    if (name == SO_ERROR && size == sizeof number && show_memory(show, value, &number, size) &&
        strerrorname_np(number) != NULL && number != 0) {
        fprintf(show->out, "[%s]", strerrorname_np(number));
        return true;
    }
    return false;
}

/* Options that hold more than a number; strace shows them as bytes. */
static bool is_bytes(int level, int name)
{
    if (level == AF_VSOCK)
        return name == SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD ||
               name == SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW;
    if (level != SOL_SOCKET)
        return false;
    return name == SO_RCVTIMEO || name == SO_SNDTIMEO || name == SO_PEERSEC ||
           name == SO_PEERGROUPS;
}

static void show_value(const struct show *show, int level, int name, uint64_t value, uint32_t size)
{
    int64_t large;
    int number;

    if (value == 0)
        show_address(show, value);
    else if (show_known(show, level, name, value, size))
        return;
    else if (!is_bytes(level, name) && size == sizeof number &&
             show_memory(show, value, &number, sizeof number))
        fprintf(show->out, "[%d]", number);
    else if (!is_bytes(level, name) && size == sizeof large &&
             show_memory(show, value, &large, sizeof large))
        fprintf(show->out, "[%" PRId64 "]", large);
    else
        show_string(show, value, size);
}

void show_option(const struct show *show, int level, int name, uint64_t value, uint32_t size)
{
    if (size < sizeof(int) && level == SOL_SOCKET)
        show_address(show, value);
    else
        show_value(show, level, name, value, size);
    fprintf(show->out, "%s%u", show->between, size);
}

void show_option_out(const struct show *show, int level, int name, uint64_t value,
                     uint64_t size_address)
{
    const struct show entered = { .call = show->call, .when = TRACE_AT_ENTER };
    uint32_t room = 0, size = 0;
    const bool known = size_address != 0 &&
                       show_memory(&entered, size_address, &room, sizeof room) &&
                       show_memory(show, size_address, &size, sizeof size);

    if (show_failed(show) || !known)
        show_address(show, value);
    else
        show_value(show, level, name, value, size < room ? size : room);
    fputs(show->between, show->out);
    if (!known)
        show_address(show, size_address);
    else if (room != size && !show_failed(show))
        fprintf(show->out, "[%u => %u]", room, size);
    else
        fprintf(show->out, "[%u]", room);
}
