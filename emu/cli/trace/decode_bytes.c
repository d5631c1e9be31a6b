/*
 * decode_bytes.c - struct iovec arrays
 */
#include <inttypes.h>
#include <sys/uio.h>

#include "trace/show.h"

static void show_element(const struct show *show, const struct iovec *iov, uint64_t size)
{
    fputs("{iov_base=", show->out);
    if (size == UINT64_MAX) /* not filled */
        show_address(show, (uint64_t)(uintptr_t)iov->iov_base);
    else
        show_string(show, (uint64_t)(uintptr_t)iov->iov_base, size);
    fprintf(show->out, ", iov_len=%" PRIu64 "}", (uint64_t)iov->iov_len);
}

void show_iov(const struct show *show, uint64_t address, uint64_t count, uint64_t data_size)
{
    uint64_t left = data_size;
    struct iovec iov;

    if (count == 0 && address != 0) {
        fputs("[]", show->out);
        return;
    }
    if (address == 0 || !show_memory(show, address, &iov, sizeof iov)) {
        show_address(show, address);
        return;
    }
    fputc('[', show->out);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t size;

        if (i > 0)
            fputs(", ", show->out);
        if (i == show->string_limit ||
            !show_memory(show, address + i * sizeof iov, &iov, sizeof iov)) {
            fputs("...", show->out);
            break;
        }
        size = iov.iov_len < left ? iov.iov_len : left;
        show_element(show, &iov, show_failed(show) && data_size != UINT64_MAX ? UINT64_MAX : size);
        if (data_size != UINT64_MAX)
            left -= size;
    }
    fputc(']', show->out);
}
