//! A client of HTTP/2 that sends frames as no library would.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use failover_tests::lab::LIMIT;
use socket2::{Domain, Socket, Type};

use crate::Gateway;

/// A connection of HTTP/2, whose client keeps to nothing but the preface.
pub(crate) struct Frames(TcpStream);

/// A frame as it came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// It has its answer, whose status is 200.
    Answered,
    /// It has an answer with another status.
    Refused,
    /// Its stream was reset.
    Reset,
    /// The connection ended.
    Closed,
}

impl Frames {
    pub(crate) fn to(gateway: &Gateway) -> Self {
        Self::with_settings(gateway, &[])
    }

    /// Announces these settings.
    pub(crate) fn with_settings(gateway: &Gateway, settings: &[(u16, u32)]) -> Self {
        let address: SocketAddr = gateway.url.strip_prefix("http://").unwrap().parse().unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        // What is not read is soon noticed where it is sent.
        socket.set_recv_buffer_size(16 << 10).unwrap();
        socket.connect(&address.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut this = Self(stream);
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend_from_slice(&name.to_be_bytes());
            payload.extend_from_slice(&value.to_be_bytes());
        }
        let begun = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(SETTINGS, 0, 0, &payload)].concat();
        assert!(this.send(&begun));
        this
    }

    /// Sends, and tells whether it was taken: not if the connection has ended, or if nothing is read there for a while.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// The next frame; `None` if the connection ended.
    pub(crate) fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.fill(&mut head)?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        self.fill(&mut payload)?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Reads until it is clear what becomes of the request on a stream.
    pub(crate) fn outcome(&mut self, stream: u32) -> Outcome {
        let mut status = Outcome::Refused;
        while let Some(frame) = self.read() {
            if frame.kind == GOAWAY && frame.payload[4..8] != [0; 4] {
                return Outcome::Closed;
            }
            if frame.stream != stream {
                continue;
            }
            match frame.kind {
                RST_STREAM => return Outcome::Reset,
                HEADERS if frame.payload.contains(&STATUS_200) => status = Outcome::Answered,
                _ => {}
            }
            if matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
                return status;
            }
        }
        Outcome::Closed
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Option<()> {
        match self.0.read_exact(buffer) {
            Ok(()) => Some(()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("nothing came: {error}")
            }
            Err(_) => None,
        }
    }
}

/// A frame of its parts.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A request's whole head.
pub(crate) fn head(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, flags | END_HEADERS, stream, &block(fields))
}

/// A GET's whole head, with which it ends.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    head(stream, END_STREAM, &[(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", path)])
}

/// Fields as they are, none of which is to be remembered (RFC 7541, section 6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            bytes.extend_from_slice(&length(text.len()));
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

/// The length of a text (RFC 7541, section 5.1).
pub(crate) fn length(length: usize) -> Vec<u8> {
    let Some(mut rest) = length.checked_sub(127) else { return vec![u8::try_from(length).unwrap()] };
    let mut bytes = vec![127];
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// How long nothing may be taken of what is sent.
const PATIENCE: Duration = Duration::from_secs(1);

/// In the table that everybody knows (RFC 7541, appendix A).
const STATUS_200: u8 = 0x88;
