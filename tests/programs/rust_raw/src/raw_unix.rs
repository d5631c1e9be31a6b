//! A pipe, a pair, a named socket and poll, with rustix alone: no call goes through libc.

use rustix::fd::AsFd;
use rustix::io::{close, dup, pipe, poll, read, write, PollFd, PollFlags};
use rustix::net::{accept, acceptfrom, bind_unix, connect_unix, listen, recv, send, shutdown};
use rustix::net::{socket, socketpair, AddressFamily, Protocol, RecvFlags, SendFlags, Shutdown};
use rustix::net::{SocketAddrUnix, SocketFlags, SocketType};
use std::os::unix::io::IntoRawFd;
use std::thread;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn a_pipe() -> rustix::io::Result<()> {
    let (reader, writer) = pipe()?;
    let mut buffer = [0; 64];
    write(&writer, b"through a pipe")?;
    let copy = dup(&writer)?;
    drop(writer);
    write(&copy, b", by a copy")?;
    let count = read(&reader, &mut buffer)?;
    println!("{}", text(&buffer[..count]));
    unsafe { close(copy.into_raw_fd()) };
    println!("then {}", read(&reader, &mut buffer)?);
    Ok(())
}

fn a_pair() -> rustix::io::Result<()> {
    let (one, other) = socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        Protocol::default(),
    )?;
    let mut buffer = [0; 64];
    send(&one, b"record", SendFlags::empty())?;
    let mut fds = [PollFd::new(&other, PollFlags::IN)];
    println!("{} ready", poll(&mut fds, -1)?);
    let count = recv(&other, &mut buffer, RecvFlags::empty())?;
    println!("a {}", text(&buffer[..count]));
    let mut fds = [PollFd::new(&other, PollFlags::IN)];
    println!("{} ready", poll(&mut fds, 0)?);
    shutdown(&one, Shutdown::Write)?;
    println!("then {}", recv(&other, &mut buffer, RecvFlags::empty())?);
    Ok(())
}

fn named(name: &SocketAddrUnix) -> rustix::io::Result<()> {
    let listening = socket(AddressFamily::UNIX, SocketType::STREAM, Protocol::default())?;
    bind_unix(&listening, name)?;
    listen(&listening, 4)?;
    let theirs = name.clone();
    let client = thread::spawn(move || -> rustix::io::Result<String> {
        let socket = socket(AddressFamily::UNIX, SocketType::STREAM, Protocol::default())?;
        let mut buffer = [0; 64];
        connect_unix(&socket, &theirs)?;
        write(&socket, b"hello")?;
        let count = read(socket.as_fd(), &mut buffer)?;
        Ok(text(&buffer[..count]))
    });
    let (conn, _) = acceptfrom(&listening)?;
    let mut buffer = [0; 64];
    let count = read(&conn, &mut buffer)?; /* sleeps, or not */
    write(&conn, format!("{} yourself", text(&buffer[..count])).as_bytes())?;
    println!("{}", client.join().unwrap()?);
    println!("then {}", read(&conn, &mut buffer)?);
    drop(listening);
    let late = socket(AddressFamily::UNIX, SocketType::STREAM, Protocol::default())?;
    println!("nobody: {}", connect_unix(&late, name).is_err());
    println!("no listener: {}", accept(&late).is_err());
    Ok(())
}

fn main() -> rustix::io::Result<()> {
    a_pipe()?;
    a_pair()?;
    let name = format!("raw-unix-{}", std::process::id());
    named(&SocketAddrUnix::new_abstract_name(name.as_bytes())?)
}
