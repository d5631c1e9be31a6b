/*
 * source.c - see source.h: through elfutils' libdwfl
 *
 * A file is read when it is first asked for, and kept: a report asks for the same few again and
 * again.
 */
#include "waits/source.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 32 /* that are kept; of the others nothing is known */

static struct file {
    char *path;
    Dwfl *dwfl;
    Dwfl_Module *module; /* NULL: it can't be read */
} files[FILES_MAX];
static size_t file_count;

static const Dwfl_Callbacks callbacks = { .find_elf = dwfl_build_id_find_elf,
                                          .find_debuginfo = dwfl_standard_find_debuginfo,
                                          .section_address = dwfl_offline_section_address };

static struct file *open_file(const char *path)
{
    for (size_t i = 0; i < file_count; i++) {
        if (strcmp(files[i].path, path) == 0)
            return &files[i];
    }
    if (file_count == FILES_MAX)
        return NULL;
    struct file *file = &files[file_count];
    *file = (struct file){ .path = strdup(path) };
    if (file->path == NULL)
        return NULL;
    file_count++;
    unsetenv("DEBUGINFOD_URLS"); /* a report waits for nobody */
    file->dwfl = dwfl_begin(&callbacks);
    if (file->dwfl != NULL)
        file->module = dwfl_report_offline(file->dwfl, path, path, -1);
    if (file->module != NULL)
        dwfl_report_end(file->dwfl, NULL, NULL);
    return file;
}

static void find_line(Dwfl_Module *module, GElf_Addr address, char *ret_line)
{
    Dwfl_Line *line = dwfl_module_getsrc(module, address);
    int number = 0;
    const char *name = line ? dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL) : NULL;

    if (name != NULL) {
        const char *slash = strrchr(name, '/');

        snprintf(ret_line, SOURCE_LINE, "%s:%d", slash ? slash + 1 : name, number);
    }
}

struct source_place source_find(const char *path, uint64_t address)
{
    struct source_place place = { .function = "" };
    struct file *file = open_file(path);
    GElf_Addr bias = 0;

    if (file == NULL || file->module == NULL || dwfl_module_getelf(file->module, &bias) == NULL)
        return place;
    const char *name = dwfl_module_addrname(file->module, address + bias);
    if (name != NULL)
        snprintf(place.function, sizeof place.function, "%s", name);
    find_line(file->module, address + bias, place.line);
    return place;
}

/* The line of the call that was replaced by the inlined function's code. */
static void find_call(Dwarf_Die *unit, Dwarf_Die *inlined, char *ret_line)
{
    Dwarf_Attribute attribute;
    Dwarf_Files *files;
    Dwarf_Word file;
    Dwarf_Word line;
    size_t count;

    ret_line[0] = '\0';
    if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &file) != 0 ||
        dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &line) != 0 ||
        dwarf_getsrcfiles(unit, &files, &count) != 0 || file >= count)
        return;
    const char *name = dwarf_filesrc(files, file, NULL, NULL);
    const char *slash = name ? strrchr(name, '/') : NULL;
    if (name != NULL)
        snprintf(ret_line, SOURCE_LINE, "%s:%d", slash ? slash + 1 : name, (int)line);
}

size_t source_find_inlined(const char *path, uint64_t address, struct source_place *ret_places,
                           size_t max)
{
    const struct source_place outermost = source_find(path, address);
    struct file *file = open_file(path);
    GElf_Addr bias = 0;
    Dwarf_Addr unit_bias;
    Dwarf_Die *scopes = NULL;
    size_t count = 0;

    ret_places[count++] = outermost;
    if (file == NULL || file->module == NULL || dwfl_module_getelf(file->module, &bias) == NULL)
        return count;
    Dwarf_Die *unit = dwfl_module_addrdie(file->module, address + bias, &unit_bias);
    const int found = unit ? dwarf_getscopes(unit, address + bias - unit_bias, &scopes) : 0;
    for (int i = 0; i < found && count < max; i++) {
        const char *name = dwarf_diename(&scopes[i]);

        if (dwarf_tag(&scopes[i]) != DW_TAG_inlined_subroutine || name == NULL)
            continue;
        snprintf(ret_places[count - 1].function, SOURCE_FUNCTION, "%s", name);
        ret_places[count] = (struct source_place){ .function = "" };
        find_call(unit, &scopes[i], ret_places[count].line);
        memcpy(ret_places[count].function, outermost.function, sizeof outermost.function);
        count++;
    }
    free(scopes);
    return count;
}

/* ---- The code of a place ---- */

struct search {
    const char *name;
    Dwarf_Addr load; /* what is subtracted from the file's own addresses */
    struct source_range *ranges;
    size_t max;
    size_t count;
};

static void add_range(struct search *search, Dwarf_Addr from, Dwarf_Addr to)
{
    if (to <= from || from < search->load)
        return;
    if (search->count < search->max)
        search->ranges[search->count] = (struct source_range){ from - search->load,
                                                               to - search->load };
    search->count++;
}

/* Where the loader puts the file's first byte: what an address in a report is counted from. */
static Dwarf_Addr load_address(Elf *elf)
{
    size_t count = 0;

    if (elf_getphdrnum(elf, &count) != 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr header;

        if (gelf_getphdr(elf, (int)i, &header) != NULL && header.p_type == PT_LOAD)
            return header.p_vaddr & ~(GElf_Addr)4095;
    }
    return 0;
}

static void add_code(struct search *search, Dwarf_Die *die)
{
    Dwarf_Addr base;
    Dwarf_Addr from;
    Dwarf_Addr to;

    for (ptrdiff_t at = 0; (at = dwarf_ranges(die, at, &base, &from, &to)) > 0;)
        add_range(search, from, to);
}

static int add_instance(Dwarf_Die *die, void *argument)
{
    add_code(argument, die);
    return DWARF_CB_OK;
}

static int add_function(Dwarf_Die *die, void *argument)
{
    struct search *search = argument;
    const char *name = dwarf_diename(die);

    if (name == NULL || strcmp(name, search->name) != 0)
        return DWARF_CB_OK;
    if (dwarf_func_inline(die))
        dwarf_func_inline_instances(die, add_instance, search);
    add_code(search, die);
    return DWARF_CB_OK;
}

/* Rows of the table begin where the code of a line does, and end where the next begins. */
static void add_lines(struct search *search, Dwarf_Die *unit, size_t name_size, int number)
{
    Dwarf_Lines *lines;
    size_t count;

    if (dwarf_getsrclines(unit, &lines, &count) != 0)
        return;
    for (size_t i = 0; i + 1 < count; i++) {
        Dwarf_Line *line = dwarf_onesrcline(lines, i);
        const char *file = dwarf_linesrc(line, NULL, NULL);
        const char *slash = file ? strrchr(file, '/') : NULL;
        const char *name = slash ? slash + 1 : file;
        Dwarf_Addr from;
        Dwarf_Addr to;
        int seen;
        bool last;

        if (name == NULL || dwarf_lineno(line, &seen) != 0 || seen != number ||
            strncmp(name, search->name, name_size) != 0 || name[name_size] != '\0' ||
            dwarf_lineendsequence(line, &last) != 0 || last)
            continue;
        if (dwarf_lineaddr(line, &from) == 0 &&
            dwarf_lineaddr(dwarf_onesrcline(lines, i + 1), &to) == 0)
            add_range(search, from, to);
    }
}

/* A file without DWARF has its symbols, perhaps. */
static void add_symbols(struct search *search, Dwfl_Module *module, Dwarf_Addr bias)
{
    const int count = dwfl_module_getsymtab(module);

    for (int i = 1; i < count; i++) {
        GElf_Sym symbol;
        GElf_Addr address;
        const char *name = dwfl_module_getsym_info(module, i, &symbol, &address, NULL, NULL, NULL);

        if (name != NULL && GELF_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_size > 0 &&
            strcmp(name, search->name) == 0)
            add_range(search, address - bias, address - bias + symbol.st_size);
    }
}

size_t source_ranges(const char *path, const char *site, struct source_range *ret_ranges,
                     size_t max)
{
    struct file *file = open_file(path);
    struct search search = { .name = site, .ranges = ret_ranges, .max = max };
    const char *colon = strrchr(site, ':');
    const int number = colon ? atoi(colon + 1) : 0;
    GElf_Addr bias = 0;
    Dwarf_Addr unit_bias;

    if (file == NULL || file->module == NULL)
        return 0;
    Elf *elf = dwfl_module_getelf(file->module, &bias);
    if (elf == NULL)
        return 0;
    search.load = load_address(elf);
    for (Dwarf_Die *unit = NULL;
         (unit = dwfl_module_nextcu(file->module, unit, &unit_bias)) != NULL;) {
        if (number > 0)
            add_lines(&search, unit, (size_t)(colon - site), number);
        else
            dwarf_getfuncs(unit, add_function, &search, 0);
    }
    if (search.count == 0 && number == 0)
        add_symbols(&search, file->module, bias);
    return search.count;
}

void source_fini(void)
{
    for (size_t i = 0; i < file_count; i++) {
        if (files[i].dwfl != NULL)
            dwfl_end(files[i].dwfl);
        free(files[i].path);
    }
    file_count = 0;
}
