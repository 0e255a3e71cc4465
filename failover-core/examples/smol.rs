//! A driver on smol.
//!
//! `cargo run -p failover-core --example smol -- /path http://localhost:8080/base http://localhost:8081`

#[path = "common/by_hand.rs"]
mod by_hand;
mod common;

use std::io::{self, ErrorKind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use failover_core::{Action, Evidence, Facts, Target, Timestamp};
use http::{HeaderMap, Method, Response, uri::PathAndQuery};
use smol::Timer;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;

fn main() -> ExitCode {
    common::run(|group, path| {
        smol::block_on(async {
            let origin = Instant::now();
            let now = || Timestamp::from(origin.elapsed());
            let mut action = group.begin(Facts::of(&Method::GET, &HeaderMap::new()), now());
            loop {
                action = match action {
                    Action::Send(attempt) => match get(attempt.target(), path, attempt.timeout()).await {
                        Ok(response) => attempt.handle_response(response.status(), None, response, now()),
                        Err((evidence, error)) => attempt.handle_error(evidence, error, now()),
                    },
                    Action::Wait(wait) => {
                        Timer::after(wait.pause()).await;
                        wait.resume(now())
                    }
                    Action::Return(answer) => return Ok(answer),
                    Action::Fail(stopped) => return Err(stopped),
                };
            }
        })
    })
}

/// Once the connection stands, nothing proves that the request was not executed.
async fn get(
    target: &Target,
    path: &PathAndQuery,
    bound: Duration,
) -> Result<Response<Vec<u8>>, (Evidence, io::Error)> {
    let until = Instant::now() + bound;
    let unconnected = |error| (Evidence::NoConnection, error);
    let (host, request) = by_hand::request(target, path).map_err(unconnected)?;
    let stream = by(until, TcpStream::connect(host)).await.map_err(unconnected)?;
    by(until, exchange(stream, &request)).await.map_err(|error| (Evidence::MaybeProcessed, error))
}

async fn exchange(mut stream: TcpStream, request: &[u8]) -> io::Result<Response<Vec<u8>>> {
    stream.write_all(request).await?;
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await?;
    by_hand::response(&read)
}

/// The result of `work`, if it is there in time.
async fn by<T>(until: Instant, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let timer = async {
        Timer::at(until).await;
        Err(ErrorKind::TimedOut.into())
    };
    smol::future::or(work, timer).await
}
