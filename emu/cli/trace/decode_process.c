/*
 * decode_process.c - what the recording says of tasks, as strace prints it
 *
 * None of these is an emulated call, so less is known of them: of a fork its child, of a wait its
 * outcome, of execve no environment.
 */
#include "trace/decode_process.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "trace/names.h"

const char *process_name(const struct trace_call *call)
{
    switch (call->kind) {
    case TRACE_FORK: return call->words[0] == TRACE_FORK_SPAWN ? "vfork" : "fork";
    case TRACE_EXEC: return "execve";
    case TRACE_EXIT: return call->words[0] != 0 ? "exit_group" : "exit";
    case TRACE_WAITED: return "wait4";
    default: return NULL;
    }
}

static void show_text(const struct show *show, const struct trace_chunk *chunk)
{
    const char *text = chunk->data;
    const size_t length = chunk->size > 0 ? strnlen(text, chunk->size) : 0;

    show_quoted(show, (const uint8_t *)text, length, length, SIZE_MAX);
}

/* execve's path, then its arguments. */
static void show_exec(const struct show *show)
{
    const struct trace_call *call = show->call;

    for (size_t i = 0; i < call->chunk_count; i++) {
        if (i == 1)
            fprintf(show->out, "%s[", show->between);
        else if (i > 1)
            fputs(", ", show->out);
        show_text(show, &call->chunks[i]);
    }
    if (call->chunk_count < 2)
        fprintf(show->out, "%s[", show->between);
    if (call->cut)
        fputs(call->chunk_count > 1 ? ", ..." : "...", show->out);
    fprintf(show->out, "]%sNULL", show->between);
}

static void show_wait_status(const struct show *show, int status)
{
    if (WIFEXITED(status)) {
        fprintf(show->out, "[{WIFEXITED(s) && WEXITSTATUS(s) == %d}]", WEXITSTATUS(status));
    } else {
        fputs("[{WIFSIGNALED(s) && WTERMSIG(s) == ", show->out);
        print_signal(show->out, WTERMSIG(status));
        fputs(WCOREDUMP(status) ? " && WCOREDUMP(s)}]" : "}]", show->out);
    }
}

void process_arguments(const struct show *show)
{
    const struct trace_call *call = show->call;

    switch (call->kind) {
    case TRACE_EXEC: show_exec(show); break;
    case TRACE_EXIT: fprintf(show->out, "%d", (int)call->words[1]); break;
    case TRACE_WAITED:
        fprintf(show->out, "%d%s", (int)call->words[0], show->between);
        show_wait_status(show, (int)call->words[1]);
        fprintf(show->out, "%s0%sNULL", show->between, show->between);
        break;
    default: break;
    }
}

void process_result(const struct show *show)
{
    const struct trace_call *call = show->call;

    if (call->kind == TRACE_EXIT)
        fputc('?', show->out);
    else if (call->kind == TRACE_WAITED)
        fprintf(show->out, "%d", (int)call->words[0]);
    else if (call->kind == TRACE_EXEC && !call->left)
        fputc('0', show->out); /* only one that fails comes back */
    else
        show_result(show);
}

/* ---- Signals ---- */

static void show_code(const struct show *show, const siginfo_t *info)
{
    static const struct {
        int signal, code; /* signal 0: any */
        const char *name;
    } codes[] = {
        { 0, SI_USER, "SI_USER" },
        { 0, SI_KERNEL, "SI_KERNEL" },
        { 0, SI_QUEUE, "SI_QUEUE" },
        { 0, SI_TIMER, "SI_TIMER" },
        { 0, SI_TKILL, "SI_TKILL" },
        { 0, SI_SIGIO, "SI_SIGIO" },
        { SIGCHLD, CLD_EXITED, "CLD_EXITED" },
        { SIGCHLD, CLD_KILLED, "CLD_KILLED" },
        { SIGCHLD, CLD_DUMPED, "CLD_DUMPED" },
        { SIGCHLD, CLD_STOPPED, "CLD_STOPPED" },
        { SIGCHLD, CLD_CONTINUED, "CLD_CONTINUED" },
        { SIGIO, POLL_IN, "POLL_IN" },
        { SIGIO, POLL_OUT, "POLL_OUT" },
        { SIGIO, POLL_MSG, "POLL_MSG" },
        { SIGIO, POLL_ERR, "POLL_ERR" },
        { SIGIO, POLL_PRI, "POLL_PRI" },
        { SIGIO, POLL_HUP, "POLL_HUP" },
        { SIGSEGV, SEGV_MAPERR, "SEGV_MAPERR" },
        { SIGSEGV, SEGV_ACCERR, "SEGV_ACCERR" },
    };

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i].code == info->si_code &&
            (codes[i].signal == 0 || codes[i].signal == info->si_signo)) {
            fputs(codes[i].name, show->out);
            return;
        }
    }
    fprintf(show->out, "%#x", (unsigned)info->si_code);
}

static void show_child(const struct show *show, const siginfo_t *info)
{
    fprintf(show->out, ", si_pid=%d, si_uid=%u, si_status=", info->si_pid, info->si_uid);
    if (info->si_code == CLD_EXITED)
        fprintf(show->out, "%d", info->si_status);
    else
        print_signal(show->out, info->si_status);
    fprintf(show->out, ", si_utime=%ld, si_stime=%ld", (long)info->si_utime, (long)info->si_stime);
}

static siginfo_t signal_info(const struct trace_call *call)
{
    siginfo_t info;

    memset(&info, 0, sizeof info);
    if (call->chunk_count > 0 && call->chunks[0].size > 0)
        memcpy(&info, call->chunks[0].data,
               call->chunks[0].size < sizeof info ? call->chunks[0].size : sizeof info);
    return info;
}

int process_signal_number(const struct trace_call *call)
{
    return signal_info(call).si_signo;
}

/* Who sent it, or where it came from: depends on signal and code. */
static void show_source(const struct show *show, const siginfo_t *info)
{
    if (info->si_signo == SIGCHLD && info->si_code > 0) {
        show_child(show, info);
    } else if (info->si_code == SI_USER || info->si_code == SI_TKILL || info->si_code == SI_QUEUE) {
        fprintf(show->out, ", si_pid=%d, si_uid=%u", info->si_pid, info->si_uid);
        if (info->si_code == SI_QUEUE)
            fprintf(show->out, ", si_int=%d, si_ptr=%#" PRIx64, info->si_int,
                    (uint64_t)(uintptr_t)info->si_ptr);
    } else if (info->si_signo == SIGSEGV || info->si_signo == SIGBUS) {
        fputs(", si_addr=", show->out);
        show_address(show, (uint64_t)(uintptr_t)info->si_addr);
    } else if (info->si_code >= POLL_IN && info->si_code <= POLL_HUP) {
        fprintf(show->out, ", si_band=%ld, si_fd=%d", info->si_band, info->si_fd);
    }
}

void process_signal(const struct show *show)
{
    const siginfo_t info = signal_info(show->call);

    fputs("{si_signo=", show->out);
    print_signal(show->out, info.si_signo);
    fputs(", si_code=", show->out);
    show_code(show, &info);
    show_source(show, &info);
    fputc('}', show->out);
}
