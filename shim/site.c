/*
 * site.c - see site.h
 *
 * The library's frames and the guest's are followed by their .eh_frame, which says how each
 * function finds its caller; _dl_find_object() has it without a lock. Frame pointers would be
 * faster to follow, but cost each 64-byte transfer 5 %, also when nobody asks. Nothing is
 * allocated, and guest memory is read by host_copy(). A frame takes some 0.3 us.
 *
 * Leaves out: the callers of what Syscall User Dispatch has caught, and what lies behind a frame
 * that is described by an expression (a signal's).
 */
#include "site.h"

#include "caller.h"
#include "cfi.h"
#include "finding.h"
#include "host.h"
#include "route.h"
#include "shim.h"

#include <dlfcn.h>
#include <link.h>
#include <string.h>

#define OWN_FRAMES 64        /* of the library, from the guest's call to here */
#define FRAME_MAX  (1 << 20) /* bytes of one frame; more is nonsense */

/* A frame of the guest's, as it will be when its call returns. */
struct walk {
    uint64_t code;
    uint64_t stack;
    uint64_t frame; /* rbp */
};

static bool find(uint64_t code, struct dl_find_object *ret_object)
{
    return _dl_find_object((void *)(uintptr_t)code, ret_object) == 0;
}

static const uint8_t *bytes_at(const void *context, uint64_t address, size_t *ret_room)
{
    const struct dl_find_object *object = context;

    if (address < (uintptr_t)object->dlfo_map_start || address >= (uintptr_t)object->dlfo_map_end) {
        return NULL;
    }
    *ret_room = (uintptr_t)object->dlfo_map_end - address;
    return (const uint8_t *)(uintptr_t)address;
}

static bool read_word(uint64_t address, uint64_t *ret_word)
{
    return host_copy(ret_word, (const void *)(uintptr_t)address, sizeof *ret_word) == 0;
}

/* Moves to the caller. False: it can't be found. */
static bool step(const struct dl_find_object *object, struct walk *walk)
{
    const struct cfi_code code = { (uintptr_t)object->dlfo_eh_frame, bytes_at, object };
    struct cfi_row row;
    uint64_t address;

    /* A call may be a function's last instruction: its return address is another one's. */
    if (!object->dlfo_eh_frame || !cfi_find(&code, walk->code - 1, &row) ||
        !row.registers[CFI_RETURN].saved ||
        (row.cfa_register != CFI_RSP && row.cfa_register != CFI_RBP)) {
        return false;
    }
    address = (row.cfa_register == CFI_RSP ? walk->stack : walk->frame) + (uint64_t)row.cfa_offset;
    if (address <= walk->stack || address - walk->stack > FRAME_MAX ||
        !read_word(address + (uint64_t)row.registers[CFI_RETURN].offset, &walk->code)) {
        return false;
    }
    if (row.registers[CFI_RBP].saved) {
        read_word(address + (uint64_t)row.registers[CFI_RBP].offset, &walk->frame);
    }
    walk->stack = address;
    return walk->code != 0;
}

/*
 * Steps out of the library. `own_frame` is a caller's __builtin_frame_address(0): where its own
 * caller's rbp and the return address stand.
 */
static bool leave_library(const void *own_frame, struct walk *ret_walk)
{
    const uint64_t *frame = own_frame;
    struct dl_find_object own;

    *ret_walk = (struct walk){ frame[1], (uintptr_t)(frame + 2), frame[0] };
    if (!find((uintptr_t)leave_library, &own)) {
        return false;
    }
    for (int i = 0; i < OWN_FRAMES; i++) {
        if (ret_walk->code < (uintptr_t)own.dlfo_map_start ||
            ret_walk->code >= (uintptr_t)own.dlfo_map_end) {
            return true;
        }
        if (!step(&own, ret_walk)) {
            return false;
        }
    }
    return false;
}

/* ---- Images ---- */

#define KNOWN_MAX 32 /* images whose numbers are remembered */

static struct {
    const struct link_map *_Atomic map;
    _Atomic uint32_t number;
} known[KNOWN_MAX];
static _Atomic uint32_t known_count;

/* The file that an object is, as the loader has it; the program itself has no name there. */
static const char *path_of(const struct link_map *map, char ret_room[EMU_IMAGE_PATH])
{
    long size;

    if (map->l_name && *map->l_name) {
        return map->l_name;
    }
    size = RAW3(SYS_readlink, "/proc/self/exe", ret_room, EMU_IMAGE_PATH - 1);
    ret_room[size < 0 ? 0 : size] = 0;
    return ret_room;
}

/* Whether the number is still of what has this address now: dlopen() uses addresses again. */
static bool is_same(const struct link_map *map, uint32_t number)
{
    const char *path = emu_image_path(number);

    return !*map->l_name || (path && strncmp(path, map->l_name, EMU_IMAGE_PATH - 1) == 0);
}

static uint32_t image_of(const struct link_map *map)
{
    char room[EMU_IMAGE_PATH];
    uint32_t count = atomic_load(&known_count);
    uint32_t number;

    for (uint32_t i = 0; i < count && i < KNOWN_MAX; i++) {
        if (atomic_load(&known[i].map) == map && is_same(map, atomic_load(&known[i].number))) {
            return atomic_load(&known[i].number);
        }
    }
    number = emu_image_number(path_of(map, room));
    if (count < KNOWN_MAX && atomic_compare_exchange_strong(&known_count, &count, count + 1)) {
        atomic_store(&known[count].number, number);
        atomic_store(&known[count].map, map);
    }
    return number;
}

/* ---- Sites ---- */

static uint64_t word_of(const struct dl_find_object *object, uint64_t code)
{
    return (uint64_t)image_of(object->dlfo_link_map) << EMU_FRAME_SHIFT |
           (code - (uintptr_t)object->dlfo_map_start);
}

uint32_t site_take(struct emu_task *self)
{
    uint64_t frames[EMU_SITE_FRAMES];
    struct dl_find_object object;
    struct walk walk = { (uintptr_t)shim_thread.trapped, 0, 0 };
    uint32_t count = 0;
    bool more = true;

    (void)self;
    if (!shim_thread.trapped && !leave_library(__builtin_frame_address(0), &walk)) {
        return 0;
    }
    while (more && count < EMU_SITE_FRAMES && find(walk.code, &object)) {
        frames[count++] = word_of(&object, walk.code);
        more = !shim_thread.trapped && step(&object, &walk);
    }
    return emu_site_number(frames, count);
}

const void *site_caller(void)
{
    struct walk walk;

    if (shim_thread.trapped) {
        return shim_thread.trapped;
    }
    return leave_library(__builtin_frame_address(0), &walk) ? (const void *)(uintptr_t)walk.code
                                                            : NULL;
}

bool site_is_own(const void *address)
{
    struct dl_find_object own;

    return find((uintptr_t)site_is_own, &own) && address >= own.dlfo_map_start &&
           address < own.dlfo_map_end;
}

void site_bad_fd(int fd, long call)
{
    struct emu_task *self;

    if (shim_thread.task.critical > 0 || route_in_spawned_child() ||
        caller_left_alone(site_caller())) {
        return;
    }
    self = route_enter();
    if (self) {
        emu_track_bad(self, fd, call);
        route_exit(self);
    }
}
