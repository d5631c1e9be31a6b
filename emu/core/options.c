/*
 * options.c - the options that the emulator itself obeys, as text
 */
#include "emu.h"

#include "bounds.h"
#include "glob.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Not a pointer: the preloaded library's loader would have to write to each. */
struct word {
    char name[20]; /* "": the end of a table */
    int value;
};

static const struct word families[] = {
    { "unix", AF_UNIX },
    { "vsock", AF_VSOCK },
    { "inet", AF_INET },
    { "inet6", AF_INET6 },
    { "netlink", AF_NETLINK },
    { "packet", AF_PACKET },
    { "bluetooth", AF_BLUETOOTH },
    { "alg", AF_ALG },
    { "can", AF_CAN },
    { "", 0 },
};

static const struct word types[] = {
    { "stream", SOCK_STREAM }, { "dgram", SOCK_DGRAM }, { "seqpacket", SOCK_SEQPACKET },
    { "raw", SOCK_RAW },       { "rdm", SOCK_RDM },     { "", 0 },
};

static const struct word errors[] = {
    { "EACCES", EACCES },
    { "EAFNOSUPPORT", EAFNOSUPPORT },
    { "EINVAL", EINVAL },
    { "EMFILE", EMFILE },
    { "ENFILE", ENFILE },
    { "ENOBUFS", ENOBUFS },
    { "ENODEV", ENODEV },
    { "ENOMEM", ENOMEM },
    { "ENOTSUP", ENOTSUP },
    { "EOPNOTSUPP", EOPNOTSUPP },
    { "EPERM", EPERM },
    { "EPROTONOSUPPORT", EPROTONOSUPPORT },
    { "EPROTOTYPE", EPROTOTYPE },
    { "ESOCKTNOSUPPORT", ESOCKTNOSUPPORT },
    { "", 0 },
};

/* Looks `size` characters up; false when the table lacks them. */
static bool look_up(const struct word *table, const char *text, size_t size, int *ret_value)
{
    for (; table->name[0]; table++) {
        if (strlen(table->name) == size && strncmp(table->name, text, size) == 0) {
            *ret_value = table->value;
            return true;
        }
    }
    return false;
}

static enum emu_action action_of(const char *text)
{
    if (strcmp(text, "refuse") == 0) {
        return EMU_ACTION_REFUSE;
    }
    return strcmp(text, "native") == 0 ? EMU_ACTION_NATIVE : EMU_ACTION_DEFAULT;
}

/* FAMILY[/TYPE]=refuse|native|ERRNO */
static int parse_policy(const char *text, struct emu_policy *ret_policy)
{
    const char *equals = strchr(text, '=');
    const char *slash = strchr(text, '/');
    struct emu_policy policy = { .type = -1 };
    size_t family_size;

    if (!equals) {
        return -EINVAL;
    }
    if (slash && slash > equals) {
        slash = NULL;
    }
    family_size = (size_t)((slash ? slash : equals) - text);
    if (!look_up(families, text, family_size, &policy.family)) {
        return -EINVAL;
    }
    if (slash && !look_up(types, slash + 1, (size_t)(equals - slash - 1), &policy.type)) {
        return -EINVAL;
    }
    policy.action = action_of(equals + 1);
    if (policy.action == EMU_ACTION_DEFAULT) {
        if (!look_up(errors, equals + 1, strlen(equals + 1), &policy.error)) {
            return -EINVAL;
        }
        policy.action = EMU_ACTION_ERRNO;
    }
    *ret_policy = policy;
    return 0;
}

static int set_policy(const char *value, struct emu_options *options)
{
    struct emu_policy policy;
    int rc = parse_policy(value, &policy);

    if (rc < 0) {
        return rc;
    }
    if (options->policy_count == EMU_MAX_POLICIES) {
        return -ENOSPC;
    }
    options->policy[options->policy_count++] = policy;
    return 0;
}

/* The value behind "NAME=", or NULL when the option has another name. */
static const char *value_of(const char *option, const char *name)
{
    size_t size = strlen(name);

    return strncmp(option, name, size) == 0 && option[size] == '=' ? option + size + 1 : NULL;
}

/* Bytes: digits, and K or M. 0: not a size, or more than fits. */
static uint32_t size_of(const char *text)
{
    uint64_t size = 0;

    for (; *text >= '0' && *text <= '9' && size < UINT32_MAX; text++) {
        size = size * 10 + (uint64_t)(*text - '0');
    }
    if (*text == 'K' || *text == 'M') {
        size <<= *text++ == 'K' ? 10 : 20;
    }
    return *text == 0 && size <= INT32_MAX ? (uint32_t)size : 0;
}

/* The value behind "+0x", up to `end`. False: there is none. */
static bool offset_of(const char **at, uint64_t *ret_offset)
{
    char *end;

    if (strncmp(*at, "0x", 2) != 0) {
        return false;
    }
    *ret_offset = strtoull(*at, &end, 16);
    *at = end;
    return true;
}

/* MODULE+0xOFFSET, as reports name a call, or MODULE+0xFROM-0xTO: all calls in between. */
static int parse_place(const char *text, struct emu_place *place)
{
    const char *plus = strrchr(text, '+');
    size_t size = plus ? (size_t)(plus - text) : 0;
    const char *at = plus ? plus + 1 : text;

    if (size == 0 || !offset_of(&at, &place->from)) {
        return -EINVAL;
    }
    place->to = place->from--;
    if (*at == '-') {
        at++;
        place->from++;
        if (!offset_of(&at, &place->to)) {
            return -EINVAL;
        }
    }
    if (*at != 0 || place->to <= place->from) {
        return -EINVAL;
    }
    memcpy(place->module, text, size < sizeof place->module ? size : sizeof place->module - 1);
    return 0;
}

/* SIZE[@PLACE]; a backlog's is a number from 0 on. */
static int parse_capacity_of(enum emu_capacity kind, const char *text, uint32_t *all,
                             struct emu_options *options)
{
    const char *sign = strchr(text, '@');
    struct emu_place place = { .kind = kind };
    size_t length = sign ? (size_t)(sign - text) : strlen(text);
    bool counts = kind == EMU_CAPACITY_BACKLOG;
    char digits[16];
    int rc;

    if (length >= sizeof digits) {
        return -EINVAL;
    }
    memcpy(digits, text, length);
    digits[length] = 0;
    place.size = size_of(digits);
    if (place.size == 0 && !(counts && strcmp(digits, "0") == 0)) {
        return -EINVAL;
    }
    if (place.size == 1 && kind == EMU_CAPACITY_CREDIT) { /* each recv: ENOMEM */
        return -EINVAL;                                   /* vsock_connectible_wait_data */
    }
    place.size += counts;
    if (!sign) {
        *all = place.size;
        return 0;
    }
    rc = parse_place(sign + 1, &place);
    if (rc == 0 && options->place_count == EMU_MAX_PLACES) {
        rc = -ENOSPC;
    }
    if (rc == 0) {
        options->places[options->place_count++] = place;
    }
    return rc;
}

/* The smallest that Linux can give, or a size of one kind. -ENOENT: the option has another name. */
static int parse_capacity(const char *option, struct emu_options *options)
{
    const struct {
        char name[16];
        enum emu_capacity kind;
        uint32_t *all;
    } kinds[] = { { "pipe-capacity", EMU_CAPACITY_PIPE, &options->pipe_capacity },
                  { "sock-buffer", EMU_CAPACITY_SOCKET, &options->sock_buffer },
                  { "vsock-credit", EMU_CAPACITY_CREDIT, &options->vsock_credit },
                  { "backlog", EMU_CAPACITY_BACKLOG, &options->backlog } };

    if (strcmp(option, "squeeze") == 0) {
        options->pipe_capacity = EMU_SQUEEZED_PIPE;
        options->sock_buffer = EMU_SQUEEZED_SOCKET;
        options->vsock_credit = EMU_SQUEEZED_CREDIT;
        return 0;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const char *value = value_of(option, kinds[i].name);

        if (value) {
            return parse_capacity_of(kinds[i].kind, value, kinds[i].all, options);
        }
    }
    return -ENOENT;
}

static int parse_host_unix(const char *text, struct emu_options *options)
{
    size_t size = strlen(text);

    if (size == 0 || size >= sizeof options->host_unix_glob) {
        return -EINVAL;
    }
    if (strcmp(text, "allow") == 0 || strcmp(text, "deny") == 0) {
        options->host_unix = text[0] == 'a' ? EMU_HOST_UNIX_ALLOW : EMU_HOST_UNIX_DENY;
        return 0;
    }
    options->host_unix = EMU_HOST_UNIX_GLOB;
    memcpy(options->host_unix_glob, text, size + 1);
    return 0;
}

/* An audit needs sud: of the two options the last one wins. */
static int parse_net(const char *text, struct emu_options *options)
{
    static const struct word nets[] = {
        { "redirect", EMU_NET_REDIRECT },
        { "off", EMU_NET_OFF },
        { "sud", EMU_NET_SUD },
        { "", 0 },
    };
    int net;

    if (!look_up(nets, text, strlen(text), &net)) {
        return -EINVAL;
    }
    options->net = (enum emu_net)net;
    options->audit = options->audit && net == EMU_NET_SUD;
    return 0;
}

static int add_excluded(const char *pattern, struct emu_options *options)
{
    size_t size = strlen(pattern) + 1;

    if (size == 1 || size > sizeof options->excluded[0]) {
        return -EINVAL;
    }
    if (options->excluded_count == EMU_MAX_EXCLUDED) {
        return -ENOSPC;
    }
    memcpy(options->excluded[options->excluded_count++], pattern, size);
    return 0;
}

bool emu_options_exclude(const struct emu_options *options, const char *path)
{
    /* Criterion talks to its workers over nanomsg; both are linked into the program under test. */
    static const char *const harnesses[] = { "libcriterion.so*", "libnanomsg.so*" };
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;

    for (size_t i = 0; i < sizeof harnesses / sizeof harnesses[0]; i++) {
        if (glob_matches(harnesses[i], name)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < options->excluded_count; i++) {
        const char *pattern = options->excluded[i];

        if (glob_matches(pattern, strchr(pattern, '/') ? path : name)) {
            return true;
        }
    }
    return false;
}

/* VMM:PATH; the path is the gateway's business. */
static int parse_hybrid(const char *text, struct emu_options *options)
{
    const char *colon = strchr(text, ':');
    size_t size = colon ? (size_t)(colon - text) : 0;

    if (!colon || colon[1] == 0) {
        return -EINVAL;
    }
    if (size == strlen("firecracker") && strncmp(text, "firecracker", size) == 0) {
        options->hybrid = EMU_HYBRID_FIRECRACKER;
    } else if (size == strlen("cloud-hypervisor") && strncmp(text, "cloud-hypervisor", size) == 0) {
        options->hybrid = EMU_HYBRID_CLOUD_HYPERVISOR;
    } else {
        return -EINVAL;
    }
    return 0;
}

/* How much is recorded. -ENOENT: the option has another name. */
static int parse_record(const char *option, struct emu_options *options)
{
    const char *bytes = value_of(option, "record-bytes");
    const char *size = value_of(option, "record-size");
    char *end;
    uint64_t limit;

    if (bytes) {
        uint32_t count = size_of(bytes);

        if (count < EMU_RECORD_BYTES_MIN || count > EMU_RECORD_BYTES_MAX) {
            return -EINVAL;
        }
        options->record_bytes = count;
        return 0;
    }
    if (!size) {
        return -ENOENT;
    }
    limit = *size >= '0' && *size <= '9' ? strtoull(size, &end, 10) : 0;
    if (limit == 0 || limit > EMU_RECORD_SIZE_MAX) {
        return -EINVAL;
    }
    if (*end == 'K' || *end == 'M' || *end == 'G') {
        limit <<= *end == 'K' ? 10 : *end == 'M' ? 20 : 30;
        end++;
    }
    if (*end != 0 || limit < EMU_RECORD_SIZE_MIN || limit > EMU_RECORD_SIZE_MAX) {
        return -EINVAL;
    }
    options->record_size = limit;
    return 0;
}

static int parse_faults(const char *text, struct emu_options *options)
{
    static const struct word presets[] = {
        { "none", EMU_FAULTS_NONE },
        { "legal", EMU_FAULTS_LEGAL },
        { "harsh", EMU_FAULTS_HARSH },
        { "", 0 },
    };
    int faults;

    if (!look_up(presets, text, strlen(text), &faults)) {
        return -EINVAL;
    }
    options->faults = (enum emu_faults)faults;
    return 0;
}

static int parse_seed(const char *text, struct emu_options *options)
{
    char *end;
    uint64_t seed = *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;

    if (*text < '0' || *text > '9' || *end != 0) {
        return -EINVAL;
    }
    options->seed = seed;
    return 0;
}

static int add_injection(const char *text, struct emu_options *options)
{
    struct emu_inject_problem problem;

    if (options->inject_count == EMU_MAX_INJECTIONS) {
        return -ENOSPC;
    }
    if (emu_inject_parse(text, &options->inject[options->inject_count], &problem) < 0) {
        return -EINVAL;
    }
    options->inject_count++;
    return 0;
}

/* Options about names and AF_VSOCK. -ENOENT: the option has another name. */
static int parse_world(const char *option, struct emu_options *options)
{
    const char *value = value_of(option, "host-unix");
    int rc = parse_record(option, options);

    if (rc != -ENOENT) {
        return rc;
    }

    if (value) {
        return parse_host_unix(value, options);
    }
    value = value_of(option, "faults");
    if (value) {
        return parse_faults(value, options);
    }
    value = value_of(option, "seed");
    if (value) {
        return parse_seed(value, options);
    }
    value = value_of(option, "inject");
    if (value) {
        return add_injection(value, options);
    }
    value = value_of(option, "hybrid");
    if (value) {
        return parse_hybrid(value, options);
    }
    return parse_capacity(option, options);
}

int emu_options_parse(const char *option, struct emu_options *ret_options)
{
    const char *value = value_of(option, "policy");
    enum emu_action action;

    if (value) {
        return set_policy(value, ret_options);
    }
    value = value_of(option, "unmodeled");
    if (value) {
        action = action_of(value);
        if (action == EMU_ACTION_DEFAULT) {
            return -EINVAL;
        }
        ret_options->unmodeled = action;
        return 0;
    }
    value = value_of(option, "mmsg");
    if (value) {
        if (strcmp(value, "linux") != 0 && strcmp(value, "openbsd") != 0) {
            return -EINVAL;
        }
        ret_options->mmsg = value[0] == 'o' ? EMU_MMSG_OPENBSD : EMU_MMSG_LINUX;
        return 0;
    }
    value = value_of(option, "net");
    if (value) {
        return parse_net(value, ret_options);
    }
    if (strcmp(option, "audit") == 0) {
        ret_options->net = EMU_NET_SUD;
        ret_options->audit = true;
        return 0;
    }
    value = value_of(option, "exclude-caller");
    if (value) {
        return add_excluded(value, ret_options);
    }
    if (strcmp(option, "verify") == 0) {
        ret_options->verify = true;
        return 0;
    }
    if (strcmp(option, "allow-native") == 0) {
        ret_options->allow_native = true;
        return 0;
    }
    return parse_world(option, ret_options);
}
