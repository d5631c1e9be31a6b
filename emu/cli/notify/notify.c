/*
 * notify.c - see notify.h
 */
#include "notify/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "notify/manager.h"

static int refuse(char *ret_message, const char *why)
{
    snprintf(ret_message, HELPER_MESSAGE, "%s", why);
    return EXIT_OWN_FAILURE;
}

/* Waits for the answer: the manager's limits are helper_start()'s. */
static int take_answer(int from, pid_t *ret_listener, char *ret_message)
{
    struct manager_answer answer;
    size_t size = 0;

    while (size < sizeof answer) {
        const ssize_t got = read(from, (char *)&answer + size, sizeof answer - size);

        if (got == 0 || (got < 0 && errno != EINTR))
            return refuse(ret_message, "it died");
        size += got > 0 ? (size_t)got : 0;
    }
    if (!answer.ready)
        return refuse(ret_message, answer.reason);
    if (setenv("NOTIFY_SOCKET", answer.socket, 1) != 0 ||
        setenv("CREDENTIALS_DIRECTORY", answer.credentials, 1) != 0)
        return refuse(ret_message, strerror(errno));
    *ret_listener = answer.listener;
    return 0;
}

/* Closes the ends that the child has, whatever happens; the stop pipe's other end on failure. */
static int start(const struct notify_request *request, const int *stop, const int *answer,
                 struct notify *ret_notify, char *ret_message)
{
    fflush(NULL);
    const pid_t manager = fork();
    if (manager == 0) {
        close(stop[1]);
        close(answer[0]);
        _exit(notify_manager_main(request, stop[0], answer[1]));
    }
    close(answer[1]); /* so that its end is seen here */
    if (manager < 0) {
        close(stop[1]);
        return refuse(ret_message, strerror(errno));
    }
    struct notify notify = { .manager = manager, .stop = stop[1] };
    int result = take_answer(answer[0], &notify.listener, ret_message);
    notify.pidfd = (int)syscall(SYS_pidfd_open, manager, 0);
    if (result == 0 && notify.pidfd < 0)
        result = refuse(ret_message, strerror(errno));
    if (result == 0) {
        *ret_notify = notify;
        return 0;
    }
    notify_hurry(&notify);
    notify_end(&notify);
    return result;
}

int notify_start(const struct notify_request *request, struct notify *ret_notify, char *ret_message)
{
    int stop[2], answer[2];

    if (pipe2(stop, O_CLOEXEC) != 0)
        return refuse(ret_message, strerror(errno));
    if (pipe2(answer, O_CLOEXEC) != 0) {
        const int error = errno;

        close(stop[0]);
        close(stop[1]);
        return refuse(ret_message, strerror(error));
    }
    const int result = start(request, stop, answer, ret_notify, ret_message);
    close(stop[0]);
    close(answer[0]);
    return result;
}

/* The run is at its end, so SIGPIPE is none of PROG's any more. */
static void tell(struct notify *notify, const char *word)
{
    signal(SIGPIPE, SIG_IGN);
    if (notify->manager != 0 && write(notify->stop, word, 1) < 0)
        return; /* it is gone already: notify_end() finds out how */
}

int notify_finish(struct notify *notify)
{
    tell(notify, STOP_IN_ORDER);
    return notify->manager != 0 ? notify->pidfd : -1;
}

void notify_hurry(struct notify *notify)
{
    tell(notify, STOP_AT_ONCE);
}

bool notify_end(struct notify *notify)
{
    int status = 0;

    if (notify->manager == 0)
        return true;
    close(notify->stop);
    close(notify->pidfd);
    if (waitpid(notify->manager, &status, 0) != notify->manager)
        status = -1;
    *notify = (struct notify){ 0 };
    return status == 0;
}
