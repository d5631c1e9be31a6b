/*
 * findings_collect.c - findings out of the arena, with lines of source for return addresses
 *
 * A site is looked up once, however many findings name it.
 */
#include "findings.h"

#include <stdlib.h>
#include <string.h>

#include "waits/image.h"
#include "waits/source.h"
#include "waits/syscall_text.h"

/* The file that offsets were last looked up in, opened. */
struct opened {
    const char *path;
    uint64_t base;
};

void findings_note(struct findings_before *ret_before)
{
    const struct emu_finding *entry;

    *ret_before = (struct findings_before){ 0 };
    for (uint32_t i = 0; i < EMU_MAX_FINDINGS && (entry = emu_finding_get(i)) != NULL; i++)
        ret_before->counts[i] = entry->count;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

static uint64_t base_of(const char *path)
{
    static struct opened known[32];
    static size_t count;
    struct image image;
    uint64_t base = 0;

    for (size_t i = 0; i < count; i++) {
        if (known[i].path == path) /* of the arena */
            return known[i].base;
    }
    if (image_open(&image, path)) {
        base = image_base(&image);
        image_close(&image);
    }
    if (count < sizeof known / sizeof known[0])
        known[count++] = (struct opened){ path, base };
    return base;
}

/* libc, and what stands between it and the guest: sanitizers' interceptors. */
static bool is_runtime(const char *file)
{
    static const char *const names[] = { "libasan.so", "libtsan.so", "liblsan.so", "libubsan.so" };
    bool found = callsite_is_inside(file);

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        found |= strncmp(file, names[i], strlen(names[i])) == 0;
    return found;
}

/* A return address, with the functions that were inlined there. */
static void add_frame(const char *path, uint64_t offset, bool inside, struct callsite *site)
{
    struct source_place places[CALLSITE_FRAMES];
    const size_t room = CALLSITE_FRAMES - site->count;
    /* A call may be a function's last instruction. */
    const size_t count = room == 0 ? 0
                                   : source_find_inlined(path, base_of(path) + offset - 1, places,
                                                         inside ? 1 : room);

    for (size_t i = 0; i < count; i++) {
        struct callsite_frame *frame = &site->frames[site->count++];

        snprintf(frame->module, sizeof frame->module, "%.*s", CALLSITE_MODULE - 1, base_name(path));
        frame->offset = offset;
        frame->source = places[i];
    }
}

/* Frames of libc's at the beginning are left out where the guest's follow; and those behind it. */
struct callsite findings_resolve(uint32_t number)
{
    const struct emu_site *site = emu_site_get(number);
    struct callsite found = { .count = 0 };
    size_t in_libc = 0;

    for (uint32_t i = 0; site != NULL && i < site->count; i++) {
        const char *path = emu_image_path((uint32_t)(site->frames[i] >> EMU_FRAME_SHIFT));
        const uint64_t offset = site->frames[i] & ((1ull << EMU_FRAME_SHIFT) - 1);

        if (path == NULL)
            break;
        const bool inside = is_runtime(base_name(path));
        if (inside && found.count > in_libc)
            break;
        if (!inside && in_libc > 0 && found.count == in_libc)
            found.count = in_libc = 0;
        add_frame(path, offset, inside, &found);
        in_libc = inside ? found.count : in_libc;
    }
    return found;
}

static struct finding copy_of(const struct emu_finding *entry, uint32_t count)
{
    struct finding finding = { .kind = (enum emu_finding_kind)entry->kind,
                               .object = (enum emu_object)entry->object,
                               .at_exit = entry->at_exit != 0,
                               .doubtful = entry->doubtful != 0,
                               .count = count,
                               .bytes = entry->bytes,
                               .fd = entry->fd,
                               .pid = entry->pid,
                               .other_pid = entry->other_pid,
                               .made = findings_resolve(entry->made),
                               .closed = findings_resolve(entry->closed),
                               .used = findings_resolve(entry->used) };

    snprintf(finding.program, sizeof finding.program, "%.16s", entry->program);
    snprintf(finding.other, sizeof finding.other, "%.16s", entry->other);
    if (entry->call >= 0)
        syscall_name(entry->call, finding.call);
    return finding;
}

static bool is_withdrawn(const struct emu_finding *entry)
{
    const struct emu_site *site = emu_site_get(entry->used);

    return site != NULL && emu_site_is_withdrawn(site);
}

void findings_collect(struct findings *ret_findings, const struct findings_before *before,
                      struct suppressions *suppressions)
{
    const struct emu_finding *entry;
    uint32_t found = 0;

    *ret_findings = (struct findings){ .lost = emu_findings_lost(), .suppressions = suppressions };
    while (found < EMU_MAX_FINDINGS && emu_finding_get(found) != NULL)
        found++;
    ret_findings->list = calloc(found + 1, sizeof *ret_findings->list);
    if (ret_findings->list == NULL)
        return;
    for (uint32_t i = 0; i < found && (entry = emu_finding_get(i)) != NULL; i++) {
        const uint32_t count = entry->count - before->counts[i];

        if (count == 0 || is_withdrawn(entry))
            continue;
        const struct finding finding = copy_of(entry, count);
        if (!suppressions_match(suppressions, &finding))
            ret_findings->list[ret_findings->count++] = finding;
    }
    for (size_t i = 0; i < suppressions->count; i++)
        ret_findings->suppressed += suppressions->rules[i].matched;
}
