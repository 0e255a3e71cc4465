//! What a server does about one request.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::Request;

/// What a server does about one request: the bytes it sends, and when, and what becomes of the connection.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Complete heads that go before the answer.
    interim: String,
    version: &'static str,
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    trailers: Vec<(String, String)>,
    framing: Framing,
    /// How many bytes of the body are sent.
    cut: usize,
    before: Hold,
    halfway: Hold,
    end: End,
}

/// What becomes of a connection after a reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// The next request is awaited.
    KeepAlive,
    /// The connection is closed.
    Fin,
    /// The server's half of the connection is closed; what the client still sends is thrown away.
    HalfFin,
    /// The connection is reset.
    Reset,
    /// Nothing more is sent, while what the client sends is thrown away.
    Stall,
    /// Nothing more is sent, and nothing is read.
    Freeze,
    /// The server's half of the connection is closed when the next request begins to arrive; that is not executed.
    FinAtNext,
    /// The connection is reset when the next request begins to arrive; that is not executed.
    ResetAtNext,
}

/// A barrier at which servers wait until the test opens it.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<bool>, Condvar)>);

/// What a reply waits for.
#[derive(Clone, Debug)]
pub enum Hold {
    /// A time. It is there for what is slow by definition; where a test can say when, it opens a gate.
    For(Duration),
    /// A gate.
    Until(Gate),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Framing {
    Length,
    Chunked,
    Close,
    /// The body is all there is, head included.
    Raw,
    /// A head that never ends.
    Drip(Duration),
}

impl Reply {
    /// An answer with this status, whether or not it is one of HTTP, and no body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            interim: String::new(),
            version: "HTTP/1.1",
            status,
            headers: vec![],
            body: vec![],
            trailers: vec![],
            framing: Framing::Length,
            cut: usize::MAX,
            before: Hold::For(Duration::ZERO),
            halfway: Hold::For(Duration::ZERO),
            end: End::KeepAlive,
        }
    }

    /// A 200 with this body.
    #[must_use]
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200).body(body)
    }

    /// These bytes, then a FIN, unless [`end`](Self::end) says otherwise.
    #[must_use]
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { framing: Framing::Raw, ..Self::ok(bytes) }.end(End::Fin)
    }

    /// No answer, on a connection that stays open.
    #[must_use]
    pub fn stall() -> Self {
        Self::raw([]).end(End::Stall)
    }

    /// No answer, but a FIN.
    #[must_use]
    pub fn fin() -> Self {
        Self::raw([])
    }

    /// No answer, but a reset.
    #[must_use]
    pub fn reset() -> Self {
        Self::raw([]).end(End::Reset)
    }

    /// A head that goes on for ever, a byte each time this much time has passed.
    #[must_use]
    pub fn dripping(every: Duration) -> Self {
        Self { framing: Framing::Drip(every), ..Self::status(200) }.end(End::Fin)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body; in answer to HEAD, and with 204 and 304, none is sent.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Sends an interim answer first, such as 103.
    #[must_use]
    pub fn interim(mut self, status: u16) -> Self {
        let _ = write!(self.interim, "HTTP/1.1 {status} \r\nlink: </style.css>; rel=preload\r\n\r\n");
        self
    }

    /// Sends the body in chunks of at most 1000 bytes.
    #[must_use]
    pub fn chunked(self) -> Self {
        Self { framing: Framing::Chunked, ..self }
    }

    /// Sends the body in chunks, and this field after it.
    #[must_use]
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.to_owned(), value.to_owned()));
        self.chunked()
    }

    /// Lets the body end where the connection does.
    #[must_use]
    pub fn close_delimited(self) -> Self {
        Self { framing: Framing::Close, ..self }.end(End::Fin)
    }

    /// Answers as HTTP/1.0, with a close-delimited body.
    #[must_use]
    pub fn http10(self) -> Self {
        Self { version: "HTTP/1.0", ..self }.close_delimited()
    }

    /// Sends only this many bytes of the body that the head announces, then a FIN, unless
    /// [`end`](Self::end) says otherwise.
    #[must_use]
    pub fn cut(self, bytes: usize) -> Self {
        Self { cut: bytes, ..self }.end(End::Fin)
    }

    /// Waits before the first byte.
    #[must_use]
    pub fn after(self, hold: impl Into<Hold>) -> Self {
        Self { before: hold.into(), ..self }
    }

    /// Waits in the middle of the body.
    #[must_use]
    pub fn halfway(self, hold: impl Into<Hold>) -> Self {
        Self { halfway: hold.into(), ..self }
    }

    /// Sets what becomes of the connection.
    #[must_use]
    pub fn end(self, end: End) -> Self {
        Self { end, ..self }
    }

    pub(crate) fn ending(&self) -> End {
        self.end
    }

    /// Sends it; `goes_on` waits, and says whether the server is still to go on.
    pub(crate) fn write(
        &self,
        stream: &mut impl Write,
        request: &Request,
        goes_on: &dyn Fn(&Hold) -> bool,
    ) -> io::Result<()> {
        if !goes_on(&self.before) {
            return Ok(());
        }
        if let Framing::Drip(every) = self.framing {
            stream.write_all(b"HTTP/1.1 200 \r\nx-drip: ")?;
            while goes_on(&Hold::For(every)) {
                stream.write_all(b".")?;
            }
            return Ok(());
        }
        let mut bytes = self.head();
        if request.method != "HEAD" && !matches!(self.status, 204 | 304) {
            let sent = &self.body[..self.cut.min(self.body.len())];
            let (first, second) = sent.split_at(sent.len() / 2);
            self.frame(&mut bytes, first);
            if self.halfway.is_something() {
                stream.write_all(&bytes)?;
                bytes.clear();
                if !goes_on(&self.halfway) {
                    return Ok(());
                }
            }
            self.frame(&mut bytes, second);
            if self.framing == Framing::Chunked {
                if sent.len() < self.body.len() {
                    // The size of a chunk that will not come.
                    bytes.extend_from_slice(b"5\r\n");
                } else {
                    bytes.extend_from_slice(b"0\r\n");
                    write_fields(&mut bytes, &self.trailers);
                    bytes.extend_from_slice(b"\r\n");
                }
            }
        }
        stream.write_all(&bytes)
    }

    fn head(&self) -> Vec<u8> {
        if self.framing == Framing::Raw {
            return vec![];
        }
        let mut head = self.interim.clone().into_bytes();
        head.extend_from_slice(format!("{} {} \r\n", self.version, self.status).as_bytes());
        write_fields(&mut head, &self.headers);
        match self.framing {
            Framing::Length if self.status != 204 => {
                head.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
            }
            Framing::Chunked => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            _ => {}
        }
        head.extend_from_slice(b"\r\n");
        head
    }

    fn frame(&self, out: &mut Vec<u8>, body: &[u8]) {
        if self.framing != Framing::Chunked {
            out.extend_from_slice(body);
            return;
        }
        for chunk in body.chunks(1000) {
            out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens the gate, for good.
    pub fn open(&self) {
        let (open, changed) = &*self.0;
        *open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Waits for the gate, and at most for `time`; whether it is open.
    fn is_open_within(&self, time: Duration) -> bool {
        let (open, changed) = &*self.0;
        let open = open.lock().unwrap_or_else(PoisonError::into_inner);
        *changed.wait_timeout_while(open, time, |open| !*open).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Hold {
    /// Waits, in pieces; `goes_on_after` waits for a time and says whether the server is still to go on.
    pub(crate) fn goes_on(&self, goes_on_after: impl Fn(Duration) -> bool) -> bool {
        match self {
            Self::For(time) => goes_on_after(*time),
            Self::Until(gate) => {
                while goes_on_after(Duration::ZERO) {
                    if gate.is_open_within(Duration::from_millis(20)) {
                        return true;
                    }
                }
                false
            }
        }
    }

    fn is_something(&self) -> bool {
        !matches!(self, Self::For(Duration::ZERO))
    }
}

impl From<Duration> for Hold {
    fn from(time: Duration) -> Self {
        Self::For(time)
    }
}

impl From<&Gate> for Hold {
    fn from(gate: &Gate) -> Self {
        Self::Until(gate.clone())
    }
}

fn write_fields(out: &mut Vec<u8>, fields: &[(String, String)]) {
    for (name, value) in fields {
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
}
