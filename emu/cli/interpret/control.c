/*
 * control.c - ancillary data: msg_control=[{cmsg_len, cmsg_level, cmsg_type, cmsg_data}, ...]
 *
 * cmsg_data is a list of numbers (descriptors), a struct (credentials) or "bytes". Sending,
 * cmsg_len left out is the right one; receiving, fields left out are not looked at.
 */
#include <string.h>
#include <sys/socket.h>

#include "interpret/run.h"

static const struct expr *member(struct run *run, const struct expr *expr, const char *name)
{
    if (expr->kind != EXPR_STRUCT)
        run_fail(run, expr->place, "{cmsg_level=..., ...} must stand here");
    for (size_t i = 0; i < expr->count; i++) {
        if (strcmp(expr->fields[i], "cmsg_len") != 0 &&
            strcmp(expr->fields[i], "cmsg_level") != 0 &&
            strcmp(expr->fields[i], "cmsg_type") != 0 && strcmp(expr->fields[i], "cmsg_data") != 0)
            run_fail(run, expr->items[i]->place, "struct cmsghdr has no field '%s'",
                     expr->fields[i]);
    }
    for (size_t i = 0; i < expr->count; i++) {
        if (strcmp(expr->fields[i], name) == 0)
            return expr->items[i];
    }
    return NULL;
}

void *control_encode(struct run *run, const struct expr *list, size_t *ret_size)
{
    size_t size = 0;
    uint8_t *memory;

    for (size_t i = 0; i < list->count; i++) {
        const struct expr *data = member(run, list->items[i], "cmsg_data");

        size += CMSG_SPACE(data ? value_size(run, data) : 0);
    }
    memory = run_allocate(run, list->place, size);
    *ret_size = size;
    size = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct expr *item = list->items[i];
        const struct expr *data = member(run, item, "cmsg_data");
        const struct expr *length = member(run, item, "cmsg_len");
        const struct expr *level = member(run, item, "cmsg_level");
        const struct expr *type = member(run, item, "cmsg_type");
        struct cmsghdr *header = (struct cmsghdr *)(void *)(memory + size);
        size_t data_size = data ? value_size(run, data) : 0;

        header->cmsg_len = length ? (size_t)evaluate_number(run, length) : CMSG_LEN(data_size);
        header->cmsg_level = level ? (int)evaluate_number(run, level) : 0;
        header->cmsg_type = type ? (int)evaluate_number(run, type) : 0;
        if (data)
            encode_value(run, data, CMSG_DATA(header));
        size += CMSG_SPACE(data_size);
    }
    return memory;
}

static void watch_part(struct run *run, const struct expr *item, const char *name,
                       const void *address, size_t size)
{
    const struct expr *out = member(run, item, name);

    if (out)
        watch_number(run, name, address, size, true, out)->hashed = false;
}

void control_match(struct run *run, const struct watch *watch)
{
    const struct msghdr *header = watch->address;
    const struct expr *list = watch->out;
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    size_t count = 0;

    for (; control && count < list->count; count++) {
        const struct expr *item = list->items[count];
        const struct expr *data = member(run, item, "cmsg_data");

        watch_part(run, item, "cmsg_len", &control->cmsg_len, sizeof(control->cmsg_len));
        watch_part(run, item, "cmsg_level", &control->cmsg_level, sizeof(control->cmsg_level));
        watch_part(run, item, "cmsg_type", &control->cmsg_type, sizeof(control->cmsg_type));
        if (data && data->kind != EXPR_ANY &&
            value_size(run, data) + CMSG_LEN(0) > control->cmsg_len)
            run_differs(run, data->place, "this control message holds %zu bytes",
                        control->cmsg_len - CMSG_LEN(0));
        else if (data)
            watch_value(run, data, CMSG_DATA(control), false);
        control = CMSG_NXTHDR((struct msghdr *)(uintptr_t)header, control);
    }
    if (control)
        run_differs(run, list->place, "more than %zu control messages came", list->count);
    else if (count < list->count)
        run_differs(run, list->place, "only %zu control messages came", count);
}
