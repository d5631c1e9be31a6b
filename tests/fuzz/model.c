/*
 * model.c - what a fuzzed run knows of its tasks, processes and descriptors
 */
#include "model.h"

#include <string.h>

void model_init(struct model *model)
{
    memset(model, 0, sizeof(*model));
    for (int i = 0; i < MODEL_PROCESSES; i++)
        memset(model->processes[i].slots, SLOT_EMPTY, MODEL_SLOTS);
}

bool model_has_room(const struct model *model, uint32_t count)
{
    return model->description_count + count <= MODEL_DESCRIPTIONS &&
           model->channel_count + count <= MODEL_CHANNELS;
}

struct description *model_describe(struct model *model, uint16_t kind, int channel, uint8_t end)
{
    struct description *description;

    if (model->description_count == MODEL_DESCRIPTIONS ||
        (channel < 0 && model->channel_count == MODEL_CHANNELS))
        return NULL;
    description = &model->descriptions[model->description_count++];
    memset(description, 0, sizeof(*description));
    description->kind = kind;
    description->end = end;
    description->channel = channel < 0 ? (uint8_t)model->channel_count++ : (uint8_t)channel;
    return description;
}

struct description *model_at(struct model *model, uint32_t process, int64_t number)
{
    uint8_t index;

    if (number < 0 || number >= MODEL_NUMBERS)
        return NULL;
    index = model->processes[process].numbers[number];
    return index ? &model->descriptions[index - 1] : NULL;
}

void model_set(struct model *model, uint32_t process, int64_t number,
               const struct description *description)
{
    if (number >= 0 && number < MODEL_NUMBERS)
        model->processes[process].numbers[number] =
            description ? (uint8_t)(description - model->descriptions + 1) : 0;
}

void model_slot(struct model *model, uint32_t process, uint32_t slot, int64_t number)
{
    if (number >= 0 && number < MODEL_NUMBERS)
        model->processes[process].slots[slot % MODEL_SLOTS] = (uint8_t)number;
}

void model_closed(struct model *model, uint32_t process, int64_t number)
{
    model_set(model, process, number, NULL);
}

uint64_t other_way(uint64_t directions)
{
    return (directions & 0x5555555555555555u) << 1 | (directions >> 1 & 0x5555555555555555u);
}

static uint64_t direction(const struct description *description, uint8_t end)
{
    return (uint64_t)1 << (description->channel * 2 + (end & 1));
}

void touch_takes(struct touch *touch, const struct description *description)
{
    if (!description)
        return;
    if (description->kind == KIND_UNKNOWN)
        touch->takes = touch->puts = ~(uint64_t)0;
    else
        touch->takes |= direction(description, description->end);
}

void touch_puts(struct touch *touch, const struct description *description)
{
    if (!description)
        return;
    if (description->kind == KIND_UNKNOWN)
        touch->takes = touch->puts = ~(uint64_t)0;
    else if (description->kind == KIND_WRITER)
        touch->puts |= direction(description, 0);
    else
        touch->puts |= direction(description, description->end ^ 1);
}

void touch_looks(struct touch *touch, const struct description *description)
{
    if (!description)
        return;
    if (description->kind == KIND_UNKNOWN)
        touch->looks = ~(uint64_t)0;
    else
        touch->looks |= direction(description, 0) | direction(description, 1) |
                        description->watched;
}

bool touch_conflict(const struct touch *a, const struct touch *b)
{
    /* Of two that sleep at one end either may be told of a reset. */
    if ((a->takes & other_way(b->puts)) || (b->takes & other_way(a->puts)))
        return true;
    return (a->takes & b->takes) || (a->puts & b->puts) || (a->looks & (b->takes | b->puts)) ||
           (b->looks & (a->takes | a->puts));
}
