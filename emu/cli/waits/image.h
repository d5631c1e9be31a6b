/*
 * image.h - an ELF file on disk, as far as a stack trace needs it
 *
 * The bytes are a mapping of the file and may be anything: everything is looked up through
 * image_at(), which checks bounds. ELF64 of x86-64 alone.
 */
#ifndef CLI_IMAGE_H
#define CLI_IMAGE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image {
    const uint8_t *data; /* NULL: not open */
    size_t size;
    const Elf64_Phdr *segments;
    size_t segment_count;
};

/* Maps the file. False: there is none, or it isn't one. */
bool image_open(struct image *ret_image, const char *path);
void image_close(struct image *image);

/* Address of the first loaded byte, rounded down to its page: what stands where it is mapped. */
uint64_t image_base(const struct image *image);

/* The bytes at an address of the file's own; *ret_room is how many follow. NULL: not in it. */
const uint8_t *image_at(const struct image *image, uint64_t address, size_t *ret_room);

/* The first segment of a type, or NULL. */
const Elf64_Phdr *image_segment(const struct image *image, uint32_t type);

/*
 * Calls `each` with every function symbol that holds `address`, from .symtab and .dynsym, until it
 * answers true.
 */
void image_symbols_at(const struct image *image, uint64_t address,
                      bool (*each)(void *context, const char *name), void *context);

#endif
