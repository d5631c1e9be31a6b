/*
 * Proves: descriptors passed over sockets of every sort to who isn't this program: over a pair to
 * a child, over sockets that were made past libc (a pair of datagram sockets, a stream), to a
 * static program that has inherited the pair, and to one that was found by its name. Pipe ends
 * with data in them, sockets, listeners, unconnected sockets, epoll instances and files work there
 * and here at the same time, come back, are made there and used here; no byte is lost, and what
 * is dropped there is closed.
 *
 * Rows: 3.9 "received fd: same open file description", 3.9 "unread descriptors at close"
 */
#include <sys/epoll.h>
#include <sys/mman.h>

#include "rights.h"
#include "rights_serve.h"
#include "unix_names.h"

enum { STATIC_OK = 9 };

static int channel; /* to the server */

/* ---- requests ---- */

/* Sends and takes the answer; returns the size of its text, which may have descriptors. */
static size_t ask(const void *request, size_t size, int fd, char *ret_text, int *ret_fds)
{
    char answer[SERVE_TEXT];
    CHECK_EQ(size, serve_send(channel, request, size, &fd, fd < 0 ? 0 : 1));
    ssize_t count = CHECK_OK(serve_receive(channel, answer, sizeof answer, ret_fds));
    CHECK(count >= 1);
    CHECK_EQ(*(const char *)request, answer[0]);
    memcpy(ret_text, answer + 1, (size_t)count - 1);
    return (size_t)count - 1;
}

static void ask_for(char what, int fd, const char *text)
{
    char answer[SERVE_TEXT];
    int fds[2];
    CHECK_EQ(strlen(text), ask(&what, 1, fd, answer, fds));
    CHECK_MEM(text, answer, strlen(text));
    CHECK_EQ(-1, fds[0]);
}

/* ---- what is done there ---- */

/* What was in it, and what is written later, from here and from there. */
static void pipes(void)
{
    int fds[2];
    char bytes[8];
    guest_pipe(fds);
    CHECK_EQ(7, write(fds[1], "onetwot", 7));
    CHECK_EQ(2, read(fds[0], bytes, 2));
    ask_for('r', fds[0], "etwot");
    CHECK_EQ(7, write(fds[1], "hreefou", 7));
    ask_for('w', fds[1], "");
    CHECK_EQ(1, write(fds[1], "r", 1));
    ask_for('r', fds[0], "hreef");
    CHECK_EQ(6, guest_read_all(fds[0], bytes, 6));
    CHECK_MEM("oufarr", bytes, 6);
    CHECK_EQ(0, guest_poll(fds[0], POLLIN, 0));
    CHECK_OK(close(fds[1]));
    CHECK_EQ(POLLHUP, guest_poll(fds[0], POLLIN, RIGHTS_SOON_MS));
    CHECK_OK(close(fds[0]));
}

static void *write_late(void *argument)
{
    CHECK_EQ(4, write(*(int *)argument, "late", 4));
    CHECK_OK(close(*(int *)argument));
    return NULL;
}

/* Asked for 5 bytes of a pipe with one, whose writer is a thread here: there it sleeps. */
static void sleeps_there(void)
{
    int fds[2];
    struct guest_thread thread;
    guest_pipe(fds);
    CHECK_EQ(1, write(fds[1], "1", 1));
    CHECK_EQ(1, serve_send(channel, "r", 1, &fds[0], 1));
    CHECK_OK(close(fds[0]));
    guest_thread_start(&thread, write_late, &fds[1]);
    char answer[8];
    int none[2];
    CHECK_EQ(6, serve_receive(channel, answer, sizeof answer, none));
    CHECK_MEM("r1late", answer, 6);
    guest_thread_join(&thread);
}

static void sockets(int type)
{
    int fds[2];
    char bytes[8];
    guest_pair(type, fds);
    CHECK_EQ(5, write(fds[0], "five.", 5));
    CHECK_EQ(4, write(fds[1], "back", 4));
    ask_for('r', fds[1], "five.");
    ask_for('w', fds[1], "");
    CHECK_EQ(4, recv(fds[0], bytes, 4, MSG_WAITALL));
    CHECK_MEM("back", bytes, 4);
    CHECK_EQ(3, read(fds[0], bytes, sizeof bytes));
    CHECK_MEM("far", bytes, 3);
    CHECK_EQ(POLLOUT, guest_poll(fds[0], POLLIN | POLLOUT | POLLRDHUP, 0));
    CHECK_OK(close(fds[1]));
    CHECK_EQ(POLLIN | POLLRDHUP | POLLHUP, guest_poll(fds[0], POLLIN | POLLRDHUP, RIGHTS_SOON_MS));
    CHECK_OK(close(fds[0]));
}

static void listeners(int type)
{
    struct unix_name name;
    int listener = unix_any_listener(type, 4, &name), client = unix_client(type, &name);
    CHECK_EQ(5, write(client, "five.", 5));
    ask_for('a', listener, "five.");
    CHECK_EQ(0, read(client, (char[1]){ 0 }, 1));
    CHECK_OK(close(client));
    client = unix_client(type, &name); /* ours is as good as before */
    unix_finish(client, unix_accept(listener));
    CHECK_OK(close(listener));
    client = unix_socket(type);
    CHECK_ERR(ECONNREFUSED, unix_connect(client, &name));
    CHECK_OK(close(client));
}

/* Connected there to a listener here. */
static void fresh_sockets(int type)
{
    struct unix_name name;
    char request[SERVE_TEXT] = "n", answer[SERVE_TEXT];
    int fds[2], fresh = unix_socket(type), listener = unix_any_listener(type, 4, &name);
    memcpy(request + 1, name.bytes, name.length);
    CHECK_EQ(0, ask(request, 1 + name.length, fresh, answer, fds));
    int accepted = unix_accept(listener);
    CHECK_EQ(3, read(accepted, answer, sizeof answer));
    CHECK_MEM("far", answer, 3);
    CHECK_PEER_NAME(name, fresh);
    unix_finish(fresh, accepted);
    CHECK_OK(close(listener));
}

static void epoll_instances(void)
{
    int fds[2], epoll = (int)CHECK_OK(epoll_create1(0));
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = 0x1122334455667788 };
    guest_pipe(fds);
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
    CHECK_EQ(1, write(fds[1], "x", 1));
    char answer[SERVE_TEXT];
    int none[2];
    CHECK_EQ(sizeof event.data.u64, ask("e", 1, epoll, answer, none));
    CHECK_MEM(&event.data.u64, answer, sizeof event.data.u64);
    CHECK_EQ(1, epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(1, read(fds[0], answer, 1));
    CHECK_EQ(0, epoll_wait(epoll, &event, 1, 0));
    guest_close_both(fds);
    CHECK_OK(close(epoll));
}

static void files(void)
{
    int fd = (int)CHECK_OK(memfd_create("elsewhere", 0));
    CHECK_EQ(8, write(fd, "--five..", 8));
    CHECK_EQ(2, lseek(fd, 2, SEEK_SET));
    ask_for('r', fd, "five.");
    CHECK_EQ(7, lseek(fd, 0, SEEK_CUR));
    CHECK_OK(close(fd));
}

/* ---- what comes back ---- */

static void there_and_back(void)
{
    int fds[2], back[2];
    char answer[SERVE_TEXT], bytes[8];
    guest_pipe(fds);
    CHECK_EQ(5, write(fds[1], "early", 5));
    CHECK_EQ(0, ask("b", 1, fds[0], answer, back));
    CHECK(rights_same(fds[0], back[0]));
    guest_set_nonblock(back[0], true);
    CHECK_EQ(O_NONBLOCK, fcntl(fds[0], F_GETFL));
    CHECK_OK(close(fds[0]));
    CHECK_EQ(5, read(back[0], bytes, sizeof bytes));
    CHECK_MEM("early", bytes, 5);
    CHECK_ERR(EAGAIN, read(back[0], bytes, 1));
    CHECK_OK(close(fds[1]));
    CHECK_EQ(0, read(back[0], bytes, 1));
    CHECK_OK(close(back[0]));
    guest_pair(SOCK_SEQPACKET, fds);
    CHECK_EQ(0, ask("b", 1, fds[0], answer, back));
    CHECK_OK(close(fds[0]));
    unix_finish(back[0], fds[1]);
}

static void made_there(void)
{
    int fds[2];
    char answer[SERVE_TEXT], bytes[8];
    CHECK_EQ(0, ask("m", 1, -1, answer, fds));
    CHECK_EQ(4, write(fds[1], "here", 4));
    CHECK_EQ(8, read(fds[0], bytes, sizeof bytes));
    CHECK_MEM("madehere", bytes, 8);
    CHECK_EQ(0, guest_poll(fds[0], POLLIN, 0));
    CHECK_OK(close(fds[1]));
    CHECK_EQ(0, read(fds[0], bytes, sizeof bytes));
    CHECK_OK(close(fds[0]));
    CHECK_EQ(0, ask("s", 1, -1, answer, fds));
    CHECK_EQ(4, read(fds[0], bytes, sizeof bytes));
    CHECK_EQ(0, read(fds[0], bytes, sizeof bytes));
    CHECK_ERR(EPIPE, send(fds[0], "x", 1, MSG_NOSIGNAL));
    CHECK_OK(close(fds[0]));
}

static void dropped_there(void)
{
    int writer, witness = rights_witness(&writer);
    ask_for('d', writer, "");
    CHECK_HELD(witness);
    CHECK_OK(close(writer));
    CHECK_GONE(witness);
}

static void everything(void)
{
    pipes();
    sleeps_there();
    for (int i = 0; i < 2; i++) {
        sockets(rights_types[i]);
        listeners(rights_types[i]);
        fresh_sockets(rights_types[i]);
    }
    epoll_instances();
    files();
    there_and_back();
    made_there();
    dropped_there();
}

/* ---- the ways ---- */

/*
 * A pair that no wrapper has seen, by an inline system call. False: it is caught and refused all
 * the same (Syscall User Dispatch).
 */
static bool raw_pair(int type, int fds[2])
{
    long result;
    register long protocol __asm__("rdx") = 0;
    register int *numbers __asm__("r10") = fds;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"((long)SYS_socketpair), "D"((long)AF_UNIX), "S"((long)type),
                       "r"(protocol), "r"(numbers)
                     : "rcx", "r11", "memory");
    const char *mode = getenv("SOCKRIG_TEST_MODE");
    if (result == -ENOTSUP && mode != NULL && strcmp(mode, "sud") == 0) {
        return false;
    }
    CHECK_EQ(0, result);
    return true;
}

/* fds[1] is the server's. */
static void over_a_pair(const int fds[2], bool datagrams)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(close(fds[0]));
        _exit(serve(fds[1]));
    }
    CHECK_OK(close(fds[1]));
    channel = fds[0];
    everything();
    if (datagrams) {
        CHECK_EQ(0, send(channel, "", 0, 0));
    }
    CHECK_OK(close(channel));
    guest_wait_exit(pid, 0);
}

static char static_path[PATH_MAX];

static pid_t start_static(const char *role, const char *name, int fd)
{
    char number[16];
    pid_t pid = guest_fork();
    if (pid == 0) {
        snprintf(number, sizeof number, "%d", fd);
        CHECK_EQ(0, close_range(3, (unsigned)fd - 1, 0));
        CHECK_EQ(0, close_range((unsigned)fd + 1, ~0U, 0));
        execl(static_path, static_path, role, name != NULL ? name : number,
              name != NULL ? number : NULL, (char *)NULL);
        _exit(126);
    }
    return pid;
}

static void to_an_heir(int type)
{
    int fds[2];
    guest_pair(type, fds);
    pid_t pid = start_static("here", NULL, fds[1]);
    CHECK_OK(close(fds[1]));
    channel = fds[0];
    ask_for('d', -1, ""); /* the program runs: rights_unread_exec.c is about what comes earlier */
    everything();
    CHECK_OK(close(channel));
    guest_wait_exit(pid, STATIC_OK);
}

static void by_name(void)
{
    int ready[2];
    struct unix_name name = unix_abstract("elsewhere");
    guest_pipe(ready);
    pid_t pid = start_static("serve", unix_path_of(&name) + 1, ready[1]);
    CHECK_OK(close(ready[1]));
    CHECK_EQ(1, read(ready[0], (char[1]){ 0 }, 1));
    CHECK_OK(close(ready[0]));
    channel = unix_client(SOCK_STREAM, &name);
    everything();
    CHECK_OK(close(channel));
    guest_wait_exit(pid, STATIC_OK);
}

int main(void)
{
    static const int types[] = { SOCK_DGRAM, SOCK_STREAM, SOCK_SEQPACKET };
    int fds[2];
    guest_start();
    unix_run = getpid();
    ssize_t size = CHECK_OK(readlink("/proc/self/exe", static_path, sizeof static_path - 32));
    static_path[size] = '\0';
    strcpy(strrchr(static_path, '/') + 1, "helper_rights_static");
    for (int i = 0; i < 3; i++) {
        if (raw_pair(types[i], fds)) {
            over_a_pair(fds, types[i] == SOCK_DGRAM);
        }
        if (types[i] != SOCK_DGRAM) {
            guest_pair(types[i], fds);
            over_a_pair(fds, false);
            to_an_heir(types[i]);
        }
    }
    by_name();
    return guest_end();
}
