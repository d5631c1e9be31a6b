/*
 * callsite.c - see callsite.h
 */
#include "waits/callsite.h"

#include <linux/limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cfi.h"
#include "waits/image.h"
#include "waits/proc.h"

#define FRAMES_MAX 64 /* libc and the library are a dozen deep */

static const char library_name[] = "libsockrig.so";

/* A file that is mapped into the guest. */
struct module {
    uint64_t base; /* where its first byte is mapped */
    char path[PATH_MAX];
    struct image image;
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

/*
 * The file mapped at `address`; false: none. Its base is where its offset 0 is mapped, which stands
 * in front of its other parts in /proc/PID/maps.
 */
static bool find_module(int32_t pid, uint64_t address, struct module *ret_module)
{
    static struct module module; /* large */
    char path[32];
    char line[PATH_MAX + 128];
    bool found = false;

    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    module.path[0] = '\0';
    while (!found && fgets(line, sizeof line, file) != NULL) {
        unsigned long long start, end, offset;
        int name = 0;

        line[strcspn(line, "\n")] = '\0';
        if (sscanf(line, "%llx-%llx %*s %llx %*s %*s %n", &start, &end, &offset, &name) != 3 ||
            name == 0 || line[name] != '/')
            continue;
        if (offset == 0 && strcmp(line + name, module.path) != 0) {
            module.base = start;
            snprintf(module.path, sizeof module.path, "%s", line + name);
        }
        found = address >= start && address < end && strcmp(line + name, module.path) == 0;
    }
    fclose(file);
    if (!found || !image_open(&module.image, module.path))
        return false;
    *ret_module = module;
    return true;
}

/* From the address in the guest to the one in the file. */
static uint64_t in_image(const struct module *module, uint64_t address)
{
    return address - module->base + image_base(&module->image);
}

/* Registers of the frame that is looked at. */
struct frame {
    uint64_t values[CFI_REGISTERS];
    bool known[CFI_REGISTERS];
};

/* Whether the code before `address` is a call: e8, ff 15 with 4 bytes behind, or ff with /2. */
static bool is_behind_call(int32_t pid, uint64_t address)
{
    struct module module;
    uint8_t code[7];

    if (address < sizeof code || !proc_read(pid, address - sizeof code, code, sizeof code))
        return false;
    bool found = code[2] == 0xe8 || (code[1] == 0xff && code[2] == 0x15);
    for (size_t at = 0; at < 6; at++)
        found |= code[at] == 0xff && (code[at + 1] & 0x38) == 0x10;
    if (!found || !find_module(pid, address, &module))
        return false;
    image_close(&module.image);
    return true;
}

#define GUESS_SIZE 512 /* bytes of locals in a wrapper that makes a system call itself */

/*
 * A frame is found by rbp, and the kernel shows only rsp of a thread in a system call. The frame's
 * address is a multiple of 16, above what the function saved, and the return address lies below it:
 * the first word that is one. (Words above it belong to older frames; those below are locals.)
 */
static void guess_rbp(int32_t pid, const struct cfi_row *row, struct frame *frame)
{
    int64_t lowest = -16;

    for (int i = 0; i < CFI_REGISTERS; i++) {
        if (row->registers[i].saved && row->registers[i].offset < lowest)
            lowest = row->registers[i].offset;
    }
    const uint64_t first = (frame->values[CFI_RSP] - (uint64_t)lowest + 15) & ~15ull;
    for (uint64_t cfa = first; cfa < first + GUESS_SIZE; cfa += 16) {
        uint64_t word;

        if (!proc_read(pid, cfa + (uint64_t)row->registers[CFI_RETURN].offset, &word, sizeof word))
            return;
        if (is_behind_call(pid, word)) {
            frame->values[CFI_RBP] = cfa - (uint64_t)row->cfa_offset;
            frame->known[CFI_RBP] = true;
            return;
        }
    }
}

/* Moves to the caller. False: it can't be found. */
static bool step(int32_t pid, const struct cfi_row *row, struct frame *frame)
{
    if (row->cfa_register == CFI_RBP && !frame->known[CFI_RBP])
        guess_rbp(pid, row, frame);
    struct frame caller = *frame;

    if (row->cfa_register >= CFI_REGISTERS || !frame->known[row->cfa_register] ||
        !row->registers[CFI_RETURN].saved)
        return false;
    const uint64_t cfa = frame->values[row->cfa_register] + (uint64_t)row->cfa_offset;
    if (cfa <= frame->values[CFI_RSP]) /* a stack grows downwards: anything else is nonsense */
        return false;
    for (int i = 0; i < CFI_REGISTERS; i++) {
        if (row->registers[i].saved)
            caller.known[i] = proc_read(pid, cfa + (uint64_t)row->registers[i].offset,
                                        &caller.values[i], sizeof caller.values[i]);
    }
    caller.values[CFI_RSP] = cfa;
    *frame = caller;
    return caller.known[CFI_RETURN] && caller.values[CFI_RETURN] != 0;
}

/*
 * "wrap_read.part.0" is read's, "wrap_read_nocancel" too. In a library without symbols an exported
 * name has to do.
 */
static bool take_name(void *context, const char *symbol)
{
    static const char prefix[] = "wrap_";
    char *name = context;

    if (strncmp(symbol, prefix, strlen(prefix)) != 0) {
        if (symbol[0] != '_')
            snprintf(name, CALLSITE_CALL, "%s", symbol);
        return false;
    }
    snprintf(name, CALLSITE_CALL, "%.*s", (int)strcspn(symbol + strlen(prefix), "."),
             symbol + strlen(prefix));
    for (int i = 0; i < 2; i++) {
        char *suffix = strstr(name, i == 0 ? "_nocancel" : "_chk");

        if (suffix != NULL)
            *suffix = '\0';
    }
    return true;
}

bool callsite_is_inside(const char *file)
{
    return strcmp(file, library_name) == 0 || strncmp(file, "libc.so", 7) == 0 ||
           strncmp(file, "libc-", 5) == 0 || strncmp(file, "libpthread", 10) == 0;
}

/* A frame of the guest's, and the functions that were inlined in it. */
static void note_frame(const struct module *module, uint64_t address, uint64_t code,
                       struct callsite *site)
{
    struct source_place places[CALLSITE_FRAMES];
    const size_t count = source_find_inlined(module->path, address, places,
                                             CALLSITE_FRAMES - site->count);

    for (size_t i = 0; i < count; i++) {
        struct callsite_frame *frame = &site->frames[site->count++];

        snprintf(frame->module, sizeof frame->module, "%.*s", CALLSITE_MODULE - 1,
                 base_name(module->path));
        frame->offset = code - module->base;
        frame->source = places[i];
    }
}

static const uint8_t *bytes_at(const void *context, uint64_t address, size_t *ret_room)
{
    return image_at(context, address, ret_room);
}

/* How the frame at `address` finds its caller. */
static bool find_row(const struct image *image, uint64_t address, struct cfi_row *ret_row)
{
    const Elf64_Phdr *segment = image_segment(image, PT_GNU_EH_FRAME);

    if (segment == NULL)
        return false;
    const struct cfi_code code = { segment->p_vaddr, bytes_at, image };
    return cfi_find(&code, address, ret_row);
}

/* Looks at one frame. Returns false when the trace is at its end. */
static bool look(int32_t pid, struct frame *frame, bool stands, struct callsite *site)
{
    static struct module module; /* large */
    const uint64_t code = frame->values[CFI_RETURN];
    struct cfi_row row;

    if (!find_module(pid, code, &module))
        return false;
    const char *file = base_name(module.path);
    /* A call may be a function's last instruction: its return address is another one's. */
    const uint64_t address = in_image(&module, stands ? code : code - 1);
    if (!callsite_is_inside(file)) {
        note_frame(&module, address, code, site);
    } else if (site->count > 0) { /* libc called main */
        image_close(&module.image);
        return false;
    } else if (strcmp(file, library_name) == 0) {
        site->call[0] = '\0';
        image_symbols_at(&module.image, address, take_name, site->call);
    }
    const bool more = site->count < CALLSITE_FRAMES && find_row(&module.image, address, &row) &&
                      step(pid, &row, frame);
    image_close(&module.image);
    return more;
}

struct callsite callsite_find(int32_t pid, struct callsite_start start)
{
    struct callsite site = { .count = 0 };
    struct frame frame = { .known = { [CFI_RSP] = true, [CFI_RETURN] = true } };

    frame.values[CFI_RSP] = start.stack;
    frame.values[CFI_RETURN] = start.code;
    frame.values[CFI_RBP] = start.frame;
    frame.known[CFI_RBP] = start.frame != 0;
    for (int i = 0; i < FRAMES_MAX && look(pid, &frame, i == 0 && !start.is_return, &site); i++) {
    }
    return site;
}

bool callsite_start_at(int32_t pid, uint64_t frame, struct callsite_start *ret_start)
{
    uint64_t words[2]; /* the caller's rbp, and the return address into it */

    if (frame == 0 || !proc_read(pid, frame, words, sizeof words))
        return false;
    *ret_start = (struct callsite_start){
        .code = words[1], .stack = frame + 16, .frame = words[0], .is_return = true
    };
    return true;
}
