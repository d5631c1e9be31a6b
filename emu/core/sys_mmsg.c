/*
 * sys_mmsg.c - sendmmsg and recvmmsg, by Linux's rules or by OpenBSD's (--mmsg)
 *
 * Linux: net/socket.c:__sys_sendmmsg, do_recvmmsg. OpenBSD 7.2: sys/kern/uipc_syscalls.c. Where
 * they differ: the cap, a vector of 0, a partial entry, errors behind the first entry, the
 * time-out.
 */
#include "channel.h"
#include "fdtab.h"
#include "guest_iov.h"
#include "message.h"

#include <errno.h>

static bool openbsd(const struct emu_task *self)
{
    return self->process->options.mmsg == EMU_MMSG_OPENBSD;
}

/* What is behind the number, or NULL: the placeholder knows ENOTSOCK. */
static struct description *socket_at(int fd)
{
    struct description *description = fdtab_get_call(fd);

    return description && description_is_socket(description) ? description : NULL;
}

/* All messages go over one socket, whatever another thread does to the number meanwhile. */
static bool is_kept(int fd, const struct description *description)
{
    return fdtab_get_call(fd) == description && !description_is_unix_fresh(description);
}

/* OpenBSD copies the whole element back, which clears msg_flags. */
static int store_sent(struct emu_task *self, struct mmsghdr *to, int64_t sent)
{
    unsigned int size = (unsigned int)sent;
    int no_flags = 0;

    if (openbsd(self) && host_copy(&to->msg_hdr.msg_flags, &no_flags, sizeof no_flags) < 0) {
        return -EFAULT;
    }
    return host_copy(&to->msg_len, &size, sizeof size);
}

int64_t emu_sendmmsg(struct emu_task *self, int fd, struct mmsghdr *messages, unsigned int count,
                     int flags)
{
    struct description *description = socket_at(fd);
    unsigned int done = 0;
    int64_t rc = 0;

    if (count == 0 && openbsd(self)) {
        return 0;
    }
    if (!description || ((unsigned)flags & MESSAGE_COMPAT)) {
        return EMU_NATIVE; /* the placeholder knows EINVAL before all else */
    }
    CHANNEL_KEEP(keep, self, description_index(description));
    if (!is_kept(fd, description)) {
        return EMU_NATIVE;
    }
    if (count > EMU_IOV_MAX) {
        count = EMU_IOV_MAX;
    }
    while (done < count) {
        uint64_t size = 0;

        self->behind_first = done > 0;
        rc = message_send(self, fd, description, &messages[done].msg_hdr, flags, MSG_EOR, &size);
        if (rc < 0) {
            break;
        }
        if (store_sent(self, &messages[done], rc) < 0) {
            rc = -EFAULT;
            break;
        }
        done++;
        if ((uint64_t)rc < size && !openbsd(self)) {
            break; /* a partial entry is the last: the caller has to look at msg_len */
        }
    }
    self->behind_first = false;
    if (done == 0 && rc < 0) {
        return rc;
    }
    self->progress = 0; /* what was moved is in `done`; a switch in between shows next time */
    return done;
}

/* The absolute end of a receive; 0: none. -EFAULT, -EINVAL. */
static int64_t import_timeout(const struct timespec *timeout, uint64_t *ret_deadline_ns)
{
    struct timespec copy;

    *ret_deadline_ns = 0;
    if (!timeout) {
        return 0;
    }
    if (host_copy(&copy, timeout, sizeof copy) < 0) {
        return -EFAULT;
    }
    if (copy.tv_sec < 0 || copy.tv_nsec < 0 || copy.tv_nsec >= 1000000000) {
        return -EINVAL;
    }
    *ret_deadline_ns = host_now_ns() + 1;
    if ((uint64_t)copy.tv_sec < (UINT64_MAX - *ret_deadline_ns) / 1000000000 - 1) {
        *ret_deadline_ns += (uint64_t)copy.tv_sec * 1000000000 + (uint64_t)copy.tv_nsec - 1;
    } else {
        *ret_deadline_ns = UINT64_MAX;
    }
    return 0;
}

/* Tested after each entry alone. Linux: nothing is left; OpenBSD: a whole second late. */
static bool time_is_up(const struct emu_task *self, uint64_t deadline_ns)
{
    uint64_t now = host_now_ns();

    if (openbsd(self)) {
        return now >= deadline_ns && now - deadline_ns >= 1000000000; /* tv_sec > 0 */
    }
    return now >= deadline_ns;
}

static void store_remaining(struct timespec *timeout, uint64_t deadline_ns)
{
    uint64_t now = host_now_ns();
    uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
    struct timespec copy = { (time_t)(left / 1000000000), (long)(left % 1000000000) };

    (void)host_copy(timeout, &copy, sizeof copy);
}

/* One entry. Returns its bytes or -errno. */
static int64_t receive_entry(struct emu_task *self, int fd, struct description *description,
                             struct mmsghdr *to, int flags)
{
    int ret_flags = 0;
    int64_t rc = message_receive(self, fd, description, &to->msg_hdr, flags & ~MSG_WAITFORONE,
                                 &ret_flags);
    unsigned int size = (unsigned int)rc;

    if (rc >= 0 && host_copy(&to->msg_len, &size, sizeof size) < 0) {
        return -EFAULT;
    }
    return rc;
}

/* Linux: the handler runs behind the call alone, so whatever would sleep now is interrupted. */
static int64_t receive_after_signal(struct emu_task *self, int fd, struct description *description,
                                    struct mmsghdr *to, int flags)
{
    int64_t rc = receive_entry(self, fd, description, to, flags | MSG_DONTWAIT);
    bool waits = !(flags & MSG_DONTWAIT) && !(atomic_load(&description->status) & O_NONBLOCK);

    return rc == -EAGAIN && waits ? -EINTR : rc;
}

static int64_t receive_all(struct emu_task *self, int fd, struct description *description,
                           struct mmsghdr *messages, unsigned int count, int flags,
                           uint64_t deadline_ns)
{
    uint32_t interrupts = self->interrupts;
    unsigned int done = 0;
    int64_t rc = 0;

    self->interrupts_anew = interrupts;

    while (done < count) {
        self->behind_first = done > 0;
        rc = self->interrupts == interrupts || openbsd(self)
                 ? receive_entry(self, fd, description, &messages[done], flags)
                 : receive_after_signal(self, fd, description, &messages[done], flags);
        if (rc < 0) {
            break;
        }
        if (done++ == 0) {
            interrupts = self->interrupts_anew; /* the call was made anew behind these */
        }
        if (flags & MSG_WAITFORONE) {
            flags |= MSG_DONTWAIT;
        }
        if (deadline_ns != 0 && time_is_up(self, deadline_ns)) {
            break;
        }
    }
    self->behind_first = false;
    if (done == 0) {
        return rc;
    }
    if (rc < 0 && rc != -EAGAIN && rc != EMU_NATIVE) {
        /* The next call on the socket reports it, even EFAULT. An interrupted receive without a
         * time-out leaves ERESTARTSYS there (sock_intr_errno), and SO_ERROR shows it. */
        bool restarts = rc == -EINTR && !openbsd(self) &&
                        atomic_load(&description->receive_timeout_ns) == 0;

        atomic_store(&description->error, restarts ? 512 : (int)-rc);
    }
    self->progress = 0;
    return done;
}

int64_t emu_recvmmsg(struct emu_task *self, int fd, struct mmsghdr *messages, unsigned int count,
                     int flags, struct timespec *timeout)
{
    struct description *description = socket_at(fd);
    uint64_t deadline_ns;
    int64_t rc;
    int error;

    if (openbsd(self)) {
        rc = import_timeout(timeout, &deadline_ns);
        if (rc < 0 || count == 0) {
            return rc;
        }
    }
    if (!description || ((unsigned)flags & MESSAGE_COMPAT)) {
        return EMU_NATIVE; /* the placeholder knows EINVAL before all else */
    }
    CHANNEL_KEEP(keep, self, description_index(description));
    if (!is_kept(fd, description)) {
        return EMU_NATIVE;
    }
    rc = import_timeout(timeout, &deadline_ns);
    if (rc < 0) {
        return rc;
    }
    if (openbsd(self)) {
        count = count > EMU_IOV_MAX ? EMU_IOV_MAX : count;
    } else {
        error = flags & MSG_ERRQUEUE ? 0 : description_take_error(description);
        if (error != 0) {
            return -error;
        }
    }
    rc = receive_all(self, fd, description, messages, count, flags, deadline_ns);
    if (timeout && rc > 0 && !openbsd(self)) {
        store_remaining(timeout, deadline_ns);
    }
    return rc;
}
