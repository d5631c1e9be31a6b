/*
 * What the benchmarks about names share: a listener, and connections to it made in one thread.
 *
 * The kernel's AF_VSOCK has no part in this: on a virtual machine the hypervisor is at its other
 * end. So a program that isn't emulated runs the workloads of vsock over an abstract AF_UNIX name,
 * and that is what emulated AF_VSOCK is compared with. scripts/bench starts these workloads below
 * tests/guard besides.
 */
#ifndef BENCH_CONNECTION_H
#define BENCH_CONNECTION_H

#include "measure.h"

#include <linux/vm_sockets.h>
#include <stddef.h>
#include <sys/un.h>

enum name { NAME_PATH, NAME_ABSTRACT, NAME_VSOCK, NAME_NONE };

struct listener {
    int fd;
    sa_family_t family;
    socklen_t size;
    union {
        struct sockaddr any;
        struct sockaddr_un local;
        struct sockaddr_vm vsock;
    } address;
};

/* Returns: NAME_NONE for a word that is no name's. */
static inline enum name name_parse(const char *word)
{
    static const char *const words[] = { "path", "abstract", "vsock" };

    for (int i = 0; i < NAME_NONE; i++) {
        if (strcmp(word, words[i]) == 0) {
            return (enum name)i;
        }
    }
    return NAME_NONE;
}

/* Whether this process's socket pairs are. */
static inline bool sockets_are_emulated(void)
{
    int fds[2];
    bool emulated;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        die("socketpair");
    }
    emulated = is_emulated(fds[0], fds[1]);
    close(fds[0]);
    close(fds[1]);
    return emulated;
}

static inline void listener_open(struct listener *listener, enum name name)
{
    struct sockaddr_un *local = &listener->address.local;
    char *text = local->sun_path;

    memset(listener, 0, sizeof *listener);
    if (name == NAME_VSOCK && sockets_are_emulated()) {
        listener->address.vsock = (struct sockaddr_vm){
            .svm_family = AF_VSOCK,
            .svm_cid = VMADDR_CID_LOCAL,
            .svm_port = 6789,
        };
        listener->size = sizeof listener->address.vsock;
    } else {
        local->sun_family = AF_UNIX;
        if (name != NAME_PATH) {
            *text++ = '\0';
        }
        snprintf(text, sizeof local->sun_path - 1, "/tmp/sockrig-bench-%d", (int)getpid());
        listener->size = offsetof(struct sockaddr_un, sun_path) + 1 + (socklen_t)strlen(text);
    }
    listener->family = listener->address.any.sa_family;
    listener->fd = socket(listener->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (listener->fd < 0 || bind(listener->fd, &listener->address.any, listener->size) != 0 ||
        listen(listener->fd, 8) != 0) {
        die("the listener");
    }
}

static inline void listener_close(const struct listener *listener)
{
    if (close(listener->fd) != 0) {
        die("close of the listener");
    }
    if (listener->family == AF_UNIX && listener->address.local.sun_path[0] != '\0') {
        unlink(listener->address.local.sun_path);
    }
}

/* fds[0]: the accepted side; fds[1]: the side that connected. */
static inline void connection_open(const struct listener *listener, int fds[2])
{
    fds[1] = socket(listener->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fds[1] < 0 || connect(fds[1], &listener->address.any, listener->size) != 0) {
        die("connect");
    }
    fds[0] = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fds[0] < 0) {
        die("accept4");
    }
}

/* One connection, without its listener. */
static inline void connection_open_alone(enum name name, int fds[2])
{
    struct listener listener;

    listener_open(&listener, name);
    connection_open(&listener, fds);
    listener_close(&listener);
}

#endif
