/*
 * session.c - the session as this process sees it: attaching, making, hiding its descriptors
 *
 * Under `sockrig run` the constructor attaches to run's arena. A bare preload makes a session when
 * the first pipe or socket is made, so that a program which makes none starts as fast as without.
 * The session's descriptors stand on high numbers and don't exist for the guest.
 */
#include "shim.h"

#include "base.h"
#include "finding.h"
#include "host.h"
#include "reaper.h"
#include "route.h"
#include "site.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct shim shim = {
    .hidden = { -1, -1, -1 },
};

#define HIDDEN_FIRST  1000 /* where hidden descriptors stand, RLIMIT_NOFILE allowing */
#define HIDDEN_MARGIN 16
#define MAKING_YIELDS 10000 /* how long another thread waits for the one that makes the session */
#define OPTION_SIZE   256
#define MEMBERS_ASKED 64 /* for a descriptor that the guest has closed */

/* Moves a descriptor out of the guest's way. Returns its new number. */
static int hide(int fd)
{
    struct rlimit limit = { 0, 0 };
    long first = HIDDEN_FIRST;
    long moved;

    if (fd < 0) {
        return fd;
    }
    RAW4(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
    if (limit.rlim_cur < HIDDEN_FIRST + HIDDEN_MARGIN) {
        first = (long)limit.rlim_cur - HIDDEN_MARGIN;
    }
    if (first <= fd) {
        return fd;
    }
    moved = RAW3(SYS_fcntl, fd, F_DUPFD, first);
    if (moved < 0) {
        return fd;
    }
    RAW1(SYS_close, fd);
    return (int)moved;
}

static void set_hooks(void)
{
    shim.process.sleep = route_sleep;
    shim.process.poll = route_poll;
    shim.process.call = route_call;
    shim.process.deliver = signal_deliver;
    shim.process.call_site = route_call_site;
    shim.process.site = site_take;
    shim.process.unwatched = reaper_take_over;
}

/* SOCKRIG_CID: which machine this process is a part of; what is no CID is as good as none. */
static void learn_machine(void)
{
    const char *text = environment_get(environ, "SOCKRIG_CID");
    uint64_t cid = 0;

    for (; text && *text >= '0' && *text <= '9' && cid <= UINT32_MAX; text++) {
        cid = cid * 10 + (uint64_t)(*text - '0');
    }
    if (text && *text == 0 && cid >= EMU_CID_HOST && cid < UINT32_MAX) {
        shim.process.cid = (uint32_t)cid;
    }
    shim.process.gateway = environment_get(environ, "SOCKRIG_GATEWAY") != NULL;
}

/* This process becomes a member. Returns how many emulated descriptors it has, or -errno. */
static int join(void)
{
    struct shim_thread *thread = &shim_thread;
    int rc;

    set_hooks();
    learn_machine();
    if (net_is_translated()) {
        emu_session_conceal();
    }
    emu_task_enter(&thread->task, &shim.process);
    thread->task.critical = 1;
    thread->state = THREAD_NEW; /* the first call prepares it in full */
    rc = emu_process_join(&shim.process, &thread->task);
    if (rc == 0) {
        rc = emu_process_rebuild(&thread->task);
        rc = rc < 0 ? 0 : rc;
        emu_track_begin(&thread->task);
        shim.tracks = emu_track_is_on();
    }
    thread->task.critical = 0;
    shim.process.pid = (int32_t)RAW0(SYS_getpid);
    return rc;
}

/* Gets descriptor `fd` of process `owner` under the same number. */
static bool fetch(int fd, int owner)
{
    char path[64] = "/proc/";
    long got;

    put_decimal(stpcpy(put_decimal(path + strlen(path), owner), "/fd/"), fd);
    got = RAW3(SYS_open, path, O_RDWR | O_NONBLOCK, 0);
    if (got < 0 || got == fd) {
        return got == fd;
    }
    if (RAW3(SYS_fcntl, fd, F_GETFD, 0) != -EBADF) { /* the number is somebody else's */
        RAW1(SYS_close, got);
        return false;
    }
    RAW3(SYS_dup3, got, fd, 0);
    RAW1(SYS_close, got);
    return true;
}

/* Which file stands behind a number: 0, none. */
static uint64_t file_of(int fd)
{
    struct stat status;

    return RAW2(SYS_fstat, fd, &status) == 0 ? (uint64_t)status.st_ino : 0;
}

static void note_files(void)
{
    shim.arena_file = file_of(shim.hidden.arena);
    shim.bell_file = file_of(shim.hidden.bell);
}

/* The log of a recording is a file of the user's: nothing else shall ever be written to. */
static bool has_log(void)
{
    return file_of(shim.hidden.log) == emu_trace_file();
}

/* From any member that has it still. */
static bool fetch_from_members(int fd, uint64_t file)
{
    int32_t pids[MEMBERS_ASKED];
    uint32_t changes;
    uint32_t count = emu_session_members(pids, MEMBERS_ASKED, &changes);

    for (uint32_t i = 0; i < count; i++) {
        if (fetch(fd, pids[i]) && file_of(fd) == file) {
            return true;
        }
    }
    return file_of(fd) == file;
}

static bool keep(void)
{
    bool here = file_of(shim.hidden.arena) == shim.arena_file &&
                file_of(shim.hidden.bell) == shim.bell_file;

    return EMU_LIKELY(here) || (fetch_from_members(shim.hidden.arena, shim.arena_file) &&
                                fetch_from_members(shim.hidden.bell, shim.bell_file));
}

bool session_keep(void)
{
    if (shim.hidden.log >= 0 && !has_log()) {
        fetch_from_members(shim.hidden.log, emu_trace_file()); /* else no record of what follows */
    }
    return keep();
}

bool session_join_again(void)
{
    struct shim_thread *thread = &shim_thread;
    struct emu_task *self;

    if (join() < 0) {
        return false;
    }
    self = route_enter();
    if (self) {
        route_exit(self); /* handlers that came meanwhile */
    }
    return thread->state != THREAD_NEW;
}

/*
 * The session's descriptors have the same numbers in every member. What was closed on the way here
 * (closefrom in a spawned child) is taken from `owner`; who was killed has nothing any more, then
 * from who has spawned us.
 */
static bool fetch_from_above(int fd, int owner)
{
    return owner > 0 && (fetch(fd, owner) || fetch(fd, (int)RAW0(SYS_getppid)));
}

/* A process without the log isn't recorded; it is counted among what is lost. */
static void find_log(int owner)
{
    if (shim.hidden.log >= 0 && !has_log() &&
        !(fetch_from_above(shim.hidden.log, owner) && has_log()) &&
        !fetch_from_members(shim.hidden.log, emu_trace_file())) {
        shim.process.records = false;
    }
}

int session_attach(int fd, int owner)
{
    int found;

    if (emu_session_attach(fd) < 0 &&
        (!fetch_from_above(fd, owner) || emu_session_attach(fd) < 0)) {
        return -1;
    }
    shim.hidden = emu_session_hidden();
    if (RAW3(SYS_fcntl, shim.hidden.bell, F_GETFD, 0) == -EBADF) {
        fetch_from_above(shim.hidden.bell, owner);
    }
    note_files();
    found = join();
    if (found >= 0) {
        atomic_store_explicit(&shim.state, SHIM_SESSION, memory_order_release);
    }
    find_log(owner);
    return found;
}

/* Hands each word of SOCKRIG_OPTIONS to the core; what it doesn't know is run's or the report's. */
static void read_options(struct emu_options *options)
{
    char word[OPTION_SIZE];

    for (const char *at = shim.options; at && *at;) {
        size_t size = strcspn(at, " \t\r\n");

        if (size > 0 && size < sizeof word) {
            memcpy(word, at, size);
            word[size] = 0;
            emu_options_parse(word, options);
        }
        at += size;
        at += strspn(at, " \t\r\n");
    }
}

bool session_word(const char *name, char ret_value[PATH_MAX])
{
    size_t skip = strlen(name);

    for (const char *at = shim.options; at && *at;) {
        size_t size = strcspn(at, " \t\r\n");

        if (size > skip && size < PATH_MAX && memcmp(at, name, skip) == 0) {
            memcpy(ret_value, at + skip, size - skip);
            ret_value[size - skip] = 0;
            return true;
        }
        at += size;
        at += strspn(at, " \t\r\n");
    }
    return false;
}

void session_options(struct emu_options *ret_options)
{
    if (session_attached()) {
        *ret_options = shim.process.options;
        return;
    }
    memset(ret_options, 0, sizeof *ret_options);
    read_options(ret_options);
}

/* A bare preload's recording: nobody can be told why there is none but the report. */
static void record(void)
{
    char directory[PATH_MAX];
    int fd;

    if (!session_word("record=", directory)) {
        return;
    }
    fd = emu_trace_create(directory);
    if (fd >= 0) {
        shim.hidden.log = hide(fd);
        emu_session_set_hidden(shim.hidden);
    }
}

static bool make(void)
{
    struct emu_options options;
    char report[PATH_MAX];
    int fd = emu_session_create();

    if (fd < 0) {
        return false;
    }
    shim.hidden = emu_session_hidden();
    shim.hidden.arena = hide(fd);
    shim.hidden.bell = hide(shim.hidden.bell);
    emu_session_set_hidden(shim.hidden);
    note_files();
    emu_session_get_options(&options);
    read_options(&options);
    options.track = session_word("report=", report);
    emu_session_set_options(&options);
    record();
    return join() >= 0;
}

bool session_ensure(void)
{
    int state = atomic_load_explicit(&shim.state, memory_order_acquire);

    if (EMU_LIKELY(state == SHIM_SESSION)) {
        return true;
    }
    if (route_in_spawned_child()) {
        return false; /* what it made would be its alone, and the session everybody's */
    }
    if (state == SHIM_READY && atomic_compare_exchange_strong(&shim.state, &state, SHIM_MAKING)) {
        bool made = make();

        atomic_store(&shim.state, made ? SHIM_SESSION : SHIM_OFF);
        return made;
    }
    for (int i = 0; state == SHIM_MAKING && i < MAKING_YIELDS; i++) {
        host_yield();
        state = atomic_load(&shim.state);
    }
    return state == SHIM_SESSION;
}

void session_first_descriptor(void)
{
    if (EMU_LIKELY(shim.emulates)) {
        return;
    }
    shim.emulates = true;
    signal_catch_faults();
    net_first_descriptor();
}

long session_new_fd(long fd)
{
    if (EMU_UNLIKELY(shim.emulates) && fd >= 0) {
        struct emu_task *self = route_enter();

        if (self) {
            emu_fd_invalidate(self, (int)fd);
            route_exit(self);
        }
    }
    return fd;
}
