/*
 * trace_file.c - the log of a recording: making it, its header
 */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* All names one after the other: calls.def's, numbered from 1 on. */
static const char call_names[] = "\0"
#define CALL(name, group, signature, parameters, level, note) #name "\0"
#include "calls.def"
#undef CALL
    ;

enum {
    CALL_COUNT = 1
#define CALL(name, group, signature, parameters, level, note) +1
#include "calls.def"
#undef CALL
};
static_assert(CALL_COUNT <= UINT8_MAX, "struct trace_record numbers them so");

/* The file begins with it. */
static union {
    struct trace_file_header header;
    char block[TRACE_BLOCK];
} first;
static_assert(sizeof(struct trace_file_header) + sizeof call_names <= TRACE_BLOCK, "one block");

/* Where the kernel's own clock is the counter, it has found those of all CPUs to agree. */
static enum trace_clock choose_clock(void)
{
    char text[8] = "";
    int64_t fd = host_syscall(
        SYS_open, (long)"/sys/devices/system/clocksource/clocksource0/current_clocksource",
        O_RDONLY | O_CLOEXEC, 0, 0, 0, 0);

    if (fd >= 0) {
        host_read((int)fd, text, sizeof text - 1);
        host_close((int)fd);
    }
    return strncmp(text, "tsc\n", 4) == 0 ? TRACE_CLOCK_TSC : TRACE_CLOCK_MONOTONIC;
}

/* The log's path; false: too long. */
static bool path_of(const char *directory, char ret_path[PATH_MAX])
{
    size_t size = strlen(directory);

    if (size == 0 || size + sizeof "/" TRACE_LOG_NAME > PATH_MAX) {
        return false;
    }
    memcpy(ret_path, directory, size + 1);
    memcpy(ret_path + size, "/" TRACE_LOG_NAME, sizeof "/" TRACE_LOG_NAME);
    return true;
}

/* Opened for all that the session does with it, under its first number. */
static int open_log(const char *directory)
{
    char path[PATH_MAX];
    int64_t rc;

    if (!path_of(directory, path)) {
        return -ENAMETOOLONG;
    }
    rc = host_syscall(SYS_mkdir, (long)directory, 0777, 0, 0, 0, 0);
    if (rc < 0 && rc != -EEXIST) {
        return (int)rc;
    }
    return (int)host_syscall(SYS_open, (long)path, O_RDWR | O_CREAT | O_EXCL, 0600, 0, 0, 0);
}

static void set_up(struct trace_control *control, const struct emu_options *options)
{
    control->clock = choose_clock();
    control->data = options->record_bytes != 0 ? options->record_bytes : EMU_RECORD_BYTES;
    control->limit = options->record_size != 0 ? options->record_size : EMU_RECORD_SIZE;
    /* Beside the bytes of buffers: descriptors, arrays and structs. */
    control->side = ((control->data + 7) & ~7u) + EMU_TRACE_SIDE;
    control->window[0] = base_pow2_at_least(4 * control->side);
    control->window[1] = 8 * control->window[0];
    control->session = host_random();
    control->start_ticks = trace_ticks_before();
    control->start_monotonic_ns = host_now_ns();
    atomic_store(&control->end, TRACE_BLOCK);
    static_assert(2 * (EMU_RECORD_BYTES_MAX + EMU_TRACE_SIDE) <= TRACE_RECORD_MAX, "the format's");
}

static int write_header(int fd, const struct trace_control *control)
{
    struct timespec now;
    int64_t rc;

    host_syscall(SYS_clock_gettime, CLOCK_REALTIME, (long)&now, 0, 0, 0, 0);
    first.header = (struct trace_file_header){
        .magic = TRACE_MAGIC,
        .version = TRACE_VERSION,
        .size = TRACE_BLOCK,
        .session = control->session,
        .clock = control->clock,
        .data_limit = control->data,
        .start_realtime_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
        .start_ticks = control->start_ticks,
        .start_monotonic_ns = control->start_monotonic_ns,
        .call_count = CALL_COUNT,
        .names_size = sizeof call_names - 1,
    };
    memcpy(first.block + sizeof first.header, call_names, sizeof call_names - 1);
    rc = host_syscall(SYS_pwrite64, fd, (long)&first, sizeof first, 0, 0, 0);
    return rc == (int64_t)sizeof first ? 0 : rc < 0 ? (int)rc : -ENOSPC;
}

int emu_trace_create(const char *directory)
{
    int fd = open_log(directory);
    int rc;

    if (fd < 0) {
        atomic_store(&trace_control()->error, -fd); /* for who can't be told otherwise */
        return fd;
    }
    set_up(trace_control(), &arena->header.options);
    rc = write_header(fd, trace_control());
    if (rc < 0) {
        host_close(fd);
        return rc;
    }
    arena->header.hidden.log = fd;
    trace_control()->file = trace_file_of(fd);
    trace_control()->on = 1;
    return fd;
}

uint64_t trace_file_of(int fd)
{
    struct stat status;

    return host_syscall(SYS_fstat, fd, (long)&status, 0, 0, 0, 0) == 0 ? status.st_ino : 0;
}

uint64_t emu_trace_file(void)
{
    return trace_control()->file;
}

void emu_trace_look(struct emu_trace_state *ret_state)
{
    const struct trace_control *control = trace_control();

    *ret_state = (struct emu_trace_state){
        .on = control->on != 0,
        .stopped = atomic_load(&control->stopped),
        .error = atomic_load(&control->error),
        .bytes = atomic_load(&control->end),
        .lost = atomic_load(&control->lost),
        .tasks = atomic_load(&control->tasks),
        .limit = control->limit,
        .data_limit = control->data,
        .clock = control->clock,
        .start_ticks = control->start_ticks,
        .start_monotonic_ns = control->start_monotonic_ns,
    };
}
