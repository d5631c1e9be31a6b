/*
 * Proves: one file mapping serves a parent, a forked child that maps it elsewhere, and an exec'd
 * image that finds it through an inherited fd, each at another address, with offsets instead of
 * pointers; a futex word in it wakes sleepers across them; and a process that inherited nothing
 * reaches the same file through /proc/PID/fd/N (as long as PID lives, is ours and is dumpable).
 */
#include "proof.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum { ARENA_SIZE = 1 << 20, NODES = 4, ROUNDS = 200, LIMIT_S = 10 };

struct node {
    uint32_t next; /* offset of the next node from the arena's start; 0 ends the list */
    uint32_t value;
};

struct arena {
    uint32_t turn; /* futex word: odd = the other's turn, even = the parent's */
    uint32_t first;
    uint64_t parent_address, other_address;
    struct node nodes[NODES];
};

static struct arena *map_arena(int fd)
{
    struct arena *arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(arena != MAP_FAILED, "mmap of fd %d", fd);
    return arena;
}

static void build_list(struct arena *arena)
{
    memset(arena, 0, sizeof(*arena));
    arena->parent_address = (uint64_t)(uintptr_t)arena;
    for (uint32_t i = 0; i < NODES; i++) {
        uint32_t offset = (uint32_t)((char *)&arena->nodes[i] - (char *)arena);
        arena->nodes[i] = (struct node){ .next = arena->first, .value = 1u << i };
        arena->first = offset;
    }
}

static uint32_t sum_list(const struct arena *arena)
{
    uint32_t sum = 0, steps = 0;
    for (uint32_t at = arena->first; at != 0 && steps < NODES; steps++) {
        const struct node *node = (const struct node *)(const void *)((const char *)arena + at);
        sum += node->value;
        at = node->next;
    }
    return sum;
}

/* Waits until the word isn't `while_value` any more; 0, or -1 after the limit. */
static int wait_while(uint32_t *word, uint32_t while_value)
{
    struct timespec limit = { .tv_sec = LIMIT_S };
    while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == while_value) {
        long rc = syscall(SYS_futex, word, FUTEX_WAIT, while_value, &limit, NULL, 0);
        if (rc != 0 && errno == ETIMEDOUT) {
            return -1;
        }
    }
    return 0;
}

static void set_and_wake(uint32_t *word, uint32_t value)
{
    __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* The other side's part, wherever the arena lies in its memory. */
static int play_other(struct arena *arena)
{
    if (sum_list(arena) != (1u << NODES) - 1) {
        return 2;
    }
    arena->other_address = (uint64_t)(uintptr_t)arena;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        if (wait_while(&arena->turn, 2 * i) != 0) {
            return 3;
        }
        set_and_wake(&arena->turn, 2 * i + 2);
    }
    return 0;
}

static double play_parent(struct arena *arena, pid_t pid, const char *who)
{
    int64_t start = now_ns();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        set_and_wake(&arena->turn, 2 * i + 1);
        CHECK(wait_while(&arena->turn, 2 * i + 1) == 0, "%s doesn't answer", who);
    }
    double took = (double)(now_ns() - start) / 1000 / ROUNDS;
    CHECK(child_result(pid) == 0, "%s", who);
    CHECK(arena->other_address != arena->parent_address, "%s has it at the same address", who);
    return took;
}

/* New image: "proof fd N" or "proof path P"; something else is put where the parent has it. */
static int image(const char *kind, const char *what)
{
    int fd = strcmp(kind, "fd") == 0 ? atoi(what) : open(what, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0, "%s", what);
    struct arena *arena = map_arena(fd);
    if ((uint64_t)(uintptr_t)arena == arena->parent_address) {
        arena = map_arena(fd); /* beside the first one */
    }
    return play_other(arena);
}

static pid_t start_image(const char *kind, const char *what, int close_fd)
{
    pid_t pid = fork();
    CHECK(pid >= 0, "fork");
    if (pid == 0) {
        if (close_fd >= 0) {
            close(close_fd);
        }
        execl("/proc/self/exe", "proof", kind, what, (char *)NULL);
        _exit(9);
    }
    return pid;
}

static pid_t start_fork(struct arena *arena, int fd)
{
    pid_t pid = fork();
    CHECK(pid >= 0, "fork");
    if (pid == 0) {
        struct arena *elsewhere = map_arena(fd); /* before the old one goes: it differs */
        munmap(arena, ARENA_SIZE);
        _exit(play_other(elsewhere));
    }
    return pid;
}

static int undumpable_path_fails(int fd)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
    CHECK(prctl(PR_SET_DUMPABLE, 0UL, 0UL, 0UL, 0UL) == 0, "prctl");
    pid_t pid = fork();
    if (pid == 0) {
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) {
            _exit(9);
        }
        _exit(open(path, O_RDWR) < 0 && errno == EACCES ? 1 : 0);
    }
    int failed = child_result(pid);
    CHECK(prctl(PR_SET_DUMPABLE, 1UL, 0UL, 0UL, 0UL) == 0, "prctl");
    return failed;
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        return image(argv[1], argv[2]);
    }
    char number[16], path[64];
    int fd = memfd_create("arena", 0);
    CHECK(fd >= 0 && ftruncate(fd, ARENA_SIZE) == 0, "memfd");
    struct arena *arena = map_arena(fd);

    build_list(arena);
    double fork_us = play_parent(arena, start_fork(arena, fd), "forked child");
    build_list(arena);
    snprintf(number, sizeof(number), "%d", fd);
    double exec_us = play_parent(arena, start_image("fd", number, -1), "exec'd image");
    build_list(arena);
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
    double path_us = play_parent(arena, start_image("path", path, fd), "image with a path");
    printf(
        "one arena at different addresses; futex round trip to a forked child %.1f us, an exec'd "
        "image %.1f us, one by /proc/PID/fd/N %.1f us; another uid and no dump: path %s\n",
        fork_us, exec_us, path_us, undumpable_path_fails(fd) == 1 ? "denied" : "still open");
    return 0;
}
