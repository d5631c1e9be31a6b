/*
 * charge.c - see charge.h
 */
#include "charge.h"

#include "base.h"
#include "bounds.h"

#define HEAD_MAX         3776u            /* SKB_MAX_HEAD(0): what a page's head holds */
#define RECORD_HEAD_MAX  16064u           /* SKB_MAX_ALLOC */
#define RECORD_FRAGS_MAX (17u * EMU_PAGE) /* MAX_SKB_FRAGS pages */
#define SKB_OVERHEAD     256u             /* sizeof(struct sk_buff), rounded to its slab */
#define SKB_TAIL         320u             /* sizeof(struct skb_shared_info) */

static uint32_t round_page(uint32_t size)
{
    return (size + EMU_PAGE - 1) & ~(EMU_PAGE - 1);
}

/* Linear part: a kmalloc bucket that holds the bytes and the shared info, and the sk_buff. */
static uint32_t linear_charge(uint32_t size)
{
    return base_pow2_at_least(size + SKB_TAIL) + SKB_OVERHEAD;
}

uint32_t charge_stream(uint32_t size)
{
    uint32_t pages;

    if (size <= HEAD_MAX) {
        return linear_charge(size);
    }
    pages = base_min_u32(size, round_page(size - HEAD_MAX));
    return linear_charge(size - pages) + round_page(pages);
}

uint32_t charge_record(uint32_t size)
{
    uint32_t pages;

    if (size <= RECORD_HEAD_MAX) {
        return linear_charge(size);
    }
    pages = round_page(base_min_u32(size - RECORD_HEAD_MAX, RECORD_FRAGS_MAX));
    pages = base_min_u32(pages, RECORD_FRAGS_MAX);
    return linear_charge(size > pages ? size - pages : 0) + pages;
}
