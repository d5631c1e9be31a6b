/*
 * vsock_server.c: the server of the well-known vsock tutorial, for vsock_tutorial.sh: waits on port
 * 6789 of any CID for one client and prints what it sends. Written from the description of its
 * calls: socket, bind, listen, accept, read, print.
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
    struct sockaddr_vm address, peer;
    socklen_t peer_size = sizeof peer;
    char message[64];
    int listener = socket(AF_VSOCK, SOCK_STREAM, 0);

    memset(&address, 0, sizeof address);
    address.svm_family = AF_VSOCK;
    address.svm_port = 6789;
    address.svm_cid = VMADDR_CID_ANY;
    if (listener < 0) {
        return failed("socket");
    }
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0) {
        return failed("bind");
    }
    if (listen(listener, 0) != 0) {
        return failed("listen");
    }
    int connection = accept(listener, (struct sockaddr *)&peer, &peer_size);
    if (connection < 0) {
        return failed("accept");
    }
    ssize_t size = read(connection, message, sizeof message);
    if (size < 0) {
        return failed("read");
    }
    printf("Received %zd bytes: %.*s\n", size, (int)size, message);
    return 0;
}
