/*
 * names.h - who has which name: sockets that are bound, found by key
 *
 * A key is 128 bits: of a path socket the device and inode of its file, which can't be used again
 * while the socket lives; of an abstract name a hash of type and bytes; of an AF_VSOCK socket its
 * machine and port. The description holds the key; the table holds indices of descriptions, so an
 * entry is one word, and true while the description has the same generation and still says that it
 * is named. An entry that isn't true any more is overwritten by a later one.
 *
 * Locking: who enters a name holds names_lock(), so that looking and entering are one step, and who
 * forgets one takes it, since that shortens rows; finding takes no lock. The slot is
 * written before the word in the description: a kill in between leaves an entry that isn't true.
 */
#ifndef EMU_NAMES_H
#define EMU_NAMES_H

#include "description.h"

/* What the first word of a key begins with, so that keys of different kinds never are the same. */
enum name_kind { NAME_PATH = 1, NAME_ABSTRACT, NAME_VSOCK };

struct name_key name_of_file(uint64_t device, uint64_t inode);
struct name_key name_of_bytes(enum name_kind kind, int type, const void *bytes, size_t size);
struct name_key name_of_port(uint32_t machine, uint32_t port);

static inline bool name_same(struct name_key a, struct name_key b)
{
    return a.high == b.high && a.low == b.low;
}

void names_lock(struct emu_task *self);
void names_unlock(struct emu_task *self);

/* Enters the description under description->name. Requires: names_lock. 0, or -ENOMEM. */
int names_enter_locked(struct description *description);

/* names_forget(), see description.h: it has its name no longer. May be repeated. */

/*
 * Finds the next description with this name; *at is 0 at first, and moves on. NULL: there are no
 * more. What it gives was so at some moment: take a hold before relying on it.
 */
struct description *names_find(struct name_key name, uint32_t *at);

#endif
