/*
 * cfi.h - how to get from one stack frame to the one that called it
 *
 * Reads .eh_frame (the System V ABI's and DWARF 5's call frame information, section 6.4), which
 * every x86-64 program carries for exceptions. Leaves out what is given as an expression: that is
 * lazy binding and signal frames, where a trace ends.
 */
#ifndef EMU_CFI_H
#define EMU_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/*
 * A file's code as it is looked at: on disk by the command, in memory by the library. Addresses are
 * the file's own there, the process's here.
 */
struct cfi_code {
    uint64_t header; /* address of .eh_frame_hdr */
    /* The bytes at an address; *ret_room is how many follow. NULL: not of this file. */
    const uint8_t *(*at)(const void *context, uint64_t address, size_t *ret_room);
    const void *context;
};

/* The row for the code at `address`. False: there is none. */
bool cfi_find(const struct cfi_code *code, uint64_t address, struct cfi_row *ret_row);

#endif
