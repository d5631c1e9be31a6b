/*
 * image.c - see image.h
 */
#include "waits/image.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096u

/* Bytes of the file itself, or NULL when they aren't all there. */
static const void *in_file(const struct image *image, uint64_t offset, uint64_t size)
{
    if (offset > image->size || size > image->size - offset)
        return NULL;
    return image->data + offset;
}

static bool find_segments(struct image *image)
{
    const Elf64_Ehdr *header = in_file(image, 0, sizeof *header);

    if (header == NULL || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64 ||
        header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phoff % 8 != 0)
        return false;
    image->segment_count = header->e_phnum;
    image->segments = in_file(image, header->e_phoff, header->e_phnum * sizeof(Elf64_Phdr));
    return image->segments != NULL;
}

bool image_open(struct image *ret_image, const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct image image = { 0 };
    struct stat status;

    if (fd < 0)
        return false;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
        void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

        if (data != MAP_FAILED) {
            image.data = data;
            image.size = (size_t)status.st_size;
        }
    }
    close(fd);
    if (image.data == NULL)
        return false;
    if (!find_segments(&image)) {
        image_close(&image);
        return false;
    }
    *ret_image = image;
    return true;
}

void image_close(struct image *image)
{
    if (image->data != NULL)
        munmap((void *)(uintptr_t)image->data, image->size);
    *image = (struct image){ 0 };
}

const Elf64_Phdr *image_segment(const struct image *image, uint32_t type)
{
    for (size_t i = 0; i < image->segment_count; i++) {
        if (image->segments[i].p_type == type)
            return &image->segments[i];
    }
    return NULL;
}

uint64_t image_base(const struct image *image)
{
    const Elf64_Phdr *first = image_segment(image, PT_LOAD);

    return first != NULL ? first->p_vaddr & ~(uint64_t)(PAGE - 1) : 0;
}

const uint8_t *image_at(const struct image *image, uint64_t address, size_t *ret_room)
{
    for (size_t i = 0; i < image->segment_count; i++) {
        const Elf64_Phdr *segment = &image->segments[i];

        if (segment->p_type != PT_LOAD || address < segment->p_vaddr ||
            address - segment->p_vaddr >= segment->p_filesz)
            continue;
        const uint64_t into = address - segment->p_vaddr;
        const uint8_t *bytes = in_file(image, segment->p_offset, segment->p_filesz);
        if (bytes == NULL)
            return NULL;
        *ret_room = (size_t)(segment->p_filesz - into);
        return bytes + into;
    }
    return NULL;
}

/* One table of symbols. Returns true when `each` did. */
static bool search(const struct image *image, const Elf64_Shdr *table, const Elf64_Shdr *strings,
                   uint64_t address, bool (*each)(void *context, const char *name), void *context)
{
    const Elf64_Sym *symbols = in_file(image, table->sh_offset, table->sh_size);
    const char *names = in_file(image, strings->sh_offset, strings->sh_size);

    if (symbols == NULL || names == NULL || table->sh_offset % 8 != 0 || strings->sh_size == 0 ||
        names[strings->sh_size - 1] != '\0')
        return false;
    for (size_t i = 0; i < table->sh_size / sizeof *symbols; i++) {
        const Elf64_Sym *symbol = &symbols[i];

        if (ELF64_ST_TYPE(symbol->st_info) == STT_FUNC && address >= symbol->st_value &&
            address - symbol->st_value < symbol->st_size && symbol->st_name < strings->sh_size &&
            each(context, names + symbol->st_name))
            return true;
    }
    return false;
}

void image_symbols_at(const struct image *image, uint64_t address,
                      bool (*each)(void *context, const char *name), void *context)
{
    const Elf64_Ehdr *header = (const void *)image->data; /* find_segments() has checked it */
    const Elf64_Shdr *sections = header->e_shoff % 8 == 0
                                     ? in_file(image, header->e_shoff,
                                               header->e_shnum * sizeof(Elf64_Shdr))
                                     : NULL;

    for (size_t i = 0; sections != NULL && i < header->e_shnum; i++) {
        if ((sections[i].sh_type == SHT_SYMTAB || sections[i].sh_type == SHT_DYNSYM) &&
            sections[i].sh_link < header->e_shnum &&
            search(image, &sections[i], &sections[sections[i].sh_link], address, each, context))
            return;
    }
}
