/*
 * inject_run.c - what is done to a call: by --faults, and by the rules of --inject
 *
 * All rules that a call meets are applied in their order, and count it; the first that answers it
 * (error=, retval=) does. A rule with byte= looks at how much its direction has moved: that is
 * counted here, of transfers of bytes that go through emulated calls, while such a rule is there.
 *
 * Left out: bytes that splice and its kin, or sendmmsg and recvmmsg move aren't counted.
 */
#include "inject.h"

#include "arguments.h"
#include "fault.h"
#include "fdtab.h"
#include "glob.h"
#include "guest_iov.h"
#include "host.h"
#include "stream.h"
#include "vsock_data.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* Not pointers: see inject_parse.c. */
static const char kinds_of[][8] = {
    "",
#define CALL(name, group, signature, parameters, level, note) KINDS_##name,
#include "calls.def"
#undef CALL
};
#define CALLS (sizeof kinds_of / sizeof kinds_of[0])

static_assert(CALLS <= EMU_INJECT_CALLS, "the counts have room for each");

/* The number of this call among those that the rule meets; 0: there is no memory to count. */
static uint32_t count(struct emu_task *self, uint32_t number, uint32_t call)
{
    if (!self->inject_counts) {
        self->inject_counts = host_memory_private(EMU_INJECT_COUNTS);
    }
    return self->inject_counts ? ++self->inject_counts[number * EMU_INJECT_CALLS + call] : 0;
}

/* ---- What a rule is about ---- */

#define RULES_KNOWN (1u << 31) /* beside a bit for each rule */
#define RULES_BYTES (1u << 30) /* some rule of the session counts bytes */
static_assert(EMU_MAX_INJECTIONS <= 30, "and the two");

/* The rules for programs of this process's name. */
static uint32_t rules_of(struct emu_process *process)
{
    uint32_t rules = atomic_load_explicit(&process->inject_rules, memory_order_relaxed);
    char program[17] = "";

    if (EMU_LIKELY(rules != 0)) {
        return rules;
    }
    host_program(program);
    rules = RULES_KNOWN;
    for (uint32_t i = 0; i < process->options.inject_count && !process->gateway; i++) {
        const struct emu_inject *rule = &process->options.inject[i];

        rules |= rule->what & EMU_INJECT_BYTE ? RULES_BYTES : 0;
        if (rule->program[0] == 0 || glob_matches(rule->program, program)) {
            rules |= 1u << i;
        }
    }
    atomic_store_explicit(&process->inject_rules, rules, memory_order_relaxed);
    return rules;
}

static bool names_fd(uint32_t call, const uint64_t *words, int32_t fd)
{
    const char *kinds = kinds_of[call];

    for (uint32_t i = 0; kinds[i] != 0; i++) {
        if (kinds[i] == 'F' && (int32_t)words[i] == fd) {
            return true;
        }
    }
    return false;
}

static bool is_meant(const struct emu_inject *rule, uint32_t call, const uint64_t *words)
{
    return (rule->calls[call / 64] >> call % 64 & 1) != 0 &&
           (!(rule->what & EMU_INJECT_FD) || names_fd(call, words, rule->fd));
}

/* ---- Directions ---- */

/* A transfer of bytes: the description that it is about, the direction, the size. */
struct motion {
    struct description *description; /* NULL: it is none */
    struct socket_buf *buf;
    uint64_t size; /* UINT64_MAX: unknown, and the call will fail */
    bool sends;
    bool whole; /* Linux moves it whole or not at all */
};

static uint64_t size_of_iov(const struct iovec *iov, uint64_t length)
{
    struct guest_iov copy;
    int64_t size = length <= EMU_IOV_MAX ? guest_iov_import(&copy, iov, length) : -EINVAL;

    return size >= 0 ? (uint64_t)size : UINT64_MAX;
}

static uint64_t size_of_message(const struct msghdr *message)
{
    struct msghdr header;

    return host_copy(&header, message, sizeof header) == 0
               ? size_of_iov(header.msg_iov, header.msg_iovlen)
               : UINT64_MAX;
}

/* The word that a pointer came as. */
static void *pointer_of(uint64_t word)
{
    return (void *)(uintptr_t)word;
}

static struct motion motion_of(uint32_t call, const uint64_t *words)
{
    const char *kinds = kinds_of[call];
    struct motion motion = { .description = kinds[0] == 'F' ? fdtab_get((int)words[0]) : NULL };
    uint32_t index;

    if (!motion.description || kinds[1] == 0 || !strchr("rwRWmM", kinds[1])) {
        return (struct motion){ .description = NULL };
    }
    motion.sends = strchr("wWm", kinds[1]) != NULL;
    index = motion.sends ? motion.description->tx : motion.description->rx;
    if (index == ARENA_NONE) {
        return (struct motion){ .description = NULL };
    }
    motion.buf = buf_at(index);
    motion.size = strchr("rw", kinds[1])   ? words[2]
                  : strchr("RW", kinds[1]) ? size_of_iov(pointer_of(words[1]), words[2])
                                           : size_of_message(pointer_of(words[1]));
    motion.whole = description_keeps_records(motion.description) ||
                   (motion.sends && motion.description->kind == DESCRIPTION_PIPE_WRITER &&
                    motion.size <= EMU_PAGE);
    return motion;
}

static _Atomic uint64_t *moved_by(const struct motion *motion)
{
    return motion->sends ? &motion->buf->sent : &motion->buf->received;
}

/*
 * How many bytes a call may move before the rule's byte comes; 0: it is there. Of what is moved
 * whole the byte comes when it is in it.
 */
static uint64_t bytes_before(const struct emu_inject *rule, const struct motion *motion)
{
    uint64_t moved = atomic_load(moved_by(motion));
    uint64_t left = rule->byte > moved ? rule->byte - moved : 0;

    if (motion->whole && motion->sends && motion->size > left) {
        return 0;
    }
    return left;
}

/* ---- The peer dies ---- */

/* What is unread never came. */
static void drop_unread(struct emu_task *self, struct description *description)
{
    struct socket_buf *buf = buf_at(description->rx);
    struct wake_list list;
    struct buf_state state;
    uint32_t rights = 0;

    wake_list_init(&list);
    lock_acquire(self, &buf->lock);
    state = buf_state_locked(buf);
    if (!(state.flags & (BUF_NATIVE | BUF_LEAVING | BUF_MOVING))) {
        state.head = state.used = state.seg_count = state.first_taken = 0;
        if (description_is_vsock(description)) {
            state.records = 0;
        } else {
            state.charged = 0;
        }
        rights = rights_detach_locked(self, buf);
        buf_publish_locked(buf, &state);
        queue_notify_locked(&buf->writers, POLLOUT | POLLWRNORM | POLLWRBAND | WAITER_ASYNC, &list);
    }
    lock_release(self, &buf->lock);
    wake_list_flush(self, &list);
    rights_let_go(self, rights);
}

/* For both ends it is as if the other were closed. False: it is so already, or can't be. */
static bool cut(struct emu_task *self, const struct emu_inject *rule, const struct motion *motion)
{
    struct description *description = motion->description;

    if (!description || !description_is_socket(description) ||
        !description_is_connected(description) || buf_bits(buf_at(description->tx)) & BUF_SHUT) {
        return false;
    }
    if (description_is_vsock(description)) {
        vsock_shutdown(self, description, SHUT_RDWR); /* virtio_transport_do_close: no error */
    } else {
        if (rule->what & EMU_INJECT_RESET) {
            atomic_store(&description->error, ECONNRESET); /* who sees the end sees why */
        }
        stream_shutdown(self, description, SHUT_RDWR);
    }
    if (rule->what & EMU_INJECT_BYTE && !motion->sends) {
        drop_unread(self, description);
    }
    return true;
}

/* ---- A call with less ---- */

/* Leaves of an array what the first `most` bytes need. Returns the elements left. */
static int cut_iov(struct iovec *array, int length, uint64_t most)
{
    for (int i = 0; i < length; i++) {
        if (array[i].iov_len >= most) {
            array[i].iov_len = most;
            return i + 1;
        }
        most -= array[i].iov_len;
    }
    return length;
}

static int64_t vector_with(struct emu_task *self, uint32_t call, const uint64_t *words,
                           uint64_t most)
{
    struct guest_iov iov;
    int fd = (int)words[0];
    int length;

    if (guest_iov_import(&iov, pointer_of(words[1]), words[2]) < 0) {
        return -EFAULT; /* it was good a moment ago */
    }
    length = cut_iov(iov.array, (int)words[2], most);
    switch ((enum emu_call_id)call) {
    case EMU_CALL_readv: return emu_readv(self, fd, iov.array, length);
    case EMU_CALL_writev: return emu_writev(self, fd, iov.array, length);
    case EMU_CALL_preadv2:
        return emu_preadv2(self, fd, iov.array, length, (off_t)words[3], (int)words[4]);
    default: return emu_pwritev2(self, fd, iov.array, length, (off_t)words[3], (int)words[4]);
    }
}

static int64_t message_with(struct emu_task *self, uint32_t call, const uint64_t *words,
                            uint64_t most)
{
    struct guest_iov iov;
    struct msghdr *message = pointer_of(words[1]);
    struct msghdr header;
    struct msghdr cut;
    int64_t answer;

    if (host_copy(&header, message, sizeof header) < 0 ||
        guest_iov_import(&iov, header.msg_iov, header.msg_iovlen) < 0) {
        return -EFAULT;
    }
    cut = header;
    cut.msg_iov = iov.array;
    cut.msg_iovlen = (size_t)cut_iov(iov.array, (int)header.msg_iovlen, most);
    if (call == EMU_CALL_sendmsg) {
        return emu_sendmsg(self, (int)words[0], &cut, (int)words[2]);
    }
    answer = emu_recvmsg(self, (int)words[0], &cut, (int)words[2]);
    cut.msg_iov = header.msg_iov;
    cut.msg_iovlen = header.msg_iovlen;
    return answer >= 0 && host_copy(message, &cut, sizeof cut) < 0 ? -EFAULT : answer;
}

/* The call, but it moves so many bytes (or messages) at most. */
static int64_t call_with(struct emu_task *self, uint32_t call, const uint64_t *words, uint64_t most)
{
    int fd = (int)words[0];
    void *data = pointer_of(words[1]);
    size_t size = base_min_u64(words[2], most);

    switch ((enum emu_call_id)call) {
    case EMU_CALL_read: return emu_read(self, fd, data, size);
    case EMU_CALL_write: return emu_write(self, fd, data, size);
    case EMU_CALL_send: return emu_send(self, fd, data, size, (int)words[3]);
    case EMU_CALL_recv: return emu_recv(self, fd, data, size, (int)words[3]);
    case EMU_CALL_sendto:
        return emu_sendto(self, fd, data, size, (int)words[3], pointer_of(words[4]),
                          (socklen_t)words[5]);
    case EMU_CALL_recvfrom:
        return emu_recvfrom(self, fd, data, size, (int)words[3], pointer_of(words[4]),
                            pointer_of(words[5]));
    case EMU_CALL_sendmmsg: return emu_sendmmsg(self, fd, data, (unsigned)size, (int)words[3]);
    case EMU_CALL_sendmsg:
    case EMU_CALL_recvmsg: return message_with(self, call, words, most);
    default: return vector_with(self, call, words, most);
    }
}

/* ---- Before and after a call ---- */

static void wait_ns(uint64_t length_ns)
{
    _Atomic uint32_t never = 0;
    uint64_t until = host_now_ns() + length_ns;

    while (host_now_ns() < until) { /* a handler that is put off ends one of them */
        host_futex_wait(&never, 0, until);
    }
}

static void note(struct emu_task *self, uint32_t call, uint32_t what, int number, int error)
{
    emu_report_add(self, EMU_REPORT_INJECTED, emu_call_name(call), (int)what, number, error);
}

/* Whether it is this call's turn: the rule is about it. */
static bool is_due(struct emu_task *self, uint32_t number, uint32_t call)
{
    const struct emu_inject *rule = &self->process->options.inject[number];
    uint32_t met = count(self, number, call);

    if (met < rule->first || met > rule->last || (met - rule->first) % rule->step != 0 ||
        (rule->chance != 0 && !fault_chance(self, rule->chance))) {
        return false;
    }
    return rule->budget == 0 || atomic_fetch_add(&arena->header.injected[number], 1) < rule->budget;
}

/* What goes with the call, whoever answers it. */
static void accompany(struct emu_task *self, const struct emu_inject *rule, uint32_t call,
                      const struct motion *motion, struct emu_fault_call *ret_call)
{
    const uint32_t ends = rule->what & (EMU_INJECT_CLOSE | EMU_INJECT_RESET);

    if (rule->what & EMU_INJECT_ENTER) {
        note(self, call, EMU_INJECT_ENTER, -1, 0);
        wait_ns(rule->enter_ns);
    }
    if (rule->what & EMU_INJECT_EXIT) {
        note(self, call, EMU_INJECT_EXIT, -1, 0);
        ret_call->exit_ns += rule->exit_ns;
    }
    if (rule->what & EMU_INJECT_SIGNAL) {
        note(self, call, EMU_INJECT_SIGNAL, rule->signal, 0);
        host_syscall(SYS_tgkill, self->process->pid, (long)self->tid, rule->signal, 0, 0, 0);
    }
    if (ends && cut(self, rule, motion)) {
        note(self, call, ends, -1, 0);
    }
}

/* What the rule says that the call shall move at most; UINT64_MAX: it doesn't concern this one. */
static uint64_t most_of(const struct emu_inject *rule, uint32_t call, const uint64_t *words,
                        const struct motion *motion)
{
    uint64_t size = call == EMU_CALL_sendmmsg ? words[2] : motion->size;
    uint64_t most = (uint64_t)rule->retval;

    return motion->whole || size == UINT64_MAX || size <= most ? UINT64_MAX : most;
}

/* The rule answers the call, if it can. True: *ret_answer is what it says. */
static bool answer(struct emu_task *self, const struct emu_inject *rule, uint32_t call,
                   const uint64_t *words, const struct motion *motion, uint64_t bytes,
                   int64_t *ret_answer)
{
    uint64_t most;

    if (rule->what & EMU_INJECT_ERROR) {
        note(self, call, EMU_INJECT_ERROR, -1, rule->error);
        *ret_answer = -rule->error;
        return true;
    }
    if (call != EMU_CALL_sendmmsg && !strpbrk(kinds_of[call], "wWm")) {
        note(self, call, EMU_INJECT_RETVAL, (int)rule->retval, 0);
        *ret_answer = rule->retval;
        return true;
    }
    most = call == EMU_CALL_sendmmsg || motion->description ? most_of(rule, call, words, motion)
                                                            : UINT64_MAX;
    if (most >= bytes) {
        return false;
    }
    note(self, call, EMU_INJECT_RETVAL, (int)rule->retval, 0);
    *ret_answer = call_with(self, call, words, most);
    return true;
}

/* The number of bytes that come before a rule's; where it is there already the rule is met. */
static bool byte_is_there(const struct emu_inject *rule, uint32_t number,
                          const struct motion *motion, struct emu_fault_call *ret_call)
{
    uint64_t left;

    if (!(rule->what & EMU_INJECT_BYTE)) {
        return true;
    }
    if (!motion->description) {
        return false;
    }
    left = bytes_before(rule, motion);
    if (left == 0) {
        return true;
    }
    ret_call->rules |= 1u << number;
    /* A receive that leaves something behind is nothing that Linux does: unless all of it is lost.
     */
    if (!motion->whole && (motion->sends || rule->what & (EMU_INJECT_CLOSE | EMU_INJECT_RESET))) {
        ret_call->bytes = base_min_u64(ret_call->bytes, left);
    }
    return false;
}

static bool inject(struct emu_task *self, uint32_t call, const uint64_t *words,
                   struct emu_fault_call *ret_call, int64_t *ret_answer)
{
    const struct emu_options *options = &self->process->options;
    const struct motion motion = motion_of(call, words);
    uint32_t rules = rules_of(self->process);
    const struct emu_inject *answers = NULL;

    ret_call->counts = rules & RULES_BYTES;
    for (uint32_t i = 0; i < options->inject_count; i++) {
        const struct emu_inject *rule = &options->inject[i];

        if (!(rules >> i & 1) || !is_meant(rule, call, words) ||
            !byte_is_there(rule, i, &motion, ret_call) || !is_due(self, i, call)) {
            continue;
        }
        accompany(self, rule, call, &motion, ret_call);
        if (!answers && rule->what & (EMU_INJECT_ERROR | EMU_INJECT_RETVAL)) {
            answers = rule;
        }
    }
    if (answers && answer(self, answers, call, words, &motion, ret_call->bytes, ret_answer)) {
        return true;
    }
    if (ret_call->bytes < motion.size && motion.size != UINT64_MAX) {
        *ret_answer = call_with(self, call, words, ret_call->bytes);
        return true;
    }
    return false;
}

bool emu_fault_begin(struct emu_task *self, uint32_t call, const uint64_t *words,
                     const void *caller, struct emu_fault_call *ret_call, int64_t *ret_answer)
{
    *ret_call = (struct emu_fault_call){ .bytes = UINT64_MAX };
    if (fault_on(self)) {
        emu_fault_pause(self);
    }
    if (self->process->options.inject_count == 0) {
        return true;
    }
    self->caller = caller;
    return !inject(self, call, words, ret_call, ret_answer);
}

/* Whether the call looks at what is unread, and leaves it there. */
static bool peeks(uint32_t call, const uint64_t *words)
{
    return ((call == EMU_CALL_recv || call == EMU_CALL_recvfrom) && words[3] & MSG_PEEK) ||
           (call == EMU_CALL_recvmsg && words[2] & MSG_PEEK);
}

/* What the call has moved is counted; a peer whose byte has come is gone before poll looks. */
static void account(struct emu_task *self, uint32_t call, const uint64_t *words,
                    const struct emu_fault_call *of, int64_t answer)
{
    const struct motion motion = motion_of(call, words);
    const struct emu_options *options = &self->process->options;
    uint64_t moved;

    if (!motion.description || peeks(call, words)) {
        return;
    }
    moved = atomic_fetch_add(moved_by(&motion), (uint64_t)answer) + (uint64_t)answer;
    for (uint32_t i = 0; i < options->inject_count; i++) {
        const struct emu_inject *rule = &options->inject[i];
        const uint32_t ends = rule->what & (EMU_INJECT_CLOSE | EMU_INJECT_RESET);

        if (ends && of->rules >> i & 1 && moved >= rule->byte && is_due(self, i, call) &&
            cut(self, rule, &motion)) {
            note(self, call, ends, -1, 0);
        }
    }
}

void emu_fault_end(struct emu_task *self, uint32_t call, const uint64_t *words,
                   const struct emu_fault_call *of, int64_t answer)
{
    if (of->counts && answer > 0) {
        account(self, call, words, of, answer);
    }
    if (of->exit_ns != 0) {
        wait_ns(of->exit_ns);
    }
    if (fault_on(self)) {
        answer > 0 && strpbrk(kinds_of[call], "psE") ? fault_linger(self) : emu_fault_pause(self);
    }
}
