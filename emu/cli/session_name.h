/*
 * session_name.h - what can be the name of a session: [A-Za-z0-9._-]{1,64}
 */
#ifndef CLI_SESSION_NAME_H
#define CLI_SESSION_NAME_H

#include <stdbool.h>
#include <string.h>

#define SESSION_NAME_MAX  64
#define SESSION_NAME_SIZE (SESSION_NAME_MAX + 1)

static inline bool session_name_holds(const char *text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789._-";
    const size_t length = strlen(text);

    return length > 0 && length <= SESSION_NAME_MAX && strspn(text, letters) == length;
}

#endif
