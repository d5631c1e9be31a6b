/*
 * glib.c - a program over GLib's main loop: `glib PART`
 *
 * GIOChannels over pipes and socket pairs, g_spawn_async_with_pipes, g_unix_signal_add, sources
 * attached by other threads, contexts in threads of their own, a source of the program's own with
 * real descriptors (g_unix_fd_add). What is printed doesn't depend on order or speed.
 * Exit: 0, or 1 with what failed.
 */
#include <fcntl.h>
#include <glib-unix.h>
#include <glib.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BULK = 400 * 1024, FLOWS = 3, CHILDREN = 4, SIGNALS = 40, THREADS = 4, SENDS = 300 };

static GMainLoop *loop;
static int waiting_for; /* the loop runs until so many things have come to their end */

static void check(bool good, const char *what)
{
    if (!good) {
        fprintf(stderr, "%s failed\n", what);
        exit(1);
    }
}

static void one_ended(void)
{
    if (--waiting_for == 0)
        g_main_loop_quit(loop);
}

/* Bytes go into one channel and come out of another, which ends after the last. */
struct flow {
    GIOChannel *to, *from;
    char *bytes;
    gsize sent, received;
    GChecksum *checksum;
    int exit_code;
};

static gboolean writable(GIOChannel *to, GIOCondition condition, gpointer data)
{
    struct flow *flow = data;
    gsize size = 0;

    check((condition & ~(GIOCondition)G_IO_OUT) == 0, "writable");
    GIOStatus status = g_io_channel_write_chars(to, flow->bytes + flow->sent,
                                                (gssize)(BULK - flow->sent), &size, NULL);
    check(status == G_IO_STATUS_NORMAL || status == G_IO_STATUS_AGAIN, "write");
    flow->sent += size;
    if (flow->sent < BULK)
        return G_SOURCE_CONTINUE;
    g_io_channel_shutdown(to, FALSE, NULL);
    return G_SOURCE_REMOVE;
}

static gboolean readable(GIOChannel *from, GIOCondition condition, gpointer data)
{
    struct flow *flow = data;
    char bytes[16384];
    gsize size = 0;

    (void)condition;
    GIOStatus status = g_io_channel_read_chars(from, bytes, sizeof bytes, &size, NULL);
    check(status != G_IO_STATUS_ERROR, "read");
    flow->received += size;
    g_checksum_update(flow->checksum, (const guchar *)bytes, (gssize)size);
    if (status != G_IO_STATUS_EOF)
        return G_SOURCE_CONTINUE;
    g_io_channel_shutdown(from, FALSE, NULL);
    one_ended();
    return G_SOURCE_REMOVE;
}

static GIOChannel *channel_of(int fd)
{
    GIOChannel *channel = g_io_channel_unix_new(fd);

    g_io_channel_set_encoding(channel, NULL, NULL);
    g_io_channel_set_buffered(channel, FALSE);
    check(g_io_channel_set_flags(channel, G_IO_FLAG_NONBLOCK, NULL) == G_IO_STATUS_NORMAL, "flags");
    return channel;
}

static void flow_start(struct flow *flow, int from, int to, unsigned seed)
{
    flow->bytes = g_malloc(BULK);
    for (int i = 0; i < BULK; i++) {
        seed = seed * 1103515245 + 12345;
        flow->bytes[i] = (char)(seed >> 16);
    }
    flow->checksum = g_checksum_new(G_CHECKSUM_MD5);
    flow->from = channel_of(from);
    flow->to = channel_of(to);
    g_io_add_watch(flow->from, G_IO_IN | G_IO_HUP, readable, flow);
    g_io_add_watch(flow->to, G_IO_OUT, writable, flow);
    waiting_for++;
}

static void flow_print(const char *label, struct flow *flow)
{
    printf("%s: %zu bytes, md5 %s, exit code %d\n", label, flow->received,
           g_checksum_get_string(flow->checksum), flow->exit_code);
    g_checksum_free(flow->checksum);
    g_io_channel_unref(flow->from);
    g_io_channel_unref(flow->to);
    g_free(flow->bytes);
}

static void part_flows(void)
{
    struct flow pipes[FLOWS] = { 0 }, pairs[FLOWS] = { 0 };

    for (unsigned i = 0; i < FLOWS; i++) {
        int ends[2];

        check(g_unix_open_pipe(ends, FD_CLOEXEC, NULL), "g_unix_open_pipe");
        flow_start(&pipes[i], ends[0], ends[1], i);
        check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair");
        flow_start(&pairs[i], ends[0], ends[1], i);
    }
    g_main_loop_run(loop);
    for (int i = 0; i < FLOWS; i++) {
        flow_print("pipe", &pipes[i]);
        flow_print("pair", &pairs[i]);
    }
}

static void child_ended(GPid pid, gint status, gpointer data)
{
    struct flow *flow = data;

    flow->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    g_spawn_close_pid(pid);
    one_ended();
}

static void part_children(void)
{
    char *cat[] = { "cat", NULL };
    char *shell[] = { "sh", "-c", "cat | tr a-z A-Z; kill -9 $$", NULL };
    char *echo[] = { "sh", "-c", "echo out; echo err >&2; exit 4", NULL };
    struct flow flows[CHILDREN] = { 0 };
    char *out, *err;
    int to, from, status;
    GPid pid;

    for (unsigned i = 0; i < CHILDREN; i++) {
        check(g_spawn_async_with_pipes(NULL, i == 1 ? shell : cat, NULL,
                                       G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_SEARCH_PATH, NULL, NULL,
                                       &pid, &to, &from, NULL, NULL),
              "g_spawn_async_with_pipes");
        g_child_watch_add(pid, child_ended, &flows[i]);
        waiting_for++;
        flow_start(&flows[i], from, to, i);
    }
    g_main_loop_run(loop);
    for (int i = 0; i < CHILDREN; i++)
        flow_print("child", &flows[i]);
    check(g_spawn_sync(NULL, echo, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, &err, &status,
                       NULL),
          "g_spawn_sync");
    printf("sync: %s%s%d\n", out, err, WEXITSTATUS(status));
    g_free(out);
    g_free(err);
}

/* Signals, one after the other: from itself and from a child. */
static unsigned signals_seen;

static gboolean signalled(gpointer unused)
{
    (void)unused;
    if (++signals_seen == SIGNALS) {
        one_ended();
        return G_SOURCE_REMOVE;
    }
    if (signals_seen % 2 == 0)
        raise(SIGUSR1);
    else
        check(system("kill -USR1 $PPID") == 0, "system");
    return G_SOURCE_CONTINUE;
}

static void part_signals(void)
{
    waiting_for = 1;
    g_unix_signal_add(SIGUSR1, signalled, NULL);
    raise(SIGUSR1);
    g_main_loop_run(loop);
    printf("signals: %u\n", signals_seen);
}

/* Threads wake the loop: by sources that they attach, and by nothing but a wake-up. */
static gint calls_seen, flags_seen;
static gint flags[THREADS];

static gboolean called(gpointer unused)
{
    (void)unused;
    calls_seen++;
    one_ended();
    return G_SOURCE_REMOVE;
}

static gpointer sender(gpointer data)
{
    for (int i = 0; i < SENDS; i++)
        g_idle_add(called, NULL);
    g_atomic_int_set((gint *)data, 1);
    g_main_context_wakeup(NULL);
    return NULL;
}

/* A loop of a thread's own, which the main one wakes, and which answers through a queue. */
static gboolean double_it(gpointer data)
{
    g_async_queue_push(data, GINT_TO_POINTER(42));
    return G_SOURCE_REMOVE;
}

static gpointer serve(gpointer data)
{
    GMainLoop *own = data;

    g_main_context_push_thread_default(g_main_loop_get_context(own));
    g_main_loop_run(own);
    g_main_context_pop_thread_default(g_main_loop_get_context(own));
    return NULL;
}

static void part_threads(void)
{
    GThread *threads[THREADS];
    GMainContext *context = g_main_context_new();
    GMainLoop *own = g_main_loop_new(context, FALSE);
    GAsyncQueue *answers = g_async_queue_new();
    GThread *server = g_thread_new("server", serve, own);
    int sum = 0;

    waiting_for = THREADS * SENDS;
    for (int i = 0; i < THREADS; i++)
        threads[i] = g_thread_new("sender", sender, &flags[i]);
    g_main_loop_run(loop);
    for (int i = 0; i < THREADS; i++) {
        while (!g_atomic_int_get(&flags[i]))
            g_main_context_iteration(NULL, TRUE);
        flags_seen++;
        g_thread_join(threads[i]);
    }
    for (int i = 0; i < SENDS; i++) {
        g_main_context_invoke(context, double_it, answers);
        sum += GPOINTER_TO_INT(g_async_queue_pop(answers));
    }
    while (!g_main_loop_is_running(own))
        g_thread_yield();
    g_main_loop_quit(own);
    g_thread_join(server);
    g_async_queue_unref(answers);
    g_main_loop_unref(own);
    g_main_context_unref(context);
    printf("threads: %d calls, %d flags, sum %d\n", calls_seen, flags_seen, sum);
}

/* Descriptors of all kinds in one poll; the child process makes them ready. */
enum { MIXED_EVENT, MIXED_TIMER, MIXED_INOTIFY, MIXED_PIPE, MIXED_SOCKET, MIXED };

static gboolean mixed_readable(gint fd, GIOCondition condition, gpointer data)
{
    char bytes[512];

    *(bool *)data = condition == G_IO_IN && read(fd, bytes, sizeof bytes) > 0;
    close(fd);
    one_ended();
    return G_SOURCE_REMOVE;
}

static gboolean tick(gpointer data)
{
    if (++*(int *)data < 5)
        return G_SOURCE_CONTINUE;
    one_ended();
    return G_SOURCE_REMOVE;
}

static void make_ready(const char *folder, int event, int to_pipe, int to_socket)
{
    char *path = g_build_filename(folder, "file", NULL);
    uint64_t one = 1;

    check(g_file_set_contents(path, "x", 1, NULL) && unlink(path) == 0, "file");
    check(write(event, &one, sizeof one) == 8 && write(to_pipe, "x", 1) == 1 &&
              write(to_socket, "x", 1) == 1,
          "write");
    g_free(path);
    _exit(3);
}

static void part_mixed(void)
{
    const struct itimerspec soon = { .it_value = { .tv_nsec = 50000000 } };
    char *folder = g_dir_make_tmp("glib.XXXXXX", NULL);
    int pipe_ends[2], sockets[2], fds[MIXED], status, ticks = 0;
    bool seen[MIXED] = { false };

    check(pipe(pipe_ends) == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) == 0, "pairs");
    fds[MIXED_EVENT] = eventfd(0, 0);
    fds[MIXED_TIMER] = timerfd_create(CLOCK_MONOTONIC, 0);
    fds[MIXED_INOTIFY] = inotify_init();
    fds[MIXED_PIPE] = pipe_ends[0];
    fds[MIXED_SOCKET] = sockets[0];
    check(timerfd_settime(fds[MIXED_TIMER], 0, &soon, NULL) == 0, "timerfd_settime");
    check(inotify_add_watch(fds[MIXED_INOTIFY], folder, IN_CREATE) >= 0, "inotify");
    waiting_for = MIXED + 1;
    for (int i = 0; i < MIXED; i++)
        g_unix_fd_add(fds[i], G_IO_IN, mixed_readable, &seen[i]);
    g_timeout_add(10, tick, &ticks);
    pid_t child = fork();
    if (child == 0)
        make_ready(folder, fds[MIXED_EVENT], pipe_ends[1], sockets[1]);
    g_main_loop_run(loop);
    check(waitpid(child, &status, 0) == child, "waitpid");
    printf("mixed: %d %d %d %d %d, ticks %d, exit code %d\n", seen[0], seen[1], seen[2], seen[3],
           seen[4], ticks, WEXITSTATUS(status));
    close(pipe_ends[1]);
    close(sockets[1]);
    rmdir(folder);
    g_free(folder);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } parts[] = {
        { "flows", part_flows },     { "children", part_children }, { "signals", part_signals },
        { "threads", part_threads }, { "mixed", part_mixed },
    };

    signal(SIGPIPE, SIG_IGN);
    loop = g_main_loop_new(NULL, FALSE);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (argc == 2 && strcmp(argv[1], parts[i].name) == 0) {
            parts[i].run();
            g_main_loop_unref(loop);
            return 0;
        }
    }
    check(false, "usage: glib PART:");
}
