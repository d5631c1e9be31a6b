/*
 * reach.c - see reach.h
 *
 * Reads what fs/binfmt_elf.c and fs/binfmt_script.c read, and judges privilege as
 * security/commoncap.c and fs/exec.c:bprm_fill_uid do. What no x86-64 kernel runs by itself may
 * have an interpreter in binfmt_misc (reach_binfmt.c). Leaves out: handlers that take such programs
 * away from the kernel; nosuid mounts and user namespaces (a setuid bit counts there too, though
 * the kernel would ignore it).
 */
#include "reach.h"

#include "base.h"
#include "host.h"
#include "reach_binfmt.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SCRIPT_LEVELS  5    /* fs/exec.c:exec_binprm follows #! this often, then ELOOP */
#define SCRIPT_LINE    256  /* BINPRM_BUF_SIZE */
#define HEAD_SIZE      1024 /* read at once: the program's headers, where a linker puts them */
#define PROGRAM_PARTS  128  /* program headers that are looked at */
#define REACH_PATH_MAX 4096
#define NEXT_SIZE      1024 /* an interpreter's path in a #! line, or of a handler of binfmt_misc */

#define CALL1(nr, a)          host_syscall(nr, (long)(a), 0, 0, 0, 0, 0)
#define CALL2(nr, a, b)       host_syscall(nr, (long)(a), (long)(b), 0, 0, 0, 0)
#define CALL3(nr, a, b, c)    host_syscall(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define CALL4(nr, a, b, c, d) host_syscall(nr, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)

/* A file that may be a program, and how it begins. */
struct program {
    int fd;
    uint64_t size; /* of the head */
    union {
        char text[HEAD_SIZE];
        Elf64_Ehdr elf;
    } head;
};

/* Where a verdict's sentence goes. */
struct reason {
    char *text;
    size_t size;
};

static void append(struct reason *reason, const char *text)
{
    size_t used;
    size_t length = strlen(text);

    if (!reason->text || reason->size == 0) {
        return;
    }
    used = strlen(reason->text);
    if (length > reason->size - 1 - used) {
        length = reason->size - 1 - used;
    }
    memcpy(reason->text + used, text, length);
    reason->text[used + length] = 0;
}

static enum reach_verdict say(struct reason *reason, enum reach_verdict verdict, const char *path,
                              const char *text)
{
    append(reason, path);
    append(reason, text);
    return verdict;
}

/* True when exec of this file changes privilege, so that the loader runs in secure mode. */
static bool gains_privilege(int fd, const struct stat *status)
{
    long uid = CALL1(SYS_getuid, 0);
    long gid = CALL1(SYS_getgid, 0);
    char capability[64];

    if (CALL1(SYS_geteuid, 0) != uid || CALL1(SYS_getegid, 0) != gid) {
        return true; /* the loader runs in secure mode whatever the file is */
    }
    if (host_syscall(SYS_prctl, PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0, 0) != 1) {
        if ((status->st_mode & S_ISUID) && (long)status->st_uid != uid) {
            return true;
        }
        if ((status->st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
            (long)status->st_gid != gid) {
            return true;
        }
    }
    /* Secure mode even where they aren't granted: cap_bprm_creds_from_file asks for the file's. */
    return uid != 0 &&
           CALL4(SYS_fgetxattr, fd, "security.capability", capability, sizeof capability) > 0;
}

/* Copies a piece of the file; false: it isn't there. */
static bool copy_piece(const struct program *program, uint64_t offset, void *to, size_t size)
{
    if (offset < program->size && size <= program->size - offset) {
        memcpy(to, program->head.text + offset, size);
        return true;
    }
    return CALL4(SYS_pread64, program->fd, to, size, offset) == (int64_t)size;
}

/* Go marks its programs by a note of its own (debug/buildinfo, cmd/link). */
static bool is_go_note(const struct program *program, const Elf64_Phdr *part)
{
    struct {
        Elf64_Nhdr header;
        char name[4];
    } note;

    return part->p_type == PT_NOTE && copy_piece(program, part->p_offset, &note, sizeof note) &&
           note.header.n_namesz == 4 && memcmp(note.name, "Go\0\0", 4) == 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* The name of glibc's loader on this architecture (x86-64 psABI). */
static bool is_loader(const char *path)
{
    return strcmp(base_name(path), "ld-linux-x86-64.so.2") == 0;
}

static enum reach_verdict judge_elf(const struct program *program, const char *path,
                                    struct reason *reason)
{
    const Elf64_Ehdr *header = &program->head.elf;
    char interpreter[REACH_PATH_MAX];
    bool go = false;

    interpreter[0] = 0;
    for (unsigned i = 0; i < header->e_phnum && i < PROGRAM_PARTS; i++) {
        Elf64_Phdr part;

        if (!copy_piece(program, header->e_phoff + (uint64_t)i * header->e_phentsize, &part,
                        sizeof part)) {
            return REACH_NOT_A_PROGRAM;
        }
        go |= is_go_note(program, &part);
        if (part.p_type == PT_INTERP) {
            size_t size = part.p_filesz < sizeof interpreter ? part.p_filesz : 0;

            if (size == 0 || !copy_piece(program, part.p_offset, interpreter, size)) {
                return REACH_NOT_A_PROGRAM;
            }
            interpreter[size - 1] = 0;
        }
    }
    if (go) {
        return say(reason, REACH_GO, path, " is a Go program, which calls the kernel itself");
    }
    if (interpreter[0] == 0) {
        if (is_loader(path)) {
            return REACH_OK; /* the loader run as a program preloads too */
        }
        return say(reason, REACH_STATIC, path, " is statically linked");
    }
    if (!is_loader(interpreter)) {
        append(reason, path);
        append(reason, " uses another libc: its loader is ");
        append(reason, interpreter);
        return REACH_LIBC;
    }
    return REACH_OK;
}

/* Cuts "#!interpreter argument" down to the interpreter. False: there is none. */
static bool script_interpreter(const char *head, size_t size, char *ret_path)
{
    size_t at = 2;
    size_t count = 0;

    while (at < size && (head[at] == ' ' || head[at] == '\t')) {
        at++;
    }
    while (at < size && head[at] != ' ' && head[at] != '\t' && head[at] != '\n' && head[at] != 0) {
        ret_path[count++] = head[at++];
    }
    ret_path[count] = 0;
    return count > 0;
}

/* Nothing that an x86-64 kernel runs as it is; it may run other ELF programs. */
static enum reach_verdict judge_foreign(const char *path, const char *head, size_t size,
                                        struct reason *reason)
{
    if (size > EI_CLASS && memcmp(head, ELFMAG, SELFMAG) == 0) {
        return say(reason, REACH_CLASS, path, " isn't a 64-bit x86-64 program");
    }
    return REACH_NOT_A_PROGRAM;
}

static bool is_native_elf(const Elf64_Ehdr *header, int64_t size)
{
    return size >= (int64_t)sizeof *header && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
           header->e_ident[EI_CLASS] == ELFCLASS64 && header->e_ident[EI_DATA] == ELFDATA2LSB &&
           header->e_machine == EM_X86_64;
}

/*
 * Judges one file. With an interpreter (a #! line, binfmt_misc) the verdict is REACH_OK, and
 * ret_next, of NEXT_SIZE bytes, is its path; else that is "".
 */
static enum reach_verdict judge_file(struct program *program, const char *path, char *ret_next,
                                     bool *ret_binfmt, struct reason *reason)
{
    const char *text = program->head.text;
    struct stat status;
    int64_t size;
    size_t first; /* what the kernel tells formats apart by */

    ret_next[0] = 0;
    if (CALL2(SYS_fstat, program->fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        return REACH_NOT_A_PROGRAM;
    }
    size = CALL4(SYS_pread64, program->fd, program->head.text, HEAD_SIZE, 0);
    if (size < 2) {
        return REACH_NOT_A_PROGRAM;
    }
    program->size = (uint64_t)size;
    first = size < SCRIPT_LINE ? (size_t)size : SCRIPT_LINE;
    if (text[0] == '#' && text[1] == '!') {
        return script_interpreter(text, first, ret_next) ? REACH_OK : REACH_NOT_A_PROGRAM;
    }
    if (!is_native_elf(&program->head.elf, size)) {
        *ret_binfmt = reach_binfmt(path, text, first, ret_next, NEXT_SIZE);
        return *ret_binfmt ? REACH_OK : judge_foreign(path, text, first, reason);
    }
    if (gains_privilege(program->fd, &status)) {
        return say(reason, REACH_PRIVILEGED, path,
                   " runs with other privileges (setuid, setgid or file capabilities)");
    }
    return judge_elf(program, path, reason);
}

static void put_number(char *at, unsigned value)
{
    unsigned digits = 1;

    for (unsigned rest = value; rest >= 10; rest /= 10) {
        digits++;
    }
    at[digits] = 0;
    for (; digits > 0; value /= 10) {
        at[--digits] = (char)('0' + value % 10);
    }
}

/* Opens what exec would: by its path, or the file behind `directory` itself. Or -errno. */
static int open_program(int directory, const char *path)
{
    char self[40] = "/proc/self/fd/";
    int fd = (int)CALL4(SYS_openat, directory, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);

    if (fd != -ENOENT || directory < 0 || path[0] != 0) {
        return fd;
    }
    put_number(self + strlen(self), (unsigned)directory);
    fd = (int)CALL3(SYS_open, self, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
    return fd == -ENOENT ? (int)CALL3(SYS_fcntl, directory, F_DUPFD_CLOEXEC, 0) : fd;
}

/* An interpreter that can't be opened: binfmt_misc may have opened it long ago. */
static enum reach_verdict judge_missing(int error, int directory, const char *path, int level,
                                        bool binfmt, struct reason *reason)
{
    if (binfmt) {
        return say(reason, REACH_UNREADABLE, path, " is run by binfmt_misc and can't be read");
    }
    if (error == -EACCES && CALL4(SYS_faccessat2, directory, path, X_OK, AT_EACCESS) == 0) {
        return say(reason, REACH_UNREADABLE, level == 0 && path[0] == 0 ? "the program" : path,
                   " can't be read, so nobody knows");
    }
    return REACH_NOT_A_PROGRAM;
}

enum reach_verdict reach_check(int directory, const char *path, char *ret_reason, size_t size)
{
    struct reason reason = { ret_reason, size };
    struct program program;
    char next[NEXT_SIZE];
    char current[NEXT_SIZE];
    bool binfmt = false;

    if (ret_reason && size > 0) {
        ret_reason[0] = 0;
    }
    for (int level = 0; level <= SCRIPT_LEVELS; level++) {
        enum reach_verdict verdict;

        program.fd = open_program(directory, path);
        if (program.fd < 0) {
            return judge_missing(program.fd, directory, path, level, binfmt, &reason);
        }
        verdict = judge_file(&program, path, next, &binfmt, &reason);
        host_close(program.fd);
        if (verdict != REACH_OK || next[0] == 0) {
            return binfmt && verdict == REACH_STATIC ? REACH_CLASS : verdict;
        }
        memcpy(current, next, strlen(next) + 1);
        path = current;
        directory = AT_FDCWD;
    }
    return say(&reason, REACH_TOO_DEEP, path, ": too many interpreters");
}

/* 0: an executable file; -EACCES: a file that may not be executed; -ENOENT. */
static int judge_candidate(const char *path)
{
    struct stat status;

    if (CALL2(SYS_stat, path, &status) < 0) {
        return -ENOENT;
    }
    return S_ISREG(status.st_mode) && CALL2(SYS_access, path, X_OK) == 0 ? 0 : -EACCES;
}

int reach_find(const char *file, const char *list, char *ret_path, size_t size)
{
    size_t length = strlen(file);
    int result = -ENOENT;

    if (strchr(file, '/')) {
        if (length >= size) {
            return -ENAMETOOLONG;
        }
        memcpy(ret_path, file, length + 1);
        return judge_candidate(ret_path);
    }
    if (length == 0) {
        return -ENOENT;
    }
    for (list = list ? list : "/bin:/usr/bin"; list;) {
        const char *colon = strchr(list, ':');
        size_t part = colon ? (size_t)(colon - list) : strlen(list);

        if (part + 1 + length < size) {
            char *end = mempcpy(ret_path, list, part);

            if (part > 0) {
                *end++ = '/'; /* an empty entry is the current directory */
            }
            memcpy(end, file, length + 1);
            switch (judge_candidate(ret_path)) {
            case 0: return 0;
            case -EACCES: result = -EACCES; break;
            default: break;
            }
        }
        list = colon ? colon + 1 : NULL;
    }
    return result;
}
