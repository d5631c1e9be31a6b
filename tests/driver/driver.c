/*
 * driver - the guest programs as Criterion cases: natively, under `sockrig run`, preloaded, and
 * with each of the nets that calls inside libc are caught by
 *
 * A guest is a plain libc program from tests/guest that exits 0 when what it proves holds. This
 * program starts each of them as a process of its own, several times: on the kernel (`native`,
 * where a test must pass first: the kernel is the oracle), under `sockrig run` (`run`), with a bare
 * LD_PRELOAD (`preload`), under `run --net=off` (`off`), and some of them under `run --net=sud`
 * (`sud`: those about calls, signals, threads and children). static/ can't be preloaded and runs
 * natively alone; only_emu/ asks for what the kernel answers otherwise, and does not run natively;
 * helper_NAME is no test. A case fails when the guest exits otherwise, exceeds its time (leash
 * shows what it waited for), leaves a process behind, or leaves an object in the arena (`objects
 * left: N` of run's report).
 *
 * Environment: SOCKRIG, SOCKRIG_LIB (the build's own), SOCKRIG_TEST_LOGS (test-logs of the build),
 * SOCKRIG_TEST_LIMIT (seconds, 60), SOCKRIG_TEST_ONLY (a pattern of names). A guest is told its way
 * in SOCKRIG_TEST_MODE.
 *
 * Refuses to run outside the guard (tests/guard/guard.c).
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    GUESTS_MAX = 1024,
    NAME_SIZE = 256,  /* NAME_MAX and a zero */
    TAIL_SIZE = 3000, /* of a failed guest's output */
    ARGS_MAX = 12,
};

enum mode { MODE_NATIVE, MODE_RUN, MODE_PRELOAD, MODE_OFF, MODE_SUD };

static const char *const mode_names[] = { "native", "run", "preload", "off", "sud" };

/* What `run` gets in a mode beside its other options. */
static const char *const mode_nets[] = { [MODE_OFF] = "--net=off", [MODE_SUD] = "--net=sud" };

/* Guests of the part that runs with sud; a pattern of base names each. */
static const char *const sud_part[] = {
    "cancel_*", "clone_*", "cxx_*",   "dprintf_*", "exec_*",   "fork_*",   "inline_*", "own_*",
    "pipe_*",   "popen_*", "raw_*",   "self_*",    "sigio_*",  "siglong*", "signal_*", "sigsys_*",
    "sock_*",   "spawn_*", "stdio_*", "syscall_*", "system_*", "thread_*", "unix_st*", "vsock_*"
};

static const struct {
    enum mode mode;
    const char *name;
    const char *reason;
} left_out[] = {
    { MODE_OFF, "vsock_device", "a stream on /dev/vsock reads the stand-in" },
    { MODE_OFF, "double_fork_daemon_pipe", "its daemon may still be ending when `run` reports" },
    { MODE_OFF, "exec_daemons", "the same" },
    { MODE_SUD, "sigio_owners", "waits for a blocked SIGSYS" },
    { MODE_SUD, "epoll_mixed_real", "each SIGSYS is an edge of a signalfd" },
    { MODE_SUD, "io_uring_enosys", "looks for what the guard answers to calls by hand" },
};

struct guest {
    char name[NAME_SIZE];
};

struct places {
    char guests[PATH_MAX];
    char leash[PATH_MAX];
    char sockrig[PATH_MAX];
    char library[PATH_MAX];
    char logs[PATH_MAX];
};

/* Text that lives as long as this process: a case, which is short. */
__attribute__((format(printf, 1, 2))) static char *text(const char *format, ...)
{
    char *made = NULL;
    va_list args;

    va_start(args, format);
    cr_assert(vasprintf(&made, format, args) >= 0, "no memory");
    va_end(args);
    return made;
}

/* The build's folder: this program is BUILD/tests/driver/driver. */
static void find_build(char *ret_path)
{
    const ssize_t length = readlink("/proc/self/exe", ret_path, PATH_MAX - 1);

    cr_assert(length > 0, "readlink: %s", strerror(errno));
    ret_path[length] = '\0';
    for (int level = 0; level < 3; level++) {
        char *slash = strrchr(ret_path, '/');
        cr_assert(slash != NULL, "the driver is not in a build folder");
        *slash = '\0';
    }
}

static void place(char *ret_path, const char *variable, const char *build, const char *below)
{
    const char *named = variable != NULL ? getenv(variable) : NULL;
    const int length = named != NULL ? snprintf(ret_path, PATH_MAX, "%s", named)
                                     : snprintf(ret_path, PATH_MAX, "%s/%s", build, below);

    cr_assert(length > 0 && length < PATH_MAX, "path too long");
}

static void find_places(struct places *ret_places)
{
    char build[PATH_MAX];

    find_build(build);
    place(ret_places->guests, NULL, build, "tests/guest");
    place(ret_places->leash, NULL, build, "tests/guard/leash");
    place(ret_places->sockrig, "SOCKRIG", build, "bin/sockrig");
    place(ret_places->library, "SOCKRIG_LIB", build, "lib/libsockrig.so");
    place(ret_places->logs, "SOCKRIG_TEST_LOGS", build, "test-logs");
    mkdir(ret_places->logs, 0755);
}

static bool is_part(const char *base, enum mode mode)
{
    const char *only = getenv("SOCKRIG_TEST_ONLY");
    bool found = mode != MODE_SUD || (only != NULL && strcmp(only, "*") != 0);

    for (size_t i = 0; i < sizeof sud_part / sizeof sud_part[0]; i++)
        found |= fnmatch(sud_part[i], base, 0) == 0;
    for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++)
        found &= left_out[i].mode != mode || strcmp(left_out[i].name, base) != 0;
    return found;
}

static bool is_test(const char *name, enum mode mode)
{
    const char *only = getenv("SOCKRIG_TEST_ONLY");

    const char *slash = strrchr(name, '/');
    const char *base = slash != NULL ? slash + 1 : name;

    if (base[0] == '\0' || strncmp(base, "helper_", 7) == 0 || !is_part(base, mode))
        return false;
    if (strncmp(name, "static/", 7) == 0 && mode != MODE_NATIVE)
        return false;
    if (strncmp(name, "only_emu/", 9) == 0 && mode == MODE_NATIVE)
        return false;
    return only == NULL || fnmatch(only, base, 0) == 0;
}

/* From the list the build made (tests/CMakeLists.txt), which is in order of names. */
static struct criterion_test_params list_guests(enum mode mode)
{
    struct places places;
    size_t count = 0;

    find_places(&places);
    struct guest *guests = cr_malloc(GUESTS_MAX * sizeof *guests);
    FILE *list = fopen(text("%s/LIST", places.guests), "re");
    while (list != NULL && count < GUESTS_MAX &&
           fgets(guests[count].name, NAME_SIZE, list) != NULL) {
        guests[count].name[strcspn(guests[count].name, "\n")] = '\0';
        if (is_test(guests[count].name, mode))
            count++;
    }
    if (list != NULL)
        fclose(list);
    cr_assert(count < GUESTS_MAX, "%d guests or more", GUESTS_MAX);
    return cr_make_param_array(struct guest, guests, count);
}

/* A raw call: what the guard denies must be denied below every wrapper. Connects nothing. */
static void require_guard(void)
{
    const long fd = syscall(SYS_socket, AF_VSOCK, SOCK_STREAM, 0);
    const int reason = errno;

    if (fd >= 0)
        close((int)fd);
    cr_assert(fd < 0 && reason == EAFNOSUPPORT,
              "not under the guard: run `tests/guard/guard tests/driver/driver`");
}

/* In the child: the environment, the standard fds and the command of one case. Never returns. */
static void start_guest(const struct places *places, const char *program, enum mode mode,
                        const char *log, const char *report)
{
    const char *limit = getenv("SOCKRIG_TEST_LIMIT");
    const char *args[ARGS_MAX] = { places->leash, limit != NULL ? limit : "60" };
    size_t count = 2;

    if (mode != MODE_NATIVE && mode != MODE_PRELOAD) {
        args[count++] = places->sockrig;
        args[count++] = "run";
        args[count++] = "--verify";
        if (mode_nets[mode] != NULL)
            args[count++] = mode_nets[mode];
        args[count++] = text("--report=%s", report);
        args[count++] = "--";
    } else if (mode == MODE_PRELOAD) {
        /* Through env(1), so that leash stays out of the session. */
        args[count++] = "/usr/bin/env";
        args[count++] = text("LD_PRELOAD=%s", places->library);
        args[count++] = text("SOCKRIG_OPTIONS=report=%s", report);
    }
    args[count++] = program;
    args[count] = NULL;

    const int in = open("/dev/null", O_RDONLY);
    const int out = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);
    if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(125);
    closefrom(3);
    setenv("SOCKRIG_TEST_MODE", mode_names[mode], 1);
    execv(args[0], (char *const *)args);
    _exit(127);
}

/* The last TAIL_SIZE bytes of a file, as text; empty when there is no such file. */
static void read_tail(const char *path, char *ret_text)
{
    FILE *file = fopen(path, "re");

    ret_text[0] = '\0';
    if (file == NULL)
        return;
    if (fseek(file, -TAIL_SIZE + 1, SEEK_END) != 0)
        rewind(file);
    const size_t size = fread(ret_text, 1, TAIL_SIZE - 1, file);
    ret_text[size] = '\0';
    fclose(file);
}

/* `objects left: N` of a report; -1 when there is no such line. */
static long objects_left(const char *report)
{
    static const char title[] = "objects left: ";
    char line[512];
    long left = -1;
    FILE *file = fopen(report, "re");

    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *found = strstr(line, title);
        if (found != NULL)
            left = strtol(found + sizeof title - 1, NULL, 10);
    }
    if (file != NULL)
        fclose(file);
    return left;
}

/* Whether a line of the report contains the words. */
static bool says(const char *report, const char *words)
{
    char line[512];
    bool found = false;
    FILE *file = fopen(report, "re");

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        found |= strstr(line, words) != NULL;
    if (file != NULL)
        fclose(file);
    return found;
}

static void check_guest(const struct guest *guest, enum mode mode)
{
    struct places places;
    char tail[TAIL_SIZE];
    int status;

    require_guard();
    find_places(&places);
    const char *mode_name = mode_names[mode];
    const char *program = text("%s/%s", places.guests, guest->name);
    char *log = text("%s/guest.%s.%s", places.logs, guest->name, mode_name);
    for (char *slash = log + strlen(places.logs) + 1; (slash = strchr(slash, '/')) != NULL;)
        *slash = '.';
    const char *report = text("%s.report", log);
    unlink(report);

    const pid_t child = fork();
    cr_assert(child >= 0, "fork: %s", strerror(errno));
    if (child == 0)
        start_guest(&places, program, mode, log, report);
    cr_assert(waitpid(child, &status, 0) == child, "waitpid: %s", strerror(errno));

    read_tail(log, tail);
    cr_assert(WIFEXITED(status), "%s (%s): leash died", guest->name, mode_name);
    cr_assert(WEXITSTATUS(status) == 0, "%s (%s): exit %d\n%s", guest->name, mode_name,
              WEXITSTATUS(status), tail);

    if (mode == MODE_PRELOAD) { /* ld.so goes on without a library it can't load */
        cr_assert(access(places.library, R_OK) == 0, "no %s", places.library);
        cr_assert(strstr(tail, "cannot be preloaded") == NULL, "not preloaded\n%s", tail);
    }
    if (mode != MODE_NATIVE &&
        mode != MODE_PRELOAD) { /* bare preloads report a process, whose children may still run */
        const long left = objects_left(report);
        cr_assert(left >= 0, "%s: the report says nothing of objects left", guest->name);
        cr_assert(left == 0, "%s: objects left in the arena: %ld", guest->name, left);
        cr_assert(!says(report, "disagreed with the kernel"), "%s: %s", guest->name,
                  "an end is gone here and not in the kernel, or the other way round");
    }
}

ParameterizedTestParameters(guest, native)
{
    return list_guests(MODE_NATIVE);
}

ParameterizedTest(struct guest *guest, guest, native)
{
    check_guest(guest, MODE_NATIVE);
}

ParameterizedTestParameters(guest, run)
{
    return list_guests(MODE_RUN);
}

ParameterizedTest(struct guest *guest, guest, run)
{
    check_guest(guest, MODE_RUN);
}

ParameterizedTestParameters(guest, preload)
{
    return list_guests(MODE_PRELOAD);
}

ParameterizedTest(struct guest *guest, guest, preload)
{
    check_guest(guest, MODE_PRELOAD);
}

ParameterizedTestParameters(guest, off)
{
    return list_guests(MODE_OFF);
}

ParameterizedTest(struct guest *guest, guest, off)
{
    check_guest(guest, MODE_OFF);
}

ParameterizedTestParameters(guest, sud)
{
    return list_guests(MODE_SUD);
}

ParameterizedTest(struct guest *guest, guest, sud)
{
    check_guest(guest, MODE_SUD);
}
