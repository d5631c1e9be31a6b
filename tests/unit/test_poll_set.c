/*
 * test_poll_set.c - what poll reads out of one word is what the whole state says
 *
 * A buf's `version` carries poll's bits (socket_buf.h). After each of many random steps the bits of
 * both ends are compared with those worked out from the states themselves.
 * Linux: fs/pipe.c:pipe_poll, net/unix/af_unix.c:unix_poll, unix_writable.
 */
#include <criterion/criterion.h>
#include <fcntl.h>

#include "fdtab.h"
#include "fixture.h"

TestSuite(poll_set, .init = fixture_start, .fini = fixture_end);

#define BITS_IN  (POLLIN | POLLRDNORM)
#define BITS_OUT (POLLOUT | POLLWRNORM)

static char data[70000];

static uint32_t expected_of_socket(const struct description *description)
{
    const struct buf_state rx = buf_peek(buf_at(description->rx));
    const struct buf_state tx = buf_peek(buf_at(description->tx));
    uint32_t bits = rx.seg_count > 0 ? BITS_IN : 0;

    if (4 * ((uint64_t)tx.charged + 1) <= tx.limit)
        bits |= BITS_OUT | POLLWRBAND;
    if (rx.flags & BUF_SHUT)
        bits |= BITS_IN | POLLRDHUP;
    if (rx.flags & BUF_SHUT && tx.flags & BUF_SHUT)
        bits |= POLLHUP;
    if (atomic_load(&description->error) != 0)
        bits |= POLLERR;
    return bits;
}

static uint32_t expected_of_pipe(const struct description *description)
{
    const bool reads = description->rx != ARENA_NONE;
    const struct buf_state state = buf_peek(buf_at(reads ? description->rx : description->tx));

    if (reads)
        return (state.used > 0 ? BITS_IN : 0) | (state.flags & BUF_WRITER_GONE ? POLLHUP : 0);
    return (state.seg_count < state.limit ? BITS_OUT : 0) |
           (state.flags & BUF_READER_GONE ? POLLERR : 0);
}

static void check(int fd, uint32_t seed, int step)
{
    const struct description *description = fdtab_get(fd);
    const uint32_t expected = description_is_socket(description) ? expected_of_socket(description)
                                                                 : expected_of_pipe(description);

    cr_assert_eq(description_look(description), expected, "seed %u step %d: %#x, not %#x", seed,
                 step, description_look(description), expected);
}

static uint32_t next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u; /* Numerical Recipes' */
    return *state >> 8;
}

/* Sizes about the borders: nothing, a byte, a page, much. */
static size_t some_size(uint32_t number)
{
    static const size_t sizes[] = { 0, 1, 64, 4095, 4096, 4097, 30000, 65536 };

    return sizes[number % 8];
}

static void run(const int fds[2], bool socket, uint32_t seed, int steps)
{
    uint32_t state = seed;

    for (int step = 0; step < steps; step++) {
        const size_t size = some_size(next(&state));
        const bool back = socket && next(&state) % 2;

        if (next(&state) % 5 < 3)
            emu_write(&self, fds[!back], data, size);
        else
            emu_read(&self, fds[back], data, size);
        check(fds[0], seed, step);
        check(fds[1], seed, step);
    }
}

Test(poll_set, bits_of_a_pipe_are_those_of_its_state)
{
    int fds[2];

    for (uint32_t seed = 1; seed <= 40; seed++) {
        fixture_pipe(fds, O_NONBLOCK | (seed % 2 ? O_DIRECT : 0));
        run(fds, false, seed, 200);
        if (seed % 3)
            fixture_fcntl(fds[0], F_SETPIPE_SZ, seed % 3 == 1 ? 1 << 17 : 1 << 16);
        run(fds, false, seed, 100);
        emu_close(&self, fds[seed % 4 < 2]);
        check(fds[seed % 4 >= 2], seed, -1);
        emu_close(&self, fds[seed % 4 >= 2]);
    }
}

Test(poll_set, bits_of_a_pair_are_those_of_its_states)
{
    int fds[2];

    for (uint32_t seed = 1; seed <= 40; seed++) {
        fixture_pair(fds, (seed % 2 ? SOCK_STREAM : SOCK_SEQPACKET) | SOCK_NONBLOCK);
        run(fds, true, seed, 200);
        emu_shutdown(&self, fds[0], (int)(seed % 3));
        self.sigpipe = false;
        run(fds, true, seed, 100);
        self.sigpipe = false;
        emu_close(&self, fds[1]);
        check(fds[0], seed, -1);
        emu_close(&self, fds[0]);
    }
}

Test(poll_set, the_word_counts_and_says_which_copy_is_current)
{
    struct socket_buf *buf;
    uint32_t before;
    int fds[2];

    fixture_pipe(fds, O_NONBLOCK);
    buf = buf_at(fdtab_get(fds[0])->rx);
    /* Just before the counter comes round. */
    before = atomic_load(&buf->version) | ~(uint32_t)(BUF_VERSION_BITS | 1 << BUF_VERSION_SHIFT);
    atomic_store(&buf->version, before);
    for (uint32_t i = 1; i <= 4; i++) {
        cr_expect_eq(emu_write(&self, fds[1], data, 1), 1);
        cr_expect_eq(atomic_load(&buf->version) >> BUF_VERSION_SHIFT,
                     ((before >> BUF_VERSION_SHIFT) + i) & 0xffffff);
        cr_expect_eq(buf_peek(buf).used, i);
        cr_expect_eq(buf_bits(buf), BUF_IN | BUF_OUT);
    }
    fixture_close(fds);
}
