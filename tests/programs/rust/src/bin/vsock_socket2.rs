//! The crate socket2 over AF_VSOCK: a server and a client in one process, or in two.
//!
//!     vsock_socket2                both, in two threads; on a port the kernel chooses
//!     vsock_socket2 server PORT    says when it listens; serves one client
//!     vsock_socket2 client PORT    talks to it

use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::{Duration, Instant};

const CID_ANY: u32 = u32::MAX; // vm_sockets.h: VMADDR_CID_ANY, VMADDR_PORT_ANY
const CID_LOCAL: u32 = 1;
const CID_HOST: u32 = 2;
const PORT_ANY: u32 = u32::MAX;
const BULK: usize = 1 << 20;

fn address(cid: u32, port: u32) -> SockAddr {
    let address = SockAddr::vsock(cid, port).unwrap();
    assert_eq!(address.len(), 16);
    address
}

fn listener(port: u32, kind: Type) -> Socket {
    let socket = Socket::new(Domain::VSOCK, kind, None).unwrap();
    socket.bind(&address(CID_ANY, port)).unwrap();
    socket.listen(128).unwrap();
    assert!(socket.is_listener().unwrap());
    assert_eq!(socket.domain().unwrap(), Domain::VSOCK);
    assert_eq!(socket.r#type().unwrap(), kind);
    socket
}

/// Echoes until the end; returns the (cid, port) it was dialled by, as seen by accept.
fn serve(listening: &Socket) -> (u32, u32) {
    let (mut conn, peer) = listening.accept().unwrap();
    assert_eq!(conn.peer_addr().unwrap().vsock_address(), peer.vsock_address());
    let mut buffer = vec![0; 40_000];
    loop {
        let count = conn.read(&mut buffer).unwrap();
        if count == 0 {
            return peer.vsock_address().unwrap();
        }
        conn.write_all(&buffer[..count]).unwrap();
    }
}

/// Returns the (cid, port) it dialled from.
fn talk(cid: u32, port: u32) -> (u32, u32) {
    let socket = Socket::new(Domain::VSOCK, Type::STREAM, None).unwrap();
    socket.connect(&address(cid, port)).unwrap();
    assert_eq!(socket.peer_addr().unwrap().vsock_address(), Some((cid, port)));
    let mut writer = socket.try_clone().unwrap();
    let sending = thread::spawn(move || {
        let bulk: Vec<u8> = (0..BULK).map(|index| (index % 253) as u8).collect();
        writer.write_all(&bulk).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
        bulk
    });
    let mut back = Vec::new();
    (&socket).read_to_end(&mut back).unwrap();
    assert!(back == sending.join().unwrap());
    socket.local_addr().unwrap().vsock_address().unwrap()
}

fn one_process() {
    let listening = listener(PORT_ANY, Type::STREAM);
    let (cid, port) = listening.local_addr().unwrap().vsock_address().unwrap();
    println!("bound to any cid: {}", cid == CID_ANY);
    for dialled in [CID_LOCAL, CID_HOST] {
        let client = thread::spawn(move || talk(dialled, port));
        let peer = serve(&listening);
        let own = client.join().unwrap();
        println!("accepted from cid {}, one port: {}", peer.0, peer.1 == own.1);
    }
    timeouts(&listening, port);
    drop(listening);
    let refused = Socket::new(Domain::VSOCK, Type::STREAM, None).unwrap();
    println!("nobody: {:?}", refused.connect(&address(CID_LOCAL, port)).unwrap_err().kind());
    packets();
}

/// connect_timeout is connect without waiting, poll, SO_ERROR.
fn timeouts(listening: &Socket, port: u32) {
    let socket = Socket::new(Domain::VSOCK, Type::STREAM, None).unwrap();
    socket.connect_timeout(&address(CID_HOST, port), Duration::from_secs(20)).unwrap();
    println!("connected in time, pending error: {:?}", socket.take_error().unwrap());
    let (conn, _) = listening.accept().unwrap();
    conn.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
    let start = Instant::now();
    let error = (&conn).read(&mut [0; 10]).unwrap_err();
    println!("{:?}, in time: {}", error.kind(), start.elapsed() >= Duration::from_millis(29));
    listening.set_nonblocking(true).unwrap();
    println!("no other client: {:?}", listening.accept().unwrap_err().kind());
}

fn packets() {
    let listening = listener(PORT_ANY, Type::SEQPACKET);
    let (_, port) = listening.local_addr().unwrap().vsock_address().unwrap();
    let client = Socket::new(Domain::VSOCK, Type::SEQPACKET, None).unwrap();
    client.connect(&address(CID_LOCAL, port)).unwrap();
    let (conn, _) = listening.accept().unwrap();
    for size in [1, 1000, 50] {
        client.send(&vec![b'p'; size]).unwrap();
    }
    let mut buffer = [0; 4096];
    let sizes: Vec<usize> = (0..3).map(|_| (&conn).read(&mut buffer).unwrap()).collect();
    println!("packets of {:?}", sizes);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => one_process(),
        ["server", port] => {
            let listening = listener(port.parse().unwrap(), Type::STREAM);
            println!("listening");
            serve(&listening);
            println!("served");
        }
        ["client", port] => {
            talk(CID_HOST, port.parse().unwrap());
            println!("talked");
        }
        _ => panic!("usage: vsock_socket2 [server PORT | client PORT]"),
    }
}
