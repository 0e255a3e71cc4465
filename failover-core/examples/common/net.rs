//! A connection of `std::net` that keeps to a time.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use http::Response;

use crate::by_hand;

/// Tries each address of a host.
pub(crate) fn connect(host: &str, until: Instant) -> io::Result<TcpStream> {
    let (mut addresses, mut connected) = (host.to_socket_addrs()?, Err(ErrorKind::NotFound.into()));
    while let (Err(_), Some(address)) = (&connected, addresses.next()) {
        connected = TcpStream::connect_timeout(&address, left(until)?);
    }
    connected
}

/// Writes a request, and reads until the connection is closed.
pub(crate) fn exchange(
    mut stream: TcpStream,
    request: &[u8],
    until: Instant,
) -> io::Result<Response<Vec<u8>>> {
    stream.set_write_timeout(Some(left(until)?))?;
    stream.write_all(request)?;
    let (mut read, mut chunk) = (Vec::new(), [0; 8 << 10]);
    loop {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut chunk) {
            Ok(0) => return by_hand::response(&read),
            Ok(count) => read.extend(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {} // The time is up.
            Err(error) => return Err(error),
        }
    }
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}
