/*
 * kill_splice_steps - a process killed at every instruction of splice and its kin loses nothing
 *
 * Proves: wherever SIGKILL meets a splice between two emulated ends, each byte is in the source or
 * in the destination, once and in order, and both can go on, also to be spliced again; tee leaves
 * the source as it was; what comes from a file is in the pipe or not. How: kill_steps.h.
 *
 *     kill_splice_steps [--stride N] [--only SCENARIO]
 *
 * Exit: as kill_every_step.
 */
#include "kill_steps.h"

#include <sys/mman.h>

static int other[2]; /* the destination: read end, write end, or a pair of which [1] sends */
static int file;

static void make_other(int type)
{
    if (type == 0)
        CHECK_EQUAL(emu_pipe2(&self, other, 0), 0);
    else if (type & OF_VSOCK)
        connect_vsock(type & ~OF_VSOCK, other);
    else
        CHECK_EQUAL(emu_socketpair(&self, AF_UNIX, type, 0, other), 0);
}

static void to_pipe(struct objects *objects)
{
    (void)objects;
    make_other(0);
}

static void to_stream(struct objects *objects)
{
    (void)objects;
    make_other(SOCK_STREAM);
}

static void to_records(struct objects *objects)
{
    (void)objects;
    make_other(SOCK_SEQPACKET);
}

static void to_vsock(struct objects *objects)
{
    (void)objects;
    make_other(OF_VSOCK | SOCK_STREAM);
}

static void from_file(struct objects *objects)
{
    unsigned char data[CALL];

    fill(data, objects->before, CALL);
    file = memfd_create("file", MFD_CLOEXEC);
    CHECK_EQUAL(write(file, data, CALL), CALL);
}

static int64_t splice_size(const struct objects *objects, size_t size)
{
    return emu_splice(&self, objects->fds[0], NULL, other[1], NULL, size, SPLICE_F_NONBLOCK);
}

static int64_t call_splice(const struct objects *objects)
{
    return splice_size(objects, CALL);
}

static int64_t call_splice_all(const struct objects *objects)
{
    return splice_size(objects, BEFORE);
}

static int64_t call_tee(const struct objects *objects)
{
    return emu_tee(&self, objects->fds[0], other[1], CALL, SPLICE_F_NONBLOCK);
}

static int64_t call_sendfile(const struct objects *objects)
{
    off64_t offset = 0;

    return emu_sendfile(&self, objects->fds[1], file, &offset, CALL);
}

static int64_t call_vmsplice(const struct objects *objects)
{
    unsigned char data[CALL];
    const struct iovec iov = { data, CALL };

    fill(data, BEFORE, CALL);
    return emu_vmsplice(&self, objects->fds[1], &iov, 1, 0);
}

static void close_other(void)
{
    CHECK_EQUAL(close_any(other[0]), 0);
    CHECK_EQUAL(close_any(other[1]), 0);
}

/* All of it, some here, the rest there. */
static void check_spliced(struct objects *objects, size_t call)
{
    const size_t moved = drain(other[0], 0);

    check(moved == 0 || moved == call, "a splice is torn");
    CHECK_EQUAL((int64_t)drain(objects->fds[0], moved), (int64_t)(BEFORE - moved));
    CHECK_EQUAL(write_any(objects->fds[1], call_data, CALL), CALL);
    CHECK_EQUAL(splice_size(objects, CALL), CALL);
    CHECK_EQUAL((int64_t)drain(other[0], BEFORE), CALL);
    use_and_close(objects, false);
    close_other();
}

static void check_some(struct objects *objects)
{
    check_spliced(objects, CALL);
}

static void check_all(struct objects *objects)
{
    check_spliced(objects, BEFORE);
}

static void check_tee(struct objects *objects)
{
    const size_t moved = drain(other[0], 0);

    check(moved == 0 || moved == CALL, "a tee is torn");
    CHECK_EQUAL((int64_t)drain(objects->fds[0], 0), BEFORE);
    use_and_close(objects, false);
    close_other();
}

static void check_added(struct objects *objects)
{
    const size_t size = drain(objects->fds[0], 0);

    check(size == BEFORE || size == BEFORE + CALL, "a transfer is torn");
    use_and_close(objects, false);
}

static void check_fed(struct objects *objects)
{
    check_added(objects);
    close(file);
}

static const struct scenario scenarios[] = {
    { "splice pipe", 0, BEFORE, 0, .call = call_splice, .check = check_some, .prepare = to_pipe },
    { "splice pipe whole", 0, BEFORE, 0, .call = call_splice_all, .check = check_all,
      .prepare = to_pipe },
    { "splice pipe to stream", 0, BEFORE, 0, .call = call_splice, .check = check_some,
      .prepare = to_stream },
    { "splice pipe to records", 0, BEFORE, 0, .call = call_splice, .check = check_some,
      .prepare = to_records },
    { "splice pipe to vsock", 0, BEFORE, 0, .call = call_splice, .check = check_some,
      .prepare = to_vsock },
    { "splice stream", SOCK_STREAM, BEFORE, 0, .call = call_splice, .check = check_some,
      .prepare = to_pipe },
    { "splice vsock", OF_VSOCK | SOCK_STREAM, BEFORE, 0, .call = call_splice, .check = check_some,
      .prepare = to_pipe },
    { "tee", 0, BEFORE, 0, .call = call_tee, .check = check_tee, .prepare = to_pipe },
    { "sendfile to pipe", 0, BEFORE, 0, .call = call_sendfile, .check = check_fed,
      .prepare = from_file },
    { "sendfile to stream", SOCK_STREAM, BEFORE, 0, .call = call_sendfile, .check = check_fed,
      .prepare = from_file },
    { "vmsplice", 0, BEFORE, 0, .call = call_vmsplice, .check = check_added },
};

int main(int argc, char **argv)
{
    return run_scenarios(argc, argv, scenarios, sizeof scenarios / sizeof scenarios[0]);
}
