/*
 * show.c - numbers, addresses, strings, descriptors in strace's way
 */
#include "trace/show.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "trace/objects.h"

void show_address(const struct show *show, uint64_t address)
{
    if (address == 0)
        fputs("NULL", show->out);
    else
        fprintf(show->out, "%#" PRIx64, address);
}

bool show_memory(const struct show *show, uint64_t address, void *to, size_t size)
{
    const uint8_t *bytes;

    if (memory_find(show->call, show->when, address, &bytes) < size)
        return false;
    memcpy(to, bytes, size);
    return true;
}

/* One byte as C writes it, with as few octal digits as `next` allows. */
static void print_byte(FILE *out, uint8_t byte, int next)
{
    static const char plain[] = "\\\"\f\n\r\t\v", letters[] = "\\\"fnrtv";
    const char *found = byte != 0 ? strchr(plain, byte) : NULL;

    if (found != NULL)
        fprintf(out, "\\%c", letters[found - plain]);
    else if (byte >= ' ' && byte <= '~')
        fputc(byte, out);
    else
        fprintf(out, next >= '0' && next <= '9' ? "\\%03o" : "\\%o", byte);
}

static bool wants_hex(const struct show *show, const uint8_t *bytes, size_t count)
{
    if (show->quoting != QUOTE_HEX_IF_NEEDED)
        return show->quoting == QUOTE_HEX;
    for (size_t i = 0; i < count; i++) {
        if ((bytes[i] < ' ' || bytes[i] > '~') && !isspace(bytes[i]))
            return true;
    }
    return false;
}

void show_quoted(const struct show *show, const uint8_t *bytes, size_t kept, size_t size,
                 size_t limit)
{
    const size_t known = kept < size ? kept : size;
    const size_t count = known < limit ? known : limit;
    const bool hex = wants_hex(show, bytes, count);

    fputc('"', show->out);
    for (size_t i = 0; i < count; i++) {
        if (hex)
            fprintf(show->out, "\\x%02x", bytes[i]);
        else
            print_byte(show->out, bytes[i], i + 1 < count ? bytes[i + 1] : -1);
    }
    fputs(count < size ? "\"..." : "\"", show->out);
}

void show_string(const struct show *show, uint64_t address, size_t size)
{
    const uint8_t *bytes = NULL;
    size_t kept = memory_find(show->call, show->when, address, &bytes);

    if (address == 0 || (size > 0 && kept == 0))
        show_address(show, address);
    else
        show_quoted(show, bytes, kept, size, show->string_limit);
}

static void print_fd(const struct show *show, int fd, const struct trace_fd *fds, size_t count,
                     uint64_t ns)
{
    fprintf(show->out, "%d", fd);
    if (show->paths == 0 || show->objects == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        if (fds[i].fd == fd) {
            objects_print(show->objects, &fds[i], ns, show->paths > 1, show->out);
            return;
        }
    }
}

void show_fd(const struct show *show, int fd)
{
    const struct trace_call *call = show->call;

    print_fd(show, fd, call->fds, call->fd_count, call->enter_ns);
}

void show_new_fd(const struct show *show, int fd)
{
    const struct trace_call *call = show->call;

    print_fd(show, fd, call->new_fds, call->new_fd_count, call->leave_ns);
}

int show_errno(const struct trace_call *call)
{
    return (int)(0 - (uint64_t)call->result); /* the smallest number has no opposite */
}

bool show_failed(const struct show *show)
{
    return show->when == TRACE_AT_LEAVE && show->call->result < 0;
}

static void show_error(const struct show *show, int error)
{
    const char *name = strerrorname_np(error);

    if (name == NULL || error <= 0)
        fprintf(show->out, "-1 (errno %d)", error);
    else
        fprintf(show->out, "-1 %s (%s)", error == EOPNOTSUPP ? "EOPNOTSUPP" : name,
                strerrordesc_np(error));
}

void show_result(const struct show *show)
{
    const struct trace_call *call = show->call;

    if (call->abandoned)
        fputs("? ERESTARTSYS (To be restarted if SA_RESTART is set)", show->out);
    else if (!call->left || call->native)
        fputc('?', show->out);
    else if (call->result < 0)
        show_error(show, show_errno(call));
    else
        fprintf(show->out, "%" PRId64, call->result);
}
