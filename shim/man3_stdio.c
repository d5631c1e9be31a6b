/*
 * man3_stdio.c - functions of libc that open descriptors inside libc
 *
 * libc itself does the work; its inner calls meet the redirected entries. Here the new number is
 * reported to the table, names that lead to an emulated descriptor make it native, and popen's
 * child is bracketed like any spawn.
 */
#include "real.h"

#include "caller.h"

#include <stdio.h>
#include <string.h>

static FILE *new_stream(FILE *stream)
{
    if (stream && shim.emulates) {
        session_new_fd(fileno(stream));
    }
    return stream;
}

/* A stream on what stands in for /dev/vsock. */
static FILE *device_stream(FILE *stream)
{
    /* If not, the number is closed: fclose() would close it again, whosever it is by then. */
    return stream && device_place(fileno(stream)) >= 0 ? stream : NULL;
}

/* From here on libc reads and writes the number itself. */
FILE *wrap_fdopen(int fd, const char *mode)
{
    net_give_to_libc(fd);
    return real_fdopen()(fd, mode);
}

int wrap_vdprintf(int fd, const char *format, va_list arguments)
{
    net_give_to_libc(fd);
    return real_vdprintf()(fd, format, arguments);
}

int wrap_dprintf(int fd, const char *format, ...)
{
    va_list arguments;
    int result;

    va_start(arguments, format);
    result = wrap_vdprintf(fd, format, arguments);
    va_end(arguments);
    return result;
}

int wrap_vdprintf_chk(int fd, int flag, const char *format, va_list arguments)
{
    net_give_to_libc(fd);
    return real___vdprintf_chk()(fd, flag, format, arguments);
}

int wrap_dprintf_chk(int fd, int flag, const char *format, ...)
{
    va_list arguments;
    int result;

    va_start(arguments, format);
    result = wrap_vdprintf_chk(fd, flag, format, arguments);
    va_end(arguments);
    return result;
}

FILE *wrap_fopen(const char *path, const char *mode)
{
    const char *instead = open_prepare(AT_FDCWD, path);

    if (instead) {
        return device_stream(real_fopen()(instead, mode));
    }
    return new_stream(real_fopen()(path, mode));
}

FILE *wrap_freopen(const char *path, const char *mode, FILE *stream)
{
    int before = shim.emulates ? fileno(stream) : -1;
    const char *instead = NULL;
    char own[32];

    if (path) {
        instead = open_prepare(AT_FDCWD, path);
    } else if (before >= 0 && emu_fd_is_emulated(before)) {
        put_decimal(stpcpy(own, "/proc/self/fd/"), before); /* what libc opens then */
        instead = open_prepare(AT_FDCWD, own);
    }
    if (instead) {
        return device_stream(real_freopen()(instead, mode, stream));
    }
    return new_stream(real_freopen()(path, mode, stream));
}

FILE *wrap_tmpfile(void)
{
    return new_stream(real_tmpfile()());
}

DIR *wrap_opendir(const char *path)
{
    const char *instead = open_prepare(AT_FDCWD, path);
    DIR *directory = real_opendir()(instead ? instead : path);

    if (directory && shim.emulates) {
        session_new_fd(dirfd(directory));
    }
    return directory;
}

int wrap_mkostemps(char *path, int suffix, int flags)
{
    return session_new_fd(real_mkostemps()(path, suffix, flags));
}

int wrap_mkstemp(char *path)
{
    return wrap_mkostemps(path, 0, 0);
}

int wrap_mkostemp(char *path, int flags)
{
    return wrap_mkostemps(path, 0, flags);
}

int wrap_mkstemps(char *path, int suffix)
{
    return wrap_mkostemps(path, suffix, 0);
}

int wrap_shm_open(const char *name, int flags, mode_t mode)
{
    return session_new_fd(real_shm_open()(name, flags, mode));
}

mqd_t wrap_mq_open(const char *name, int flags, ...)
{
    mode_t mode = 0;
    struct mq_attr *attributes = NULL;

    if (flags & O_CREAT) {
        va_list arguments;

        va_start(arguments, flags);
        mode = va_arg(arguments, mode_t);
        attributes = va_arg(arguments, struct mq_attr *);
        va_end(arguments);
    }
    return session_new_fd(real_mq_open()(name, flags, mode, attributes));
}

mqd_t wrap_mq_open_2(const char *name, int flags)
{
    if (flags & O_CREAT) {
        __chk_fail();
    }
    return session_new_fd(real_mq_open()(name, flags));
}

int wrap_posix_openpt(int flags)
{
    return session_new_fd(NATIVE4(SYS_openat, AT_FDCWD, "/dev/ptmx", flags, 0));
}

int wrap_getpt(void)
{
    return wrap_posix_openpt(O_RDWR);
}

int wrap_openpty(int *ret_master, int *ret_slave, char *ret_name, const struct termios *settings,
                 const struct winsize *size)
{
    int result = real_openpty()(ret_master, ret_slave, ret_name, settings, size);

    if (result == 0) {
        session_new_fd(*ret_master);
        session_new_fd(*ret_slave);
    }
    return result;
}

/*
 * The child of a stream that popen made: it stands behind what every stream has, the FILE and a
 * pointer to its functions (libio/iopopen.c, struct _IO_proc_file).
 */
static pid_t popen_child(const FILE *stream)
{
    pid_t child;

    memcpy(&child, (const char *)stream + sizeof *stream + sizeof(void *), sizeof child);
    return child;
}

/*
 * libc's popen takes the program's environment, and its child closes and copies descriptors while
 * it shares our memory: the environment is replaced and the thread marked meanwhile.
 */
FILE *wrap_popen(const char *command, const char *mode)
{
    real_popen_t popen_of_libc = real_popen();
    struct environment environment;
    char **before = environ;
    bool left_alone;
    FILE *stream;

    if (session_ensure()) {
        session_first_descriptor(); /* the net brings the pipe that popen makes to us */
    }
    if (!spawn_begin("/bin/sh", environ, &environment)) {
        return NULL;
    }
    environ = environment.vector;
    left_alone = caller_begin(__builtin_return_address(0));
    stream = popen_of_libc(command, mode);
    caller_resume(left_alone);
    environ = before;
    spawn_end(&environment, stream ? popen_child(stream) : -1);
    return stream;
}

int wrap_pclose(FILE *stream)
{
    int status = real_pclose()(stream);

    if (session_attached()) {
        struct emu_task *self = route_enter();

        if (self) {
            emu_process_sweep_dead(self);
            route_exit(self);
        }
    }
    return status;
}

#define SYMBOLS_STDIO
#include "export.h"
