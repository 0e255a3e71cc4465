//! Requests as a server reads and records them.

use std::io::{self, BufRead, Read};

/// A request that a server executed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The request target, byte for byte: path and query, or whatever else the client wrote there.
    pub target: String,
    /// The names as they were written, and the values, read as Latin-1, in the order of the wire.
    pub headers: Vec<(String, String)>,
    /// The bytes of the body, without any chunked framing.
    pub body: Vec<u8>,
    /// The fields after a chunked body.
    pub trailers: Vec<(String, String)>,
    /// Which of the server's connections it came on, counted from 0.
    pub connection: usize,
    /// How many requests came before it on that connection.
    pub position: usize,
}

impl Request {
    /// The first value of a header, whatever the case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    /// All values of a header, whatever the case of its name.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    ///
    /// # Panics
    ///
    /// If it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is UTF-8")
    }

    /// Reads up to the empty line; `None` if the connection ended before anything came.
    pub(crate) fn read_head(
        reader: &mut impl BufRead,
        connection: usize,
        position: usize,
    ) -> io::Result<Option<Self>> {
        if reader.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let line = read_line(reader)?;
        let mut words = line.splitn(3, ' ').map(str::to_owned);
        let (Some(method), Some(target), Some(_)) = (words.next(), words.next(), words.next()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let headers = read_fields(reader)?;
        Ok(Some(Self { method, target, headers, body: vec![], trailers: vec![], connection, position }))
    }

    /// Reads the body that the head announced.
    pub(crate) fn read_body(&mut self, reader: &mut impl BufRead) -> io::Result<()> {
        if self.header("transfer-encoding").is_some() {
            loop {
                let line = read_line(reader)?;
                let size = line.split(';').next().unwrap_or_default();
                let size = u64::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
                if size == 0 {
                    break;
                }
                self.read_bytes(reader, size)?;
                read_line(reader)?;
            }
            self.trailers = read_fields(reader)?;
        } else if let Some(length) = self.header("content-length") {
            let length = length.parse().map_err(|_| io::ErrorKind::InvalidData)?;
            self.read_bytes(reader, length)?;
        }
        Ok(())
    }

    fn read_bytes(&mut self, reader: &mut impl BufRead, count: u64) -> io::Result<()> {
        match reader.take(count).read_to_end(&mut self.body)? as u64 {
            read if read == count => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Reads name-value pairs up to the empty line.
fn read_fields(reader: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            return Ok(fields);
        }
        let (name, value) = line.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
        fields.push((name.to_owned(), value.trim().to_owned()));
    }
}

/// Reads one line as Latin-1, without its end.
fn read_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    match line.strip_suffix(b"\r\n") {
        Some(line) => Ok(line.iter().copied().map(char::from).collect()),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
