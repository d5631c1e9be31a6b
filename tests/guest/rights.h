/*
 * rights.h: control data in every form, for the guests that pass descriptors and credentials
 *
 * message.h sends one header and knows what it receives. Here a message is put together header by
 * header, right or wrong, and what comes back is looked at as bytes. A "witness" says whether
 * descriptors in flight are still held: a pipe whose writing end is only in a message; its reading
 * end sees the hang-up when the message lets go.
 *
 * Leaves out: control data that isn't SOL_SOCKET, but as something to be ignored.
 */
#ifndef GUEST_RIGHTS_H
#define GUEST_RIGHTS_H

#include <sys/stat.h>

#include "message.h"

enum {
    RIGHTS_CONTROL = 4096,
    RIGHTS_MAX = 253, /* SCM_MAX_FD of include/net/scm.h */
    RIGHTS_SOON_MS = 10,
};

#define RIGHTS_ROOM(count) CMSG_SPACE(sizeof(int) * (count))
#define RIGHTS_LEN(count)  CMSG_LEN(sizeof(int) * (count))
#define CREDS_ROOM         CMSG_SPACE(sizeof(struct ucred))

static const int rights_types[] = { SOCK_STREAM, SOCK_SEQPACKET };

/* ---- messages to send ---- */

struct rights_message {
    size_t size; /* msg_controllen */
    union {
        struct cmsghdr header;
        char bytes[RIGHTS_CONTROL];
    };
};

/* The header stays in reach, so that the caller can spoil it. */
static inline struct cmsghdr *rights_add(struct rights_message *message, int level, int type,
                                         const void *data, size_t size)
{
    CHECK(message->size + CMSG_SPACE(size) <= sizeof message->bytes);
    struct cmsghdr *header = (struct cmsghdr *)(void *)(message->bytes + message->size);
    memset(header, 0, CMSG_SPACE(size));
    header->cmsg_level = level;
    header->cmsg_type = type;
    header->cmsg_len = CMSG_LEN(size);
    if (size > 0) {
        memcpy(CMSG_DATA(header), data, size);
    }
    message->size += CMSG_SPACE(size);
    return header;
}

static inline struct cmsghdr *rights_add_fds(struct rights_message *message, const int *fds,
                                             int count)
{
    return rights_add(message, SOL_SOCKET, SCM_RIGHTS, fds, sizeof(int) * (size_t)count);
}

static inline struct cmsghdr *rights_add_creds(struct rights_message *message, pid_t pid, uid_t uid,
                                               gid_t gid)
{
    const struct ucred credentials = { .pid = pid, .uid = uid, .gid = gid };
    return rights_add(message, SOL_SOCKET, SCM_CREDENTIALS, &credentials, sizeof credentials);
}

static inline ssize_t rights_send(int fd, const void *data, size_t size,
                                  const struct rights_message *message, int flags)
{
    struct iovec vector = { .iov_base = (void *)(uintptr_t)data, .iov_len = size };
    const struct msghdr header = { .msg_iov = &vector,
                                   .msg_iovlen = 1,
                                   .msg_control = (void *)(uintptr_t)message->bytes,
                                   .msg_controllen = message->size };
    return sendmsg(fd, &header, flags | MSG_NOSIGNAL);
}

/* ---- what came ---- */

static inline void rights_close(const struct message_received *received)
{
    for (int i = 0; i < received->fd_count; i++) {
        CHECK_OK(close(received->fds[i]));
    }
}

static inline void rights_check_text(const char *file, int line, const char *text,
                                     const struct message_received *received)
{
    guest_check_eq(file, line, "size", (long long)strlen(text), received->size);
    guest_check_mem(file, line, "data", text, received->data, strlen(text));
}

#define CHECK_TEXT(text, received) rights_check_text(__FILE__, __LINE__, (text), (received))

/* Receives with room for four descriptors; so much text and so many must come, nothing else. */
static inline void rights_expect(const char *file, int line, int fd, size_t size, int flags,
                                 const char *text, int count, struct message_received *received)
{
    message_receive(fd, size, RIGHTS_ROOM(4), flags, received);
    rights_check_text(file, line, text, received);
    guest_check_eq(file, line, "descriptors", count, received->fd_count);
    guest_check_eq(file, line, "flags", flags & MSG_CMSG_CLOEXEC, received->flags);
    guest_check_eq(file, line, "control", count > 0 ? (long long)RIGHTS_ROOM((size_t)count) : 0,
                   (long long)received->control_size);
}

/* ... and what came is closed again. */
#define EXPECT(fd, size, flags, text, count)                                                     \
    do {                                                                                         \
        struct message_received rights_came;                                                     \
        rights_expect(__FILE__, __LINE__, (fd), (size), (flags), (text), (count), &rights_came); \
        rights_close(&rights_came);                                                              \
    } while (0)

/* One descriptor with one byte, from one end of a channel to the other. */
static inline int rights_pass(const int channel[2], int fd)
{
    struct message_received received;
    CHECK_EQ(1, message_send(channel[0], "p", 1, &fd, 1));
    rights_expect(__FILE__, __LINE__, channel[1], 8, 0, "p", 1, &received);
    return received.fds[0];
}

/* Whether two numbers are ends of one object, and the same end. */
static inline bool rights_same(int one, int other)
{
    struct stat a, b;
    CHECK_OK(fstat(one, &a));
    CHECK_OK(fstat(other, &b));
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino &&
           (fcntl(one, F_GETFL) & O_ACCMODE) == (fcntl(other, F_GETFL) & O_ACCMODE);
}

/* ---- witnesses ---- */

/* Returns the reading end; *ret_writer is to be sent, and then closed by the caller. */
static inline int rights_witness(int *ret_writer)
{
    int fds[2];
    guest_pipe(fds);
    *ret_writer = fds[1];
    return fds[0];
}

/* Sends text with the witness's writer, and keeps no writer. */
static inline int rights_send_witness(int fd, const char *text)
{
    int writer, witness = rights_witness(&writer);
    CHECK_EQ(strlen(text), message_send(fd, text, strlen(text), &writer, 1));
    CHECK_OK(close(writer));
    return witness;
}

#define CHECK_HELD(witness) CHECK_EQ(0, guest_poll((witness), POLLIN, 0))
/* Held no more; closes the witness. */
#define CHECK_GONE(witness)                                               \
    do {                                                                  \
        CHECK_EQ(POLLHUP, guest_poll((witness), POLLIN, RIGHTS_SOON_MS)); \
        CHECK_EQ(0, read((witness), (char[1]){ 0 }, 1));                  \
        CHECK_OK(close(witness));                                         \
    } while (0)

#endif
