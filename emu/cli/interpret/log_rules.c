/*
 * log_rules.c - what is done with a call on descriptors: transfers, copies, closes
 *
 * A call is interpreted when its descriptor is known (log_numbers.h). Where bytes go between
 * something known and something opaque, the known half is done: bytes are written or read.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/close_range.h>
#include <linux/sockios.h>

#include "interpret/log_walk.h"

static const char *const transfers[] = { "read",     "write",   "readv",    "writev",   "vmsplice",
                                         "recvfrom", "recv",    "recvmsg",  "recvmmsg", "send",
                                         "sendto",   "sendmsg", "sendmmsg", NULL };

static bool is_one_of(const struct log_call *call, const char *const *names)
{
    while (*names && !log_is(call, *names))
        names++;
    return *names != NULL;
}

/* Errors that come from what surrounded the program, which isn't in the log. */
static bool failed_by_surroundings(const struct log_call *call)
{
    static const char *const errors[] = { "EMFILE", "ENFILE", "ENOMEM", "ENOBUFS",
                                          "EACCES", "EPERM",  "ENOSYS", "EAFNOSUPPORT" };

    for (size_t i = 0; call->error_name && i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (strcmp(errors[i], call->error_name) == 0)
            return true;
    }
    return false;
}

/* ---- Transfers ---- */

static void start_transfer(struct log_walk *walk, const struct log_call *call)
{
    uint32_t object = log_walk_argument(walk, call, 0);

    if (object == LOG_NO_OBJECT)
        return;
    log_walk_run(walk);
    log_walk_touch(walk, object);
    walk->step->object = object;
    if (call->result == LOG_RESULT_RESTART ||
        (call->error_name && strcmp(call->error_name, "EINTR") == 0) ||
        (call->error_name && strcmp(call->error_name, "EAGAIN") == 0 &&
         walk->numbers.objects[object].times_out))
        walk->step->mode = LOG_AT_ONCE;
}

/* splice, sendfile: bytes go from one descriptor to another. */
static void start_passage(struct log_walk *walk, const struct log_call *call, size_t from,
                          size_t to)
{
    uint32_t source = log_walk_argument(walk, call, from);
    uint32_t target = log_walk_argument(walk, call, to);
    int64_t number = -1;

    if (source != LOG_NO_OBJECT && target != LOG_NO_OBJECT) {
        log_walk_run(walk);
    } else if (!log_succeeded(call) || (source == LOG_NO_OBJECT && target == LOG_NO_OBJECT)) {
        return;
    } else if (target != LOG_NO_OBJECT) {
        log_walk_run(walk);
        walk->step->verdict = LOG_FEED;
        log_argument_number(call, to, &number);
    } else if (log_is(call, "splice")) {
        log_walk_run(walk);
        walk->step->verdict = LOG_DRAIN;
        log_argument_number(call, from, &number);
    }
    walk->step->number = number;
    log_walk_touch(walk, source);
    log_walk_touch(walk, target);
}

/* ---- Making, copying and closing ---- */

static bool has_flag(const struct log_call *call, size_t index, int64_t flag)
{
    int64_t flags;

    return log_argument_number(call, index, &flags) && (flags & flag) != 0;
}

/* The two numbers in the list that pipe and socketpair fill. */
bool log_two_numbers(const struct log_call *call, size_t index, int64_t ret_numbers[2])
{
    const struct log_expr *list = index < call->argument_count ? call->arguments[index] : NULL;

    return list && list->kind == LOG_LIST && list->count == 2 &&
           log_number(list->items[0], &ret_numbers[0]) &&
           log_number(list->items[1], &ret_numbers[1]);
}

static void start_making(struct log_walk *walk, const struct log_call *call)
{
    int64_t numbers[2];

    if (!log_succeeded(call) || walk->plan->opaque[walk->call])
        return;
    if (log_is(call, "pipe") || log_is(call, "pipe2")) {
        if (!log_two_numbers(call, 0, numbers) || has_flag(call, 1, O_EXCL))
            return;
        log_walk_made(walk, numbers[0]);
        log_walk_made(walk, numbers[1]);
    } else {
        log_walk_made(walk, call->value);
    }
    log_walk_run(walk);
}

static void end_making(struct log_walk *walk, const struct log_call *call)
{
    int64_t numbers[2];
    bool cloexec = has_flag(call, log_is(call, "pipe2") ? 1 : 0, O_CLOEXEC);
    uint32_t first;
    uint32_t second;

    if (log_is(call, "epoll_create") || log_is(call, "epoll_create1")) {
        log_walk_make(walk, LOG_EPOLL, call->value, log_is(call, "epoll_create1") && cloexec);
        return;
    }
    if (!log_two_numbers(call, 0, numbers))
        return;
    cloexec = cloexec && log_is(call, "pipe2");
    first = log_walk_make(walk, LOG_PIPE, numbers[0], cloexec);
    second = log_walk_make(walk, LOG_PIPE, numbers[1], cloexec);
    if (first != LOG_NO_OBJECT && second != LOG_NO_OBJECT)
        log_link_new(&walk->numbers, first, second);
}

static bool copies(const struct log_call *call, bool *ret_cloexec)
{
    int64_t command = -1;

    *ret_cloexec = false;
    if (log_is(call, "dup") || log_is(call, "dup2"))
        return true;
    if (log_is(call, "dup3")) {
        *ret_cloexec = has_flag(call, 2, O_CLOEXEC);
        return true;
    }
    if (!log_is(call, "fcntl") || !log_argument_number(call, 1, &command))
        return false;
    *ret_cloexec = command == F_DUPFD_CLOEXEC;
    return command == F_DUPFD || command == F_DUPFD_CLOEXEC;
}

/* The number now means something opaque: what the world has there is closed. */
static void replace_by_opaque(struct log_walk *walk, const struct log_call *call, int64_t number)
{
    uint32_t object = log_number_object(&walk->numbers, call->task, number);

    if (object == LOG_NO_OBJECT)
        return;
    walk->step->verdict = LOG_CLOSE;
    walk->step->number = number;
    log_walk_touch(walk, object);
}

static uint32_t copied_object(struct log_walk *walk, const struct log_call *call)
{
    int64_t number;

    return log_argument_number(call, 0, &number)
               ? log_number_object(&walk->numbers, call->task, number)
               : LOG_NO_OBJECT;
}

static void start_copy(struct log_walk *walk, const struct log_call *call)
{
    uint32_t object = copied_object(walk, call);

    if (!log_succeeded(call))
        return;
    if (object == LOG_NO_OBJECT) {
        replace_by_opaque(walk, call, call->value);
        return;
    }
    if (call->value >= LOG_MAX_NUMBER) {
        log_walk_opaque(walk, object);
        return;
    }
    log_walk_run(walk);
    log_walk_touch(walk, object);
    log_walk_touch(walk, log_number_object(&walk->numbers, call->task, call->value));
    log_walk_made(walk, call->value);
}

static void end_copy(struct log_walk *walk, const struct log_call *call, bool cloexec)
{
    int64_t number = -1;

    if (!log_succeeded(call))
        return;
    if ((log_is(call, "dup2")) && log_argument_number(call, 0, &number) && number == call->value)
        return; /* onto itself: nothing changes, not even close-on-exec */
    log_number_set(&walk->numbers, call->task, call->value, copied_object(walk, call), cloexec);
}

static void start_close(struct log_walk *walk, const struct log_call *call)
{
    uint32_t object = copied_object(walk, call);
    int64_t number;

    if (object == LOG_NO_OBJECT || !log_argument_number(call, 0, &number))
        return;
    log_walk_run(walk);
    log_walk_touch(walk, object);
    if (log_succeeded(call))
        log_number_set(&walk->numbers, call->task, number, LOG_NO_OBJECT, false);
}

static void start_close_range(struct log_walk *walk, const struct log_call *call)
{
    const struct log_process *process = log_process_of(&walk->numbers, call->task);
    int64_t first;
    int64_t last;

    if (!process || !log_succeeded(call) || !log_argument_number(call, 0, &first) ||
        !log_argument_number(call, 1, &last))
        return;
    last = (int64_t)(uint32_t)last;
    for (int64_t i = first < 0 ? 0 : first; i <= last && (size_t)i < process->count; i++) {
        if (process->numbers[i].object == LOG_NO_OBJECT)
            continue;
        log_walk_run(walk);
        if (has_flag(call, 2, CLOSE_RANGE_CLOEXEC)) {
            process->numbers[i].cloexec = true;
            continue;
        }
        log_walk_touch(walk, process->numbers[i].object);
        process->numbers[i].object = LOG_NO_OBJECT;
    }
}

/* ---- fcntl, ioctl ---- */

static void set_cloexec(struct log_walk *walk, const struct log_call *call, bool cloexec)
{
    int64_t number;
    struct log_number *entry;

    if (!log_argument_number(call, 0, &number))
        return;
    entry = log_number_at(&walk->numbers, call->task, number);
    if (entry)
        entry->cloexec = cloexec;
}

static void start_control(struct log_walk *walk, const struct log_call *call)
{
    static const int64_t known[] = { F_GETFD,      F_SETFD,    F_GETFL,  F_SETFL, F_GETPIPE_SZ,
                                     F_SETPIPE_SZ, FIONBIO,    FIONREAD, FIOCLEX, FIONCLEX,
                                     TCGETS,       TIOCGWINSZ, SIOCOUTQ };
    uint32_t object = log_walk_argument(walk, call, 0);
    int64_t command;

    if (!log_argument_number(call, 1, &command))
        return;
    if (log_succeeded(call) && log_is(call, "fcntl") && command == F_SETFD)
        set_cloexec(walk, call, has_flag(call, 2, FD_CLOEXEC));
    if (log_succeeded(call) && log_is(call, "ioctl") && (command == FIOCLEX || command == FIONCLEX))
        set_cloexec(walk, call, command == FIOCLEX);
    if (copied_object(walk, call) != LOG_NO_OBJECT && log_is(call, "fcntl") && command == F_SETFD) {
        log_walk_run(walk); /* also of stand-ins */
        return;
    }
    if (object == LOG_NO_OBJECT || failed_by_surroundings(call))
        return;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        bool fcntls = i < 6;

        if (known[i] == command && log_is(call, fcntls ? "fcntl" : "ioctl")) {
            log_walk_run(walk);
            log_walk_touch(walk, object);
            return;
        }
    }
}

/* ---- What opens something opaque ---- */

/* A pipe that is opened once more, by its number below /dev/fd or /proc: nobody sees that end. */
static void check_reopened(struct log_walk *walk, const struct log_call *call)
{
    static const char *const folders[] = { "/dev/fd/", "/proc/self/fd/" };
    const struct log_expr *path = call->argument_count > 0 ? call->arguments[0] : NULL;

    if (log_is(call, "openat"))
        path = call->argument_count > 1 ? call->arguments[1] : NULL;
    if (!path || path->kind != LOG_BYTES || !log_succeeded(call))
        return;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        size_t size = strlen(folders[i]);
        char digits[12] = "";

        if (path->size <= size || path->size - size >= sizeof(digits) ||
            memcmp(path->bytes, folders[i], size) != 0)
            continue;
        memcpy(digits, path->bytes + size, path->size - size);
        log_walk_opaque(walk, log_walk_object(walk, strtol(digits, NULL, 10)));
    }
}

/*
 * A copy out of another process's table, by a pidfd. Which process's isn't looked for: whatever has
 * that number anywhere may be shared with whoever has the copy.
 */
static void check_taken(struct log_walk *walk, const struct log_call *call)
{
    int64_t number;

    if (!log_is(call, "pidfd_getfd") || !log_argument_number(call, 1, &number))
        return;
    for (size_t i = 0; i < walk->numbers.process_count; i++) {
        const struct log_process *process = &walk->numbers.processes[i];

        if (number >= 0 && (uint64_t)number < process->count)
            log_walk_opaque(walk, process->numbers[number].object);
    }
}

static void start_opening(struct log_walk *walk, const struct log_call *call)
{
    static const char *const names[] = {
        "open",         "openat",         "openat2",       "creat",       "eventfd",
        "eventfd2",     "timerfd_create", "signalfd",      "signalfd4",   "inotify_init",
        "memfd_create", "inotify_init1",  "pidfd_open",    "pidfd_getfd", "perf_event_open",
        "userfaultfd",  "io_uring_setup", "fanotify_init", NULL
    };

    if (!is_one_of(call, names) || !log_succeeded(call))
        return;
    check_reopened(walk, call);
    check_taken(walk, call);
    replace_by_opaque(walk, call, call->value);
}

/* ---- All rules ---- */

void log_rule_start(struct log_walk *walk, const struct log_call *call)
{
    static const char *const making[] = { "pipe", "pipe2", "epoll_create", "epoll_create1", NULL };
    bool cloexec;

    if (is_one_of(call, transfers))
        start_transfer(walk, call);
    else if (log_is(call, "splice"))
        start_passage(walk, call, 0, 2);
    else if (log_is(call, "tee"))
        start_passage(walk, call, 0, 1);
    else if (log_is(call, "sendfile") || log_is(call, "sendfile64"))
        start_passage(walk, call, 1, 0);
    else if (is_one_of(call, making))
        start_making(walk, call);
    else if (copies(call, &cloexec))
        start_copy(walk, call);
    else if (log_is(call, "close"))
        start_close(walk, call);
    else if (log_is(call, "close_range"))
        start_close_range(walk, call);
    else if (log_is(call, "fcntl") || log_is(call, "ioctl"))
        start_control(walk, call);
    else if (!log_rule_wait_start(walk, call))
        start_opening(walk, call);
    log_rule_socket_start(walk, call);
}

void log_rule_end(struct log_walk *walk, const struct log_call *call)
{
    static const char *const making[] = { "pipe", "pipe2", "epoll_create", "epoll_create1", NULL };
    bool cloexec;

    if (walk->step->verdict == LOG_CLOSE)
        log_number_set(&walk->numbers, call->task, walk->step->number, LOG_NO_OBJECT, false);
    else if (walk->step->verdict != LOG_RUN)
        return;
    else if (is_one_of(call, making))
        end_making(walk, call);
    else if (copies(call, &cloexec))
        end_copy(walk, call, cloexec);
    log_rule_wait_end(walk, call);
    log_rule_socket_end(walk, call);
}
