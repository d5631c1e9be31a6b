/*
 * 23 - fork while another thread holds a lock
 *
 * A thread writes log lines under a mutex; another one forks, and the child wants to log, too. When
 * the mutex was taken at that moment nobody in the child will ever release it. Fixed: fork holds
 * the mutex (pthread_atfork).
 * Shows as: deadlock, by the order of things.
 */
#include "bug.h"

#define LINES 20

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static int log_pipe[2];

static void log_line(const char *line)
{
    pthread_mutex_lock(&log_lock);
    MUST(write_all(log_pipe[1], line, strlen(line)));
    pthread_mutex_unlock(&log_lock);
}

static void lock_log(void)
{
    pthread_mutex_lock(&log_lock);
}

static void unlock_log(void)
{
    pthread_mutex_unlock(&log_lock);
}

static void *work(void *unused)
{
    (void)unused;
    for (int i = 0; i < LINES; i++) {
        work_us(200);
        log_line("thread\n");
    }
    return NULL;
}

int main(void)
{
    pthread_t worker;
    pid_t child;

    MUST(pipe(log_pipe) == 0);
    if (!BUG)
        MUST(pthread_atfork(lock_log, unlock_log, unlock_log) == 0);
    MUST(pthread_create(&worker, NULL, work, NULL) == 0);
    work_us(1100);
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        log_line("child\n");
        _exit(0);
    }
    child_must_succeed(child);
    MUST(pthread_join(worker, NULL) == 0);
    return 0;
}
