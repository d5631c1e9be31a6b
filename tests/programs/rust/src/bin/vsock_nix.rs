//! The crate nix over AF_VSOCK: a server and a client in one process, or in two.
//!
//!     vsock_nix                both, in two threads; on a port the kernel chooses
//!     vsock_nix server PORT    says when it listens; serves one client
//!     vsock_nix client PORT    talks to it
//!
//! nix takes an address for one of vsock only when its length is 16, so each that is read back
//! here proves that too.

use nix::errno::Errno;
use nix::libc::{VMADDR_CID_ANY, VMADDR_CID_HOST, VMADDR_CID_LOCAL, VMADDR_PORT_ANY};
use nix::poll::{poll, PollFd, PollFlags};
use nix::sys::socket::sockopt::{AcceptConn, ReceiveTimeout, SockType as SockTypeOption};
use nix::sys::socket::{
    accept, accept4, bind, connect, getpeername, getsockname, getsockopt, listen, recv, send,
    setsockopt, shutdown, socket, AddressFamily, MsgFlags, Shutdown, SockFlag, SockType, VsockAddr,
};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::{close, read, write};
use std::os::unix::io::RawFd;
use std::thread;

const WORDS: &[u8] = b"words from nix";
const BULK: usize = 3 << 20;

fn stream() -> RawFd {
    socket(AddressFamily::Vsock, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap()
}

fn listener(port: u32) -> RawFd {
    let fd = stream();
    bind(fd, &VsockAddr::new(VMADDR_CID_ANY, port)).unwrap();
    listen(fd, 5).unwrap();
    assert!(getsockopt(fd, AcceptConn).unwrap());
    assert_eq!(getsockopt(fd, SockTypeOption).unwrap(), SockType::Stream);
    fd
}

fn name(fd: RawFd) -> VsockAddr {
    getsockname(fd).unwrap()
}

fn byte_at(index: usize) -> u8 {
    (index * 7 % 251) as u8
}

/// The words, then as many bytes as it takes for the credit to run out more than once.
fn serve(conn: RawFd) -> (VsockAddr, VsockAddr) {
    let names = (name(conn), getpeername::<VsockAddr>(conn).unwrap());
    let mut buffer = vec![0; 65536];
    let count = recv(conn, &mut buffer, MsgFlags::empty()).unwrap();
    send(conn, &buffer[..count], MsgFlags::MSG_NOSIGNAL).unwrap();
    let mut total = 0;
    loop {
        let count = read(conn, &mut buffer).unwrap();
        if count == 0 {
            break;
        }
        for (index, byte) in buffer[..count].iter().enumerate() {
            assert_eq!(*byte, byte_at(total + index));
        }
        total += count;
    }
    write(conn, total.to_string().as_bytes()).unwrap();
    close(conn).unwrap();
    names
}

/// Returns its own name and its peer's.
fn talk(cid: u32, port: u32) -> (VsockAddr, VsockAddr) {
    let fd = stream();
    assert_eq!(getpeername::<VsockAddr>(fd), Err(Errno::ENOTCONN));
    connect(fd, &VsockAddr::new(cid, port)).unwrap();
    let names = (name(fd), getpeername::<VsockAddr>(fd).unwrap());
    assert_eq!(connect(fd, &VsockAddr::new(cid, port)), Err(Errno::EISCONN));

    send(fd, WORDS, MsgFlags::empty()).unwrap();
    let mut buffer = [0; 100];
    assert_eq!(read(fd, &mut buffer).unwrap(), WORDS.len());
    assert_eq!(&buffer[..WORDS.len()], WORDS);
    setsockopt(fd, ReceiveTimeout, &TimeVal::milliseconds(20)).unwrap();
    assert_eq!(recv(fd, &mut buffer, MsgFlags::empty()), Err(Errno::EAGAIN));
    setsockopt(fd, ReceiveTimeout, &TimeVal::zero()).unwrap();

    let bulk: Vec<u8> = (0..BULK).map(byte_at).collect();
    let mut sent = 0;
    while sent < BULK {
        sent += write(fd, &bulk[sent..]).unwrap();
    }
    shutdown(fd, Shutdown::Write).unwrap();
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    assert_eq!(poll(&mut fds, 20_000).unwrap(), 1);
    let count = read(fd, &mut buffer).unwrap();
    assert_eq!(std::str::from_utf8(&buffer[..count]).unwrap(), BULK.to_string());
    assert_eq!(read(fd, &mut buffer).unwrap(), 0);
    close(fd).unwrap();
    names
}

fn one_process() {
    let listening = listener(VMADDR_PORT_ANY);
    let own = name(listening);
    println!("bound to any cid: {}", own.cid() == VMADDR_CID_ANY);
    println!("a port was chosen: {}", own.port() > 1023 && own.port() != VMADDR_PORT_ANY);
    for dialled in [VMADDR_CID_LOCAL, VMADDR_CID_HOST] {
        let client = thread::spawn(move || talk(dialled, own.port()));
        let conn = accept4(listening, SockFlag::SOCK_CLOEXEC).unwrap();
        let server_sees = serve(conn);
        let client_sees = client.join().unwrap();
        println!("accepted on cid {}", server_sees.0.cid());
        println!("accepted from cid {}", server_sees.1.cid());
        println!("client's own cid {:#x}", client_sees.0.cid());
        println!("client's peer {}", client_sees.1 == VsockAddr::new(dialled, own.port()));
        println!("one port: {}", server_sees.1.port() == client_sees.0.port());
    }
    refusals(listening, own.port());
}

fn refusals(listening: RawFd, port: u32) {
    let second = stream();
    println!("taken: {:?}", bind(second, &VsockAddr::new(VMADDR_CID_HOST, port)));
    println!("foreign: {:?}", bind(second, &VsockAddr::new(77, port + 1)));
    println!("not listening: {:?}", accept(second));
    println!("unconnected: {:?}", send(second, b"x", MsgFlags::MSG_NOSIGNAL));
    println!("shutdown: {:?}", shutdown(second, Shutdown::Both));
    close(listening).unwrap();
    println!("nobody: {:?}", connect(second, &VsockAddr::new(VMADDR_CID_LOCAL, port)));
    println!("free again: {:?}", bind(stream(), &VsockAddr::new(VMADDR_CID_HOST, port)));
    let datagrams = socket(AddressFamily::Vsock, SockType::Datagram, SockFlag::empty(), None);
    println!("datagrams: {:?}", datagrams);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => one_process(),
        ["server", port] => {
            let listening = listener(port.parse().unwrap());
            println!("listening");
            serve(accept(listening).unwrap());
            println!("served");
        }
        ["client", port] => {
            talk(VMADDR_CID_HOST, port.parse().unwrap());
            println!("talked");
        }
        _ => panic!("usage: vsock_nix [server PORT | client PORT]"),
    }
}
