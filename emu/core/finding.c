/*
 * finding.c - see finding.h
 */
#include "finding.h"

#include "arena.h"

#include <string.h>

static_assert(sizeof(struct emu_image) == 256, "arena.def gives 256");
static_assert(sizeof(struct emu_site) == 72, "arena.def gives 72");
static_assert(sizeof(struct emu_finding) == 96, "arena.def gives 96");

enum { ENTRY_FREE, ENTRY_FILLING, ENTRY_READY, ENTRY_WITHDRAWN };

#define SITE_PROBES 64u /* places that a site may stand away from its own */

static struct emu_image *image_at(uint32_t index)
{
    return (struct emu_image *)(void *)arena->images + index;
}

static struct emu_site *site_at(uint32_t index)
{
    return (struct emu_site *)(void *)arena->sites + index;
}

static struct emu_finding *finding_at(uint32_t index)
{
    return (struct emu_finding *)(void *)arena->findings + index;
}

/* Takes a free entry to fill in; else *ret_state is what it is. */
static bool take(_Atomic uint32_t *state, uint32_t *ret_state)
{
    *ret_state = ENTRY_FREE;
    return atomic_compare_exchange_strong(state, ret_state, ENTRY_FILLING);
}

uint32_t emu_image_number(const char *path)
{
    for (uint32_t i = 0; i < EMU_MAX_IMAGES; i++) {
        struct emu_image *image = image_at(i);
        uint32_t state;

        if (take(&image->state, &state)) {
            strncpy(image->path, path, sizeof image->path - 1);
            atomic_store(&image->state, ENTRY_READY);
            return i + 1;
        }
        if (state == ENTRY_READY && strncmp(image->path, path, sizeof image->path - 1) == 0) {
            return i + 1;
        }
    }
    return 0;
}

const char *emu_image_path(uint32_t number)
{
    return number > 0 && number <= EMU_MAX_IMAGES &&
                   atomic_load(&image_at(number - 1)->state) == ENTRY_READY
               ? image_at(number - 1)->path
               : NULL;
}

/* FNV-1a over words, with the high half folded in. */
static uint32_t hash(const uint64_t *words, uint32_t count)
{
    uint64_t value = 0xcbf29ce484222325u;

    for (uint32_t i = 0; i < count; i++) {
        value = (value ^ words[i]) * 0x100000001b3u;
    }
    return (uint32_t)(value ^ value >> 32);
}

uint32_t emu_site_number(const uint64_t *frames, uint32_t count)
{
    uint32_t first = hash(frames, count);

    EMU_ASSERT(count <= EMU_SITE_FRAMES);
    if (count == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < SITE_PROBES; i++) {
        uint32_t index = (first + i) % EMU_MAX_SITES;
        struct emu_site *site = site_at(index);
        uint32_t state;

        if (take(&site->state, &state)) {
            site->count = count;
            memcpy(site->frames, frames, count * sizeof *frames);
            atomic_store(&site->state, ENTRY_READY);
            return index + 1;
        }
        if (state >= ENTRY_READY && site->count == count &&
            memcmp(site->frames, frames, count * sizeof *frames) == 0) {
            return index + 1;
        }
    }
    return 0;
}

const struct emu_site *emu_site_get(uint32_t number)
{
    return number > 0 && number <= EMU_MAX_SITES &&
                   atomic_load(&site_at(number - 1)->state) >= ENTRY_READY
               ? site_at(number - 1)
               : NULL;
}

void emu_site_withdraw(uint32_t number)
{
    if (number > 0) {
        atomic_store(&site_at(number - 1)->state, ENTRY_WITHDRAWN);
    }
}

bool emu_site_is_withdrawn(const struct emu_site *site)
{
    return atomic_load(&site->state) == ENTRY_WITHDRAWN;
}

/* What a process gets from who starts it, a shell's pipeline say. */
static bool is_standard(const struct emu_finding *finding)
{
    return finding->fd >= 0 && finding->fd <= 2;
}

static bool same(const struct emu_finding *a, const struct emu_finding *b)
{
    return a->kind == b->kind && a->object == b->object && a->call == b->call &&
           a->made == b->made && a->closed == b->closed && a->used == b->used &&
           a->at_exit == b->at_exit && a->doubtful == b->doubtful &&
           is_standard(a) == is_standard(b) && strcmp(a->program, b->program) == 0;
}

static void fill(struct emu_finding *place, const struct emu_finding *finding)
{
    atomic_store(&place->count, 1);
    atomic_store(&place->bytes, atomic_load(&finding->bytes));
    place->kind = finding->kind;
    place->object = finding->object;
    place->call = finding->call;
    place->made = finding->made;
    place->closed = finding->closed;
    place->used = finding->used;
    place->at_exit = finding->at_exit;
    place->doubtful = finding->doubtful;
    place->fd = finding->fd;
    place->pid = finding->pid;
    place->other_pid = finding->other_pid;
    memcpy(place->program, finding->program, sizeof place->program);
    memcpy(place->other, finding->other, sizeof place->other);
    atomic_store(&place->state, ENTRY_READY);
}

void emu_finding_add(const struct emu_finding *finding)
{
    for (uint32_t i = 0; i < EMU_MAX_FINDINGS; i++) {
        struct emu_finding *place = finding_at(i);
        uint32_t state;

        if (take(&place->state, &state)) {
            fill(place, finding);
            return;
        }
        if (state == ENTRY_READY && same(place, finding)) {
            atomic_fetch_add(&place->count, 1);
            atomic_fetch_add(&place->bytes, atomic_load(&finding->bytes));
            return;
        }
    }
    atomic_fetch_add(&arena->header.findings_lost, 1);
}

const struct emu_finding *emu_finding_get(uint32_t index)
{
    uint32_t ready = 0;

    for (uint32_t i = 0; i < EMU_MAX_FINDINGS; i++) {
        uint32_t state = atomic_load(&finding_at(i)->state);

        if (state == ENTRY_FREE) {
            return NULL;
        }
        if (state == ENTRY_READY && ready++ == index) {
            return finding_at(i);
        }
    }
    return NULL;
}

uint32_t emu_findings_lost(void)
{
    return atomic_load(&arena->header.findings_lost);
}
