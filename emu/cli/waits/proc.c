/*
 * proc.c - see proc.h
 *
 * Leaves out: processes of another PID namespace, whose numbers mean nothing here.
 */
#include "waits/proc.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PATH_ROOM 80 /* "/proc/PID/task/TID/syscall" and the like */

/* Reads a file as text, without its last newline. False when there is none. */
static bool read_text(const char *path, char *ret_text, size_t room)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = -1;

    if (fd >= 0) {
        size = read(fd, ret_text, room - 1);
        close(fd);
    }
    if (size < 0)
        return false;
    if (size > 0 && ret_text[size - 1] == '\n')
        size--;
    ret_text[size] = '\0';
    return true;
}

void proc_name(int32_t pid, char ret_name[PROC_NAME])
{
    char path[PATH_ROOM];

    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    if (!read_text(path, ret_name, PROC_NAME))
        snprintf(ret_name, PROC_NAME, "?");
}

/* State, and parent (may be NULL): they stand behind the name, which may hold anything. */
static char read_stat(const char *path, int32_t *ret_parent)
{
    char text[512];
    const char *rest = read_text(path, text, sizeof text) ? strrchr(text, ')') : NULL;
    char state = 0;
    int parent = 0;

    if (rest == NULL || sscanf(rest, ") %c %d", &state, &parent) != 2)
        return 0;
    if (ret_parent != NULL)
        *ret_parent = parent;
    return state;
}

int32_t proc_parent(int32_t pid)
{
    char path[PATH_ROOM];
    int32_t parent = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    return read_stat(path, &parent) != 0 ? parent : 0;
}

bool proc_environment(int32_t pid, const char *name, char *ret_value, size_t room)
{
    const size_t length = strlen(name);
    char path[PATH_ROOM];
    char *entry = NULL;
    size_t size = 0;
    bool found = false;

    snprintf(path, sizeof path, "/proc/%d/environ", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    while (!found && getdelim(&entry, &size, '\0', file) > 0) {
        if (strncmp(entry, name, length) != 0 || entry[length] != '=')
            continue;
        snprintf(ret_value, room, "%s", entry + length + 1);
        found = true;
    }
    free(entry);
    fclose(file);
    return found;
}

char proc_state(int32_t pid, int32_t tid)
{
    char path[PATH_ROOM];

    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", pid, tid);
    return read_stat(path, NULL);
}

/* The number behind `name` in a file of lines "Name:\tNUMBER". False: there is none. */
static bool read_field(const char *path, const char *name, int base, uint64_t *ret_number)
{
    const size_t length = strlen(name);
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    FILE *file = fopen(path, "re");

    if (file == NULL)
        return false;
    while (!found && getline(&line, &size, file) > 0) {
        found = strncmp(line, name, length) == 0 && line[length] == ':';
        if (found)
            *ret_number = strtoull(line + length + 1, NULL, base);
    }
    free(line);
    fclose(file);
    return found;
}

uint64_t proc_switches(int32_t pid, int32_t tid)
{
    char path[PATH_ROOM];
    uint64_t own = 0;
    uint64_t other = 0;

    snprintf(path, sizeof path, "/proc/%d/task/%d/status", pid, tid);
    if (!read_field(path, "voluntary_ctxt_switches", 10, &own) ||
        !read_field(path, "nonvoluntary_ctxt_switches", 10, &other))
        return 0;
    return own + other;
}

uint64_t proc_caught(int32_t pid)
{
    char path[PATH_ROOM];
    uint64_t caught = 0;

    snprintf(path, sizeof path, "/proc/%d/status", pid);
    return read_field(path, "SigCgt", 16, &caught) ? caught : 0;
}

bool proc_has_timers(int32_t pid)
{
    char path[PATH_ROOM];
    char text[16];

    snprintf(path, sizeof path, "/proc/%d/timers", pid);
    return read_text(path, text, sizeof text) && text[0] != '\0';
}

enum proc_memory proc_memory(int32_t pid, uint64_t address)
{
    enum proc_memory memory = PROC_MEMORY_UNKNOWN;
    char path[PATH_ROOM];
    char line[512];
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    file = fopen(path, "re");
    if (file == NULL)
        return memory;
    while (memory == PROC_MEMORY_UNKNOWN && fgets(line, sizeof line, file) != NULL) {
        unsigned long long start;
        unsigned long long end;
        char access[8];

        if (sscanf(line, "%llx-%llx %7s", &start, &end, access) == 3 && start <= address &&
            address < end)
            memory = access[3] == 's' ? PROC_MEMORY_SHARED : PROC_MEMORY_PRIVATE;
    }
    fclose(file);
    return memory;
}

static int compare_numbers(const void *a, const void *b)
{
    const int32_t left = *(const int32_t *)a;
    const int32_t right = *(const int32_t *)b;

    return (left > right) - (left < right);
}

/* The names in a folder that are numbers, in ascending order. */
static size_t read_numbers(const char *path, int32_t *ret_numbers, size_t max)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    size_t count = 0;

    if (folder == NULL)
        return 0;
    while (count < max && (entry = readdir(folder)) != NULL) {
        if (isdigit((unsigned char)entry->d_name[0]))
            ret_numbers[count++] = atoi(entry->d_name);
    }
    closedir(folder);
    qsort(ret_numbers, count, sizeof *ret_numbers, compare_numbers);
    return count;
}

size_t proc_threads(int32_t pid, int32_t *ret_tids, size_t max)
{
    char path[PATH_ROOM];

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    return read_numbers(path, ret_tids, max);
}

/* "running", "-1 SP PC", or "NR 0x.. (six arguments) SP PC": proc(5), /proc/PID/syscall. */
static bool read_call(const char *path, struct proc_call *ret_call)
{
    char text[512];
    unsigned long long words[8] = { 0 };

    if (!read_text(path, text, sizeof text))
        return false;
    if (strcmp(text, "running") == 0) {
        ret_call->doing = PROC_RUNS;
        return true;
    }
    const int count = sscanf(text, "%ld %llx %llx %llx %llx %llx %llx %llx %llx", &ret_call->number,
                             &words[0], &words[1], &words[2], &words[3], &words[4], &words[5],
                             &words[6], &words[7]);
    if (count != 9 || ret_call->number < 0) /* -1: not in a call */
        return false;
    ret_call->doing = PROC_CALLS;
    for (int i = 0; i < 6; i++)
        ret_call->arguments[i] = words[i];
    ret_call->stack = words[6];
    ret_call->code = words[7];
    return true;
}

struct proc_call proc_look(int32_t pid, int32_t tid)
{
    struct proc_call call = { .doing = PROC_SLEEPS, .number = -1 };
    char path[PATH_ROOM];
    const char state = proc_state(pid, tid);

    switch (state) {
    case 0: call.doing = PROC_GONE; return call;
    case 'T':
    case 't': call.doing = PROC_STOPPED; return call;
    case 'Z':
    case 'X': call.doing = PROC_ENDED; return call;
    default: break;
    }
    snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", pid, tid);
    if (read_call(path, &call))
        return call;
    if (state == 'R') {
        call.doing = PROC_RUNS;
        return call;
    }
    snprintf(path, sizeof path, "/proc/%d/task/%d/wchan", pid, tid);
    if (!read_text(path, call.where, sizeof call.where) || strcmp(call.where, "0") == 0)
        call.where[0] = '\0';
    return call;
}

bool proc_read(int32_t pid, uint64_t address, void *ret_data, size_t size)
{
    const struct iovec here = { ret_data, size };
    const struct iovec there = { (void *)(uintptr_t)address, size };

    return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)size;
}

void proc_fd_link(int32_t pid, int fd, char ret_link[PROC_LINK])
{
    char path[PATH_ROOM];

    snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
    const ssize_t size = readlink(path, ret_link, PROC_LINK - 1);
    ret_link[size > 0 ? size : 0] = '\0';
}

/* The link's own mode says how the descriptor was opened: fs/proc/fd.c:tid_fd_update_inode. */
static bool has_access(int32_t pid, int fd, int access)
{
    char path[PATH_ROOM];
    struct stat status;

    if (access < 0)
        return true;
    snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
    if (lstat(path, &status) != 0)
        return false;
    return (status.st_mode & (access == O_RDONLY ? S_IRUSR : S_IWUSR)) != 0;
}

#define FDS_MAX 4096 /* descriptors of one process that are looked at */

int proc_find_fd(int32_t pid, const char *link, int access)
{
    static int32_t fds[FDS_MAX];
    char path[PATH_ROOM];
    char found[PROC_LINK];

    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    const size_t count = read_numbers(path, fds, FDS_MAX);
    for (size_t i = 0; i < count; i++) {
        proc_fd_link(pid, fds[i], found);
        if (strcmp(found, link) == 0 && has_access(pid, fds[i], access))
            return fds[i];
    }
    return -1;
}

static bool contains(const int32_t *pids, size_t count, int32_t pid)
{
    for (size_t i = 0; i < count; i++) {
        if (pids[i] == pid)
            return true;
    }
    return false;
}

#define PIDS_MAX 65536 /* processes of the machine that are looked at */

size_t proc_add_descendants(int32_t *pids, size_t count, size_t max)
{
    static int32_t all[PIDS_MAX];
    static int32_t parents[PIDS_MAX];
    const size_t machine = read_numbers("/proc", all, PIDS_MAX);
    char path[PATH_ROOM];
    size_t before;

    for (size_t i = 0; i < machine; i++) {
        snprintf(path, sizeof path, "/proc/%d/stat", all[i]);
        if (read_stat(path, &parents[i]) == 0)
            parents[i] = 0;
    }
    do { /* ends: each round but the last adds one */
        before = count;
        for (size_t i = 0; i < machine && count < max; i++) {
            if (all[i] != getpid() && contains(pids, count, parents[i]) &&
                !contains(pids, count, all[i]))
                pids[count++] = all[i];
        }
    } while (count > before && count < max);
    return count;
}
