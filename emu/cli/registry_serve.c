/*
 * registry_serve.c - see registry_serve.h
 *
 * A caller is heard once: one record in, one record out, and the connection is closed. One that
 * connects and says nothing costs a slot; when none is free the first is dropped.
 *
 * The socket is made as NAME.PID~ and renamed when it listens: who finds NAME.PID and is refused
 * knows that it is stale.
 */
#include "registry_serve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "waits/proc.h"

#define BACKLOG 64

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now); /* a suspended machine ages too */
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* ---- Making it ---- */

/* "PROG ARG..."; what a terminal would take for more than a letter becomes '?'. */
static void note_command(char *const *argv, char ret_text[REGISTRY_COMMAND])
{
    size_t used = 0;

    for (; *argv != NULL && used < REGISTRY_COMMAND - 1; argv++) {
        for (const char *at = *argv; *at != '\0' && used < REGISTRY_COMMAND - 1; at++) {
            const unsigned char letter = (unsigned char)*at;

            ret_text[used++] = letter < ' ' || letter == 0x7f ? '?' : *at;
        }
        if (argv[1] != NULL && used < REGISTRY_COMMAND - 1)
            ret_text[used++] = ' ';
    }
    ret_text[used] = '\0';
}

/* Binds, listens, and then takes the name at which others look. */
static int put_up(int listener, const struct registry *registry, const char *name)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char file[SESSION_NAME_SIZE + 16];
    char draft[sizeof file + 1];

    snprintf(file, sizeof file, "%s.%d", name, getpid());
    snprintf(draft, sizeof draft, "%s~", file);
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", registry->folder,
             draft);
    unlinkat(registry->folder, draft, 0); /* of a dead process that had our pid */
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(listener, BACKLOG) != 0 ||
        renameat(registry->folder, draft, registry->folder, file) != 0) {
        const int error = errno;

        unlinkat(registry->folder, draft, 0);
        return -error;
    }
    return 0;
}

static int watch(const struct registry_serve *serve, int fd, uint32_t place)
{
    struct epoll_event event = { .events = EPOLLIN, .data.u32 = place };

    return epoll_ctl(serve->set, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

int registry_serve_open(struct registry_serve *serve, struct registry *registry, const char *name,
                        char *const *argv)
{
    for (int i = 0; i < REGISTRY_CALLERS; i++)
        serve->callers[i] = -1;
    serve->facts = (struct registry_answer){ .magic = "sockrig",
                                             .size = sizeof serve->facts,
                                             .supervisor = getpid() };
    snprintf(serve->facts.name, sizeof serve->facts.name, "%s", name);
    note_command(argv, serve->facts.command);
    serve->start_ns = now_ns();
    serve->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    serve->set = epoll_create1(EPOLL_CLOEXEC);
    int error = serve->listener < 0 || serve->set < 0
                    ? -errno
                    : watch(serve, serve->listener, REGISTRY_CALLERS);
    if (error == 0)
        error = put_up(serve->listener, registry, name);
    if (error == 0) {
        serve->registry = registry;
        return 0;
    }
    if (serve->listener >= 0)
        close(serve->listener);
    if (serve->set >= 0)
        close(serve->set);
    return error;
}

void registry_serve_close(struct registry_serve *serve)
{
    char file[SESSION_NAME_SIZE + 16];

    if (serve->registry == NULL)
        return;
    snprintf(file, sizeof file, "%s.%d", serve->facts.name, getpid());
    unlinkat(serve->registry->folder, file, 0);
    close(serve->listener);
    close(serve->set);
    serve->registry = NULL;
}

/* ---- Answering ---- */

static bool is_ours(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

static void drop(struct registry_serve *serve, int place)
{
    close(serve->callers[place]);
    serve->callers[place] = -1;
}

static int free_place(struct registry_serve *serve)
{
    for (int i = 0; i < REGISTRY_CALLERS; i++) {
        if (serve->callers[i] < 0)
            return i;
    }
    drop(serve, 0);
    return 0;
}

static void accept_callers(struct registry_serve *serve)
{
    for (int round = 0; round < REGISTRY_CALLERS; round++) {
        const int fd = accept4(serve->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd < 0)
            return;
        const int place = is_ours(fd) ? free_place(serve) : -1;
        if (place < 0 || watch(serve, fd, (uint32_t)place) != 0)
            close(fd);
        else
            serve->callers[place] = fd;
    }
}

/* Sends an answer, with the session's descriptors for who joins. */
static void send_answer(const struct registry_serve *serve, int fd, struct registry_answer *answer,
                        bool joins)
{
    const int fds[2] = { serve->hidden.arena, serve->hidden.bell };
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof fds)] = { 0 };
    struct iovec part = { answer, sizeof *answer };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

    if (joins) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof fds);
        memcpy(CMSG_DATA(rights), fds, sizeof fds);
        answer->hidden = serve->hidden;
    }
    sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT); /* a caller that is gone has hung up */
}

static struct registry_answer facts_now(const struct registry_serve *serve)
{
    struct registry_answer answer = serve->facts;
    struct emu_session_counts counts;

    emu_session_count(&counts);
    answer.members = counts.processes;
    answer.age_ns = now_ns() - serve->start_ns;
    return answer;
}

/* Hears one caller. Returns true when it wants the run to end: it isn't answered yet. */
static bool hear(struct registry_serve *serve, int place)
{
    struct registry_request request = { 0 };
    const ssize_t size = recv(serve->callers[place], &request, sizeof request, MSG_TRUNC);

    if (size < 0 && errno == EAGAIN)
        return false;
    if (size > 0) {
        struct registry_answer answer = facts_now(serve);
        const bool known = size == sizeof request && memcmp(request.magic, "sockrig", 8) == 0 &&
                           request.size == sizeof request;

        if (known && request.ask == REGISTRY_END)
            return true;
        if (known && request.ask == REGISTRY_LISTENER)
            answer.listens = emu_session_vsock_listener(request.cid, request.port);
        send_answer(serve, serve->callers[place], &answer, known && request.ask == REGISTRY_JOIN);
    }
    drop(serve, place);
    return false;
}

int registry_serve_step(struct registry_serve *serve)
{
    struct epoll_event events[REGISTRY_CALLERS + 1];
    int ends = -1;

    if (serve->registry == NULL)
        return -1;
    const int count = epoll_wait(serve->set, events, REGISTRY_CALLERS + 1, 0);
    for (int i = 0; i < count; i++) {
        const int place = (int)events[i].data.u32;

        if (place < REGISTRY_CALLERS && serve->callers[place] >= 0 && hear(serve, place))
            ends = serve->callers[place];
    }
    for (int i = 0; i < count; i++) {
        if (events[i].data.u32 == REGISTRY_CALLERS)
            accept_callers(serve);
    }
    return ends;
}

void registry_serve_ended(struct registry_serve *serve, int caller, const int32_t *pids,
                          size_t count)
{
    struct registry_answer answer = facts_now(serve);

    answer.ended = (uint32_t)count;
    for (size_t i = 0; i < count && i < REGISTRY_ENDED; i++) {
        answer.ended_pids[i] = pids[i];
        proc_name(pids[i], answer.ended_names[i]);
    }
    send_answer(serve, caller, &answer, false);
}
