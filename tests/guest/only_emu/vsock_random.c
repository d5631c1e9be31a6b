/*
 * Proves (in the emulator only): random sends, receives, marks, buffer sizes, shutdowns and closes
 * on both ends of an AF_VSOCK connection give what a model gives that was written from af_vsock.c
 * and virtio_transport_common.c: results, bytes, poll bits and FIONREAD after every step.
 *
 * The model delivers a packet at once and counts credit by whole packets; sizes are multiples of
 * 1 KiB on streams, so that no packet is small enough to join another. It leaves out what depends
 * on the order of packets in flight: credit of an end that has shut both halves or whose peer has
 * closed (docs/DIFFERENCES.md), and recv() after a shutdown that followed the end.
 *
 * Rows: 7.5 "Capacity towards the peer", 7.5 "The receiver's forwarded count",
 * 7.5 "wanted = min(SO_RCVLOWAT, n)", 7.5 "close(), nothing or something unread on our side",
 * 7.6 "own SHUT_RDWR, or both sides SHUT_WR", 7.6 "no credit", 7.8 "Record bigger than the free"
 */
#include "vsock.h"

enum { RECEIVES = 1, SENDS = 2, BOTH = 3, UNIT = 1024, PACKETS = 4096, ROUNDS = 120, STEPS = 80 };

struct packet {
    uint32_t size, offset; /* offset: what was read of it */
    uint64_t position;     /* of its first byte in the pattern */
    bool last;             /* of its record */
};

/* struct vsock_sock and struct virtio_vsock_sock, as far as it can be seen. */
struct end {
    int fd, type;
    int own_shut, peer_shut;
    bool is_open, done, closing, forgot;
    uint32_t buffer, low;                       /* SO_VM_SOCKETS_BUFFER_SIZE, SO_RCVLOWAT */
    uint32_t sent, peer_forwarded, peer_buffer; /* of the sending direction */
    uint32_t forwarded, told, queued;           /* of the receiving one; told: last_fwd_cnt */
    struct packet packets[PACKETS];             /* a ring */
    uint32_t first, count;
    uint64_t position; /* of the next byte that is sent */
};

static _Thread_local struct end ends[2];
static _Thread_local uint32_t random_state, seed;
static _Thread_local int step;
static _Thread_local char bytes[400 * UNIT];

static uint32_t chance(uint32_t below)
{
    random_state = random_state * 1664525 + 1013904223; /* Numerical Recipes' */
    return (random_state >> 8) % below;
}

static void say_end(const struct end *end)
{
    dprintf(2,
            "%s: type %d, shut %d by peer %d, done %d closing %d, buffer %u low %u, sent %u peer's "
            "%u of %u, forwarded %u told %u, queued %u in %u\n",
            end->is_open ? "open" : "closed", end->type, end->own_shut, end->peer_shut, end->done,
            end->closing, end->buffer, end->low, end->sent, end->peer_forwarded, end->peer_buffer,
            end->forwarded, end->told, end->queued, end->count);
}

static void expect(int line, long long wanted, long long have)
{
    if (wanted != have) {
        say_end(&ends[0]);
        say_end(&ends[1]);
        guest_fail(__FILE__, line, "model",
                   "seed %u, step %d: expected %lld (%#llx), got %lld "
                   "(%#llx)",
                   seed, step, wanted, wanted, have, have);
    }
}
#define EXPECT(wanted, have) expect(__LINE__, (long long)(wanted), (long long)(have))

static struct end *peer_of(const struct end *end)
{
    return &ends[end == &ends[0] ? 1 : 0];
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t room(const struct end *end)
{
    int64_t bound = smaller(end->peer_buffer, end->buffer);
    int64_t flying = (int64_t)(end->sent - end->peer_forwarded);
    return bound > flying ? (uint32_t)(bound - flying) : 0;
}

/* What every packet carries. */
static void tell(struct end *end)
{
    end->told = end->forwarded;
    peer_of(end)->peer_forwarded = end->forwarded;
    peer_of(end)->peer_buffer = end->buffer;
}

/* virtio_transport_do_close() */
static void ended(struct end *end)
{
    end->done = true;
    end->forgot = false;
    end->peer_shut = BOTH;
    end->closing |= end->queued == 0;
}

/* A SHUTDOWN packet of the peer. */
static void shut_by_peer(struct end *end, int halves)
{
    end->peer_shut |= halves;
    if (end->peer_shut == BOTH && end->queued == 0 && !end->done) {
        ended(end);
        tell(end);
        if (peer_of(end)->is_open) {
            ended(peer_of(end));
        }
    }
}

static struct packet *packet_at(struct end *end, uint32_t index)
{
    return &end->packets[(end->first + index) % PACKETS];
}

static void enqueue(struct end *end, uint32_t size, uint64_t position, bool last)
{
    CHECK(end->count < PACKETS);
    *packet_at(end, end->count++) = (struct packet){ size, 0, position, last };
    end->queued += size;
}

/* ---- What a call gives ---- */

/* vsock_connectible_sendmsg(), non-blocking; -errno. */
static long model_send(struct end *end, uint32_t size)
{
    uint32_t total = 0;
    if (end->own_shut & SENDS || end->peer_shut & RECEIVES) {
        return -EPIPE;
    }
    while (total < size) {
        uint32_t part = smaller(room(end), size - total);
        if (part == 0) {
            return end->type == SOCK_STREAM && total > 0 ? (long)total : -EAGAIN;
        }
        if (end->type == SOCK_SEQPACKET && size - total > smaller(end->peer_buffer, end->buffer)) {
            return -EMSGSIZE;
        }
        while (part > 0) {
            uint32_t packet = smaller(part, VSOCK_PACKET);
            enqueue(peer_of(end), packet, end->position + total, total + packet == size);
            end->sent += packet;
            total += packet;
            part -= packet;
            tell(end);
        }
    }
    return total;
}

/* Takes bytes off the queue: virtio_transport_stream_do_dequeue(). */
static void take(struct end *end, uint32_t size)
{
    end->queued -= size;
    while (size > 0) {
        struct packet *packet = packet_at(end, 0);
        uint32_t part = smaller(size, packet->size - packet->offset);
        packet->offset += part;
        size -= part;
        if (packet->offset == packet->size) {
            end->forwarded += packet->size;
            end->first = (end->first + 1) % PACKETS;
            end->count--;
        }
    }
    uint32_t untold = end->forwarded - end->told;
    if (untold > 0 && (end->buffer - untold < VSOCK_PACKET || end->queued < end->low)) {
        tell(end);
    }
}

static long nothing_queued(const struct end *end)
{
    return end->peer_shut & SENDS ? 0 : -EAGAIN;
}

/* __vsock_stream_recvmsg(), non-blocking */
static long model_receive_stream(struct end *end, uint32_t size, int flags)
{
    uint32_t target = flags & MSG_WAITALL ? size : smaller(end->low, size);
    uint32_t total = 0;
    if ((target > 0 ? target : 1) >= end->buffer) {
        return -ENOMEM;
    }
    if (end->queued > 0) {
        total = smaller(size, end->queued);
        if (!(flags & MSG_PEEK)) {
            take(end, total);
        }
    }
    return total > 0 ? (long)total : nothing_queued(end);
}

/* The whole record in front, with or without its being taken; false: there is none. */
static bool record(struct end *end, uint32_t *ret_size, uint32_t *ret_packets)
{
    *ret_size = 0;
    for (uint32_t i = 0; i < end->count; i++) {
        *ret_size += packet_at(end, i)->size;
        if (packet_at(end, i)->last) {
            *ret_packets = i + 1;
            return true;
        }
    }
    return false;
}

static long model_receive_record(struct end *end, uint32_t size, int flags)
{
    uint32_t whole, packets;
    if (!record(end, &whole, &packets)) {
        return nothing_queued(end);
    }
    if (!(flags & MSG_PEEK)) {
        end->first = (end->first + packets) % PACKETS;
        end->count -= packets;
        end->queued -= whole;
        end->forwarded += whole;
        tell(end);
    }
    return flags & MSG_TRUNC ? whole : smaller(size, whole);
}

/* ret_known: whether the model can say */
static long model_receive(struct end *end, uint32_t size, int flags, bool *ret_known)
{
    *ret_known = !end->forgot;
    if (end->closing) {
        return end->done ? 0 : -ENOTCONN;
    }
    if (end->own_shut & RECEIVES || size == 0) {
        return 0;
    }
    return end->type == SOCK_STREAM ? model_receive_stream(end, size, flags)
                                    : model_receive_record(end, size, flags);
}

/* vsock_poll() */
static int model_bits(const struct end *end)
{
    int bits = 0;
    if (end->own_shut == BOTH || (end->own_shut & SENDS && end->peer_shut & SENDS)) {
        bits |= POLLHUP;
    }
    if (end->own_shut & RECEIVES || end->peer_shut & SENDS) {
        bits |= POLLRDHUP | VSOCK_IN;
    }
    if (!(end->own_shut & RECEIVES) && end->queued >= end->low) {
        bits |= VSOCK_IN;
    }
    if (!(end->own_shut & SENDS) && (end->closing || room(end) > 0)) {
        bits |= VSOCK_OUT;
    }
    return bits;
}

/* ---- Steps ---- */

static void step_send(struct end *end)
{
    uint32_t size = UNIT * (chance(3) == 0 ? chance(400) : chance(20));
    guest_pattern_fill(bytes, size, end->position);
    long result = send(end->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    EXPECT(model_send(end, size), result < 0 ? -errno : result);
    end->position += size;
}

/* What came must be what the packets in front hold; they are copied before they are taken. */
static void step_receive(struct end *end)
{
    static const int choices[] = { 0, 0, 0, MSG_PEEK, MSG_TRUNC, MSG_WAITALL };
    static _Thread_local struct end before;
    int flags = choices[chance(6)];
    uint32_t size = chance(4) == 0 ? chance(sizeof bytes) : chance(6 * UNIT);
    bool known;
    before = *end;
    long result = recv(end->fd, bytes, size, MSG_DONTWAIT | flags);
    long wanted = model_receive(end, size, flags, &known);
    if (!known || (wanted == -ENOMEM && !peer_of(end)->is_open)) {
        return;
    }
    EXPECT(wanted, result < 0 ? -errno : result);
    uint32_t left = result > 0 ? smaller((uint32_t)result, size) : 0;
    for (uint32_t i = 0, at = 0; left > 0; i++) {
        const struct packet *packet = packet_at(&before, i);
        uint32_t part = smaller(left, packet->size - packet->offset);
        guest_pattern_check(bytes + at, part, packet->position + packet->offset);
        at += part;
        left -= part;
    }
}

static void step_mark(struct end *end)
{
    uint32_t low = chance(2) == 0 ? 1 : chance(2) == 0 ? chance(5000) : chance(300000);
    if (end->own_shut == BOTH) {
        return;
    }
    int result = setsockopt(end->fd, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low);
    if (end->type == SOCK_STREAM && low > end->buffer) {
        EXPECT(-1, result);
        EXPECT(EINVAL, errno);
        return;
    }
    EXPECT(0, result);
    if (end->type == SOCK_STREAM && end->queued < low && end->forwarded != end->told) {
        tell(end);
    }
    end->low = low > 0 ? low : 1;
}

static void step_buffer(struct end *end)
{
    uint64_t size = UNIT * (1 + (chance(3) == 0 ? chance(256) : chance(10)));
    if (end->own_shut == BOTH || end->queued > 0 || end->count > 0 || !peer_of(end)->is_open) {
        return;
    }
    vsock_set_size(end->fd, SO_VM_SOCKETS_BUFFER_SIZE, size);
    if (size != end->buffer) {
        end->buffer = (uint32_t)size;
        tell(end);
    }
}

static void step_shutdown(struct end *end)
{
    int how = (int)chance(3);
    if (chance(3) != 0 || end->own_shut == BOTH) {
        return;
    }
    CHECK_OK(shutdown(end->fd, how));
    end->own_shut |= how + 1;
    end->forgot |= end->done || !peer_of(end)->is_open;
    end->done = false;
    if (peer_of(end)->is_open && !peer_of(end)->closing) {
        tell(end);
        shut_by_peer(peer_of(end), how + 1);
    }
}

static void step_close(struct end *end)
{
    struct end *peer = peer_of(end);
    if (chance(12) != 0 || !peer->is_open) {
        return;
    }
    CHECK_OK(close(end->fd));
    end->is_open = false;
    if (end->peer_shut == BOTH) {
        ended(peer);
    } else if (end->own_shut != BOTH) {
        tell(end);
        shut_by_peer(peer, BOTH);
    }
}

static void check_end(const struct end *end)
{
    int queued = -1, bits = model_bits(end), have = vsock_bits(end->fd);
    if (!peer_of(end)->is_open && !end->closing) { /* who would have to tell of room is gone */
        bits |= VSOCK_OUT;
        have |= VSOCK_OUT;
    }
    EXPECT(bits, have);
    EXPECT(0, ioctl(end->fd, FIONREAD, &queued) == 0 ? 0 : errno);
    EXPECT(end->queued, queued);
    EXPECT(0, vsock_error(end->fd));
}

static void one_round(int type, uint32_t own_cid)
{
    typedef void step_function(struct end * end);
    static step_function *const steps[] = { step_send,    step_send,    step_send,     step_send,
                                            step_receive, step_receive, step_receive,  step_receive,
                                            step_mark,    step_buffer,  step_shutdown, step_close };
    int listener = vsock_socket(type), client = vsock_socket(type);
    CHECK_OK(vsock_bind(listener, VMADDR_CID_ANY, VMADDR_PORT_ANY));
    CHECK_OK(listen(listener, 1));
    CHECK_OK(vsock_connect(client, own_cid, vsock_port(listener)));
    for (int i = 0; i < 2; i++) {
        memset(&ends[i], 0, sizeof ends[i]);
        ends[i].fd = i == 0 ? vsock_accept(listener) : client;
        ends[i].type = type;
        ends[i].is_open = true;
        ends[i].buffer = ends[i].peer_buffer = VSOCK_CREDIT;
        ends[i].low = 1;
    }
    CHECK_OK(close(listener));
    for (step = 0; step < STEPS; step++) {
        struct end *end = &ends[chance(2)];
        if (end->is_open) {
            steps[chance(sizeof steps / sizeof *steps)](end);
        }
        for (int i = 0; i < 2; i++) {
            if (ends[i].is_open) {
                check_end(&ends[i]);
            }
        }
    }
    for (int i = 0; i < 2; i++) {
        CHECK(!ends[i].is_open || close(ends[i].fd) == 0);
    }
}

static void rounds(struct vsock_side *side, uint32_t from)
{
    for (uint32_t i = 0; i < ROUNDS; i++) {
        random_state = seed = from + i;
        one_round(i % 2 == 0 ? SOCK_STREAM : SOCK_SEQPACKET, side->own_cid);
    }
}

static void rounds_server(struct vsock_side *side)
{
    rounds(side, 1000);
}

static void rounds_client(struct vsock_side *side)
{
    rounds(side, 5000);
}

enum { GUEST = 3 };

static const struct vsock_case cases[] = {
    { "random", rounds_server, rounds_client, 0, 0, false },
    { "random, guest", rounds_server, rounds_client, VSOCK_HOST, GUEST, false },
};

VSOCK_MAIN(cases)
