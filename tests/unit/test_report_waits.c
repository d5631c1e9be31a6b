/*
 * test_report_waits.c - who waits for what, as text and as JSON: what scripts read
 */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "waits/waits.h"

static struct waits_task tasks[4];
static struct waits waits = { .cause = WAITS_TIME, .limit_ns = 2000000000, .tasks = tasks };

static const char *print(void (*printer)(const struct waits *, FILE *))
{
    static char *text;
    size_t size;

    free(text);
    FILE *file = open_memstream(&text, &size);
    cr_assert_not_null(file);
    printer(&waits, file);
    fclose(file);
    return text;
}

static struct waits_task *add(enum waits_state state, const char *program, int32_t pid, int32_t tid)
{
    struct waits_task *task = &tasks[waits.count++];

    *task = (struct waits_task){ .state = state, .pid = pid, .tid = tid };
    strcpy(task->program, program);
    return task;
}

/* A task that waits on descriptor 1 for room in pipe#2, which process 411 reads. */
static struct waits_task *add_writer(void)
{
    struct waits_task *task = add(WAITS_EMULATED, "child", 412, 412);
    struct waits_end *end = &task->ends[0];

    strcpy(task->name, "write");
    strcpy(task->call, "write(1, …, 60000)");
    task->blocked.call = EMU_CALL_write;
    task->blocked.count = task->blocked.fd_count = 1;
    task->blocked.size = 60000;
    task->blocked.timeout_ns = -1;
    task->blocked.set_fd = -1;
    task->blocked_ns = 1950000000;
    end->fd = (struct emu_blocked_fd){ .fd = 1,
                                       .events = POLLOUT,
                                       .kind = EMU_CHANNEL_PIPE,
                                       .number = 2,
                                       .out = { .there = true,
                                                .bytes = 8192,
                                                .used = 8192,
                                                .capacity = 8192,
                                                .pieces = 2,
                                                .slots = 2 } };
    end->holder_count = 1;
    end->holders[0] = (struct waits_holder){ .pid = 411, .fd = 4, .program = "parent" };
    return task;
}

Test(report_waits, columns)
{
    struct waits_task *task = add_writer();

    task->site.count = 1;
    strcpy(task->site.frames[0].module, "child");
    task->site.frames[0].offset = 0x11f3;
    task = add(WAITS_OUTSIDE, "parent", 411, 411);
    strcpy(task->call, "wait4(412)");
    task->site.count = 1;
    strcpy(task->site.frames[0].module, "proxy");
    task->site.frames[0].offset = 0x20;
    task = add(WAITS_OUTSIDE, "parent", 411, 415);
    strcpy(task->call, "read(0, …)");
    strcpy(task->link, "/dev/pts/0");
    cr_expect_str_eq(print(waits_print),
                     "sockrig: time is up after 2s: no task runs\n"
                     "  child[412]           write(1, …, 60000)  pipe#2 full (8192 of 8192)  1.9 s"
                     "  child+0x11f3\n"
                     "     read end: parent[411] fd 4\n"
                     "  parent[411]          wait4(412)                                           "
                     "  proxy+0x20\n"
                     "  parent[411] tid 415  read(0, …)          /dev/pts/0\n");
}

Test(report_waits, who_could_end_it)
{
    struct waits_task *task = add_writer();
    struct waits_end *end = &task->ends[0];

    end->holders[0].pid = 412;
    cr_expect(strstr(print(waits_print), "     read end: parent[412] fd 4 (itself alone)\n"));
    end->holder_count = 2;
    end->holders[1] = (struct waits_holder){ .pid = 413, .fd = -1, .program = "other" };
    cr_expect(strstr(print(waits_print), "     read end: parent[412] fd 4, other[413]\n"));
    end->holder_count = 0;
    cr_expect(strstr(print(waits_print), "     read end: nobody has it open\n"));
    end->holder_count = WAITS_HOLDERS + 3;
    cr_expect(strstr(print(waits_print), " and 3 more\n"));
    end->fd.kind = EMU_CHANNEL_OTHER;
    cr_expect(strstr(print(waits_print), "closed meanwhile"));
    cr_expect_null(strstr(print(waits_print), "read end"));
}

Test(report_waits, how_full)
{
    struct waits_task *task = add_writer();
    struct emu_blocked_fd *fd = &task->ends[0].fd;

    fd->out.used = fd->out.bytes = 2;
    cr_expect(strstr(print(waits_print), "pipe#2 full (2 of 8192, in 2 of 2 slots)"));
    fd->out.pieces = 1;
    cr_expect(strstr(print(waits_print), "pipe#2 has room (2 of 8192)"));
    fd->out.native = true;
    cr_expect(strstr(print(waits_print), "pipe#2 native"));
    fd->kind = EMU_CHANNEL_STREAM;
    fd->out = (struct emu_fill){ .there = true, .bytes = 6, .used = 4608, .capacity = 4608 };
    fd->in = (struct emu_fill){ .there = true, .bytes = 5, .pieces = 1, .capacity = 4608 };
    cr_expect(strstr(print(waits_print), "stream#2 full (6 bytes, charge 4608 of 4608)"));
    cr_expect(strstr(print(waits_print), "     other end: parent[411] fd 4\n"));
    fd->kind = EMU_CHANNEL_SEQPACKET;
    fd->events = POLLIN;
    cr_expect(strstr(print(waits_print), "seqpacket#2 holds 5 bytes"));
    fd->in.pieces = 0;
    cr_expect(strstr(print(waits_print), "seqpacket#2 empty"));
}

Test(report_waits, several_descriptors)
{
    struct waits_task *task = add_writer();

    task->blocked.call = EMU_CALL_poll;
    task->blocked.count = 9;
    strcpy(task->call, "poll(9 fds, 5 ms)");
    cr_expect(strstr(print(waits_print), "  child[412]  poll(9 fds, 5 ms)  1.9 s\n"
                                         "     fd 1 for POLLOUT: pipe#2 full (8192 of 8192); "
                                         "read end: parent[411] fd 4\n"
                                         "     and 8 more\n"));
}

Test(report_waits, heads)
{
    waits.limit_ns = 300000000000;
    add(WAITS_RUNS, "a", 1, 1);
    add(WAITS_ENDED, "b", 2, 2);
    add(WAITS_STOPPED, "c", 3, 3);
    cr_expect_str_eq(print(waits_print), "sockrig: time is up after 5m: 1 of 3 tasks running\n"
                                         "  a[1]  running\n"
                                         "  b[2]  ended; nobody has waited for it\n"
                                         "  c[3]  stopped\n");
    waits.limit_ns = 1500000000;
    cr_expect(strstr(print(waits_print), "after 1500ms: "));
}

Test(report_waits, json)
{
    add_writer();
    cr_expect_str_eq(
        print(waits_print_json),
        "{\"limit_ms\": 2000, \"tasks\": [{\"pid\": 412, \"tid\": 412, \"state\": \"blocked\", "
        "\"program\": \"child\", \"call\": \"write\", \"size\": 60000, \"done\": 0, "
        "\"blocked_ms\": 1950, \"fds\": [{\"fd\": 1, \"waits_for\": [\"POLLOUT\"], "
        "\"object\": \"pipe\", \"number\": 2, \"written\": {\"bytes\": 8192, \"used\": 8192, "
        "\"capacity\": 8192, \"pieces\": 2, \"slots\": 2}, "
        "\"holders\": [{\"pid\": 411, \"program\": \"parent\", \"fd\": 4}], "
        "\"holder_count\": 1}]}]}");
}
