/*
 * frame.h - what the listener, a guest, hands to the manager, which is none
 *
 * A frame is a header and so many bytes, in a pipe. The manager answers each by one byte when it is
 * done with it: until then the listener keeps the sender's connection open.
 */
#ifndef CLI_NOTIFY_FRAME_H
#define CLI_NOTIFY_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The longest message. systemd's own limit is 4096 bytes (NOTIFY_BUFFER_MAX in its manager.c), what
 * it gets beyond it drops; here a program that says too much shall be seen.
 */
#define NOTIFY_MESSAGE_MAX 65536

enum frame_kind {
    FRAME_MESSAGE = 1,
    FRAME_TOO_LONG, /* no bytes: a message above the limit was dropped */
};

struct frame {
    uint32_t kind;
    uint32_t size; /* of the bytes that follow */
};

/* Writes a frame and waits for the answer. Returns false when the other side is gone. */
bool frame_hand_over(int frames, int answers, enum frame_kind kind, const char *data, size_t size);

/*
 * Reads the next frame; ret_data holds NOTIFY_MESSAGE_MAX bytes.
 *
 * Returns false when the other side is gone, or writes what is no frame.
 */
bool frame_read(int frames, struct frame *ret_frame, char *ret_data);

/* Answers the frame that was read last. */
bool frame_answer(int answers);

#endif
