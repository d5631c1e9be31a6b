/*
 * Proves: a user without privilege may have as many descriptors in flight as RLIMIT_NOFILE says,
 * and one message more; then ETOOMANYREFS, with nothing sent, until some were received or dropped;
 * who has the privilege may go on. The limit is looked at before a message, not in it.
 *
 * Rows: 3.9 "in-flight descriptors of this user > RLIMIT_NOFILE"
 */
#include <sys/resource.h>

#include "creds.h"

enum { LIMIT = 64, FIRST_USER = 100000, USERS = 1000000, BUNCH = 50 };

static int channel[2];

static ssize_t send_fds(int count)
{
    int fds[BUNCH];
    for (int i = 0; i < count; i++) {
        fds[i] = 0;
    }
    return message_send(channel[0], "m", 1, fds, count);
}

static void take(int count)
{
    struct message_received received;
    message_receive(channel[1], 1, RIGHTS_ROOM(BUNCH), 0, &received);
    CHECK_EQ(count, received.fd_count);
    rights_close(&received);
}

static void one_by_one(void)
{
    for (int i = 0; i <= LIMIT; i++) {
        CHECK_EQ(1, send_fds(1));
    }
    CHECK_ERR(ETOOMANYREFS, send_fds(1));
    CHECK_EQ(1, send_fds(0)); /* what has none is no message to be counted */
    take(1);
    CHECK_EQ(1, send_fds(1));
    CHECK_ERR(ETOOMANYREFS, send_fds(1));
    int writer, witness = rights_witness(&writer);
    CHECK_ERR(ETOOMANYREFS, message_send(channel[0], "m", 1, &writer, 1));
    CHECK_OK(close(writer));
    CHECK_GONE(witness);
    CHECK_EQ(1, read(channel[1], (char[1]){ 0 }, 1)); /* dropped: not in flight any more */
    CHECK_EQ(1, send_fds(1));
}

static void in_bunches(void)
{
    CHECK_EQ(1, send_fds(BUNCH));
    CHECK_EQ(1, send_fds(BUNCH)); /* there were 50, so this one may go */
    CHECK_ERR(ETOOMANYREFS, send_fds(1));
    take(BUNCH);
    CHECK_EQ(1, send_fds(1));
    take(BUNCH);
    take(1);
}

/* Users are told apart by number: one that nobody else is. */
static void as_nobody_else(int type)
{
    const struct rlimit limit = { LIMIT, LIMIT };
    uid_t uid = FIRST_USER + (uid_t)getpid() % USERS;
    guest_pair(type, channel);
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    CHECK_OK(setresgid(uid, uid, uid));
    CHECK_OK(setresuid(uid, uid, uid));
    in_bunches();
    one_by_one();
    guest_close_both(channel);
    guest_pair(type, channel); /* all is closed: from the start */
    in_bunches();
    guest_close_both(channel);
}

static void with_privilege(void)
{
    const struct rlimit limit = { LIMIT, LIMIT };
    guest_pair(SOCK_STREAM, channel);
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(1, send_fds(BUNCH));
    }
    guest_close_both(channel);
}

int main(void)
{
    guest_start();
    if (geteuid() != 0) { /* another user's limit can't be had, and ours is shared with others */
        return guest_end();
    }
    int ways = creds_capable(CAP_SYS_ADMIN) || creds_capable(CAP_SYS_RESOURCE) ? 3 : 2;
    for (int i = 0; i < ways; i++) {
        pid_t pid = guest_fork();
        if (pid == 0) {
            if (i < 2) {
                as_nobody_else(rights_types[i]);
            } else {
                with_privilege();
            }
            _exit(0);
        }
        guest_wait_exit(pid, 0);
    }
    return guest_end();
}
