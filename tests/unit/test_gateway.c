/*
 * test_gateway.c - what --bridge and --hybrid are given; the hybrid's line, as each VMM reads it
 */
#include <criterion/criterion.h>
#include <string.h>

#include "gateway/connect_line.h"
#include "gateway/spec.h"

/* ---- --bridge, --hybrid ---- */

Test(gateway, bridge_spec)
{
    struct bridge_spec spec = { 0 };

    cr_assert_null(bridge_spec_parse("vsock:2:1234=unix:/run/x=y:z", &spec));
    cr_expect(spec.cid == 2 && spec.port == 1234);
    cr_expect_str_eq(spec.path, "/run/x=y:z");
    cr_assert_null(bridge_spec_parse("vsock:4294967294:4294967294=unix:a", &spec));
    cr_expect(spec.cid == UINT32_MAX - 1 && spec.port == UINT32_MAX - 1);
    cr_assert_null(bridge_spec_parse("vsock:3:0=unix:a", &spec));
    cr_expect(spec.port == 0, "0 is an ordinary port");
}

Test(gateway, bridge_spec_refused)
{
    static const char *const bad[] = {
        "",
        "vsock",
        "vsock:2:1",
        "vsock:2:1=",
        "vsock:2:1=unix:",
        "vsock:2:1=tcp:x",
        "vsock:2=unix:x",
        "vsock::1=unix:x",
        "vsock:2:=unix:x",
        "vsock:2:1:3=unix:x",
        "vsock:-2:1=unix:x",
        "vsock:2:+1=unix:x",
        "vsock: 2:1=unix:x",
        "vsock:0x2:1=unix:x",
        "vsock:0:1=unix:x",
        "vsock:1:1=unix:x",
        "vsock:4294967295:1=unix:x",
        "vsock:2:4294967295=unix:x",
        "vsock:2:4294967296=unix:x",
        "vsock:18446744073709551618:1=unix:x",
        "VSOCK:2:1=unix:x",
    };
    struct bridge_spec spec = { .cid = 77 };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not_null(bridge_spec_parse(bad[i], &spec), "taken: %s", bad[i]);
    cr_expect(spec.cid == 77, "touched on failure");
}

/* unix(7): sun_path has 108 bytes, its end among them. */
Test(gateway, path_lengths)
{
    char text[256] = "firecracker:";
    const size_t prefix = strlen(text);
    struct hybrid_spec spec = { EMU_HYBRID_NONE, NULL };

    memset(text + prefix, 'p', 107);
    cr_assert_null(hybrid_spec_parse(text, &spec));
    cr_expect(spec.vmm == EMU_HYBRID_FIRECRACKER && strlen(spec.path) == 107);
    text[prefix + 107] = 'p';
    const char *reason = hybrid_spec_parse(text, &spec);
    cr_assert_not_null(reason);
    cr_expect_not_null(strstr(reason, "too long"));
}

Test(gateway, hybrid_spec)
{
    static const char *const bad[] = { "",       "firecracker", "firecracker:",
                                       "qemu:x", "x",           "Firecracker:x" };
    struct hybrid_spec spec = { EMU_HYBRID_NONE, NULL };

    cr_assert_null(hybrid_spec_parse("cloud-hypervisor:v.sock", &spec));
    cr_expect(spec.vmm == EMU_HYBRID_CLOUD_HYPERVISOR);
    cr_expect_str_eq(spec.path, "v.sock");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not_null(hybrid_spec_parse(bad[i], &spec), "taken: %s", bad[i]);
    cr_expect_str_eq(spec.path, "v.sock", "touched on failure");
}

/* ---- The line ---- */

struct line {
    const char *bytes;
    enum connect_line firecracker;
    enum connect_line cloud_hypervisor;
    uint32_t port;
    size_t used; /* where good; 0: all of them */
};

#define GOOD CONNECT_LINE_GOOD
#define BAD  CONNECT_LINE_BAD
#define MORE CONNECT_LINE_MORE

static const struct line lines[] = {
    { "CONNECT 52\n", GOOD, GOOD, 52, 0 },
    { "connect 0\n", GOOD, GOOD, 0, 0 },
    { "CoNnEcT 1024\n", GOOD, GOOD, 1024, 0 },
    { "CONNECT 4294967295\n", GOOD, GOOD, UINT32_MAX, 0 },
    { "CONNECT +5\n", GOOD, GOOD, 5, 0 },
    { "CONNECT 0000000007\n", GOOD, GOOD, 7, 0 },
    { "CONNECT 52\r\n", GOOD, GOOD, 52, 0 },
    { "CONNECT   52  \n", GOOD, GOOD, 52, 0 },
    /* what follows is the guest's */
    { "CONNECT 52\nhello\n", GOOD, GOOD, 52, 11 },
    { "CONNECT 52\n\n", GOOD, GOOD, 52, 11 },
    /* words or a rest */
    { "CONNECT\t52\n", GOOD, BAD, 52, 0 },
    { "  CONNECT 52\n", GOOD, BAD, 52, 0 },
    { "CONNECT 52 53\n", GOOD, BAD, 52, 0 },
    { "CONNECT 52 \xc3\xa9\n", GOOD, BAD, 52, 0 },
    { "CONNECT 52 \xff\n", BAD, BAD, 0, 0 },
    { "CONNECT 52 \xc0\xaf\n", BAD, BAD, 0, 0 },
    { "CONNECT 52 \xed\xa0\x80\n", BAD, BAD, 0, 0 },
    { "CONNECT 52 \xf0\x9f\x98\x80\n", GOOD, BAD, 52, 0 },
    /* a newline among Firecracker's first ten bytes is a blank like others */
    { "CONNECT\n52\n", GOOD, BAD, 52, 0 },
    { "\nCONNECT 5\n", GOOD, BAD, 5, 0 },
    { "CONNECT 5\n", GOOD, GOOD, 5, 0 },
    /* numbers that aren't */
    { "CONNECT -1\n", BAD, BAD, 0, 0 },
    { "CONNECT 4294967296\n", BAD, BAD, 0, 0 },
    { "CONNECT 0x10\n", BAD, BAD, 0, 0 },
    { "CONNECT +\n.", BAD, BAD, 0, 0 },
    { "CONNECT ++5\n", BAD, BAD, 0, 0 },
    { "CONNECT abc\n", BAD, BAD, 0, 0 },
    { "CONNECT    \n", BAD, BAD, 0, 0 },
    { "CONNECT52\n", BAD, BAD, 0, 0 },
    { "CONNECTS 52\n", BAD, BAD, 0, 0 },
    { "LISTEN 12345\n", BAD, BAD, 0, 0 },
    { "GET / HTTP/1.1\r\n", BAD, BAD, 0, 0 },
    /* incomplete */
    { "C", BAD, MORE, 0, 0 },
    { "CONNECT 5", BAD, MORE, 0, 0 },
    { "CONNECT 52", BAD, MORE, 0, 0 },
    { "CONNECT 12345678", BAD, MORE, 0, 0 },
    { "\n", BAD, BAD, 0, 0 },
    /* the longest */
    { "CONNECT 52                     \n", GOOD, GOOD, 52, 32 },
    { "CONNECT 52                      \n", GOOD, BAD, 52, 32 },
    { "CONNECT 00000000000000000000000052\n", GOOD, BAD, 0, 32 },
    { "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n", BAD, BAD, 0, 0 },
};

static void check(const struct line *line, enum emu_hybrid vmm, enum connect_line wanted)
{
    const size_t length = strlen(line->bytes);
    const size_t size = length < CONNECT_LINE_MAX ? length : CONNECT_LINE_MAX;
    uint32_t port = 99;
    size_t used = 99;

    cr_expect_eq(connect_line_judge(vmm, line->bytes, size, &port, &used), wanted, "VMM %d: '%s'",
                 (int)vmm, line->bytes);
    cr_expect_eq(port, wanted == GOOD ? line->port : 99, "VMM %d: '%s': %u", (int)vmm, line->bytes,
                 port);
    if (wanted == GOOD)
        cr_expect_eq(used, line->used > 0 ? line->used : size, "VMM %d: '%s': %zu bytes", (int)vmm,
                     line->bytes, used);
    else if (wanted == BAD)
        cr_expect(used > 0 && used <= size, "VMM %d: '%s': %zu bytes", (int)vmm, line->bytes, used);
    else
        cr_expect(used == 99, "touched: '%s'", line->bytes);
}

Test(gateway, connect_lines)
{
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        check(&lines[i], EMU_HYBRID_FIRECRACKER, lines[i].firecracker);
        check(&lines[i], EMU_HYBRID_CLOUD_HYPERVISOR, lines[i].cloud_hypervisor);
    }
}

/* What isn't read before the end makes it a reset: unix(7). */
Test(gateway, bad_lines_are_read)
{
    static const char line[] = "SELECT 52\nrest";
    uint32_t port = 0;
    size_t used = 0;

    cr_expect_eq(connect_line_judge(EMU_HYBRID_FIRECRACKER, line, sizeof line - 1, &port, &used),
                 BAD);
    cr_expect_eq(used, 10);
    cr_expect_eq(
        connect_line_judge(EMU_HYBRID_CLOUD_HYPERVISOR, line, sizeof line - 1, &port, &used), BAD);
    cr_expect_eq(used, 10);
    cr_expect_eq(connect_line_judge(EMU_HYBRID_FIRECRACKER, line, 4, &port, &used), BAD);
    cr_expect_eq(used, 4);
}

/* cloud-hypervisor, byte by byte: nothing before the newline decides, everything is there then. */
Test(gateway, connect_line_in_pieces)
{
    static const char line[] = "connect 4294967295\nrest";
    const size_t length = (size_t)(strchr(line, '\n') - line) + 1;
    uint32_t port = 0;
    size_t used = 0;

    for (size_t size = 1; size < length; size++)
        cr_expect_eq(connect_line_judge(EMU_HYBRID_CLOUD_HYPERVISOR, line, size, &port, &used),
                     MORE);
    for (size_t size = length; size < sizeof line; size++) {
        cr_expect_eq(connect_line_judge(EMU_HYBRID_CLOUD_HYPERVISOR, line, size, &port, &used),
                     GOOD);
        cr_expect(port == UINT32_MAX && used == length);
    }
}
