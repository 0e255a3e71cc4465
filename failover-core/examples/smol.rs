//! A driver on smol.
//!
//! `cargo run -p failover-core --example smol -- /path http://localhost:8080/base http://localhost:8081`

#[path = "common/by_hand.rs"]
mod by_hand;
mod common;

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Instant;

use failover_core::{Action, Attempt, Evidence, Expired, Facts, Target, Timestamp};
use http::{HeaderMap, Method, Response, uri::PathAndQuery};
use smol::Timer;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;

fn main() -> ExitCode {
    // One for all calls of a group, whose times are counted from it.
    let origin = Instant::now();
    common::run(|group, path| {
        smol::block_on(async {
            let now = || Timestamp::from(origin.elapsed());
            let mut action = group.begin(Facts::of(&Method::GET, &HeaderMap::new()), now());
            loop {
                action = match action {
                    Action::Send(attempt) => {
                        let target = &group.targets()[attempt.index()];
                        send(attempt, target, path, now).await
                    }
                    Action::Wait(wait) => {
                        Timer::after(wait.pause()).await;
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
    })
}

/// Sends the request, and waits for as long as the machine says.
async fn send(
    mut attempt: Attempt<Target, Response<Vec<u8>>, io::Error>,
    target: &Target,
    path: &PathAndQuery,
    now: impl Fn() -> Timestamp,
) -> Action<Target, Response<Vec<u8>>, io::Error> {
    let began = Instant::now();
    let is_connected = Cell::new(false);
    // Once the connection stands, nothing proves that the request was not executed.
    let evidence = || if is_connected.get() { Evidence::MaybeProcessed } else { Evidence::NoConnection };
    let mut answer = pin!(get(target, path, &is_connected));
    let mut asked = began;
    loop {
        let mut until = asked + attempt.bound();
        if !is_connected.get() {
            until = until.min(began + attempt.connect_timeout());
        }
        match by(until, answer.as_mut()).await {
            Some(Ok(response)) => return attempt.handle_response(response.status(), None, response, now()),
            Some(Err(error)) => return attempt.handle_error(evidence(), error, now()),
            None => asked = Instant::now(),
        }
        attempt = match attempt.expired(evidence(), ErrorKind::TimedOut.into(), now()) {
            Expired::WaitOn(attempt) => attempt,
            Expired::Next(action) => return action,
        };
    }
}

async fn get(
    target: &Target,
    path: &PathAndQuery,
    is_connected: &Cell<bool>,
) -> io::Result<Response<Vec<u8>>> {
    let (host, request) = by_hand::request(target, path)?;
    let mut stream = TcpStream::connect(host).await?;
    is_connected.set(true);
    stream.write_all(&request).await?;
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await?;
    by_hand::response(&read)
}

/// The result of `work`, if it is there in time.
async fn by<T>(until: Instant, work: impl Future<Output = T>) -> Option<T> {
    let timer = async {
        Timer::at(until).await;
        None
    };
    smol::future::or(async { Some(work.await) }, timer).await
}
