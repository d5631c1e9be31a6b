/*
 * capacity.h - how much new objects hold, as the options say it
 *
 * An object made at a place of the guest's code that an option names gets that option's size; else
 * the one that is for all of its kind; else what --faults draws; else Linux's default. The place is
 * where the guest called what made the object: pipe, socketpair, socket (for the connection that
 * comes of it, both ways), listen.
 *
 * Sizes below what Linux allows are a pipe of one slot of so many bytes, and a socket buffer of one
 * segment of so many. What follows from it: a write of PIPE_BUF bytes or fewer is cut, and two such
 * writes may mix; F_GETPIPE_SZ and SO_SNDBUF say what the kernel's smallest are. Left as they are:
 * a record of SOCK_SEQPACKET, which can't be cut (there is one at a time), and pieces that splice
 * brings.
 */
#ifndef EMU_CAPACITY_H
#define EMU_CAPACITY_H

#include "fault.h"

/* Bytes of the pipe that is being made; 0: as usual. */
uint32_t capacity_of_pipe(struct emu_task *self);

/* SO_SNDBUF of the socket that is being made; 0: as usual. */
uint32_t capacity_of_socket(struct emu_task *self);

/* Credit of the socket of AF_VSOCK that is being made; 0: the session's. */
uint32_t capacity_of_credit(struct emu_task *self);

/* What becomes of a backlog that the guest asks for. */
int capacity_of_backlog(struct emu_task *self, int backlog);

#endif
