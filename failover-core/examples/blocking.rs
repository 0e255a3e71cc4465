//! A driver on `std::net` alone.
//!
//! `cargo run -p failover-core --example blocking -- /path http://localhost:8080/base http://localhost:8081`

mod common;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use failover_core::{Action, Evidence, Facts, Target, Timestamp};
use http::{HeaderMap, Method, Response, uri::PathAndQuery};

fn main() -> ExitCode {
    common::run(|group, path| {
        let origin = Instant::now();
        let now = || Timestamp::from(origin.elapsed());
        let mut action = Action::Send(group.begin(Facts::of(&Method::GET, &HeaderMap::new()), now()));
        loop {
            action = match action {
                Action::Send(attempt) => match get(attempt.target(), path, attempt.timeout()) {
                    Ok(response) => attempt.handle_response(response.status(), None, response, now()),
                    Err((evidence, error)) => attempt.handle_error(evidence, error, now()),
                },
                Action::Wait(wait) => {
                    sleep(wait.pause());
                    wait.resume(now())
                }
                Action::Return(answer) => return Ok(answer),
                Action::Fail(stopped) => return Err(stopped),
            };
        }
    })
}

/// Once the connection stands, nothing proves that the request was not executed.
fn get(
    target: &Target,
    path: &PathAndQuery,
    bound: Duration,
) -> Result<Response<Vec<u8>>, (Evidence, io::Error)> {
    let until = Instant::now() + bound;
    let not_sent = |error| (Evidence::NotSent, error);
    let (address, request) = common::request(target, path).map_err(not_sent)?;
    let stream = connect(&address, until).map_err(not_sent)?;
    exchange(stream, &request, until).map_err(|error| (Evidence::MaybeProcessed, error))
}

fn connect(host: &str, until: Instant) -> io::Result<TcpStream> {
    let (mut addresses, mut connected) = (host.to_socket_addrs()?, Err(ErrorKind::NotFound.into()));
    while let (Err(_), Some(address)) = (&connected, addresses.next()) {
        connected = TcpStream::connect_timeout(&address, left(until)?);
    }
    connected
}

fn exchange(mut stream: TcpStream, request: &[u8], until: Instant) -> io::Result<Response<Vec<u8>>> {
    stream.set_write_timeout(Some(left(until)?))?;
    stream.write_all(request)?;
    let (mut read, mut chunk) = (Vec::new(), [0; 8 << 10]);
    loop {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut chunk) {
            Ok(0) => return common::response(&read),
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
