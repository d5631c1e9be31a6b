/*
 * test_notify.c - --notify: messages as text, whom they are relayed to, frames, credentials
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "notify/credential.h"
#include "notify/frame.h"
#include "notify/lines.h"
#include "notify/relay.h"
#include "options.h"

#define P "sockrig: notify: "

/* ---- Messages ---- */

static void expect_text(const char *message, size_t size, const char *wanted)
{
    char *text = notify_lines_text(message, size);

    cr_assert(text != NULL);
    cr_expect_str_eq(text, wanted);
    free(text);
}

#define TEXT(message, wanted) expect_text(message, sizeof(message) - 1, wanted)

Test(notify, lines)
{
    TEXT("READY=1", P "READY=1\n");
    TEXT("READY=1\n", P "READY=1\n");
    TEXT("READY=1\0", P "READY=1\n");
    TEXT("READY=1\nSTATUS=Ready.", P "READY=1\n" P "STATUS=Ready.\n");
    TEXT("\n\nERRNO=2\n\n", P "ERRNO=2\n");
    TEXT("", "");
    TEXT("\n", "");
    TEXT("\0", "");
}

Test(notify, a_terminal_is_left_alone)
{
    TEXT("STATUS=\033[2Jx\ty\r", P "STATUS=\\x1b[2Jx\ty\\x0d\n");
    TEXT("A\0B\x7f", P "A\\x00B\\x7f\n");
    TEXT("STATUS=h\xc3\xa4lf", P "STATUS=h\xc3\xa4lf\n");
}

static bool have(const char *message, const char *line)
{
    return notify_lines_have(message, strlen(message), line);
}

Test(notify, a_line_is_found_whole)
{
    cr_expect(have("READY=1", "READY=1"));
    cr_expect(have("STATUS=x\nREADY=1\n", "READY=1"));
    cr_expect(notify_lines_have("READY=1", sizeof "READY=1", "READY=1"), "with its NUL");
    cr_expect(!have("READY=10", "READY=1"));
    cr_expect(!have("NOTREADY=1", "READY=1"));
    cr_expect(!have("STATUS=READY=1", "READY=1"));
    cr_expect(!have("READY=", "READY=1"));
    cr_expect(!have("", "READY=1"));
    cr_expect(!notify_lines_have("READY=1", 6, "READY=1"), "bytes beyond the message");
}

/* ---- Relay ---- */

Test(notify, relay_addresses)
{
    struct notify_relay relay = { 0 };
    char longest[110] = "@";

    cr_assert(notify_relay_parse("/run/notify", &relay));
    cr_expect_eq(relay.size, 2 + sizeof "/run/notify");
    cr_expect_str_eq(relay.address.sun_path, "/run/notify");
    cr_assert(notify_relay_parse("@name", &relay));
    cr_expect_eq(relay.size, 2 + 5);
    cr_expect_arr_eq(relay.address.sun_path, "\0name", 6);

    memset(longest + 1, 'x', 107);
    cr_assert(notify_relay_parse(longest, &relay), "108 bytes, abstract");
    cr_expect_eq(relay.size, sizeof relay.address);
    longest[108] = 'x';
    cr_expect(!notify_relay_parse(longest, &relay), "109 bytes");
    longest[0] = '/';
    longest[108] = '\0';
    cr_expect(!notify_relay_parse(longest, &relay), "a path of 108 bytes has no NUL");
    longest[107] = '\0';
    cr_expect(notify_relay_parse(longest, &relay));
}

Test(notify, what_is_no_relay_address)
{
    static const char *const others[] = {
        "", "/", "@", "relative", "vsock:2:1", "vsock-stream:2:1"
    };
    struct notify_relay relay = { .size = 77 };

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_expect(!notify_relay_parse(others[i], &relay), "%s", others[i]);
    cr_expect_eq(relay.size, 77, "touched on failure");
}

Test(notify, relay_sends_one_datagram)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX };
    socklen_t size = sizeof name;
    struct notify_relay relay = { 0 };
    char text[64];
    const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    cr_expect_eq(notify_relay_send(&relay, "x", 1), 0, "nobody to relay to");
    cr_assert_eq(bind(fd, (struct sockaddr *)&name, sizeof(sa_family_t)),
                 0); /* unix(7): autobind */
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&name, &size), 0);
    snprintf(text, sizeof text, "@%.5s", name.sun_path + 1);
    cr_assert(notify_relay_parse(text, &relay));
    cr_assert_eq(notify_relay_send(&relay, "A=1\nB=2", 7), 0);
    cr_assert_eq(notify_relay_send(&relay, "C=3", 3), 0);
    cr_expect_eq(recv(fd, text, sizeof text, 0), 7);
    cr_expect_eq(recv(fd, text, sizeof text, 0), 3);
    close(fd);
    cr_expect_eq(notify_relay_send(&relay, "C=3", 3), ECONNREFUSED);
}

/* ---- Frames ---- */

static int frames[2], answers[2];

static void *hand_over(void *data)
{
    static char longest[NOTIFY_MESSAGE_MAX];

    memset(longest, 'x', sizeof longest);
    cr_expect(frame_hand_over(frames[1], answers[0], FRAME_MESSAGE, data, 3));
    cr_expect(frame_hand_over(frames[1], answers[0], FRAME_TOO_LONG, NULL, 0));
    cr_expect(frame_hand_over(frames[1], answers[0], FRAME_MESSAGE, longest, sizeof longest));
    close(frames[1]);
    return NULL;
}

Test(notify, frames)
{
    static char data[NOTIFY_MESSAGE_MAX];
    struct frame frame;
    pthread_t thread;

    cr_assert(pipe2(frames, O_CLOEXEC) == 0 && pipe2(answers, O_CLOEXEC) == 0);
    cr_assert_eq(pthread_create(&thread, NULL, hand_over, "abc"), 0);
    cr_assert(frame_read(frames[0], &frame, data));
    cr_expect(frame.kind == FRAME_MESSAGE && frame.size == 3 && memcmp(data, "abc", 3) == 0);
    cr_assert(frame_answer(answers[1]));
    cr_assert(frame_read(frames[0], &frame, data));
    cr_expect(frame.kind == FRAME_TOO_LONG && frame.size == 0);
    cr_assert(frame_answer(answers[1]));
    cr_assert(frame_read(frames[0], &frame, data));
    cr_expect(frame.size == sizeof data && data[sizeof data - 1] == 'x');
    cr_assert(frame_answer(answers[1]));
    cr_expect(!frame_read(frames[0], &frame, data), "the end");
    pthread_join(thread, NULL);
}

Test(notify, nonsense_is_no_frame)
{
    const struct frame nonsense = { FRAME_MESSAGE, NOTIFY_MESSAGE_MAX + 1 };
    static char data[NOTIFY_MESSAGE_MAX];
    struct frame frame = { 0 };
    int ends[2];

    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    cr_assert_eq(write(ends[1], &nonsense, sizeof nonsense), sizeof nonsense);
    cr_expect(!frame_read(ends[0], &frame, data));
    cr_expect_eq(frame.kind, 0, "touched on failure");
}

/* ---- Credentials ---- */

static void expect_file(const char *directory, const char *name, const char *wanted)
{
    char path[1024], text[64] = "";

    snprintf(path, sizeof path, "%s/%s", directory, name);
    const int fd = open(path, O_RDONLY);
    cr_assert(fd >= 0, "%s", path);
    cr_expect_eq(read(fd, text, sizeof text), (ssize_t)strlen(wanted), "%s", path);
    cr_expect_str_eq(text, wanted);
    close(fd);
}

static void make_file(const char *directory, const char *name, const char *text)
{
    char path[1024];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0400);
    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

Test(notify, credential)
{
    char path[CREDENTIAL_PATH_MAX] = "", file[CREDENTIAL_PATH_MAX + 32];
    struct stat status;

    cr_assert_eq(credential_create("vsock:2:77", NULL, path), 0);
    cr_assert_eq(stat(path, &status), 0);
    cr_expect_eq(status.st_mode & 07777, 0700);
    expect_file(path, "vmm.notify_socket", "vsock:2:77");
    snprintf(file, sizeof file, "%s/vmm.notify_socket", path);
    cr_assert_eq(stat(file, &status), 0);
    cr_expect_eq(status.st_mode & 07777, 0400);
    credential_remove(path);
    cr_expect(stat(path, &status) != 0);
}

Test(notify, credentials_of_ones_own_stay)
{
    char theirs[] = "/tmp/test_notify.XXXXXX", path[CREDENTIAL_PATH_MAX];
    struct stat status;

    cr_assert(mkdtemp(theirs) != NULL);
    make_file(theirs, "password", "secret");
    make_file(theirs, "vmm.notify_socket", "vsock:2:1");
    cr_assert_eq(credential_create("vsock:2:77", theirs, path), 0);
    expect_file(path, "password", "secret");
    expect_file(path, "vmm.notify_socket", "vsock:2:77");
    credential_remove(path);
    cr_expect(stat(path, &status) != 0);
    expect_file(theirs, "password", "secret");
    expect_file(theirs, "vmm.notify_socket", "vsock:2:1");
    credential_remove(theirs);
}

Test(notify, credentials_that_are_not_there)
{
    char path[CREDENTIAL_PATH_MAX];

    cr_assert_eq(credential_create("vsock:2:77", "/nonexistent", path), 0);
    expect_file(path, "vmm.notify_socket", "vsock:2:77");
    credential_remove(path);
}

Test(notify, no_place_for_credentials)
{
    char path[CREDENTIAL_PATH_MAX] = "before", longest[CREDENTIAL_PATH_MAX] = "/tmp";

    for (size_t at = 4; at + 3 < sizeof longest; at += 2)
        memcpy(longest + at, "/.", 3);
    setenv("XDG_RUNTIME_DIR", longest, 1);
    cr_expect_eq(credential_create("vsock:2:77", NULL, path), ENAMETOOLONG);
    cr_expect_str_eq(path, "before");
}

/* ---- Options ---- */

static bool parse(char **words, struct run_options *ret_options)
{
    char message[RUN_OPTIONS_MESSAGE];
    int argc = 0;

    while (words[argc] != NULL)
        argc++;
    return run_options_parse(argc, words, NULL, ret_options, message);
}

#define PARSE(...) parse((char *[]){ "run", __VA_ARGS__, "true", NULL }, &options)

Test(notify, options)
{
    struct run_options options;

    cr_assert(PARSE("--json"));
    cr_expect(options.notify == NULL && options.on_ready == NULL);
    cr_assert(PARSE("--notify"));
    cr_expect_str_eq(options.notify, "vsock");
    cr_assert(PARSE("--notify=vsock-stream"));
    cr_expect_str_eq(options.notify, "vsock-stream");
    cr_assert(PARSE("--notify=vsock-seqpacket", "--on-ready", "a b"));
    cr_expect_str_eq(options.notify, "vsock-seqpacket");
    cr_expect_str_eq(options.on_ready, "a b");
    run_options_fini(&options);
    cr_expect(!PARSE("--notify=vsock-dgram"));
    cr_expect(!PARSE("--notify="));
    cr_expect(!PARSE("--on-ready", "a"));
}
