/*
 * Proves: C++ unwinding and emulated descriptors. An exception passes through frames whose
 * destructors close descriptors; one that a handler throws leaves a blocked read, write, recvmsg,
 * poll, select or epoll_wait, and destructors and catch see it; pthread_exit in a handler and
 * pthread_cancel run destructors that use and close descriptors. After each of them the other end
 * sees what was closed, and what is still open works.
 *
 * Rows: 5.5 "pipe read/write, unix read/recv/send", 5.5 "poll, ppoll, select, pselect, epoll_wait"
 */
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdexcept>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

/* guest.h is C; the little that is needed of it, again. */

constexpr int DEADLINE_S = 30;

[[noreturn]] static void fail(int line, const char *what)
{
    dprintf(2, "cxx_unwind.cpp:%d: %s, errno %d (%s)\n", line, what, errno, strerror(errno));
    _exit(1);
}

#define CHECK(condition) ((condition) ? (void)0 : fail(__LINE__, #condition))

static bool is_asleep(pid_t tid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    CHECK(size > 0);
    text[size] = 0;
    const char *after_name = strrchr(text, ')');
    return after_name != nullptr && after_name[2] == 'S';
}

/* Four looks in a row, a millisecond apart (see guest_wait_blocked()); bounded by the deadline. */
static void wait_blocked(const std::atomic<int> &tid)
{
    for (int calm = 0; calm < 4;) {
        const timespec pause = { 0, 1000000 };
        calm = tid != 0 && is_asleep(tid) ? calm + 1 : 0;
        nanosleep(&pause, nullptr);
    }
}

/* ---- a descriptor that closes itself ---- */

static std::atomic<int> destroyed;

class Descriptor
{
  public:
    explicit Descriptor(int number) : number(number)
    {
        CHECK(number >= 0);
    }
    Descriptor(const Descriptor &) = delete;
    Descriptor &operator=(const Descriptor &) = delete;
    ~Descriptor()
    {
        destroyed++;
        CHECK(close(number) == 0);
    }
    int get() const
    {
        return number;
    }

  private:
    int number;
};

/* Writes a line when it goes out of scope: a destructor that uses a descriptor. */
class Farewell
{
  public:
    explicit Farewell(int fd) : fd(fd)
    {
    }
    ~Farewell()
    {
        CHECK(write(fd, "bye", 3) == 3);
    }

  private:
    int fd;
};

struct Ends {
    int reading, writing;
};

static Ends open_channel(int type)
{
    int fds[2];
    CHECK((type == 0 ? pipe(fds) : socketpair(AF_UNIX, type, 0, fds)) == 0);
    return { fds[0], fds[1] };
}

static void expect_bytes(int fd, const char *text)
{
    char buffer[64];
    size_t size = strlen(text);
    CHECK(read(fd, buffer, sizeof buffer) == static_cast<ssize_t>(size));
    CHECK(memcmp(buffer, text, size) == 0);
}

/* ---- an ordinary exception ---- */

static void descend(int depth, const Ends &ends)
{
    Ends mine = open_channel(depth % 2 == 0 ? 0 : SOCK_STREAM);
    Descriptor reading(mine.reading), writing(mine.writing);
    Farewell farewell(ends.writing);
    CHECK(write(writing.get(), "x", 1) == 1);
    expect_bytes(reading.get(), "x");
    if (depth == 0) {
        throw std::runtime_error("bottom");
    }
    descend(depth - 1, ends);
}

static void through_frames(int type)
{
    Ends ends = open_channel(type);
    int free_number = dup(0);
    CHECK(close(free_number) == 0);
    destroyed = 0;
    try {
        descend(9, ends);
        CHECK(!"an exception");
    } catch (const std::runtime_error &error) {
        CHECK(strcmp(error.what(), "bottom") == 0);
    }
    CHECK(destroyed == 20);
    int number = dup(0); /* all are closed: the lowest number is what it was */
    CHECK(number == free_number && close(number) == 0);
    expect_bytes(ends.reading, "byebyebyebyebyebyebyebyebyebye");
    Descriptor reading(ends.reading);
    {
        Descriptor writing(ends.writing);
    }
    char byte;
    CHECK(read(reading.get(), &byte, 1) == 0);
}

/* ---- out of a blocked call ---- */

enum class Way { Read, Write, Recvmsg, Sendmsg, Poll, Select, Epoll };
enum class Leave { Exception, ThreadExit, Cancel };

struct Interrupted {
    int signo;
};

static char big[1000000];

static void throw_it(int signo)
{
    throw Interrupted{ signo };
}

static void exit_thread(int)
{
    pthread_exit(reinterpret_cast<void *>(5));
}

static void block_in_epoll(const Ends &ends)
{
    Descriptor epoll(epoll_create1(EPOLL_CLOEXEC));
    epoll_event event = {};
    event.events = EPOLLIN;
    CHECK(epoll_ctl(epoll.get(), EPOLL_CTL_ADD, ends.reading, &event) == 0);
    (void)epoll_wait(epoll.get(), &event, 1, -1);
}

static void block(Way way, const Ends &ends)
{
    char byte;
    iovec small = { &byte, 1 }, large = { big, sizeof big };
    msghdr message = {};
    message.msg_iov = way == Way::Sendmsg ? &large : &small;
    message.msg_iovlen = 1;
    pollfd entry = { ends.reading, POLLIN, 0 };
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends.reading, &set);
    switch (way) {
    case Way::Read: (void)!read(ends.reading, &byte, 1); break;
    case Way::Write: (void)!write(ends.writing, big, sizeof big); break;
    case Way::Recvmsg: (void)!recvmsg(ends.reading, &message, 0); break;
    case Way::Sendmsg: (void)!sendmsg(ends.writing, &message, 0); break;
    case Way::Poll: (void)poll(&entry, 1, -1); break;
    case Way::Epoll: block_in_epoll(ends); break;
    case Way::Select: (void)select(ends.reading + 1, &set, nullptr, nullptr, nullptr); break;
    }
    CHECK(!"the blocked call returned");
}

struct Job {
    Way way;
    Leave leave;
    Ends ends;
    int note; /* where the thread's destructors write */
    std::atomic<int> tid;
    bool caught;
};

static void *block_in_frames(void *argument)
{
    auto job = static_cast<Job *>(argument);
    job->tid = static_cast<int>(syscall(SYS_gettid));
    try {
        Ends mine = open_channel(SOCK_STREAM);
        Descriptor one(mine.reading), other(mine.writing);
        Farewell farewell(job->note);
        block(job->way, job->ends);
    } catch (const Interrupted &interrupted) {
        CHECK(job->leave == Leave::Exception);
        CHECK(interrupted.signo == SIGUSR1);
        job->caught = true;
    } catch (...) { /* pthread_exit and cancellation come by, and go on */
        CHECK(job->leave != Leave::Exception);
        job->caught = true;
        throw;
    }
    /* The signal came from a handler that never returned: it is blocked still. */
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK(pthread_sigmask(SIG_UNBLOCK, &set, nullptr) == 0);
    CHECK(write(job->note, "alive", 5) == 5);
    return nullptr;
}

static void make_it_leave(Job &job, pthread_t thread)
{
    struct sigaction action = {};
    action.sa_handler = job.leave == Leave::Exception ? throw_it : exit_thread;
    CHECK(sigaction(SIGUSR1, &action, nullptr) == 0);
    wait_blocked(job.tid);
    CHECK((job.leave == Leave::Cancel ? pthread_cancel(thread) : pthread_kill(thread, SIGUSR1)) ==
          0);
}

static void still_works(const Ends &ends)
{
    int flags = fcntl(ends.reading, F_GETFL);
    CHECK(fcntl(ends.reading, F_SETFL, flags | O_NONBLOCK) == 0);
    while (read(ends.reading, big, sizeof big) > 0) {
    }
    CHECK(errno == EAGAIN);
    CHECK(fcntl(ends.reading, F_SETFL, flags) == 0);
    CHECK(write(ends.writing, "abc", 3) == 3);
    expect_bytes(ends.reading, "abc");
}

static void out_of_blocked_call(Way way, Leave leave, int type)
{
    Ends note = open_channel(0), ends = open_channel(type);
    Descriptor reading(ends.reading), writing(ends.writing);
    Descriptor note_reading(note.reading), note_writing(note.writing);
    for (int round = 0; round < 3; round++) {
        Job job = { way, leave, ends, note.writing, { 0 }, false };
        pthread_t thread;
        void *result;
        destroyed = 0;
        CHECK(pthread_create(&thread, nullptr, block_in_frames, &job) == 0);
        make_it_leave(job, thread);
        CHECK(pthread_join(thread, &result) == 0);
        CHECK(job.caught);
        CHECK(destroyed == (way == Way::Epoll ? 3 : 2));
        if (leave == Leave::Exception) {
            CHECK(result == nullptr);
            expect_bytes(note.reading, "byealive");
        } else {
            CHECK(result ==
                  (leave == Leave::Cancel ? PTHREAD_CANCELED : reinterpret_cast<void *>(5)));
            expect_bytes(note.reading, "bye");
        }
        still_works(ends);
    }
}

/* The end that the unwound frame held was the last: whoever waits for the other one is woken. */
static void *throw_away_the_last_end(void *argument)
{
    auto job = static_cast<Job *>(argument);
    job->tid = static_cast<int>(syscall(SYS_gettid));
    try {
        Descriptor last(job->ends.writing);
        char byte;
        (void)!read(job->note, &byte, 1);
        CHECK(!"the blocked call returned");
    } catch (const Interrupted &) {
        job->caught = true;
    }
    return nullptr;
}

static void last_end_in_frame(int type)
{
    Ends ends = open_channel(type), never = open_channel(type);
    Descriptor reading(ends.reading), one(never.reading), other(never.writing);
    Job job = { Way::Read, Leave::Exception, ends, never.reading, { 0 }, false };
    pthread_t thread;
    char byte;
    CHECK(pthread_create(&thread, nullptr, throw_away_the_last_end, &job) == 0);
    make_it_leave(job, thread);
    CHECK(read(ends.reading, &byte, 1) == 0);
    CHECK(pthread_join(thread, nullptr) == 0);
    CHECK(job.caught);
}

int main()
{
    alarm(DEADLINE_S);
    through_frames(0);
    through_frames(SOCK_STREAM);
    const std::vector<Way> both = { Way::Read, Way::Write, Way::Poll, Way::Select, Way::Epoll };
    const std::vector<Way> sockets = { Way::Read,   Way::Write,   Way::Poll,
                                       Way::Select, Way::Recvmsg, Way::Sendmsg };
    for (Leave leave : { Leave::Exception, Leave::ThreadExit, Leave::Cancel }) {
        for (Way way : both) {
            out_of_blocked_call(way, leave, 0);
        }
        for (Way way : sockets) {
            out_of_blocked_call(way, leave, SOCK_STREAM);
        }
    }
    last_end_in_frame(0);
    last_end_in_frame(SOCK_SEQPACKET);
    return 0;
}
