/*
 * trace_message.c - see trace_message.h
 *
 * All of it is the guest's memory, read by host_copy(), and anything may stand there: counts are
 * cut, and what doesn't fit is left out with TRACE_CUT.
 */
#include "trace_message.h"

#include "trace_object.h"

#include <string.h>
#include <sys/select.h>

#define IOVECS   128u /* elements of one array that are recorded */
#define MESSAGES 64u  /* messages of one array */
#define NAME     128u /* struct sockaddr_storage */
#define CONTROL  1024u
#define AT_ONCE  16u /* elements that are copied in together */

static void cut(struct trace_writer *writer)
{
    writer->record->flags |= TRACE_CUT;
}

void trace_iovecs(struct trace_writer *writer, const struct iovec *iov, uint64_t count)
{
    count = base_min_u64(count, EMU_IOV_MAX);
    trace_memory(writer, TRACE_IOVECS, iov, count * sizeof *iov, IOVECS * sizeof *iov);
}

static void data(struct trace_writer *writer, const void *address, uint64_t size, uint64_t *left)
{
    trace_memory(writer, TRACE_BYTES, address, size, *left);
    *left -= base_min_u64(*left, size);
}

void trace_iovec_data(struct trace_writer *writer, const struct iovec *iov, uint64_t count,
                      uint64_t size, uint64_t *left)
{
    struct iovec part[AT_ONCE];

    count = base_min_u64(count, EMU_IOV_MAX);
    for (uint64_t i = 0; i < count && size > 0; i++) {
        uint64_t length;

        if (i == IOVECS) {
            cut(writer);
            return;
        }
        if (i % AT_ONCE == 0 &&
            host_copy(part, iov + i, base_min_u64(AT_ONCE, count - i) * sizeof *iov) < 0) {
            return;
        }
        length = base_min_u64(part[i % AT_ONCE].iov_len, size);
        if (length > 0) {
            data(writer, part[i % AT_ONCE].iov_base, length, left);
        }
        size -= length;
    }
}

static void parts_in(struct trace_writer *writer, const struct msghdr *header, bool sent,
                     uint64_t *left)
{
    trace_iovecs(writer, header->msg_iov, header->msg_iovlen);
    if (!sent) {
        return;
    }
    if (header->msg_name) {
        trace_memory(writer, TRACE_ADDRESS, header->msg_name, header->msg_namelen, NAME);
    }
    if (header->msg_control) {
        trace_memory(writer, TRACE_CONTROL, header->msg_control, header->msg_controllen, CONTROL);
    }
    trace_iovec_data(writer, header->msg_iov, header->msg_iovlen, UINT64_MAX, left);
}

static void parts_out(struct trace_writer *writer, const struct msghdr *header, uint64_t size,
                      uint64_t *left)
{
    if (header->msg_name && header->msg_namelen > 0) {
        trace_memory(writer, TRACE_ADDRESS, header->msg_name, header->msg_namelen, NAME);
    }
    if (header->msg_control && header->msg_controllen > 0) {
        trace_memory(writer, TRACE_CONTROL, header->msg_control, header->msg_controllen, CONTROL);
    }
    trace_iovec_data(writer, header->msg_iov, header->msg_iovlen, size, left);
}

void trace_message_in(struct trace_writer *writer, const struct msghdr *message, bool sent,
                      uint64_t *left)
{
    struct msghdr header;

    trace_memory(writer, TRACE_MSGHDR, message, sizeof *message, sizeof *message);
    if (host_copy(&header, message, sizeof header) == 0) {
        parts_in(writer, &header, sent, left);
    }
}

void trace_message_out(struct trace_writer *writer, const struct msghdr *message, uint64_t size,
                       uint64_t *left)
{
    struct msghdr header;

    trace_memory(writer, TRACE_MSGHDR, message, sizeof *message, sizeof *message);
    if (host_copy(&header, message, sizeof header) == 0) {
        parts_out(writer, &header, size, left);
    }
}

void trace_messages_in(struct trace_writer *writer, const struct mmsghdr *messages, uint64_t count,
                       bool sent, uint64_t *left)
{
    struct mmsghdr one;

    count = base_min_u64(count, EMU_IOV_MAX);
    trace_memory(writer, TRACE_MMSGHDRS, messages, count * sizeof one, MESSAGES * sizeof one);
    for (uint64_t i = 0; i < count; i++) {
        if (i == MESSAGES || host_copy(&one, messages + i, sizeof one) < 0) {
            cut(writer);
            return;
        }
        parts_in(writer, &one.msg_hdr, sent, left);
    }
}

void trace_messages_out(struct trace_writer *writer, const struct mmsghdr *messages, uint64_t count,
                        bool sent, uint64_t *left)
{
    struct mmsghdr one;

    trace_memory(writer, TRACE_MMSGHDRS, messages, count * sizeof one, MESSAGES * sizeof one);
    for (uint64_t i = 0; !sent && i < count; i++) {
        if (i == MESSAGES || host_copy(&one, messages + i, sizeof one) < 0) {
            cut(writer);
            return;
        }
        parts_out(writer, &one.msg_hdr, one.msg_len, left);
    }
}

void trace_message_fds(struct trace_writer *writer, const struct msghdr *message)
{
    _Alignas(struct cmsghdr) char control[CONTROL];
    struct msghdr copy;

    if (host_copy(&copy, message, sizeof copy) < 0 || !copy.msg_control ||
        copy.msg_controllen < sizeof(struct cmsghdr)) {
        return;
    }
    if (copy.msg_controllen > sizeof control) {
        copy.msg_controllen = sizeof control;
        cut(writer);
    }
    if (host_copy(control, copy.msg_control, copy.msg_controllen) < 0) {
        return;
    }
    copy.msg_control = control;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&copy); header;
         header = CMSG_NXTHDR(&copy, header)) {
        size_t behind = (size_t)(control + copy.msg_controllen - (char *)header);
        size_t size = header->cmsg_len < behind ? header->cmsg_len : behind;

        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        for (size_t at = CMSG_LEN(0); at + sizeof(int) <= size; at += sizeof(int)) {
            int fd;

            memcpy(&fd, (char *)header + at, sizeof fd);
            trace_fd(writer, fd, TRACE_FD_CONTROL);
        }
    }
}

#define FDS_SIZE_MAX (EMU_TRACE_SIDE / 3) /* of the room that descriptors may take */

void trace_pollfds(struct trace_writer *writer, const struct pollfd *fds, uint64_t count)
{
    const char *end = writer->at + FDS_SIZE_MAX;
    struct pollfd part[AT_ONCE];

    for (uint64_t i = 0; i < count; i++) {
        if (writer->at >= end) {
            cut(writer);
            return;
        }
        if (i % AT_ONCE == 0 &&
            host_copy(part, fds + i, base_min_u64(AT_ONCE, count - i) * sizeof *part) < 0) {
            return;
        }
        if (part[i % AT_ONCE].fd >= 0) {
            trace_fd(writer, part[i % AT_ONCE].fd, 0);
        }
    }
}

/* The 64 numbers from `first` on that stand in any of the sets. */
static uint64_t members_of(const uint64_t *sets, int number, uint64_t first)
{
    uint64_t members = 0;

    for (int i = 0; i < number; i++) {
        uint64_t word;

        if (sets[i] != 0 &&
            host_copy(&word, (const char *)(uintptr_t)sets[i] + first / 8, sizeof word) == 0) {
            members |= word;
        }
    }
    return members;
}

void trace_fd_sets(struct trace_writer *writer, uint64_t count, const uint64_t *sets, int number)
{
    const char *end = writer->at + FDS_SIZE_MAX;

    count = base_min_u64(count, EMU_MAX_FDS);
    for (uint64_t first = 0; first < count; first += 64) {
        uint64_t members = members_of(sets, number, first);

        if (count - first < 64) {
            members &= (1ull << (count - first)) - 1;
        }
        for (; members != 0; members &= members - 1) {
            if (writer->at >= end) {
                cut(writer);
                return;
            }
            trace_fd(writer, (int)first + __builtin_ctzll(members), 1);
        }
    }
}
