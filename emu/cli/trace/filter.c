/*
 * filter.c - which calls of a recording are shown
 *
 * The sets of -e are strace's. A name that the recorder doesn't know is refused: it would silently
 * show nothing.
 */
#include "trace/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "emu.h"
#include "trace/decode.h"
#include "trace/objects.h"

/* ---- Sets of calls ---- */

/* strace's groups, as far as their calls are recorded. A bar ends a group. */
static const struct {
    const char *name;
    const char *members; /* separated by blanks, with one at either end */
} groups[] = {
    { "%desc",
      " read write readv writev preadv2 pwritev2 pread64 pwrite64 preadv pwritev pipe2 close "
      "close_range dup dup2 dup3 fcntl ioctl lseek fstat ftruncate fsync fallocate flock splice "
      "tee vmsplice sendfile poll ppoll pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait "
      "epoll_pwait epoll_pwait2 " },
    { "%network",
      " socket socketpair bind listen accept accept4 connect getsockname getpeername shutdown "
      "sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg getsockopt setsockopt " },
    { "%process", " fork vfork execve exit exit_group wait4 " },
};

/* What strace calls by two names. */
static const char *canonical(const char *name)
{
    static const char *const aliases[][2] = {
        { "%net", "%network" },    { "network", "%network" }, { "desc", "%desc" },
        { "process", "%process" }, { "send", "sendto" },      { "recv", "recvfrom" },
        { "pipe", "pipe2" },       { "select", "pselect6" },  { "closefrom", "close_range" },
        { "clone", "fork" },       { "clone3", "fork" },
    };

    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        if (strcmp(name, aliases[i][0]) == 0)
            return aliases[i][1];
    }
    return name;
}

static bool in_members(const char *members, const char *name)
{
    const size_t length = strlen(name);

    for (const char *at = strstr(members, name); at != NULL; at = strstr(at + 1, name)) {
        if (at[-1] == ' ' && at[length] == ' ')
            return true;
    }
    return false;
}

static bool is_group(const char *name)
{
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (strcmp(groups[i].name, name) == 0)
            return true;
    }
    return false;
}

static bool is_recorded(const char *name)
{
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (in_members(groups[i].members, name))
            return true;
    }
    return false;
}

static const char *add_name(struct filter *filter, const char *word)
{
    const char *name = canonical(word + (word[0] == '?'));

    if (name[0] == '/') {
        if (filter->pattern_count == sizeof(filter->patterns) / sizeof(filter->patterns[0]))
            return "too many patterns";
        if (regcomp(&filter->patterns[filter->pattern_count], name + 1, REG_EXTENDED | REG_NOSUB))
            return "a bad pattern";
        filter->pattern_count++;
        return NULL;
    }
    if (!is_group(name) && !is_recorded(name))
        return word[0] == '?' ? NULL : "a call that isn't recorded";
    if (filter->name_count == FILTER_NAMES)
        return "too many calls";
    filter->names[filter->name_count++] = name;
    return NULL;
}

static const char *parse_calls(struct filter *filter, char *text)
{
    char *rest = text;
    char *word;

    filter->all_but = rest[0] == '!';
    rest += filter->all_but;
    if (strcmp(rest, "all") == 0 || strcmp(rest, "none") == 0) {
        filter->no_calls = (rest[0] == 'n') != filter->all_but;
        filter->all_but = false;
        return NULL;
    }
    while ((word = strsep(&rest, ",")) != NULL) {
        const char *wrong = word[0] != '\0' ? add_name(filter, word) : "an empty name";

        if (wrong != NULL)
            return wrong;
    }
    if (filter->name_count + filter->pattern_count == 0)
        filter->no_calls = true; /* none of "?name" is known */
    return NULL;
}

static bool has_name(const struct filter *filter, const char *name)
{
    for (size_t i = 0; i < filter->name_count; i++) {
        if (strcmp(filter->names[i], name) == 0)
            return true;
        for (size_t j = 0; j < sizeof(groups) / sizeof(groups[0]); j++) {
            if (strcmp(groups[j].name, filter->names[i]) == 0 &&
                in_members(groups[j].members, name))
                return true;
        }
    }
    for (size_t i = 0; i < filter->pattern_count; i++) {
        if (regexec(&filter->patterns[i], name, 0, NULL, 0) == 0)
            return true;
    }
    return false;
}

/* ---- Numbers, and -e as a whole ---- */

const char *filter_parse_numbers(struct filter_numbers *numbers, char *text)
{
    char *rest = text;
    char *word;

    numbers->all_but = rest[0] == '!';
    rest += numbers->all_but;
    while ((word = strsep(&rest, ",")) != NULL) {
        char *end;

        if (numbers->count == FILTER_NUMBERS)
            return "too many numbers";
        errno = 0;
        numbers->values[numbers->count] = strtoll(word, &end, 10);
        if (errno != 0 || end == word || *end != '\0')
            return "not a number";
        numbers->count++;
    }
    return NULL;
}

static bool numbers_match(const struct filter_numbers *numbers, int64_t value)
{
    for (size_t i = 0; i < numbers->count; i++) {
        if (numbers->values[i] == value)
            return true;
    }
    return false;
}

const char *filter_parse(struct filter *filter, char *text)
{
    char *value = strchr(text, '=');

    if (value == NULL)
        return parse_calls(filter, text);
    *value++ = '\0';
    if (strcmp(text, "trace") == 0 || strcmp(text, "t") == 0)
        return parse_calls(filter, value);
    if (strcmp(text, "trace-fds") == 0 || strcmp(text, "fd") == 0 || strcmp(text, "fds") == 0)
        return filter_parse_numbers(&filter->fds, value);
    if (strcmp(text, "signal") == 0 || strcmp(text, "s") == 0) {
        if (strcmp(value, "none") != 0 && strcmp(value, "all") != 0)
            return "only signal=none and signal=all are known";
        filter->no_signals = value[0] == 'n';
        return NULL;
    }
    if (strcmp(text, "status") == 0) {
        filter->successful = strcmp(value, "successful") == 0;
        filter->failed = strcmp(value, "failed") == 0;
        return filter->successful || filter->failed ? NULL : "only successful and failed are known";
    }
    return "an expression that isn't known";
}

void filter_fini(struct filter *filter)
{
    for (size_t i = 0; i < filter->pattern_count; i++)
        regfree(&filter->patterns[i]);
    filter->pattern_count = 0;
}

/* ---- Matching ---- */

static bool any_fd(const struct filter_numbers *numbers, const struct trace_fd *fds, size_t count,
                   const struct objects *objects)
{
    for (size_t i = 0; i < count; i++) {
        const struct object *object = objects != NULL ? objects_find(objects, &fds[i]) : NULL;

        if (objects == NULL && numbers_match(numbers, fds[i].fd))
            return true;
        if (object != NULL && (numbers_match(numbers, object->number) ||
                               (object->peer != 0 && numbers_match(numbers, object->peer))))
            return true;
    }
    return false;
}

/* `objects` NULL: by descriptor, else by object. */
static bool numbers_of_call(const struct filter_numbers *numbers, const struct trace_call *call,
                            const struct objects *objects)
{
    if (numbers->count == 0)
        return true;
    return (any_fd(numbers, call->fds, call->fd_count, objects) ||
            any_fd(numbers, call->new_fds, call->new_fd_count, objects)) != numbers->all_but;
}

static bool task_matches(const struct filter_numbers *tasks, const struct trace_task *task)
{
    if (tasks->count == 0)
        return true;
    return (numbers_match(tasks, task->pid) || numbers_match(tasks, task->tid)) != tasks->all_but;
}

bool filter_in_view(const struct filter *filter, const struct trace_task *task, uint64_t enter_ns,
                    uint64_t leave_ns, uint64_t start_ns)
{
    const uint64_t enter = enter_ns > start_ns ? enter_ns - start_ns : 0;
    const uint64_t leave = leave_ns > start_ns ? leave_ns - start_ns : 0;

    return task_matches(&filter->tasks, task) && enter <= filter->to_ns && leave >= filter->from_ns;
}

bool filter_matches(const struct filter *filter, const struct trace_call *call,
                    const struct objects *objects, uint64_t start_ns)
{
    const char *name = decode_name(call);

    if (!filter_in_view(filter, call->task, call->enter_ns,
                        call->left ? call->leave_ns : call->enter_ns, start_ns))
        return false;
    if (call->kind == TRACE_SIGNAL)
        return !filter->no_signals;
    if (name[0] == '\0')
        return true; /* a task's beginning and the like: not a call */
    if (filter->no_calls)
        return false;
    if (filter->name_count + filter->pattern_count > 0 && has_name(filter, name) == filter->all_but)
        return false;
    if ((filter->successful && (!call->left || call->result < 0)) ||
        (filter->failed && (!call->left || call->result >= 0)))
        return false;
    return numbers_of_call(&filter->fds, call, NULL) &&
           (filter->objects.count == 0 || numbers_of_call(&filter->objects, call, objects));
}
