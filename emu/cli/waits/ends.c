/*
 * ends.c - see ends.h
 *
 * Both ends of a pipe are one inode, told apart by how they were opened. A socket's other end is an
 * inode of its own: sock_diag(7) names it. Where that isn't there (a kernel without unix_diag,
 * another network namespace), the number under which the end was made is tried.
 */
#include "waits/ends.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "waits/proc.h"

/* The peer's inode in an answer of unix_diag; 0: none. */
static uint32_t peer_in(const struct nlmsghdr *answer, size_t size)
{
    const struct unix_diag_msg *message = NLMSG_DATA(answer);
    size_t room;

    if (!NLMSG_OK(answer, size) || answer->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        answer->nlmsg_len < NLMSG_LENGTH(sizeof *message))
        return 0;
    room = answer->nlmsg_len - NLMSG_LENGTH(sizeof *message);
    for (const struct rtattr *part = (const void *)(message + 1); RTA_OK(part, room);
         part = RTA_NEXT(part, room)) {
        uint32_t inode = 0;

        if (part->rta_type != UNIX_DIAG_PEER || RTA_PAYLOAD(part) < sizeof inode)
            continue;
        memcpy(&inode, RTA_DATA(part), sizeof inode);
        return inode;
    }
    return 0;
}

/* Inode of the socket that the socket `inode` is connected to; 0: not known. */
static uint32_t peer_of(uint32_t inode)
{
    struct {
        struct nlmsghdr header;
        struct unix_diag_req body;
    } request = {
        .header = { .nlmsg_len = sizeof request,
                    .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                    .nlmsg_flags = NLM_F_REQUEST },
        .body = { .sdiag_family = AF_UNIX,
                  .udiag_states = UINT32_MAX,
                  .udiag_ino = inode,
                  .udiag_show = UDIAG_SHOW_PEER,
                  .udiag_cookie = { UINT32_MAX, UINT32_MAX } }, /* INET_DIAG_NOCOOKIE: any */
    };
    _Alignas(struct nlmsghdr) char answer[1024];
    const int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    uint32_t peer = 0;

    if (fd < 0)
        return 0;
    if (send(fd, &request, sizeof request, 0) == (ssize_t)sizeof request) {
        const ssize_t size = recv(fd, answer, sizeof answer, MSG_DONTWAIT); /* it is there */

        if (size > 0)
            peer = peer_in((const void *)answer, (size_t)size);
    }
    close(fd);
    return peer;
}

static int find_socket(const struct emu_blocked_fd *blocked, const char *link, int32_t holder)
{
    char other[PROC_LINK];
    unsigned int inode = 0;

    if (sscanf(link, "socket:[%u]", &inode) != 1)
        return -1;
    const uint32_t peer = peer_of(inode);
    if (peer != 0) {
        snprintf(other, sizeof other, "socket:[%u]", peer);
        return proc_find_fd(holder, other, -1);
    }
    if (holder != blocked->peer_maker || blocked->peer_sample_fd < 0)
        return -1;
    proc_fd_link(holder, blocked->peer_sample_fd, other);
    return strncmp(other, "socket:[", 8) == 0 && strcmp(other, link) != 0 ? blocked->peer_sample_fd
                                                                          : -1;
}

int ends_find_other(int32_t blocked_pid, const struct emu_blocked_fd *blocked, int32_t holder)
{
    char link[PROC_LINK];

    proc_fd_link(blocked_pid, blocked->fd, link);
    if (blocked->kind != EMU_CHANNEL_PIPE)
        return find_socket(blocked, link, holder);
    if (strncmp(link, "pipe:[", 6) != 0)
        return -1;
    return proc_find_fd(holder, link, blocked->in.there ? O_WRONLY : O_RDONLY);
}
