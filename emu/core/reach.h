/*
 * reach.h - can the preloaded library follow into a program?
 *
 * The loader of glibc honours LD_PRELOAD in dynamic x86-64 programs that gain no privilege. All
 * others run past us: static ones, other libcs and architectures, setuid and capabilities. Go makes
 * its own system calls even where libc is loaded.
 */
#ifndef EMU_REACH_H
#define EMU_REACH_H

#include <stddef.h>

enum reach_verdict {
    REACH_OK,            /* the preload works there */
    REACH_NOT_A_PROGRAM, /* missing, a directory, no format we know: exec itself will say */
    REACH_STATIC,
    REACH_GO,
    REACH_CLASS,      /* not a 64-bit x86-64 program */
    REACH_LIBC,       /* a loader other than glibc's */
    REACH_PRIVILEGED, /* setuid, setgid, file capabilities: the loader drops LD_PRELOAD */
    REACH_UNREADABLE, /* may be executed but not read: nobody can tell */
    REACH_TOO_DEEP,   /* more #! lines than the kernel follows */
};

#define REACH_REASON_SIZE 256

/*
 * Looks at the program at `path`, relative to the descriptor `directory` (AT_FDCWD: to where we
 * are; with an empty path the descriptor is the program), and at the interpreters that its #! lines
 * name and that binfmt_misc has for it. `path` may be a bad pointer.
 * `ret_reason`: a sentence for people, "" with REACH_OK and REACH_NOT_A_PROGRAM; may be NULL.
 */
enum reach_verdict reach_check(int directory, const char *path, char *ret_reason, size_t size);

/*
 * Finds `file` as execvp(3) does: as it is when it holds a slash, else in the directories of `list`
 * (the value of PATH; NULL: "/bin:/usr/bin"), the first executable regular file.
 * Returns 0 and the path in `ret_path`; -ENOENT; -EACCES: found, but not executable;
 *         -ENAMETOOLONG.
 */
int reach_find(const char *file, const char *list, char *ret_path, size_t size);

#endif
