/*
 * trace_message.h - iovec arrays, messages and sets of descriptors, as a recording has them
 *
 * `left` is how many bytes of the call's buffers may still be recorded.
 */
#ifndef EMU_TRACE_MESSAGE_H
#define EMU_TRACE_MESSAGE_H

#include "trace.h"

struct mmsghdr;

/* The array itself; and up to `size` bytes behind it. */
void trace_iovecs(struct trace_writer *writer, const struct iovec *iov, uint64_t count);
void trace_iovec_data(struct trace_writer *writer, const struct iovec *iov, uint64_t count,
                      uint64_t size, uint64_t *left);

/* What goes in: header, iovec array, and (`sent`) name, ancillary data and contents. */
void trace_message_in(struct trace_writer *writer, const struct msghdr *message, bool sent,
                      uint64_t *left);

/* What came out of a message of `size` bytes. */
void trace_message_out(struct trace_writer *writer, const struct msghdr *message, uint64_t size,
                       uint64_t *left);

/* The same of arrays; what came out of a sent one is the lengths alone. */
void trace_messages_in(struct trace_writer *writer, const struct mmsghdr *messages, uint64_t count,
                       bool sent, uint64_t *left);
void trace_messages_out(struct trace_writer *writer, const struct mmsghdr *messages, uint64_t count,
                        bool sent, uint64_t *left);

/* Enters the descriptors that a message's ancillary data, a set of poll or of select names. */
void trace_message_fds(struct trace_writer *writer, const struct msghdr *message);
void trace_pollfds(struct trace_writer *writer, const struct pollfd *fds, uint64_t count);
void trace_fd_sets(struct trace_writer *writer, uint64_t count, const uint64_t *sets, int number);

#endif
