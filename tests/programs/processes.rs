// processes.rs - std::process of Rust: children at the ends of pipes, by posix_spawn and by fork
//
// `processes` runs the tests; `processes CHILD...` is what its children do. What is printed doesn't
// depend on order or speed. Only the standard library is used: rustc alone builds it.
use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::unix::io::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{self, Command, Stdio};
use std::thread;
use std::time::Duration;

type Outcome = Result<(), Box<dyn Error>>;

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|i| b'a' + (i * 7 % 26) as u8).collect()
}

fn hash(data: &[u8]) -> u32 {
    data.iter().fold(2166136261, |h: u32, &b| (h ^ b as u32).wrapping_mul(16777619))
}

/// This program as a child.
fn own(mode: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(mode);
    command
}

fn child(mode: &str) -> Outcome {
    let mut input = Vec::new();
    match mode {
        "upper" => {
            io::stdin().read_to_end(&mut input)?;
            io::stdout().write_all(&input.to_ascii_uppercase())?;
        }
        "lines" => {
            for line in io::stdin().lock().lines() {
                println!("<{}>", line?);
            }
        }
        "both" => {
            for i in 0..3000 {
                println!("out {i}");
                eprintln!("err {i}");
            }
            process::exit(9);
        }
        "panic" => {
            std::panic::set_hook(Box::new(|_| eprintln!("a panic")));
            panic!();
        }
        "wait" => {
            println!("here");
            io::stdout().flush()?;
            thread::sleep(Duration::from_secs(60));
        }
        "abort" => process::abort(),
        _ => return Err("no such mode".into()),
    }
    Ok(())
}

fn output() -> Outcome {
    let done = own("both").output()?;
    println!("{} {:08x} {} {:08x} {}", done.stdout.len(), hash(&done.stdout), done.stderr.len(),
             hash(&done.stderr), done.status);
    let done = Command::new("sh").args(["-c", "echo $ONLY$HOME; pwd; exit 3"]).env_clear()
        .env("ONLY", "this").current_dir("/").output()?;
    println!("{:?} {:?}", String::from_utf8(done.stdout)?, done.status.code());
    println!("{}", Command::new("true").status()?.success());
    println!("{}", own("panic").stderr(Stdio::null()).status()?);
    println!("{:?}", own("abort").status()?.signal());
    let missing = Command::new("/nonexistent/program").stdin(Stdio::piped()).spawn();
    println!("{:?}", missing.map(|_| ()).map_err(|e| e.kind()));
    let denied = Command::new("/etc/passwd").current_dir("/").output();
    println!("{:?}", denied.map(|_| ()).map_err(|e| e.kind()));
    Ok(())
}

/// Writes to a child from a thread while it reads what comes back.
fn filter(mut command: Command) -> Result<bool, Box<dyn Error>> {
    let data = bytes(700_000);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().ok_or("no stdin")?;
    let copy = data.clone();
    let writer = thread::spawn(move || stdin.write_all(&copy));
    let mut got = Vec::new();
    child.stdout.take().ok_or("no stdout")?.read_to_end(&mut got)?;
    writer.join().map_err(|_| "the writer panicked")??;
    Ok(child.wait()?.success() && got == data.to_ascii_uppercase())
}

/// By fork and exec: the library takes posix_spawn where nothing is to be done in the child.
fn forked(mode: &str) -> Command {
    let mut command = own(mode);
    // SAFETY: the closure calls nothing.
    unsafe { command.pre_exec(|| Ok(())) };
    command
}

fn filters() -> Outcome {
    println!("{} {}", filter(own("upper"))?, filter(forked("upper"))?);
    let all: Vec<_> = (0..8)
        .map(|i| {
            thread::spawn(move || {
                filter(if i % 2 == 0 { own("upper") } else { forked("upper") })
                    .map_err(|e| e.to_string())
            })
        })
        .collect();
    for one in all {
        print!("{:?} ", one.join().map_err(|_| "a thread panicked")?);
    }
    println!();
    let mut command = own("upper");
    // SAFETY: the closure makes an error and calls nothing.
    unsafe { command.pre_exec(|| Err(io::Error::from_raw_os_error(95))) };
    println!("{:?}", command.spawn().map(|_| ()).map_err(|e| e.raw_os_error()));
    Ok(())
}

fn to_and_fro() -> Outcome {
    let mut child = own("lines").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut to = child.stdin.take().ok_or("no stdin")?;
    let mut from = BufReader::new(child.stdout.take().ok_or("no stdout")?);
    let mut answer = String::new();
    for i in 0..300 {
        writeln!(to, "{i}")?;
        answer.clear();
        from.read_line(&mut answer)?;
        if answer != format!("<{i}>\n") {
            return Err(answer.into());
        }
    }
    drop(to);
    println!("{} {}", from.read_line(&mut answer)?, child.wait()?);
    Ok(())
}

fn pipeline() -> Outcome {
    let mut first = Command::new("seq").args(["1", "50000"]).stdout(Stdio::piped()).spawn()?;
    let out = first.stdout.take().ok_or("no stdout")?;
    let mut second =
        Command::new("sort").arg("-rn").stdin(out).stdout(Stdio::piped()).spawn()?;
    let out = second.stdout.take().ok_or("no stdout")?;
    let third = own("upper").stdin(out).output()?;
    println!("{} {:08x} {} {} {}", third.stdout.len(), hash(&third.stdout), first.wait()?,
             second.wait()?, third.status);
    let mut yes = Command::new("yes").stdout(Stdio::piped()).spawn()?;
    let mut head = [0; 6];
    yes.stdout.take().ok_or("no stdout")?.read_exact(&mut head)?; // and closes it
    println!("{:?} {:?}", String::from_utf8(head.to_vec())?, yes.wait()?.signal());
    Ok(())
}

fn descriptors() -> Outcome {
    let (mut ours, theirs) = UnixStream::pair()?;
    let (input, output) = (theirs.try_clone()?, OwnedFd::from(theirs));
    let mut child = own("lines").stdin(OwnedFd::from(input)).stdout(output).spawn()?;
    ours.write_all(b"by socket\n")?;
    let mut reader = BufReader::new(ours.try_clone()?);
    let mut answer = String::new();
    reader.read_line(&mut answer)?;
    ours.shutdown(std::net::Shutdown::Write)?;
    println!("{answer:?} {}", child.wait()?);
    // Its ends went with it.
    println!("{}", reader.read_line(&mut answer)?);
    let path = std::env::temp_dir().join(format!("processes-{}", process::id()));
    let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    println!("{}", Command::new("seq").args(["1", "5"]).stdout(file.try_clone()?).status()?);
    file.rewind()?;
    println!("{:?}", String::from_utf8(own("lines").stdin(file).output()?.stdout)?);
    // A descriptor that the child has by its number.
    let (mut ours, theirs) = UnixStream::pair()?;
    let fd = theirs.as_raw_fd();
    let mut command = Command::new("sh");
    command.args(["-c", "exec <&9 >&9 9<&-; tr a-z A-Z"]);
    // SAFETY: dup2 may be called between fork and exec.
    unsafe {
        command.pre_exec(move || match dup2(fd, 9) {
            9 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        })
    };
    let mut child = command.spawn()?;
    drop(theirs);
    ours.write_all(b"by number")?;
    ours.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    ours.read_to_string(&mut answer)?;
    println!("{answer:?} {}", child.wait()?);
    Ok(())
}

fn deaths() -> Outcome {
    for mut command in [own("wait"), forked("wait")] {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut from = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let mut line = String::new();
        from.read_line(&mut line)?;
        print!("{line:?} {:?} ", child.try_wait()?);
        child.kill()?;
        println!("{} {}", from.read_line(&mut line)?, child.wait()?);
    }
    let mut child = Command::new("true").stdin(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().ok_or("no stdin")?;
    println!("{} {:?}", child.wait()?, stdin.write_all(b"x").map_err(|e| e.kind()));
    Ok(())
}

extern "C" {
    fn dup2(from: i32, to: i32) -> i32;
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn pipe(ends: *mut i32) -> i32;
}

/// CommandExt::exec in a forked child, its standard output a pipe that holds bytes already.
fn exec() -> Outcome {
    let mut ends = [-1; 2];
    // SAFETY: plain calls; the child only execs or ends.
    let (pid, mut reader) = unsafe {
        assert_eq!(pipe(ends.as_mut_ptr()), 0);
        let mut writer = File::from_raw_fd(ends[1]);
        writer.write_all(b"before exec ")?;
        let pid = fork();
        if pid == 0 {
            let error = own("lines").stdin(File::open("/dev/null")?)
                .stdout(File::from_raw_fd(writer.into_raw_fd())).exec();
            eprintln!("{error}");
            process::exit(1);
        }
        (pid, File::from_raw_fd(ends[0]))
    };
    let mut got = String::new();
    let mut status = 0;
    reader.read_to_string(&mut got)?;
    // SAFETY: status outlives the call.
    println!("{got:?} {}", unsafe { waitpid(pid, &mut status, 0) } == pid && status == 0);
    Ok(())
}

fn main() -> Outcome {
    if let Some(mode) = std::env::args().nth(1) {
        return child(&mode);
    }
    output()?;
    filters()?;
    to_and_fro()?;
    pipeline()?;
    descriptors()?;
    deaths()?;
    exec()
}
