/*
 * epoll_random - carries out a list of steps on pipes, socket pairs, event sources and epoll sets,
 * and prints all that a program can see of each
 *
 *     epoll_random STEPS-FILE [--lie]
 *
 * Plain libc. tests/random/check makes the lists, runs this program on the kernel and under
 * sockrig, and compares line by line. A step is a line: a name and its arguments. Descriptors live
 * in slots, which the steps name; so each step keeps its meaning when others are left out. A slot
 * keeps its number after `close`: the next user of a stale number is on purpose.
 *
 * Deterministic on the kernel: one thread; a child is waited for; nothing blocks (all is
 * O_NONBLOCK, all time-outs are 0); a timer that has expired is waited for. `fork` makes a second
 * process that stays; it carries out the steps behind `there`, while the first one waits for it in
 * a futex: no descriptor is needed for that.
 *
 * Events come in the order of the set's ready list, and that order is compared too, but for sets
 * that hold (or held, or hold a set that held) a real descriptor: how emulated and real ones mix in
 * one list is not promised. Such a set is asked often enough to have shown everything, and the
 * union is printed, sorted.
 *
 * --lie: every epoll_wait with two events or more loses the last one. For the test of the test.
 *
 * Exit: 0; 2 when the list can't be read or the program's own bounds don't suffice.
 */
#include "numbers.h"
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 256,
    BUFFER_SIZE = 1 << 20,
    REPEATS_MAX = 70000, /* of `fill` and `drain`: a pipe of 64 KiB by single bytes */
    TIMER_WAIT_MS = 5000,
    LIMIT_S = 30,
};

enum turn { TURN_FIRST, TURN_SECOND, TURN_OVER };

/* What the processes share. */
struct shared {
    uint32_t turn; /* a futex: whose step it is */
    char line[STEP_LINE_SIZE];
    struct sets sets;
};

static struct shared *shared;
static pid_t second; /* process, or 0 */
static bool is_second;
static bool lies;
static unsigned char buffer[BUFFER_SIZE];

/* ---- Descriptors ---- */

static void print_pair(const struct step *step, long result, const int fds[2])
{
    if (print_result(result) < 0)
        return;
    printf(" (%d, %d)", fds[0], fds[1]);
    note_number(step, 1, fds[0], KIND_EMULATED, 0);
    note_number(step, 2, fds[1], KIND_EMULATED, 0);
}

static void do_pipe(const struct step *step)
{
    int fds[2];

    print_pair(step, pipe2(fds, O_NONBLOCK | O_CLOEXEC), fds);
}

static void do_packets(const struct step *step)
{
    int fds[2];

    print_pair(step, pipe2(fds, O_NONBLOCK | O_DIRECT), fds);
}

static void do_stream(const struct step *step)
{
    int fds[2];

    print_pair(step, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), fds);
}

static void do_records(const struct step *step)
{
    int fds[2];

    print_pair(step, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), fds);
}

static void do_eventfd(const struct step *step)
{
    const int fd = eventfd((unsigned int)argument(step, 2), EFD_NONBLOCK);

    if (print_result(fd) >= 0)
        note_number(step, 1, fd, KIND_REAL, 0);
}

static void do_timerfd(const struct step *step)
{
    const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);

    if (print_result(fd) >= 0)
        note_number(step, 1, fd, KIND_REAL, 0);
}

static void do_epoll(const struct step *step)
{
    const int fd = epoll_create1(EPOLL_CLOEXEC);

    if (print_result(fd) >= 0)
        note_number(step, 1, fd, KIND_EPOLL, new_instance());
}

static void note_copy(const struct step *step, int from, int result)
{
    if (print_result(result) >= 0) {
        const struct number copied = *number_at(from);

        note_number(step, 2, result, copied.kind, copied.instance);
    }
}

static void do_dup(const struct step *step)
{
    const int fd = fd_of(step, 1);

    note_copy(step, fd, dup(fd));
}

static void do_dupfd(const struct step *step)
{
    const int fd = fd_of(step, 1);

    note_copy(step, fd, fcntl(fd, F_DUPFD_CLOEXEC, (int)argument(step, 3)));
}

static void do_dup2(const struct step *step)
{
    const int fd = fd_of(step, 1);

    note_copy(step, fd, dup2(fd, fd_of(step, 2)));
}

static void do_close(const struct step *step)
{
    const int fd = fd_of(step, 1);

    if (print_result(close(fd)) == 0)
        number_at(fd)->kind = KIND_CLOSED;
}

/* ---- Bytes ---- */

static uint32_t checksum(const unsigned char *data, size_t size)
{
    uint32_t sum = (uint32_t)size;

    for (size_t i = 0; i < size; i++)
        sum = sum * 31 + data[i];
    return sum;
}

static size_t size_of(const struct step *step, int index)
{
    const long size = argument(step, index);

    if (size < 0 || size > BUFFER_SIZE)
        give_up("no such size", step->words[index]);
    return (size_t)size;
}

/* Bytes that no other step writes; 8 of them are 1, as an eventfd likes it. */
static void make_bytes(size_t size)
{
    static unsigned int made;
    const uint64_t one = 1;

    made++;
    for (size_t i = 0; i < size; i++)
        buffer[i] = (unsigned char)(made * 37 + i);
    if (size == sizeof one)
        memcpy(buffer, &one, sizeof one);
}

static void do_write(const struct step *step)
{
    const size_t size = size_of(step, 2);

    make_bytes(size);
    print_result(write(fd_of(step, 1), buffer, size));
}

static void do_read(const struct step *step)
{
    const ssize_t done = read(fd_of(step, 1), buffer, size_of(step, 2));

    if (print_result(done) > 0)
        printf(" sum %08x", checksum(buffer, (size_t)done));
}

static void do_peek(const struct step *step)
{
    const ssize_t done = recv(fd_of(step, 1), buffer, size_of(step, 2), MSG_PEEK);

    if (print_result(done) > 0)
        printf(" sum %08x", checksum(buffer, (size_t)done));
}

/* Again and again, until an error, end-of-file or the bound. */
static void repeat(const struct step *step, bool writes)
{
    const int fd = fd_of(step, 1);
    const size_t size = size_of(step, 2);
    uint32_t sum = 0;
    size_t total = 0;
    ssize_t done = 1;
    int calls = 0;

    if (writes)
        make_bytes(size);
    for (; done > 0 && calls < REPEATS_MAX; calls++) {
        done = writes ? write(fd, buffer, size) : read(fd, buffer, size);
        total += done > 0 ? (size_t)done : 0;
        if (!writes && done > 0)
            sum = sum * 31 + checksum(buffer, (size_t)done);
    }
    print_result(done);
    printf(" after %d calls, %zu bytes, sum %08x", calls, total, sum);
}

static void do_fill(const struct step *step)
{
    repeat(step, true);
}

static void do_drain(const struct step *step)
{
    repeat(step, false);
}

static void do_unread(const struct step *step)
{
    int size = -1;

    if (print_result(ioctl(fd_of(step, 1), FIONREAD, &size)) == 0)
        printf(" %d", size);
}

/* ---- States ---- */

static void do_shutdown(const struct step *step)
{
    print_result(shutdown(fd_of(step, 1), (int)argument(step, 2)));
}

static void do_capacity(const struct step *step)
{
    print_result(fcntl(fd_of(step, 1), F_SETPIPE_SZ, (int)argument(step, 2)));
}

static void do_sndbuf(const struct step *step)
{
    const int size = (int)argument(step, 2);

    print_result(setsockopt(fd_of(step, 1), SOL_SOCKET, SO_SNDBUF, &size, sizeof size));
}

/* 1: expires at once, and is waited for; 0: disarms; else so many seconds. */
static void do_settime(const struct step *step)
{
    const long when = argument(step, 2);
    struct itimerspec value = { .it_value = { .tv_sec = when } };
    struct pollfd one = { .fd = fd_of(step, 1), .events = POLLIN };
    long result;

    if (when == 1)
        value.it_value = (struct timespec){ .tv_nsec = 1 };
    result = print_result(timerfd_settime(one.fd, when == 1 ? TFD_TIMER_ABSTIME : 0, &value, NULL));
    if (result == 0 && when == 1)
        print_result(poll(&one, 1, TIMER_WAIT_MS));
}

/* ---- Waiting ---- */

static void control(const struct step *step, int operation)
{
    const int epfd = fd_of(step, 1), fd = fd_of(step, 2);
    struct epoll_event event = { 0 };

    if (operation != EPOLL_CTL_DEL) {
        event.events = flags_of(step, 3);
        event.data.u64 = (uint64_t)argument(step, 4);
    }
    if (operation == EPOLL_CTL_ADD)
        note_added(epfd, fd);
    print_result(epoll_ctl(epfd, operation, fd, &event));
}

static void do_add(const struct step *step)
{
    control(step, EPOLL_CTL_ADD);
}

static void do_mod(const struct step *step)
{
    control(step, EPOLL_CTL_MOD);
}

static void do_del(const struct step *step)
{
    control(step, EPOLL_CTL_DEL);
}

static int wait_once(const struct step *step, struct epoll_event *events, int room)
{
    static const struct timespec no_time;
    const int epfd = fd_of(step, 1);
    sigset_t mask;
    int count;

    sigemptyset(&mask);
    switch (step->words[0][0]) {
    case 'w': count = epoll_wait(epfd, events, room, 0); break;
    case 'p': count = epoll_pwait(epfd, events, room, 0, &mask); break;
    default: count = epoll_pwait2(epfd, events, room, &no_time, NULL); break;
    }
    return lies && count >= 2 ? count - 1 : count;
}

static int compare_events(const void *left, const void *right)
{
    const struct epoll_event *a = left, *b = right;

    if (a->data.u64 != b->data.u64)
        return a->data.u64 < b->data.u64 ? -1 : 1;
    return (a->events > b->events) - (a->events < b->events);
}

static void print_events(const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        printf(" %llu:", (unsigned long long)events[i].data.u64);
        print_flags(events[i].events);
    }
}

static int add_to_union(struct epoll_event *all, int all_count, const struct epoll_event *event)
{
    for (int i = 0; i < all_count; i++) {
        if (compare_events(&all[i], event) == 0)
            return all_count;
    }
    if (all_count == EVENTS_MAX)
        give_up("too many events", "");
    all[all_count] = *event;
    return all_count + 1;
}

/* What a mixed set has to say, asked `room` by `room`: whoever is ready must have his turn. */
static void wait_for_all(const struct step *step, int room)
{
    static struct epoll_event some[EVENTS_MAX], all[EVENTS_MAX];
    const int rounds = room < EVENTS_MAX ? 2 * (EVENTS_MAX / room) + 2 : 1;
    int all_count = 0;
    int count = 1;

    for (int i = 0; i < rounds && count > 0; i++) {
        count = wait_once(step, some, room);
        for (int k = 0; k < count; k++)
            all_count = add_to_union(all, all_count, &some[k]);
    }
    if (count < 0) {
        print_result(count);
        return;
    }
    qsort(all, (size_t)all_count, sizeof all[0], compare_events);
    printf(" = {%d}", all_count);
    print_events(all, all_count);
}

static void do_wait(const struct step *step)
{
    const struct number *set = number_at(fd_of(step, 1));
    const int room = (int)argument(step, 2);
    struct epoll_event events[EVENTS_MAX];

    if (room > EVENTS_MAX)
        give_up("too many events asked for", step->words[2]);
    if (set->kind == KIND_EPOLL && room > 0 && is_mixed(set->instance))
        wait_for_all(step, room);
    else
        print_events(events, (int)print_result(wait_once(step, events, room)));
}

/*
 * All slots in one poll(2). The second process leaves mixed sets out: they may show readable where
 * the watched number was closed (DIFFERENCES.md).
 */
static void do_poll(const struct step *step)
{
    struct pollfd fds[SLOTS];

    for (int i = 0; i < SLOTS; i++) {
        const struct number *number = number_at(slots[i]);
        const bool skipped = is_second && number->kind == KIND_EPOLL && is_mixed(number->instance);

        fds[i] = (struct pollfd){ .fd = skipped ? -1 : slots[i],
                                  .events = (short)flags_of(step, 1) };
    }
    print_result(poll(fds, SLOTS, 0));
    for (int i = 0; i < SLOTS; i++) {
        if (fds[i].revents != 0 && fds[i].revents != POLLNVAL) {
            printf(" %d:", i);
            print_flags((uint32_t)(unsigned short)fds[i].revents);
        }
    }
}

/* ---- Steps ---- */

static void do_child(const struct step *step);
static void do_fork(const struct step *step);
static void do_there(const struct step *step);
static void do_join(const struct step *step);

static const struct action {
    const char *name;
    void (*run)(const struct step *);
} actions[] = {
    { "pipe", do_pipe },         { "packets", do_packets }, { "stream", do_stream },
    { "records", do_records },   { "eventfd", do_eventfd }, { "timerfd", do_timerfd },
    { "epoll", do_epoll },       { "dup", do_dup },         { "dupfd", do_dupfd },
    { "dup2", do_dup2 },         { "close", do_close },     { "write", do_write },
    { "read", do_read },         { "peek", do_peek },       { "fill", do_fill },
    { "drain", do_drain },       { "unread", do_unread },   { "shutdown", do_shutdown },
    { "capacity", do_capacity }, { "sndbuf", do_sndbuf },   { "settime", do_settime },
    { "add", do_add },           { "mod", do_mod },         { "del", do_del },
    { "wait", do_wait },         { "pwait", do_wait },      { "2pwait", do_wait },
    { "poll", do_poll },         { "child", do_child },     { "fork", do_fork },
    { "there", do_there },       { "join", do_join },
};

static void run_step(const struct step *step)
{
    size_t i = 0;

    while (i < sizeof actions / sizeof actions[0] && strcmp(actions[i].name, step->words[0]) != 0)
        i++;
    if (i == sizeof actions / sizeof actions[0])
        give_up("no such step", step->words[0]);
    actions[i].run(step);
}

static void run_line(char *line)
{
    struct step step = { 0 };
    char *save = NULL;

    for (char *word = strtok_r(line, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
        if (step.count == STEP_WORDS_MAX)
            give_up("too many words", step.words[0]);
        step.words[step.count++] = word;
    }
    if (step.count > 0)
        run_step(&step);
}

/* What is behind `child` or `there`. */
static struct step rest_of(const struct step *step)
{
    struct step rest = { .count = step->count - 1 };

    if (rest.count == 0)
        give_up("nothing to do", step->words[0]);
    memcpy(rest.words, step->words + 1, (size_t)rest.count * sizeof rest.words[0]);
    return rest;
}

static void print_end(pid_t child)
{
    int status = 0;

    if (waitpid(child, &status, 0) != child)
        give_up("waitpid", strerror(errno));
    if (status != 0)
        printf(" status 0x%x", (unsigned int)status);
}

/* A new process for one step. */
static void do_child(const struct step *step)
{
    const struct step rest = rest_of(step);
    pid_t child;

    fflush(stdout);
    child = fork();
    if (child < 0)
        give_up("fork", strerror(errno));
    if (child == 0) {
        run_step(&rest);
        fflush(stdout);
        _exit(0);
    }
    print_end(child);
}

/* ---- The second process ---- */

static void wait_for_turn(uint32_t not_yet)
{
    const struct timespec limit = { .tv_sec = LIMIT_S };

    while (__atomic_load_n(&shared->turn, __ATOMIC_ACQUIRE) == not_yet) {
        if (syscall(SYS_futex, &shared->turn, FUTEX_WAIT, not_yet, &limit, NULL, 0) != 0 &&
            errno == ETIMEDOUT)
            give_up("the other process", "took too long");
    }
}

static void give_turn(uint32_t turn)
{
    fflush(stdout);
    __atomic_store_n(&shared->turn, turn, __ATOMIC_RELEASE);
    syscall(SYS_futex, &shared->turn, FUTEX_WAKE, 1, NULL, NULL, 0);
}

_Noreturn static void run_second(void)
{
    is_second = true;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        wait_for_turn(TURN_FIRST);
        if (shared->turn == TURN_OVER)
            _exit(0);
        run_line(shared->line);
        give_turn(TURN_FIRST);
    }
}

static void do_fork(const struct step *step)
{
    (void)step;
    if (second != 0) {
        printf(" = there is one");
        return;
    }
    shared->turn = TURN_FIRST;
    fflush(stdout);
    second = fork();
    if (second == 0)
        run_second();
    print_result(second < 0 ? -1 : 0);
}

static void do_there(const struct step *step)
{
    const struct step rest = rest_of(step);
    size_t used = 0;

    if (second == 0) {
        printf(" = nobody is there");
        return;
    }
    for (int i = 0; i < rest.count; i++)
        used += (size_t)snprintf(shared->line + used, sizeof shared->line - used, "%s ",
                                 rest.words[i]);
    give_turn(TURN_SECOND);
    wait_for_turn(TURN_SECOND);
}

static void do_join(const struct step *step)
{
    (void)step;
    if (second != 0) {
        give_turn(TURN_OVER);
        print_end(second);
    }
    second = 0;
}

/* ---- The program ---- */

static void run_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char line[STEP_LINE_SIZE];

    if (file == NULL)
        give_up(path, strerror(errno));
    for (int place = 1; fgets(line, sizeof line, file) != NULL; place++) {
        line[strcspn(line, "\n")] = '\0';
        printf("%d %s", place, line);
        run_line(line);
        printf("\n");
    }
    fclose(file);
}

int main(int argc, char **argv)
{
    if (argc != 2 && !(argc == 3 && strcmp(argv[2], "--lie") == 0))
        give_up("usage", "epoll_random STEPS-FILE [--lie]");
    lies = argc == 3;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        give_up("mmap", strerror(errno));
    numbers_init(&shared->sets);
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    signal(SIGPIPE, SIG_IGN);
    alarm(LIMIT_S);
    run_file(argv[1]);
    do_join(NULL);
    return 0;
}
