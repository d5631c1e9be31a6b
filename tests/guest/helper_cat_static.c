/*
 * helper_cat_static: cat, linked statically, so that no preload reaches it. Copies 0 to 1 with
 * plain reads and writes until end-of-file; `helper_cat_static N` copies N bytes and exits with 7.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char buffer[5000];
    long left = argc > 1 ? atol(argv[1]) : -1;
    while (left != 0) {
        size_t want = left > 0 && left < (long)sizeof buffer ? (size_t)left : sizeof buffer;
        ssize_t count = read(0, buffer, want);
        if (count == 0) {
            return left < 0 ? 0 : 2;
        }
        if (count < 0) {
            return errno == EINTR ? 3 : 4;
        }
        for (ssize_t sent = 0; sent < count;) {
            ssize_t now = write(1, buffer + sent, (size_t)(count - sent));
            if (now <= 0) {
                return 5;
            }
            sent += now;
        }
        left -= left > 0 ? count : 0;
    }
    return 7;
}
