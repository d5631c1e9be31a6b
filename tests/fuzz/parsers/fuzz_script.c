/*
 * fuzz_script.c - any bytes as a script of `sockrig interpret`: a tree, or a message with its place
 *
 * Run by tests/fuzz/parsers/run. The parser opens files by name, so each input goes into a memory
 * file; what it prints goes into another one, and must be "path:line:column: message".
 */
#include <fcntl.h>
#include <sanitizer/common_interface_defs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "interpret/script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int input;
static int messages;
static int own_stderr;
static char path[64];

static void start(void)
{
    input = memfd_create("script", MFD_CLOEXEC);
    messages = memfd_create("messages", MFD_CLOEXEC);
    own_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);
    if (input < 0 || messages < 0 || own_stderr < 0)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", input);
    __sanitizer_set_report_fd((void *)(intptr_t)own_stderr);
}

/* The first message, checked. */
static void check_message(void)
{
    char text[1024] = "";
    size_t prefix = strlen(path);
    unsigned line = 0;
    unsigned column = 0;
    int length = 0;

    if (pread(messages, text, sizeof(text) - 1, 0) <= 0)
        abort();
    if (strncmp(text, path, prefix) != 0 ||
        sscanf(text + prefix, ":%u:%u: %n", &line, &column, &length) != 2 || line == 0 ||
        column == 0 || length == 0 || text[prefix + (size_t)length] == '\0') {
        dprintf(own_stderr, "a message without a place: %s", text);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct script script;
    int result;

    if (path[0] == '\0')
        start();
    if (ftruncate(input, 0) != 0 || ftruncate(messages, 0) != 0 ||
        pwrite(input, data, size, 0) != (ssize_t)size)
        abort();
    lseek(messages, 0, SEEK_SET);
    dup2(messages, STDERR_FILENO);
    result = script_parse(path, &script);
    fflush(stderr);
    dup2(own_stderr, STDERR_FILENO);
    if (result != 0)
        check_message();
    else
        script_destroy(&script);
    return 0;
}
