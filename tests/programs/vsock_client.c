/*
 * vsock_client.c: the client of the well-known vsock tutorial, for vsock_tutorial.sh: sends 13
 * bytes, the last one zero, to port 6789 of the host. Written from the description of its calls:
 * socket, connect, write.
 */
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int failed(const char *what)
{
    perror(what);
    return 1;
}

int main(void)
{
    static const char message[] = "Hello vsock!";
    struct sockaddr_vm address;
    int fd = socket(AF_VSOCK, SOCK_STREAM, 0);

    memset(&address, 0, sizeof address);
    address.svm_family = AF_VSOCK;
    address.svm_port = 6789;
    address.svm_cid = VMADDR_CID_HOST;
    if (fd < 0) {
        return failed("socket");
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        return failed("connect");
    }
    if (write(fd, message, sizeof message) != (ssize_t)sizeof message) {
        return failed("write");
    }
    return 0;
}
