/*
 * guest_iov.c - see guest_iov.h
 */
#include "guest_iov.h"

#include "base.h"
#include "host.h"

#include <errno.h>

#define TASK_SIZE 0x7ffffffff000ull /* arch/x86/include/asm/page_64_types.h: TASK_SIZE_MAX */

bool guest_range_ok(const void *data, size_t size)
{
    return size <= TASK_SIZE && (uintptr_t)data <= TASK_SIZE - size;
}

int64_t guest_iov_import(struct guest_iov *iov, const struct iovec *from, size_t count)
{
    uint64_t total = 0;

    EMU_ASSERT(count <= EMU_IOV_MAX);
    if (host_copy(iov->array, from, count * sizeof *from) < 0) {
        return -EFAULT;
    }
    if (EMU_LIKELY(count == 1)) { /* is cut first and judged by the rest: import_ubuf */
        struct iovec *only = &iov->array[0];

        if (only->iov_len > SSIZE_MAX) {
            return -EINVAL;
        }
        only->iov_len = base_min_u64(only->iov_len, EMU_RW_MAX);
        return guest_range_ok(only->iov_base, only->iov_len) ? (int64_t)only->iov_len : -EFAULT;
    }
    for (size_t i = 0; i < count; i++) {
        if (iov->array[i].iov_len > SSIZE_MAX) {
            return -EINVAL; /* of any, before the range of one is looked at */
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct iovec *here = &iov->array[i];

        if (!guest_range_ok(here->iov_base, here->iov_len)) {
            return -EFAULT;
        }
        here->iov_len = base_min_u64(here->iov_len, EMU_RW_MAX - total);
        total += here->iov_len;
    }
    return (int64_t)total;
}

int guest_message_import(struct guest_message *message, const struct msghdr *from)
{
    struct msghdr *header = &message->header;

    if (host_copy(header, from, sizeof *header) < 0) {
        return -EFAULT;
    }
    if (!header->msg_name) {
        header->msg_namelen = 0;
    }
    if ((int)header->msg_namelen < 0) {
        return -EINVAL;
    }
    if (header->msg_namelen > sizeof(struct sockaddr_storage)) {
        header->msg_namelen = sizeof(struct sockaddr_storage);
    }
    if (header->msg_iovlen > EMU_IOV_MAX) {
        return -EMSGSIZE;
    }
    message->size = guest_iov_import(&message->iov, header->msg_iov, header->msg_iovlen);
    header->msg_iov = message->iov.array;
    return message->size < 0 ? (int)message->size : 0;
}
