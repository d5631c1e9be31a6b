/*
 * Proves: a handler that leaves a blocked accept or connect by siglongjmp leaves nothing behind:
 * the socket can be used as before, and its name is free when it is closed, also for a listener
 * that then gets the connections of clients with names of their own.
 *
 * Rows: 3.2 "accept: a signal", 3.2 "connect: backlog full, a signal"
 */
#include <setjmp.h>
#include <sys/time.h>

#include "unix_names.h"

enum { ROUNDS = 3, SOON_US = 30000 };

static sigjmp_buf back;

static void jump(int signo)
{
    (void)signo;
    siglongjmp(back, 1);
}

static void alarm_soon(void)
{
    const struct itimerval soon = { .it_value = { 0, SOON_US } };
    CHECK_OK(setitimer(ITIMER_REAL, &soon, NULL));
}

static void leave_accept(int listener)
{
    if (sigsetjmp(back, 1) == 0) {
        alarm_soon();
        accept(listener, NULL, NULL);
        CHECK(!"nobody has connected");
    }
}

/* The queue is full. */
static void leave_connect(int fd, const struct unix_name *name)
{
    if (sigsetjmp(back, 1) == 0) {
        alarm_soon();
        unix_connect(fd, name);
        CHECK(!"nobody has accepted");
    }
}

static void talk(int type, const struct unix_name *name, const struct unix_name *own)
{
    int listener = unix_listener(type, name, 1), client = unix_socket(type);
    CHECK_OK(unix_bind(client, own));
    CHECK_OK(unix_connect(client, name));
    CHECK_EQ(5, write(client, "early", 5));
    int server = unix_accept(listener);
    char buffer[8];
    guest_set_nonblock(server, true); /* else a loss would be a hang */
    CHECK_EQ(5, read(server, buffer, sizeof buffer));
    unix_talk_between(client, server);
    CHECK_OK(close(listener));
    CHECK_OK(close(client));
    CHECK_OK(close(server));
}

static void jump_out(int type, enum unix_form form)
{
    const struct unix_name name = unix_named(form, "listener"), own = unix_named(form, "own");
    int listener = unix_listener(type, &name, 0), client = unix_socket(type);
    leave_accept(listener);
    int first = unix_client(type, &name);
    leave_connect(client, &name);
    int fds[2] = { first, unix_accept(listener) };
    unix_talk(fds);
    guest_close_both(fds);
    fds[0] = client;
    CHECK_OK(unix_connect(client, &name));
    fds[1] = unix_accept(listener);
    unix_talk(fds);
    guest_close_both(fds);
    leave_accept(listener);
    CHECK_OK(close(listener));
    unix_forget(&name);
    talk(type, &name, &own);
    unix_forget(&name);
    unix_forget(&own);
}

int main(void)
{
    unix_start();
    guest_on_signal(SIGALRM, jump, 0);
    for (size_t i = 0; i < sizeof unix_types / sizeof *unix_types; i++) {
        for (int round = 0; round < ROUNDS; round++) {
            jump_out(unix_types[i], UNIX_PATH);
            jump_out(unix_types[i], UNIX_ABSTRACT);
        }
    }
    return unix_end();
}
