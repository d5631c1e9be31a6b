/*
 * Proves: C++ streams on emulated descriptors: cin, cout and cerr after dup2 over 0 to 2, synced
 * with stdio and not, with what was unread before; clog's buffer at exit; a child that inherits
 * them.
 *
 * Rows: 2.3 "read, empty, no writers", 5.2 "dup2"
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int report_fd = 2;

static void check(bool holds, const char *what, int line)
{
    if (!holds) {
        dprintf(report_fd, "cxx_streams.cpp:%d: %s\n", line, what);
        _exit(1);
    }
}

#define CHECK(condition) check((condition), #condition, __LINE__)

struct channel {
    int ends[2];

    explicit channel(bool socket)
    {
        CHECK((socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends) : pipe(ends)) == 0);
    }

    void write_text(const char *text)
    {
        CHECK(write(ends[1], text, strlen(text)) == (ssize_t)strlen(text));
    }

    std::string read_text(size_t size)
    {
        std::string text(size, '\0');
        size_t done = 0;
        while (done < size) {
            ssize_t got = read(ends[0], &text[done], size - done);
            CHECK(got > 0);
            done += (size_t)got;
        }
        return text;
    }

    void close_both()
    {
        CHECK(close(ends[0]) == 0);
        CHECK(close(ends[1]) == 0);
    }
};

static void talk(bool socket)
{
    channel in(socket), out(socket);
    std::string word;
    in.write_text("early ");
    CHECK(dup2(in.ends[0], 0) == 0);
    CHECK(dup2(out.ends[1], 1) == 1);
    CHECK(dup2(out.ends[1], 2) == 2);
    in.write_text("late 42\n");
    CHECK(std::cin >> word && word == "early");
    CHECK(std::cin >> word && word == "late");
    int number = 0;
    CHECK(std::cin >> number && number == 42);
    std::cout << "out " << number << std::endl;
    std::cerr << "err " << word << '\n';
    CHECK(out.read_text(16) == "out 42\nerr late\n");
    in.close_both();
    out.close_both();
}

static void at_exit_of_a_child(bool socket)
{
    channel out(socket);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        CHECK(dup2(out.ends[1], 1) == 1);
        CHECK(dup2(out.ends[1], 2) == 2);
        std::cout << "unflushed";
        std::clog << " log";
        exit(0);
    }
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    std::string text = out.read_text(13);
    CHECK(text == "unflushed log" || text == " logunflushed");
    out.close_both();
}

int main()
{
    int saved[3];
    alarm(30);
    for (int i = 0; i < 3; i++) {
        saved[i] = dup(i);
        CHECK(saved[i] > 2);
    }
    report_fd = saved[2];
    talk(false);
    std::cin.ignore(1); /* the rest of the line */
    talk(true);
    std::cin.ignore(1);
    std::ios::sync_with_stdio(false);
    at_exit_of_a_child(false);
    at_exit_of_a_child(true);
    talk(false);
    for (int i = 0; i < 3; i++) {
        CHECK(dup2(saved[i], i) == i);
        CHECK(close(saved[i]) == 0);
    }
    return 0;
}
