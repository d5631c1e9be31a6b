/*
 * cfi.c - see cfi.h
 */
#include "cfi.h"

#include <string.h>

/* Pointer encodings (LSB 5.0 core, 10.5.1). */
enum {
    ENCODED_UDATA4 = 0x03,
    ENCODED_SDATA4 = 0x0b,
    ENCODED_PCREL = 0x10,
    ENCODED_DATAREL = 0x30,
};

/* Reads on through bytes that may be anything: past the end all is 0, and `bad`. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

static uint64_t take(struct reader *reader, size_t size)
{
    uint64_t value = 0;

    if ((size_t)(reader->end - reader->at) < size) {
        reader->bad = true;
        reader->at = reader->end;
        return 0;
    }
    memcpy(&value, reader->at, size); /* x86-64: little-endian, like the file */
    reader->at += size;
    return value;
}

static uint64_t take_uleb(struct reader *reader)
{
    uint64_t value = 0;
    uint64_t byte;
    unsigned shift = 0;

    do {
        byte = take(reader, 1);
        value |= shift < 64 ? (byte & 0x7f) << shift : 0;
        shift += 7;
    } while (byte & 0x80);
    return value;
}

static int64_t take_sleb(struct reader *reader)
{
    int64_t value = 0;
    uint64_t byte;
    unsigned shift = 0;

    do {
        byte = take(reader, 1);
        value |= shift < 64 ? (int64_t)((byte & 0x7f) << shift) : 0;
        shift += 7;
    } while (byte & 0x80);
    if (shift < 64 && (byte & 0x40))
        value |= (int64_t)(UINT64_MAX << shift);
    return value;
}

/* ---- Finding the entry ---- */

struct table_row {
    int32_t code; /* both relative to the header's address */
    int32_t entry;
};

/* The entry's address for the code at `address`, by .eh_frame_hdr's sorted table; 0: none. */
static uint64_t find_entry(const struct cfi_code *code, uint64_t address)
{
    size_t room = 0;
    const uint8_t *header = code->at(code->context, code->header, &room);
    uint32_t count;
    size_t low = 0;
    struct table_row row;

    if (header == NULL || room < 12 || header[0] != 1 || header[2] != ENCODED_UDATA4 ||
        header[3] != (ENCODED_DATAREL | ENCODED_SDATA4))
        return 0;
    memcpy(&count, header + 8, sizeof count);
    if (count > (room - 12) / sizeof row)
        return 0;
    for (size_t high = count; low < high;) { /* the first row behind the address */
        const size_t middle = low + (high - low) / 2;

        memcpy(&row, header + 12 + middle * sizeof row, sizeof row);
        if (code->header + (uint64_t)(int64_t)row.code <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return 0;
    memcpy(&row, header + 12 + (low - 1) * sizeof row, sizeof row);
    return code->header + (uint64_t)(int64_t)row.entry;
}

/* ---- Reading it ---- */

/* What the entry (FDE) takes over from its common part (CIE). */
struct common {
    uint64_t code_factor;
    int64_t data_factor;
    bool sized;       /* augmentation 'z': the entry's own has a length in front */
    uint8_t encoding; /* of code addresses */
    struct reader initial;
};

/* The contents of a CIE or FDE at `address`: behind its length. */
static struct reader open_entry(const struct cfi_code *code, uint64_t address)
{
    size_t room = 0;
    const uint8_t *bytes = code->at(code->context, address, &room);
    struct reader reader = { bytes, bytes == NULL ? NULL : bytes + room, bytes == NULL };
    const uint64_t size = take(&reader, 4);

    if (reader.bad || size == 0xffffffff || size > (size_t)(reader.end - reader.at))
        reader = (struct reader){ NULL, NULL, true };
    else
        reader.end = reader.at + size;
    return reader;
}

/* The letters behind 'z'. 'P' (a personality function) and 'L' are skipped. */
static void read_augmentation(struct reader *reader, const char *letters, struct common *common)
{
    for (; *letters != '\0'; letters++) {
        if (*letters == 'R') {
            common->encoding = (uint8_t)take(reader, 1);
        } else if (*letters == 'L') {
            take(reader, 1);
        } else if (*letters == 'P') {
            const uint64_t format = take(reader, 1) & 0x0f;

            take(reader, format == 0x00 || format == 0x04 || format == 0x0c ? 8 : 4);
        }
    }
}

static bool read_common(const struct cfi_code *code, uint64_t address, struct common *ret_common)
{
    struct reader reader = open_entry(code, address);
    struct common common = { .encoding = 0 };

    if (take(&reader, 4) != 0) /* not a CIE */
        return false;
    const uint64_t version = take(&reader, 1);
    const char *letters = (const char *)reader.at;
    while (take(&reader, 1) != 0) { /* ends: past the end all is 0 */
    }
    if (reader.bad || (version != 1 && version != 3))
        return false;
    common.code_factor = take_uleb(&reader);
    common.data_factor = take_sleb(&reader);
    if ((version == 1 ? take(&reader, 1) : take_uleb(&reader)) != CFI_RETURN)
        return false;
    if (letters[0] == 'z') {
        const uint64_t size = take_uleb(&reader);

        if (size > (size_t)(reader.end - reader.at))
            return false;
        struct reader inner = { reader.at, reader.at + size, false };
        read_augmentation(&inner, letters + 1, &common);
        reader.at += size;
        common.sized = true;
    } else if (letters[0] != '\0') {
        return false;
    }
    common.initial = reader;
    *ret_common = common;
    return !reader.bad;
}

/* ---- Its instructions ---- */

#define REMEMBERED 8 /* depth of DW_CFA_remember_state; compilers nest one or two */

struct machine {
    const struct common *common;
    struct cfi_row row;
    const struct cfi_row *initial; /* for DW_CFA_restore; NULL while it is made */
    struct cfi_row remembered[REMEMBERED];
    unsigned depth;
    uint64_t code;   /* address that the row is for now */
    uint64_t target; /* ... and which one is wanted */
};

static void save(struct machine *machine, uint64_t number, int64_t offset)
{
    if (number < CFI_REGISTERS) {
        machine->row.registers[number].saved = true;
        machine->row.registers[number].offset = offset;
    }
}

static void forget(struct machine *machine, uint64_t number)
{
    if (number < CFI_REGISTERS)
        machine->row.registers[number].saved = false;
}

static void restore(struct machine *machine, uint64_t number)
{
    if (number < CFI_REGISTERS && machine->initial != NULL)
        machine->row.registers[number] = machine->initial->registers[number];
}

/* Instructions of DWARF 5, 7.24, whose operation stands in the whole byte. False: not known. */
static bool step_extended(struct machine *machine, struct reader *reader, uint64_t operation)
{
    const int64_t factor = machine->common->data_factor;
    struct cfi_row *row = &machine->row;
    uint64_t number;

    switch (operation) {
    case 0x00: return true; /* nop */
    case 0x05:              /* offset_extended */
        number = take_uleb(reader);
        save(machine, number, (int64_t)take_uleb(reader) * factor);
        return true;
    case 0x11: /* offset_extended_sf */
        number = take_uleb(reader);
        save(machine, number, take_sleb(reader) * factor);
        return true;
    case 0x06: restore(machine, take_uleb(reader)); return true;
    case 0x07: /* undefined, same_value */
    case 0x08: forget(machine, take_uleb(reader)); return true;
    case 0x0a: /* remember_state */
        if (machine->depth == REMEMBERED)
            return false;
        machine->remembered[machine->depth++] = *row;
        return true;
    case 0x0b: /* restore_state */
        if (machine->depth == 0)
            return false;
        *row = machine->remembered[--machine->depth];
        return true;
    case 0x0c: /* def_cfa */
        row->cfa_register = (uint32_t)take_uleb(reader);
        row->cfa_offset = (int64_t)take_uleb(reader);
        return true;
    case 0x0d: row->cfa_register = (uint32_t)take_uleb(reader); return true;
    case 0x0e: row->cfa_offset = (int64_t)take_uleb(reader); return true;
    case 0x12: /* def_cfa_sf */
        row->cfa_register = (uint32_t)take_uleb(reader);
        row->cfa_offset = take_sleb(reader) * factor;
        return true;
    case 0x13: row->cfa_offset = take_sleb(reader) * factor; return true;
    case 0x2e: take_uleb(reader); return true; /* GNU_args_size */
    default: return false;                     /* expressions, among others */
    }
}

/* Runs the instructions up to the wanted address. False: something in them isn't known. */
static bool run(struct machine *machine, struct reader reader)
{
    while (reader.at < reader.end && !reader.bad) {
        const uint64_t byte = take(&reader, 1);
        const uint64_t low = byte & 0x3f;
        uint64_t advance = 0;

        switch (byte >> 6) {
        case 1: advance = low; break;
        case 2:
            save(machine, low, (int64_t)take_uleb(&reader) * machine->common->data_factor);
            continue;
        case 3: restore(machine, low); continue;
        default:
            if (byte >= 0x02 && byte <= 0x04) { /* advance_loc1, 2, 4 */
                advance = take(&reader, (size_t)1 << (byte - 2));
                break;
            }
            if (!step_extended(machine, &reader, byte))
                return false;
            continue;
        }
        machine->code += advance * machine->common->code_factor;
        if (machine->code > machine->target)
            return true;
    }
    return !reader.bad;
}

bool cfi_find(const struct cfi_code *code, uint64_t address, struct cfi_row *ret_row)
{
    const uint64_t entry = find_entry(code, address);
    struct reader reader = open_entry(code, entry);
    struct common common;

    if (entry == 0 || reader.bad)
        return false;
    const uint64_t back = take(&reader, 4); /* from this field to the CIE */
    if (back == 0 || !read_common(code, entry + 4 - back, &common) ||
        common.encoding != (ENCODED_PCREL | ENCODED_SDATA4))
        return false;
    const uint64_t start = entry + 8 + (uint64_t)(int64_t)(int32_t)take(&reader, 4);
    const uint64_t size = take(&reader, 4);
    if (address < start || address - start >= size)
        return false;
    if (common.sized) {
        const uint64_t skip = take_uleb(&reader);

        if (skip > (size_t)(reader.end - reader.at))
            return false;
        reader.at += skip;
    }
    struct machine machine = { .common = &common, .code = start, .target = UINT64_MAX };
    if (!run(&machine, common.initial))
        return false;
    const struct cfi_row initial = machine.row;
    machine.initial = &initial;
    machine.target = address;
    machine.code = start;
    if (!run(&machine, reader))
        return false;
    *ret_row = machine.row;
    return true;
}
