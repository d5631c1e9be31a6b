/*
 * 18 - a vsock connection whose credit stalls
 *
 * The receiver waits until a whole message is there (FIONREAD) before it takes any of it. A sender
 * may have no more under way than the receiver's buffer holds: a message that is larger never is
 * complete. Fixed: take what there is.
 * Shows as: a hang; with little credit always. Natively it needs a machine with AF_VSOCK.
 */
#include "bug.h"

#include <linux/vm_sockets.h>
#include <sys/ioctl.h>

#define PORT    7018
#define MESSAGE 100000 /* less than the default of 256 KiB */

static void *send_message(void *unused)
{
    static char message[MESSAGE];
    struct sockaddr_vm address = { .svm_family = AF_VSOCK,
                                   .svm_port = PORT,
                                   .svm_cid = VMADDR_CID_LOCAL };
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

    (void)unused;
    MUST(fd >= 0);
    MUST(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    MUST(write_all(fd, message, sizeof(message)));
    close(fd);
    return NULL;
}

int main(void)
{
    static char message[MESSAGE];
    struct sockaddr_vm address = { .svm_family = AF_VSOCK,
                                   .svm_port = PORT,
                                   .svm_cid = VMADDR_CID_ANY };
    int listener = socket(AF_VSOCK, SOCK_STREAM, 0);
    pthread_t sender;
    int there = 0;
    int fd;

    MUST(listener >= 0);
    MUST(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    MUST(listen(listener, 1) == 0);
    MUST(pthread_create(&sender, NULL, send_message, NULL) == 0);
    fd = accept(listener, NULL, NULL);
    MUST(fd >= 0);
    while (BUG && there < MESSAGE) {
        MUST(ioctl(fd, FIONREAD, &there) == 0);
        work_us(100);
    }
    if (read_all(fd, message, sizeof(message)) != sizeof(message))
        bug_seen("the message is incomplete");
    MUST(pthread_join(sender, NULL) == 0);
    return 0;
}
