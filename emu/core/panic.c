/*
 * panic.c - the end of a process whose emulator found an invariant broken
 */
#include "base.h"

#include "host.h"

#include <string.h>

_Noreturn void base_assert_failed(const char *text, const char *file, int line)
{
    char message[256];
    char digits[12];
    size_t at = 0;
    int count = 0;
    const char *parts[] = { "sockrig: broken invariant: ", text, " at ", file, ":" };

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        size_t size = strnlen(parts[i], sizeof message - 16 - at);

        memcpy(message + at, parts[i], size);
        at += size;
    }
    do {
        digits[count++] = (char)('0' + line % 10);
        line /= 10;
    } while (line > 0 && count < (int)sizeof digits);
    while (count > 0) {
        message[at++] = digits[--count];
    }
    message[at++] = '\n';
    message[at] = 0;
    host_abort(message);
}
