//! A driver on `std::net` alone.
//!
//! `cargo run -p failover-core --example blocking -- /path http://localhost:8080/base http://localhost:8081`

#[path = "common/by_hand.rs"]
mod by_hand;
mod common;
#[path = "common/net.rs"]
mod net;

use std::io::{self, ErrorKind};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use failover_core::{Action, Evidence, Facts, Target, Timestamp};
use http::{HeaderMap, Method, Response, uri::PathAndQuery};

fn main() -> ExitCode {
    // One for all calls of a group, whose times are counted from it.
    let origin = Instant::now();
    common::run(|group, path| {
        let now = || Timestamp::from(origin.elapsed());
        let mut action = group.begin(Facts::of(&Method::GET, &HeaderMap::new()), now());
        loop {
            action = match action {
                Action::Send(attempt) => {
                    let bounds = [attempt.connect_timeout(), attempt.timeout()];
                    match get(attempt.target(), path, bounds) {
                        Ok(response) => attempt.handle_response(response.status(), None, response, now()),
                        Err((evidence, error)) if error.kind() == ErrorKind::TimedOut => {
                            attempt.timed_out(evidence, error, now())
                        }
                        Err((evidence, error)) => attempt.handle_error(evidence, error, now()),
                    }
                }
                Action::Wait(wait) => {
                    sleep(wait.pause());
                    wait.resume(now())
                }
                Action::Return(answer) => {
                    // An answer is reported when all of it was read.
                    group.body_whole(answer.body(), now());
                    return Ok(answer);
                }
                Action::Fail(stopped) => return Err(stopped),
            };
        }
    })
}

/// Once the connection stands, nothing proves that the request was not executed.
fn get(
    target: &Target,
    path: &PathAndQuery,
    [connect, all]: [Duration; 2],
) -> Result<Response<Vec<u8>>, (Evidence, io::Error)> {
    let began = Instant::now();
    let unconnected = |error| (Evidence::NoConnection, error);
    let (address, request) = by_hand::request(target, path).map_err(unconnected)?;
    let stream = net::connect(&address, began + connect).map_err(unconnected)?;
    net::exchange(stream, &request, began + all).map_err(|error| (Evidence::MaybeProcessed, error))
}
