/*
 * log_rules_socket.c - what is done with calls on sockets: making them, names, connections,
 * options, descriptors in messages
 *
 * A listener that accepts more connections than the log makes has clients outside; a socket that
 * connects to a name which nobody in the log has bound has its server outside. Neither can be
 * interpreted, nor what was made through them.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/vm_sockets.h>

#include "interpret/log_walk.h"

bool log_two_numbers(const struct log_call *call, size_t index, int64_t ret_numbers[2]);

static bool failed_with(const struct log_call *call, const char *error)
{
    return call->error_name && strcmp(call->error_name, error) == 0;
}

/* ---- Making ---- */

static bool is_modeled(const struct log_walk *walk, const struct log_call *call, bool pair)
{
    int64_t family;
    int64_t type;

    if (!log_argument_number(call, 0, &family) || !log_argument_number(call, 1, &type))
        return false;
    type &= ~(int64_t)(SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (type != SOCK_STREAM && type != SOCK_SEQPACKET)
        return false;
    return family == AF_UNIX || (family == AF_VSOCK && walk->plan->vsock && !pair);
}

static bool wants_cloexec(const struct log_call *call, size_t index)
{
    int64_t flags;

    return log_argument_number(call, index, &flags) && (flags & SOCK_CLOEXEC) != 0;
}

static void start_making(struct log_walk *walk, const struct log_call *call, bool pair)
{
    int64_t numbers[2] = { call->value, -1 };
    uint32_t old;

    if (!log_succeeded(call))
        return;
    if (walk->plan->opaque[walk->call] || !is_modeled(walk, call, pair) ||
        (pair && !log_two_numbers(call, 3, numbers))) {
        old = pair ? LOG_NO_OBJECT : log_number_object(&walk->numbers, call->task, call->value);
        if (old != LOG_NO_OBJECT) {
            walk->step->verdict = LOG_CLOSE;
            walk->step->number = call->value;
        }
        return;
    }
    log_walk_run(walk);
    for (int i = 0; i < (pair ? 2 : 1); i++)
        log_walk_made(walk, numbers[i]);
}

static void end_making(struct log_walk *walk, const struct log_call *call, bool pair)
{
    int64_t numbers[2] = { call->value, -1 };
    bool cloexec = wants_cloexec(call, 1);
    uint32_t objects[2];

    if (!pair) {
        log_walk_make(walk, LOG_SOCKET, call->value, cloexec);
        return;
    }
    if (!log_two_numbers(call, 3, numbers))
        return;
    for (int i = 0; i < 2; i++)
        objects[i] = log_walk_make(walk, LOG_SOCKET, numbers[i], cloexec);
    if (objects[0] != LOG_NO_OBJECT && objects[1] != LOG_NO_OBJECT)
        log_link_new(&walk->numbers, objects[0], objects[1]);
}

/* ---- Names ---- */

/* The name in an address; for AF_VSOCK the bytes of its port stand for it. */
static bool name_of(const struct log_call *call, size_t index, uint8_t *ret_bytes, size_t *ret_size)
{
    const struct log_expr *address = index < call->argument_count ? call->arguments[index] : NULL;
    static const uint8_t prefix[] = { 0, 0, 'v', 's', 'o', 'c', 'k' }; /* no name of AF_UNIX */
    int64_t port;

    if (log_number(log_field(address, "svm_port"), &port)) {
        if ((uint32_t)port == VMADDR_PORT_ANY)
            return false; /* the kernel's choice */
        memcpy(ret_bytes, prefix, sizeof(prefix));
        memcpy(ret_bytes + sizeof(prefix), &port, sizeof(port));
        *ret_size = sizeof(prefix) + sizeof(port);
        return true;
    }
    return log_name_of(address, ret_bytes, ret_size);
}

static uint32_t find_or_add(struct log_walk *walk, const uint8_t *bytes, size_t size)
{
    uint32_t name = log_name_find(&walk->plan->names, bytes, size);

    return name != LOG_NO_NAME ? name : log_name_add(&walk->plan->names, bytes, size);
}

static void start_bind(struct log_walk *walk, const struct log_call *call)
{
    uint32_t object = log_walk_argument(walk, call, 0);
    uint8_t bytes[sizeof(((struct sockaddr_un *)0)->sun_path)];
    size_t size = 0;
    bool named = name_of(call, 1, bytes, &size);
    uint32_t name = named ? log_name_find(&walk->plan->names, bytes, size) : LOG_NO_NAME;

    if (!log_succeeded(call)) {
        if (object != LOG_NO_OBJECT && ((failed_with(call, "EADDRINUSE") && name != LOG_NO_NAME) ||
                                        failed_with(call, "EINVAL"))) {
            log_walk_run(walk);
            log_walk_touch(walk, object);
            walk->step->name = name;
        }
        return;
    }
    if (named)
        name = find_or_add(walk, bytes, size);
    if (named && name == LOG_NO_NAME) {
        log_walk_opaque(walk, object);
        return;
    }
    if (object == LOG_NO_OBJECT) {
        if (named) {
            walk->plan->names.names[name].opaque = true;
            walk->plan->names.names[name].owner = LOG_NO_OBJECT;
        }
        return;
    }
    log_walk_run(walk);
    log_walk_touch(walk, object);
    walk->step->name = name;
    walk->numbers.objects[object].name = name;
    if (named) {
        walk->plan->names.names[name].opaque = false;
        walk->plan->names.names[name].owner = object;
    }
}

static void start_connect(struct log_walk *walk, const struct log_call *call)
{
    uint32_t object = log_walk_argument(walk, call, 0);
    uint8_t bytes[sizeof(((struct sockaddr_un *)0)->sun_path)];
    size_t size = 0;
    uint32_t name = LOG_NO_NAME;
    bool connects = log_succeeded(call) || failed_with(call, "EINPROGRESS");
    const struct log_name *entry;

    if (name_of(call, 1, bytes, &size))
        name = log_name_find(&walk->plan->names, bytes, size);
    entry = name != LOG_NO_NAME ? &walk->plan->names.names[name] : NULL;
    if (object == LOG_NO_OBJECT) {
        if (connects && entry)
            log_walk_opaque(walk, entry->owner); /* somebody opaque is its client */
        return;
    }
    if (!entry || entry->opaque || (connects && entry->owner == LOG_NO_OBJECT)) {
        if (connects)
            log_walk_opaque(walk, object);
        return;
    }
    log_walk_run(walk);
    log_walk_touch(walk, object);
    log_walk_touch(walk, entry->owner);
    walk->step->name = name;
    if (call->result == LOG_RESULT_RESTART)
        walk->step->mode = LOG_AT_ONCE;
    if (connects && walk->numbers.objects[object].link == LOG_NO_LINK)
        log_link_wait(&walk->numbers, entry->owner,
                      log_link_new(&walk->numbers, object, LOG_NO_OBJECT));
}

static void start_accept(struct log_walk *walk, const struct log_call *call)
{
    uint32_t listener = log_walk_argument(walk, call, 0);

    if (listener == LOG_NO_OBJECT) {
        if (log_succeeded(call) &&
            log_number_object(&walk->numbers, call->task, call->value) != LOG_NO_OBJECT) {
            walk->step->verdict = LOG_CLOSE;
            walk->step->number = call->value;
        }
        return;
    }
    log_walk_run(walk);
    log_walk_touch(walk, listener);
    walk->step->object = listener;
    if (call->result == LOG_RESULT_RESTART)
        walk->step->mode = LOG_AT_ONCE;
    if (log_succeeded(call))
        log_walk_made(walk, call->value);
}

static void end_accept(struct log_walk *walk, const struct log_call *call)
{
    uint32_t listener = walk->step->object;
    uint32_t object;

    if (!log_succeeded(call))
        return;
    object = log_walk_make(walk, LOG_SOCKET, call->value,
                           log_is(call, "accept4") && wants_cloexec(call, 3));
    if (object == LOG_NO_OBJECT || log_link_accept(&walk->numbers, listener, object) == LOG_NO_LINK)
        log_walk_opaque(walk, listener);
    else
        walk->numbers.objects[object].name = walk->numbers.objects[listener].name;
}

/* getsockname of a socket that bound itself to a name of the kernel's choice */
static void end_getsockname(struct log_walk *walk, const struct log_call *call)
{
    uint32_t object = log_walk_argument(walk, call, 0);
    uint8_t bytes[sizeof(((struct sockaddr_un *)0)->sun_path)];
    size_t size = 0;
    uint32_t name;

    if (object == LOG_NO_OBJECT || !log_succeeded(call) || !name_of(call, 1, bytes, &size))
        return;
    walk->step->name = log_name_find(&walk->plan->names, bytes, size);
    if (walk->step->name != LOG_NO_NAME || bytes[0] != 0)
        return;
    name = log_name_add(&walk->plan->names, bytes, size);
    if (name == LOG_NO_NAME)
        return;
    walk->plan->names.names[name].chosen = true;
    walk->plan->names.names[name].owner = object;
    walk->step->name = name;
}

/* unlink and rename of a name that the log has bound */
static void start_unlink(struct log_walk *walk, const struct log_call *call)
{
    bool renames = strncmp(call->name, "rename", 6) == 0;
    size_t first =
        strncmp(call->name, "unlinkat", 8) == 0 || strncmp(call->name, "renameat", 8) == 0 ? 1 : 0;
    size_t second = first * 2 + 1;
    uint8_t bytes[sizeof(((struct sockaddr_un *)0)->sun_path)];
    size_t size = 0;
    uint32_t name;

    if (!log_succeeded(call) || first >= call->argument_count ||
        !log_name_of_path(call->arguments[first], bytes, &size))
        return;
    name = log_name_find(&walk->plan->names, bytes, size);
    if (name == LOG_NO_NAME)
        return;
    if (renames) {
        struct log_name *entry = &walk->plan->names.names[name];

        if (second < call->argument_count &&
            log_name_of_path(call->arguments[second], bytes, &size)) {
            memcpy(entry->bytes, bytes, size);
            entry->size = size;
        }
        return;
    }
    walk->plan->names.names[name].gone = true;
    walk->step->verdict = LOG_UNLINK;
    walk->step->name = name;
    log_walk_touch(walk, walk->plan->names.names[name].owner);
}

/* ---- Options ---- */

static void start_option(struct log_walk *walk, const struct log_call *call, bool sets)
{
    static const int64_t known[] = { SO_SNDBUF,    SO_RCVBUF,    SO_TYPE,       SO_ERROR,
                                     SO_DOMAIN,    SO_PROTOCOL,  SO_ACCEPTCONN, SO_KEEPALIVE,
                                     SO_REUSEADDR, SO_BROADCAST, SO_RCVLOWAT,   SO_PASSCRED };
    uint32_t object = log_walk_argument(walk, call, 0);
    const struct log_expr *value = call->argument_count > 3 ? call->arguments[3] : NULL;
    int64_t level;
    int64_t name;

    if (object == LOG_NO_OBJECT || !log_argument_number(call, 1, &level) ||
        !log_argument_number(call, 2, &name))
        return;
    if (sets && level == SOL_SOCKET && (name == SO_RCVTIMEO || name == SO_SNDTIMEO))
        walk->numbers.objects[object].times_out = true; /* time isn't interpreted */
    if (level != SOL_SOCKET || !log_succeeded(call) || !value || value->kind != LOG_LIST)
        return;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i] == name) {
            log_walk_run(walk);
            log_walk_touch(walk, object);
            return;
        }
    }
}

static void start_plain(struct log_walk *walk, const struct log_call *call)
{
    uint32_t object = log_walk_argument(walk, call, 0);

    if (object == LOG_NO_OBJECT)
        return;
    log_walk_run(walk);
    log_walk_touch(walk, object);
}

/* ---- Descriptors in messages ---- */

/* Each list of descriptors in a message header's control data. */
static const struct log_expr *rights_in(const struct log_expr *header)
{
    const struct log_expr *control = log_field(header, "msg_control");

    if (!control || control->kind != LOG_LIST)
        return NULL;
    for (size_t i = 0; i < control->count; i++) {
        const struct log_expr *data = log_field(control->items[i], "cmsg_data");
        int64_t level;
        int64_t type;

        if (log_number(log_field(control->items[i], "cmsg_level"), &level) &&
            log_number(log_field(control->items[i], "cmsg_type"), &type) && level == SOL_SOCKET &&
            type == SCM_RIGHTS && data && data->kind == LOG_LIST)
            return data;
    }
    return NULL;
}

static void add_stand_in(struct log_walk *walk, const struct log_call *call, int64_t number)
{
    uint16_t made = walk->step->made_count;
    uint32_t where = walk->step->made;
    uint32_t object;

    if (number < 0 || number >= LOG_MAX_NUMBER)
        return;
    log_walk_made(walk, number);
    if (walk->step->stand_in_count++ == 0)
        walk->step->stand_ins = (uint32_t)walk->plan->number_count - 1;
    walk->step->made_count = made;
    walk->step->made = where;
    object = log_object_new(&walk->numbers, LOG_OPAQUE, walk->call);
    log_number_set(&walk->numbers, call->task, number, object, false);
}

static void send_rights(struct log_walk *walk, const struct log_call *call,
                        const struct log_expr *rights)
{
    uint32_t socket = log_walk_argument(walk, call, 0);
    uint32_t *objects = malloc((rights->count + 1) * sizeof(objects[0]));

    if (!objects) {
        walk->numbers.no_memory = true;
        return;
    }
    for (size_t i = 0; i < rights->count; i++) {
        int64_t number = -1;

        log_number(rights->items[i], &number);
        objects[i] = log_walk_object(walk, number);
        if (socket == LOG_NO_OBJECT) /* it goes where nobody sees it */
            log_walk_opaque(walk, objects[i]);
        else if (log_number_object(&walk->numbers, call->task, number) == LOG_NO_OBJECT)
            add_stand_in(walk, call, number);
        else
            log_walk_touch(walk, objects[i]);
    }
    if (socket != LOG_NO_OBJECT && log_succeeded(call))
        log_pass(&walk->numbers, socket, objects, rights->count);
    free(objects);
}

static void receive_rights(struct log_walk *walk, const struct log_call *call,
                           const struct log_expr *rights, size_t flags_argument)
{
    uint32_t socket = walk->step->object;
    int64_t flags = 0;
    const struct log_passed *passed;

    log_argument_number(call, flags_argument, &flags);
    passed = log_pass_take(&walk->numbers, socket, (flags & MSG_PEEK) != 0);
    for (size_t i = 0; i < rights->count; i++) {
        int64_t number = -1;
        uint32_t object = passed && i < passed->count ? passed->objects[i] : LOG_NO_OBJECT;

        log_number(rights->items[i], &number);
        log_walk_made(walk, number);
        if (object == LOG_NO_OBJECT)
            object = log_object_new(&walk->numbers, LOG_OPAQUE, walk->call);
        log_number_set(&walk->numbers, call->task, number, object, (flags & MSG_CMSG_CLOEXEC) != 0);
    }
}

/* Credentials that were refused: none are sent here, so nothing would be. */
static bool has_more_than_rights(const struct log_expr *header)
{
    const struct log_expr *control = log_field(header, "msg_control");

    return control && (control->kind != LOG_LIST || control->count > 1 ||
                       (control->count == 1 && !rights_in(header)));
}

static void messages(struct log_walk *walk, const struct log_call *call, bool sent)
{
    const struct log_expr *argument = call->argument_count > 1 ? call->arguments[1] : NULL;
    bool many = argument && argument->kind == LOG_LIST;
    size_t count = many ? argument->count : 1;

    if (!argument || call->unread)
        return;
    for (size_t i = 0; i < count; i++) {
        const struct log_expr *header = many ? log_field(argument->items[i], "msg_hdr") : argument;
        const struct log_expr *rights = rights_in(header);

        if (sent && !log_succeeded(call) && has_more_than_rights(header)) {
            walk->step->verdict = LOG_SKIP;
            return;
        }
        if (rights && sent)
            send_rights(walk, call, rights);
        else if (rights && log_succeeded(call))
            receive_rights(walk, call, rights, many ? 3 : 2);
    }
}

/* ---- All of them ---- */

bool log_rule_socket_start(struct log_walk *walk, const struct log_call *call)
{
    if (log_is(call, "socket") || log_is(call, "socketpair"))
        start_making(walk, call, log_is(call, "socketpair"));
    else if (log_is(call, "bind"))
        start_bind(walk, call);
    else if (log_is(call, "connect"))
        start_connect(walk, call);
    else if (log_is(call, "accept") || log_is(call, "accept4"))
        start_accept(walk, call);
    else if (strncmp(call->name, "unlink", 6) == 0 || strncmp(call->name, "rename", 6) == 0)
        start_unlink(walk, call);
    else if (log_is(call, "getsockopt") || log_is(call, "setsockopt"))
        start_option(walk, call, log_is(call, "setsockopt"));
    else if (log_is(call, "listen") || log_is(call, "shutdown") || log_is(call, "getsockname") ||
             log_is(call, "getpeername"))
        start_plain(walk, call);
    else if (log_is(call, "sendmsg") || log_is(call, "sendmmsg"))
        messages(walk, call, true);
    else
        return false;
    return true;
}

void log_rule_socket_end(struct log_walk *walk, const struct log_call *call)
{
    if (walk->step->verdict != LOG_RUN)
        return;
    if (log_is(call, "socket") || log_is(call, "socketpair")) {
        if (log_succeeded(call))
            end_making(walk, call, log_is(call, "socketpair"));
    } else if (log_is(call, "accept") || log_is(call, "accept4")) {
        end_accept(walk, call);
    } else if (log_is(call, "getsockname")) {
        end_getsockname(walk, call);
    } else if (log_is(call, "recvmsg") || log_is(call, "recvmmsg")) {
        messages(walk, call, false);
    }
}
