/*
 * libuv.c - a program over libuv: `libuv PART`, each part a loop of its own
 *
 * Bytes through uv_pipe_t over pipes and socket pairs, children with UV_CREATE_PIPE, signals, work
 * and wake-ups from other threads, real descriptors among emulated ones, another process with a
 * loop of its own. What is printed doesn't depend on order or speed: sums, counts, yes and no.
 * Exit: 0, or 1 with the call that failed.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

enum { BULK = 512 * 1024, CHUNK = 24 * 1024, FLOWS = 4, ROUNDS = 2000, SIGNALS = 50, SENDS = 500 };

static uv_loop_t loop;

static void check(int result, const char *call)
{
    if (result < 0) {
        fprintf(stderr, "%s: %s\n", call, uv_strerror(result));
        exit(1);
    }
}

static void run_to_the_end(void)
{
    check(uv_run(&loop, UV_RUN_DEFAULT), "uv_run");
    check(uv_loop_close(&loop), "uv_loop_close");
}

static uint64_t sum_of(uint64_t sum, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ (unsigned char)bytes[i]) * 1099511628211u; /* FNV-1a */
    return sum;
}

static void close_it(void *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* BULK bytes go into `to`, chunk by chunk, and come out of `from`. */
struct flow {
    uv_pipe_t to, from;
    uv_write_t write;
    uv_shutdown_t shutdown;
    uv_process_t child;
    char chunk[CHUNK], room[65536];
    bool socket; /* `to` is one and can be shut down; libuv's pipes to children are pairs, too */
    uint32_t seed;
    size_t sent, received;
    uint64_t sum;
    int64_t exit_code;
};

static void send_more(struct flow *flow);

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_room)
{
    struct flow *flow = handle->data;

    (void)suggested;
    *ret_room = uv_buf_init(flow->room, sizeof flow->room);
}

static void received(uv_stream_t *stream, ssize_t size, const uv_buf_t *room)
{
    struct flow *flow = stream->data;

    if (size < 0) {
        if (size != UV_EOF)
            check((int)size, "read");
        close_it(stream);
        return;
    }
    flow->received += (size_t)size;
    flow->sum = sum_of(flow->sum, room->base, (size_t)size);
}

static void all_sent(uv_shutdown_t *request, int status)
{
    check(status, "shutdown");
    close_it(request->handle);
}

static void sent(uv_write_t *request, int status)
{
    check(status, "write");
    send_more(request->handle->data);
}

static void send_more(struct flow *flow)
{
    uv_buf_t chunk = uv_buf_init(flow->chunk, CHUNK);

    if (flow->sent >= BULK && !flow->socket) {
        close_it(&flow->to);
        return;
    }
    if (flow->sent >= BULK) {
        check(uv_shutdown(&flow->shutdown, (uv_stream_t *)&flow->to, all_sent), "uv_shutdown");
        return;
    }
    if (chunk.len > BULK - flow->sent)
        chunk.len = BULK - flow->sent;
    for (size_t i = 0; i < chunk.len; i++) {
        flow->seed = flow->seed * 1103515245 + 12345;
        flow->chunk[i] = (char)(flow->seed >> 16);
    }
    flow->sent += chunk.len;
    check(uv_write(&flow->write, (uv_stream_t *)&flow->to, &chunk, 1, sent), "uv_write");
}

static struct flow *flow_new(uint32_t number)
{
    struct flow *flow = calloc(1, sizeof *flow);

    check(flow == NULL ? UV_ENOMEM : 0, "calloc");
    flow->seed = number;
    flow->socket = true;
    check(uv_pipe_init(&loop, &flow->to, 0), "uv_pipe_init");
    check(uv_pipe_init(&loop, &flow->from, 0), "uv_pipe_init");
    flow->to.data = flow->from.data = flow->child.data = flow;
    return flow;
}

static void flow_start(struct flow *flow)
{
    check(uv_read_start((uv_stream_t *)&flow->from, give_room, received), "uv_read_start");
    send_more(flow);
}

static void flow_print(const char *label, struct flow *flow)
{
    printf("%s: %zu bytes, sum %llx, exit code %lld\n", label, flow->received,
           (unsigned long long)flow->sum, (long long)flow->exit_code);
    free(flow);
}

static void part_flows(bool sockets)
{
    struct flow *flows[FLOWS];

    for (int i = 0; i < FLOWS; i++) {
        int ends[2];

        if (sockets)
            check(uv_socketpair(SOCK_STREAM, 0, ends, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE),
                  "uv_socketpair");
        else
            check(uv_pipe(ends, UV_NONBLOCK_PIPE, UV_NONBLOCK_PIPE), "uv_pipe");
        flows[i] = flow_new((uint32_t)i);
        flows[i]->socket = sockets;
        check(uv_pipe_open(&flows[i]->from, ends[0]), "uv_pipe_open");
        check(uv_pipe_open(&flows[i]->to, ends[1]), "uv_pipe_open");
        flow_start(flows[i]);
    }
    run_to_the_end();
    for (int i = 0; i < FLOWS; i++)
        flow_print(sockets ? "pair" : "pipe", flows[i]);
}

static void ended(uv_process_t *child, int64_t exit_code, int signal)
{
    struct flow *flow = child->data;

    flow->exit_code = signal != 0 ? -signal : exit_code;
    close_it(child);
}

static void flow_spawn(struct flow *flow, char *const *command)
{
    uv_stdio_container_t stdio[3] = {
        { .flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&flow->to },
        { .flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&flow->from },
        { .flags = UV_INHERIT_FD, .data.fd = 2 },
    };
    uv_process_options_t options = {
        .file = command[0],
        .args = (char **)command,
        .exit_cb = ended,
        .stdio = stdio,
        .stdio_count = 3,
    };

    check(uv_spawn(&loop, &flow->child, &options), "uv_spawn");
}

static void part_spawn(void)
{
    char *const cat[] = { "cat", NULL };
    char *const shell[] = { "sh", "-c", "cat | tr a-z A-Z; exit 9", NULL };
    char *const missing[] = { "/nonexistent", NULL };
    struct flow *flows[FLOWS];
    uv_process_t none;
    uv_process_options_t options = { .file = missing[0], .args = (char **)missing };

    for (int i = 0; i < FLOWS; i++) {
        flows[i] = flow_new((uint32_t)i);
        flow_spawn(flows[i], i == 1 ? shell : cat);
        flow_start(flows[i]);
    }
    printf("missing: %s\n", uv_err_name(uv_spawn(&loop, &none, &options)));
    close_it(&none);
    run_to_the_end();
    for (int i = 0; i < FLOWS; i++)
        flow_print("child", flows[i]);
}

static void kill_it(uv_timer_t *timer)
{
    struct flow *flow = timer->data;

    check(uv_process_kill(&flow->child, SIGKILL), "uv_process_kill");
    close_it(timer);
}

static void part_kill(void)
{
    char *const sleeper[] = { "sleep", "100", NULL };
    struct flow *flow = flow_new(0);
    uv_timer_t timer = { .data = flow };

    flow_spawn(flow, sleeper);
    check(uv_read_start((uv_stream_t *)&flow->from, give_room, received), "uv_read_start");
    check(uv_timer_init(&loop, &timer), "uv_timer_init");
    check(uv_timer_start(&timer, kill_it, 50, 0), "uv_timer_start");
    close_it(&flow->to);
    run_to_the_end();
    flow_print("killed", flow);
}

/* Signals of the process itself and of a child of its; each comes alone, so that none is lost. */
static unsigned signals_seen;

static void signalled(uv_signal_t *handle, int number)
{
    (void)number;
    if (++signals_seen == SIGNALS)
        close_it(handle);
    else if (signals_seen % 2 == 0)
        check(uv_kill(getpid(), SIGUSR1), "uv_kill");
    else
        check(system("kill -USR1 $PPID"), "system");
}

static void part_signals(void)
{
    uv_signal_t handle;

    check(uv_signal_init(&loop, &handle), "uv_signal_init");
    check(uv_signal_start(&handle, signalled, SIGUSR1), "uv_signal_start");
    check(uv_kill(getpid(), SIGUSR1), "uv_kill");
    run_to_the_end();
    printf("signals: %u\n", signals_seen);
}

/* Threads wake the loop: uv_async_send() may join wake-ups, so the work to do is counted apart. */
static struct {
    uv_async_t async;
    uv_mutex_t mutex;
    unsigned sent, seen, worked;
} wakes;

static void woken(uv_async_t *async)
{
    uv_mutex_lock(&wakes.mutex);
    wakes.seen = wakes.sent;
    uv_mutex_unlock(&wakes.mutex);
    if (wakes.seen == FLOWS * SENDS)
        close_it(async);
}

static void sender(void *unused)
{
    (void)unused;
    for (int i = 0; i < SENDS; i++) {
        uv_mutex_lock(&wakes.mutex);
        wakes.sent++;
        uv_mutex_unlock(&wakes.mutex);
        check(uv_async_send(&wakes.async), "uv_async_send");
    }
}

/* A blocking read on the pool's thread; another piece of work writes. */
static int work_pipe[2];

static void work_read(uv_work_t *work)
{
    char bytes[16];

    *(long *)work->data = read(work_pipe[0], bytes, sizeof bytes);
}

static void work_write(uv_work_t *work)
{
    *(long *)work->data = write(work_pipe[1], "0123456", 7);
}

static void work_done(uv_work_t *work, int status)
{
    (void)work;
    check(status, "work");
    wakes.worked++;
}

static void part_threads(void)
{
    uv_thread_t threads[FLOWS];
    uv_work_t reading, writing;
    long sizes[2] = { 0 };

    check(uv_mutex_init(&wakes.mutex), "uv_mutex_init");
    check(uv_async_init(&loop, &wakes.async, woken), "uv_async_init");
    check(uv_pipe(work_pipe, 0, 0), "uv_pipe");
    reading.data = &sizes[0], writing.data = &sizes[1];
    check(uv_queue_work(&loop, &reading, work_read, work_done), "uv_queue_work");
    check(uv_queue_work(&loop, &writing, work_write, work_done), "uv_queue_work");
    for (int i = 0; i < FLOWS; i++)
        check(uv_thread_create(&threads[i], sender, NULL), "uv_thread_create");
    run_to_the_end();
    for (int i = 0; i < FLOWS; i++)
        uv_thread_join(&threads[i]);
    close(work_pipe[0]);
    close(work_pipe[1]);
    printf("threads: %u sent, %u seen, %u worked, %ld written, %ld read\n", wakes.sent, wakes.seen,
           wakes.worked, sizes[1], sizes[0]);
}

/* Descriptors in uv_poll_t, real and emulated; a child process makes each ready. */
enum { MIXED_EVENT, MIXED_TIMER, MIXED_PIPE, MIXED_SOCKET, MIXED };

static struct {
    uv_poll_t polls[MIXED];
    uv_fs_event_t folder;
    int fds[MIXED];
    long sizes[MIXED];
    unsigned files;
} mixed;

static void ready(uv_poll_t *poll, int status, int events)
{
    long which = poll - mixed.polls;
    char bytes[64];

    check(status, "poll");
    if (events & UV_READABLE)
        mixed.sizes[which] = read(mixed.fds[which], bytes, sizeof bytes);
    close_it(poll);
}

static void file_came(uv_fs_event_t *event, const char *name, int events, int status)
{
    (void)events;
    check(status, "uv_fs_event");
    mixed.files += strcmp(name, "file") == 0;
    close_it(event);
}

static void make_ready(const char *folder, int event, int to_pipe, int to_socket)
{
    char path[256];
    uint64_t three = 3;

    snprintf(path, sizeof path, "%s/file", folder);
    FILE *file = fopen(path, "w");
    bool good = file != NULL && fclose(file) == 0 && unlink(path) == 0 &&
                write(to_pipe, "pipe", 4) == 4 && write(event, &three, sizeof three) == 8 &&
                write(to_socket, "socket", 6) == 6;
    _exit(good ? 0 : 1);
}

static void part_mixed(void)
{
    const struct itimerspec soon = { .it_value = { .tv_nsec = 50000000 } };
    char folder[] = "/tmp/libuv.XXXXXX";
    int pipe_ends[2], socket_ends[2], status;

    check(mkdtemp(folder) == NULL ? UV_EIO : 0, "mkdtemp");
    check(uv_pipe(pipe_ends, UV_NONBLOCK_PIPE, 0), "uv_pipe");
    check(uv_socketpair(SOCK_SEQPACKET, 0, socket_ends, UV_NONBLOCK_PIPE, 0), "uv_socketpair");
    mixed.fds[MIXED_EVENT] = eventfd(0, EFD_CLOEXEC);
    mixed.fds[MIXED_TIMER] = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    mixed.fds[MIXED_PIPE] = pipe_ends[0];
    mixed.fds[MIXED_SOCKET] = socket_ends[0];
    check(timerfd_settime(mixed.fds[MIXED_TIMER], 0, &soon, NULL), "timerfd_settime");
    for (int i = 0; i < MIXED; i++) {
        check(uv_poll_init(&loop, &mixed.polls[i], mixed.fds[i]), "uv_poll_init");
        check(uv_poll_start(&mixed.polls[i], UV_READABLE, ready), "uv_poll_start");
    }
    check(uv_fs_event_init(&loop, &mixed.folder), "uv_fs_event_init");
    check(uv_fs_event_start(&mixed.folder, file_came, folder, 0), "uv_fs_event_start");
    pid_t child = fork();
    if (child == 0)
        make_ready(folder, mixed.fds[MIXED_EVENT], pipe_ends[1], socket_ends[1]);
    run_to_the_end();
    check(waitpid(child, &status, 0) == child && status == 0 ? 0 : UV_EIO, "child");
    printf("mixed: eventfd %ld, timerfd %ld, pipe %ld, socket %ld, files %u\n", mixed.sizes[0],
           mixed.sizes[1], mixed.sizes[2], mixed.sizes[3], mixed.files);
    for (int i = 0; i < MIXED; i++)
        close(mixed.fds[i]);
    close(pipe_ends[1]);
    close(socket_ends[1]);
    rmdir(folder);
}

/* A number goes between two processes, each in its own loop, until it is ROUNDS. */
static struct {
    uv_pipe_t stream;
    uint32_t number, have;
    char bytes[4];
} pong;

struct pong_write { /* an answer may come before the write is reported: each has its own */
    uv_write_t request;
    uint32_t number;
};

static void pong_written(uv_write_t *request, int status)
{
    struct pong_write *write = (struct pong_write *)request;

    check(status, "write");
    if (write->number >= ROUNDS)
        close_it(request->handle);
    free(write);
}

static void pong_send(void)
{
    struct pong_write *write = malloc(sizeof *write);

    check(write == NULL ? UV_ENOMEM : 0, "malloc");
    write->number = ++pong.number;
    uv_buf_t bytes = uv_buf_init((char *)&write->number, sizeof write->number);
    check(uv_write(&write->request, (uv_stream_t *)&pong.stream, &bytes, 1, pong_written),
          "uv_write");
}

static void pong_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_room)
{
    (void)handle;
    (void)suggested;
    *ret_room = uv_buf_init(pong.bytes + pong.have, (unsigned)(sizeof pong.bytes - pong.have));
}

static void pong_received(uv_stream_t *stream, ssize_t size, const uv_buf_t *room)
{
    (void)room;
    if (size < 0) {
        close_it(stream);
        return;
    }
    pong.have += (uint32_t)size;
    if (pong.have < sizeof pong.bytes)
        return;
    pong.have = 0;
    memcpy(&pong.number, pong.bytes, sizeof pong.number);
    if (pong.number >= ROUNDS)
        close_it(stream);
    else
        pong_send();
}

static void pong_run(int fd, bool first)
{
    check(uv_loop_init(&loop), "uv_loop_init");
    check(uv_pipe_init(&loop, &pong.stream, 0), "uv_pipe_init");
    check(uv_pipe_open(&pong.stream, fd), "uv_pipe_open");
    check(uv_read_start((uv_stream_t *)&pong.stream, pong_room, pong_received), "uv_read_start");
    if (first)
        pong_send();
    run_to_the_end();
}

static void part_pong(void)
{
    int ends[2], status;

    check(uv_socketpair(SOCK_STREAM, 0, ends, 0, 0), "uv_socketpair");
    pid_t child = fork();
    close(ends[child == 0]);
    pong_run(ends[child != 0], child == 0);
    if (child == 0)
        _exit(pong.number >= ROUNDS ? 0 : 1);
    check(waitpid(child, &status, 0) == child ? 0 : UV_EIO, "waitpid");
    printf("pong: %u, status %d\n", pong.number, status);
}

int main(int argc, char **argv)
{
    const char *part = argc == 2 ? argv[1] : "";
    static const struct {
        const char *name;
        void (*run)(void);
    } parts[] = {
        { "spawn", part_spawn },     { "kill", part_kill },   { "signals", part_signals },
        { "threads", part_threads }, { "mixed", part_mixed },
    };

    if (strcmp(part, "pong") == 0) {
        part_pong();
        return 0;
    }
    check(uv_loop_init(&loop), "uv_loop_init");
    if (strcmp(part, "pipes") == 0 || strcmp(part, "pairs") == 0) {
        part_flows(strcmp(part, "pairs") == 0);
        return 0;
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (strcmp(part, parts[i].name) == 0) {
            parts[i].run();
            return 0;
        }
    }
    fprintf(stderr, "usage: libuv PART\n");
    return 1;
}
