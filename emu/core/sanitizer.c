/*
 * sanitizer.c - see sanitizer.h
 *
 * Reads the DT_NEEDED entries of a program, which is opened, asked a few times, and closed: some
 * microseconds before an exec that takes hundreds. Leaves out: a sanitizer that only a library of
 * the program is linked with; there its users preload it themselves.
 */
#include "sanitizer.h"

#include "host.h"

#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

/* Small: an exec may be made on a signal's stack. */
#define HEAD_SIZE   2048 /* ELF header and program headers, where a linker puts them */
#define DYNAMIC_MAX 64   /* entries that are looked at */
#define NEEDED_MAX  16   /* libraries: the sanitizer's come first */
#define NO_OFFSET   UINT64_MAX

/* What is known of the program. */
struct image {
    int fd;
    unsigned count; /* of parts; they stand in the head */
    const Elf64_Phdr *parts;
    unsigned dynamic_count;
    Elf64_Dyn dynamic[DYNAMIC_MAX];
    union {
        char bytes[HEAD_SIZE];
        Elf64_Ehdr elf;
    } head;
};

bool sanitizer_is_library(const char *name, size_t size)
{
    static const char kinds[][20] = { "libasan.so",        "liblsan.so",       "libtsan.so",
                                      "libhwasan.so",      "libclang_rt.asan", "libclang_rt.tsan",
                                      "libclang_rt.hwasan" };

    for (size_t i = size; i > 0; i--) {
        if (name[i - 1] == '/') {
            name += i;
            size -= i;
            break;
        }
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        size_t length = strlen(kinds[i]);

        if (size >= length && memcmp(name, kinds[i], length) == 0) {
            return true;
        }
    }
    return false;
}

static int64_t read_at(int fd, void *to, size_t size, uint64_t offset)
{
    return host_syscall(SYS_pread64, fd, (long)to, (long)size, (long)offset, 0, 0);
}

/* False: it isn't a 64-bit program, or has its headers elsewhere. */
static bool read_head(struct image *image)
{
    const Elf64_Ehdr *elf = &image->head.elf;
    int64_t size = read_at(image->fd, &image->head, sizeof image->head, 0);

    if (size < (int64_t)sizeof *elf || memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0 ||
        elf->e_ident[EI_CLASS] != ELFCLASS64 || elf->e_phentsize != sizeof *image->parts ||
        elf->e_phoff % _Alignof(Elf64_Phdr) != 0 || elf->e_phoff > HEAD_SIZE ||
        elf->e_phoff + elf->e_phnum * sizeof *image->parts > (uint64_t)size) {
        return false;
    }
    image->parts = (const void *)(image->head.bytes + elf->e_phoff);
    image->count = elf->e_phnum;
    return true;
}

static void read_dynamic(struct image *image)
{
    for (unsigned i = 0; i < image->count; i++) {
        const Elf64_Phdr *part = &image->parts[i];
        size_t wanted = part->p_filesz < sizeof image->dynamic ? part->p_filesz
                                                               : sizeof image->dynamic;

        if (part->p_type == PT_DYNAMIC) {
            int64_t size = read_at(image->fd, image->dynamic, wanted, part->p_offset);

            image->dynamic_count = size > 0 ? (unsigned)((size_t)size / sizeof(Elf64_Dyn)) : 0;
        }
    }
}

/* Where the strings of the dynamic section stand in the file. */
static uint64_t strings_offset(const struct image *image)
{
    uint64_t address = NO_OFFSET;

    for (unsigned i = 0; i < image->dynamic_count; i++) {
        if (image->dynamic[i].d_tag == DT_STRTAB) {
            address = image->dynamic[i].d_un.d_ptr;
        }
    }
    for (unsigned i = 0; i < image->count && address != NO_OFFSET; i++) {
        const Elf64_Phdr *part = &image->parts[i];

        if (part->p_type == PT_LOAD && address >= part->p_vaddr &&
            address - part->p_vaddr < part->p_filesz) {
            return address - part->p_vaddr + part->p_offset;
        }
    }
    return NO_OFFSET;
}

static bool find_library(const struct image *image, char ret_name[SANITIZER_NAME_SIZE])
{
    uint64_t strings = strings_offset(image);
    unsigned seen = 0;

    if (strings == NO_OFFSET) {
        return false;
    }
    for (unsigned i = 0; i < image->dynamic_count && seen < NEEDED_MAX; i++) {
        char name[SANITIZER_NAME_SIZE];
        int64_t size;

        if (image->dynamic[i].d_tag != DT_NEEDED) {
            continue;
        }
        seen++;
        size = read_at(image->fd, name, sizeof name, strings + image->dynamic[i].d_un.d_val);
        if (size > 0 && memchr(name, 0, (size_t)size) && sanitizer_is_library(name, strlen(name))) {
            memcpy(ret_name, name, sizeof name);
            return true;
        }
    }
    return false;
}

bool sanitizer_of_program(const char *path, char ret_name[SANITIZER_NAME_SIZE])
{
    struct image image;
    bool found = false;

    ret_name[0] = 0;
    image.dynamic_count = 0;
    image.fd = (int)host_syscall(SYS_open, (long)path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0, 0, 0,
                                 0);
    if (image.fd < 0) {
        return false;
    }
    if (read_head(&image)) {
        read_dynamic(&image);
        found = find_library(&image, ret_name);
    }
    host_close(image.fd);
    return found;
}
