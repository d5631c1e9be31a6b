/*
 * meeting.h - how the two sides of a connection find each other
 *
 * The kernel connects the placeholders, in its own order, by its own rules: backlog, permissions,
 * time-outs, and who of several acceptors gets which. Beside it the emulator has a client and a
 * server's side, made by connect(), that waits. accept() must find it for what the kernel gave.
 *
 * So each client has a name when it connects: its own, if it was bound, else a hidden one in the
 * abstract namespace, which tells session, description and generation. accept() reads it off the
 * kernel's answer. A name that says nothing is a client from outside the session: the connection is
 * the kernel's. Listeners of AF_VSOCK have such names too, to be reached by.
 *
 * Hidden names are taken out of whatever the guest sees: unnamed, as they are for Linux.
 */
#ifndef EMU_MEETING_H
#define EMU_MEETING_H

#include "names.h"

#include <sys/un.h>

/* An address as the kernel stores it: a path of 108 characters has a NUL behind it. */
struct meeting_address {
    union {
        struct sockaddr_un unix_name;
        char bytes[128];
    } at;
    socklen_t size;
};

/* The hidden name of a description, which lives. */
void meeting_name(const struct description *description, struct meeting_address *ret_address);

/* Gives the placeholder `fd` its description's hidden name, unless it has one. 0 or -errno. */
int meeting_hide(struct description *description, int fd);

/* Whether the name is one of this session's hidden ones; whose it is. */
bool meeting_is_hidden(const struct meeting_address *address, uint32_t *ret_index,
                       uint32_t *ret_generation);

/* A server's side, as it was when its client called connect(). */
struct meeting {
    uint32_t server;
    uint32_t generation;
};

/*
 * Prepares the connection of a fresh socket to `listener`: the server's side, and a name by which
 * it is found. Returns 0, -ENFILE, -errno of naming.
 */
int meeting_prepare(struct emu_task *self, struct description *client, int fd,
                    const struct description *listener, struct meeting *ret_meeting);

/* connect() has failed: the server's side waits nowhere. */
void meeting_failed(struct meeting meeting);

/*
 * connect() has succeeded. If the listener has died meanwhile the client sees what Linux shows.
 * False: connections of the listener became the kernel's while this one waited for its turn. So
 * must the client's; then description_mind_listener() is the caller's to call.
 */
bool meeting_done(struct emu_task *self, struct description *client, struct meeting meeting);

/*
 * The kernel may have connected a socket that hasn't a peer here: whoever called connect() was
 * killed before meeting_done(). True: it is done now. `fd` is its placeholder.
 */
bool meeting_resume(struct emu_task *self, struct description *client, int fd);

/*
 * The server's side of the connection that the kernel's accept() gave with this peer's address.
 * False: the client isn't of this session, or is dead.
 */
bool meeting_find(const struct description *listener, const struct meeting_address *peer,
                  struct meeting *ret_meeting);

/*
 * Whether `fd`, which may be of another process, is the description's placeholder: by its hidden
 * name, or by that of the client at its other end.
 */
bool meeting_knows(const struct description *description, int fd);

/* Registers the placeholder's identity where no hidden name tells it. */
void meeting_identify(struct description *description, int fd);

/* Stores an address as the kernel does (move_addr_to_user); hidden ones as unnamed. 0 or -errno. */
int meeting_store(const struct meeting_address *address, void *ret_address, socklen_t *ret_size);

#endif
