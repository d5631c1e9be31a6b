/*
 * connect_line.h - the line "CONNECT PORT\n" with which a host's program asks for a guest's port
 */
#ifndef CLI_GATEWAY_CONNECT_LINE_H
#define CLI_GATEWAY_CONNECT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/spec.h"

#define CONNECT_LINE_MAX 32 /* both VMMs': `buf` in muxer.rs read_local_stream_port() */

enum connect_line {
    CONNECT_LINE_MORE, /* not complete yet: ask again when there are more bytes */
    CONNECT_LINE_BAD,  /* the connection is closed without a word */
    CONNECT_LINE_GOOD,
};

/*
 * Judges the `size` bytes (at most CONNECT_LINE_MAX) with which the connection begins.
 *
 * After: *ret_used is how many of them the VMM reads before it answers or closes; untouched for
 *        CONNECT_LINE_MORE. *ret_port is set for CONNECT_LINE_GOOD alone.
 */
enum connect_line connect_line_judge(enum emu_hybrid vmm, const char *bytes, size_t size,
                                     uint32_t *ret_port, size_t *ret_used);

#endif
