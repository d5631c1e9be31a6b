/*
 * Proves: threads that add, change, delete, duplicate and close entries of one set, while others
 * write, read and wait in it, break nothing: what is told is always of the set's own words, errors
 * are only those that the race allows, and in the end every end that holds data is told of, once a
 * wait. Chance comes from fixed seeds.
 *
 * Rows: 6.3 "ADD existing", 6.3 "MOD/DEL missing", 6.4 "The key is (fd number, open file
 * description)", 6.4 "LT: reported on every wait while ready"
 */
#include <sys/epoll.h>

#include "guest.h"

enum { CHANNELS = 6, CHANGERS = 2, WAITERS = 2, ROUNDS = 4000, WORD = 0x5eed0000 };

static int channels[CHANNELS][2];
static int epoll;
static atomic_bool stop;

static uint32_t next_chance(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u; /* Knuth, MMIX */
    return (uint32_t)(*seed >> 33);
}

static int ctl(int op, int channel, int fd, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.u64 = (uint64_t)(WORD + channel) };
    return epoll_ctl(epoll, op, fd, &event);
}

/* One change of the set; an error must be one that another changer can have caused. */
static void change(uint64_t *seed)
{
    const uint32_t kinds[] = { EPOLLIN, EPOLLIN | EPOLLET, EPOLLIN | EPOLLONESHOT, EPOLLOUT, 0 };
    int channel = (int)(next_chance(seed) % CHANNELS), fd = channels[channel][0], copy;
    uint32_t events = kinds[next_chance(seed) % 5];
    switch (next_chance(seed) % 5) {
    case 0: CHECK(ctl(EPOLL_CTL_ADD, channel, fd, events) == 0 || errno == EEXIST); break;
    case 1: CHECK(ctl(EPOLL_CTL_DEL, channel, fd, 0) == 0 || errno == ENOENT); break;
    case 2: /* an entry of a number of its own, which dies with it but for the description */
        copy = (int)CHECK_OK(dup(fd));
        CHECK_OK(ctl(EPOLL_CTL_ADD, channel, copy, events));
        CHECK_OK(ctl(EPOLL_CTL_DEL, channel, copy, 0));
        CHECK_OK(close(copy));
        break;
    case 3: { /* a channel that comes and goes with its entry */
        int fds[2];
        guest_pair(SOCK_STREAM, fds);
        CHECK_OK(ctl(EPOLL_CTL_ADD, channel, fds[0], events));
        CHECK_EQ(1, write(fds[1], "x", 1));
        guest_close_both(fds);
        break;
    }
    default: CHECK(ctl(EPOLL_CTL_MOD, channel, fd, events) == 0 || errno == ENOENT);
    }
}

static void *changer(void *argument)
{
    uint64_t seed = (uint64_t)(intptr_t)argument;
    for (int i = 0; i < ROUNDS; i++) {
        change(&seed);
    }
    return NULL;
}

static void *waiter(void *argument)
{
    uint64_t seed = (uint64_t)(intptr_t)argument;
    while (!atomic_load(&stop)) {
        struct epoll_event events[3];
        int count = (int)CHECK_OK(epoll_wait(epoll, events, 3, (int)(next_chance(&seed) % 2)));
        for (int i = 0; i < count; i++) {
            CHECK(events[i].data.u64 - WORD < CHANNELS);
            CHECK(events[i].events != 0);
        }
    }
    return NULL;
}

static void *writer(void *argument)
{
    uint64_t seed = (uint64_t)(intptr_t)argument;
    char buffer[16];
    while (!atomic_load(&stop)) {
        int channel = (int)(next_chance(&seed) % CHANNELS);
        if (next_chance(&seed) % 2 == 0) {
            CHECK(write(channels[channel][1], "x", 1) == 1 || errno == EAGAIN);
        } else {
            CHECK(read(channels[channel][0], buffer, sizeof buffer) > 0 || errno == EAGAIN);
        }
    }
    return NULL;
}

static void open_channels(void)
{
    const int types[] = { 0, SOCK_STREAM, SOCK_SEQPACKET };
    for (int i = 0; i < CHANNELS; i++) {
        if (types[i % 3] == 0) {
            guest_pipe(channels[i]);
        } else {
            guest_pair(types[i % 3], channels[i]);
        }
        guest_set_nonblock(channels[i][0], true);
        guest_set_nonblock(channels[i][1], true);
    }
    epoll = (int)CHECK_OK(epoll_create1(0));
}

/* After the storm: exactly the entries that are made now, each told once in a wait. */
static void calm(void)
{
    struct epoll_event events[4 * CHANNELS];
    unsigned told = 0;
    char buffer[16];
    for (int i = 0; i < CHANNELS; i++) {
        CHECK(ctl(EPOLL_CTL_DEL, i, channels[i][0], 0) == 0 || errno == ENOENT);
    }
    CHECK_EQ(0, epoll_wait(epoll, events, 4 * CHANNELS, 0));
    for (int i = 0; i < CHANNELS; i++) {
        CHECK_OK(ctl(EPOLL_CTL_ADD, i, channels[i][0], EPOLLIN));
        CHECK(write(channels[i][1], "x", 1) == 1 || errno == EAGAIN);
    }
    CHECK_EQ(CHANNELS, epoll_wait(epoll, events, 4 * CHANNELS, 0));
    for (int i = 0; i < CHANNELS; i++) {
        CHECK_EQ(EPOLLIN, events[i].events);
        told |= 1u << (events[i].data.u64 - WORD);
    }
    CHECK_EQ((1u << CHANNELS) - 1, told);
    for (int i = 0; i < CHANNELS; i++) {
        while (read(channels[i][0], buffer, sizeof buffer) > 0) {
        }
        CHECK_EQ(EAGAIN, errno);
    }
    CHECK_EQ(0, epoll_wait(epoll, events, 4 * CHANNELS, 0));
}

static void storm(intptr_t seed)
{
    struct guest_thread changers[CHANGERS], others[WAITERS + 1];
    open_channels();
    atomic_store(&stop, false);
    for (int i = 0; i <= WAITERS; i++) {
        guest_thread_start(&others[i], i == WAITERS ? writer : waiter, (void *)(seed + 100 + i));
    }
    for (int i = 0; i < CHANGERS; i++) {
        guest_thread_start(&changers[i], changer, (void *)(seed + i));
    }
    for (int i = 0; i < CHANGERS; i++) {
        guest_thread_join(&changers[i]);
    }
    atomic_store(&stop, true);
    for (int i = 0; i <= WAITERS; i++) {
        guest_thread_join(&others[i]);
    }
    calm();
    for (int i = 0; i < CHANNELS; i++) {
        guest_close_both(channels[i]);
    }
    CHECK_OK(close(epoll));
}

int main(void)
{
    guest_start();
    storm(1);
    storm(1000);
    storm(1000000);
    return guest_end();
}
