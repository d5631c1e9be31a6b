/*
 * elsewhere.c - see elsewhere.h
 *
 *     sockrig: nobody listens on vsock 2:6789 in this session; session 7f3a does: --session 7f3a
 */
#include "elsewhere.h"

#include <string.h>
#include <sys/socket.h>

#define ANSWER_MS    200 /* a supervisor that takes longer is stopped, or busy ending its run */
#define ADDRESSES    16  /* different ones that are looked for */
#define SILENT_LIMIT 4   /* supervisors without an answer, until no more are asked */

struct search {
    struct registry registry;
    const char *own; /* name of this session */
    struct registry_entry entries[REGISTRY_MAX];
    size_t count;
    int silent;
};

/* True when a supervisor of that session says that somebody listens there. */
static bool listens(struct search *search, const struct registry_entry *entry, uint32_t cid,
                    uint32_t port)
{
    struct registry_request request = registry_request(REGISTRY_LISTENER);
    struct registry_call call;

    request.cid = cid;
    request.port = port;
    if (registry_ask(&search->registry, entry, &request, &call) != 0)
        return false;
    const int error = registry_wait(&call, ANSWER_MS);
    registry_hang_up(&call);
    search->silent += error != 0;
    return error == 0 && call.answer.listens != 0;
}

static void look_for(struct search *search, uint32_t cid, uint32_t port, FILE *file)
{
    for (size_t i = 0; i < search->count && search->silent < SILENT_LIMIT; i++) {
        const char *name = search->entries[i].name;

        if (strcmp(name, search->own) == 0 || !listens(search, &search->entries[i], cid, port))
            continue;
        fprintf(file,
                "sockrig: nobody listens on vsock %u:%u in this session; session %s does: "
                "--session %s\n",
                cid, port, name, name);
        return;
    }
}

/* An entry of the report says it in `type` (the CID) and `error` (the port). */
static bool is_lost(const struct emu_report *entry)
{
    return entry->kind == EMU_REPORT_NOBODY && entry->family == AF_VSOCK;
}

static bool seen_before(const struct report *report, uint32_t index)
{
    const struct emu_report *entry = &report->entries[index];

    for (uint32_t i = 0; i < index; i++) {
        if (is_lost(&report->entries[i]) && report->entries[i].type == entry->type &&
            report->entries[i].error == entry->error)
            return true;
    }
    return false;
}

void elsewhere_print(const struct report *report, const struct run_session *session, FILE *file)
{
    static struct search search; /* large */
    int addresses = 0;

    search.registry.folder = -1;
    for (uint32_t i = 0; i < report->count && addresses < ADDRESSES; i++) {
        const struct emu_report *entry = &report->entries[i];

        if (!is_lost(entry) || seen_before(report, i))
            continue;
        if (addresses++ == 0) {
            if (registry_open(&search.registry, false) != 0)
                return;
            search.own = session->name;
            search.count = registry_list(&search.registry, NULL, search.entries, REGISTRY_MAX);
        }
        look_for(&search, (uint32_t)entry->type, (uint32_t)entry->error, file);
    }
    registry_close(&search.registry);
}
