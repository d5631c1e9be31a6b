/*
 * Proves: a 14-byte jump over the entries of libc's own bodies brings stdio's inner calls to a
 * replacement; no body is too short, no branch leads into the overwritten bytes, the names are had
 * by dlsym (GLIBC_PRIVATE too); posix_spawn, system and popen work although their child shares our
 * memory: there a thread-local flag and getpid() tell the child, which makes raw calls only and
 * leaves the table alone. Also: the flag alone would not do, since the parent itself makes calls
 * under it; and forks inside libc run atfork handlers, so that a cached pid can be kept right.
 */
#include "entry.h"
#include <pthread.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/stat.h>

enum {
    READ,
    WRITE,
    READV,
    WRITEV,
    CLOSE,
    DUP,
    DUP2,
    DUP3,
    LSEEK,
    FCNTL,
    PIPE,
    PIPE2,
    EXIT,
    CLOSE_NC,
    READ_NC,
    WRITE_NC,
    CLOSE_RANGE,
    BODIES
};
enum { FDS = 64, ALIASES = 3 };

static volatile int hits[BODIES], child_hits[BODIES], parent_hits_under_flag;
static volatile char in_table[FDS]; /* the shim's table: 1 = this number is known */
static __thread volatile int spawning;
static volatile pid_t own_pid; /* volatile: glibc declares daemon() as leaf, see prove_inner_fork */
static int64_t written_ns[2];  /* by /proc/self/mem, by mprotect */

static long raw(long nr, long a, long b, long c)
{
    long ret;
    __asm__ volatile("syscall"
                     : "=a"(ret)
                     : "a"(nr), "D"(a), "S"(b), "d"(c)
                     : "rcx", "r11", "memory");
    return ret;
}

static long serve(int body, long nr, long a, long b, long c)
{
    int in_child = spawning && raw(SYS_getpid, 0, 0, 0) != own_pid;
    if (in_child) {
        child_hits[body]++;
    } else {
        hits[body]++;
        parent_hits_under_flag += spawning != 0;
    }
    long ret = raw(nr, a, b, c);
    if (ret < 0 && ret > -4096) {
        errno = (int)-ret;
        return -1;
    }
    if (!in_child && (nr == SYS_close) && a >= 0 && a < FDS) {
        in_table[a] = 0;
    } else if (!in_child && nr == SYS_dup2 && b >= 0 && b < FDS) {
        in_table[b] = in_table[a];
    }
    return ret;
}

/* Ends in a declaration, so that a semicolon follows. */
#define BODY(id, nr)                             \
    static long new_##id(long a, long b, long c) \
    {                                            \
        return serve(id, nr, a, b, c);           \
    }                                            \
    static long new_##id(long a, long b, long c)
BODY(READ, SYS_read);
BODY(WRITE, SYS_write);
BODY(READV, SYS_readv);
BODY(WRITEV, SYS_writev);
BODY(CLOSE, SYS_close);
BODY(DUP, SYS_dup);
BODY(DUP2, SYS_dup2);
BODY(DUP3, SYS_dup3);
BODY(LSEEK, SYS_lseek);
BODY(FCNTL, SYS_fcntl);
BODY(EXIT, SYS_exit_group);
BODY(CLOSE_NC, SYS_close);
BODY(READ_NC, SYS_read);
BODY(WRITE_NC, SYS_write);
BODY(CLOSE_RANGE, SYS_close_range);
BODY(PIPE2, SYS_pipe2);
BODY(PIPE, SYS_pipe);

static const struct body {
    const char *version, *names[ALIASES];
    long (*replacement)(long, long, long);
} bodies[BODIES] = {
    [READ] = { "GLIBC_2.2.5", { "read", "__read" }, new_READ },
    [WRITE] = { "GLIBC_2.2.5", { "write", "__write" }, new_WRITE },
    [READV] = { "GLIBC_2.2.5", { "readv" }, new_READV },
    [WRITEV] = { "GLIBC_2.2.5", { "writev" }, new_WRITEV },
    [CLOSE] = { "GLIBC_2.2.5", { "close", "__close" }, new_CLOSE },
    [DUP] = { "GLIBC_2.2.5", { "dup" }, new_DUP },
    [DUP2] = { "GLIBC_2.2.5", { "dup2", "__dup2" }, new_DUP2 },
    [DUP3] = { "GLIBC_2.9", { "dup3" }, new_DUP3 },
    [LSEEK] = { "GLIBC_2.2.5", { "lseek", "__lseek", "lseek64" }, new_LSEEK },
    [FCNTL] = { "GLIBC_2.2.5", { "fcntl", "__fcntl" }, new_FCNTL },
    [PIPE] = { "GLIBC_2.2.5", { "pipe", "__pipe" }, new_PIPE },
    [PIPE2] = { "GLIBC_2.9", { "pipe2" }, new_PIPE2 },
    [EXIT] = { "GLIBC_2.2.5", { "_exit", "_Exit" }, new_EXIT },
    [CLOSE_NC] = { "GLIBC_PRIVATE", { "__close_nocancel" }, new_CLOSE_NC },
    [READ_NC] = { "GLIBC_PRIVATE", { "__read_nocancel" }, new_READ_NC },
    [WRITE_NC] = { "GLIBC_PRIVATE", { "__write_nocancel" }, new_WRITE_NC },
    [CLOSE_RANGE] = { "GLIBC_2.34", { "close_range" }, new_CLOSE_RANGE },
};

/* Looks each body up, checks it, redirects it; every second one the other way. */
static void redirect_all(void)
{
    int mem = open("/proc/self/mem", O_WRONLY | O_CLOEXEC);
    CHECK(mem >= 0, "/proc/self/mem");
    for (int i = 0; i < BODIES; i++) {
        const struct body *body = &bodies[i];
        uint8_t *entry = dlsym(RTLD_NEXT, body->names[0]);
        CHECK(entry != NULL, "dlsym(RTLD_NEXT, %s)", body->names[0]);
        CHECK(dlvsym(RTLD_NEXT, body->names[0], body->version) == entry, "%s", body->names[0]);
        size_t size = body_size(entry);
        struct text_range text = { .inside = entry };
        CHECK(dl_iterate_phdr(text_of, &text) == 1, "no text around %s", body->names[0]);
        printf("  %s@%s %zu bytes", body->names[0], body->version, size);
        for (int k = 1; k < ALIASES && body->names[k] != NULL; k++) {
            int same = dlsym(RTLD_NEXT, body->names[k]) == entry;
            printf(", %s is %s", body->names[k], same ? "the same body" : "ANOTHER BODY");
        }
        printf("\n");
        CHECK(size >= JUMP_SIZE, "%s has %zu bytes", body->names[0], size);
        CHECK(jumps_into(&text, entry, size) == 0, "a branch into the entry of %s", body->names[0]);
        uintptr_t target = (uintptr_t)body->replacement;
        int64_t start = now_ns();
        int rc = i % 2 ? redirect_by_mprotect(entry, target) : redirect_by_mem(mem, entry, target);
        written_ns[i % 2] += now_ns() - start;
        CHECK(rc == 0, "writing over %s", body->names[0]);
    }
    fflush(stdout);
    CHECK(close(mem) == 0, "close");
}

#define LANDS(body, n, what)                                              \
    do {                                                                  \
        int before = hits[body];                                          \
        what;                                                             \
        CHECK(hits[body] - before >= (n), "%s: not at %s", #what, #body); \
    } while (0)

static void prove_stdio(void)
{
    int fds[2];
    char line[32];
    LANDS(PIPE, 1, CHECK(pipe(fds) == 0, "pipe"));
    FILE *out, *in;
    LANDS(FCNTL, 2, out = fdopen(fds[1], "w"); in = fdopen(fds[0], "r"));
    LANDS(WRITE, 1, fprintf(out, "one\n"); fflush(out));
    LANDS(WRITE, 1, dprintf(fds[1], "two\n"));
    LANDS(READ, 1, CHECK(fgets(line, sizeof(line), in) != NULL && line[0] == 'o', "fgets"));
    LANDS(WRITE, 1, fprintf(out, "three\n"); CHECK(fclose(out) == 0, "fclose"));
    LANDS(CLOSE_NC, 1, CHECK(fclose(in) == 0, "fclose"));
    int saved = dup(2), null = open("/dev/null", O_WRONLY);
    CHECK(dup2(null, 2) == 2, "dup2");
    LANDS(DUP, 1, LANDS(WRITE, 1, perror("perror")));
    CHECK(dup2(saved, 2) == 2 && close(saved) == 0 && close(null) == 0, "restore");
}

/* File actions run in the child that shares our memory: they must not touch the parent's table. */
static void prove_spawn(void)
{
    int fds[2];
    char line[32] = "";
    char *argv[] = { (char[]){ "sh" }, (char[]){ "-c" }, (char[]){ "echo hello" }, NULL };
    posix_spawn_file_actions_t actions;
    pid_t pid;
    CHECK(pipe(fds) == 0, "pipe");
    in_table[fds[0]] = in_table[fds[1]] = 1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
    posix_spawn_file_actions_addclose(&actions, fds[0]);
    posix_spawn_file_actions_addclose(&actions, fds[1]);
    spawning = 1;
    int rc = posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ);
    spawning = 0;
    CHECK(rc == 0 && child_hits[DUP2] == 1 && child_hits[CLOSE] + child_hits[CLOSE_NC] >= 2,
          "spawn: dup2 %d close %d", child_hits[DUP2], child_hits[CLOSE_NC]);
    CHECK(in_table[fds[0]] && in_table[fds[1]] && !in_table[1], "the child changed our table");
    CHECK(close(fds[1]) == 0 && read(fds[0], line, sizeof(line)) == 6, "read '%s'", line);
    CHECK(strcmp(line, "hello\n") == 0 && child_result(pid) == 0, "child said '%s'", line);
    CHECK(read(fds[0], line, 1) == 0 && close(fds[0]) == 0, "end of file");

    spawning = 1;
    int status = system("exit 3");
    int by_system = parent_hits_under_flag;
    FILE *from = popen("echo popen", "r");
    spawning = 0;
    CHECK(WEXITSTATUS(status) == 3 && from != NULL, "system %x", status);
    CHECK(fgets(line, sizeof(line), from) && strcmp(line, "popen\n") == 0, "popen '%s'", line);
    CHECK(pclose(from) == 0, "pclose");
    CHECK(parent_hits_under_flag > by_system, "the flag alone would do for popen's parent");
}

static void after_fork(void)
{
    own_pid = (pid_t)raw(SYS_getpid, 0, 0, 0);
}

/*
 * Forks that libc makes for itself pass no symbol of ours, yet run the atfork handlers. A compiler
 * may keep own_pid in a register across daemon(), which is declared as never calling back.
 */
static void prove_inner_fork(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        own_pid = 0;
        /* daemon's parent leaves through _exit with 0; the daemon reports through a pipe. */
        int fds[2], seen = 0;
        CHECK(pipe(fds) == 0, "pipe");
        pid_t inner = fork();
        if (inner == 0) {
            own_pid = 0;
            int ok = daemon(1, 1) == 0 && own_pid == getpid();
            _exit(write(fds[1], &ok, sizeof(ok)) == sizeof(ok) ? 0 : 1);
        }
        int whole = read(fds[0], &seen, sizeof(seen)) == sizeof(seen);
        _exit(whole && seen && child_result(inner) == 0 ? 0 : 1);
    }
    CHECK(child_result(pid) == 0, "daemon() forks without running the atfork handlers");
}

static const char *denied_mprotect(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (prctl(65 /* PR_SET_MDWE, 6.3 */, 1UL, 0UL, 0UL, 0UL) != 0) {
            _exit(PROOF_SKIP);
        }
        uint8_t *entry = dlsym(RTLD_NEXT, "read");
        int mem = open("/proc/self/mem", O_WRONLY | O_CLOEXEC);
        int denied = redirect_by_mprotect(entry, (uintptr_t)new_READ) != 0;
        _exit((denied ? 0 : 1) + (redirect_by_mem(mem, entry, (uintptr_t)new_READ) == 0 ? 0 : 2));
    }
    static const char *const says[] = { "mprotect denied, /proc/self/mem works", "nothing denied",
                                        "both denied", "mprotect works, /proc/self/mem denied" };
    int result = child_result(pid);
    return result >= 0 && result < 4 ? says[result] : "not known here";
}

int main(void)
{
    after_fork();
    CHECK(pthread_atfork(NULL, NULL, after_fork) == 0, "pthread_atfork");
    redirect_all();
    prove_stdio();
    prove_spawn();
    prove_inner_fork();
    LANDS(READ, 1, CHECK(read(-1, NULL, 0) == -1 && errno == EBADF, "read(-1)"));
    printf(
        "%d bodies redirected (%.1f us each by mprotect, %.1f by /proc/self/mem): stdio, perror, "
        "posix_spawn, system, popen, daemon caught; parent's own calls under the spawn flag: %d; "
        "MDWE: %s\n",
        BODIES, (double)written_ns[1] / 1000 / (BODIES / 2.0),
        (double)written_ns[0] / 1000 / (BODIES / 2.0), parent_hits_under_flag, denied_mprotect());
    return 0;
}
