/*
 * man2_device.c - /dev/vsock: stat(2), access(2) and what open(2) needs for a path that the machine
 * may lack
 *
 * The one place that knows the path, in every spelling that is lexically the same, absolute or
 * relative to /dev or /: no links, no "..". /dev/null, a device of the same owner, mode and
 * directory, stands in: the call is made on it, so that errors are the kernel's, and the answer is
 * put right.
 *
 * stat and access make the guest's own call first: a path that was looked up has been read by the
 * kernel, and can be read here. All but the device's costs a look at the first characters.
 *
 * Leaves out: links to the device, readlink, directories that list it, file actions of posix_spawn
 * (ENOENT), and whatever changes the file system (unlink, chmod, ...), which is the machine's.
 */
#include "real.h"

#include <string.h>
#include <sys/sysmacros.h>

#define MISC_MAJOR   10
#define VSOCK_MINOR  121 /* Linux gives it any that is free */
#define DEVICE_INODE 0x76736f636bu

/* What comes behind slashes and "." components. */
static const char *skip_here(const char *at)
{
    for (;;) {
        if (*at == '/') {
            at++;
        } else if (*at == '.' && at[1] == '/') {
            at += 2;
        } else {
            return at;
        }
    }
}

/* Steps over a whole component. */
static bool step_component(const char **at, const char *name)
{
    size_t size = strlen(name);

    if (strncmp(*at, name, size) != 0 || ((*at)[size] != '/' && (*at)[size] != 0)) {
        return false;
    }
    *at += size;
    return true;
}

/* True when the directory that a relative path starts from is `path`. */
static bool is_directory(int directory, const char *path)
{
    struct stat base;
    struct stat wanted;
    long rc = directory == AT_FDCWD ? RAW2(SYS_stat, ".", &base)
                                    : RAW2(SYS_fstat, directory, &base);

    return rc == 0 && RAW2(SYS_stat, path, &wanted) == 0 && base.st_dev == wanted.st_dev &&
           base.st_ino == wanted.st_ino;
}

/* True when the path names the device, or something below it (*ret_below). */
static bool names_device(int directory, const char *path, bool *ret_below)
{
    const char *at = skip_here(path);
    bool in_dev = step_component(&at, "dev");

    at = in_dev ? skip_here(at) : at;
    if ((!in_dev && *path == '/') || !step_component(&at, "vsock")) {
        return false;
    }
    *ret_below = *at != 0;
    return *path == '/' || is_directory(directory, in_dev ? "/" : "/dev");
}

/* What to use instead of a path that names the device (or what is below it); "" is ENOENT. */
static const char *stand_in(bool below)
{
    struct emu_task *self = session_ensure() ? route_enter() : NULL;
    enum emu_device device = EMU_DEVICE_NATIVE;

    if (self) {
        device = emu_device_policy(self);
        route_exit(self);
    }
    switch (device) {
    case EMU_DEVICE_OURS: return below ? DEVICE_STAND_IN "/" : DEVICE_STAND_IN;
    case EMU_DEVICE_NONE: return "";
    default: return NULL;
    }
}

const char *device_instead(int directory, const char *path)
{
    bool below = false;

    return EMU_UNLIKELY(names_device(directory, path, &below)) ? stand_in(below) : NULL;
}

int device_place(int fd)
{
    struct emu_task *self = fd >= 0 ? route_enter() : NULL;
    int64_t result;

    if (!self) {
        return fd;
    }
    result = emu_device_place(self, fd);
    if (result >= 0) {
        session_first_descriptor();
    }
    return (int)route_leave(self, result);
}

/* ---- stat ---- */

/* The kernel says nothing else of a file that is or isn't there, and not before it has the path. */
static inline bool was_looked_up(long result)
{
    return result == 0 || result == -ENOENT || result == -ENOTDIR || result == -EACCES;
}

/* What the call is made on instead, once the kernel has said `result`: NULL for any other path. */
static inline const char *looked_at(int directory, const char *path, int flags, long result)
{
    if (EMU_UNLIKELY(!was_looked_up(result))) {
        return NULL;
    }
    if (EMU_UNLIKELY(!path || *path == 0)) {
        return flags & AT_EMPTY_PATH && emu_fd_is_device(directory) ? DEVICE_STAND_IN : NULL;
    }
    if (EMU_LIKELY(*path == '/' ? path[1] != 'd' && path[1] != '/' && path[1] != '.'
                                : *path != 'v' && *path != 'd' && *path != '.')) {
        return NULL;
    }
    return device_instead(directory, path);
}

/* The answer for /dev/null becomes that for /dev/vsock. */
static void correct(struct stat *status)
{
    status->st_mode = S_IFCHR | 0666;
    status->st_uid = 0;
    status->st_gid = 0;
    status->st_nlink = 1;
    status->st_ino = DEVICE_INODE;
    status->st_rdev = makedev(MISC_MAJOR, VSOCK_MINOR);
}

static int stat_instead(const char *instead, struct stat *ret_status, int flags)
{
    long result = RAW4(SYS_newfstatat, AT_FDCWD, instead, ret_status, flags & ~AT_EMPTY_PATH);

    if (result == 0) {
        correct(ret_status);
    }
    return PLAIN(result);
}

static inline int finish_stat(int directory, const char *path, struct stat *ret_status, int flags,
                              long result)
{
    const char *instead = looked_at(directory, path, flags, result);

    return EMU_UNLIKELY(instead != NULL) ? stat_instead(instead, ret_status, flags) : PLAIN(result);
}

int wrap_fstatat(int directory, const char *path, struct stat *ret_status, int flags)
{
    return finish_stat(directory, path, ret_status, flags,
                       RAW4(SYS_newfstatat, directory, path, ret_status, flags));
}

int wrap_stat(const char *path, struct stat *ret_status)
{
    return finish_stat(AT_FDCWD, path, ret_status, 0, RAW2(SYS_stat, path, ret_status));
}

int wrap_lstat(const char *path, struct stat *ret_status)
{
    return finish_stat(AT_FDCWD, path, ret_status, AT_SYMLINK_NOFOLLOW,
                       RAW2(SYS_lstat, path, ret_status));
}

/* Placeholders answer for themselves; the hidden ones mustn't be seen by who tries them all. */
int wrap_fstat(int fd, struct stat *ret_status)
{
    if (session_hides(fd) && !route_in_spawned_child()) {
        return route_error(-EBADF);
    }
    if (EMU_UNLIKELY(emu_fd_is_device(fd)) && !route_in_spawned_child()) {
        return stat_instead(DEVICE_STAND_IN, ret_status, 0);
    }
    return PLAIN(RAW2(SYS_fstat, fd, ret_status));
}

/* What programs linked against a glibc before 2.33 call. `version`: _STAT_VER, 0 or 1 here. */
static bool is_version(int version)
{
    return version == 0 || version == 1;
}

int wrap_fxstat(int version, int fd, struct stat *ret_status)
{
    return is_version(version) ? wrap_fstat(fd, ret_status) : (int)route_error(-EINVAL);
}

int wrap_xstat(int version, const char *path, struct stat *ret_status)
{
    return is_version(version) ? wrap_stat(path, ret_status) : (int)route_error(-EINVAL);
}

int wrap_lxstat(int version, const char *path, struct stat *ret_status)
{
    return is_version(version) ? wrap_lstat(path, ret_status) : (int)route_error(-EINVAL);
}

int wrap_fxstatat(int version, int directory, const char *path, struct stat *ret_status, int flags)
{
    return is_version(version) ? wrap_fstatat(directory, path, ret_status, flags)
                               : (int)route_error(-EINVAL);
}

int wrap_statx(int directory, const char *path, int flags, unsigned int mask,
               struct statx *ret_status)
{
    long result = RAW5(SYS_statx, directory, path, flags, mask, ret_status);
    const char *instead;

    if (EMU_UNLIKELY(result == -ENOSYS)) {
        return real_statx()(directory, path, flags, mask, ret_status); /* libc asks by fstatat */
    }
    instead = looked_at(directory, path, flags, result);
    if (EMU_LIKELY(!instead)) {
        return PLAIN(result);
    }
    result = RAW5(SYS_statx, AT_FDCWD, instead, flags & ~AT_EMPTY_PATH, mask, ret_status);
    if (result == 0) {
        ret_status->stx_mode = S_IFCHR | 0666;
        ret_status->stx_uid = 0;
        ret_status->stx_gid = 0;
        ret_status->stx_nlink = 1;
        ret_status->stx_ino = DEVICE_INODE;
        ret_status->stx_rdev_major = MISC_MAJOR;
        ret_status->stx_rdev_minor = VSOCK_MINOR;
    }
    return PLAIN(result);
}

/* ---- access ---- */

/* The device is everybody's to read and write, and nobody's to run. */
static int answer_access(int directory, const char *path, int mode, int flags, long result)
{
    const char *instead = looked_at(directory, path, flags, result);

    if (EMU_LIKELY(!instead)) {
        return PLAIN(result);
    }
    result = RAW3(SYS_faccessat, AT_FDCWD, instead, F_OK);
    return PLAIN(result == 0 && mode & X_OK ? -EACCES : result);
}

int wrap_access(const char *path, int mode)
{
    return answer_access(AT_FDCWD, path, mode, 0, RAW2(SYS_access, path, mode));
}

int wrap_faccessat(int directory, const char *path, int mode, int flags)
{
    long result = flags == 0 ? RAW3(SYS_faccessat, directory, path, mode)
                             : RAW4(SYS_faccessat2, directory, path, mode, flags);

    if (EMU_UNLIKELY(result == -ENOSYS)) {
        return real_faccessat()(directory, path, mode, flags); /* libc looks at the mode itself */
    }
    return answer_access(directory, path, mode, flags, result);
}

int wrap_euidaccess(const char *path, int mode)
{
    return wrap_faccessat(AT_FDCWD, path, mode, AT_EACCESS);
}

/* ---- posix_spawn ---- */

/* A spawned child opens inside libc, with our memory: rather nothing than the machine's device. */
int wrap_spawn_addopen(posix_spawn_file_actions_t *actions, int fd, const char *path, int flags,
                       mode_t mode)
{
    const char *opened = device_instead(AT_FDCWD, path) ? "" : path;

    return real_posix_spawn_file_actions_addopen()(actions, fd, opened, flags, mode);
}

#define SYMBOLS_DEVICE
#include "export.h"
