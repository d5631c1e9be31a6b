/*
 * injected.c - does what its arguments say, a call each, and prints what came of it: inject.sh
 *
 *   pipe pair records   makes two ends: near and far
 *   wN sN mN vN         write, send, sendmsg, writev of N bytes at far
 *   rN                  read of N at most at near; WN, RN: write at near, read at far
 *   poll                what near is ready for
 *   many                sendmmsg of three messages of 4 bytes from far
 *   handle              SIGUSR1 and SIGPIPE have handlers
 *   fork                a child does what follows, and we end as it does
 *   time                "slow" when 150 ms have gone by since the last time
 *   dup socket          these calls
 *
 * What arrives is compared with what was said to be sent: a byte that is lost or doubled is told.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int near = -1, far = -1;
static unsigned long sent[2], received[2]; /* by far and near; by near and far */
static volatile sig_atomic_t signals;

static void count(int number)
{
    signals = number;
}

static char *pattern(unsigned long from, size_t size)
{
    static char bytes[1 << 20];

    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)((from + i) * 37 ^ (from + i) >> 8);
    return bytes;
}

static long say(const char *call, long result)
{
    if (result < 0)
        printf("%s %s", call, strerrorname_np(errno));
    else
        printf("%s %ld", call, result);
    if (signals != 0)
        printf(" SIG%s", sigabbrev_np(signals));
    signals = 0;
    putchar('\n');
    fflush(stdout);
    return result;
}

static long send_with(char how, int fd, char *bytes, size_t size)
{
    struct iovec iov[2] = { { bytes, size / 2 }, { bytes + size / 2, size - size / 2 } };
    struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };

    switch (how) {
    case 's': return send(fd, bytes, size, MSG_NOSIGNAL);
    case 'm': return sendmsg(fd, &message, MSG_NOSIGNAL);
    case 'v': return writev(fd, iov, 2);
    default: return write(fd, bytes, size);
    }
}

static void put(char how, size_t size)
{
    int side = how == 'W';
    long result = send_with(how, side ? near : far, pattern(sent[side], size), size);

    say(how == 's' ? "send" : how == 'm' ? "sendmsg" : how == 'v' ? "writev" : "write", result);
    sent[side] += result > 0 ? (unsigned long)result : 0;
}

static void get(char how, size_t size)
{
    static char bytes[1 << 20];
    int side = how == 'R';
    long result = say("read", read(side ? far : near, bytes, size));

    if (result > 0) {
        if (memcmp(bytes, pattern(received[side], (size_t)result), (size_t)result) != 0)
            puts("OTHER BYTES");
        received[side] += (unsigned long)result;
    }
}

static void many(void)
{
    struct mmsghdr messages[3];
    struct iovec iov[3];
    long result;

    memset(messages, 0, sizeof messages);
    for (int i = 0; i < 3; i++) {
        iov[i] = (struct iovec){ pattern(sent[0], 12) + (size_t)i * 4, 4 };
        messages[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
    }
    result = say("sendmmsg", sendmmsg(far, messages, 3, 0));
    sent[0] += result > 0 ? (unsigned long)result * 4 : 0;
}

static void look(void)
{
    struct pollfd entry = { near, POLLIN | POLLRDHUP, 0 };

    if (say("poll", poll(&entry, 1, 0)) > 0)
        printf(" %s%s%s%s\n", entry.revents & POLLIN ? "IN " : "",
               entry.revents & POLLRDHUP ? "RDHUP " : "", entry.revents & POLLHUP ? "HUP " : "",
               entry.revents & POLLERR ? "ERR" : "");
}

static void tell_time(void)
{
    static struct timespec before;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if (before.tv_sec != 0)
        puts((now.tv_sec - before.tv_sec) * 1000 + (now.tv_nsec - before.tv_nsec) / 1000000 >= 150
                 ? "slow"
                 : "fast");
    before = now;
}

static void make(int result, const int fds[2])
{
    if (result < 0) {
        say("made", -1);
        exit(3);
    }
    near = fds[0];
    far = fds[1];
}

static void step(const char *word)
{
    const struct sigaction action = { .sa_handler = count };
    int fds[2], status;

    if (strcmp(word, "pipe") == 0) {
        make(pipe(fds), fds);
    } else if (strcmp(word, "pair") == 0 || strcmp(word, "records") == 0) {
        make(socketpair(AF_UNIX, word[0] == 'p' ? SOCK_STREAM : SOCK_SEQPACKET, 0, fds), fds);
    } else if (strcmp(word, "poll") == 0) {
        look();
    } else if (strcmp(word, "many") == 0) {
        many();
    } else if (strcmp(word, "handle") == 0) {
        sigaction(SIGUSR1, &action, NULL);
        sigaction(SIGPIPE, &action, NULL);
    } else if (strcmp(word, "time") == 0) {
        tell_time();
    } else if (strcmp(word, "dup") == 0) {
        say("dup", dup(near) < 0 ? -1 : 0);
    } else if (strcmp(word, "socket") == 0) {
        say("socket", socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? -1 : 0);
    } else if (strcmp(word, "fork") == 0) {
        pid_t child = fork();

        if (child > 0) {
            waitpid(child, &status, 0);
            exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
        }
    } else if (strchr("rR", word[0])) {
        get(word[0], strtoul(word + 1, NULL, 10));
    } else {
        put(word[0], strtoul(word + 1, NULL, 10));
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        step(argv[i]);
    return 0;
}
