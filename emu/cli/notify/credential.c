/*
 * credential.c - see credential.h
 *
 * systemd passes credentials to a service, and a VMM to its guest's systemd, as files in a
 * directory (systemd.exec(5), CREDENTIALS; systemd.system-credentials(7)). There is one such
 * variable, so a program that has credentials of its own gets links to them: a copy would leave
 * secrets behind when we are killed.
 */
#include "credential.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "vmm.notify_socket"

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* $XDG_RUNTIME_DIR is memory of this user alone, where there is one. */
static const char *parent_directory(void)
{
    static const char *const names[] = { "XDG_RUNTIME_DIR", "TMPDIR" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);

        if (value != NULL && value[0] == '/' && access(value, W_OK | X_OK) == 0)
            return value;
    }
    return "/tmp";
}

static int write_file(int directory, const char *value)
{
    const int fd = openat(directory, NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
    const size_t size = strlen(value);
    int error = 0;

    if (fd < 0)
        return errno;
    const ssize_t written = write(fd, value, size);
    if (written != (ssize_t)size)
        error = written < 0 ? errno : ENOSPC;
    if (close(fd) != 0 && error == 0)
        error = errno;
    return error;
}

/* One that can't be read has nothing to be linked to. */
static int link_existing(int directory, const char *existing)
{
    char full[PATH_MAX];
    DIR *entries = realpath(existing, full) != NULL ? opendir(full) : NULL;
    const struct dirent *entry;
    int error = 0;

    while (entries != NULL && error == 0 && (entry = readdir(entries)) != NULL) {
        char target[PATH_MAX + 1 + NAME_MAX + 1];

        if (is_dots(entry->d_name) || strcmp(entry->d_name, NAME) == 0)
            continue;
        snprintf(target, sizeof target, "%s/%s", full, entry->d_name);
        if (symlinkat(target, directory, entry->d_name) != 0)
            error = errno;
    }
    if (entries != NULL)
        closedir(entries);
    return error;
}

int credential_create(const char *value, const char *existing, char *ret_path)
{
    char path[CREDENTIAL_PATH_MAX];

    if ((size_t)snprintf(path, sizeof path, "%s/sockrig-credentials.XXXXXX", parent_directory()) >=
        sizeof path)
        return ENAMETOOLONG;
    if (mkdtemp(path) == NULL)
        return errno;
    const int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = directory < 0 ? errno : write_file(directory, value);
    if (error == 0 && existing != NULL)
        error = link_existing(directory, existing);
    if (directory >= 0)
        close(directory);
    if (error != 0)
        credential_remove(path);
    else
        strcpy(ret_path, path);
    return error;
}

void credential_remove(const char *path)
{
    DIR *entries = opendir(path);
    const struct dirent *entry;

    while (entries != NULL && (entry = readdir(entries)) != NULL) {
        if (!is_dots(entry->d_name))
            unlinkat(dirfd(entries), entry->d_name, 0);
    }
    if (entries != NULL)
        closedir(entries);
    rmdir(path);
}
