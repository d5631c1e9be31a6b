/*
 * frame.c - see frame.h
 */
#include "frame.h"

#include <errno.h>
#include <unistd.h>

static bool write_all(int fd, const void *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t written = write(fd, (const char *)data + done, size - done);

        if (written < 0 && errno != EINTR)
            return false;
        done += written > 0 ? (size_t)written : 0;
    }
    return true;
}

static bool read_all(int fd, void *ret_data, size_t size)
{
    for (size_t done = 0; done < size;) {
        const ssize_t got = read(fd, (char *)ret_data + done, size - done);

        if (got == 0 || (got < 0 && errno != EINTR))
            return false;
        done += got > 0 ? (size_t)got : 0;
    }
    return true;
}

bool frame_hand_over(int frames, int answers, enum frame_kind kind, const char *data, size_t size)
{
    const struct frame frame = { .kind = kind, .size = (uint32_t)size };
    char answer;

    return write_all(frames, &frame, sizeof frame) && write_all(frames, data, size) &&
           read_all(answers, &answer, 1);
}

bool frame_read(int frames, struct frame *ret_frame, char *ret_data)
{
    struct frame frame;

    if (!read_all(frames, &frame, sizeof frame) || frame.size > NOTIFY_MESSAGE_MAX ||
        !read_all(frames, ret_data, frame.size))
        return false;
    *ret_frame = frame;
    return true;
}

bool frame_answer(int answers)
{
    return write_all(answers, "", 1);
}
