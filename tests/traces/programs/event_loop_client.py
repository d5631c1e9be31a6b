# Three connections at a time to the server, that talk in turns; then the end.
import socket

clients = []
for _ in range(3):
    client = socket.socket(socket.AF_UNIX)
    client.connect("server.socket")
    clients.append(client)
for turn in range(5):
    for number, client in enumerate(clients):
        client.sendall(b"client %d, turn %d\n" % (number, turn))
    for client in clients:
        assert client.recv(100)
clients[0].sendall(b"half a line, and no more")
clients[0].shutdown(socket.SHUT_WR)
assert clients[0].recv(100)
assert clients[0].recv(100) == b""
clients[1].close()
clients[2].sendall(b"quit\n")
assert clients[2].recv(100) == b""
