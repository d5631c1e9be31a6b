/*
 * Benchmark: what one thread does alone, pinned on one CPU.
 *
 *   one_thread pair KIND SIZE   write of SIZE bytes, then read of them
 *   one_thread splice           write of 64 KiB, splice to another pipe, read
 *   one_thread sendfile         sendfile of 64 KiB of a file to a pipe, read
 *   one_thread mmsg             sendmmsg, then recvmmsg, of 64 messages of 64 bytes; per message
 *   one_thread create KIND      pipe2 or socketpair, then two closes
 *   one_thread connect NAME     socket, connect, accept, two closes
 *   one_thread other            read of /dev/null, a fd that is never emulated
 *   one_thread poll COUNT       poll of COUNT reading ends, none ready, without waiting
 *
 * KIND is pipe, stream or seqpacket, or for pair a NAME too: a connection to a listener's name,
 * which is path or abstract (of AF_UNIX) or vsock (connection.h). Prints one line of JSON
 * (measure.h).
 */
#include "connection.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>

enum {
    MESSAGES = 64,
    MESSAGE_SIZE = 64,
    PAIR_SIZE_MAX = 64 * 1024, /* fits a pipe (65536) and AF_UNIX's SO_SNDBUF (212992) whole */
    POLL_MAX = 4096,
};

static const char *const usage =
    "usage: one_thread pair KIND SIZE | splice | sendfile | mmsg | create KIND | connect NAME |\n"
    "                  other | poll COUNT\n"
    "       KIND: pipe, stream, seqpacket; for pair a NAME too\n"
    "       NAME: path, abstract, vsock\n";

enum kind { KIND_PIPE, KIND_STREAM, KIND_SEQPACKET, KIND_NAMED };

struct channel {
    enum kind kind;
    enum name name; /* KIND_NAMED */
    int out;
    int in;
};

static _Noreturn void usage_error(void)
{
    fputs(usage, stderr);
    exit(2);
}

static enum kind kind_parse(const char *name)
{
    if (strcmp(name, "pipe") == 0) {
        return KIND_PIPE;
    }
    if (strcmp(name, "stream") == 0) {
        return KIND_STREAM;
    }
    if (strcmp(name, "seqpacket") == 0) {
        return KIND_SEQPACKET;
    }
    usage_error();
}

static unsigned long number_parse(const char *text, unsigned long max)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || number < 1 || number > max) {
        usage_error();
    }
    return number;
}

static enum name name_require(const char *word)
{
    enum name name = name_parse(word);

    if (name == NAME_NONE) {
        usage_error();
    }
    return name;
}

static void channel_open(struct channel *channel)
{
    int fds[2];

    if (channel->kind == KIND_NAMED) {
        connection_open_alone(channel->name, fds);
    } else if (channel->kind == KIND_PIPE) {
        if (pipe2(fds, O_CLOEXEC) != 0) {
            die("pipe2");
        }
    } else {
        int type = channel->kind == KIND_STREAM ? SOCK_STREAM : SOCK_SEQPACKET;

        if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) != 0) {
            die("socketpair");
        }
    }
    channel->in = fds[0];
    channel->out = fds[1];
}

static void channel_close(struct channel *channel)
{
    if (close(channel->in) != 0 || close(channel->out) != 0) {
        die("close");
    }
}

/* What the rows without a channel of their own report: is this process's pipe emulated? */
static bool pipes_are_emulated(void)
{
    struct channel channel = { .kind = KIND_PIPE };
    bool emulated;

    channel_open(&channel);
    emulated = is_emulated(channel.out, channel.in);
    channel_close(&channel);
    return emulated;
}

/* --- pair ------------------------------------------------------------------------------------- */

struct pair {
    struct channel channel;
    size_t size;
    char *buffer;
};

static void pair_batch(void *context, uint64_t ops)
{
    struct pair *pair = context;

    for (uint64_t i = 0; i < ops; i++) {
        check_count(write(pair->channel.out, pair->buffer, pair->size), pair->size, "write");
        check_count(read(pair->channel.in, pair->buffer, pair->size), pair->size, "read");
    }
}

static bool run_pair(struct samples *samples, const char *kind, size_t size)
{
    static char buffer[PAIR_SIZE_MAX];
    struct pair pair = { .size = size, .buffer = buffer };
    bool emulated;

    pair.channel.name = name_parse(kind);
    pair.channel.kind = pair.channel.name != NAME_NONE ? KIND_NAMED : kind_parse(kind);

    memset(buffer, 'b', size);
    channel_open(&pair.channel);
    emulated = is_emulated(pair.channel.out, pair.channel.in);
    samples_take(samples, pair_batch, &pair);
    channel_close(&pair.channel);
    return emulated;
}

/* --- splice and sendfile ---------------------------------------------------------------------- */

struct move {
    struct channel first; /* splice: from here */
    struct channel last;
    int file; /* sendfile: from here; else -1 */
    char *buffer;
};

static void move_batch(void *context, uint64_t ops)
{
    struct move *move = context;

    for (uint64_t i = 0; i < ops; i++) {
        if (move->file >= 0) {
            off_t offset = 0;

            check_count(sendfile(move->last.out, move->file, &offset, PAIR_SIZE_MAX), PAIR_SIZE_MAX,
                        "sendfile");
        } else {
            check_count(write(move->first.out, move->buffer, PAIR_SIZE_MAX), PAIR_SIZE_MAX,
                        "write");
            check_count(splice(move->first.in, NULL, move->last.out, NULL, PAIR_SIZE_MAX, 0),
                        PAIR_SIZE_MAX, "splice");
        }
        check_count(read(move->last.in, move->buffer, PAIR_SIZE_MAX), PAIR_SIZE_MAX, "read");
    }
}

static bool run_move(struct samples *samples, bool from_file)
{
    static char buffer[PAIR_SIZE_MAX];
    struct move move = { .first.kind = KIND_PIPE, .last.kind = KIND_PIPE, .file = -1 };
    bool emulated;

    move.buffer = buffer;
    memset(buffer, 'm', sizeof buffer);
    if (from_file) {
        move.file = memfd_create("file", MFD_CLOEXEC);
        check_count(write(move.file, buffer, sizeof buffer), sizeof buffer, "write");
    }
    channel_open(&move.first);
    channel_open(&move.last);
    emulated = is_emulated(move.last.out, move.last.in);
    samples_take(samples, move_batch, &move);
    channel_close(&move.first);
    channel_close(&move.last);
    return emulated;
}

/* --- mmsg ------------------------------------------------------------------------------------- */

struct mmsg {
    struct channel channel;
    struct mmsghdr headers[MESSAGES];
    struct iovec pieces[MESSAGES];
    char buffers[MESSAGES][MESSAGE_SIZE];
};

static void mmsg_batch(void *context, uint64_t ops)
{
    struct mmsg *mmsg = context;

    for (uint64_t i = 0; i < ops; i++) {
        check_count(sendmmsg(mmsg->channel.out, mmsg->headers, MESSAGES, 0), MESSAGES, "sendmmsg");
        check_count(recvmmsg(mmsg->channel.in, mmsg->headers, MESSAGES, 0, NULL), MESSAGES,
                    "recvmmsg");
    }
}

static bool run_mmsg(struct samples *samples)
{
    static struct mmsg mmsg = { .channel = { .kind = KIND_SEQPACKET } };
    bool emulated;

    for (int i = 0; i < MESSAGES; i++) {
        memset(mmsg.buffers[i], 'm', MESSAGE_SIZE);
        mmsg.pieces[i] = (struct iovec){ mmsg.buffers[i], MESSAGE_SIZE };
        mmsg.headers[i].msg_hdr.msg_iov = &mmsg.pieces[i];
        mmsg.headers[i].msg_hdr.msg_iovlen = 1;
    }
    channel_open(&mmsg.channel);
    emulated = is_emulated(mmsg.channel.out, mmsg.channel.in);
    samples_take(samples, mmsg_batch, &mmsg);
    for (int i = 0; i < MESSAGES; i++) {
        check_count(mmsg.headers[i].msg_len, MESSAGE_SIZE, "recvmmsg: msg_len");
    }
    channel_close(&mmsg.channel);
    for (size_t i = 0; i < samples->count; i++) {
        samples->ns[i] /= MESSAGES;
    }
    return emulated;
}

/* --- create ----------------------------------------------------------------------------------- */

static void create_batch(void *context, uint64_t ops)
{
    struct channel *channel = context;

    for (uint64_t i = 0; i < ops; i++) {
        channel_open(channel);
        channel_close(channel);
    }
}

static bool run_create(struct samples *samples, enum kind kind)
{
    struct channel channel = { .kind = kind };
    bool emulated;

    channel_open(&channel);
    emulated = is_emulated(channel.out, channel.in);
    channel_close(&channel);
    samples_take(samples, create_batch, &channel);
    return emulated;
}

/* --- connect ---------------------------------------------------------------------------------- */

static void connect_batch(void *context, uint64_t ops)
{
    const struct listener *listener = context;
    int fds[2];

    for (uint64_t i = 0; i < ops; i++) {
        connection_open(listener, fds);
        if (close(fds[1]) != 0 || close(fds[0]) != 0) {
            die("close");
        }
    }
}

static bool run_connect(struct samples *samples, enum name name)
{
    struct listener listener;
    int fds[2];
    bool emulated;

    listener_open(&listener, name);
    connection_open(&listener, fds);
    emulated = is_emulated(fds[0], fds[1]) && is_emulated(fds[1], fds[0]);
    close(fds[0]);
    close(fds[1]);
    samples_take(samples, connect_batch, &listener);
    listener_close(&listener);
    return emulated;
}

/* --- other ------------------------------------------------------------------------------------ */

static void other_batch(void *context, uint64_t ops)
{
    int fd = *(int *)context;
    char byte;

    for (uint64_t i = 0; i < ops; i++) {
        check_count(read(fd, &byte, 1), 0, "read of /dev/null");
    }
}

static bool run_other(struct samples *samples)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    bool emulated = pipes_are_emulated();

    if (fd < 0) {
        die("/dev/null");
    }
    samples_take(samples, other_batch, &fd);
    close(fd);
    return emulated;
}

/* --- poll ------------------------------------------------------------------------------------- */

struct many {
    struct pollfd fds[POLL_MAX];
    nfds_t count;
};

static void poll_batch(void *context, uint64_t ops)
{
    struct many *many = context;

    for (uint64_t i = 0; i < ops; i++) {
        check_count(poll(many->fds, many->count, 0), 0, "poll");
    }
}

/* 1000 pipes are 2000 fds, and the usual soft limit is 1024. */
static void allow_fds(rlim_t count)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        die("getrlimit");
    }
    if (limit.rlim_cur < count) {
        limit.rlim_cur = count;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            die("setrlimit");
        }
    }
}

static bool run_poll(struct samples *samples, nfds_t count)
{
    static struct many many;
    static struct channel channels[POLL_MAX];
    bool emulated = true;

    allow_fds(2 * count + 64);
    many.count = count;
    for (nfds_t i = 0; i < count; i++) {
        channels[i].kind = KIND_PIPE;
        channel_open(&channels[i]);
        emulated = is_emulated(channels[i].out, channels[i].in) && emulated;
        many.fds[i] = (struct pollfd){ .fd = channels[i].in, .events = POLLIN };
    }
    samples_take(samples, poll_batch, &many);
    for (nfds_t i = 0; i < count; i++) {
        channel_close(&channels[i]);
    }
    return emulated;
}

/* ---------------------------------------------------------------------------------------------- */

static bool run(struct samples *samples, int argc, char **argv)
{
    const char *workload = argc > 1 ? argv[1] : "";

    if (strcmp(workload, "pair") == 0 && argc == 4) {
        return run_pair(samples, argv[2], number_parse(argv[3], PAIR_SIZE_MAX));
    }
    if (strcmp(workload, "create") == 0 && argc == 3) {
        return run_create(samples, kind_parse(argv[2]));
    }
    if (strcmp(workload, "connect") == 0 && argc == 3) {
        return run_connect(samples, name_require(argv[2]));
    }
    if (strcmp(workload, "poll") == 0 && argc == 3) {
        return run_poll(samples, number_parse(argv[2], POLL_MAX));
    }
    if (strcmp(workload, "mmsg") == 0 && argc == 2) {
        return run_mmsg(samples);
    }
    if ((strcmp(workload, "splice") == 0 || strcmp(workload, "sendfile") == 0) && argc == 2) {
        return run_move(samples, strcmp(workload, "sendfile") == 0);
    }
    if (strcmp(workload, "other") == 0 && argc == 2) {
        return run_other(samples);
    }
    usage_error();
}

int main(int argc, char **argv)
{
    struct samples samples;
    bool emulated;

    pin(CPU_LAST);
    samples_init(&samples);
    emulated = run(&samples, argc, argv);
    samples_report(&samples, emulated, false);
    return 0;
}
