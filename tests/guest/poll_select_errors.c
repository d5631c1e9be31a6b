/*
 * Proves: the errors of poll, ppoll, select and pselect beside emulated fds, and which one comes
 * first: nfds above RLIMIT_NOFILE, arrays and sets that can't be read or written, bad times and
 * masks; closed numbers below the fd table's size and above it; what an error leaves untouched.
 *
 * Rows: 6.2 "nfds > RLIMIT_NOFILE", 6.2 "timeout<0 infinite; ppoll/pselect bad timespec EINVAL",
 * 6.2 "nfds<0 or bad timeval (negative)", 6.2 "a set bit of a closed fd below the table size"
 */
#include <sys/mman.h>
#include <sys/resource.h>

#include "guest.h"

static int fds[2];

/* A count that the compiler can't compare with an array. */
static volatile nfds_t all_bits = (nfds_t)-1;

/* The last `size` bytes before a page that isn't there, or is read-only after protect(). */
static char *page;

static void *at_page_end(size_t size)
{
    return page + GUEST_PAGE - size;
}

static void protect(bool writable)
{
    CHECK_OK(mprotect(page, GUEST_PAGE, writable ? PROT_READ | PROT_WRITE : PROT_READ));
}

static void set_limit(rlim_t soft)
{
    struct rlimit limit;
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    limit.rlim_cur = soft;
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
}

static void too_many_entries(void)
{
    static struct pollfd entries[400];
    struct rlimit limit;
    const struct timespec now = { 0, 0 }, bad = { 0, -1 };
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
    for (int i = 0; i < 400; i++) {
        entries[i] = (struct pollfd){ .fd = fds[0], .events = POLLIN, .revents = 99 };
    }
    set_limit(300);
    CHECK_ERR(EINVAL, poll(entries, 301, 0));
    CHECK_ERR(EINVAL, ppoll(entries, 301, &now, NULL));
    CHECK_ERR(EINVAL, poll(guest_bad_pointer(), 301, 0)); /* before the array is looked at */
    CHECK_ERR(EINVAL, poll(entries, all_bits, 0));
    CHECK_ERR(EINVAL, ppoll(guest_bad_pointer(), 1, &bad, NULL)); /* the time comes first */
    CHECK_EQ(99, entries[0].revents);
    CHECK_EQ(0, poll(entries, 300, 0)); /* more than are open, not more than may be */
    CHECK_EQ(0, entries[299].revents);
    CHECK_EQ(99, entries[300].revents);
    set_limit(limit.rlim_cur);
}

static void bad_arrays(void)
{
    struct pollfd *entries = at_page_end(2 * sizeof *entries);
    const struct pollfd one = { .fd = fds[1], .events = POLLOUT, .revents = 7 };
    const struct timespec now = { 0, 0 };
    sigset_t mask;
    sigemptyset(&mask);
    entries[0] = entries[1] = one;
    CHECK_EQ(2, poll(entries, 2, -1));
    CHECK_ERR(EFAULT, poll(entries, 3, -1));
    CHECK_ERR(EFAULT, ppoll(entries, 3, &now, &mask));
    CHECK_ERR(EFAULT, poll(guest_bad_pointer(), 1, -1));
    CHECK_ERR(EFAULT, syscall(SYS_ppoll, entries, 1, guest_bad_pointer(), NULL, 8));
    CHECK_ERR(EFAULT, ppoll(entries, 1, &now, guest_bad_pointer()));
    CHECK_ERR(EINVAL, syscall(SYS_ppoll, entries, 1, &now, &mask, 7)); /* size of the mask */
    protect(false);
    CHECK_ERR(EFAULT, poll(entries, 1, -1)); /* revents can't be stored */
    CHECK_ERR(EFAULT, poll(entries, 1, 0));
    protect(true);
    CHECK_EQ(POLLOUT, entries[0].revents);
}

static void bad_times(void)
{
    static const struct timespec bad[] = {
        { -1, 0 }, { 0, -1 }, { 0, 1000000000 }, { INT64_MIN, 0 }, { 0, INT64_MAX }
    };
    struct pollfd entry = { .fd = fds[1], .events = POLLOUT };
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fds[1], &set);
    for (int i = 0; i < 5; i++) { /* though there is something to report */
        CHECK_ERR(EINVAL, ppoll(&entry, 1, &bad[i], NULL));
        CHECK_ERR(EINVAL, pselect(fds[1] + 1, NULL, &set, NULL, &bad[i], NULL));
    }
    CHECK_EQ(0, entry.revents);
    CHECK(FD_ISSET(fds[1], &set));
}

static void bad_sets(void)
{
    uint64_t *word = at_page_end(sizeof *word);
    fd_set *short_set = (fd_set *)(void *)word;
    struct timeval now = { 0, 0 };
    const struct timespec spec = { 0, 0 };
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fds[1], &set);
    *word = 1ull << fds[1];
    CHECK_EQ(1, select(fds[1] + 1, NULL, short_set, NULL, &now)); /* whole longs, no more */
    CHECK_EQ(1, select(64, NULL, short_set, NULL, &now));
    CHECK_ERR(EFAULT, select(fds[1] + 1, NULL, NULL, guest_bad_pointer(), &now));
    CHECK_ERR(EFAULT, syscall(SYS_select, fds[1] + 1, NULL, &set, NULL, guest_bad_pointer()));
    CHECK_ERR(EFAULT,
              syscall(SYS_pselect6, fds[1] + 1, NULL, &set, NULL, guest_bad_pointer(), NULL));
    CHECK_ERR(EFAULT, pselect(fds[1] + 1, NULL, &set, NULL, &spec, guest_bad_pointer()));
    CHECK_ERR(EINVAL, select(-1, guest_bad_pointer(), NULL, NULL, &now));
    CHECK_ERR(EINVAL, pselect(-1, NULL, NULL, NULL, &spec, NULL));
    protect(false);
    CHECK_ERR(EFAULT, select(fds[1] + 1, NULL, short_set, NULL, &now));
    protect(true);
    CHECK(FD_ISSET(fds[1], &set));
}

/* A time that can't be stored back is no error of the system call (libc itself would fault). */
static void read_only_time(void)
{
    struct timeval *value = at_page_end(sizeof *value);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fds[1], &set);
    *value = (struct timeval){ 5, 0 };
    protect(false);
    CHECK_EQ(1, syscall(SYS_select, fds[1] + 1, NULL, &set, NULL, value));
    CHECK_EQ(5, value->tv_sec);
    protect(true);
}

enum { ABOVE = 3000, SET_BYTES = 512, CLOSED = 60 };

static void set_bit(unsigned char *set, int fd)
{
    set[fd / 8] |= (unsigned char)(1 << fd % 8);
}

static bool has_bit(const unsigned char *set, int fd)
{
    return (set[fd / 8] >> fd % 8 & 1) != 0;
}

static int select_bytes(int count, unsigned char *reads, unsigned char *writes,
                        struct timeval *timeout)
{
    return select(count, (fd_set *)(void *)reads, (fd_set *)(void *)writes, NULL, timeout);
}

/*
 * In a child, whose table is as small as its highest number allows: below ABOVE in any case, above
 * CLOSED always (kernel: 64 and more).
 */
static void table_size_in_child(void)
{
    static _Alignas(8) unsigned char reads[SET_BYTES], writes[SET_BYTES];
    struct timeval now = { 0, 0 };
    set_bit(writes, fds[1]);
    set_bit(reads, ABOVE);
    CHECK_EQ(1, select_bytes(ABOVE + 1, reads, writes, &now));
    CHECK(has_bit(writes, fds[1]));
    set_bit(reads, ABOVE);
    set_bit(reads, CLOSED);
    CHECK_ERR(EBADF, select_bytes(ABOVE + 1, reads, writes, &now));
    CHECK_ERR(EBADF, select_bytes(ABOVE + 1, reads, writes, NULL));
    CHECK(has_bit(reads, ABOVE) && has_bit(reads, CLOSED) && has_bit(writes, fds[1]));
    CHECK_EQ(1, select_bytes(CLOSED, reads, writes, &now)); /* not below nfds: not looked at */
    memset(reads, 0, sizeof reads);
    set_bit(reads, ABOVE);
    set_bit(reads, fds[0]);
    now.tv_usec = 2000; /* a bit that is ignored doesn't keep it from waiting */
    CHECK_EQ(0, select_bytes(ABOVE + 1, reads, NULL, &now));
    CHECK(!has_bit(reads, fds[0]));
}

static void table_size(void)
{
    pid_t pid = guest_fork();
    if (pid == 0) {
        table_size_in_child();
        _exit(0);
    }
    guest_wait_exit(pid, 0);
}

int main(void)
{
    guest_start();
    guest_pipe(fds);
    page = mmap(NULL, 2 * GUEST_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED);
    CHECK_OK(munmap(page + GUEST_PAGE, GUEST_PAGE));
    too_many_entries();
    bad_arrays();
    bad_times();
    bad_sets();
    read_only_time();
    table_size();
    CHECK_OK(munmap(page, GUEST_PAGE));
    guest_close_both(fds);
    return guest_end();
}
