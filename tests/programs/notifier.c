/*
 * notifier.c - sends messages by systemd's notify protocol, as its versions do
 *
 *     notifier v253|v254|v256 MESSAGE...     to $NOTIFY_SOCKET
 *     notifier --credential VERSION ...      to what the credential vmm.notify_socket says
 *
 * Written from sd_notify(3) and from a description of what the versions do: which addresses they
 * understand, which socket types they try, from which port they send, whether they wait for the
 * other side's end. For each message it prints a line: the steps that matter, and the result (1, 0,
 * or a negative errno by its name). Exit code 0 when all were sent, 1 when one wasn't, 2 usage.
 *
 * Leaves out: descriptors and credentials beside the message.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SEND_BUFFER (8 << 20)

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_un local;
        struct sockaddr_vm vsock;
    };
    socklen_t size;
    int type; /* 0: to be found */
};

/* ---- The address ---- */

/*
 * A number as systemd reads it: blanks before it, 0x, 0o, 0b, and a leading 0 for octal; an empty
 * one is none. Above 32 bits, or negative: -ERANGE.
 */
static int parse_number(const char *text, uint32_t *ret_number)
{
    char *end = NULL;
    int base = 0;

    text += strspn(text, " \t\n\r");
    if (strncmp(text, "0b", 2) == 0 || strncmp(text, "0o", 2) == 0) {
        base = text[1] == 'b' ? 2 : 8;
        text += 2;
    }
    errno = 0;
    const unsigned long number = strtoul(text, &end, base);
    if (errno != 0)
        return -errno;
    if (end == text || *end != '\0')
        return -EINVAL;
    if ((*text == '-' && number != 0) || number > UINT32_MAX)
        return -ERANGE;
    *ret_number = (uint32_t)number;
    return 0;
}

static int parse_cid(int version, const char *text, uint32_t *ret_cid)
{
    static const char *const words[] = { "hypervisor", "local", "host" };

    *ret_cid = VMADDR_CID_ANY;
    for (uint32_t cid = 0; version >= 256 && cid < 3; cid++) {
        if (strcmp(text, words[cid]) == 0) {
            *ret_cid = cid;
            return 0;
        }
    }
    return *text == '\0' ? 0 : parse_number(text, ret_cid);
}

/* "CID:PORT" */
static int parse_vsock(int version, const char *text, struct address *ret_address)
{
    struct sockaddr_vm vsock = { .svm_family = AF_VSOCK };
    const char *colon = strchr(text, ':');
    char cid[64];

    if (colon == NULL || (size_t)(colon - text) >= sizeof cid)
        return -EINVAL;
    snprintf(cid, sizeof cid, "%.*s", (int)(colon - text), text);
    int rc = parse_number(colon + 1, &vsock.svm_port);
    if (rc == 0 && version >= 256 && vsock.svm_port == VMADDR_PORT_ANY)
        rc = -EINVAL;
    if (rc == 0)
        rc = parse_cid(version, cid, &vsock.svm_cid);
    if (rc == 0 && vsock.svm_cid == VMADDR_CID_ANY)
        rc = -EINVAL;
    ret_address->vsock = vsock;
    ret_address->size = sizeof vsock;
    return rc;
}

static int parse_local(const char *text, struct address *ret_address)
{
    const bool is_path = text[0] == '/';
    const size_t length = strlen(text);

    if (length + (is_path ? 1 : 0) > sizeof ret_address->local.sun_path)
        return -EINVAL;
    ret_address->local = (struct sockaddr_un){ .sun_family = AF_UNIX };
    memcpy(ret_address->local.sun_path, text, length);
    if (!is_path)
        ret_address->local.sun_path[0] = '\0';
    ret_address->size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (is_path ? 1 : 0));
    ret_address->type = SOCK_DGRAM;
    return 0;
}

static int parse(int version, const char *text, struct address *ret_address)
{
    static const struct {
        const char *prefix;
        int type;
        int since;
    } forms[] = { { "vsock:", 0, 253 },
                  { "vsock-dgram:", SOCK_DGRAM, 254 },
                  { "vsock-seqpacket:", SOCK_SEQPACKET, 254 },
                  { "vsock-stream:", SOCK_STREAM, 254 } };

    if (text[0] == '/' || text[0] == '@')
        return parse_local(text, ret_address);
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const size_t length = strlen(forms[i].prefix);

        if (version >= forms[i].since && strncmp(text, forms[i].prefix, length) == 0) {
            ret_address->type = forms[i].type;
            return parse_vsock(version, text + length, ret_address);
        }
    }
    return -EPROTO;
}

/* ---- The socket ---- */

static bool is_not_supported(int error)
{
    switch (error) {
    case EOPNOTSUPP:
    case ENOTTY:
    case ENOSYS:
    case EAFNOSUPPORT:
    case EPFNOSUPPORT:
    case EPROTONOSUPPORT:
    case ESOCKTNOSUPPORT: return true;
    default: return false;
    }
}

static const char *name_of_type(int type)
{
    return type == SOCK_DGRAM ? "dgram" : type == SOCK_STREAM ? "stream" : "seqpacket";
}

static int try_socket(int family, int type)
{
    const int fd = socket(family, type | SOCK_CLOEXEC, 0);

    printf("%s=%s ", name_of_type(type), fd >= 0 ? "ok" : strerrorname_np(errno));
    return fd >= 0 ? fd : -errno;
}

/* Sets the address's type to the one that was found. */
static int open_socket(int version, struct address *address)
{
    const bool can_choose = address->any.sa_family == AF_VSOCK && address->type == 0;

    if (address->type == 0)
        address->type = SOCK_DGRAM;
    int fd = try_socket(address->any.sa_family, address->type);
    if (can_choose && fd < 0 && (fd == -ENODEV || is_not_supported(-fd))) {
        address->type = SOCK_SEQPACKET;
        fd = try_socket(AF_VSOCK, SOCK_SEQPACKET);
        if (version >= 254 && fd < 0 && is_not_supported(-fd)) {
            address->type = SOCK_STREAM;
            fd = try_socket(AF_VSOCK, SOCK_STREAM);
        }
    }
    return fd;
}

/* A port that only root can have shows the host that it hears from root. */
static int bind_to_privileged_port(int fd)
{
    struct sockaddr_vm name = { .svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY };

    for (uint32_t port = 1023; port > 0; port--) {
        name.svm_port = port;
        if (bind(fd, (struct sockaddr *)&name, sizeof name) == 0) {
            printf("port=privileged ");
            return 0;
        }
        if (errno == EACCES || errno == EPERM) {
            printf("port=%s ", strerrorname_np(errno));
            return 0; /* connect finds one */
        }
        if (errno != EADDRINUSE)
            return -errno;
    }
    return -EADDRINUSE;
}

/* ---- A message ---- */

static int send_all(int fd, const struct address *address, const char *message)
{
    struct iovec vector = { (char *)message, strlen(message) };
    struct msghdr header = { .msg_iov = &vector, .msg_iovlen = 1 };

    if (address->type == SOCK_DGRAM) {
        header.msg_name = (void *)&address->any;
        header.msg_namelen = address->size;
    }
    do { /* ends: each round sends something */
        const ssize_t sent = sendmsg(fd, &header, MSG_NOSIGNAL);

        if (sent < 0)
            return -errno;
        if (address->type != SOCK_STREAM && (size_t)sent < vector.iov_len)
            return -EIO;
        vector.iov_base = (char *)vector.iov_base + sent;
        vector.iov_len -= (size_t)sent;
    } while (vector.iov_len > 0);
    return 1;
}

/* From v256 on: until the other side has closed. */
static int wait_for_end(int fd)
{
    char byte;

    if (shutdown(fd, SHUT_WR) != 0)
        return -errno;
    const ssize_t size = recv(fd, &byte, 1, MSG_NOSIGNAL);
    return size < 0 ? -errno : size > 0 ? -EPROTO : 1;
}

static int deliver(int version, int fd, const struct address *address, const char *message)
{
    const int size = SEND_BUFFER;
    int rc = 0;

    if (address->any.sa_family == AF_VSOCK)
        rc = bind_to_privileged_port(fd);
    if (rc == 0 && address->type != SOCK_DGRAM && connect(fd, &address->any, address->size) != 0)
        rc = -errno;
    if (rc < 0)
        return rc;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    rc = send_all(fd, address, message);
    if (rc == 1 && version >= 256 && address->type != SOCK_DGRAM)
        rc = wait_for_end(fd);
    return rc;
}

static int notify(int version, const char *where, const char *message)
{
    struct address address = { .size = 0 };

    if (where == NULL)
        return 0;
    const int rc = parse(version, where, &address);
    if (rc < 0)
        return rc;
    const int fd = open_socket(version, &address);
    if (fd < 0)
        return fd;
    const int result = deliver(version, fd, &address, message);
    close(fd);
    return result;
}

/* What systemd puts into NOTIFY_SOCKET itself when it is the first process of a machine. */
static const char *credential(void)
{
    static char value[256];
    char path[4096];
    const char *directory = getenv("CREDENTIALS_DIRECTORY");

    if (directory == NULL)
        return NULL;
    snprintf(path, sizeof path, "%s/vmm.notify_socket", directory);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t size = fd >= 0 ? read(fd, value, sizeof value - 1) : -1;
    if (fd >= 0)
        close(fd);
    return size > 0 ? value : NULL;
}

int main(int argc, char **argv)
{
    const bool by_credential = argc > 1 && strcmp(argv[1], "--credential") == 0;
    const char *where = by_credential ? credential() : getenv("NOTIFY_SOCKET");
    int failures = 0;

    argv += by_credential ? 1 : 0;
    argc -= by_credential ? 1 : 0;
    const int version = argc > 2 && argv[1][0] == 'v' ? atoi(argv[1] + 1) : 0;
    if (version < 253) {
        fputs("usage: notifier [--credential] v253|v254|v256 MESSAGE...\n", stderr);
        return 2;
    }
    for (int i = 2; i < argc; i++) {
        const int result = notify(version, where, argv[i]);

        if (result < 0)
            printf("-%s\n", strerrorname_np(-result));
        else
            printf("%d\n", result);
        failures += result != 1;
    }
    return failures > 0 ? 1 : 0;
}
