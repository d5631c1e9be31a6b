/*
 * numbers.c - see numbers.h
 */
#include "interpret/numbers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host.h"
#include "interpret/calls.h"

#ifndef F_DUPFD_QUERY
#    define F_DUPFD_QUERY (1024 + 3) /* linux/fcntl.h, 6.10 */
#endif

#define NEVER_OPEN 0x7fff0000 /* beyond every RLIMIT_NOFILE: EBADF */

/* Calls whose numbers need a treatment of their own. */
enum special {
    SPECIAL_NONE,
    SPECIAL_MAKES, /* its result is a new descriptor */
    SPECIAL_CLOSE,
    SPECIAL_RANGE,
    SPECIAL_FROM,
    SPECIAL_DUP2,
    SPECIAL_FCNTL,
    SPECIAL_SELECT,
    SPECIAL_OPEN,
};

static enum special special_of(int number)
{
    static const struct {
        const char *name;
        enum special special;
    } names[] = {
        { "open", SPECIAL_OPEN },          { "eventfd", SPECIAL_MAKES },
        { "socket", SPECIAL_MAKES },       { "dup", SPECIAL_MAKES },
        { "accept", SPECIAL_MAKES },       { "accept4", SPECIAL_MAKES },
        { "epoll_create", SPECIAL_MAKES }, { "epoll_create1", SPECIAL_MAKES },
        { "close", SPECIAL_CLOSE },        { "close_range", SPECIAL_RANGE },
        { "closefrom", SPECIAL_FROM },     { "dup2", SPECIAL_DUP2 },
        { "dup3", SPECIAL_DUP2 },          { "fcntl", SPECIAL_FCNTL },
        { "select", SPECIAL_SELECT },      { "pselect", SPECIAL_SELECT },
    };
    static uint8_t known[256]; /* special + 1 */
    enum special special = SPECIAL_NONE;

    if (number < 256 && known[number] != 0)
        return (enum special)(known[number] - 1);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(call_get(number)->name, names[i].name) == 0)
            special = names[i].special;
    }
    if (number < 256)
        known[number] = (uint8_t)(special + 1);
    return special;
}

static bool is_copy(const uint64_t *words)
{
    return (int)words[1] == F_DUPFD || (int)words[1] == F_DUPFD_CLOEXEC;
}

/* ---- The map ---- */

int numbers_real(const struct numbers *numbers, int number)
{
    return number >= 0 && number < numbers->top ? numbers->real[number] - 1 : -1;
}

void numbers_remove(struct numbers *numbers, int number)
{
    int real = numbers_real(numbers, number);

    if (real < 0)
        return;
    numbers->odd -= real != number;
    numbers->real[number] = 0;
    while (numbers->top > 0 && numbers->real[numbers->top - 1] == 0)
        numbers->top--;
}

void numbers_set(struct numbers *numbers, int number, int real)
{
    if (number < 0 || number >= WORLD_MAX_NUMBERS)
        return;
    numbers_remove(numbers, number);
    numbers->real[number] = real + 1;
    numbers->odd += real != number;
    if (number >= numbers->top)
        numbers->top = number + 1;
}

static int lowest_free(const struct numbers *numbers, int minimum)
{
    int number = minimum;

    while (number < WORLD_MAX_NUMBERS && numbers->real[number] != 0)
        number++;
    return number;
}

/* A descriptor that isn't the process's stands for none. */
static int translate(const struct numbers *numbers, int number)
{
    int real = numbers_real(numbers, number);

    if (number < 0 || real >= 0)
        return number < 0 ? number : real;
    return NEVER_OPEN;
}

/* A real number that is free now. */
static int free_number(void)
{
    int fd = open("/dev/null", O_PATH | O_CLOEXEC);

    if (fd >= 0)
        close(fd);
    return fd >= 0 ? fd : NEVER_OPEN;
}

/* ---- RLIMIT_NOFILE ---- */

uint64_t numbers_real_limit(void)
{
    struct rlimit limit = { 0, 0 };

    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

void numbers_set_real_limit(uint64_t most)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = most < limit.rlim_max ? most : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static uint64_t limit_of(const struct numbers *numbers)
{
    return numbers->most ? numbers->most : numbers_real_limit();
}

bool numbers_limit(const struct numbers *numbers, int number, uint64_t *ret_before)
{
    enum special special = special_of(number);
    uint64_t most = limit_of(numbers);
    uint64_t room = 0;
    uint64_t real = 0;

    if ((uint64_t)numbers->top + WORLD_MAX_NEW <= most ||
        (special != SPECIAL_MAKES && special != SPECIAL_OPEN && special != SPECIAL_FCNTL &&
         !strpbrk(call_get(number)->kinds, "fMN")))
        return false;
    for (uint64_t i = 0; i < most && i < WORLD_MAX_NUMBERS; i++)
        room += numbers->real[i] == 0;
    for (;; real++) {
        if (fcntl((int)real, F_GETFD) < 0 && room-- == 0)
            break;
    }
    *ret_before = numbers_real_limit();
    numbers_set_real_limit(real);
    return true;
}

/* ---- Before the call ---- */

static void patch(struct numbers_call *call, const struct numbers *numbers, int *address)
{
    int number;
    int real;

    if (call->patch_count == NUMBERS_MAX_PATCHES ||
        host_copy(&number, address, sizeof(number)) != 0)
        return;
    real = translate(numbers, number);
    if (real == number || host_copy(address, &real, sizeof(real)) != 0)
        return;
    call->patches[call->patch_count].address = address;
    call->patches[call->patch_count++].original = number;
}

static void patch_polled(struct numbers_call *call, const struct numbers *numbers,
                         struct pollfd *fds, uint64_t count)
{
    for (uint64_t i = 0; i < count && i < NUMBERS_MAX_PATCHES; i++) {
        uintptr_t at = (uintptr_t)fds + i * sizeof(*fds); /* fd comes first */
        int probe;

        if (host_copy(&probe, (const void *)at, sizeof(probe)) != 0)
            return;
        patch(call, numbers, (int *)at);
    }
}

/* Calls `found` for each number that control data carries. */
static void each_right(const struct msghdr *message, void (*found)(void *context, int *address),
                       void *context)
{
    struct msghdr header;
    uint8_t *at;
    size_t left;

    if (host_copy(&header, message, sizeof(header)) != 0 || !header.msg_control)
        return;
    at = header.msg_control;
    left = header.msg_controllen;
    while (left >= sizeof(struct cmsghdr)) {
        struct cmsghdr control;
        size_t step;

        if (host_copy(&control, at, sizeof(control)) != 0 || control.cmsg_len < sizeof(control) ||
            control.cmsg_len > left)
            return;
        if (control.cmsg_level == SOL_SOCKET && control.cmsg_type == SCM_RIGHTS) {
            for (size_t i = CMSG_LEN(0); i + sizeof(int) <= control.cmsg_len; i += sizeof(int))
                found(context, (int *)(void *)(at + i));
        }
        step = CMSG_ALIGN(control.cmsg_len);
        if (step >= left)
            return;
        at += step;
        left -= step;
    }
}

struct patching {
    struct numbers_call *call;
    const struct numbers *numbers;
};

static void patch_right(void *context, int *address)
{
    const struct patching *patching = context;

    patch(patching->call, patching->numbers, address);
}

static void patch_messages(struct numbers_call *call, const struct numbers *numbers,
                           uint64_t address, uint64_t count, bool many)
{
    struct patching patching = { call, numbers };
    if (!many) {
        each_right((const struct msghdr *)(uintptr_t)address, patch_right, &patching);
        return;
    }
    for (uint64_t i = 0; i < count && i < 1024; i++) /* UIO_MAXIOV, net/socket.c:__sys_sendmmsg */
        each_right((const struct msghdr *)(uintptr_t)(address + i * sizeof(struct mmsghdr)),
                   patch_right, &patching); /* msg_hdr comes first */
}

/* select's sets: ours instead of the caller's, since real numbers may be larger. */
static void replace_sets(struct numbers_call *call, const struct numbers *numbers)
{
    int count = (int)call->words[0];
    int highest = -1;

    call->set_count = count;
    if (count < 0)
        return;
    if (count > WORLD_MAX_NUMBERS)
        count = WORLD_MAX_NUMBERS;
    for (int i = 0; i < 3; i++) {
        uint8_t bits[WORLD_MAX_NUMBERS / 8] = { 0 };
        void *guest = (void *)(uintptr_t)call->words[1 + i];
        uint8_t *own = (uint8_t *)call->sets[i].own;

        call->sets[i].guest = NULL;
        if (!guest || host_copy(bits, guest, (size_t)(count + 63) / 64 * 8) != 0)
            continue;
        memset(own, 0, sizeof(call->sets[i].own));
        for (int number = 0; number < count; number++) {
            int real;

            if (!(bits[number / 8] >> number % 8 & 1))
                continue;
            real = numbers_real(numbers, number);
            if (real < 0)
                real = free_number();
            if (real >= (int)sizeof(call->sets[i].own) * 8)
                continue;
            own[real / 8] |= (uint8_t)(1u << real % 8);
            highest = real > highest ? real : highest;
        }
        call->sets[i].guest = guest;
        call->words[1 + i] = (uintptr_t)own;
    }
    call->words[0] = (uint64_t)highest + 1;
}

static void begin_dup2(struct numbers_call *call, const struct numbers *numbers,
                       const uint64_t *words)
{
    int target = (int)words[1];

    call->target = target;
    if (target < 0 || (uint64_t)target >= limit_of(numbers) || target >= WORLD_MAX_NUMBERS)
        call->words[1] = (uint64_t)(target < 0 ? target : NEVER_OPEN);
    else if (target == (int)words[0])
        call->words[1] = call->words[0];
    else
        call->words[1] = (uint64_t)(numbers_real(numbers, target) >= 0
                                        ? numbers_real(numbers, target)
                                        : free_number());
}

/* /proc/self/fd/N */
static void begin_open(struct numbers_call *call, const struct numbers *numbers)
{
    char path[sizeof(call->path)] = "";
    int number;

    if (host_copy(path, (const void *)(uintptr_t)call->words[0], sizeof(path) - 1) != 0 ||
        sscanf(path, "/proc/self/fd/%9d", &number) != 1)
        return;
    snprintf(call->path, sizeof(call->path), "/proc/self/fd/%d", translate(numbers, number));
    call->words[0] = (uintptr_t)call->path;
}

static void begin_special(struct numbers_call *call, const struct numbers *numbers,
                          const uint64_t *words)
{
    switch (special_of(call->call)) {
    case SPECIAL_DUP2: begin_dup2(call, numbers, words); break;
    case SPECIAL_SELECT: replace_sets(call, numbers); break;
    case SPECIAL_OPEN: begin_open(call, numbers); break;
    case SPECIAL_FCNTL:
        if ((int)words[1] == F_DUPFD_QUERY)
            call->words[2] = (uint64_t)translate(numbers, (int)words[2]);
        if (is_copy(words) && words[2] < limit_of(numbers) && words[2] < WORLD_MAX_NUMBERS) {
            call->minimum = (int)words[2];
            call->words[2] = 0;
        } else if (is_copy(words)) {
            call->words[2] = NEVER_OPEN; /* EINVAL */
        }
        break;
    default: break;
    }
}

void numbers_begin(const struct numbers *numbers, bool plain, int number, const uint64_t *words,
                   struct numbers_call *ret_call)
{
    const char *kinds = call_get(number)->kinds;

    ret_call->call = number;
    ret_call->plain = plain;
    ret_call->patch_count = 0;
    ret_call->target = -1;
    ret_call->minimum = 0;
    memcpy(ret_call->words, words, sizeof(ret_call->words));
    if (plain)
        return;
    for (size_t i = 0; kinds[i]; i++) {
        switch (kinds[i]) {
        case 'F': ret_call->words[i] = (uint64_t)translate(numbers, (int)words[i]); break;
        case 'p':
            if ((uint32_t)words[i + 1] > limit_of(numbers))
                ret_call->words[i + 1] = NEVER_OPEN; /* EINVAL */
            patch_polled(ret_call, numbers, (struct pollfd *)(uintptr_t)words[i],
                         (uint32_t)words[i + 1]);
            break;
        case 'm': patch_messages(ret_call, numbers, words[i], 1, false); break;
        case 'n': patch_messages(ret_call, numbers, words[i], words[i + 1], true); break;
        default: break;
        }
    }
    begin_special(ret_call, numbers, words);
}

/* ---- After it ---- */

struct places {
    int **places;
    size_t count;
};

static void add_place(void *context, int *address)
{
    struct places *places = context;

    if (places->count < NUMBERS_MAX_PLACES)
        places->places[places->count++] = address;
}

size_t numbers_made(int number, const uint64_t *words, int64_t result, int **ret_places)
{
    const char *kinds = call_get(number)->kinds;
    enum special special = special_of(number);
    struct places places = { ret_places, 0 };

    if (result < 0)
        return 0;
    if (special == SPECIAL_MAKES || special == SPECIAL_OPEN ||
        (special == SPECIAL_FCNTL && is_copy(words)))
        add_place(&places, NULL);
    for (size_t i = 0; kinds[i]; i++) {
        if (kinds[i] == 'f') {
            add_place(&places, (int *)(uintptr_t)words[i]);
            add_place(&places, (int *)(uintptr_t)words[i] + 1);
        } else if (kinds[i] == 'M') {
            each_right((const struct msghdr *)(uintptr_t)words[i], add_place, &places);
        } else if (kinds[i] == 'N') {
            struct mmsghdr *messages = (struct mmsghdr *)(uintptr_t)words[i];

            for (int64_t j = 0; j < result; j++)
                each_right(&messages[j].msg_hdr, add_place, &places);
        }
    }
    return places.count;
}

bool numbers_range(int number, const uint64_t *words, uint32_t *ret_first, uint32_t *ret_last)
{
    enum special special = special_of(number);

    if (special == SPECIAL_RANGE) {
        *ret_first = (uint32_t)words[0];
        *ret_last = (uint32_t)words[1];
    } else if (special == SPECIAL_FROM) {
        *ret_first = (int)words[0] < 0 ? 0 : (uint32_t)words[0];
        *ret_last = UINT32_MAX;
    }
    return special == SPECIAL_RANGE || special == SPECIAL_FROM;
}

static void put_back(struct numbers_call *call, const struct numbers *numbers, int64_t result)
{
    for (size_t i = call->patch_count; i > 0; i--)
        host_copy(call->patches[i - 1].address, &call->patches[i - 1].original, sizeof(int));
    if (call->plain || special_of(call->call) != SPECIAL_SELECT || result < 0)
        return;
    for (int i = 0; i < 3; i++) {
        const uint8_t *own = (const uint8_t *)call->sets[i].own;
        uint8_t bits[WORLD_MAX_NUMBERS / 8] = { 0 };

        if (!call->sets[i].guest)
            continue;
        for (int number = 0; number < call->set_count && number < numbers->top; number++) {
            int real = numbers_real(numbers, number);

            if (real >= 0 && own[real / 8] >> real % 8 & 1)
                bits[number / 8] |= (uint8_t)(1u << number % 8);
        }
        if (host_copy(call->sets[i].guest, bits, (size_t)(call->set_count + 63) / 64 * 8) != 0)
            continue;
    }
}

/* What a range call closed, where it went through as it is. */
static void close_plain(struct numbers *numbers, const uint64_t *words, uint32_t first,
                        uint32_t last, bool is_range)
{
    if (is_range && (words[2] & CLOSE_RANGE_CLOEXEC))
        return;
    for (int number = numbers->top - 1; number >= 0; number--) {
        if ((uint32_t)number >= first && (uint32_t)number <= last)
            numbers_remove(numbers, number);
    }
}

static void end_closing(struct numbers *numbers, const struct numbers_call *call,
                        const uint64_t *words, int64_t result)
{
    uint32_t first;
    uint32_t last;

    if (special_of(call->call) == SPECIAL_CLOSE && result != -EBADF) {
        for (int number = 0; number < numbers->top; number++) {
            if (numbers_real(numbers, number) == (int)words[0]) {
                numbers_remove(numbers, number);
                break;
            }
        }
    }
    if (numbers_range(call->call, words, &first, &last) && result == 0)
        close_plain(numbers, words, first, last, special_of(call->call) == SPECIAL_RANGE);
}

int64_t numbers_end(struct numbers *numbers, struct numbers_call *call, int64_t result,
                    const int *expect, size_t expect_count)
{
    int *places[NUMBERS_MAX_PLACES];
    size_t count;

    put_back(call, numbers, result);
    end_closing(numbers, call, call->words, result);
    if (special_of(call->call) == SPECIAL_DUP2 && result >= 0) {
        int target = call->plain ? (int)result : call->target;

        numbers_set(numbers, target, (int)result);
        return target;
    }
    count = numbers_made(call->call, call->words, result, places);
    for (size_t i = 0; i < count; i++) {
        int real = (int)result;
        int number;

        if (places[i] && host_copy(&real, places[i], sizeof(real)) != 0)
            continue;
        number = call->plain && !call->forked ? real : lowest_free(numbers, call->minimum);
        if (i < expect_count && numbers_real(numbers, expect[i]) < 0)
            number = expect[i];
        numbers_set(numbers, number, real);
        if (!places[i])
            result = number;
        else if (number != real && host_copy(places[i], &number, sizeof(number)) != 0)
            continue;
    }
    return result;
}
