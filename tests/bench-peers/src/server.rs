//! The server, a process of its own.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::Duration;

/// A server, until this is dropped.
pub(crate) struct Server {
    process: Child,
    url: String,
}

impl Server {
    /// Starts one.
    pub(crate) fn start() -> io::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        let mut process = command.arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut url = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut url)?;
        }
        Ok(Self { process, url: url.trim_end().to_owned() })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // There is nothing to be done about a process that cannot be waited for.
        drop(self.process.wait());
    }
}

/// Serves until the input ends, with a thread for each connection, and prints where.
pub(crate) fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client may go away when it likes.
            thread::spawn(move || answer(&stream));
        }
    });
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

/// Answers with 1 KiB; a request for `/<count>/<size>` with so many bytes, as soon as so many of these wait; and a POST never.
fn answer(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    let mut reply = reply(BODY);
    let mut line = Vec::new();
    let mut is_first = true;
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if is_first && line.starts_with(b"POST") {
            loop {
                thread::park();
            }
        }
        if let Some((count, size)) = asked(&line).filter(|_| is_first) {
            reply = self::reply(size);
            TOGETHER.get_or_init(|| Barrier::new(count)).wait();
        }
        is_first = line == b"\r\n";
        if is_first {
            thread::sleep(PAUSE);
            writer.write_all(&reply)?;
        }
    }
}

fn reply(size: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n");
    [head.into_bytes(), vec![b'x'; size]].concat()
}

fn asked(line: &[u8]) -> Option<(usize, usize)> {
    let path = str::from_utf8(line).ok()?.split(' ').nth(1)?;
    let (count, size) = path.strip_prefix('/')?.split_once('/')?;
    Some((count.parse().ok()?, size.parse().ok()?))
}

pub(crate) const BODY: usize = 1 << 10;

/// Until then the client has nothing left to do but to wait, so that each of its calls takes the same way.
const PAUSE: Duration = Duration::from_millis(2);

/// Where requests wait for each other, of whose number there is one for each server.
static TOGETHER: OnceLock<Barrier> = OnceLock::new();
