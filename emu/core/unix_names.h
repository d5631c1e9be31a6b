/*
 * unix_names.h - AF_UNIX sockets with names: bind, listen, connect, accept
 *
 * Names are the kernel's: the placeholder is bound to the guest's own address, so the file with its
 * mode, EADDRINUSE, permissions, relative paths, backlog and credentials are right without code,
 * and programs outside the session meet those inside. A listener is served by the kernel; what the
 * emulator adds is that a connection between two members becomes a channel of its own (meeting.h).
 * A connection with anybody else is native.
 *
 * Left out: two sockets whose names are exchanged by rename() between the look-up and the connect.
 * Linux: net/unix/af_unix.c:unix_bind, unix_listen, unix_stream_connect, unix_accept.
 *
 * All take a description of AF_UNIX that fdtab_get_any(fd) gave. Addresses are the guest's.
 */
#ifndef EMU_UNIX_NAMES_H
#define EMU_UNIX_NAMES_H

#include "channel.h"

int64_t unix_bind(struct emu_task *self, int fd, struct description *description,
                  const void *address, int size);

/* Judges listen(): 0, or -errno. */
int64_t unix_listen(struct emu_task *self, int fd, struct description *description);

/* May block, in the kernel. */
int64_t unix_connect(struct emu_task *self, int fd, struct description *description,
                     const void *address, int size);

#endif
