//! The servers, each a process of its own.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// A server, until this is dropped.
pub(crate) struct Server {
    process: Child,
    url: String,
    certificate: String,
}

impl Server {
    /// Starts the one that this program is with these arguments.
    pub(crate) fn start(arguments: &[&str]) -> io::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        let mut process = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        Ok(Self { process, url: word(), certificate: word() })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Its certificate in hexadecimal, if it has one.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
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

/// Answers each request with 1 KiB.
fn answer(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n");
    let reply = [head.into_bytes(), vec![b'x'; BODY]].concat();
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line == b"\r\n" {
            thread::sleep(PAUSE);
            writer.write_all(&reply)?;
        }
    }
}

pub(crate) const BODY: usize = 1 << 10;

/// Until then the client has nothing left to do but to wait, so that each of its calls takes the same way.
const PAUSE: Duration = Duration::from_millis(2);
