/*
 * failure.c - see failure.h
 */
#include "failure.h"

#include <stdarg.h>
#include <stdio.h>

int fail(int exit_code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("sockrig: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return exit_code;
}
