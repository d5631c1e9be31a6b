/*
 * meeting.c - see meeting.h
 */
#include "meeting.h"

#include <errno.h>
#include <string.h>

/* Behind the NUL of an abstract name: a word, the session, the description, its generation. */
struct hidden_name {
    char word[8];
    uint64_t session;
    uint32_t index;
    uint32_t generation;
} __attribute__((packed));

static const char hidden_word[8] = "sockrig\n";

#define NAME_AT     (offsetof(struct sockaddr_un, sun_path) + 1)
#define HIDDEN_SIZE (NAME_AT + sizeof(struct hidden_name))
static_assert(HIDDEN_SIZE == EMU_HIDDEN_NAME_SIZE, "what the shim knows them by");

void meeting_name(const struct description *description, struct meeting_address *ret_address)
{
    struct hidden_name name = {
        .session = arena->header.id,
        .index = description_index(description),
        .generation = atomic_load(&description->generation),
    };

    memcpy(name.word, hidden_word, sizeof name.word);
    memset(ret_address, 0, sizeof *ret_address);
    ret_address->at.unix_name.sun_family = AF_UNIX;
    memcpy(ret_address->at.bytes + NAME_AT, &name, sizeof name);
    ret_address->size = HIDDEN_SIZE;
}

static bool has_name(int fd, const struct meeting_address *address)
{
    struct meeting_address own = { .size = sizeof own.at };

    return host_getsockname(fd, &own.at, &own.size) == 0 && own.size == address->size &&
           memcmp(&own.at, &address->at, own.size) == 0;
}

int meeting_hide(struct description *description, int fd)
{
    struct meeting_address address;
    int rc;

    if (atomic_load(&description->hidden)) {
        return 0;
    }
    meeting_name(description, &address);
    rc = host_bind(fd, &address.at, address.size);
    if (rc == -EINVAL && has_name(fd, &address)) {
        rc = 0; /* whoever did it was killed before it could say so */
    }
    if (rc == 0) {
        atomic_store(&description->hidden, 1);
    }
    return rc;
}

bool meeting_is_hidden(const struct meeting_address *address, uint32_t *ret_index,
                       uint32_t *ret_generation)
{
    struct hidden_name name;

    if (address->size != HIDDEN_SIZE || address->at.bytes[NAME_AT - 1] != 0) {
        return false;
    }
    memcpy(&name, address->at.bytes + NAME_AT, sizeof name);
    if (memcmp(name.word, hidden_word, sizeof name.word) != 0 || name.session != arena->header.id ||
        name.index >= EMU_MAX_DESCRIPTIONS) {
        return false;
    }
    *ret_index = name.index;
    *ret_generation = name.generation;
    return true;
}

static struct name_key key_of_address(const struct meeting_address *address)
{
    return name_of_bytes(NAME_ABSTRACT, 0, address->at.bytes, address->size);
}

/* A name by which the acceptor finds the server's side. */
static int name_client(struct description *client, int fd, struct description *server)
{
    struct meeting_address own = { .size = sizeof own.at };
    int rc = meeting_hide(client, fd);

    if (rc != -EINVAL) { /* not bound, and hidden now; or no memory */
        memset(&server->name, 0, sizeof server->name);
        return rc;
    }
    rc = host_getsockname(fd, &own.at, &own.size);
    server->name = key_of_address(&own);
    return rc;
}

int meeting_prepare(struct emu_task *self, struct description *client, int fd,
                    const struct description *listener, struct meeting *ret_meeting)
{
    uint32_t index = description_pending(self, client);
    struct description *server;
    int rc;

    if (index == ARENA_NONE) {
        return -ENFILE;
    }
    server = description_at(index);
    rc = name_client(client, fd, server);
    if (rc < 0) {
        return rc;
    }
    atomic_store(&server->handed_over, 0);
    server->queued_order = atomic_fetch_add(&arena->header.queued_count, 1);
    atomic_store(&server->queued_generation, atomic_load(&listener->generation));
    atomic_store(&server->queued, description_queue_word(server, description_index(listener) + 1));
    if (atomic_load(&listener->handed_over)) { /* just now: it may have looked for us before */
        atomic_store(&server->handed_over, 1);
    }
    *ret_meeting = (struct meeting){ index, atomic_load(&server->generation) };
    return 0;
}

void meeting_failed(struct meeting meeting)
{
    struct description *server = description_at(meeting.server);

    if (atomic_load(&server->generation) == meeting.generation) {
        atomic_store(&server->queued, 0);
    }
}

bool meeting_done(struct emu_task *self, struct description *client, struct meeting meeting)
{
    const struct description *server = description_at(meeting.server);

    if (!description_connect_client(self, client, meeting.server, meeting.generation)) {
        return true;
    }
    if (atomic_load(&server->handed_over) &&
        atomic_load(&server->generation) == meeting.generation) {
        return false;
    }
    description_mind_listener(self, meeting.server, meeting.generation);
    return true;
}

bool meeting_resume(struct emu_task *self, struct description *client, int fd)
{
    uint32_t pending = atomic_load(&client->pending);
    struct meeting_address peer = { .size = sizeof peer.at };
    const struct description *server;
    struct meeting meeting;

    if (EMU_LIKELY(pending == 0)) {
        return false;
    }
    server = description_at(pending - 1);
    meeting.server = pending - 1;
    meeting.generation = atomic_load(&server->generation);
    if (description_queue_place(server) == 0 || (atomic_load(&server->vsock.flags) & VSOCK_DOUBT) ||
        host_getpeername(fd, &peer.at, &peer.size) < 0) {
        return false;
    }
    meeting_done(self, client, meeting);
    return true;
}

/* Whether it waits at the listener, and is for this client; or for one of this name. */
static bool is_wanted(const struct description *server, const struct description *listener,
                      uint32_t client, uint32_t generation, const struct name_key *name)
{
    uint32_t state = atomic_load(&server->state) & 0xff;

    if ((state != DESCRIPTION_LIVE && state != DESCRIPTION_WAITING) ||
        description_queue_place(server) != description_index(listener) + 1) {
        return false;
    }
    return name ? name_same(server->name, *name)
                : atomic_load(&server->peer) == client &&
                      atomic_load(&server->peer_generation) == generation;
}

/* The oldest: a name may have been used again, by a later client. */
static bool search(const struct description *listener, uint32_t client, uint32_t generation,
                   const struct name_key *name, struct meeting *ret_meeting)
{
    uint32_t used = atomic_load_explicit(&arena->header.descriptions.fresh, memory_order_acquire);
    uint32_t order = 0;
    bool found = false;

    for (uint32_t i = 0; i < used; i++) {
        const struct description *server = description_at(i);
        uint32_t now = atomic_load(&server->generation); /* first: is_wanted() is of that one */

        if (is_wanted(server, listener, client, generation, name) &&
            (!found || (int32_t)(server->queued_order - order) < 0)) {
            *ret_meeting = (struct meeting){ i, now };
            order = server->queued_order;
            found = true;
        }
    }
    return found;
}

/* The server's side of a client that lives, hence lives itself. */
static bool find_pending(const struct description *client, uint32_t generation,
                         struct meeting *ret_meeting)
{
    uint32_t pending = atomic_load(&client->pending);

    if (pending == 0) {
        return false;
    }
    *ret_meeting = (struct meeting){ pending - 1,
                                     atomic_load(&description_at(pending - 1)->generation) };
    return atomic_load(&client->generation) == generation; /* last: so it did when we looked */
}

bool meeting_find(const struct description *listener, const struct meeting_address *peer,
                  struct meeting *ret_meeting)
{
    struct name_key name;
    uint32_t index;
    uint32_t generation;

    if (peer->size <= NAME_AT - 1) {
        return false;
    }
    if (!meeting_is_hidden(peer, &index, &generation)) {
        name = key_of_address(peer);
        return search(listener, 0, 0, &name, ret_meeting);
    }
    return find_pending(description_at(index), generation, ret_meeting) ||
           search(listener, index, generation, NULL, ret_meeting); /* it was closed meanwhile */
}

static bool is_name_of(const struct meeting_address *address, uint32_t index, uint32_t generation)
{
    uint32_t named;
    uint32_t named_generation;

    return meeting_is_hidden(address, &named, &named_generation) && named == index &&
           named_generation == generation;
}

bool meeting_knows(const struct description *description, int fd)
{
    struct meeting_address own = { .size = sizeof own.at };
    struct meeting_address peer = { .size = sizeof peer.at };

    if (atomic_load(&description->hidden)) {
        return host_getsockname(fd, &own.at, &own.size) == 0 &&
               is_name_of(&own, description_index(description),
                          atomic_load(&description->generation));
    }
    return host_getpeername(fd, &peer.at, &peer.size) == 0 &&
           is_name_of(&peer, atomic_load(&description->peer),
                      atomic_load(&description->peer_generation));
}

void meeting_identify(struct description *description, int fd)
{
    if (!meeting_knows(description, fd) && !atomic_load(&description->identified) &&
        host_identify(fd, &description->identity) == 0) {
        atomic_store(&description->identified, 1);
    }
}

int meeting_store(const struct meeting_address *address, void *ret_address, socklen_t *ret_size)
{
    uint32_t index;
    uint32_t generation;
    socklen_t size = address->size;
    socklen_t room;

    if (meeting_is_hidden(address, &index, &generation)) {
        size = sizeof(sa_family_t);
    }
    if (host_copy(&room, ret_size, sizeof room) < 0) {
        return -EFAULT;
    }
    if ((int)room < 0) {
        return -EINVAL;
    }
    if (host_copy(ret_address, &address->at, base_min_u32(room, size)) < 0) {
        return -EFAULT;
    }
    return host_copy(ret_size, &size, sizeof size);
}
