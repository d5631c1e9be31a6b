/*
 * test_trace.c - what `sockrig trace` makes of a recorded call: its line, where its bytes went,
 * whether it is shown
 *
 * Calls are made by hand. What real ones look like is compared with strace in
 * tests/programs/trace.sh; here is what a program rarely does, or only a broken file.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "emu.h"
#include "trace/filter.h"
#include "trace/flow.h"
#include "trace/line.h"
#include "trace/objects.h"

/* ---- A recording that holds four descriptions: a pipe, a connection of records ---- */

static const struct trace_object objects[] = {
    { .description = 0, .kind = TRACE_OBJECT_PIPE_READER, .rx = 7, .tx = UINT32_MAX, .peer = 1 },
    { .description = 1, .kind = TRACE_OBJECT_PIPE_WRITER, .rx = UINT32_MAX, .tx = 7, .peer = 0 },
    { .description = 2, .kind = TRACE_OBJECT_SEQPACKET, .rx = 8, .tx = 9, .peer = 3 },
    { .description = 3, .kind = TRACE_OBJECT_SEQPACKET, .rx = 9, .tx = 8, .peer = 2 },
};

static struct trace *recording(void)
{
    static struct {
        _Alignas(TRACE_BLOCK) struct trace_file_header header;
        char name; /* of call 0: "" */
        _Alignas(TRACE_BLOCK) struct trace_piece piece;
        struct {
            struct trace_record record;
            struct trace_object object;
        } records[4];
    } file = { .header = { .magic = TRACE_MAGIC,
                           .version = TRACE_VERSION,
                           .size = TRACE_BLOCK,
                           .clock = TRACE_CLOCK_MONOTONIC,
                           .call_count = 1,
                           .names_size = 1 },
               .piece = { .magic = TRACE_PIECE_MAGIC,
                          .offset = TRACE_BLOCK,
                          .task = 1,
                          .used = sizeof file.records,
                          .room = TRACE_BLOCK - sizeof file.piece } };
    char path[] = "/tmp/sockrig-unit-trace-XXXXXX", why[200] = "";
    int fd = mkstemp(path);
    struct trace *trace;

    for (size_t i = 0; i < 4; i++) {
        file.records[i].record = (struct trace_record){
            .size = sizeof file.records[i], .kind = TRACE_OBJECT, .enter = 1, .leave = 1
        };
        file.records[i].object = objects[i];
    }
    cr_assert(fd >= 0 && write(fd, &file, sizeof file) == (ssize_t)sizeof file);
    close(fd);
    trace = trace_open(path, why, sizeof why);
    unlink(path);
    cr_assert(trace != NULL, "%s", why);
    return trace;
}

static const struct trace_task task = { .number = 1, .pid = 412, .tid = 413, .program = "test" };

/* ---- Calls ---- */

enum { ADDRESS = 0x10000 }; /* of the guest's memory */

/* Descriptor N + 3 stands for object N. */
static struct trace_call call_of(unsigned number, int fd, int64_t result)
{
    static struct trace_fd fds[64]; /* one for each call of a test */
    static size_t used;
    struct trace_fd *entry = &fds[used++ % 64];

    *entry = (struct trace_fd){ .fd = fd,
                                .description = (uint32_t)fd - 3,
                                .kind = (uint8_t)objects[fd - 3].kind };
    return (struct trace_call){ .task = &task,
                                .kind = TRACE_CALL,
                                .call = number,
                                .left = true,
                                .result = result,
                                .words = { (uint64_t)fd, ADDRESS, 100 },
                                .word_count = 6,
                                .fds = entry,
                                .fd_count = 1 };
}

static struct trace_chunk seen(enum trace_when when, const void *data, size_t size)
{
    return (struct trace_chunk){
        .address = ADDRESS, .data = data, .size = size, .total = size, .when = when
    };
}

/* Valid until the next call. */
static const char *line(struct trace_call *call, const struct trace_chunk *chunks, size_t count)
{
    static char *text;
    size_t size = 0;

    free(text);
    FILE *out = open_memstream(&text, &size);
    struct show show = { .out = out, .string_limit = 8, .call = call };

    call->chunks = chunks;
    call->chunk_count = count;
    line_print(&show);
    fclose(out);
    return text;
}

Test(trace_line, strings)
{
    struct trace_chunk chunk = seen(TRACE_AT_LEAVE, "a\0001\n\377\"zz", 8);
    struct trace_call call = call_of(EMU_CALL_read, 3, 8);

    cr_expect_str_eq(line(&call, &chunk, 1), "read(3, \"a\\0001\\n\\377\\\"zz\", 100) = 8");
    call.result = 9; /* more than was recorded */
    cr_expect_str_eq(line(&call, &chunk, 1), "read(3, \"a\\0001\\n\\377\\\"zz\"..., 100) = 9");
    call.result = 2;
    cr_expect_str_eq(line(&call, &chunk, 1), "read(3, \"a\\0\", 100) = 2");
    call.result = 0;
    cr_expect_str_eq(line(&call, NULL, 0), "read(3, \"\", 100) = 0");
    call.result = -EAGAIN;
    cr_expect_str_eq(line(&call, &chunk, 1),
                     "read(3, 0x10000, 100) = -1 EAGAIN (Resource temporarily unavailable)");
    call.left = false;
    cr_expect_str_eq(line(&call, NULL, 0), "read(3,  <unfinished ...>) = ?");
}

Test(trace_line, addresses)
{
    const struct sockaddr_vm vm = { .svm_family = AF_VSOCK, .svm_cid = 77, .svm_port = 1234 };
    struct trace_chunk chunk = seen(TRACE_AT_ENTER, &vm, sizeof vm);
    struct trace_call call = call_of(EMU_CALL_connect, 5, 0);

    call.words[2] = sizeof vm;
    cr_expect_str_eq(line(&call, &chunk, 1),
                     "connect(5, {sa_family=AF_VSOCK, svm_cid=77, svm_port=0x4d2}, 16) = 0");
    call.words[2] = 1; /* shorter than a family */
    cr_expect_str_eq(line(&call, &chunk, 1), "connect(5, 0x10000, 1) = 0");
    call.words[2] = UINT32_MAX; /* longer than what was recorded */
    cr_expect_str_eq(line(&call, &chunk, 1), "connect(5, 0x10000, 4294967295) = 0");
}

Test(trace_line, numbers_that_no_call_gives)
{
    const struct iovec iov = { (void *)(uintptr_t)ADDRESS, SIZE_MAX };
    const struct pollfd fd = { .fd = 3, .revents = 0x4001 };
    struct trace_chunk chunk = seen(TRACE_AT_ENTER, &iov, sizeof iov);
    struct trace_call call = call_of(EMU_CALL_writev, 4, INT64_MIN);

    call.words[2] = UINT64_MAX;
    cr_expect_str_eq(line(&call, &chunk, 1),
                     "writev(4, [{iov_base=0x10000, iov_len=18446744073709551615}, ...], "
                     "4294967295) = -1 (errno 0)");
    call = call_of(EMU_CALL_poll, 3, INT64_MAX);
    call.words[0] = ADDRESS;
    call.words[1] = UINT64_MAX;
    chunk = seen(TRACE_AT_LEAVE, &fd, sizeof fd);
    cr_expect_str_eq(line(&call, &chunk, 1), "poll(0x10000, 4294967295, 100) = 9223372036854775807 "
                                             "([{fd=3, revents=POLLIN|0x4000}])");
    call = call_of(EMU_CALL_read, 3, 1);
    call.word_count = 1;
    cr_expect_str_eq(line(&call, NULL, 0), "read(3, ) = 1");
    call.call = 9999;
    cr_expect_str_eq(line(&call, NULL, 0), "");
}

/* A length in front of which the next element would lie. */
Test(trace_line, control_data_without_end)
{
    union {
        struct cmsghdr header;
        uint64_t words[4];
    } control = { .header = { .cmsg_len = SIZE_MAX - 15, .cmsg_level = SOL_SOCKET } };
    struct msghdr header = { .msg_control = (void *)(uintptr_t)(ADDRESS + 0x1000),
                             .msg_controllen = sizeof control };
    struct trace_chunk chunks[2] = { seen(TRACE_AT_ENTER, &header, sizeof header),
                                     seen(TRACE_AT_ENTER, &control, sizeof control) };
    struct trace_call call = call_of(EMU_CALL_sendmsg, 5, 0);

    chunks[1].address += 0x1000;
    call.words[2] = 0;
    cr_expect_str_eq(line(&call, chunks, 2),
                     "sendmsg(5, {msg_name=NULL, msg_namelen=0, msg_iov=NULL, msg_iovlen=0, "
                     "msg_control=[{cmsg_len=18446744073709551600, cmsg_level=SOL_SOCKET, "
                     "cmsg_type=0 /* SCM_??? */, cmsg_data=\"\\0\\0\\0\\0\\0\\0\\0\\0\"...}], "
                     "msg_controllen=32, msg_flags=0}, 0) = 0");
}

/* ---- Which read got whose bytes ---- */

/* Enters and leaves `count` calls in their order; the arrows must be `wanted`. */
static void expect_arrows(struct trace_call *calls, size_t count, const struct flow_arrow *wanted,
                          size_t wanted_count)
{
    struct trace *trace = recording();
    struct flow *flow = flow_create(trace);
    const struct flow_arrow *arrows;
    size_t arrow_count;

    for (size_t i = 0; i < count; i++) {
        cr_assert(flow_enter(flow, &calls[i], (uint32_t)i));
        cr_assert(flow_leave(flow, &calls[i], (uint32_t)i));
    }
    arrows = flow_arrows(flow, &arrow_count);
    cr_assert_eq(arrow_count, wanted_count);
    for (size_t i = 0; i < wanted_count; i++) {
        cr_expect_eq(arrows[i].from, wanted[i].from);
        cr_expect_eq(arrows[i].to, wanted[i].to);
        cr_expect_eq(arrows[i].amount, wanted[i].amount);
        cr_expect_eq(arrows[i].records, wanted[i].records);
    }
    flow_destroy(flow);
    trace_close(trace);
}

Test(trace_flow, reads_cut_and_join_writes)
{
    struct trace_call calls[] = {
        call_of(EMU_CALL_write, 4, 10),     call_of(EMU_CALL_read, 3, 4),
        call_of(EMU_CALL_write, 4, 5),      call_of(EMU_CALL_write, 4, -EPIPE),
        call_of(EMU_CALL_read, 3, -EAGAIN), call_of(EMU_CALL_read, 3, 8),
        call_of(EMU_CALL_read, 3, 100),     call_of(EMU_CALL_read, 3, 0),
        call_of(EMU_CALL_write, 4, 1),      call_of(EMU_CALL_read, 3, INT64_MAX),
    };
    const struct flow_arrow wanted[] = {
        { 0, 1, 4, false }, { 0, 5, 6, false }, { 2, 5, 2, false },
        { 2, 6, 3, false }, { 8, 9, 1, false },
    };

    expect_arrows(calls, 10, wanted, 5);
}

Test(trace_flow, records_are_whole_and_a_look_takes_none)
{
    struct trace_call calls[] = {
        call_of(EMU_CALL_send, 5, 100), call_of(EMU_CALL_send, 5, 0),
        call_of(EMU_CALL_recv, 6, 10),  call_of(EMU_CALL_recv, 6, 10),
        call_of(EMU_CALL_recv, 6, 0),   call_of(EMU_CALL_send, 6, 3), /* the other way round */
        call_of(EMU_CALL_recv, 5, 3),
    };
    const struct flow_arrow wanted[] = { { 0, 3, 1, true }, { 1, 4, 1, true }, { 5, 6, 1, true } };

    calls[2].words[3] = MSG_PEEK;
    expect_arrows(calls, 7, wanted, 3);
}

/* ---- Filters ---- */

/* How many of read (that failed), write and send, on 3, 4, 5, an expression lets through; -1: bad.
 */
static int let_through(const char *expression)
{
    const struct trace_call calls[] = { call_of(EMU_CALL_read, 3, -EAGAIN),
                                        call_of(EMU_CALL_write, 4, 1),
                                        call_of(EMU_CALL_send, 5, 1) };
    struct filter filter = { .to_ns = UINT64_MAX };
    char text[64];
    int count = 0;

    snprintf(text, sizeof text, "%s", expression);
    if (filter_parse(&filter, text) != NULL)
        return -1;
    for (size_t i = 0; i < 3; i++)
        count += filter_matches(&filter, &calls[i], NULL, 0);
    filter_fini(&filter);
    return count;
}

Test(trace_filter, expressions)
{
    cr_expect_eq(let_through("all"), 3);
    cr_expect_eq(let_through("none"), 0);
    cr_expect_eq(let_through("!all"), 0);
    cr_expect_eq(let_through("trace=read,sendto"), 2);
    cr_expect_eq(let_through("trace=send"), 1);
    cr_expect_eq(let_through("!read"), 2);
    cr_expect_eq(let_through("%desc"), 2);
    cr_expect_eq(let_through("!%network"), 2);
    cr_expect_eq(let_through("/^(re|wr)"), 2);
    cr_expect_eq(let_through("?openat,write"), 1);
    cr_expect_eq(let_through("?openat"), 0);
    cr_expect_eq(let_through("trace-fds=3,5"), 2);
    cr_expect_eq(let_through("fds=!3"), 2);
    cr_expect_eq(let_through("status=failed"), 1);
    cr_expect_eq(let_through("status=successful"), 2);
}

Test(trace_filter, mistakes)
{
    cr_expect_eq(let_through("openat"), -1);
    cr_expect_eq(let_through("read,,write"), -1);
    cr_expect_eq(let_through("trace="), -1);
    cr_expect_eq(let_through("/("), -1);
    cr_expect_eq(let_through("fds=3x"), -1);
    cr_expect_eq(let_through("fds="), -1);
    cr_expect_eq(let_through("status=odd"), -1);
    cr_expect_eq(let_through("signal=SIGPIPE"), -1);
    cr_expect_eq(let_through("inject=all"), -1);
}
