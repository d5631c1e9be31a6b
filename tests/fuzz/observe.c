/*
 * observe.c - what came out of a call, as entries of the log
 *
 * Bytes that were received are hashed; the first ones are kept, so that a difference can be shown.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "runner_inside.h"

/* The letter of the side; five digits of an automatic name. */
static void wipe_name(uint8_t *name)
{
    if (name[2] == 0 && name[3] == 'z')
        name[4] = '?';
    else if (name[2] == 0)
        memset(name + 3, '?', 5);
}

static void log_bytes(struct runner *runner, const struct task *task, const struct out *out,
                      int64_t index, const void *bytes, uint32_t size)
{
    struct entry *entry = log_add(runner->log, ENTRY_OUT, task->action,
                                  (uint32_t)(task - runner->tasks), out->name);

    entry->value = index;
    entry->size = size;
    entry->hash = log_hash(0, bytes, size);
    memcpy(entry->bytes, bytes, size < LOG_BYTES ? size : LOG_BYTES);
}

static void log_vectors(struct runner *runner, const struct task *task, const struct out *out,
                        int64_t index, const struct iovec *vectors, size_t count, int64_t size)
{
    struct entry *entry;
    uint64_t hash = 0;

    if (size < 0)
        return;
    entry = log_add(runner->log, ENTRY_OUT, task->action, (uint32_t)(task - runner->tasks),
                    out->name);
    entry->value = index;
    entry->size = (uint32_t)size;
    for (size_t i = 0; i < count && size > 0; i++) {
        int64_t part = (int64_t)vectors[i].iov_len < size ? (int64_t)vectors[i].iov_len : size;

        if (part <= 0)
            continue;
        if (i == 0)
            memcpy(entry->bytes, vectors[i].iov_base,
                   part < (int64_t)LOG_BYTES ? (size_t)part : LOG_BYTES);
        hash = log_hash(hash, vectors[i].iov_base, (uint32_t)part);
        size -= part;
    }
    entry->hash = hash;
}

static void log_messages(struct runner *runner, const struct task *task, const struct out *out,
                         int64_t result)
{
    const struct mmsghdr *messages = out->place;

    for (int64_t i = 0; i < result && i < out->size; i++)
        log_vectors(runner, task, out, i, messages[i].msg_hdr.msg_iov,
                    messages[i].msg_hdr.msg_iovlen > 3 ? 0 : messages[i].msg_hdr.msg_iovlen,
                    messages[i].msg_len);
}

static int compare_events(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct epoll_event));
}

void observe_out(struct runner *runner, const struct task *task, const struct out *out,
                 int64_t result)
{
    switch (out->kind) {
    case OUT_FIXED: log_bytes(runner, task, out, 0, out->place, out->size); break;
    case OUT_SUCCESS:
        if (result >= 0)
            log_bytes(runner, task, out, 0, out->place, out->size);
        break;
    case OUT_RESULT:
        if (result > 0)
            log_bytes(runner, task, out, 0, out->place,
                      result < out->size ? (uint32_t)result : out->size);
        break;
    case OUT_DATA:
        log_vectors(runner, task, out, 0, out->place, out->size > 3 ? 0 : out->size, result);
        break;
    case OUT_MESSAGES: log_messages(runner, task, out, result); break;
    case OUT_EVENTS:
        if (result > 0 && task->made.unordered)
            qsort((void *)(uintptr_t)out->place, (size_t)result, sizeof(struct epoll_event),
                  compare_events);
        if (result > 0)
            log_bytes(runner, task, out, 0, out->place,
                      (uint32_t)result * (uint32_t)sizeof(struct epoll_event));
        break;
    case OUT_ADDRESS:
        wipe_name((uint8_t *)(uintptr_t)out->place);
        log_bytes(runner, task, out, 0, out->place, out->size);
        break;
    default: break;
    }
}
