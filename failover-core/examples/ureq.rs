//! A driver on ureq.
//!
//! `cargo run -p failover-core --example ureq -- /path http://localhost:8080/base http://localhost:8081`

mod common;

use std::io;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use failover_core::{Action, Evidence, Facts, Target, Timestamp};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Response};
use ureq::{Agent, Error, Timeout};

fn main() -> ExitCode {
    // A status is an answer, and no redirect is followed: what is sent where is for the machine to say.
    let agent: Agent =
        Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None).build().into();
    // One for all calls of a group, whose times are counted from it.
    let origin = Instant::now();
    common::run(|group, path| {
        let now = || Timestamp::from(origin.elapsed());
        let mut action = group.begin(Facts::of(&Method::GET, &HeaderMap::new()), now());
        loop {
            action = match action {
                Action::Send(attempt) => {
                    let bounds = [attempt.connect_timeout(), attempt.timeout()];
                    match get(&agent, attempt.target(), path, bounds) {
                        Ok(response) => attempt.handle_response(response.status(), None, response, now()),
                        Err(error @ Error::Timeout(_)) => {
                            attempt.timed_out(evidence(&error), error.into_io(), now())
                        }
                        Err(error) => attempt.handle_error(evidence(&error), error.into_io(), now()),
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

fn get(
    agent: &Agent,
    target: &Target,
    path: &PathAndQuery,
    [connect, all]: [Duration; 2],
) -> Result<Response<Vec<u8>>, Error> {
    let uri = target.uri(path).map_err(io::Error::other)?;
    // ureq bounds each part by itself, so together they may take longer. The bound of an attempt ends with the head.
    let config = agent.get(uri).config().timeout_resolve(Some(connect)).timeout_connect(Some(connect));
    let mut request = config.timeout_recv_response(Some(all)).build();
    for (name, value) in target.headers() {
        request = request.header(name, value);
    }
    let (head, body) = request.call()?.into_parts();
    // Where ureq's own limit ends a body, a whole answer is lost. A program that has one reports the head before it reads.
    let body = body.into_with_config().limit(u64::MAX).read_to_vec()?;
    Ok(Response::from_parts(head, body))
}

/// What ureq's error proves, since it sends each request once.
fn evidence(error: &Error) -> Evidence {
    match error {
        Error::HostNotFound
        | Error::ConnectionFailed
        | Error::Timeout(Timeout::Resolve | Timeout::Connect) => Evidence::NoConnection,
        // No connection that stands is refused any more.
        Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => Evidence::NoConnection,
        _ => Evidence::MaybeProcessed,
    }
}
