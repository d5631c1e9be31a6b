/*
 * Proves: O_ASYNC on a listener signals each connection, and its shutdown; a client that asked for
 * signals before connect gets them for what comes through the connection.
 *
 * Rows: 3.2 "O_ASYNC on a listener", 5.4 "with F_SETSIG s"
 */
#include "sigio.h"
#include "unix_names.h"

static void of_a_listener(int type)
{
    const int signo = SIGRTMIN + 1;
    struct unix_name name = unix_abstract("sigio");
    int listener = unix_listener(type, &name, 4), clients[2];
    sigio_own(listener, signo);
    CHECK_EQ(0, sigio_take(&(siginfo_t){ 0 }));
    for (int i = 0; i < 2; i++) {
        clients[i] = unix_client(type, &name);
        sigio_check(__FILE__, __LINE__, signo, POLL_IN, SIGIO_BAND_IN, listener);
        CHECK_EQ(0, sigio_take(&(siginfo_t){ 0 }));
    }
    CHECK_EQ(1, write(clients[0], "x", 1)); /* not the listener's */
    CHECK_EQ(0, sigio_take(&(siginfo_t){ 0 }));
    char byte;
    int accepted = unix_accept(listener);
    CHECK_EQ(0, fcntl(accepted, F_GETFL) & O_ASYNC);
    CHECK_EQ(1, read(accepted, &byte, 1));
    unix_finish(clients[0], accepted);
    unix_finish(clients[1], unix_accept(listener));
    CHECK_EQ(0, sigio_take(&(siginfo_t){ 0 }));
    sigio_off(listener);
    int third = unix_client(type, &name);
    CHECK_EQ(0, sigio_take(&(siginfo_t){ 0 }));
    unix_finish(third, unix_accept(listener));
    CHECK_OK(close(listener));
}

static void of_a_client(int type)
{
    const int signo = SIGRTMIN + 2;
    struct unix_name name = unix_abstract("sigio");
    int listener = unix_listener(type, &name, 4), client = unix_socket(type);
    char byte;
    sigio_own(client, signo);
    CHECK_OK(unix_connect(client, &name));
    CHECK_EQ(0, sigio_take(&(siginfo_t){ 0 }));
    int accepted = unix_accept(listener);
    CHECK_EQ(1, write(accepted, "x", 1));
    sigio_check(__FILE__, __LINE__, signo, POLL_IN, SIGIO_BAND_IN, client);
    CHECK_EQ(1, read(client, &byte, 1));
    CHECK_OK(close(accepted));
    siginfo_t info;
    CHECK_EQ(signo, sigio_take(&info));
    while (sigio_take(&info) != 0) {
        CHECK_EQ(client, info.si_fd);
    }
    CHECK_OK(close(client));
    CHECK_OK(close(listener));
}

int main(void)
{
    unix_start();
    sigio_start();
    for (int i = 0; i < 2; i++) {
        of_a_listener(unix_types[i]);
        of_a_client(unix_types[i]);
    }
    return unix_end();
}
