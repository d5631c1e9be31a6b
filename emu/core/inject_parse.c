/*
 * inject_parse.c - an expression of --inject as a rule: see inject.h
 *
 * A rule that could never do what it says is refused, at the place where it says so. Of a class of
 * calls (%network) those that can't are left out; calls that are named must all be able to.
 */
#include "inject.h"

#include "arguments.h"
#include "base.h"
#include "emu.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum level { LEVEL_FULL, LEVEL_SWITCHES, LEVEL_REFUSED, LEVEL_PLACEHOLDER };

/* No pointers: the preloaded library's loader would have to write to each. */
static const struct {
    char name[16];
    char group[8];
    char kinds[8];
    uint8_t level;
} calls[] = {
    { "", "", "", LEVEL_PLACEHOLDER },
#define CALL(name, group, signature, parameters, level, note) \
    { #name, #group, KINDS_##name, LEVEL_##level },
#include "calls.def"
#undef CALL
};

#define CALLS (sizeof calls / sizeof calls[0])
static_assert(CALLS <= 128, "two words of bits");

/* Names of strace's, and calls that are served by another: both are meant by the first. */
static const struct {
    char name[16];
    char means[16];
} aliases[] = {
    { "pipe", "pipe2" },
    { "epoll_create", "epoll_create1" },
    { "closefrom", "close_range" },
    { "pselect6", "pselect" },
    { "sendto", "send" },
    { "recvfrom", "recv" },
    { "_newselect", "select" },
};

enum item {
    ITEM_ERROR,
    ITEM_RETVAL,
    ITEM_SIGNAL,
    ITEM_DELAY_ENTER,
    ITEM_DELAY_EXIT,
    ITEM_PEER,
    ITEM_WHEN,
    ITEM_P,
    ITEM_FD,
    ITEM_PROC,
    ITEM_BYTE,
    ITEM_BUDGET,
    ITEM_COUNT
};

static const char names[ITEM_COUNT][12] = { "error",      "retval", "signal", "delay_enter",
                                            "delay_exit", "peer",   "when",   "p",
                                            "fd",         "proc",   "byte",   "budget" };
static_assert(sizeof "delay_enter" == 12, "names are that long");

struct reading {
    const char *text;
    struct emu_inject rule;
    uint64_t named[2]; /* calls that were named, and not by a class */
    uint32_t given;    /* a bit for each item */
    size_t at[ITEM_COUNT];
    struct emu_inject_problem problem;
};

/* A piece of the expression. */
struct piece {
    size_t at;
    size_t size;
};

__attribute__((format(printf, 3, 4))) static bool complain(struct reading *reading, size_t at,
                                                           const char *format, ...)
{
    va_list arguments;

    reading->problem.at = (uint32_t)at;
    va_start(arguments, format);
    vsnprintf(reading->problem.text, sizeof reading->problem.text, format, arguments);
    va_end(arguments);
    return false;
}

static bool is(const struct reading *reading, struct piece piece, const char *word)
{
    return strlen(word) == piece.size && strncmp(reading->text + piece.at, word, piece.size) == 0;
}

/* The piece that begins at `at` and ends before one of `ends`. */
static struct piece piece_at(const struct reading *reading, size_t at, const char *ends)
{
    return (struct piece){ at, strcspn(reading->text + at, ends) };
}

/* ---- Calls ---- */

static void set_bit(uint64_t *bits, size_t call)
{
    bits[call / 64] |= 1ull << call % 64;
}

static bool has_bit(const uint64_t *bits, size_t call)
{
    return bits[call / 64] >> call % 64 & 1;
}

/* Whether the library ever makes the call itself; the others stand for one that it does. */
static bool is_served(size_t call)
{
    return calls[call].level != LEVEL_PLACEHOLDER && strcmp(calls[call].name, "pipe") != 0 &&
           strcmp(calls[call].name, "epoll_create") != 0 &&
           strcmp(calls[call].name, "closefrom") != 0;
}

static bool is_network(const char *group)
{
    return strcmp(group, "socket") == 0 || strcmp(group, "msg") == 0 ||
           strcmp(group, "sockopt") == 0;
}

static bool in_class(const struct reading *reading, struct piece piece, size_t call)
{
    return is(reading, piece, "all") || is(reading, piece, calls[call].group) ||
           (is(reading, piece, "desc") && calls[call].kinds[0] == 'F') ||
           ((is(reading, piece, "network") || is(reading, piece, "net")) &&
            is_network(calls[call].group));
}

static bool add_class(struct reading *reading, struct piece piece, uint64_t *bits)
{
    bool found = false;

    for (size_t i = 1; i < CALLS; i++) {
        if (is_served(i) && in_class(reading, piece, i)) {
            set_bit(bits, i);
            found = true;
        }
    }
    return found ? true
                 : complain(reading, piece.at,
                            "no such class of calls; there are %%rw %%pipe %%socket %%msg "
                            "%%sockopt %%fd %%poll %%epoll %%desc %%network");
}

static bool add_call(struct reading *reading, struct piece piece, uint64_t *bits)
{
    bool known = false;
    bool found = false;

    for (size_t i = 1; i < CALLS; i++) {
        bool meant = is(reading, piece, calls[i].name);

        for (size_t j = 0; j < sizeof aliases / sizeof aliases[0]; j++) {
            meant |= is(reading, piece, aliases[j].name) &&
                     strcmp(aliases[j].means, calls[i].name) == 0;
        }
        known |= meant;
        if (meant && is_served(i)) {
            set_bit(bits, i);
            set_bit(reading->named, i);
            found = true;
        }
    }
    if (!known) {
        return complain(reading, piece.at, "no call that the emulator knows has this name");
    }
    return found ? true
                 : complain(reading, piece.at,
                            "the kernel answers this call, also on emulated descriptors");
}

/* CALL, %CLASS or all. */
static bool add_word(struct reading *reading, struct piece piece, uint64_t *bits)
{
    const char *text = reading->text + piece.at;

    if (piece.size == 0) {
        return complain(reading, piece.at, "the name of a call is missing");
    }
    if (text[0] == '/') {
        return complain(reading, piece.at, "regular expressions aren't understood: name the calls");
    }
    if (text[0] == '%' || is(reading, piece, "all")) {
        size_t skip = text[0] == '%';

        return add_class(reading, (struct piece){ piece.at + skip, piece.size - skip }, bits);
    }
    if (text[0] == '?') { /* strace: no complaint when it isn't known */
        struct emu_inject_problem before = reading->problem;

        if (!add_call(reading, (struct piece){ piece.at + 1, piece.size - 1 }, bits)) {
            reading->problem = before;
        }
        return true;
    }
    return add_call(reading, piece, bits);
}

static bool read_calls(struct reading *reading, struct piece all)
{
    uint64_t bits[2] = { 0, 0 };
    bool inverted = reading->text[all.at] == '!';
    size_t end = all.at + all.size;

    for (size_t at = all.at + inverted; at <= end;) {
        struct piece piece = piece_at(reading, at, ",:");

        if (!add_word(reading, piece, bits)) {
            return false;
        }
        at += piece.size + 1;
    }
    if (inverted) {
        memset(reading->named, 0, sizeof reading->named);
    }
    for (size_t i = 1; i < CALLS; i++) {
        if (is_served(i) && has_bit(bits, i) != inverted) {
            set_bit(reading->rule.calls, i);
        }
    }
    return true;
}

/* ---- Numbers and names ---- */

static bool read_number(struct reading *reading, struct piece piece, uint64_t least, uint64_t most,
                        uint64_t *ret_number)
{
    uint64_t number = 0;

    for (size_t i = 0; i < piece.size; i++) {
        char digit = reading->text[piece.at + i];

        if (digit < '0' || digit > '9') {
            return complain(reading, piece.at + i, "a number has digits alone");
        }
        if (number > (most - (uint64_t)(digit - '0')) / 10) {
            return complain(reading, piece.at, "at most %llu", (unsigned long long)most);
        }
        number = number * 10 + (uint64_t)(digit - '0');
    }
    if (piece.size == 0 || number < least) {
        return complain(reading, piece.at, "a number of %llu and more is needed",
                        (unsigned long long)least);
    }
    *ret_number = number;
    return true;
}

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

#define ERRNO_MAX 4095 /* MAX_ERRNO */
#define ERRNO_END 134  /* EHWPOISON is the last that has a name */

static bool read_error(struct reading *reading, struct piece piece)
{
    static const struct {
        char name[12];
        int number;
    } others[] = { { "EWOULDBLOCK", EWOULDBLOCK },
                   { "ENOTSUP", ENOTSUP },
                   { "EDEADLOCK", EDEADLOCK } };
    uint64_t number;

    reading->rule.what |= EMU_INJECT_ERROR;
    if (is_digit(reading->text[piece.at])) {
        if (!read_number(reading, piece, 1, ERRNO_MAX, &number)) {
            return false;
        }
        reading->rule.error = (int32_t)number;
        return true;
    }
    for (int i = 1; i < ERRNO_END; i++) {
        const char *name = strerrorname_np(i);

        if (name && is(reading, piece, name)) {
            reading->rule.error = i;
            return true;
        }
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (is(reading, piece, others[i].name)) {
            reading->rule.error = others[i].number;
            return true;
        }
    }
    return complain(reading, piece.at, "no errno has this name");
}

static bool read_signal(struct reading *reading, struct piece piece)
{
    struct piece rest = piece;
    uint64_t number;

    reading->rule.what |= EMU_INJECT_SIGNAL;
    if (is_digit(reading->text[piece.at])) {
        if (!read_number(reading, piece, 1, 64, &number)) {
            return false;
        }
        reading->rule.signal = (int32_t)number;
        return true;
    }
    if (piece.size > 3 && strncmp(reading->text + piece.at, "SIG", 3) == 0) {
        rest = (struct piece){ piece.at + 3, piece.size - 3 };
    }
    for (int i = 1; i < 32; i++) {
        const char *name = sigabbrev_np(i);

        if (name && is(reading, rest, name)) {
            reading->rule.signal = i;
            return true;
        }
    }
    return complain(reading, piece.at, "no signal has this name");
}

/* Digits, and ns, us, ms or s; microseconds without. */
static bool read_delay(struct reading *reading, struct piece piece, uint32_t what, uint64_t *ret_ns)
{
    static const struct {
        char name[4];
        uint64_t ns;
    } units[] = {
        { "", 1000 }, { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 }
    };
    struct piece digits = { piece.at, 0 };
    struct piece unit;
    uint64_t number;

    while (digits.size < piece.size && is_digit(reading->text[piece.at + digits.size])) {
        digits.size++;
    }
    unit = (struct piece){ piece.at + digits.size, piece.size - digits.size };
    if (!read_number(reading, digits, 1, EMU_INJECT_NS_MAX, &number)) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (is(reading, unit, units[i].name)) {
            if (number > EMU_INJECT_NS_MAX / units[i].ns) {
                return complain(reading, piece.at, "an hour at most");
            }
            reading->rule.what |= what;
            *ret_ns = number * units[i].ns;
            return true;
        }
    }
    return complain(reading, unit.at, "the units of time are ns, us, ms and s");
}

/* F[..L][+[S]] */
static bool read_when(struct reading *reading, struct piece piece)
{
    struct emu_inject *rule = &reading->rule;
    size_t end = piece.at + piece.size;
    struct piece first = piece_at(reading, piece.at, ".+:");
    uint64_t number;
    size_t at = first.at + first.size;

    if (!read_number(reading, first, 1, EMU_INJECT_WHEN_MAX, &number)) {
        return false;
    }
    rule->what |= EMU_INJECT_WHEN;
    rule->first = (uint32_t)number;
    rule->last = at < end && reading->text[at] == '+' ? EMU_INJECT_WHEN_MAX : rule->first;
    if (at < end && reading->text[at] == '.') {
        struct piece last;

        if (reading->text[at + 1] != '.') {
            return complain(reading, at, "FIRST..LAST, FIRST+STEP or FIRST..LAST+STEP");
        }
        last = piece_at(reading, at + 2, "+:");
        if (!read_number(reading, last, 1, EMU_INJECT_WHEN_MAX, &number)) {
            return false;
        }
        if (number < rule->first) {
            return complain(reading, last.at, "the last comes before the first");
        }
        rule->last = (uint32_t)number;
        at = last.at + last.size;
    }
    if (at + 1 < end) { /* +STEP */
        if (!read_number(reading, (struct piece){ at + 1, end - at - 1 }, 1, EMU_INJECT_WHEN_MAX,
                         &number)) {
            return false;
        }
        rule->step = (uint32_t)number;
    }
    return true;
}

/* 0 to 1, as 2^32 parts; all of them are 0. */
static bool read_chance(struct reading *reading, struct piece piece)
{
    uint64_t number = 0;
    uint64_t scale = 0; /* 0: before the point */

    for (size_t i = 0; i < piece.size; i++) {
        char digit = reading->text[piece.at + i];

        if (digit == '.' && scale == 0) {
            scale = 1;
        } else if (!is_digit(digit) || scale >= 1000000000 || number > 9999999999) {
            return complain(reading, piece.at + i, "a probability is as 0.25, with 9 digits");
        } else {
            number = number * 10 + (uint64_t)(digit - '0');
            scale *= 10;
        }
    }
    scale = scale == 0 ? 1 : scale;
    if (number == 0 || number > scale) {
        return complain(reading, piece.at, "a probability is above 0 and at most 1");
    }
    reading->rule.chance = number == scale ? 0 : (uint32_t)((number << 32) / scale);
    if (reading->rule.chance == 0 && number != scale) {
        reading->rule.chance = 1;
    }
    return true;
}

static bool read_program(struct reading *reading, struct piece piece)
{
    if (piece.size == 0 || piece.size >= EMU_INJECT_PROGRAM) {
        return complain(reading, piece.at, "a pattern of 1 to %d characters is needed",
                        EMU_INJECT_PROGRAM - 1);
    }
    memcpy(reading->rule.program, reading->text + piece.at, piece.size);
    return true;
}

static bool read_peer(struct reading *reading, struct piece piece)
{
    if (is(reading, piece, "close")) {
        reading->rule.what |= EMU_INJECT_CLOSE;
    } else if (is(reading, piece, "reset")) {
        reading->rule.what |= EMU_INJECT_RESET;
    } else {
        return complain(reading, piece.at, "peer=close or peer=reset");
    }
    return true;
}

/* ---- One item ---- */

static bool read_item(struct reading *reading, enum item item, struct piece value)
{
    struct emu_inject *rule = &reading->rule;
    uint64_t number = 0;

    switch (item) {
    case ITEM_ERROR: return read_error(reading, value);
    case ITEM_SIGNAL: return read_signal(reading, value);
    case ITEM_PEER: return read_peer(reading, value);
    case ITEM_WHEN: return read_when(reading, value);
    case ITEM_P: return read_chance(reading, value);
    case ITEM_PROC: return read_program(reading, value);
    case ITEM_DELAY_ENTER: return read_delay(reading, value, EMU_INJECT_ENTER, &rule->enter_ns);
    case ITEM_DELAY_EXIT: return read_delay(reading, value, EMU_INJECT_EXIT, &rule->exit_ns);
    case ITEM_RETVAL:
        if (!read_number(reading, value, 0, INT32_MAX, &number)) {
            return false;
        }
        rule->retval = (int64_t)number;
        rule->what |= EMU_INJECT_RETVAL;
        return true;
    case ITEM_FD:
        if (!read_number(reading, value, 0, INT32_MAX, &number)) {
            return false;
        }
        rule->fd = (int32_t)number;
        rule->what |= EMU_INJECT_FD;
        return true;
    case ITEM_BYTE:
        rule->what |= EMU_INJECT_BYTE;
        return read_number(reading, value, 0, INT64_MAX, &rule->byte);
    case ITEM_BUDGET:
        if (!read_number(reading, value, 1, UINT32_MAX, &number)) {
            return false;
        }
        rule->budget = (uint32_t)number;
        return true;
    case ITEM_COUNT: break;
    }
    return false;
}

/* NAME=VALUE */
static bool read_pair(struct reading *reading, struct piece pair)
{
    struct piece name = piece_at(reading, pair.at, "=:");
    struct piece value = { name.at + name.size + 1, pair.size - name.size - 1 };

    for (uint32_t i = 0; i < ITEM_COUNT; i++) {
        if (!is(reading, name, names[i])) {
            continue;
        }
        if (name.size == pair.size) {
            return complain(reading, pair.at + pair.size, "a value is missing: %s=...", names[i]);
        }
        if (reading->given >> i & 1) {
            return complain(reading, pair.at, "%s= was given before", names[i]);
        }
        reading->given |= 1u << i;
        reading->at[i] = pair.at;
        return read_item(reading, (enum item)i, value);
    }
    if (is(reading, name, "syscall") || is(reading, name, "poke_enter") ||
        is(reading, name, "poke_exit")) {
        return complain(reading, pair.at, "this is strace's alone");
    }
    return complain(reading, pair.at,
                    "error, retval, signal, delay_enter, delay_exit, peer, when, p, fd, proc, "
                    "byte or budget?");
}

/* ---- What can't be ---- */

static bool moves_bytes(size_t call)
{
    return calls[call].kinds[0] == 'F' && calls[call].kinds[1] != 0 &&
           strchr("rwRWmM", calls[call].kinds[1]) != NULL;
}

/* A call that can be made with less than it asks for, and its answer is how much. */
static bool sends(size_t call)
{
    return (moves_bytes(call) && strchr("wWm", calls[call].kinds[1]) != NULL) ||
           strcmp(calls[call].name, "sendmmsg") == 0;
}

static bool makes_descriptor(size_t call)
{
    return strcmp(calls[call].name, "socket") == 0 || strncmp(calls[call].name, "dup", 3) == 0 ||
           strncmp(calls[call].name, "epoll_create", 12) == 0;
}

/* Why an answer can't be made up; NULL: it can. */
static const char *no_answer(const struct reading *reading, size_t call)
{
    if (sends(call)) {
        return reading->rule.retval > 0 ? NULL : "never answers 0";
    }
    if (makes_descriptor(call) || strpbrk(calls[call].kinds, "fA")) {
        return "would have to make a descriptor, or an address";
    }
    if (strpbrk(calls[call].kinds, "rRMNVSpsxdo") || strcmp(calls[call].name, "tee") == 0) {
        return "would need data to go with it";
    }
    return reading->rule.retval == 0 ? NULL : "answers nothing but 0";
}

/* Why the rule can't be about this call; NULL: it can. ret_item: what of it. */
static const char *no_use(const struct reading *reading, size_t call, enum item *ret_item)
{
    if (reading->given >> ITEM_FD & 1 && !strchr(calls[call].kinds, 'F')) {
        *ret_item = ITEM_FD;
        return "isn't about a descriptor";
    }
    *ret_item = reading->given >> ITEM_BYTE & 1 ? ITEM_BYTE : ITEM_PEER;
    if (reading->given & (1u << ITEM_BYTE | 1u << ITEM_PEER) && !moves_bytes(call)) {
        return "isn't a transfer of one message or less";
    }
    *ret_item = ITEM_RETVAL;
    return reading->given >> ITEM_RETVAL & 1 ? no_answer(reading, call) : NULL;
}

static bool leave_out_misfits(struct reading *reading)
{
    uint64_t *bits = reading->rule.calls;
    enum item item = ITEM_FD;

    for (size_t i = 1; i < CALLS; i++) {
        const char *reason = has_bit(bits, i) ? no_use(reading, i, &item) : NULL;

        if (!reason) {
            continue;
        }
        if (has_bit(reading->named, i)) {
            return complain(reading, reading->at[item], "%s %s", calls[i].name, reason);
        }
        bits[i / 64] &= ~(1ull << i % 64);
    }
    return (bits[0] | bits[1]) != 0
               ? true
               : complain(reading, reading->at[item], "none of these calls can");
}

static bool check(struct reading *reading, size_t end)
{
    const uint32_t answers = 1u << ITEM_ERROR | 1u << ITEM_RETVAL | 1u << ITEM_PEER;
    uint32_t given = reading->given & answers;

    if ((given & (given - 1)) != 0) {
        return complain(reading, reading->at[given >> ITEM_PEER & 1 ? ITEM_PEER : ITEM_RETVAL],
                        "only one of error=, retval= and peer=");
    }
    if (!(reading->rule.what & EMU_INJECT_DOES)) {
        return complain(reading, end,
                        "what shall happen? error=, retval=, signal=, delay_enter=, delay_exit= or "
                        "peer=");
    }
    if ((reading->rule.calls[0] | reading->rule.calls[1]) == 0) {
        return complain(reading, 0, "no call is meant");
    }
    return leave_out_misfits(reading);
}

int emu_inject_parse(const char *text, struct emu_inject *ret_rule,
                     struct emu_inject_problem *ret_problem)
{
    struct reading reading = {
        .text = text,
        .rule = { .first = 1, .last = EMU_INJECT_WHEN_MAX, .step = 1 },
    };
    size_t size = strlen(text);
    struct piece piece = { 0, 0 };
    bool good = size < EMU_INJECT_SIZE ? true : complain(&reading, 0, "too long");

    for (bool first = true; good && (first || piece.at < size); first = false) {
        piece = piece_at(&reading, piece.at, ":");
        good = first ? read_calls(&reading, piece) : read_pair(&reading, piece);
        piece.at += piece.size + 1;
    }
    if (!good || !check(&reading, size)) {
        *ret_problem = reading.problem;
        return -EINVAL;
    }
    *ret_rule = reading.rule;
    return 0;
}

bool emu_options_draw(const struct emu_options *options)
{
    bool draws = options->faults != EMU_FAULTS_NONE;

    for (uint32_t i = 0; i < options->inject_count; i++) {
        draws |= options->inject[i].chance != 0;
    }
    return draws;
}
