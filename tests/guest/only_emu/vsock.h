/*
 * vsock.h: the pair driver of the AF_VSOCK guests, and the calls they all make
 *
 * A test is two functions, server and client, which meet at steps that they tell each other (say,
 * hear). Each is run three times: as two threads of one process, as two processes (fork), and as
 * two programs that know of each other by nothing but two FIFOs in a directory. Called without
 * arguments a guest does all three by itself; a script starts the two programs in two terminals:
 *
 *     GUEST --list                            a line "SERVER-CID CLIENT-CID" for each pair there is
 *     GUEST --server DIR SERVER-CID CLIENT-CID    } the cases of this pair, over DIR/to_server and
 *     GUEST --client DIR SERVER-CID CLIENT-CID    } DIR/to_client, which the script has made
 *
 * A case that names CIDs runs as two programs only: a process's CID comes from its environment when
 * it starts. Nothing sleeps to synchronise: that a side is blocked is read from /proc by its pid
 * and tid, which the sides exchange first.
 *
 * Invariant: no fd and no word on the channel is left when a case ends. AF_VSOCK is never the
 * kernel's: a guest ends first thing unless the guard denies a raw socket(AF_VSOCK).
 */
#ifndef GUEST_VSOCK_H
#define GUEST_VSOCK_H

#include "guest.h"

#include <linux/vm_sockets.h>
#include <sys/epoll.h>
#include <sys/stat.h>

enum {
    VSOCK_CREDIT = 262144, /* VSOCK_DEFAULT_BUFFER_SIZE of net/vmw_vsock/af_vsock.c */
    VSOCK_PACKET = 65536,  /* VIRTIO_VSOCK_MAX_PKT_BUF_SIZE */
    VSOCK_HOST = 2,
    VSOCK_PATH = 256,
    VSOCK_MAGIC = 0x76730000, /* the first word of a case, with its number */
};

/* Poll bits as the tables of the reference name them. */
#define VSOCK_IN  (POLLIN | POLLRDNORM)
#define VSOCK_OUT (POLLOUT | POLLWRNORM)

struct vsock_side {
    int hear_fd, say_fd;
    pid_t peer_pid, peer_tid;
    uint32_t own_cid, peer_cid;
};

typedef void vsock_function(struct vsock_side *side);

struct vsock_case {
    const char *name;
    vsock_function *server, *client;
    uint32_t server_cid, client_cid; /* 0: both are the host, and all three ways are gone */
    bool apart;                      /* not as threads: children would inherit the other side */
};

/* SIGPIPE goes to the thread that wrote, so each counts its own. */
static _Thread_local volatile sig_atomic_t vsock_sigpipes;

/* ---- words between the sides ---- */

static inline void vsock_say(struct vsock_side *side, uint32_t word)
{
    guest_write_all(side->say_fd, &word, sizeof word);
}

static inline uint32_t vsock_hear(struct vsock_side *side)
{
    uint32_t word = 0;
    if (guest_read_all(side->hear_fd, &word, sizeof word) != sizeof word) {
        guest_fail(__FILE__, __LINE__, "hear", "the other side is gone");
    }
    return word;
}

/* Both have come here. */
static inline void vsock_meet(struct vsock_side *side)
{
    vsock_say(side, VSOCK_MAGIC);
    CHECK_EQ(VSOCK_MAGIC, vsock_hear(side));
}

static inline void vsock_peer_blocked(struct vsock_side *side)
{
    guest_wait_blocked(side->peer_pid, side->peer_tid);
}

static inline void vsock_signal_peer(struct vsock_side *side, int signo)
{
    CHECK_OK(syscall(SYS_tgkill, side->peer_pid, side->peer_tid, signo));
}

/* ---- sockets ---- */

static inline struct sockaddr_vm vsock_address(uint32_t cid, uint32_t port)
{
    struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
    return address;
}

static inline int vsock_socket(int type)
{
    return (int)CHECK_OK(socket(AF_VSOCK, type, 0));
}

static inline int vsock_bind(int fd, uint32_t cid, uint32_t port)
{
    const struct sockaddr_vm address = vsock_address(cid, port);
    return bind(fd, (const struct sockaddr *)&address, sizeof address);
}

static inline int vsock_connect(int fd, uint32_t cid, uint32_t port)
{
    const struct sockaddr_vm address = vsock_address(cid, port);
    return connect(fd, (const struct sockaddr *)&address, sizeof address);
}

/* The name, or the peer's; reserved bytes must be zero and the length 16. */
static inline struct sockaddr_vm vsock_name_of(int fd, bool peer)
{
    static const unsigned char zeroes[sizeof(struct sockaddr)];
    struct sockaddr_vm name;
    socklen_t size = sizeof name;
    memset(&name, 0x5a, sizeof name);
    CHECK_OK((peer ? getpeername : getsockname)(fd, (struct sockaddr *)&name, &size));
    CHECK_EQ(16, size);
    CHECK_EQ(AF_VSOCK, name.svm_family);
    CHECK_EQ(0, name.svm_reserved1);
    CHECK_MEM(zeroes, (const unsigned char *)&name + 12, 4);
    return name;
}

static inline uint32_t vsock_port(int fd)
{
    return vsock_name_of(fd, false).svm_port;
}

static inline void vsock_check_name(const char *file, int line, struct sockaddr_vm name,
                                    uint32_t cid, uint32_t port)
{
    guest_check_eq(file, line, "cid", cid, name.svm_cid);
    guest_check_eq(file, line, "port", port, name.svm_port);
}

#define CHECK_NAME(cid, port, fd) \
    vsock_check_name(__FILE__, __LINE__, vsock_name_of(fd, false), cid, port)
#define CHECK_PEER(cid, port, fd) \
    vsock_check_name(__FILE__, __LINE__, vsock_name_of(fd, true), cid, port)
#define CHECK_NO_PEER(fd)                                                                  \
    CHECK_ERR(ENOTCONN,                                                                    \
              getpeername(fd, (struct sockaddr *)&(struct sockaddr_vm){ .svm_family = 0 }, \
                          &(socklen_t){ sizeof(struct sockaddr_vm) }))

static inline int vsock_error(int fd)
{
    int error = -1;
    socklen_t size = sizeof error;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
    return error;
}

/* All bits that poll shows now; a level-triggered epoll entry must show the same. */
static inline int vsock_bits(int fd)
{
    const int all = POLLIN | POLLPRI | POLLOUT | POLLRDHUP | POLLRDNORM | POLLRDBAND | POLLWRNORM |
                    POLLWRBAND | POLLMSG;
    struct epoll_event event = { .events = (uint32_t)all };
    int bits = guest_poll(fd, all, 0);
    int epoll = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
    int count = (int)CHECK_OK(epoll_wait(epoll, &event, 1, 0));
    CHECK_EQ(bits, count == 1 ? (int)event.events : 0);
    CHECK_OK(close(epoll));
    return bits;
}

#define CHECK_BITS(bits, fd) CHECK_EQ(bits, vsock_bits(fd))

/* A listener on a port of its own, of any CID; the other side hears the port. */
static inline int vsock_listen(struct vsock_side *side, int type, int backlog)
{
    int fd = vsock_socket(type);
    CHECK_OK(vsock_bind(fd, VMADDR_CID_ANY, VMADDR_PORT_ANY));
    CHECK_OK(listen(fd, backlog));
    vsock_say(side, vsock_port(fd));
    return fd;
}

static inline int vsock_accept(int listener)
{
    return (int)CHECK_OK(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
}

/* The server's end of a connection, made with vsock_dial() of the client. */
static inline int vsock_answer(struct vsock_side *side, int type)
{
    int listener = vsock_listen(side, type, 1);
    int fd = vsock_accept(listener);
    CHECK_OK(close(listener));
    vsock_meet(side);
    return fd;
}

static inline int vsock_dial(struct vsock_side *side, int type)
{
    int fd = vsock_socket(type | SOCK_CLOEXEC);
    uint32_t port = vsock_hear(side);
    CHECK_OK(vsock_connect(fd, side->peer_cid, port));
    vsock_meet(side);
    return fd;
}

static inline void vsock_set_int(int fd, int option, int value)
{
    CHECK_OK(setsockopt(fd, SOL_SOCKET, option, &value, sizeof value));
}

static inline void vsock_set_size(int fd, int option, uint64_t value)
{
    CHECK_OK(setsockopt(fd, AF_VSOCK, option, &value, sizeof value));
}

static inline void vsock_set_connect_timeout(int fd, int milliseconds)
{
    const struct timeval timeout = { milliseconds / 1000, milliseconds % 1000 * 1000 };
    CHECK_OK(setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &timeout, sizeof timeout));
}

/* Bytes of the pattern, blocking; position counts on. */
static inline void vsock_send_pattern(int fd, size_t size, uint64_t *position)
{
    char buffer[4096];
    while (size > 0) {
        size_t part = size < sizeof buffer ? size : sizeof buffer;
        guest_pattern_fill(buffer, part, *position);
        guest_write_all(fd, buffer, part);
        *position += part;
        size -= part;
    }
}

static inline void vsock_receive_pattern(int fd, size_t size, uint64_t *position)
{
    char buffer[4096];
    while (size > 0) {
        size_t part = size < sizeof buffer ? size : sizeof buffer;
        CHECK_EQ(part, guest_read_all(fd, buffer, part));
        guest_pattern_check(buffer, part, *position);
        *position += part;
        size -= part;
    }
}

/* Waits, bounded by the deadline, until the peer's close or shutdown has come. */
static inline void vsock_wait_bit(int fd, int bit)
{
    struct pollfd entry = { .fd = fd, .events = (short)bit };
    CHECK_EQ(1, poll(&entry, 1, -1));
    CHECK(entry.revents & bit);
}

/* ---- the driver ---- */

static inline void vsock_require_guard(void)
{
    const char *mode = getenv("SOCKRIG_TEST_MODE");
    long result;
    if (mode != NULL && strcmp(mode, "sud") == 0) {
        return; /* the call by hand is caught, too; the driver has looked */
    }
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_socket), "D"(AF_VSOCK), "S"(SOCK_STREAM), "d"(0)
                     : "rcx", "r11", "memory");
    if (result >= 0) {
        close((int)result);
        guest_fail(__FILE__, __LINE__, "guard", "a raw AF_VSOCK socket is not denied");
    }
}

static void vsock_count_sigpipe(int signo)
{
    (void)signo;
    vsock_sigpipes = vsock_sigpipes + 1;
}

/* One side of one case: greets the other, and leaves nothing behind. */
static inline void vsock_run(struct vsock_side *side, uint32_t number, vsock_function *function)
{
    vsock_say(side, VSOCK_MAGIC + number);
    vsock_say(side, (uint32_t)getpid());
    vsock_say(side, (uint32_t)guest_gettid());
    CHECK_EQ(VSOCK_MAGIC + number, vsock_hear(side));
    side->peer_pid = (pid_t)vsock_hear(side);
    side->peer_tid = (pid_t)vsock_hear(side);
    vsock_sigpipes = 0;
    function(side);
    vsock_meet(side);
}

/* The same in a process of its own. */
static inline void vsock_run_alone(struct vsock_side *side, uint32_t number,
                                   vsock_function *function)
{
    unsigned char before[GUEST_FD_WATCHED], after[GUEST_FD_WATCHED];
    guest_mark_fds(before);
    vsock_run(side, number, function);
    guest_mark_fds(after);
    CHECK_MEM(before, after, sizeof before);
}

struct vsock_thread {
    struct vsock_side side;
    uint32_t number;
    vsock_function *function;
};

static void *vsock_run_thread(void *argument)
{
    struct vsock_thread *thread = argument;
    vsock_run(&thread->side, thread->number, thread->function);
    return NULL;
}

static inline void vsock_as_threads(uint32_t number, const struct vsock_case *test)
{
    int up[2], down[2];
    struct guest_thread server;
    guest_pipe(up);
    guest_pipe(down);
    struct vsock_thread thread = { { up[0], down[1], 0, 0, VSOCK_HOST, VSOCK_HOST },
                                   number,
                                   test->server };
    struct vsock_side side = { down[0], up[1], 0, 0, VSOCK_HOST, VSOCK_HOST };
    guest_thread_start(&server, vsock_run_thread, &thread);
    vsock_run(&side, number, test->client);
    guest_thread_join(&server);
    guest_close_both(up);
    guest_close_both(down);
}

static inline void vsock_as_processes(uint32_t number, const struct vsock_case *test)
{
    int up[2], down[2];
    guest_pipe(up);
    guest_pipe(down);
    pid_t pid = guest_fork();
    bool child = pid == 0;
    int hear = child ? up[0] : down[0], say = child ? down[1] : up[1];
    CHECK_OK(close(child ? up[1] : up[0]));
    CHECK_OK(close(child ? down[0] : down[1]));
    struct vsock_side side = { hear, say, 0, 0, VSOCK_HOST, VSOCK_HOST };
    vsock_run_alone(&side, number, child ? test->server : test->client);
    if (child) {
        _exit(0);
    }
    guest_wait_exit(pid, 0);
    CHECK_OK(close(hear));
    CHECK_OK(close(say));
}

/* A program that is one side: every case of the two CIDs in turn. */
static inline void vsock_be_side(bool server, const char *directory, uint32_t server_cid,
                                 uint32_t client_cid, const struct vsock_case *tests, size_t count)
{
    char up_path[VSOCK_PATH], down_path[VSOCK_PATH];
    snprintf(up_path, sizeof up_path, "%s/to_server", directory);
    snprintf(down_path, sizeof down_path, "%s/to_client", directory);
    /* In the same order on both sides: each open waits for its other end. */
    int up = (int)CHECK_OK(open(up_path, (server ? O_RDONLY : O_WRONLY) | O_CLOEXEC));
    int down = (int)CHECK_OK(open(down_path, (server ? O_WRONLY : O_RDONLY) | O_CLOEXEC));
    struct vsock_side side = { server ? up : down,
                               server ? down : up,
                               0,
                               0,
                               server ? server_cid : client_cid,
                               server ? client_cid : server_cid };
    uint32_t done = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t of_server = tests[i].server_cid ? tests[i].server_cid : VSOCK_HOST;
        uint32_t of_client = tests[i].client_cid ? tests[i].client_cid : VSOCK_HOST;
        if (of_server != server_cid || of_client != client_cid) {
            continue;
        }
        dprintf(2, "%s: %s\n", server ? "server" : "client", tests[i].name);
        alarm(GUEST_DEADLINE_S);
        vsock_run_alone(&side, (uint32_t)i, server ? tests[i].server : tests[i].client);
        done++;
    }
    CHECK(done > 0);
    CHECK_OK(close(up));
    CHECK_OK(close(down));
}

static inline pid_t vsock_start_side(const char *program, bool server, const char *directory,
                                     uint32_t server_cid, uint32_t client_cid)
{
    char server_text[16], client_text[16];
    snprintf(server_text, sizeof server_text, "%u", server_cid);
    snprintf(client_text, sizeof client_text, "%u", client_cid);
    pid_t pid = guest_fork();
    if (pid == 0) {
        CHECK_OK(setenv("SOCKRIG_CID", server ? server_text : client_text, 1));
        execl(program, program, server ? "--server" : "--client", directory, server_text,
              client_text, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static inline void vsock_as_programs(uint32_t server_cid, uint32_t client_cid)
{
    char program[VSOCK_PATH], path[VSOCK_PATH + 16];
    char directory[] = "/tmp/sockrig-vsock-XXXXXX";
    ssize_t length = CHECK_OK(readlink("/proc/self/exe", program, sizeof program - 1));
    program[length] = '\0';
    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/to_server", directory);
    CHECK_OK(mkfifo(path, 0600));
    snprintf(path, sizeof path, "%s/to_client", directory);
    CHECK_OK(mkfifo(path, 0600));
    pid_t server = vsock_start_side(program, true, directory, server_cid, client_cid);
    pid_t client = vsock_start_side(program, false, directory, server_cid, client_cid);
    int of_server = guest_wait(server), of_client = guest_wait(client);
    CHECK_OK(unlink(path));
    snprintf(path, sizeof path, "%s/to_server", directory);
    CHECK_OK(unlink(path));
    CHECK_OK(rmdir(directory));
    CHECK_EQ(0, of_server);
    CHECK_EQ(0, of_client);
}

typedef void vsock_pair_function(uint32_t server_cid, uint32_t client_cid);

/* Calls once for each pair of CIDs that a case has. */
static inline void vsock_each_pair(const struct vsock_case *tests, size_t count,
                                   vsock_pair_function *function)
{
    for (size_t i = 0; i < count; i++) {
        bool seen = false;
        for (size_t j = 0; j < i; j++) {
            seen |= tests[j].server_cid == tests[i].server_cid &&
                    tests[j].client_cid == tests[i].client_cid;
        }
        if (!seen) {
            function(tests[i].server_cid ? tests[i].server_cid : VSOCK_HOST,
                     tests[i].client_cid ? tests[i].client_cid : VSOCK_HOST);
        }
    }
}

static void vsock_print_pair(uint32_t server_cid, uint32_t client_cid)
{
    printf("%u %u\n", server_cid, client_cid);
}

static inline void vsock_run_all(const struct vsock_case *tests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (tests[i].server_cid == 0) {
            alarm(GUEST_DEADLINE_S);
            if (!tests[i].apart) {
                dprintf(2, "threads: %s\n", tests[i].name);
                vsock_as_threads((uint32_t)i, &tests[i]);
            }
            dprintf(2, "processes: %s\n", tests[i].name);
            vsock_as_processes((uint32_t)i, &tests[i]);
        }
    }
    vsock_each_pair(tests, count, vsock_as_programs);
}

/* main() of every guest of this kind. */
static inline int vsock_main(int argc, char **argv, const struct vsock_case *tests, size_t count)
{
    guest_start();
    vsock_require_guard();
    guest_on_signal(SIGPIPE, vsock_count_sigpipe, 0);
    if (argc == 1) {
        vsock_run_all(tests, count);
    } else if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        vsock_each_pair(tests, count, vsock_print_pair);
    } else if (argc == 5 &&
               (strcmp(argv[1], "--server") == 0 || strcmp(argv[1], "--client") == 0)) {
        vsock_be_side(argv[1][2] == 's', argv[2], (uint32_t)strtoul(argv[3], NULL, 10),
                      (uint32_t)strtoul(argv[4], NULL, 10), tests, count);
    } else {
        guest_fail(__FILE__, __LINE__, "arguments", "--list, --server or --client");
    }
    return guest_end();
}

#define VSOCK_MAIN(tests)                                                        \
    int main(int argc, char **argv)                                              \
    {                                                                            \
        return vsock_main(argc, argv, (tests), sizeof(tests) / sizeof *(tests)); \
    }

#endif
