/*
 * cfi.h - how to get from one stack frame to the one that called it
 *
 * Reads .eh_frame (the System V ABI's and DWARF 5's call frame information, section 6.4), which
 * every x86-64 program carries for exceptions. Leaves out what is given as an expression: that is
 * lazy binding and signal frames, where a trace ends.
 */
#ifndef CLI_CFI_H
#define CLI_CFI_H

#include "waits/image.h"

/* Numbers of DWARF: System V ABI, x86-64, figure 3.36. */
enum { CFI_RBP = 6, CFI_RSP = 7, CFI_RETURN = 16, CFI_REGISTERS };

/* Where the frame keeps what its caller had. */
struct cfi_row {
    uint32_t cfa_register; /* the frame's address: this register ... */
    int64_t cfa_offset;    /* ... plus this */
    struct {
        bool saved; /* in memory, at the frame's address plus `offset`; else it is unchanged */
        int64_t offset;
    } registers[CFI_REGISTERS];
};

/* The row for the code at `address`, an address of the file's own. False: there is none. */
bool cfi_find(const struct image *image, uint64_t address, struct cfi_row *ret_row);

#endif
