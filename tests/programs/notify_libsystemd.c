/*
 * notify_libsystemd.c - a service as most are: tells its manager by libsystemd's sd_notify(3)
 *
 *     notify_libsystemd MESSAGE...
 *
 * Prints what each call returned (1, 0, or a negative errno by its name). The prototype is written
 * out: Debian 12's header package is that of a version without vsock.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

int sd_notify(int unset_environment, const char *state);
int sd_notifyf(int unset_environment, const char *format, ...);
int sd_notify_barrier(int unset_environment, uint64_t timeout_us);

static int print(const char *what, int result)
{
    if (result < 0)
        printf("%s -%s\n", what, strerrorname_np(-result));
    else
        printf("%s %d\n", what, result);
    return result <= 0;
}

int main(int argc, char **argv)
{
    int failures = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "barrier") == 0)
            failures += print("sd_notify_barrier", sd_notify_barrier(0, 5000000));
        else if (i % 2 == 0)
            failures += print("sd_notifyf", sd_notifyf(0, "%s\nSTATUS=%d", argv[i], i));
        else
            failures += print("sd_notify", sd_notify(0, argv[i]));
    }
    return failures > 0;
}
