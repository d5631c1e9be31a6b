/*
 * Proves: descriptors that are sent while other threads close, replace and reopen the same number
 * are one of the things that stood there, whole: what the kernel says it is, it does. The same
 * while other threads fork, and while a descriptor is received and its number is being reused.
 *
 * Rows: 3.9 "received fd: same open file description", 3.9 "SCM_RIGHTS: bad/closed fd EBADF"
 */
#include "rights.h"

enum { SENDS = 1500, THINGS = 3, NUMBER = 150, FORKS = 40 };

/* Pipes and a socket: what is written to `at[i]` comes out at `from[i]` alone. */
struct things {
    int at[THINGS], from[THINGS];
    struct stat status[THINGS]; /* of at[i] */
};

static struct things things;
static int channel[2];
static atomic_int stop;

static void make_things(int type)
{
    int fds[2];
    for (int i = 0; i < THINGS; i++) {
        if (i == 1) {
            guest_pair(type, fds);
        } else {
            guest_pipe(fds);
        }
        things.at[i] = fds[1];
        things.from[i] = fds[0];
        CHECK_OK(fstat(fds[1], &things.status[i]));
    }
}

/* Another thread puts each in turn onto NUMBER, with gaps. */
static void *replace(void *unused)
{
    (void)unused;
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        if (i % 5 == 4) {
            close(NUMBER);
        } else {
            CHECK_EQ(NUMBER, dup2(things.at[i % THINGS], NUMBER));
        }
        if (i % 64 == 0) {
            sched_yield();
        }
    }
    return NULL;
}

static void *fork_on(void *unused)
{
    (void)unused;
    for (int i = 0; i < FORKS; i++) {
        pid_t pid = guest_fork();
        if (pid == 0) {
            _exit(0);
        }
        guest_wait_exit(pid, 0);
    }
    return NULL;
}

/* By the kernel's word one of the things; by its deeds the same. */
static void check_which(int fd)
{
    struct stat status;
    char byte = 0;
    int which = -1;
    CHECK_OK(fstat(fd, &status));
    for (int i = 0; i < THINGS; i++) {
        if (status.st_ino == things.status[i].st_ino && status.st_dev == things.status[i].st_dev) {
            which = i;
        }
    }
    CHECK(which >= 0);
    CHECK_EQ(1, write(fd, "x", 1));
    for (int i = 0; i < THINGS; i++) {
        CHECK_EQ(i == which ? POLLIN : 0, guest_poll(things.from[i], POLLIN, 0));
    }
    CHECK_EQ(1, read(things.from[which], &byte, 1));
}

static void send_many(void)
{
    for (int i = 0; i < SENDS;) { /* bounded by the deadline */
        const int fds[] = { NUMBER, NUMBER };
        ssize_t sent = message_send(channel[0], "m", 1, fds, 1 + i % 2);
        if (sent < 0) {
            CHECK_EQ(EBADF, errno);
            sched_yield();
            continue;
        }
        struct message_received received;
        message_receive(channel[1], 1, RIGHTS_ROOM(2), i % 7 == 0 ? MSG_PEEK : 0, &received);
        CHECK_EQ(1 + i % 2, received.fd_count);
        for (int j = 0; j < received.fd_count; j++) {
            check_which(received.fds[j]);
        }
        rights_close(&received);
        if (i % 7 == 0) {
            CHECK_EQ(1, read(channel[1], (char[1]){ 0 }, 1));
        }
        i++;
    }
}

static void one_type(int type)
{
    struct guest_thread replacer, forker;
    guest_pair(type, channel);
    make_things(type);
    atomic_store(&stop, 0);
    guest_thread_start(&replacer, replace, NULL);
    guest_thread_start(&forker, fork_on, NULL);
    send_many();
    guest_thread_join(&forker);
    atomic_store(&stop, 1);
    guest_thread_join(&replacer);
    close(NUMBER);
    for (int i = 0; i < THINGS; i++) {
        CHECK_OK(close(things.at[i]));
        CHECK_EQ(0, read(things.from[i], (char[1]){ 0 }, 1)); /* nothing holds it any more */
        CHECK_OK(close(things.from[i]));
    }
    guest_close_both(channel);
}

int main(void)
{
    guest_start();
    one_type(SOCK_STREAM);
    one_type(SOCK_SEQPACKET);
    return guest_end();
}
