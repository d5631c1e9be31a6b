/*
 * charge.h - what Linux charges the sender of AF_UNIX data for it
 *
 * sk_wmem_alloc grows by skb->truesize: the sk_buff, the kmalloc bucket of its linear part, and the
 * pages of the rest. The figures are those of Linux 6.18 with 4 KiB pages, measured; they belong to
 * a kernel version. net/core/skbuff.c:alloc_skb_with_frags.
 */
#ifndef EMU_CHARGE_H
#define EMU_CHARGE_H

#include <stdint.h>

/* For a stream's segment of `size` bytes. */
uint32_t charge_stream(uint32_t size);

/* For a record of `size` bytes. */
uint32_t charge_record(uint32_t size);

#endif
