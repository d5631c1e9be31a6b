/*
 * manager.c - see manager.h
 *
 * Order, for each message: it is printed, relayed, acted upon; then the listener lets its sender
 * go. So a notifier that waits for that (systemd's from v256 on) finds all of it done.
 *
 * Invariants: holds none of the descriptors that sockrig was started with but stderr, and stdout
 * when there is a command that may print; is no member of the session. Signals of the run are
 * blocked, as in the supervisor whose fork it is: it ends by `stop` alone.
 */
#include "notify/manager.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "notify/frame.h"
#include "notify/lines.h"
#include "notify/relay.h"
#include "waits/proc.h"

#define TERM_MS  1000 /* between SIGTERM and SIGKILL, for the command of --on-ready */
#define TREE_MAX 1024 /* processes below us that are found */

enum { FD_STOP, FD_FRAMES, FD_COMMAND, FD_COUNT };

struct manager {
    const struct notify_request *request;
    struct pollfd fds[FD_COUNT]; /* fd < 0: over, or not there yet */
    struct helper listener;
    int answers; /* to the listener */
    struct notify_relay relay;
    struct sigaction pipe_action; /* SIGPIPE's, as it was */
    pid_t command;
    bool was_ready;
    bool is_ending; /* in order */
    bool killed;    /* all is to end at once */
    bool failed;
};

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    char text[1024] = "sockrig: notify: ";
    const size_t used = strlen(text);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text + used, sizeof text - used - 1, format, arguments);
    va_end(arguments);
    strcat(text, "\n");
    if (write(STDERR_FILENO, text, strlen(text)) < 0)
        return; /* nobody reads it */
}

/* ---- The command of --on-ready ---- */

/* Takes our library out of LD_PRELOAD: run_program_set_environment() put it in front. */
static void leave_preload(const char *library)
{
    const char *value = getenv("LD_PRELOAD");
    const size_t length = strlen(library);

    if (value == NULL || strncmp(value, library, length) != 0)
        return;
    if (value[length] == '\0')
        unsetenv("LD_PRELOAD");
    else
        setenv("LD_PRELOAD", value + length + 1, 1);
}

/* In the child. Never returns. */
static void become_command(const struct manager *manager)
{
    const struct run_inherited *inherited = manager->request->inherited;

    leave_preload(manager->request->library);
    unsetenv("SOCKRIG_CID"); /* it may be PROG's; the command stands on the host */
    sigaction(SIGPIPE, &manager->pipe_action, NULL);
    sigaction(SIGCHLD, &inherited->child_action, NULL);
    sigprocmask(SIG_SETMASK, &inherited->mask, NULL);
    execl("/bin/sh", "sh", "-c", manager->request->on_ready, (char *)NULL);
    _exit(EXIT_NOT_FOUND);
}

static void start_command(struct manager *manager)
{
    const pid_t child = fork();

    if (child == 0)
        become_command(manager);
    const int pidfd = child > 0 ? (int)syscall(SYS_pidfd_open, child, 0) : -1;
    if (pidfd < 0) {
        say("--on-ready: %s", strerror(errno));
        manager->failed = true;
        return;
    }
    manager->command = child;
    manager->fds[FD_COMMAND].fd = pidfd;
}

static void end_command(struct manager *manager)
{
    int status = 0;

    close(manager->fds[FD_COMMAND].fd);
    manager->fds[FD_COMMAND].fd = -1;
    waitpid(manager->command, &status, 0);
    if (WIFSIGNALED(status))
        say("--on-ready: ended by signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        say("--on-ready: exit code %d", WEXITSTATUS(status));
}

/* The listener, the command, and whatever they started that is still below us. */
static void signal_all(int number)
{
    static int32_t pids[TREE_MAX];

    pids[0] = getpid();
    const size_t count = proc_add_descendants(pids, 1, TREE_MAX);
    for (size_t i = 1; i < count; i++)
        kill(pids[i], number);
}

static void kill_all(struct manager *manager)
{
    struct pollfd *command = &manager->fds[FD_COMMAND];

    signal_all(SIGTERM);
    signal_all(SIGCONT);
    if (command->fd >= 0)
        poll(command, 1, TERM_MS);
    signal_all(SIGKILL);
    if (command->fd >= 0)
        end_command(manager);
}

/* ---- Messages ---- */

static void print_message(const char *message, size_t size)
{
    char *text = notify_lines_text(message, size);

    if (text != NULL && write(STDERR_FILENO, text, strlen(text)) < 0)
        errno = 0; /* nobody reads it */
    free(text);
}

static void deal_with(struct manager *manager, const char *message, size_t size)
{
    print_message(message, size);
    const int error = notify_relay_send(&manager->relay, message, size);
    if (error != 0)
        say("not relayed to %s: %s", getenv("NOTIFY_SOCKET"), strerror(error));
    if (manager->was_ready || !notify_lines_have(message, size, "READY=1"))
        return;
    manager->was_ready = true;
    if (manager->request->on_ready != NULL)
        start_command(manager);
}

static void take_frame(struct manager *manager)
{
    static char message[NOTIFY_MESSAGE_MAX];
    struct pollfd *frames = &manager->fds[FD_FRAMES];
    struct frame frame;

    if (!frame_read(frames->fd, &frame, message)) { /* the listener ended */
        if (!manager->is_ending) {
            say("the listener died");
            manager->failed = true;
        }
        close(frames->fd);
        frames->fd = -1;
        return;
    }
    if (frame.kind == FRAME_TOO_LONG)
        say("a message of more than %d bytes was dropped", NOTIFY_MESSAGE_MAX);
    else
        deal_with(manager, message, frame.size);
    frame_answer(manager->answers); /* if it is gone, the next read says so */
}

static void take_stop(struct manager *manager)
{
    struct pollfd *stop = &manager->fds[FD_STOP];
    char word = *STOP_IN_ORDER;

    if (read(stop->fd, &word, 1) != 1) { /* the supervisor is gone */
        close(stop->fd);
        stop->fd = -1;
    }
    manager->killed = word == *STOP_AT_ONCE;
    if (manager->is_ending || manager->killed)
        return;
    manager->is_ending = true;
    if (write(manager->listener.lifeline, "e", 1) < 0)
        manager->failed |= errno != EPIPE;
}

static void serve(struct manager *manager)
{
    struct pollfd *fds = manager->fds;

    while (!manager->killed &&
           (!manager->is_ending || fds[FD_FRAMES].fd >= 0 || fds[FD_COMMAND].fd >= 0)) {
        if (poll(fds, FD_COUNT, -1) < 0)
            continue;
        if (fds[FD_FRAMES].revents != 0)
            take_frame(manager);
        if (fds[FD_COMMAND].revents != 0)
            end_command(manager);
        if (fds[FD_STOP].revents != 0)
            take_stop(manager);
    }
}

/* ---- Start ---- */

static int compare_fds(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* See the top. */
static void let_go(const struct manager *manager, int answer)
{
    const struct emu_hidden hidden = emu_session_hidden();
    int kept[] = { manager->fds[FD_STOP].fd, answer, hidden.arena, hidden.bell, hidden.log };
    const size_t count = sizeof kept / sizeof kept[0];
    unsigned int next = 3;
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    dup2(null, STDIN_FILENO);
    if (manager->request->on_ready == NULL)
        dup2(null, STDOUT_FILENO);
    qsort(kept, count, sizeof kept[0], compare_fds);
    for (size_t i = 0; i < count; i++) {
        if (kept[i] > (int)next)
            close_range(next, (unsigned int)kept[i] - 1, 0);
        if (kept[i] >= (int)next)
            next = (unsigned int)kept[i] + 1;
    }
    close_range(next, ~0u, 0);
}

static int start_listener(struct manager *manager, char *ret_port)
{
    const char *const arguments[] = { "sockrig", "notify-listener", manager->request->form, NULL };
    const char *const environment[] = { "SOCKRIG_CID", NULL }; /* it stands on the host */
    int frames[2], answers[2];

    if (pipe2(frames, O_CLOEXEC) != 0 || pipe2(answers, O_CLOEXEC) != 0) {
        snprintf(ret_port, HELPER_MESSAGE, "pipe: %s", strerror(errno));
        return EXIT_OWN_FAILURE;
    }
    const struct helper_command command = {
        .arguments = arguments, .environment = environment, .input = answers[0], .output = frames[1]
    };
    const int result = helper_start(&command, manager->request->inherited, &manager->listener,
                                    ret_port);
    close(answers[0]);
    close(frames[1]);
    manager->fds[FD_FRAMES].fd = frames[0];
    manager->answers = answers[1];
    return result;
}

/* Whom the messages are relayed to, and where PROG finds us. */
static void start(struct manager *manager, struct manager_answer *ret_answer)
{
    const char *outer = getenv("NOTIFY_SOCKET");
    char port[HELPER_MESSAGE];

    if (start_listener(manager, port) != 0) {
        snprintf(ret_answer->reason, sizeof ret_answer->reason, "%.500s", port);
        return;
    }
    snprintf(ret_answer->socket, sizeof ret_answer->socket, "%s:2:%.10s", manager->request->form,
             port);
    const int error = credential_create(ret_answer->socket, getenv("CREDENTIALS_DIRECTORY"),
                                        ret_answer->credentials);
    if (error != 0) {
        snprintf(ret_answer->reason, sizeof ret_answer->reason, "no directory for credentials: %s",
                 strerror(error));
        helper_end(&manager->listener, NULL);
        return;
    }
    if (outer != NULL && *outer != '\0' && !notify_relay_parse(outer, &manager->relay))
        say("nothing is relayed: NOTIFY_SOCKET=%s isn't a unix datagram socket", outer);
    ret_answer->listener = manager->listener.pid;
    ret_answer->ready = true;
}

int notify_manager_main(const struct notify_request *request, int stop, int answer)
{
    static struct manager manager = { .fds = { { .fd = -1 }, { .fd = -1 }, { .fd = -1 } } };
    static struct manager_answer said;
    const struct sigaction ignore = { .sa_handler = SIG_IGN };

    for (int i = 0; i < FD_COUNT; i++)
        manager.fds[i].events = POLLIN;
    manager.request = request;
    manager.fds[FD_STOP].fd = stop;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    sigaction(SIGPIPE, &ignore, &manager.pipe_action);
    let_go(&manager, answer);
    start(&manager, &said);
    if (write(answer, &said, sizeof said) != sizeof said)
        said.ready = false; /* the supervisor is gone */
    close(answer);
    if (!said.ready)
        return EXIT_OWN_FAILURE;
    serve(&manager);
    if (manager.killed)
        kill_all(&manager);
    helper_end(&manager.listener, NULL);
    credential_remove(said.credentials);
    return manager.failed ? EXIT_OWN_FAILURE : 0;
}
