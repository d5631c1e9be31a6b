/*
 * decode_message.c - struct msghdr and mmsghdr, with their ancillary data
 */
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

#include "emu.h"
#include "trace/names.h"
#include "trace/show.h"

#ifndef SCM_CREDENTIALS
#    define SCM_CREDENTIALS 2
#endif

/* ---- Ancillary data ---- */

static void show_rights(const struct show *show, const uint8_t *data, size_t size)
{
    fputs(", cmsg_data=[", show->out);
    for (size_t i = 0; i + sizeof(int) <= size; i += sizeof(int)) {
        int fd;

        memcpy(&fd, data + i, sizeof fd);
        if (i > 0)
            fputs(", ", show->out);
        if (show->when == TRACE_AT_LEAVE && show->call->call != EMU_CALL_sendmmsg)
            show_new_fd(show, fd);
        else
            show_fd(show, fd);
    }
    fputc(']', show->out);
}

static void show_control_data(const struct show *show, int level, int type, const uint8_t *data,
                              size_t size)
{
    struct ucred who;

    if (size == 0)
        return;
    if (level == SOL_SOCKET && type == SCM_RIGHTS) {
        show_rights(show, data, size);
    } else if (level == SOL_SOCKET && type == SCM_CREDENTIALS && size >= sizeof who) {
        memcpy(&who, data, sizeof who);
        fprintf(show->out, ", cmsg_data={pid=%d, uid=%u, gid=%u}", who.pid, who.uid, who.gid);
    } else {
        fputs(", cmsg_data=", show->out);
        show_quoted(show, data, size, size, show->string_limit);
    }
}

/* One element; returns how far the next one is, 0: there is none. */
static size_t show_control_element(const struct show *show, const uint8_t *bytes, size_t size)
{
    const size_t head = CMSG_LEN(0);
    struct cmsghdr header;
    size_t length;

    memcpy(&header, bytes, sizeof header);
    fprintf(show->out, "{cmsg_len=%zu, cmsg_level=", header.cmsg_len);
    print_name(show->out, NAMES_LEVEL, (unsigned)header.cmsg_level);
    fputs(", cmsg_type=", show->out);
    if (header.cmsg_level == SOL_SOCKET)
        print_name(show->out, NAMES_SCM, (unsigned)header.cmsg_type);
    else
        fprintf(show->out, "%#x", (unsigned)header.cmsg_type);
    length = header.cmsg_len < size ? header.cmsg_len : size;
    if (length > head)
        show_control_data(show, header.cmsg_level, header.cmsg_type, bytes + head, length - head);
    fputc('}', show->out);
    return header.cmsg_len < head || header.cmsg_len > size ? 0 : CMSG_ALIGN(header.cmsg_len);
}

static void show_control(const struct show *show, uint64_t address, size_t size)
{
    const uint8_t *bytes = NULL;
    size_t kept = memory_find(show->call, show->when, address, &bytes);
    size_t begin = 0;

    if (kept > size)
        kept = size;
    fputs(", msg_control=", show->out);
    if (kept < CMSG_LEN(0)) {
        show_address(show, address);
        return;
    }
    fputc('[', show->out);
    while (begin + CMSG_LEN(0) <= kept) {
        size_t step;

        if (begin > 0)
            fputs(", ", show->out);
        step = show_control_element(show, bytes + begin, kept - begin);
        if (step == 0)
            break;
        begin += step;
    }
    fputc(']', show->out);
}

/* ---- Headers ---- */

/* msg_name and msg_namelen, which a received message changes. */
static void show_name(const struct show *show, uint64_t at, const struct msghdr *header)
{
    const struct show entered = { .call = show->call, .when = TRACE_AT_ENTER };
    const uint64_t name = (uint64_t)(uintptr_t)header->msg_name;
    struct msghdr before = *header;

    show_memory(&entered, at, &before, sizeof before);
    fputs("msg_name=", show->out);
    if (name != 0 && header->msg_namelen > 0)
        show_sockaddr(show, name,
                      header->msg_namelen < before.msg_namelen ? header->msg_namelen
                                                               : before.msg_namelen);
    else
        show_address(show, name);
    fprintf(show->out, ", msg_namelen=%u", before.msg_namelen);
    if (before.msg_namelen != header->msg_namelen)
        fprintf(show->out, " => %u", header->msg_namelen);
}

static void show_header(const struct show *show, uint64_t at, const struct msghdr *header,
                        uint64_t data_size)
{
    fputc('{', show->out);
    show_name(show, at, header);
    fputs(", msg_iov=", show->out);
    show_iov(show, (uint64_t)(uintptr_t)header->msg_iov, header->msg_iovlen, data_size);
    fprintf(show->out, ", msg_iovlen=%zu", header->msg_iovlen);
    if (header->msg_controllen > 0)
        show_control(show, (uint64_t)(uintptr_t)header->msg_control, header->msg_controllen);
    fprintf(show->out, ", msg_controllen=%zu, msg_flags=", header->msg_controllen);
    print_flags(show->out, NAMES_MSG, (unsigned)header->msg_flags);
    fputc('}', show->out);
}

void show_msghdr(const struct show *show, uint64_t address, uint64_t data_size)
{
    struct msghdr header;

    if (address == 0 || !show_memory(show, address, &header, sizeof header))
        show_address(show, address);
    else if (show_failed(show) && data_size != UINT64_MAX) /* received nothing */
        fprintf(show->out, "{msg_namelen=%u}", header.msg_namelen);
    else
        show_header(show, address, &header, data_size);
}

void show_mmsghdr(const struct show *show, uint64_t address, uint64_t count, bool received)
{
    const uint64_t shown = show_failed(show) ? count : (uint64_t)show->call->result;
    struct mmsghdr entry;

    if ((show_failed(show) && received) || address == 0 ||
        !show_memory(show, address, &entry, sizeof entry)) {
        show_address(show, address);
        return;
    }
    fputc('[', show->out);
    for (uint64_t i = 0; i < shown && i < count; i++) {
        const uint64_t at = address + i * sizeof entry;

        if (i > 0)
            fputs(", ", show->out);
        if (i == show->string_limit || !show_memory(show, at, &entry, sizeof entry)) {
            fputs("...", show->out);
            break;
        }
        fputs("{msg_hdr=", show->out);
        show_header(show, at, &entry.msg_hdr, received ? entry.msg_len : UINT64_MAX);
        if (!show_failed(show))
            fprintf(show->out, ", msg_len=%u", entry.msg_len);
        fputc('}', show->out);
    }
    fputc(']', show->out);
}
