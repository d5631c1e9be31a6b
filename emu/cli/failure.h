/*
 * failure.h - how the command says what went wrong
 */
#ifndef CLI_FAILURE_H
#define CLI_FAILURE_H

/* Prints "sockrig: " and the message, as printf(3) would, as a line on stderr. Returns exit_code.
 */
__attribute__((format(printf, 2, 3))) int fail(int exit_code, const char *format, ...);

#endif
