/*
 * stress_kill - members killed in the middle of their calls, and who waits for them
 *
 * Proves: a process killed by SIGKILL counts as closed. Who reads from it gets a prefix of its
 * messages, whole but for the last, and then end-of-file; who writes to it gets EPIPE (or the
 * reset), also when it was asleep; nobody sleeps for ever, whoever's child the victim was.
 *
 * Plain libc: passes on the kernel, and unchanged under the preload. In each round the victim does
 * one side of a channel and the parent the other; a third process kills the victim when the parent
 * rings, at a random place of its work. Victims are children or grandchildren, so that nobody's
 * wait() can be what wakes the parent.
 *
 * In a third of the rounds the parent waits in epoll_wait(2), level-triggered, on a set that the
 * victim has too. The victim adds, asks, changes and removes an entry of its own in it between its
 * messages, and may be killed in these; afterwards the parent does the same.
 *
 * Exit: 0; 1 with a line for what was wrong; killed by SIGALRM: somebody slept for ever.
 */
#include "stress.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    ROUND_LIMIT_S = 60,
    MESSAGES_MAX = 1000000, /* that a victim moves before it gives up: the kill comes long before */
};

/* How the parent waits for its end of the channel. */
enum waits { WAITS_BLOCKED, WAITS_POLL, WAITS_EPOLL, WAITS };

#define WORD  UINT64_C(1) /* of the parent's entry */
#define OTHER UINT64_C(2) /* of what the victim and then the parent play with */

struct round {
    uint64_t seed;
    int kind;     /* 0: pipe, else SOCK_* */
    bool writes;  /* the victim does */
    bool removed; /* it is a grandchild */
    enum waits waits;
    uint32_t after; /* messages before the bell is rung */
    uint32_t limit; /* of a message's size */
    int ours;       /* the parent's end of the channel */
    int theirs;
    int set; /* WAITS_EPOLL: `ours` is in it, and now and then other[0] */
    int other[2];
};

static unsigned char buffer[STRESS_MESSAGE_MAX];

static bool complain(const struct round *round, const char *what, long detail)
{
    static const char *const ways[WAITS] = { "", ", poll", ", epoll" };

    fprintf(stderr, "stress_kill: round seed 0x%llx (kind %d, %s victim%s%s): %s (%ld)\n",
            (unsigned long long)round->seed, round->kind, round->writes ? "writing" : "reading",
            round->removed ? ", grandchild" : "", ways[round->waits], what, detail);
    return false;
}

/* EPOLLIN is POLLIN, and so on. */
static void wait_for(const struct round *round, int fd, short events)
{
    struct pollfd one = { .fd = fd, .events = events };
    struct epoll_event told;

    if (round->waits == WAITS_POLL) {
        while (poll(&one, 1, -1) < 0 && errno == EINTR)
            ;
        return;
    }
    /* The victim's entry is never ready. */
    if (epoll_wait(round->set, &told, 1, -1) == 1 && told.data.u64 != WORD)
        complain(round, "another entry is told", (long)told.data.u64);
}

/* Adds the other pipe to the set, asks, changes it, removes it. False: what shouldn't fail did. */
static bool play_with_set(const struct round *round)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = OTHER };
    struct epoll_event told;
    const int fd = round->other[0];

    if (epoll_ctl(round->set, EPOLL_CTL_ADD, fd, &event) != 0)
        return complain(round, "EPOLL_CTL_ADD fails, errno", errno);
    if (epoll_wait(round->set, &told, 1, 0) == 1 && told.data.u64 != WORD)
        return complain(round, "another entry is told", (long)told.data.u64);
    event.events = EPOLLIN;
    if (epoll_ctl(round->set, EPOLL_CTL_MOD, fd, &event) != 0)
        return complain(round, "EPOLL_CTL_MOD fails, errno", errno);
    if (epoll_ctl(round->set, EPOLL_CTL_DEL, fd, &event) != 0)
        return complain(round, "EPOLL_CTL_DEL fails, errno", errno);
    return true;
}

/* What a victim does between messages. */
static bool play_between(const struct round *round)
{
    return round->waits != WAITS_EPOLL || play_with_set(round);
}

/* After the victim's death: its entry may be there or not, the set works. */
static bool use_set(const struct round *round)
{
    struct epoll_event told;
    const int fd = round->other[0];

    if (epoll_ctl(round->set, EPOLL_CTL_DEL, fd, &told) != 0 && errno != ENOENT)
        return complain(round, "EPOLL_CTL_DEL fails afterwards, errno", errno);
    if (!play_with_set(round))
        return false;
    if (epoll_ctl(round->set, EPOLL_CTL_ADD, fd, &(struct epoll_event){ .events = EPOLLIN }) != 0 ||
        epoll_ctl(round->set, EPOLL_CTL_DEL, round->ours, &told) != 0)
        return complain(round, "the set can't be used, errno", errno);
    if (write(round->other[1], "b", 1) != 1 || epoll_wait(round->set, &told, 1, -1) != 1)
        return complain(round, "the set tells nothing, errno", errno);
    return true;
}

static bool open_set(struct round *round)
{
    struct epoll_event event = { .events = round->writes ? EPOLLIN : EPOLLOUT, .data.u64 = WORD };

    round->set = epoll_create1(0);
    if (round->set < 0 || pipe(round->other) != 0 ||
        epoll_ctl(round->set, EPOLL_CTL_ADD, round->ours, &event) != 0)
        return complain(round, "no set, errno", errno);
    return true;
}

static void close_set(const struct round *round)
{
    close(round->set);
    close(round->other[0]);
    close(round->other[1]);
}

/* All of it, or fewer: end-of-file, an error (errno), the peer's death. */
static size_t write_all(const struct round *round, int fd, const unsigned char *data, size_t size)
{
    size_t done = 0;

    errno = 0;
    while (done < size) {
        const ssize_t result = write(fd, data + done, size - done);

        if (result < 0 && errno == EAGAIN)
            wait_for(round, fd, POLLOUT);
        else if (result <= 0)
            break;
        else
            done += (size_t)result;
    }
    return done;
}

static size_t read_all(const struct round *round, int fd, unsigned char *data, size_t size)
{
    size_t done = 0;

    errno = 0;
    while (done < size) {
        const ssize_t result = read(fd, data + done, size - done);

        if (result < 0 && errno == EAGAIN)
            wait_for(round, fd, POLLIN);
        else if (result <= 0)
            break;
        else
            done += (size_t)result;
        errno = 0;
    }
    return done;
}

/* Streams message after message. Returns how many were sent whole; rings after so many. */
static uint32_t send_messages(const struct round *round, int fd, int bell)
{
    uint64_t chance = round->seed + 1;
    uint32_t count = 0;

    for (; count < MESSAGES_MAX; count++) {
        const uint32_t size = stress_size(&chance, round->limit);

        if (bell >= 0 && count == round->after && write(bell, "k", 1) != 1)
            complain(round, "the bell fails, errno", errno);
        if (bell < 0 && !play_between(round))
            break;
        stress_make(buffer, size, round->seed, 0, count);
        if (write_all(round, fd, buffer, size) < size)
            break;
    }
    return count;
}

/* Reads messages until there is no whole one any more. False: something was wrong. */
static bool receive_messages(const struct round *round, int fd, int bell)
{
    struct stress_header header;

    for (uint32_t count = 0; count < MESSAGES_MAX; count++) {
        if (bell >= 0 && count == round->after && write(bell, "k", 1) != 1)
            return complain(round, "the bell fails, errno", errno);
        if (read_all(round, fd, buffer, sizeof header) < sizeof header)
            break;
        memcpy(&header, buffer, sizeof header);
        if (header.size < sizeof header || header.size > STRESS_MESSAGE_MAX)
            return complain(round, "a header with a wild size", header.size);
        const size_t rest = header.size - sizeof header;
        if (read_all(round, fd, buffer + sizeof header, rest) < rest)
            break;
        const char *wrong = stress_check(buffer, header.size, 0, count);
        if (wrong != NULL)
            return complain(round, wrong, count);
    }
    if (errno != 0 && errno != ECONNRESET)
        return complain(round, "the end is an error, errno", errno);
    if (read(fd, buffer, 1) != 0)
        return complain(round, "something comes behind the end", errno);
    return true;
}

/* The victim: does its side until it is killed. */
static void be_victim(const struct round *round)
{
    close(round->ours);
    if (round->writes)
        send_messages(round, round->theirs, -1);
    else
        while (play_between(round) &&
               read(round->theirs, buffer, 1 + round->seed % sizeof buffer) > 0)
            ;
    _exit(3);
}

/* Starts the victim, and kills it when the bell rings. Returns the killer's pid. */
static pid_t start_killer(const struct round *round, const int bell[2])
{
    const pid_t killer = fork();

    if (killer != 0)
        return killer;
    alarm(ROUND_LIMIT_S);
    close(bell[1]);
    const pid_t victim = fork();
    if (victim == 0) {
        close(bell[0]);
        be_victim(round);
    }
    close(round->ours);
    close(round->theirs);
    if (round->waits == WAITS_EPOLL)
        close_set(round);
    char byte;
    if (victim < 0 || read(bell[0], &byte, 1) != 1)
        _exit(2);
    kill(victim, SIGKILL);
    if (!round->removed) { /* else it stays a zombie until we are gone: nobody waits for it */
        int status = 0;

        waitpid(victim, &status, 0);
        _exit(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : 1);
    }
    read(bell[0], &byte, 1); /* until the parent has seen the end */
    _exit(0);
}

static bool open_channel(struct round *round)
{
    int fds[2];

    if (round->kind == 0 ? pipe(fds) != 0 : socketpair(AF_UNIX, round->kind, 0, fds) != 0)
        return complain(round, "no channel, errno", errno);
    round->ours = fds[round->writes ? 0 : 1];
    round->theirs = fds[round->writes ? 1 : 0];
    if (round->waits == WAITS_EPOLL && !open_set(round))
        return false;
    if (round->waits != WAITS_BLOCKED)
        fcntl(round->ours, F_SETFL, O_NONBLOCK);
    return true;
}

static bool run_round(uint64_t seed)
{
    uint64_t chance = seed;
    struct round round = { .seed = seed };
    int bell[2];
    int status = 0;

    alarm(ROUND_LIMIT_S);
    round.kind = stress_below(&chance, 2) ? SOCK_STREAM : 0;
    round.writes = stress_below(&chance, 2);
    round.removed = stress_below(&chance, 2);
    round.waits = (enum waits)stress_below(&chance, WAITS);
    round.after = stress_below(&chance, 30);
    round.limit = stress_below(&chance, 3) == 0 ? 200 : STRESS_MESSAGE_MAX;
    if (!open_channel(&round) || pipe2(bell, O_CLOEXEC) != 0)
        return false;
    const pid_t killer = start_killer(&round, bell);
    close(bell[0]);
    close(round.theirs);
    bool good = killer > 0;
    if (round.writes) {
        good = good && receive_messages(&round, round.ours, bell[1]);
    } else {
        send_messages(&round, round.ours, bell[1]);
        if (errno != EPIPE && errno != ECONNRESET)
            good = complain(&round, "the write ended with errno", errno);
    }
    if (round.waits == WAITS_EPOLL) {
        good = good && use_set(&round);
        close_set(&round);
    }
    close(bell[1]);
    close(round.ours);
    if (waitpid(killer, &status, 0) != killer || status != 0)
        good = complain(&round, "the killer's status", status);
    return good;
}

int main(int argc, char **argv)
{
    struct stress_options options = { .seed = (uint64_t)time(NULL), .rounds = 100 };
    uint32_t rounds = 0;
    bool good = true;

    if (!stress_options_parse(argc, argv, &options))
        return 1;
    signal(SIGPIPE, SIG_IGN);
    printf("stress_kill: --seed %llu --rounds %u --seconds %u\n", (unsigned long long)options.seed,
           options.rounds, options.seconds);
    fflush(stdout);
    const time_t end = time(NULL) + options.seconds;
    for (; rounds < options.rounds && good; rounds++) {
        if (options.seconds > 0 && time(NULL) >= end)
            break;
        good = run_round(options.seed + rounds);
    }
    printf("stress_kill: %u rounds, %s\n", rounds, good ? "good" : "failed");
    return good ? 0 : 1;
}
