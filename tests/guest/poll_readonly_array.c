/*
 * Proves: an array of poll that can be read and not written gives EFAULT, also when nothing is
 * ready; the entries before the bad page have their answers by then (do_sys_poll writes upwards).
 * The same in a thread that blocks SIGSEGV.
 *
 * Rows: 6.2 "EFAULT"
 */
#include <sys/mman.h>

#include "guest.h"

#define COUNT 100 /* of which 50 stand before the border */

static struct pollfd *make_array(char *pages, int fd)
{
    struct pollfd *entries = (struct pollfd *)(void *)(pages + GUEST_PAGE) - COUNT / 2;

    CHECK_OK(mprotect(pages, 2 * GUEST_PAGE, PROT_READ | PROT_WRITE));
    for (int i = 0; i < COUNT; i++)
        entries[i] = (struct pollfd){ .fd = fd, .events = POLLIN, .revents = 0x55 };
    CHECK_OK(mprotect(pages + GUEST_PAGE, GUEST_PAGE, PROT_READ));
    return entries;
}

static void check_array(char *pages, int fd, short expected)
{
    struct pollfd *entries = make_array(pages, fd);

    CHECK_ERR(EFAULT, poll(entries, COUNT, 0));
    for (int i = 0; i < COUNT; i++) {
        CHECK_EQ(fd, entries[i].fd);
        CHECK_EQ(POLLIN, entries[i].events);
        CHECK_EQ(i < COUNT / 2 ? expected : 0x55, entries[i].revents);
    }
    CHECK_ERR(EFAULT, poll(entries + COUNT / 2, 1, 0));
    CHECK_EQ(expected != 0 ? COUNT / 2 : 0, poll(entries, COUNT / 2, 0));
}

static void check_both(char *pages)
{
    int fds[2];

    guest_pipe(fds);
    check_array(pages, fds[0], 0);
    CHECK_EQ(1, write(fds[1], "x", 1));
    check_array(pages, fds[0], POLLIN);
    guest_close_both(fds);
}

int main(void)
{
    char *pages = mmap(NULL, 2 * GUEST_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);
    sigset_t faults;

    guest_start();
    CHECK(pages != MAP_FAILED);
    check_both(pages);
    sigemptyset(&faults);
    sigaddset(&faults, SIGSEGV);
    CHECK_OK(sigprocmask(SIG_BLOCK, &faults, NULL));
    check_both(pages);
    return guest_end();
}
