/*
 * run.c - the command `sockrig run`: makes or joins a session, runs PROG in it, says what happened
 *
 * To PROG and to who started us it shall be as if we weren't there: PROG has our process group,
 * terminal, signal mask and descriptors, and our end is its end. While it runs we hold none of the
 * descriptors that we were started with, stderr aside: a pipe's last writer may be PROG.
 *
 * Invariants: descriptors 0 to 2 are never our own files; everything of ours is close-on-exec but
 * the session's arena, which PROG inherits under a high number.
 *
 * Inside another session (SOCKRIG_ARENA names it) `run` just becomes PROG: who made that session
 * supervises and reports. Unless --session names one that isn't it: then we leave first.
 */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emu.h"

#include "elsewhere.h"
#include "failure.h"
#include "findings.h"
#include "lines.h"
#include "notify/notify.h"
#include "options.h"
#include "places.h"
#include "reach.h"
#include "record.h"
#include "repeat.h"
#include "report.h"
#include "run_end.h"
#include "run_helpers.h"
#include "run_program.h"
#include "run_session.h"
#include "run_watch.h"
#include "sandbox.h"
#include "waits/waits.h"
#include "watcher.h"

/* What one `run` is made of. */
struct run {
    struct run_options options;
    char *const *argv; /* the command line: "run" and all that follows */
    char program[PATH_MAX];
    char library[PATH_MAX];
    bool reachable; /* PROG itself will be in the session */
    struct run_inherited inherited;
    struct emu_process process; /* never joins: it is the session's supervisor */
    struct emu_task task;
    struct run_session session;
    struct run_helpers helpers;
    struct notify notify;
    struct findings misuse; /* of descriptors, at the end */
    struct findings_before findings_before;
    struct suppressions suppressions;
    struct report_before before; /* what the session's report said when we came */
    struct watcher watcher;
    int bell[2];
    int signals;
    FILE *report; /* --report=FILE, or stderr */
    pid_t child;
    struct waits waits; /* what --timeout found */
    bool findings;      /* what --error-exitcode is for */
};

/* ---- Before PROG runs ---- */

/* Fills 0 to 2 where they were closed, so that no file of ours gets such a number. */
static void fill_standard_fds(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0)
            open("/dev/null", O_RDWR | O_CLOEXEC); /* closed again for PROG, by exec */
    }
}

/* The library: $SOCKRIG_LIB, else ../lib/libsockrig.so as seen from this program's file. */
static int find_library(struct run *run)
{
    char self[PATH_MAX];
    char wanted[PATH_MAX + sizeof "/../lib/libsockrig.so"];
    const char *named = getenv("SOCKRIG_LIB");

    if (named == NULL) {
        const ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

        if (length < 0)
            return fail(EXIT_OWN_FAILURE, "/proc/self/exe: %s", strerror(errno));
        self[length] = '\0';
        *strrchr(self, '/') = '\0';
        snprintf(wanted, sizeof wanted, "%s/../lib/libsockrig.so", self);
        named = wanted;
    }
    if (realpath(named, run->library) == NULL || access(run->library, R_OK) != 0)
        return fail(EXIT_OWN_FAILURE, "%s: %s", named, strerror(errno));
    if (strpbrk(run->library, ": ") != NULL) /* ld.so(8): these separate names in LD_PRELOAD */
        return fail(EXIT_OWN_FAILURE, "%s: LD_PRELOAD can't hold a path with a blank or colon",
                    run->library);
    return 0;
}

/* PROG's file, and whether the library can be loaded into it. */
static int find_program(struct run *run)
{
    char reason[REACH_REASON_SIZE] = "";
    const char *name = run->options.program[0];
    const int error = run_program_find(name, run->program);

    if (error != 0)
        return fail(run_program_exit_code(error), "%s: %s", name, strerror(error));
    const enum reach_verdict verdict = reach_check(AT_FDCWD, run->program, reason, sizeof reason);
    run->reachable = verdict == REACH_OK;
    if (verdict != REACH_OK && verdict != REACH_NOT_A_PROGRAM && !run->options.emu.allow_native)
        return fail(EXIT_OWN_FAILURE,
                    "%s: can't be followed: %s\n"
                    "  to run it with the kernel's own sockets: --allow-native",
                    run->program, reason);
    return 0;
}

/* Says in PROG's environment which machine it is on. Returns 0 or a positive errno. */
static int set_cid(const struct run *run)
{
    char cid[16];

    snprintf(cid, sizeof cid, "%u", run->options.cid);
    return run->options.cid == 0 || setenv("SOCKRIG_CID", cid, 1) == 0 ? 0 : errno;
}

/* Makes the session or joins it, and says so in PROG's environment. */
static int enter_session(struct run *run)
{
    int result = run_session_open(&run->session, &run->options);

    if (result != 0)
        return result;
    emu_task_enter(&run->task, &run->process);
    emu_watcher_join(&run->process, &run->task);
    if (run->session.joined) {
        report_note(&run->before);
        findings_note(&run->findings_before);
    }
    if (run->options.record != NULL)
        result = record_write_meta(&run->options, run->argv);
    if (result != 0)
        return fail(EXIT_OWN_FAILURE, "--record: %s: %s", run->options.record, strerror(result));
    result = run_program_set_environment(run->library, emu_session_hidden().arena);
    if (result == 0)
        result = set_cid(run);
    return result == 0 ? 0 : fail(EXIT_OWN_FAILURE, "environment: %s", strerror(result));
}

/* Opens what the supervisor needs, takes over the signals, and has the session watched. */
static int prepare_watch(struct run *run)
{
    const struct sigaction plain = { .sa_handler = SIG_DFL };
    sigset_t signals;

    if (pipe2(run->bell, O_CLOEXEC | O_NONBLOCK) != 0)
        return fail(EXIT_OWN_FAILURE, "pipe: %s", strerror(errno));
    run_watch_signals(&signals);
    run->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (run->signals < 0)
        return fail(EXIT_OWN_FAILURE, "signalfd: %s", strerror(errno));
    sigprocmask(SIG_BLOCK, &signals, &run->inherited.mask);
    sigaction(SIGCHLD, &plain, &run->inherited.child_action); /* ignored: there'd be no status */
    run->watcher = (struct watcher){ .bell = run->bell[1], .pidfd = -1 };
    watcher_claim(&run->watcher);
    return 0;
}

static int start_notify(struct run *run)
{
    const struct notify_request request = { .form = run->options.notify,
                                            .on_ready = run->options.on_ready,
                                            .library = run->library,
                                            .inherited = &run->inherited };
    char message[HELPER_MESSAGE];
    const int result = notify_start(&request, &run->notify, message);

    if (result != 0)
        return fail(result, "--notify: %s", message);
    run->helpers.started++; /* its listener */
    return 0;
}

/* They are there before PROG, and what the report says begins after them. */
static int start_helpers(struct run *run)
{
    if (run->options.hybrid != NULL && run->session.joined)
        return fail(EXIT_OWN_FAILURE, "--hybrid: for the run that makes the session alone");
    int result = run_helpers_start(&run->helpers, &run->options, &run->inherited);

    if (result == 0 && run->options.notify != NULL)
        result = start_notify(run);
    if (result == 0 && run->helpers.started > 0)
        report_note(&run->before);
    return result;
}

static int open_report(struct run *run)
{
    run->report = stderr;
    if (run->options.report_file == NULL)
        return 0;
    run->report = fopen(run->options.report_file, "we");
    if (run->report == NULL)
        return fail(EXIT_OWN_FAILURE, "%s: %s", run->options.report_file, strerror(errno));
    return 0;
}

/* ---- While PROG runs ---- */

static int compare_fds(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Lets go of every descriptor that isn't our own: see the top. */
static void let_go(const struct run *run)
{
    const struct emu_hidden hidden = emu_session_hidden();
    const struct run_session *session = &run->session;
    int kept[HELPER_MAX + 16] = { 2,
                                  run->bell[0],
                                  run->bell[1],
                                  run->signals,
                                  hidden.bell,
                                  hidden.arena,
                                  hidden.log,
                                  fileno(run->report),
                                  run->watcher.pidfd,
                                  session->registry.folder,
                                  session->serve.listener,
                                  session->serve.set,
                                  run->notify.stop,
                                  run->notify.pidfd };
    const size_t count = sizeof kept / sizeof kept[0]; /* those that aren't set are 0 */
    unsigned int next = 3;
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    dup2(null, 0);
    dup2(null, 1);
    for (size_t i = 0; i < run->helpers.count; i++)
        kept[count - 1 - i] = run->helpers.helpers[i].lifeline;
    qsort(kept, count, sizeof kept[0], compare_fds);
    for (size_t i = 0; i < count; i++) {
        if (kept[i] > (int)next)
            close_range(next, (unsigned int)kept[i] - 1, 0);
        if (kept[i] >= (int)next)
            next = (unsigned int)kept[i] + 1;
    }
    close_range(next, ~0u, 0);
}

/* One descriptor for each member: PROG has its own limit already. */
static void raise_fd_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void end_notify(struct run *run)
{
    if (!notify_end(&run->notify))
        fail(0, "--notify: it failed");
}

/* PROG has ended: the manager deals with what was sent before. */
static int ended(void *context)
{
    struct run *run = context;

    return notify_finish(&run->notify);
}

/* Which processes of the session, or children of ours, are sockrig's own. */
static bool is_own(void *context, pid_t pid)
{
    const struct run *run = context;

    return run_helpers_has(&run->helpers, pid) || pid == run->notify.listener ||
           pid == run->notify.manager;
}

/* --wait=all: whom PROG has left behind. */
static size_t find_left(struct run *run, int32_t *ret_pids)
{
    const struct run_tree tree = run_tree_of(run->child, &run->session);

    if (!run->options.wait_all)
        return 0;
    emu_process_sweep_dead(&run->task); /* of who has no description the watcher needn't know */
    return run_tree_rest(&tree, ret_pids);
}

static bool left(void *context)
{
    static int32_t pids[RUN_TREE_MAX];

    return find_left(context, pids) > 0;
}

/* What would have been for PROG is for those that it has left. */
static void hurry(void *context, int number)
{
    static int32_t pids[RUN_TREE_MAX];
    struct run *run = context;
    const size_t count = find_left(run, pids);

    for (size_t i = 0; i < count; i++)
        kill(pids[i], number);
    if (count == 0)
        notify_hurry(&run->notify);
}

/* Who waits for what, of the run's processes but our own helpers. */
static void look_at_all(struct run *run, enum waits_cause cause, uint64_t limit_ns)
{
    static int32_t pids[RUN_TREE_MAX];
    const struct run_tree tree = run_tree_of(run->child, &run->session);
    const size_t found = run_tree_find(&tree, pids);
    size_t count = 0;

    for (size_t i = 0; i < found; i++) {
        if (!is_own(run, pids[i]))
            pids[count++] = pids[i];
    }
    waits_fini(&run->waits);
    run->waits.cause = cause;
    run->waits.limit_ns = limit_ns;
    waits_collect(&run->waits, pids, count);
}

static void say_who_waits(const struct run *run)
{
    if (run->options.json && run->report == stderr)
        return; /* the JSON object holds it, and shall be all that is there */
    waits_print(&run->waits, stderr);
    repeat_print(run->argv, &run->options, stderr);
    fflush(stderr);
}

/* The time limit is reached: says who waits for what, while all of them still do. */
static void time_up(void *context)
{
    struct run *run = context;

    look_at_all(run, WAITS_TIME, run->options.timeout_ns);
    notify_hurry(&run->notify);
    end_notify(run);
    say_who_waits(run);
}

/* A deadlock, or what looks like one: says so once. True when all are to be ended. */
static bool stuck(void *context, struct lookout *lookout, enum waits_cause cause)
{
    struct run *run = context;
    const bool ends = cause == WAITS_DEADLOCK ? run->options.on_deadlock != RUN_DEADLOCK_REPORT
                                              : run->options.on_deadlock == RUN_DEADLOCK_KILL;

    look_at_all(run, cause, run->options.hang_ns);
    if (cause == WAITS_DEADLOCK && !lookout_confirm(lookout, &run->waits)) {
        waits_fini(&run->waits);
        return false;
    }
    if (ends) {
        notify_hurry(&run->notify);
        end_notify(run);
    }
    say_who_waits(run);
    return ends;
}

/* `sockrig sessions rm` ends the run. */
static void removed(void *context)
{
    struct run *run = context;

    notify_hurry(&run->notify);
    end_notify(run);
    if (!run->options.json || run->report != stderr)
        fail(0, "ended by `sockrig sessions rm %s`", run->session.name);
}

/* ---- Afterwards ---- */

/* --report, --json, -v; what was refused is said on stderr in any case. */
static void print_report(const struct run *run, const struct report *report)
{
    const bool full = run->options.report || run->options.verbose;
    const bool on_stderr = run->report == stderr && (run->options.json || full);

    if (run->options.json)
        report_print_json(report, run->report);
    else if (full)
        report_print(report, run->report);
    if (!on_stderr && run->options.verbose)
        report_print(report, stderr);
    else if (!on_stderr) {
        report_print_refusals(report, stderr);
        if (report->findings != NULL && !full && !run->options.json)
            findings_print(report->findings, false, stderr);
        report_print_injected(report, stderr);
        if (run->options.emu.audit)
            report_print_audit(report, stderr);
    }
    if (!run->options.json || run->report != stderr)
        elsewhere_print(report, &run->session, stderr);
    if (fflush(run->report) != 0 || ferror(run->report))
        fail(0, "the report: %s", strerror(errno));
}

/* Prints what there is to say. Returns 0, or the exit code of a failure of our own. */
static int say(struct run *run)
{
    static struct report report; /* large */

    report_collect(&report, &run->before);
    lines_find(&report, run->program);
    if (run->options.emu.track) {
        findings_collect(&run->misuse, &run->findings_before, &run->suppressions);
        report.findings = &run->misuse;
    }
    if (run->waits.cause != WAITS_NONE)
        report.waits = &run->waits;
    else if (report.left.processes_joined == run->before.joined && run->reachable)
        return fail(EXIT_OWN_FAILURE,
                    "%s: %s wasn't loaded into it (see LD_DEBUG=libs in ld.so(8))", run->program,
                    run->library);
    run->findings = report_has_refusals(&report) || findings_have_errors(&run->misuse) ||
                    run->waits.cause == WAITS_DEADLOCK || run->waits.cause == WAITS_HANG;
    report.left.processes_joined -= run->helpers.started; /* they are no processes of the user's */
    print_report(run, &report);
    if (run->options.record != NULL && (!run->options.json || run->report != stderr))
        record_say(&run->options, run->options.report || run->options.verbose);
    if (run->options.emu.verify && report_has_faults(&report)) {
        report_print(&report, stderr);
        return fail(EXIT_OWN_FAILURE, "--verify: the emulator is at fault");
    }
    return 0;
}

/* Ends as PROG ended. */
static int repeat(int status)
{
    const struct rlimit no_core = { 0 };
    const struct sigaction plain = { .sa_handler = SIG_DFL };
    sigset_t one;

    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    setrlimit(RLIMIT_CORE, &no_core); /* PROG left one already, if it should */
    sigaction(WTERMSIG(status), &plain, NULL);
    sigemptyset(&one);
    sigaddset(&one, WTERMSIG(status));
    fflush(NULL);
    raise(WTERMSIG(status));
    sigprocmask(SIG_UNBLOCK, &one, NULL);
    return 128 + WTERMSIG(status); /* the first process of a namespace is still here: signal(7) */
}

/* PROG failed, and what was done to it may be why. */
static void say_how_to_repeat(const struct run *run)
{
    if (run->options.json && run->report == stderr)
        return;
    fail(0, "failed under %s",
         run->options.emu.faults != EMU_FAULTS_NONE ? "--faults" : "--inject");
    repeat_print(run->argv, &run->options, stderr);
}

static int supervise(struct run *run)
{
    if (run->options.wait_all)
        run_tree_adopt(is_own, run);
    const pid_t child = run_program_start(run->program, run->options.program, &run->inherited);

    if (child < 0)
        return fail(run_program_exit_code(-child), "%s: %s", run->options.program[0],
                    strerror(-child));
    const struct run_watch watch = { .self = &run->task,
                                     .child = child,
                                     .signals = run->signals,
                                     .bell = run->bell[0],
                                     .session = &run->session,
                                     .watcher = &run->watcher,
                                     .limit_ns = run->options.timeout_ns,
                                     .deadlocks = true,
                                     .hang_ns = run->options.hang_ns,
                                     .stuck = stuck,
                                     .time_up = time_up,
                                     .removed = removed,
                                     .left = left,
                                     .ended = ended,
                                     .hurry = hurry,
                                     .context = run };
    run->child = child;
    signal(SIGPIPE, SIG_IGN);
    raise_fd_limit();
    let_go(run);
    const int status = run_watch(&watch);
    if (run->options.record != NULL && status >= 0)
        record_write_end(&run->options, child, status);
    emu_process_sweep(&run->task, child); /* so that the helpers see its ends closed */
    end_notify(run);
    run_helpers_end(&run->helpers, &run->task);
    watcher_release(&run->watcher);
    run_session_close(&run->session);
    if (status < 0 && status != RUN_WATCH_TIME_UP && status != RUN_WATCH_STUCK)
        return fail(EXIT_OWN_FAILURE, "can't watch %s: %s", run->program, strerror(-status));
    emu_process_sweep(&run->task, child);
    emu_process_sweep_dead(&run->task);
    emu_watcher_leave(&run->task);
    const int failure = say(run);
    findings_fini(&run->misuse);
    const bool finding = run->options.error_exitcode != 0 && run->findings;
    waits_fini(&run->waits);
    if ((run->options.emu.faults != EMU_FAULTS_NONE || run->options.emu.inject_count > 0) &&
        status > 0)
        say_how_to_repeat(run);
    if (finding && failure == 0)
        return run->options.error_exitcode;
    if (status == RUN_WATCH_TIME_UP || status == RUN_WATCH_STUCK)
        return failure != 0 ? failure : EXIT_TIME_UP;
    return failure != 0 && !WIFSIGNALED(status) ? failure : repeat(status);
}

/* `run` inside a session: becomes PROG. */
static int join_enclosing(struct run *run)
{
    if (run->options.on_command_line)
        return fail(EXIT_OWN_FAILURE,
                    "inside a session: its options can't be changed; --cid and --session are all "
                    "that can be given");
    int error = run_program_set_environment(run->library, -1);
    if (error == 0)
        error = set_cid(run);
    if (error != 0)
        return fail(EXIT_OWN_FAILURE, "environment: %s", strerror(error));
    execvp(run->program, run->options.program);
    return fail(run_program_exit_code(errno), "%s: %s", run->options.program[0], strerror(errno));
}

static int find_places(struct run *run)
{
    char message[RUN_OPTIONS_MESSAGE];

    return places_resolve(&run->options, run->program, message)
               ? 0
               : fail(EXIT_OWN_FAILURE, "%s", message);
}

static int run_program(struct run *run, char **argv)
{
    int result = find_library(run);

    if (result == 0)
        result = find_program(run);
    if (result == 0)
        result = find_places(run);
    if (result != 0)
        return result;
    if (run_session_enclosing()) {
        const char *wanted = run->options.session;

        return wanted[0] == '\0' || run_session_is_attached(wanted)
                   ? join_enclosing(run)
                   : run_session_leave(run->library, argv);
    }
    result = open_report(run);
    if (result != 0)
        return result;
    result = enter_session(run);
    if (result == 0)
        result = prepare_watch(run);
    if (result == 0)
        result = start_helpers(run);
    if (result == 0)
        result = supervise(run);
    notify_hurry(&run->notify); /* PROG never ran */
    end_notify(run);
    run_helpers_end(&run->helpers, &run->task);
    run_session_close(&run->session);
    return result;
}

/* Whether somebody will hear of leaks and misuse. --sandbox alone is about what is refused. */
static bool wants_tracks(const struct run_options *options)
{
    return options->report || options->json || options->verbose || options->error_exitcode != 0 ||
           options->suppressions != NULL;
}

int run_main(int argc, char **argv)
{
    static struct run run; /* large */
    char message[RUN_OPTIONS_MESSAGE];

    run.argv = argv;
    fill_standard_fds();
    if (!run_options_parse(argc, argv, getenv("SOCKRIG_OPTIONS"), &run.options, message))
        return fail(EXIT_OWN_FAILURE, "%s\nTry 'sockrig run --help'.", message);
    switch (run.options.request) {
    case RUN_HELP: return fputs(run_options_help, stdout) < 0 ? EXIT_OWN_FAILURE : 0;
    case RUN_VERSION: return printf("sockrig %s\n", SOCKRIG_VERSION) < 0 ? EXIT_OWN_FAILURE : 0;
    case RUN_PROGRAM: break;
    }
    if (run.options.suppressions != NULL &&
        !suppressions_read(run.options.suppressions, &run.suppressions, message))
        return fail(EXIT_OWN_FAILURE, "%s", message);
    run.options.emu.track = wants_tracks(&run.options);
    run.options.emu.seed = repeat_choose_seed(&run.options.emu);
    if (run.options.sandbox) {
        sandbox_set_options(&run.options.emu);
        run.inherited.sandbox = &run.options.emu;
        if (run.options.error_exitcode == 0)
            run.options.error_exitcode = 1;
    }
    const int result = run_program(&run, argv);
    run_options_fini(&run.options);
    suppressions_fini(&run.suppressions);
    return result;
}
