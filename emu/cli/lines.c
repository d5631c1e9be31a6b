/*
 * lines.c - see lines.h
 */
#include "lines.h"

#include <assert.h>
#include <string.h>

#include "finding.h"

#include "waits/image.h"
#include "waits/source.h"

static_assert(REPORT_LINE == SOURCE_LINE, "copied as they are");

static bool is_named(const char *path, const struct emu_report *entry)
{
    const char *slash = strrchr(path, '/');

    return strncmp(slash != NULL ? slash + 1 : path, entry->module, sizeof entry->module - 1) == 0;
}

/* The file that the call stands in, or NULL. */
static const char *file_of(const struct emu_report *entry, const char *program)
{
    const char *path = is_named(program, entry) ? program : NULL;

    for (uint32_t i = 1; path == NULL; i++) {
        path = emu_image_path(i);
        if (path == NULL)
            return NULL;
        path = is_named(path, entry) ? path : NULL;
    }
    return path;
}

void lines_find(struct report *report, const char *program)
{
    struct image image;

    for (uint32_t i = 0; i < report->count; i++) {
        const struct emu_report *entry = &report->entries[i];
        const char *path = entry->kind == EMU_REPORT_INJECTED && entry->module[0] != '\0'
                               ? file_of(entry, program)
                               : NULL;

        if (path == NULL || !image_open(&image, path))
            continue;
        /* A call may be a function's last instruction. */
        const uint64_t address = image_base(&image) + entry->offset - 1;
        image_close(&image);
        const struct source_place place = source_find(path, address);
        memcpy(report->lines[i], place.line, sizeof report->lines[i]);
    }
}
