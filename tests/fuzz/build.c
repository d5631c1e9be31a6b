/*
 * build.c - from choices to a call: what all actions share
 */
#include "build.h"

#include <limits.h>
#include <stdarg.h>
#include <string.h>

#include "interpret/calls.h"
#include "interpret/world.h"

/* Around every mark of the models of pipes and of AF_UNIX. */
static const uint32_t small_sizes[] = { 0,    1,    2,    3,    5,    10,   16,   100,  100,
                                        192,  193,  704,  705,  1000, 1366, 1728, 1729, 2049,
                                        3000, 3776, 3777, 4000, 4095, 4096, 4097, 5000 };
static const uint32_t large_sizes[] = { 8191,  8192,  8193,  12288,  16064,  16384,  20000, 36544,
                                        36545, 65536, 70000, 100000, 212960, 212961, 262144 };

static const int64_t odd_numbers[] = { 0,       1,       -1,   2,    3,          5,
                                       16,      -2,      1024, 1025, 4096,       65536,
                                       INT_MAX, INT_MIN, 40,   63,   0x40000000, 1 << 20 };

void build_fill_pattern(uint8_t *bytes, size_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        uint64_t word = 2 * 0x9e3779b97f4a7c15u + i * 0xd1342543de82ef95u;

        word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9u;
        word = (word ^ (word >> 27)) * 0x94d049bb133111ebu;
        bytes[i] = (uint8_t)(word >> 56);
    }
}

bool build_odd(struct builder *b)
{
    return build_below(b, 512) < b->odd;
}

uint32_t build_below(struct builder *b, uint32_t limit)
{
    return cursor_below(&b->cursor, limit);
}

uint32_t build_size(struct builder *b)
{
    uint32_t choice = build_below(b, 512);
    uint32_t size;

    if (choice < b->large)
        size = large_sizes[choice % (sizeof(large_sizes) / sizeof(large_sizes[0]))];
    else if (choice % 8 == 0)
        size = build_below(b, 9000);
    else
        size = small_sizes[choice % (sizeof(small_sizes) / sizeof(small_sizes[0]))];
    return size;
}

int64_t build_number(struct builder *b)
{
    return odd_numbers[build_below(b, sizeof(odd_numbers) / sizeof(odd_numbers[0]))];
}

struct description *build_description(struct builder *b, int64_t number)
{
    return model_at(b->model, b->process, number);
}

static int64_t odd_fd(struct builder *b)
{
    static const int64_t numbers[] = { CLOSED_NUMBER, -1, 61, INT_MAX, INT_MIN, -100 };

    return numbers[build_below(b, sizeof(numbers) / sizeof(numbers[0]))];
}

int64_t build_fd(struct builder *b, unsigned kinds)
{
    const struct process *process = &b->model->processes[b->process];
    uint32_t start = build_below(b, 256);

    if (build_odd(b))
        kinds = KIND_ALL;
    if (kinds == KIND_ALL && start >= 248)
        return odd_fd(b);
    for (int pass = 0; pass < 2; pass++, kinds = KIND_ALL) {
        for (uint32_t i = 0; i < MODEL_SLOTS; i++) {
            uint8_t number = process->slots[(start + i) % MODEL_SLOTS];
            const struct description *description = number == SLOT_EMPTY
                                                        ? NULL
                                                        : model_at(b->model, b->process, number);

            if (description && (description->kind & kinds))
                return number;
        }
    }
    return start % 8 == 0 ? odd_fd(b) : CLOSED_NUMBER;
}

void build_say(struct builder *b, const char *format, ...)
{
    va_list arguments;

    if (!b->text)
        return;
    va_start(arguments, format);
    vfprintf(b->text, format, arguments);
    va_end(arguments);
}

void build_begin(struct builder *b, const char *name, int *cache)
{
    if (*cache < 0)
        *cache = call_find(name);
    b->made.call = *cache;
    b->made.name = name;
    build_say(b, "%s(", name);
}

/* A comma in front of every argument but the first. */
static void comma(struct builder *b)
{
    if (b->made.word_count > 0)
        build_say(b, ", ");
}

void build_word(struct builder *b, uint64_t word)
{
    b->made.words[b->made.word_count++] = word;
}

void build_argument(struct builder *b, int64_t value)
{
    comma(b);
    build_say(b, "%lld", (long long)value);
    build_word(b, (uint64_t)value);
}

void build_named(struct builder *b, int64_t value, const char *text)
{
    comma(b);
    build_say(b, "%s", text);
    build_word(b, (uint64_t)value);
}

void build_flags(struct builder *b, const char *const *names, const uint32_t *bits, uint32_t count,
                 uint32_t always)
{
    uint32_t value = always;
    uint32_t rounds = build_below(b, 4);

    comma(b);
    build_say(b, "0x%x", always);
    for (uint32_t i = 0; i + 1 < rounds; i++) {
        uint32_t chosen = build_below(b, count);

        value |= bits[chosen];
        build_say(b, "|%s", names[chosen]);
    }
    if (build_odd(b)) {
        uint32_t odd = 1u << build_below(b, 32);

        if (odd == 1 && !b->urgent) /* MSG_OOB */
            odd = 0;
        value |= odd;
        build_say(b, "|0x%x", odd);
    }
    build_word(b, value);
}

void build_pointer(struct builder *b, const void *pointer)
{
    build_word(b, (uint64_t)(uintptr_t)pointer);
}

void *build_struct(struct builder *b, size_t size)
{
    uint8_t *place = b->structs;

    size = (size + 15) & ~(size_t)15;
    if (size > (size_t)(b->structs_end - b->structs))
        __builtin_trap(); /* BUILD_STRUCTS is too small for what actions ask for */
    b->structs += size;
    memset(place, 0, size);
    return place;
}

void build_out(struct builder *b, enum out_kind kind, const char *name, const void *place,
               uint32_t size)
{
    if (b->made.out_count < BUILD_MAX_OUTS)
        b->made.outs[b->made.out_count++] = (struct out){ kind, size, name, place };
}

/* NULL, a page that can't be touched, or half of the bytes in front of one. */
static void *odd_place(struct builder *b, uint32_t size, const uint8_t *bytes, uint32_t offset)
{
    uint32_t choice = build_below(b, 8);
    uint8_t *place = NULL;

    if (choice >= 2 && size >= 2 && size <= 65536 && !b->no_faults)
        place = world_fault(b->world, size / 2);
    if (place) {
        b->made.faults = true;
        if (bytes) {
            memcpy(place, bytes, size / 2);
            build_say(b, "fault(pattern(1, %u, %u))", size / 2, offset);
        } else {
            memset(place, 0, size / 2);
            build_say(b, "fault(%u)", size / 2);
        }
        return place;
    }
    build_say(b, "%s", choice == 0 ? "NULL" : "BADPTR");
    return choice == 0 ? NULL : world_bad_page(b->world);
}

const void *build_source(struct builder *b, uint32_t size)
{
    uint32_t offset = b->action * 4099 % (BUILD_PATTERN / 2);

    if (build_odd(b))
        return odd_place(b, size, b->pattern + offset, offset);
    build_say(b, "pattern(1, %u, %u)", size, offset);
    return b->pattern + offset;
}

void *build_target(struct builder *b, uint32_t size)
{
    uint8_t *place = b->data;

    if (build_odd(b))
        return odd_place(b, size, NULL, 0);
    if (size > (size_t)(b->data_end - b->data))
        return odd_place(b, 0, NULL, 0);
    b->data += size;
    build_say(b, "_");
    return place;
}

/* Always refused: a length that isn't would reach into others' memory. */
static uint64_t odd_length(struct builder *b)
{
    return build_below(b, 2) ? (uint64_t)SSIZE_MAX + 1 : (uint64_t)-1;
}

/*
 * Leaves out: vectors whose lengths together exceed the room; they are shorter then.
 */
struct iovec *build_vectors(struct builder *b, bool sent, uint32_t *ret_count)
{
    uint32_t choice = build_below(b, 16);
    uint32_t count = choice < 8 ? 1 : choice < 12 ? 2 : choice < 15 ? 3 : 0;
    uint32_t left = b->limit ? b->limit : BUILD_DATA / 2;
    struct iovec *vectors = build_struct(b, 3 * sizeof(*vectors));

    build_say(b, "[");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = build_size(b);

        size = size > left ? left : size;
        if (!sent && size > (size_t)(b->data_end - b->data))
            size = (uint32_t)(b->data_end - b->data);
        left -= size;
        build_say(b, "%s{iov_base=", i ? ", " : "");
        vectors[i].iov_base = sent ? (void *)build_source(b, size) : build_target(b, size);
        vectors[i].iov_len = build_odd(b) && build_below(b, 2) ? odd_length(b) : size;
        build_say(b, ", iov_len=%lld}", (long long)vectors[i].iov_len);
    }
    build_say(b, "]");
    *ret_count = count;
    return vectors;
}
