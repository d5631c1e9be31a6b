//! Says hello over AF_VSOCK on sockets that the crate rustix made.

use rustix::fd::AsRawFd;
use rustix::io::{read, write, OwnedFd};
use rustix::net::{accept, listen, shutdown, socket_with};
use rustix::net::{AddressFamily, Protocol, Shutdown, SocketFlags, SocketType};
use std::{io, mem, thread};

/// rustix has a name for neither the family nor its addresses.
const VSOCK: AddressFamily = AddressFamily::from_raw(libc::AF_VSOCK as u16);

fn vsock_stream() -> rustix::io::Result<OwnedFd> {
    socket_with(VSOCK, SocketType::STREAM, SocketFlags::CLOEXEC, Protocol::default())
}

/// Its address goes to libc's bind or connect.
fn with_address(
    call: unsafe extern "C" fn(i32, *const libc::sockaddr, libc::socklen_t) -> i32,
    socket: &OwnedFd,
    cid: u32,
    port: u32,
) -> io::Result<()> {
    let mut address: libc::sockaddr_vm = unsafe { mem::zeroed() };
    address.svm_family = libc::AF_VSOCK as u16;
    address.svm_cid = cid;
    address.svm_port = port;
    let size = mem::size_of_val(&address) as libc::socklen_t;
    match unsafe { call(socket.as_raw_fd(), (&address as *const libc::sockaddr_vm).cast(), size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn main() -> io::Result<()> {
    let listening = vsock_stream()?;
    with_address(libc::bind, &listening, libc::VMADDR_CID_ANY, 6789)?;
    listen(&listening, 1)?;

    let client = thread::spawn(|| -> io::Result<usize> {
        let socket = vsock_stream()?;
        with_address(libc::connect, &socket, libc::VMADDR_CID_HOST, 6789)?;
        write(&socket, b"Hello vsock!")?;
        shutdown(&socket, Shutdown::Write)?;
        Ok(read(&socket, &mut [0; 100])?)
    });

    let conn = accept(&listening)?;
    let mut buffer = [0; 100];
    while let count @ 1.. = read(&conn, &mut buffer)? {
        println!("received {} bytes: {}", count, String::from_utf8_lossy(&buffer[..count]));
    }
    drop(conn);
    println!("the client reads {} more", client.join().unwrap()?);
    Ok(())
}
