/*
 * source.c - see source.h: through elfutils' libdwfl
 *
 * A file is read when it is first asked for, and kept: a report asks for the same few again and
 * again. Leaves out inlined functions: the innermost line is told, and the function that was
 * compiled.
 */
#include "waits/source.h"

#include <elfutils/libdwfl.h>
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

void source_fini(void)
{
    for (size_t i = 0; i < file_count; i++) {
        if (files[i].dwfl != NULL)
            dwfl_end(files[i].dwfl);
        free(files[i].path);
    }
    file_count = 0;
}
