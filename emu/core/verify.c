/*
 * verify.c - see verify.h
 */
#include "verify.h"

#include "fdtab.h"

#define PATIENCE_NS 200000000u

static bool kernel_shows_end(int fd)
{
    return host_poll_one(fd, 0) & (POLLHUP | POLLERR);
}

/*
 * A receiver that was killed just after it took a carrier leaves the record of what was in flight
 * until the next receive (rights.h). The kernel's word counts until then.
 */
static bool is_left_in_flight(const struct description *peer)
{
    return peer && atomic_load(&peer->in_flight) > 0 && !description_held_by_any(peer);
}

/* A peer that is kept by a blocked call alone has no descriptor for the kernel to count. */
static bool differs(int fd)
{
    const struct description *description = fdtab_get(fd);

    return description && description->rx != description->tx && /* neither a set nor a device */
           description_is_connected(description) &&
           kernel_shows_end(fd) != (description_peer(description) == NULL) &&
           !is_left_in_flight(description_peer(description));
}

uint32_t verify_ends(struct emu_task *self)
{
    uint64_t end = host_now_ns() + PATIENCE_NS;
    int top = fdtab_top();
    uint32_t count = 0;

    for (int fd = 0; fd < top; fd++) {
        bool differ = differs(fd);

        while (differ && host_now_ns() < end) {
            host_yield();
            differ = differs(fd);
        }
        if (differ) {
            const struct description *description = fdtab_get(fd);

            emu_report_add(self, EMU_REPORT_DISAGREE,
                           description_peer(description) ? "kernel says gone" : "kernel says alive",
                           -1, (int)description->kind, 0);
            count++;
        }
    }
    return count;
}
