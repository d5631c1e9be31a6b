/*
 * spec.c - see spec.h
 *
 * Numbers are plain decimal, and a path is whatever stands behind "unix:", so any file can be
 * named. Abstract names are left out: no VMM and no systemd unit speaks of them.
 */
#include "spec.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#define CID_FIRST 2          /* VMADDR_CID_HOST; 0 and 1 are nobody's, see vsock(7) */
#define ANY       UINT32_MAX /* VMADDR_CID_ANY, VMADDR_PORT_ANY */

/* Reads a decimal number at *at, up to `end`, and moves *at behind that. */
static bool read_number(const char **at, char end, uint32_t *ret_number)
{
    const size_t digits = strspn(*at, "0123456789");
    uint64_t number = 0;

    if (digits == 0 || digits > 10 || (*at)[digits] != end)
        return false;
    for (size_t i = 0; i < digits; i++)
        number = number * 10 + (uint64_t)((*at)[i] - '0');
    if (number > UINT32_MAX)
        return false;
    *at += digits + 1;
    *ret_number = (uint32_t)number;
    return true;
}

static bool skip(const char **at, const char *word)
{
    const size_t length = strlen(word);

    if (strncmp(*at, word, length) != 0)
        return false;
    *at += length;
    return true;
}

static const char *judge_path(const char *path)
{
    if (*path == '\0')
        return "the path is empty";
    if (strlen(path) >= sizeof((struct sockaddr_un *)NULL)->sun_path) /* unix(7) */
        return "the path is too long for a socket (107 bytes are allowed)";
    return NULL;
}

const char *bridge_spec_parse(const char *text, struct bridge_spec *ret_spec)
{
    struct bridge_spec spec;
    const char *at = text;

    if (!skip(&at, "vsock:") || !read_number(&at, ':', &spec.cid) ||
        !read_number(&at, '=', &spec.port) || !skip(&at, "unix:"))
        return "give vsock:CID:PORT=unix:PATH";
    if (spec.cid < CID_FIRST || spec.cid == ANY)
        return "the CID is 2, the host, or a guest's, from 3 to 4294967294";
    if (spec.port == ANY)
        return "the port is a number from 0 to 4294967294";
    spec.path = at;
    const char *reason = judge_path(at);
    if (reason == NULL)
        *ret_spec = spec;
    return reason;
}

const char *hybrid_spec_parse(const char *text, struct hybrid_spec *ret_spec)
{
    struct hybrid_spec spec = { EMU_HYBRID_FIRECRACKER, NULL };
    const char *at = text;

    if (!skip(&at, "firecracker:")) {
        if (!skip(&at, "cloud-hypervisor:"))
            return "give firecracker:PATH or cloud-hypervisor:PATH";
        spec.vmm = EMU_HYBRID_CLOUD_HYPERVISOR;
    }
    spec.path = at;
    const char *reason = judge_path(at);
    if (reason == NULL)
        *ret_spec = spec;
    return reason;
}
