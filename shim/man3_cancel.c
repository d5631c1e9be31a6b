/*
 * man3_cancel.c - pthread_setcanceltype(3), and asynchronous cancellation around calls
 *
 * To the kernel a call is one step: a thread whose cancellation is asynchronous ends before it or
 * behind it. Here it is many, some of them with a lock held. So such a thread is THREAD_OPEN, and
 * is deferred from a call's entry to its edge, but for its sleeps. That costs two calls of libc a
 * call, no system call; other threads don't pay.
 */
#include "real.h"

#include <pthread.h>

void route_hold_cancel(struct shim_thread *thread)
{
    int old;

    real_pthread_setcanceltype()(PTHREAD_CANCEL_DEFERRED, &old);
    thread->held = thread->held || old == PTHREAD_CANCEL_ASYNCHRONOUS;
    thread->task.signals_put_off |= thread->held; /* the edge has something to do */
}

void route_resume_cancel(struct shim_thread *thread)
{
    int old;

    thread->held = false;
    thread->task.signals_put_off = false;
    real_pthread_setcanceltype()(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
}

int wrap_pthread_setcanceltype(int type, int *ret_old)
{
    struct shim_thread *thread = &shim_thread;
    int old;
    int rc;

    if (type == PTHREAD_CANCEL_ASYNCHRONOUS && thread->state == THREAD_READY) {
        thread->state = THREAD_OPEN;
    }
    rc = real_pthread_setcanceltype()(type, &old);
    if (rc == 0 && type == PTHREAD_CANCEL_DEFERRED) {
        thread->held = false;
    }
    if (rc == 0 && ret_old) {
        *ret_old = old;
    }
    return rc;
}

#define SYMBOLS_CANCEL
#include "export.h"
