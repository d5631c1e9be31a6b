/*
 * report.c - what the session will report: refusals, native sockets, switches, by call site
 */
#include "arena.h"
#include "host.h"

#include <string.h>

static_assert(sizeof(struct emu_report) == 152, "arena.def gives 152");

enum { REPORT_FREE, REPORT_FILLING, REPORT_READY };

static struct emu_report *report_at(uint32_t index)
{
    return (struct emu_report *)arena->reports + index;
}

static bool same(const struct emu_report *a, const struct emu_report *b)
{
    return a->kind == b->kind && a->family == b->family && a->type == b->type &&
           a->error == b->error && a->offset == b->offset && strcmp(a->call, b->call) == 0 &&
           strcmp(a->module, b->module) == 0 && strcmp(a->program, b->program) == 0;
}

void emu_report_add(struct emu_task *self, enum emu_report_kind kind, const char *call, int family,
                    int type, int error)
{
    struct emu_report entry = {
        .kind = kind,
        .count = 1,
        .pid = self->process->pid,
        .family = family,
        .type = type,
        .error = error,
    };

    if (self->process->gateway) {
        return; /* what it does is nothing that the guest did */
    }
    strncpy(entry.call, call, sizeof entry.call - 1);
    host_program(entry.program);
    if (self->process->call_site) {
        self->process->call_site(self, entry.module, sizeof entry.module, &entry.offset);
    }
    for (uint32_t i = 0; i < EMU_MAX_REPORTS; i++) {
        struct emu_report *place = report_at(i);
        uint32_t state = REPORT_FREE;

        if (__atomic_compare_exchange_n(&place->state, &state, REPORT_FILLING, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            entry.state = REPORT_FILLING;
            *place = entry;
            __atomic_store_n(&place->state, REPORT_READY, __ATOMIC_RELEASE);
            return;
        }
        if (state == REPORT_READY && same(place, &entry)) {
            __atomic_fetch_add(&place->count, 1, __ATOMIC_RELAXED);
            return;
        }
    }
}

const struct emu_report *emu_report_get(uint32_t index)
{
    uint32_t ready = 0;

    for (uint32_t i = 0; i < EMU_MAX_REPORTS; i++) {
        const struct emu_report *place = report_at(i);
        uint32_t state = __atomic_load_n(&place->state, __ATOMIC_ACQUIRE);

        if (state == REPORT_FREE) {
            return NULL;
        }
        if (state == REPORT_READY && ready++ == index) {
            return place;
        }
    }
    return NULL;
}
