/*
 * run_session.c - see run_session.h
 *
 * Joining: a supervisor of the session hands over the arena's and the bell's descriptors, which get
 * the numbers that they have in every member (the arena's header says which). The folder's lock is
 * held from looking for the session until our own socket stands there, so there is no moment in
 * which a third one could miss it.
 *
 * Leaving: a `sockrig run --session OTHER` inside a session is itself one of its guests. It makes
 * what PROG will inherit native, and starts over without the library: past it, since the library
 * puts itself into the environment of whatever its guests execute.
 */
#include "run_session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "failure.h"
#include "host.h"
#include "run_program.h"

#define HIDDEN_FD_TOP \
    1024                /* hidden descriptors lie below: fork copies the table up to the highest */
#define HIDDEN_FDS    8 /* room for them */
#define JOIN_LIMIT_MS 5000 /* a supervisor that ends its processes may take so long to answer */
#define ID_TRIES      64

/* ---- A new session ---- */

/* Moves a hidden descriptor to a high number; negative ones stay. Keeps close-on-exec as it was. */
static int move_up(int fd)
{
    struct rlimit limit = { .rlim_cur = HIDDEN_FD_TOP };

    if (fd < 0)
        return fd;
    getrlimit(RLIMIT_NOFILE, &limit);
    const int top = limit.rlim_cur < HIDDEN_FD_TOP ? (int)limit.rlim_cur : HIDDEN_FD_TOP;
    const int command = fcntl(fd, F_GETFD) & FD_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD;
    const int moved = fcntl(fd, command, top > HIDDEN_FDS ? top - HIDDEN_FDS : 0);
    if (moved < 0)
        return fd;
    close(fd);
    return moved;
}

static int make(struct run_session *session, const struct run_options *options)
{
    const int arena = emu_session_create();

    if (arena < 0)
        return fail(EXIT_OWN_FAILURE, "can't make a session: %s%s", strerror(-arena),
                    access("/proc/self/stat", R_OK) != 0 ? "; /proc isn't mounted here" : "");
    struct emu_hidden hidden = emu_session_hidden();
    hidden.arena = move_up(arena);
    hidden.bell = move_up(hidden.bell);
    emu_session_set_hidden(hidden);
    emu_session_set_options(&options->emu);
    if (options->record != NULL) {
        const int log = emu_trace_create(options->record);

        if (log < 0)
            return fail(EXIT_OWN_FAILURE, "--record: %s: %s", options->record,
                        log == -EEXIST ? "there is a recording in it" : strerror(-log));
        hidden.log = move_up(log);
        emu_session_set_hidden(hidden);
    }
    session->serve.hidden = hidden;
    return 0;
}

static bool is_taken(const struct registry_entry *entries, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(entries[i].name, name) == 0)
            return true;
    }
    return false;
}

static bool some_died(const struct registry_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (kill(entries[i].pid, 0) != 0 && errno == ESRCH)
            return true;
    }
    return false;
}

/* A short name that no other session has; "" when there is none. */
static void choose_name(struct run_session *session)
{
    static struct registry_entry entries[REGISTRY_MAX]; /* large */
    const size_t count = registry_list(&session->registry, NULL, entries, REGISTRY_MAX);
    unsigned number = 0;

    if (some_died(entries, count) && registry_try_lock(&session->registry)) {
        registry_remove_stale(&session->registry);
        registry_unlock(&session->registry);
    }
    for (int i = 0; i < ID_TRIES; i++) {
        if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number)
            number = (unsigned)getpid() + (unsigned)i;
        snprintf(session->name, sizeof session->name, "%04x", number & 0xffff);
        if (!is_taken(entries, count, session->name))
            return;
    }
    session->name[0] = '\0';
}

/* A private session: that others can find it is good, but no must. */
static int open_private(struct run_session *session, const struct run_options *options)
{
    const int result = make(session, options);

    if (result != 0 || registry_open(&session->registry, true) != 0)
        return result;
    choose_name(session);
    if (session->name[0] == '\0' || registry_serve_open(&session->serve, &session->registry,
                                                        session->name, options->program) != 0) {
        registry_close(&session->registry);
        session->name[0] = '\0';
    }
    return 0;
}

/* ---- Joining ---- */

/* Puts a descriptor at its number, beyond this process's soft limit if need be. */
static int place(int fd, int number)
{
    struct rlimit limit;

    if (fcntl(number, F_GETFD) >= 0)
        return fail(EXIT_OWN_FAILURE,
                    "can't join: the session needs descriptor %d, which is open here", number);
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max <= (rlim_t)number)
        return fail(EXIT_OWN_FAILURE,
                    "can't join: the session needs descriptor %d, beyond the limit of open files "
                    "here (%llu, see ulimit -n)",
                    number, (unsigned long long)limit.rlim_max);
    const struct rlimit raised = { limit.rlim_max, limit.rlim_max };
    setrlimit(RLIMIT_NOFILE, &raised);
    const int placed = dup2(fd, number);
    const int error = errno;
    setrlimit(RLIMIT_NOFILE, &limit);
    return placed >= 0 ? 0 : fail(EXIT_OWN_FAILURE, "can't join: %s", strerror(error));
}

/* Options as bytes: so one that is added later can't be forgotten in a comparison. */
struct option_bytes {
    unsigned char bytes[sizeof(struct emu_options)];
};

/* All copies come from memory that was zero, whole: what lies between the members is equal too. */
static struct option_bytes bytes_of(const struct emu_options *options)
{
    struct option_bytes result;

    memcpy(result.bytes, options, sizeof result.bytes);
    /* What concerns PROG alone isn't the session's. */
    memset(result.bytes + offsetof(struct emu_options, allow_native), 0,
           sizeof options->allow_native);
    /* Who asks for a report of a session that notes nothing hears less. */
    memset(result.bytes + offsetof(struct emu_options, track), 0, sizeof options->track);
    return result;
}

static bool are_equal(struct option_bytes one, struct option_bytes other)
{
    return memcmp(one.bytes, other.bytes, sizeof one.bytes) == 0;
}

/* Options at joining are those of the session, or none. */
static int take_options(const char *name, struct run_options *options)
{
    static const struct emu_options none;
    struct emu_options theirs;

    if (options->record != NULL)
        return fail(EXIT_OWN_FAILURE,
                    "session %s is there already: --record is for the run that makes it", name);

    emu_session_get_options(&theirs);
    const struct option_bytes given = bytes_of(&options->emu);
    if (!are_equal(given, bytes_of(&none)) && !are_equal(given, bytes_of(&theirs)))
        return fail(EXIT_OWN_FAILURE,
                    "session %s is there already, with other options: those of what is modeled, "
                    "and of stress, are given when it is made (leave them out, or make them equal)",
                    name);
    const bool allow_native = options->emu.allow_native;
    options->emu = theirs;
    options->emu.allow_native = allow_native;
    return 0;
}

/* The session that the answer brought becomes ours. */
static int adopt(struct run_session *session, struct run_options *options,
                 const struct registry_call *call)
{
    const int error = emu_session_attach(call->fds[0]);

    if (error != 0)
        return fail(EXIT_OWN_FAILURE, "can't join session %s: %s", session->name,
                    error == -ESTALE ? "another version of sockrig made it" : strerror(-error));
    const struct emu_hidden hidden = emu_session_hidden();
    int result = place(call->fds[0], hidden.arena);
    if (result == 0)
        result = place(call->fds[1], hidden.bell);
    if (result == 0)
        result = take_options(session->name, options);
    session->joined = true;
    session->serve.hidden = hidden;
    return result;
}

/* Asks the session's supervisors, one after the other. After: session->joined, if one answered. */
static int join(struct run_session *session, struct run_options *options)
{
    static struct registry_entry entries[REGISTRY_MAX]; /* large */
    const struct registry_request request = registry_request(REGISTRY_JOIN);
    const size_t count = registry_list(&session->registry, session->name, entries, REGISTRY_MAX);
    int32_t silent = 0;

    for (size_t i = 0; i < count; i++) {
        struct registry_call call;
        int error = registry_ask(&session->registry, &entries[i], &request, &call);

        if (error != 0 && error != -EAGAIN)
            continue; /* it is gone */
        if (error == 0)
            error = registry_wait(&call, JOIN_LIMIT_MS);
        const int result = error == 0 ? adopt(session, options, &call)
                           : error == -EPROTO
                               ? fail(EXIT_OWN_FAILURE,
                                      "can't join session %s: another version of sockrig made it",
                                      session->name)
                               : 0;
        if (error == -ETIMEDOUT || error == -EAGAIN)
            silent = entries[i].pid;
        if (error != -EAGAIN)
            registry_hang_up(&call);
        if (session->joined || result != 0)
            return result;
    }
    if (silent == 0)
        return 0;
    return fail(EXIT_OWN_FAILURE,
                "can't join session %s: process %d doesn't answer; is it stopped?", session->name,
                silent);
}

static int open_named(struct run_session *session, struct run_options *options)
{
    int error = registry_open(&session->registry, true);

    snprintf(session->name, sizeof session->name, "%s", options->session);
    if (error == -EPERM)
        return fail(EXIT_OWN_FAILURE,
                    "--session: %s must be a folder of this user alone (mode 0700, no link)",
                    session->registry.path);
    if (error == 0)
        error = registry_lock(&session->registry);
    if (error != 0)
        return fail(EXIT_OWN_FAILURE, "--session: %s: %s", session->registry.path,
                    error == -ETIMEDOUT ? "another sockrig has locked it, and doesn't go on"
                                        : strerror(-error));
    registry_remove_stale(&session->registry);
    int result = join(session, options);
    if (result == 0 && !session->joined)
        result = make(session, options);
    if (result == 0) {
        error = registry_serve_open(&session->serve, &session->registry, session->name,
                                    options->program);
        if (error != 0)
            result = fail(EXIT_OWN_FAILURE, "--session: %s: %s", session->registry.path,
                          strerror(-error));
    }
    registry_unlock(&session->registry);
    return result;
}

int run_session_open(struct run_session *session, struct run_options *options)
{
    session->registry.folder = -1;
    return options->session[0] != '\0' ? open_named(session, options)
                                       : open_private(session, options);
}

void run_session_close(struct run_session *session)
{
    registry_serve_close(&session->serve);
    registry_close(&session->registry);
}

size_t run_session_others(const struct run_session *session, int32_t *ret_pids, size_t max)
{
    static struct registry_entry entries[REGISTRY_MAX]; /* large */
    size_t used = 0;

    if (session->serve.registry == NULL)
        return 0;
    const size_t count = registry_list(&session->registry, session->name, entries, REGISTRY_MAX);
    for (size_t i = 0; i < count && used < max; i++) {
        if (entries[i].pid != getpid())
            ret_pids[used++] = entries[i].pid;
    }
    return used;
}

/* ---- Inside a session ---- */

bool run_session_enclosing(void)
{
    const char *arena = getenv("SOCKRIG_ARENA");

    return arena != NULL && emu_session_attach(atoi(arena)) == 0;
}

/* Raw: to a guest, the library denies that its arena's descriptor is open. */
static bool is_same_file(int one, int other)
{
    struct stat left, right;

    return host_syscall(SYS_fstat, one, (long)&left, 0, 0, 0, 0) == 0 &&
           host_syscall(SYS_fstat, other, (long)&right, 0, 0, 0, 0) == 0 &&
           left.st_dev == right.st_dev && left.st_ino == right.st_ino;
}

bool run_session_is_attached(const char *name)
{
    static struct registry_entry entries[REGISTRY_MAX]; /* large */
    const struct registry_request request = registry_request(REGISTRY_JOIN);
    struct registry registry;
    bool result = false;

    if (registry_open(&registry, false) != 0)
        return false;
    const size_t count = registry_list(&registry, name, entries, REGISTRY_MAX);
    for (size_t i = 0; i < count && !result; i++) {
        struct registry_call call;

        if (registry_ask(&registry, &entries[i], &request, &call) != 0)
            continue;
        if (registry_wait(&call, JOIN_LIMIT_MS) == 0)
            result = is_same_file(call.fds[0], emu_session_hidden().arena);
        registry_hang_up(&call);
    }
    registry_close(&registry);
    return result;
}

/* Opening what a descriptor leads to makes it native: the library sees to that. */
static void hand_over(void)
{
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;
    char path[64];

    if (folder == NULL)
        return;
    while ((entry = readdir(folder)) != NULL) {
        snprintf(path, sizeof path, "/proc/self/fd/%.20s", entry->d_name);
        const int fd = open(path, O_PATH | O_CLOEXEC);

        if (fd >= 0)
            close(fd);
    }
    closedir(folder);
}

int run_forget_library(const char *library)
{
    const char *preload = getenv("LD_PRELOAD");
    char *list = strdup(preload != NULL ? preload : "");
    char *kept = calloc(1, strlen(preload != NULL ? preload : "") + 1);
    char *rest = NULL;
    int result = list != NULL && kept != NULL ? 0 : -1;

    for (char *name = result == 0 ? strtok_r(list, ": ", &rest) : NULL; name != NULL;
         name = strtok_r(NULL, ": ", &rest)) {
        if (strcmp(basename(name), basename(library)) != 0)
            strcat(strcat(kept, *kept != '\0' ? ":" : ""), name);
    }
    if (result == 0)
        result = *kept != '\0' ? setenv("LD_PRELOAD", kept, 1) : unsetenv("LD_PRELOAD");
    free(list);
    free(kept);
    return result;
}

int run_session_leave(const char *library, char *const *argv)
{
    const struct emu_hidden hidden = emu_session_hidden();
    size_t count = 0;

    while (argv[count] != NULL)
        count++;
    char **vector = calloc(count + 2, sizeof *vector);
    if (vector == NULL || run_forget_library(library) != 0 || unsetenv("SOCKRIG_ARENA") != 0)
        return fail(EXIT_OWN_FAILURE, "can't leave the session: %s", strerror(ENOMEM));
    vector[0] = (char *)(uintptr_t) "sockrig";
    memcpy(vector + 1, argv, count * sizeof *vector);
    hand_over();
    host_syscall(SYS_close, hidden.arena, 0, 0, 0, 0, 0);
    host_syscall(SYS_close, hidden.bell, 0, 0, 0, 0, 0);
    if (hidden.log >= 0)
        host_syscall(SYS_close, hidden.log, 0, 0, 0, 0, 0);
    const int64_t error = host_syscall(SYS_execve, (long)"/proc/self/exe", (long)vector,
                                       (long)environ, 0, 0, 0);
    free(vector);
    return fail(EXIT_OWN_FAILURE, "can't leave the session: %s", strerror((int)-error));
}
