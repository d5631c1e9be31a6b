/*
 * Proves: a child that shares memory and descriptors is a thread: a descriptor that it opens or
 * closes is opened and closed for all, and it reads and writes channels; as a thread of the process
 * (CLONE_THREAD) and as a process of its own. A thread with descriptors of its own
 * (unshare(CLONE_FILES), close_range with CLOSE_RANGE_UNSHARE) closes them alone: the others still
 * talk, it talks too, and its children and the images that they exec.
 *
 * Rows: 5.1 "exec", 2.3 "read, empty, no writers"
 */
#include <linux/close_range.h>
#include <linux/futex.h>

#include "talk.h"

enum { CODE = 9, STACK = 256 * 1024 };

static char path[PATH_MAX];
static char stack[STACK] __attribute__((aligned(64)));

/* What such a child does is done while its parent waits for it: the two have one errno. */
struct child {
    int in, out, close_too;
    int made[2];
    int result;
};

static int child_runs(void *argument)
{
    struct child *child = argument;
    char buffer[16];
    ssize_t count = read(child->in, buffer, sizeof buffer);
    bool wrote = count > 0 && write(child->out, buffer, (size_t)count) == count;
    child->result = wrote && close(child->close_too) == 0 && pipe(child->made) == 0 &&
                    write(child->made[1], "made", 4) == 4;
    return 0;
}

/* The kernel clears the word when the child is gone (CLONE_CHILD_CLEARTID). */
static void run_child(struct child *child, int flags)
{
    static pid_t word;
    __atomic_store_n(&word, 1, __ATOMIC_SEQ_CST);
    pid_t pid = (pid_t)CHECK_OK(
        clone(child_runs, stack + STACK,
              CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND | CLONE_CHILD_CLEARTID | flags,
              child, NULL, NULL, &word));
    while (__atomic_load_n(&word, __ATOMIC_SEQ_CST) != 0) { /* bounded by the deadline */
        syscall(SYS_futex, &word, FUTEX_WAIT, 1, NULL, NULL, 0);
    }
    if (!(flags & CLONE_THREAD)) {
        guest_wait_exit(pid, 0);
    }
}

static void shares_all(int kind, int flags)
{
    int in[2], out[2], extra;
    char buffer[16];
    struct child child = { .result = 0 };
    talk_channel(kind != 0, in);
    talk_channel(kind == 0, out);
    extra = (int)CHECK_OK(dup(in[1]));
    child = (struct child){ in[0], out[1], extra, { -1, -1 }, 0 };
    CHECK_EQ(5, write(in[1], "hello", 5));
    run_child(&child, flags);
    CHECK_EQ(1, child.result);
    CHECK_EQ(5, read(out[0], buffer, sizeof buffer));
    CHECK_MEM("hello", buffer, 5);
    CHECK_EQ(extra, child.made[0]); /* closed for all, and free again */
    CHECK_EQ(4, read(child.made[0], buffer, sizeof buffer));
    CHECK_MEM("made", buffer, 4);
    CHECK_OK(close(child.made[1]));
    CHECK_EQ(0, read(child.made[0], buffer, sizeof buffer));
    CHECK_OK(close(child.made[0]));
    CHECK_OK(close(in[1]));
    CHECK_EQ(0, read(in[0], buffer, sizeof buffer)); /* `extra` was the other writing end */
    CHECK_OK(close(in[0]));
    guest_close_both(out);
}

struct apart {
    struct talk *talk;
    bool by_range;
    int kind;
    int close_here; /* in the thread alone */
    atomic_int step;
};

static void wait_step(struct apart *apart, int step)
{
    int now;
    while ((now = atomic_load(&apart->step)) < step) { /* bounded by the deadline */
        syscall(SYS_futex, &apart->step, FUTEX_WAIT, now, NULL, NULL, 0);
    }
}

static void take_step(struct apart *apart)
{
    atomic_fetch_add(&apart->step, 1);
    syscall(SYS_futex, &apart->step, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void *goes_apart(void *argument)
{
    struct apart *apart = argument;
    struct talk own;
    if (apart->by_range) {
        CHECK_OK(close_range(4000, 4000, CLOSE_RANGE_UNSHARE));
    } else {
        CHECK_OK(unshare(CLONE_FILES));
    }
    CHECK_OK(close(apart->close_here));
    CHECK_ERR(EBADF, fcntl(apart->close_here, F_GETFD));
    take_step(apart);
    talk_open(&own, apart->kind); /* its own channels, and its own children */
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK(talk_take(&own));
        execl(path, path, "image", (char *)NULL);
        _exit(100);
    }
    talk_end(&own, pid, CODE);
    CHECK_OK(close(apart->talk->to_child[1]));
    CHECK_OK(close(apart->talk->from_child[0]));
    dup2(apart->talk->to_child[0], 100);
    dup2(apart->talk->from_child[1], 101);
    take_step(apart);
    static char buffer[TALK_BIG];
    ssize_t count;
    while ((count = CHECK_OK(read(100, buffer, sizeof buffer))) > 0) {
        guest_write_all(101, buffer, (size_t)count);
    }
    CHECK_OK(close(101));
    CHECK_OK(close(apart->talk->from_child[1]));
    return NULL;
}

static void thread_apart(int kind, bool by_range)
{
    struct talk talk;
    struct apart apart = { .talk = &talk, .by_range = by_range, .kind = kind };
    struct guest_thread thread, writer;
    int fds[2];
    char byte;
    static unsigned char echo[TALK_BIG];
    talk_channel(kind != 0, fds);
    talk_open(&talk, kind);
    apart.close_here = fds[1];
    guest_thread_start(&thread, goes_apart, &apart);
    wait_step(&apart, 1);
    CHECK_EQ(1, write(fds[1], "x", 1)); /* closed there, not here */
    CHECK_EQ(1, read(fds[0], &byte, 1));
    wait_step(&apart, 2);
    CHECK_OK(close(talk.to_child[0]));
    CHECK_OK(close(talk.from_child[1]));
    CHECK_ERR(EBADF, fcntl(100, F_GETFD));
    CHECK_EQ(5, guest_read_all(talk.from_child[0], echo, 5));
    CHECK_MEM("early", echo, 5);
    guest_thread_start(&writer, talk_write_big, &talk.to_child[1]);
    CHECK_EQ(TALK_BIG, guest_read_all(talk.from_child[0], echo, TALK_BIG));
    guest_pattern_check(echo, TALK_BIG, 0);
    CHECK_EQ(0, read(talk.from_child[0], echo, 1));
    guest_thread_join(&writer);
    guest_thread_join(&thread);
    CHECK_OK(close(talk.from_child[0]));
    guest_close_both(fds);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        return talk_image(CODE);
    }
    guest_start();
    talk_path(path, NULL);
    for (int kind = 0; kind < 2; kind++) {
        shares_all(kind, CLONE_THREAD | CLONE_SYSVSEM);
        shares_all(kind, SIGCHLD);
    }
    for (int kind = 0; kind < TALK_KINDS; kind++) {
        thread_apart(kind, false);
        thread_apart(kind, true);
    }
    return guest_end();
}
