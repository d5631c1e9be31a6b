/*
 * kill_every_step - a process killed at every instruction of a call leaves a usable object
 *
 * Proves: wherever SIGKILL meets a process inside the core, the others find the object whole: its
 * lock can be taken over, bytes are there or not at all, reads and writes work, end-of-file comes,
 * a sleeper is woken, and when all is closed nothing is left in the arena. How: kill_steps.h.
 *
 *     kill_every_step [--stride N] [--only SCENARIO]
 *
 * Exit: 0; 1 with the scenario and step for what was wrong; killed by SIGALRM: somebody slept for
 * ever.
 */
#include "kill_steps.h"

static int64_t call_write(const struct objects *objects)
{
    return emu_write(&self, objects->fds[1], call_data, sizeof call_data);
}

static int64_t call_read(const struct objects *objects)
{
    unsigned char data[CALL];

    return emu_read(&self, objects->fds[0], data, sizeof data);
}

static int64_t call_close_writer(const struct objects *objects)
{
    return emu_close(&self, objects->fds[1]);
}

static int64_t call_close_reader(const struct objects *objects)
{
    return emu_close(&self, objects->fds[0]);
}

static int64_t call_poll(const struct objects *objects)
{
    struct pollfd both[2] = { { .fd = objects->fds[0], .events = POLLIN },
                              { .fd = objects->fds[1], .events = POLLPRI } };

    return emu_poll(&self, both, 2, POLL_MS);
}

/* A blocked receive that ends by its time-out. */
static int64_t call_sleep(const struct objects *objects)
{
    const struct timeval time = { .tv_usec = POLL_MS * 1000 };
    unsigned char data[CALL];

    const int64_t set = emu_setsockopt(&self, objects->fds[0], SOL_SOCKET, SO_RCVTIMEO, &time,
                                       sizeof time);
    const int64_t result = emu_recv(&self, objects->fds[0], data, sizeof data, 0);
    return set == 0 && result == -EAGAIN ? 0 : -1;
}

static int64_t call_pipe(const struct objects *objects)
{
    int fds[2];

    (void)objects;
    return emu_pipe2(&self, fds, 0);
}

static int64_t call_socketpair(const struct objects *objects)
{
    int fds[2];

    (void)objects;
    return emu_socketpair(&self, AF_UNIX, SOCK_STREAM, 0, fds);
}

static int64_t call_dup(const struct objects *objects)
{
    return emu_dup(&self, objects->fds[1]);
}

static int64_t call_shutdown(const struct objects *objects)
{
    return emu_shutdown(&self, objects->fds[1], SHUT_WR);
}

static int64_t call_exit(const struct objects *objects)
{
    (void)objects;
    emu_process_exit(&self);
    return 0;
}

static int64_t call_fork(const struct objects *objects)
{
    (void)objects;
    return emu_fork_before(&self);
}

static int64_t call_native(const struct objects *objects)
{
    return emu_native_one(&self, objects->fds[1]);
}

static void check_written(struct objects *objects)
{
    const size_t size = drain(objects->fds[0], 0);

    check(size == objects->before || size == objects->before + CALL,
          "a write of less than PIPE_BUF is torn");
    use_and_close(objects, false);
}

static void check_read(struct objects *objects)
{
    /* How much the child took isn't known, but what is left are the last bytes. */
    struct pollfd one = { .fd = objects->fds[0], .events = POLLIN };
    int left = 0;

    CHECK_EQUAL(emu_poll(&self, &one, 1, 0), 1);
    CHECK_EQUAL(emu_ioctl(&self, objects->fds[0], FIONREAD, &left), 0);
    check(left == BEFORE || left == BEFORE - CALL, "a read is torn");
    CHECK_EQUAL((int64_t)drain(objects->fds[0], (size_t)(BEFORE - left)), left);
    use_and_close(objects, false);
}

/* One record of BEFORE bytes: there or not. */
static void check_record_read(struct objects *objects)
{
    const size_t size = drain(objects->fds[0], 0);

    check(size == 0 || size == BEFORE, "a record is torn");
    use_and_close(objects, false);
}

static void check_untouched(struct objects *objects)
{
    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), BEFORE);
    use_and_close(objects, false);
}

static void check_empty(struct objects *objects)
{
    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), 0);
    use_and_close(objects, false);
}

static void check_shut(struct objects *objects)
{
    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), BEFORE);
    use_and_close(objects, true);
}

/* The child had the only writing end: after what it wrote, if anything, comes end-of-file. */
static void check_end(struct objects *objects)
{
    unsigned char data[CALL];

    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), BEFORE);
    CHECK_EQUAL(read_any(objects->fds[0], data, sizeof data), 0);
    CHECK_EQUAL(close_any(objects->fds[0]), 0);
}

static void check_woken(struct objects *objects)
{
    unsigned char data[CALL];

    pthread_join(objects->sleeper, NULL);
    check(objects->slept_result == 0 || objects->slept_result == CALL,
          "the sleeper got something else than all or end-of-file");
    if (objects->slept_result == 0)
        CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), 0);
    CHECK_EQUAL(read_any(objects->fds[0], data, sizeof data), 0);
    CHECK_EQUAL(close_any(objects->fds[0]), 0);
}

/* Everything is still there, once: in the emulator or in the kernel. */
static void check_native(struct objects *objects)
{
    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), BEFORE);
    use_and_close(objects, false);
}

static void check_nothing(struct objects *objects)
{
    (void)objects;
}

static void *sleep_in_read(void *argument)
{
    struct objects *objects = argument;
    struct emu_task task = { 0 };
    unsigned char data[CALL];

    emu_task_enter(&task, &process);
    objects->slept_result = emu_read(&task, objects->fds[0], data, sizeof data);
    emu_task_leave(&task);
    return NULL;
}

static const struct scenario scenarios[] = {
    { "write pipe", 0, BEFORE, 0, .call = call_write, .check = check_written },
    { "write stream", SOCK_STREAM, BEFORE, 0, .call = call_write, .check = check_written },
    { "write seqpacket", SOCK_SEQPACKET, BEFORE, 0, .call = call_write, .check = check_written },
    { "write vsock", OF_VSOCK | SOCK_STREAM, BEFORE, 0, .call = call_write,
      .check = check_written },
    { "write vsock record", OF_VSOCK | SOCK_SEQPACKET, BEFORE, 0, .call = call_write,
      .check = check_written },
    { "read pipe", 0, BEFORE, 0, .call = call_read, .check = check_read },
    { "read stream", SOCK_STREAM, BEFORE, 0, .call = call_read, .check = check_read },
    { "read seqpacket", SOCK_SEQPACKET, BEFORE, 0, .call = call_read, .check = check_record_read },
    { "read vsock", OF_VSOCK | SOCK_STREAM, BEFORE, 0, .call = call_read, .check = check_read },
    { "read vsock record", OF_VSOCK | SOCK_SEQPACKET, BEFORE, 0, .call = call_read,
      .check = check_record_read },
    { "poll pipe", 0, 0, 0, .call = call_poll, .check = check_empty, .sleeps = true },
    { "poll stream", SOCK_STREAM, 0, 0, .call = call_poll, .check = check_empty, .sleeps = true },
    { "sleep stream", SOCK_STREAM, 0, 0, .call = call_sleep, .check = check_empty, .sleeps = true },
    { "dup", 0, BEFORE, 0, .call = call_dup, .check = check_untouched },
    { "shutdown", SOCK_STREAM, BEFORE, 0, .call = call_shutdown, .check = check_shut },
    { "shutdown vsock", OF_VSOCK | SOCK_STREAM, BEFORE, 0, .call = call_shutdown,
      .check = check_shut },
    { "close reader", 0, BEFORE, 0, .call = call_close_reader, .check = check_untouched },
    { "close last writer", 0, BEFORE, CHILDS_WRITER, .call = call_close_writer,
      .check = check_end },
    { "close last peer", SOCK_STREAM, BEFORE, CHILDS_WRITER, .call = call_close_writer,
      .check = check_end },
    { "close last vsock peer", OF_VSOCK | SOCK_STREAM, BEFORE, CHILDS_WRITER,
      .call = call_close_writer, .check = check_end },
    { "sleeper and write", 0, 0, CHILDS_WRITER, .call = call_write, .check = check_woken,
      .sleeper = sleep_in_read },
    { "sleeper and send", SOCK_STREAM, 0, CHILDS_WRITER, .call = call_write, .check = check_woken,
      .sleeper = sleep_in_read },
    { "sleeper and vsock send", OF_VSOCK | SOCK_STREAM, 0, CHILDS_WRITER, .call = call_write,
      .check = check_woken, .sleeper = sleep_in_read },
    { "sleeper and close", 0, 0, CHILDS_WRITER, .call = call_close_writer, .check = check_woken,
      .sleeper = sleep_in_read },
    { "grow stream", SOCK_STREAM, BEFORE_FULL, 0, .call = call_write, .check = check_written,
      .sample = 3 },
    { "exit", SOCK_STREAM, BEFORE, CHILDS_WRITER, .call = call_exit, .check = check_end },
    { "prepare a fork", 0, BEFORE, 0, .call = call_fork, .check = check_untouched },
    { "native pipe", 0, BEFORE, 0, .call = call_native, .check = check_native },
    { "native stream", SOCK_STREAM, BEFORE, 0, .call = call_native, .check = check_native },
    { "native vsock", OF_VSOCK | SOCK_STREAM, BEFORE, 0, .call = call_native,
      .check = check_native },
    { "create pipe", -1, 0, 0, .call = call_pipe, .check = check_nothing },
    { "create socketpair", -1, 0, 0, .call = call_socketpair, .check = check_nothing },
};

int main(int argc, char **argv)
{
    return run_scenarios(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
