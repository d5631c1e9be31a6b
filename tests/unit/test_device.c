/*
 * test_device.c - /dev/vsock: a number handed over, its ioctl, its flags, and whose it is by policy
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "fixture.h"
#include "host.h"
#include "host_fake.h"

TestSuite(device, .init = fixture_start, .fini = fixture_end);

static char byte;

/* Any descriptor of the host with these flags. */
static int open_stand_in(int access, int flags)
{
    int fds[2];

    cr_assert_eq(host_pipe2(fds, flags), 0);
    cr_assert_eq(host_close(fds[access == O_RDONLY]), 0);
    return fds[access != O_RDONLY];
}

static int open_device(int access, int flags)
{
    const int fd = open_stand_in(access, flags);

    cr_assert_eq(emu_device_place(&self, fd), fd);
    return fd;
}

Test(device, keeps_its_number_and_flags)
{
    const int fd = open_device(O_RDONLY, O_NONBLOCK | O_CLOEXEC);

    cr_expect(emu_fd_is_device(fd) && emu_fd_is_emulated(fd));
    cr_expect_eq(emu_fcntl(&self, fd, F_GETFL, 0), O_RDONLY | O_NONBLOCK);
    cr_expect_eq(fixture_fcntl(fd, F_GETFD, 0), FD_CLOEXEC);
    cr_expect_eq(emu_fcntl(&self, fd, F_SETFL, O_APPEND | O_RDWR), 0);
    cr_expect_eq(emu_fcntl(&self, fd, F_GETFL, 0), O_RDONLY | O_APPEND);
    cr_expect_eq(emu_fcntl(&self, fd, F_SETFL, O_DIRECT), -EINVAL);
    cr_expect_eq(emu_fcntl(&self, fd, F_GETPIPE_SZ, 0), -EBADF);
    cr_expect_eq(fixture_open_fds(), 1, "the other end of the placeholder is closed");
    cr_assert_eq(emu_close(&self, fd), 0);
    cr_expect(!emu_fd_is_device(fd));
}

Test(device, a_copy_is_one_too)
{
    const int fd = open_device(O_RDONLY, 0);
    const int copy = (int)emu_dup(&self, fd);

    cr_assert_eq(emu_close(&self, fd), 0);
    cr_expect(emu_fd_is_device(copy));
    cr_assert_eq(emu_close(&self, copy), 0);
}

Test(device, has_no_data)
{
    const int reader = open_device(O_RDONLY, 0);
    const int writer = open_device(O_WRONLY, 0);
    const struct iovec iov = { &byte, 1 };

    cr_expect_eq(emu_read(&self, reader, &byte, 1), -EINVAL);
    cr_expect_eq(emu_readv(&self, reader, &iov, 1), -EINVAL);
    cr_expect_eq(emu_write(&self, reader, &byte, 1), -EBADF);
    cr_expect_eq(emu_write(&self, writer, &byte, 1), -EINVAL);
    cr_expect_eq(emu_writev(&self, writer, &iov, 1), -EINVAL);
    cr_expect_eq(emu_read(&self, writer, &byte, 1), -EBADF);
    cr_expect_eq(emu_splice(&self, reader, NULL, writer, NULL, 1, 0), -EINVAL);
    cr_expect_eq(emu_vmsplice(&self, reader, NULL, 0, 0), -EBADF);
    cr_assert_eq(emu_close(&self, reader), 0);
    cr_assert_eq(emu_close(&self, writer), 0);
}

Test(device, says_the_cid)
{
    const int fd = open_device(O_RDONLY, 0);
    uint32_t cid = 0;
    int on = 1;

    cr_expect_eq(emu_ioctl(&self, fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid), 0);
    cr_expect_eq(cid, emu_process_cid(&self));
    fake_bad_memory(&cid, sizeof cid);
    cr_expect_eq(emu_ioctl(&self, fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid), -EFAULT);
    fake_bad_memory(NULL, 0);
    cr_expect_eq(emu_ioctl(&self, fd, FIONREAD, &on), -ENOTTY);
    cr_expect_eq(emu_ioctl(&self, fd, FIOASYNC, &on), -ENOTTY);
    cr_expect_eq(emu_ioctl(&self, fd, FIONBIO, &on), 0);
    cr_expect_eq(emu_fcntl(&self, fd, F_GETFL, 0), O_RDONLY | O_NONBLOCK);
    cr_assert_eq(emu_close(&self, fd), 0);
}

Test(device, is_always_ready)
{
    const short bits = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
    const int fd = open_device(O_RDONLY, 0);
    struct pollfd entry = { fd, POLLPRI, 0 };

    cr_expect_eq(fixture_poll(fd, bits | POLLPRI | POLLRDHUP), bits);
    cr_expect_eq(emu_poll(&self, &entry, 1, 10), 0, "nothing that the placeholder shows counts");
    cr_assert_eq(emu_close(&self, fd), 0);
}

Test(device, no_epoll_instance_takes_it)
{
    const int fd = open_device(O_RDONLY, 0);
    const int set = (int)emu_epoll_create1(&self, 0);
    struct epoll_event event = { .events = EPOLLIN };

    cr_expect_eq(emu_epoll_ctl(&self, set, EPOLL_CTL_ADD, fd, &event), -EPERM);
    cr_expect_eq(emu_epoll_ctl(&self, set, EPOLL_CTL_DEL, fd, NULL), -EPERM);
    cr_expect_eq(emu_epoll_ctl(&self, 999, EPOLL_CTL_ADD, fd, &event), -EBADF);
    cr_assert_eq(emu_close(&self, set), 0);
    cr_assert_eq(emu_close(&self, fd), 0);
}

Test(device, stays_what_it_is_when_all_goes_native)
{
    const int fd = open_device(O_RDONLY, 0);
    int failed = -1;

    cr_expect_eq(emu_native_one(&self, fd), 0);
    cr_expect_eq(emu_native_all(&self, true, &failed), 0);
    cr_expect(emu_fd_is_device(fd));
    cr_assert_eq(emu_close(&self, fd), 0);
}

Test(device, is_known_again_after_exec)
{
    const int fd = open_device(O_RDONLY, O_NONBLOCK);

    emu_exec_before(&self);
    cr_expect_eq(emu_process_rebuild(&self), 1);
    cr_expect(emu_fd_is_device(fd));
    cr_expect_eq(emu_fcntl(&self, fd, F_GETFL, 0), O_RDONLY | O_NONBLOCK);
    cr_assert_eq(emu_close(&self, fd), 0);
}

Test(device, without_numbers_nothing_is_left)
{
    const int fd = open_stand_in(O_RDONLY, 0);

    fake_no_fds(1);
    cr_expect_eq(emu_device_place(&self, fd), -EMFILE);
    cr_expect_eq(fixture_open_fds(), 0);
}

static enum emu_device by_policy(const char *option)
{
    process.options.policy_count = 0;
    cr_assert_eq(emu_options_parse(option, &process.options), 0);
    return emu_device_policy(&self);
}

Test(device, whose_it_is)
{
    cr_expect_eq(emu_device_policy(&self), EMU_DEVICE_OURS);
    cr_expect_eq(by_policy("policy=vsock=EAFNOSUPPORT"), EMU_DEVICE_NONE);
    cr_expect_eq(by_policy("policy=vsock=native"), EMU_DEVICE_NATIVE);
    cr_expect_eq(by_policy("policy=vsock=refuse"), EMU_DEVICE_OURS);
    cr_expect_eq(by_policy("policy=vsock/stream=EACCES"), EMU_DEVICE_OURS);
    cr_expect_eq(by_policy("policy=unix=EACCES"), EMU_DEVICE_OURS);
}
