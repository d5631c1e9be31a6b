/*
 * unix_names.c - see unix_names.h
 */
#include "unix_names.h"

#include "glob.h"
#include "meeting.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#define PATH_AT offsetof(struct sockaddr_un, sun_path)

/* Copies the guest's address. False: it is one that the kernel refuses, and shall. */
static bool import(const void *address, int size, struct meeting_address *ret_address)
{
    memset(ret_address, 0, sizeof *ret_address);
    if (size <= (int)PATH_AT || size > (int)sizeof(struct sockaddr_un) ||
        host_copy(&ret_address->at, address, (size_t)size) < 0) {
        return false;
    }
    ret_address->size = (socklen_t)size;
    return ret_address->at.unix_name.sun_family == AF_UNIX;
}

static bool is_abstract(const struct meeting_address *address)
{
    return address->at.bytes[PATH_AT] == 0;
}

/* The key of a name that somebody has now, by whatever way it is spelled. */
static bool find_key(const struct description *description, const struct meeting_address *address,
                     struct name_key *ret_key)
{
    uint64_t device;
    uint64_t inode;

    if (is_abstract(address)) {
        *ret_key = name_of_bytes(NAME_ABSTRACT, (int)description->kind, address->at.bytes,
                                 address->size);
        return true;
    }
    if (host_file_identity(address->at.bytes + PATH_AT, &device, &inode) < 0) {
        return false;
    }
    *ret_key = name_of_file(device, inode);
    return true;
}

/* The placeholder has just been bound: who connects finds the socket by its name. */
static void enter_name(struct emu_task *self, int fd, struct description *description)
{
    struct meeting_address own = { .size = sizeof own.at };

    if (host_getsockname(fd, &own.at, &own.size) < 0 || own.size <= PATH_AT ||
        !find_key(description, &own, &description->name)) {
        return; /* the name is gone again already: nobody can connect to it */
    }
    names_lock(self);
    names_enter_locked(description); /* no room: its connections are native */
    names_unlock(self);
}

int64_t unix_bind(struct emu_task *self, int fd, struct description *description,
                  const void *address, int size)
{
    int rc;

    if (atomic_load(&description->named)) {
        return EMU_NATIVE;
    }
    rc = host_bind(fd, address, (socklen_t)size);
    if (rc == 0) {
        enter_name(self, fd, description);
    }
    return rc;
}

int64_t unix_listen(struct emu_task *self, int fd, struct description *description)
{
    if (atomic_load(&description->hidden)) {
        return -EINVAL; /* only the hidden name is bound */
    }
    if (!atomic_load(&description->named) && atomic_load(&description->phase) == PHASE_FRESH) {
        enter_name(self, fd, description); /* who bound it may have been killed before it did */
    }
    return 0;
}

/* --host-unix: may a connect leave the session? An abstract name is matched with @ for its NUL. */
static bool may_leave(const struct emu_task *self, const struct meeting_address *address)
{
    const struct emu_options *options = &self->process->options;
    char text[sizeof address->at + 1] = { 0 };

    if (self->process->gateway) {
        return true; /* it goes where the user said it shall */
    }
    if (options->host_unix != EMU_HOST_UNIX_GLOB) {
        return options->host_unix == EMU_HOST_UNIX_ALLOW;
    }
    memcpy(text, address->at.bytes + PATH_AT, address->size - PATH_AT);
    if (text[0] == 0) {
        text[0] = '@';
    }
    return glob_matches(options->host_unix_glob, text);
}

static int type_of(const struct description *description)
{
    return description->kind == DESCRIPTION_STREAM ? SOCK_STREAM : SOCK_SEQPACKET;
}

/* To a name that nobody in the session has bound, or that the kernel refuses anyway. */
static int64_t connect_outside(struct emu_task *self, int fd, struct description *description,
                               const void *address, int size)
{
    int64_t rc = wait_in_kernel(self, SYS_connect, (const long[6]){ fd, (long)address, size });

    if (rc == 0) {
        if (fdtab_get(fd) == description) { /* else it was closed meanwhile */
            emu_native_one(self, fd);
        }
        emu_report_add(self, EMU_REPORT_NATIVE, "connect", AF_UNIX, type_of(description), 0);
    }
    return rc;
}

static int64_t connect_inside(struct emu_task *self, int fd, struct description *description,
                              const struct meeting_address *address,
                              const struct description *listener)
{
    struct meeting meeting;
    int64_t rc = meeting_prepare(self, description, fd, listener, &meeting);

    if (rc < 0) {
        return rc;
    }
    rc = wait_in_kernel(self, SYS_connect,
                        (const long[6]){ fd, (long)&address->at, (long)address->size });
    if (rc < 0) {
        if (rc != -EISCONN) { /* another thread connected it, with the same server's side */
            meeting_failed(meeting);
        }
        return rc;
    }
    if (fdtab_get(fd) == description) {
        meeting_identify(description, fd);
    }
    if (!meeting_done(self, description, meeting)) {
        if (fdtab_get(fd) == description) {
            emu_native_one(self, fd);
        }
        description_mind_listener(self, meeting.server, meeting.generation);
    }
    return 0;
}

int64_t unix_connect(struct emu_task *self, int fd, struct description *description,
                     const void *address, int size)
{
    /* An option may have made it so before it has a peer: where it goes is still judged. */
    bool native = atomic_load(&description->native);
    struct description *bound;
    struct meeting_address own;
    struct name_key key;
    uint32_t at = 0;

    if (atomic_load(&description->phase) != PHASE_FRESH) {
        return EMU_NATIVE;
    }
    if (!native && meeting_resume(self, description, fd)) {
        return -EISCONN;
    }
    if (!import(address, size, &own) || !find_key(description, &own, &key)) {
        return native ? EMU_NATIVE : connect_outside(self, fd, description, address, size);
    }
    bound = names_find(key, &at);
    if (!bound && !may_leave(self, &own)) {
        emu_report_add(self, EMU_REPORT_REFUSED, "connect", AF_UNIX, type_of(description),
                       ECONNREFUSED);
        return -ECONNREFUSED;
    }
    if (bound && native) {
        return EMU_NATIVE;
    }
    if (bound && atomic_load(&bound->phase) == PHASE_LISTENING &&
        !atomic_load(&bound->handed_over) && bound->kind == description->kind) {
        return connect_inside(self, fd, description, &own, bound);
    }
    return connect_outside(self, fd, description, address, size);
}
