/*
 * Proves: a server that speaks first, or says nothing, and closes at once, be it before connect()
 * has returned in the client: each client gets all that was said, then end-of-file, while others
 * talk to an echo server through sockets that are made and closed all the time. Clients are threads
 * and processes.
 *
 * Rows: 3.2 "listen / accept / connect in several processes",
 * 3.2 "listen / accept / connect among threads", 3.2 "data over connections"
 */
#include "unix_names.h"

enum { CLIENTS = 3, ROUNDS = 150 };

enum service { SAYS, IS_SILENT, ECHOES, SERVICES };

struct job {
    struct guest_thread thread;
    int type, number;
};

static struct unix_name names[SERVICES];
static const char said[] = "now";

static void serve_one(int fd, enum service service)
{
    char buffer[16];
    if (service == SAYS) {
        CHECK_EQ(sizeof said, send(fd, said, sizeof said, MSG_NOSIGNAL));
    } else if (service == ECHOES) {
        ssize_t count = CHECK_OK(read(fd, buffer, sizeof buffer));
        CHECK_EQ(count, write(fd, buffer, (size_t)count));
    }
    CHECK_OK(close(fd));
}

/* All in one process each; ends when it is killed. */
static pid_t serve(int type, enum service service)
{
    int listener = unix_listener(type, &names[service], 2);
    pid_t pid = guest_fork();
    if (pid == 0) {
        for (;;) {
            serve_one(unix_accept(listener), service);
        }
    }
    CHECK_OK(close(listener));
    return pid;
}

static void ask(int type, enum service service, int value)
{
    char buffer[16];
    int fd = unix_client(type, &names[service]);
    if (service == SAYS) {
        CHECK_EQ(sizeof said, recv(fd, buffer, sizeof buffer, 0));
        CHECK_MEM(said, buffer, sizeof said);
    } else if (service == ECHOES) {
        int back = 0;
        CHECK_EQ(sizeof value, write(fd, &value, sizeof value));
        CHECK_EQ(sizeof back, read(fd, &back, sizeof back));
        CHECK_EQ(value, back);
    }
    CHECK_EQ(0, recv(fd, buffer, sizeof buffer, 0));
    CHECK_OK(close(fd));
}

static void *ask_all(void *argument)
{
    const struct job *job = argument;
    for (int round = 0; round < ROUNDS; round++) {
        ask(job->type, (enum service)((round + job->number) % SERVICES),
            job->number * ROUNDS + round);
    }
    return NULL;
}

static void day(int type, bool is_process)
{
    static const char *const words[] = { "says", "silent", "echoes" };
    struct job jobs[CLIENTS];
    pid_t servers[SERVICES], clients[CLIENTS];
    for (enum service service = SAYS; service < SERVICES; service++) {
        names[service] = unix_abstract(words[service]);
        servers[service] = serve(type, service);
    }
    for (int i = 0; i < CLIENTS; i++) {
        jobs[i] = (struct job){ .type = type, .number = i };
        if (!is_process) {
            guest_thread_start(&jobs[i].thread, ask_all, &jobs[i]);
        } else if ((clients[i] = guest_fork()) == 0) {
            ask_all(&jobs[i]);
            _exit(0);
        }
    }
    for (int i = 0; i < CLIENTS; i++) {
        if (is_process) {
            guest_wait_exit(clients[i], 0);
        } else {
            guest_thread_join(&jobs[i].thread);
        }
    }
    for (enum service service = SAYS; service < SERVICES; service++) {
        CHECK_OK(kill(servers[service], SIGKILL));
        guest_wait_killed(servers[service], SIGKILL);
    }
}

int main(void)
{
    unix_start();
    for (int i = 0; i < 2; i++) {
        day(unix_types[i], false);
        day(unix_types[i], true);
    }
    return unix_end();
}
