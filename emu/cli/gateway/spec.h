/*
 * spec.h - what --bridge and --hybrid are given
 */
#ifndef CLI_GATEWAY_SPEC_H
#define CLI_GATEWAY_SPEC_H

#include <stdint.h>

#include "emu.h"

/* "vsock:CID:PORT=unix:PATH" */
struct bridge_spec {
    uint32_t cid;
    uint32_t port;
    const char *path; /* inside the text that was parsed */
};

/* "firecracker:PATH" or "cloud-hypervisor:PATH" */
struct hybrid_spec {
    enum emu_hybrid vmm;
    const char *path; /* inside the text that was parsed */
};

/* Each returns NULL, or what is wrong (the rest of a sentence); *ret_spec is untouched then. */
const char *bridge_spec_parse(const char *text, struct bridge_spec *ret_spec);
const char *hybrid_spec_parse(const char *text, struct hybrid_spec *ret_spec);

#endif
