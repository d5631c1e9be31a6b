/*
 * effects.c - what the result of a call means to the model
 */
#include "effects.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static void describe(struct model *model, uint32_t process, const struct made *made, int64_t number,
                     uint16_t kind, int channel, uint8_t end, uint32_t slot)
{
    struct description *description = model_describe(model, kind, channel, end);

    if (!description)
        return;
    description->nonblocking = made->nonblocking;
    description->records = made->kind == KIND_RECORDS;
    description->process = model->processes[process].born;
    model_set(model, process, number, description);
    model_slot(model, process, slot, number);
}

static void apply_two(struct model *model, uint32_t process, const struct made *made)
{
    bool pipe = made->effect == EFFECT_PIPE;
    int32_t numbers[2];
    int channel;

    memcpy(numbers, made->place, sizeof(numbers));
    describe(model, process, made, numbers[0], pipe ? KIND_READER : made->kind, -1, 0, made->slot);
    channel = (int)model->channel_count - 1;
    describe(model, process, made, numbers[1], pipe ? KIND_WRITER : made->kind, channel, 1,
             made->slot2);
}

static void apply_copy(struct model *model, uint32_t process, const struct made *made,
                       int64_t result)
{
    model_set(model, process, result, model_at(model, process, made->fd));
    model_slot(model, process, made->slot, result);
}

static void apply_connect(struct model *model, uint32_t process, const struct made *made)
{
    struct description *client = model_at(model, process, made->fd);
    uint8_t index = model->listeners[made->name_index];
    struct description *listener = index ? &model->descriptions[index - 1] : NULL;

    if (!client)
        return;
    client->kind = client->records ? KIND_RECORDS : KIND_STREAM;
    if (listener && listener->pending_count < MODEL_PENDING)
        listener->pending[listener->pending_count++] = client->channel;
}

static void apply_accept(struct model *model, uint32_t process, const struct made *made,
                         int64_t result)
{
    struct description *listener = model_at(model, process, made->fd);
    struct made accepted = *made;
    int channel = -1;

    if (listener && listener->pending_count > 0) {
        channel = listener->pending[0];
        listener->pending_count--;
        memmove(listener->pending, listener->pending + 1, listener->pending_count);
    }
    accepted.kind = listener && listener->records ? KIND_RECORDS : KIND_STREAM;
    describe(model, process, &accepted, result, channel < 0 ? KIND_UNKNOWN : accepted.kind, channel,
             1, made->slot);
}

static void apply_names(struct model *model, struct description *description,
                        const struct made *made)
{
    if (!description)
        return;
    if (made->effect == EFFECT_BIND) {
        description->name = (uint8_t)(made->name_index + 1);
        return;
    }
    description->kind = KIND_LISTENER;
    if (description->name)
        model->listeners[description->name - 1] = (uint8_t)(description - model->descriptions + 1);
}

static void take_numbers(struct model *model, uint32_t process, const struct made *made,
                         const struct msghdr *message)
{
    size_t size = message->msg_controllen;

    if (!message->msg_control || size < sizeof(struct cmsghdr))
        return;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR((struct msghdr *)(uintptr_t)message, header)) {
        uint32_t count;

        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
            header->cmsg_len < CMSG_LEN(0) || header->cmsg_len > size)
            return;
        count = (uint32_t)(header->cmsg_len - CMSG_LEN(0)) / sizeof(int32_t);
        for (uint32_t i = 0; i < count; i++) {
            int32_t number;

            memcpy(&number, CMSG_DATA(header) + i * sizeof(number), sizeof(number));
            describe(model, process, made, number, KIND_UNKNOWN, 0, 0, (uint32_t)number);
        }
    }
}

static void apply_rights(struct model *model, uint32_t process, const struct made *made,
                         int64_t result)
{
    const struct mmsghdr *messages = made->place;

    if (made->count == 0)
        take_numbers(model, process, made, made->place);
    for (int64_t i = 0; i < result && i < made->count; i++)
        take_numbers(model, process, made, &messages[i].msg_hdr);
}

static void apply_watch(struct model *model, uint32_t process, const struct made *made)
{
    struct description *set = model_at(model, process, made->fd);
    struct touch touch = { 0 };

    const struct description *watched = model_at(model, process, made->fd2);

    touch_looks(&touch, watched);
    if (set)
        set->watched |= touch.looks;
    if (set && (!watched || !(watched->kind & (KIND_PIPES | KIND_CONNECTED))))
        set->mixed = true;
    /* Sets around this one watch it too: they get all there is. */
    for (uint32_t i = 0; set && i < model->description_count; i++) {
        if (model->descriptions[i].kind == KIND_EPOLL)
            model->descriptions[i].watched |= touch.looks;
    }
}

static void apply_closes(struct model *model, uint32_t process, const struct made *made)
{
    for (int64_t i = made->fd; i <= made->fd2 && i < MODEL_NUMBERS; i++)
        model_closed(model, process, i);
}

static void apply_nonblocking(struct model *model, uint32_t process, const struct made *made)
{
    struct description *description = model_at(model, process, made->fd);

    if (description)
        description->nonblocking = made->nonblocking;
}

void effect_apply(struct model *model, uint32_t process, const struct made *made, int64_t result)
{
    if (made->effect == EFFECT_CLOSE && result != -EBADF)
        model_closed(model, process, made->fd);
    if (result < 0)
        return;
    switch (made->effect) {
    case EFFECT_PIPE:
    case EFFECT_PAIR: apply_two(model, process, made); break;
    case EFFECT_SOCKET:
        describe(model, process, made, result, KIND_FRESH, -1, 0, made->slot);
        break;
    case EFFECT_EPOLL: describe(model, process, made, result, KIND_EPOLL, -1, 0, made->slot); break;
    case EFFECT_OPEN:
        describe(model, process, made, result, KIND_FILE, -1, made->name_index & 1, made->slot);
        break;
    case EFFECT_CLOSE_RANGE: apply_closes(model, process, made); break;
    case EFFECT_COPY: apply_copy(model, process, made, result); break;
    case EFFECT_REPLACE: apply_copy(model, process, made, made->fd2); break;
    case EFFECT_NONBLOCKING: apply_nonblocking(model, process, made); break;
    case EFFECT_BIND:
    case EFFECT_LISTEN: apply_names(model, model_at(model, process, made->fd), made); break;
    case EFFECT_CONNECT: apply_connect(model, process, made); break;
    case EFFECT_ACCEPT: apply_accept(model, process, made, result); break;
    case EFFECT_WATCH: apply_watch(model, process, made); break;
    case EFFECT_RIGHTS: apply_rights(model, process, made, result); break;
    default: break;
    }
}
