/*
 * log_numbers.c - what the descriptors of a log are
 */
#include "interpret/log_numbers.h"

#include <stdlib.h>
#include <string.h>

#include "interpret/log_build.h"

int log_numbers_init(struct log_numbers *numbers, size_t task_count)
{
    memset(numbers, 0, sizeof(*numbers));
    numbers->process_of = malloc((task_count + 1) * sizeof(numbers->process_of[0]));
    if (!numbers->process_of)
        return -1;
    for (size_t i = 0; i < task_count; i++)
        numbers->process_of[i] = UINT32_MAX;
    return 0;
}

void log_numbers_fini(struct log_numbers *numbers)
{
    for (size_t i = 0; i < numbers->process_count; i++)
        free(numbers->processes[i].numbers);
    for (size_t i = 0; i < numbers->passed_count; i++)
        free(numbers->passed[i].objects);
    free(numbers->objects);
    free(numbers->links);
    free(numbers->members);
    free(numbers->passed);
    free(numbers->processes);
    free(numbers->process_of);
    memset(numbers, 0, sizeof(*numbers));
}

/* Room for one more in one of the vectors. False: no memory, which is noted. */
static bool grow(struct log_numbers *numbers, void *vector, size_t count, size_t *room, size_t size)
{
    void *old;
    void *grown;

    memcpy(&old, vector, sizeof(old));
    grown = count < LOG_MAX_OBJECTS ? log_grow(old, count, room, size) : NULL;
    if (!grown) {
        numbers->no_memory = true;
        return false;
    }
    memcpy(vector, &grown, sizeof(grown));
    return true;
}

/* ---- Tables ---- */

struct log_process *log_process_of(struct log_numbers *numbers, uint32_t task)
{
    uint32_t index = numbers->process_of[task];

    return index == UINT32_MAX ? NULL : &numbers->processes[index];
}

void log_process_new(struct log_numbers *numbers, uint32_t task)
{
    if (!grow(numbers, &numbers->processes, numbers->process_count, &numbers->process_room,
              sizeof(numbers->processes[0])))
        return;
    memset(&numbers->processes[numbers->process_count], 0, sizeof(numbers->processes[0]));
    numbers->processes[numbers->process_count].users = 1;
    numbers->process_of[task] = (uint32_t)numbers->process_count++;
}

void log_process_fork(struct log_numbers *numbers, uint32_t parent, uint32_t task)
{
    const struct log_process *from;
    struct log_process *to;

    log_process_new(numbers, task);
    from = log_process_of(numbers, parent);
    to = log_process_of(numbers, task);
    if (!from || !to || from->count == 0)
        return;
    to->numbers = malloc(from->count * sizeof(to->numbers[0]));
    if (!to->numbers) {
        numbers->no_memory = true;
        return;
    }
    memcpy(to->numbers, from->numbers, from->count * sizeof(to->numbers[0]));
    to->count = from->count;
}

void log_process_share(struct log_numbers *numbers, uint32_t parent, uint32_t task)
{
    struct log_process *process = log_process_of(numbers, parent);

    if (!process) {
        log_process_new(numbers, task);
        return;
    }
    process->users++;
    numbers->process_of[task] = numbers->process_of[parent];
}

void log_process_leave(struct log_numbers *numbers, uint32_t task)
{
    struct log_process *process = log_process_of(numbers, task);

    if (!process)
        return;
    numbers->process_of[task] = UINT32_MAX;
    if (--process->users > 0)
        return;
    free(process->numbers);
    process->numbers = NULL;
    process->count = 0;
}

void log_process_exec(struct log_numbers *numbers, uint32_t task)
{
    struct log_process *process = log_process_of(numbers, task);

    if (process && process->users > 1) {
        uint32_t shared = numbers->process_of[task];

        log_process_fork(numbers, task, task);
        if (numbers->process_of[task] != shared)
            numbers->processes[shared].users--;
        process = log_process_of(numbers, task);
    }
    for (size_t i = 0; process && i < process->count; i++) {
        if (process->numbers[i].cloexec)
            process->numbers[i].object = LOG_NO_OBJECT;
    }
}

struct log_number *log_number_at(struct log_numbers *numbers, uint32_t task, int64_t number)
{
    struct log_process *process = log_process_of(numbers, task);

    if (!process || number < 0 || (uint64_t)number >= process->count)
        return NULL;
    return &process->numbers[number];
}

uint32_t log_number_object(struct log_numbers *numbers, uint32_t task, int64_t number)
{
    const struct log_number *entry = log_number_at(numbers, task, number);

    return entry ? entry->object : LOG_NO_OBJECT;
}

bool log_number_set(struct log_numbers *numbers, uint32_t task, int64_t number, uint32_t object,
                    bool cloexec)
{
    struct log_process *process = log_process_of(numbers, task);

    if (!process || number < 0 || number >= LOG_MAX_NUMBER)
        return false;
    if ((size_t)number >= process->count) {
        size_t count = ((size_t)number + 64) / 64 * 64;
        void *grown = realloc(process->numbers, count * sizeof(process->numbers[0]));

        if (!grown) {
            numbers->no_memory = true;
            return false;
        }
        process->numbers = grown;
        for (; process->count < count; process->count++)
            process->numbers[process->count] = (struct log_number){ LOG_NO_OBJECT, false };
    }
    process->numbers[number] = (struct log_number){ object, cloexec };
    return true;
}

/* ---- Objects, channels, connections ---- */

uint32_t log_object_new(struct log_numbers *numbers, enum log_object_kind kind, uint32_t maker)
{
    struct log_object *object;

    if (!grow(numbers, &numbers->objects, numbers->object_count, &numbers->object_room,
              sizeof(numbers->objects[0])))
        return LOG_NO_OBJECT;
    object = &numbers->objects[numbers->object_count];
    memset(object, 0, sizeof(*object));
    object->kind = kind;
    object->maker = maker;
    object->channel = (uint32_t)numbers->object_count;
    object->link = LOG_NO_LINK;
    object->name = LOG_NO_NAME;
    return (uint32_t)numbers->object_count++;
}

uint32_t log_channel_root(struct log_numbers *numbers, uint32_t object)
{
    while (numbers->objects[object].channel != object) {
        uint32_t above = numbers->objects[object].channel;

        numbers->objects[object].channel = numbers->objects[above].channel;
        object = above;
    }
    return object;
}

void log_channel_join(struct log_numbers *numbers, uint32_t a, uint32_t b)
{
    if (a == LOG_NO_OBJECT || b == LOG_NO_OBJECT)
        return;
    a = log_channel_root(numbers, a);
    b = log_channel_root(numbers, b);
    numbers->objects[a > b ? a : b].channel = a > b ? b : a;
}

uint32_t log_link_new(struct log_numbers *numbers, uint32_t first, uint32_t second)
{
    struct log_link *link;
    uint32_t index = (uint32_t)numbers->link_count;

    if (!grow(numbers, &numbers->links, numbers->link_count, &numbers->link_room,
              sizeof(numbers->links[0])))
        return LOG_NO_LINK;
    link = &numbers->links[numbers->link_count++];
    memset(link, 0, sizeof(*link));
    link->objects[0] = first;
    link->objects[1] = second;
    link->listener = LOG_NO_OBJECT;
    for (unsigned end = 0; end < 2; end++) {
        if (link->objects[end] == LOG_NO_OBJECT)
            continue;
        numbers->objects[link->objects[end]].link = index;
        numbers->objects[link->objects[end]].end = end;
    }
    log_channel_join(numbers, first, second);
    return index;
}

void log_link_wait(struct log_numbers *numbers, uint32_t listener, uint32_t link)
{
    uint32_t *place = &numbers->objects[listener].waiting;

    if (link == LOG_NO_LINK)
        return;
    while (*place != 0)
        place = &numbers->links[*place - 1].next;
    *place = link + 1;
    numbers->links[link].listener = listener;
}

uint32_t log_link_accept(struct log_numbers *numbers, uint32_t listener, uint32_t accepted)
{
    uint32_t index = numbers->objects[listener].waiting;
    struct log_link *link;

    if (index == 0)
        return LOG_NO_LINK;
    link = &numbers->links[--index];
    numbers->objects[listener].waiting = link->next;
    link->next = 0;
    link->objects[1] = accepted;
    numbers->objects[accepted].link = index;
    numbers->objects[accepted].end = 1;
    log_channel_join(numbers, link->objects[0], accepted);
    return index;
}

/* ---- Descriptors in messages ---- */

void log_pass(struct log_numbers *numbers, uint32_t sender, const uint32_t *objects, size_t count)
{
    const struct log_object *object = &numbers->objects[sender];
    struct log_passed *passed;
    uint32_t *place;

    if (object->link == LOG_NO_LINK || !grow(numbers, &numbers->passed, numbers->passed_count,
                                             &numbers->passed_room, sizeof(numbers->passed[0])))
        return;
    passed = &numbers->passed[numbers->passed_count];
    passed->objects = malloc((count + 1) * sizeof(passed->objects[0]));
    if (!passed->objects) {
        numbers->no_memory = true;
        return;
    }
    memcpy(passed->objects, objects, count * sizeof(objects[0]));
    passed->count = count;
    passed->next = 0;
    place = &numbers->links[object->link].passed[1 - object->end];
    while (*place != 0)
        place = &numbers->passed[*place - 1].next;
    *place = (uint32_t)++numbers->passed_count;
}

const struct log_passed *log_pass_take(struct log_numbers *numbers, uint32_t receiver, bool peek)
{
    const struct log_object *object = &numbers->objects[receiver];
    const struct log_passed *passed;
    uint32_t *place;

    if (object->link == LOG_NO_LINK)
        return NULL;
    place = &numbers->links[object->link].passed[object->end];
    if (*place == 0)
        return NULL;
    passed = &numbers->passed[*place - 1];
    if (!peek)
        *place = passed->next;
    return passed;
}

/* ---- Members of epoll sets ---- */

void log_member_set(struct log_numbers *numbers, uint32_t epoll, int number, uint64_t data,
                    bool opaque)
{
    struct log_member *member;

    log_member_remove(numbers, epoll, number);
    if (!grow(numbers, &numbers->members, numbers->member_count, &numbers->member_room,
              sizeof(numbers->members[0])))
        return;
    member = &numbers->members[numbers->member_count++];
    *member = (struct log_member){ number, data, opaque, numbers->objects[epoll].members };
    numbers->objects[epoll].members = (uint32_t)numbers->member_count;
}

void log_member_remove(struct log_numbers *numbers, uint32_t epoll, int number)
{
    uint32_t *place = &numbers->objects[epoll].members;

    while (*place != 0) {
        struct log_member *member = &numbers->members[*place - 1];

        if (member->number == number)
            *place = member->next;
        else
            place = &member->next;
    }
}

bool log_member_opaque(const struct log_numbers *numbers, uint32_t epoll, uint64_t data)
{
    bool opaque = false;

    for (uint32_t i = numbers->objects[epoll].members; i != 0; i = numbers->members[i - 1].next) {
        const struct log_member *member = &numbers->members[i - 1];

        if (member->data != data)
            continue;
        if (!member->opaque)
            return false;
        opaque = true;
    }
    return opaque;
}

bool log_member_any(const struct log_numbers *numbers, uint32_t epoll, bool opaque)
{
    for (uint32_t i = numbers->objects[epoll].members; i != 0; i = numbers->members[i - 1].next) {
        if (numbers->members[i - 1].opaque == opaque)
            return true;
    }
    return false;
}
