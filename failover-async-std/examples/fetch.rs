//! A command-line client that fails over.
//!
//! ```console
//! $ cargo run -p failover-async-std --example fetch -- --config failover-async-std/examples/fetch.toml /
//! ```

use std::borrow::Cow;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use async_std::task;
use clap::{CommandFactory, Parser, value_parser};
use failover_async_std::{Answered, AttemptError, Config, Error, FailoverClient, Failure, Target, Transport};
use http::header::{HeaderName, HeaderValue};
use http::{Method, Request};
use serde::{Deserialize, Serialize};
use surf::middleware::Next;
use surf::utils::async_trait;

/// Makes calls through an ordered list of targets, and prints what comes back
#[derive(Parser)]
#[command(name = "fetch", version, after_help = AFTER)]
struct Options {
    /// A TOML file whose table [failover] has the targets and the policy
    #[arg(long, value_name = "FILE")]
    config: String,
    /// The method [default: GET, or POST with -d]
    #[arg(short = 'X', value_name = "METHOD", value_parser = method)]
    method: Option<Method>,
    /// A header; may be repeated
    #[arg(short = 'H', value_name = "Name: value", allow_hyphen_values = true)]
    headers: Vec<String>,
    /// The body
    #[arg(short, allow_hyphen_values = true)]
    data: Option<String>,
    /// Makes so many calls, one after the other
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u64).range(1..))]
    repeat: u64,
    /// Prints a line for each call: what came back, or why nothing did
    #[arg(long)]
    json: bool,
    /// What is asked for: a path, and a query if there is one
    path: String,
}

fn main() -> ExitCode {
    let options = Options::try_parse().unwrap_or_else(|error| {
        // What may hold a password, or be a part of a header, is not shown.
        let may_be_secret = |arg: OsString| {
            let arg = arg.to_string_lossy();
            arg.contains('@') || arg.starts_with("-H") || arg.starts_with("--header")
        };
        let is_secret = error.use_stderr() && env::args_os().any(may_be_secret);
        if is_secret { Options::command().error(error.kind(), error.kind()).exit() } else { error.exit() }
    });
    let ready = options.request().and_then(|request| Ok((client(&options.config)?, request)));
    let (client, request) = match ready {
        Ok(ready) => ready,
        Err(message) => {
            complain(&message);
            return ExitCode::from(2);
        }
    };
    let answered = task::block_on(async {
        let mut answered = true;
        for _ in 0..options.repeat {
            answered &= call(&client, request.clone(), options.json).await;
        }
        answered
    });
    if answered { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Options {
    /// The request. What may be a secret is in no error.
    fn request(&self) -> Result<Request<String>, String> {
        let path = Target::path(&self.path).map_err(|error| format!("PATH: {error}"))?;
        let default = if self.data.is_some() { Method::POST } else { Method::GET };
        let mut request = Request::new(self.data.clone().unwrap_or_default());
        *request.method_mut() = self.method.clone().unwrap_or(default);
        *request.uri_mut() = path.into();
        for line in &self.headers {
            let header = line.split_once(':').and_then(|(name, value)| {
                Some((name.trim().parse::<HeaderName>().ok()?, HeaderValue::from_str(value.trim()).ok()?))
            });
            let (name, value) = header.ok_or("-H: expected 'Name: value'")?;
            request.headers_mut().append(name, value);
        }
        Ok(request)
    }
}

fn method(name: &str) -> Result<Method, &'static str> {
    let method = name.parse().ok().filter(|method| *method != Method::CONNECT);
    method.ok_or("expected a method such as GET, and not CONNECT")
}

/// The client that a file configures. On a terminal it tells what it does.
fn client(path: &str) -> Result<FailoverClient, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    // The whole text of such an error shows the line, which may hold a secret.
    let refuse = |error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("{path}:{}: {}", before.matches('\n').count() + 1, error.message())
    };
    let File { failover } = toml::from_str(&text).map_err(refuse)?;
    let mut builder = FailoverClient::builder().policy(failover.policy);
    for target in failover.targets {
        builder = builder.target(target);
    }
    if io::stderr().is_terminal() {
        let transport = Transport::new().unwrap_or_else(|_| Transport::plain());
        builder = builder.client(surf::Client::with_http_client(transport).with(Narrator));
    }
    builder.build().map_err(|error| format!("{path}: {error}"))
}

/// The part of a configuration file that is for the client.
#[derive(Deserialize)]
struct File {
    failover: Config,
}

/// Makes one call and prints what comes of it; tells whether there was a whole response.
async fn call(client: &FailoverClient, request: Request<String>, json: bool) -> bool {
    let began = now();
    let outcome = match client.request(request).await {
        Ok(response) => Outcome::of(response).await,
        Err(error) => Outcome::of_error(error).await,
    };
    if json {
        let line = outcome.json(began.elapsed());
        return line.is_ok_and(|line| print(format!("{line}\n").as_bytes())) && outcome.result.is_ok();
    }
    match &outcome.result {
        Ok((_, body)) => {
            let open_line = io::stdout().is_terminal() && !body.ends_with(b"\n") && !body.is_empty();
            print(body) && (!open_line || print(b"\n"))
        }
        Err((message, _)) => {
            complain(message);
            false
        }
    }
}

/// What came of a call.
struct Outcome {
    /// Status and body, or a message and a reason.
    result: Result<(u16, Vec<u8>), (String, &'static str)>,
    target: usize,
    attempts: usize,
    failures: Vec<Told>,
}

impl Outcome {
    async fn of(mut response: surf::Response) -> Self {
        let answered = response.ext::<Answered>().cloned();
        let body = response.take_body();
        Self::answered(response.status().into(), body, answered).await
    }

    async fn of_error(error: Error) -> Self {
        let (message, reason) = match error {
            // Not even surf's narrow types keep us from showing what the target said.
            Error::Unrepresentable(answer) => {
                let (mut head, body) = answer.into_response().into_parts();
                return Self::answered(head.status.as_u16(), body, head.extensions.remove()).await;
            }
            Error::Stopped(stopped) => {
                let result = Err((stopped.to_string(), stopped.reason().as_str()));
                let failures = stopped.failures();
                return Self { result, target: 0, attempts: failures.len(), failures: told(failures) };
            }
            Error::Method => (error.to_string(), "method"),
            Error::Path(_) => (error.to_string(), "path"),
            _ => (error.to_string(), "request"),
        };
        Self { result: Err((message, reason)), target: 0, attempts: 0, failures: vec![] }
    }

    async fn answered(status: u16, body: surf::Body, answered: Option<Answered>) -> Self {
        let result = match body.into_bytes().await {
            Ok(body) => Ok((status, body)),
            Err(_) => Err(("the answer's body broke off".to_owned(), "broken_body")),
        };
        let failures = answered.as_ref().map_or_else(Vec::new, |answered| told(answered.failures()));
        let target = answered.as_ref().map_or(0, Answered::target);
        Self { result, target, attempts: answered.as_ref().map_or(1, Answered::attempts), failures }
    }

    /// The outcome as one line of JSON.
    fn json(&self, elapsed: Duration) -> serde_json::Result<String> {
        let (attempts, failures) = (self.attempts, &self.failures[..]);
        match &self.result {
            Ok((status, body)) => serde_json::to_string(&Whole {
                status: *status,
                target: self.target,
                attempts,
                failures,
                body: String::from_utf8_lossy(body),
                elapsed_ms: (elapsed.as_secs_f64() * 10_000.0).round() / 10.0,
            }),
            Err((error, reason)) => serde_json::to_string(&Failed { error, reason, attempts, failures }),
        }
    }
}

#[derive(Serialize)]
struct Whole<'a> {
    status: u16,
    target: usize,
    attempts: usize,
    failures: &'a [Told],
    body: Cow<'a, str>,
    elapsed_ms: f64,
}

#[derive(Serialize)]
struct Failed<'a> {
    error: &'a str,
    reason: &'a str,
    attempts: usize,
    failures: &'a [Told],
}

/// A failure as it is told.
#[derive(Serialize)]
#[serde(untagged)]
enum Told {
    Error { target: usize, evidence: &'static str, error: String },
    Status { target: usize, status: Option<u16> },
}

fn told(failures: &[Failure<AttemptError>]) -> Vec<Told> {
    let told = |failure: &Failure<AttemptError>| match (failure.evidence(), failure.error()) {
        (Some(evidence), Some(error)) => {
            Told::Error { target: failure.target(), evidence: evidence.as_str(), error: error.to_string() }
        }
        _ => {
            Told::Status { target: failure.target(), status: failure.status().map(|status| status.as_u16()) }
        }
    };
    failures.iter().map(told).collect()
}

/// Tells what each attempt tries, and how it ends.
struct Narrator;

#[async_trait]
impl surf::middleware::Middleware for Narrator {
    async fn handle(
        &self,
        request: surf::Request,
        client: surf::Client,
        next: Next<'_>,
    ) -> surf::Result<surf::Response> {
        let place = request.url().origin().ascii_serialization();
        complain(&format!("trying {place}"));
        let mut attempt = Trying { place, began: now(), ended: false };
        let result = next.run(request, client).await;
        attempt.end(&match &result {
            Ok(response) => format!("answered {}", response.status()),
            Err(error) => format!("failed: {error}"),
        });
        result
    }
}

/// An attempt whose end is told, also where it is dropped because its time is over.
struct Trying {
    place: String,
    began: Instant,
    ended: bool,
}

impl Trying {
    fn end(&mut self, how: &str) {
        self.ended = true;
        complain(&format!("{} after {:.1?} {how}", self.place, self.began.elapsed()));
    }
}

impl Drop for Trying {
    fn drop(&mut self) {
        if !self.ended {
            self.end("had not answered: given up");
        }
    }
}

/// Prints, and tells whether that succeeded.
fn print(bytes: &[u8]) -> bool {
    let mut stdout = io::stdout();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).is_ok()
}

fn complain(message: &str) {
    let message: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let _ = writeln!(io::stderr(), "fetch: {message}");
}

#[expect(clippy::disallowed_methods, reason = "async-std has no clock of its own")]
fn now() -> Instant {
    Instant::now()
}

const AFTER: &str = "\
Exit code: 0 if every call got a response, 1 if one did not, 2 for a flag or a configuration that makes no sense.";
