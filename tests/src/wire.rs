//! A client that sees answers as they are on the wire, and that sends what no library would.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;

use serde_json::Value;

use crate::lab::LIMIT;

/// A connection to a server. Nothing is waited for longer than [`LIMIT`].
#[derive(Debug)]
pub struct Connection(BufReader<Stream>);

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The names in lower case, and the values, read as Latin-1, in the order of the wire.
    pub headers: Vec<(String, String)>,
    /// The bytes of the body, without any chunked framing.
    pub body: Vec<u8>,
    /// The fields after a chunked body.
    pub trailers: Vec<(String, String)>,
    /// Whether all of the body came that was announced.
    pub whole: bool,
}

impl Connection {
    /// Connects to a URL of scheme, host and port, or to a Unix socket: `unix:PATH`.
    ///
    /// # Panics
    ///
    /// If nobody listens there.
    #[must_use]
    pub fn to(url: &str) -> Self {
        Self::attempt(url).unwrap()
    }

    /// Connects as [`to`](Self::to) does.
    ///
    /// # Errors
    ///
    /// Nobody listens there.
    ///
    /// # Panics
    ///
    /// If the URL is none of these.
    pub fn attempt(url: &str) -> io::Result<Self> {
        if let Some(path) = url.strip_prefix("unix:") {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(LIMIT))?;
            stream.set_write_timeout(Some(LIMIT))?;
            return Ok(Self(BufReader::new(Stream::Unix(stream))));
        }
        let stream = TcpStream::connect(url.strip_prefix("http://").unwrap())?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        Ok(Self(BufReader::new(Stream::Tcp(stream))))
    }

    /// Sends; what fails does so because the peer has closed, which is seen by reading.
    pub fn write(&mut self, bytes: &[u8]) {
        let _ = self.0.get_mut().write_all(bytes);
    }

    /// Ends what is sent.
    pub fn finish(&mut self) {
        let _ = match self.0.get_mut() {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    /// Reads an answer to a request with this method; `None` if the connection ended instead.
    ///
    /// # Panics
    ///
    /// If what comes is no HTTP/1, or does not come.
    pub fn read(&mut self, method: &str) -> Option<Answer> {
        let line = self.line()?;
        let status = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "));
        let status = status.unwrap_or_else(|| panic!("{line}"))[..3].parse().unwrap();
        let mut answer =
            Answer { status, headers: self.fields()?, body: vec![], trailers: vec![], whole: true };
        if method == "HEAD" || status < 200 || matches!(status, 204 | 304) {
            return Some(answer);
        }
        if answer.header("transfer-encoding").is_some() {
            answer.whole = self.chunks(&mut answer).is_some();
        } else if let Some(length) = answer.header("content-length") {
            let length: u64 = length.parse().unwrap();
            let _ = (&mut self.0).take(length).read_to_end(&mut answer.body);
            answer.whole = answer.body.len() as u64 == length;
        } else {
            answer.whole = self.0.read_to_end(&mut answer.body).is_ok();
        }
        Some(answer)
    }

    /// Waits for the end of the connection, and returns what came before.
    ///
    /// # Panics
    ///
    /// If it does not end.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("{error}"),
            _ => rest,
        }
    }

    fn chunks(&mut self, answer: &mut Answer) -> Option<()> {
        loop {
            let size = u64::from_str_radix(&self.line()?, 16).ok()?;
            if size == 0 {
                answer.trailers = self.fields()?;
                return Some(());
            }
            let read = (&mut self.0).take(size).read_to_end(&mut answer.body).ok()?;
            if read as u64 != size || !self.line()?.is_empty() {
                return None;
            }
        }
    }

    fn fields(&mut self) -> Option<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Some(fields);
            }
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("{line}"));
            fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.0.read_until(b'\n', &mut line) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("{error}"),
            _ => {}
        }
        let line = line.strip_suffix(b"\r\n")?;
        Some(line.iter().copied().map(char::from).collect())
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buf),
            Self::Unix(stream) => stream.read(buf),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buf),
            Self::Unix(stream) => stream.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Answer {
    /// The first value of a header, whose name is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    ///
    /// # Panics
    ///
    /// If it is not whole, or not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        assert!(self.whole, "{self:?}");
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// As [`text`](Self::text), or it is no JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(self.text()).unwrap()
    }
}
