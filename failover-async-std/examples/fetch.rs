//! A command-line client that fails over.
//!
//! ```console
//! $ cargo run -p failover-async-std --example fetch -- --config failover-async-std/examples/fetch.toml /
//! ```

use std::borrow::Cow;
use std::env;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use async_std::task;
use failover_async_std::core::Config;
use failover_async_std::{Answered, AttemptError, Error, FailoverClient, Failure, Target, Transport};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request};
use serde::{Deserialize, Serialize};
use surf::middleware::Next;
use surf::utils::async_trait;

fn main() -> ExitCode {
    let options = match Options::parse(env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => return if print(USAGE.as_bytes()) { ExitCode::SUCCESS } else { ExitCode::FAILURE },
        Err(message) => return refuse(&message),
    };
    let client = match client(&options.config) {
        Ok(client) => client,
        Err(message) => return refuse(&message),
    };
    let answered = task::block_on(async {
        let mut answered = true;
        for _ in 0..options.repeat {
            answered &= options.call(&client).await;
        }
        answered
    });
    if answered { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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

struct Options {
    config: String,
    method: Method,
    headers: HeaderMap,
    data: String,
    repeat: u64,
    json: bool,
    path: String,
}

impl Options {
    /// Reads the flags; `None` asks for help.
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let (mut config, mut method, mut data, mut path) = (None, None, None, None);
        let (mut headers, mut repeat, mut json) = (HeaderMap::new(), 1, false);
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "-h" | "--help" => return Ok(None),
                "--json" => json = true,
                "--config" => config = Some(value()?),
                "-X" => method = Some(parse_method(&value()?)?),
                "-H" => {
                    let (name, value) = header(&value()?)?;
                    headers.append(name, value);
                }
                "-d" => data = Some(value()?),
                "--repeat" => repeat = count(&value()?)?,
                flag if flag.starts_with('-') => return Err(format!("unknown flag {flag}: try --help")),
                _ if path.is_some() => return Err("more than one PATH: try --help".to_owned()),
                _ => {
                    Target::path(&arg).map_err(|error| format!("PATH: {error}"))?;
                    path = Some(arg);
                }
            }
        }
        let default = if data.is_some() { Method::POST } else { Method::GET };
        Ok(Some(Self {
            config: config.ok_or("--config is missing: try --help")?,
            method: method.unwrap_or(default),
            headers,
            data: data.unwrap_or_default(),
            repeat,
            json,
            path: path.ok_or("PATH is missing: try --help")?,
        }))
    }

    /// Makes one call and prints what comes of it; tells whether there was a whole response.
    async fn call(&self, client: &FailoverClient) -> bool {
        let began = now();
        let outcome = match self.send(client).await {
            Ok(response) => Outcome::of(response).await,
            Err(error) => Outcome::of_error(error).await,
        };
        if self.json {
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

    async fn send(&self, client: &FailoverClient) -> Result<surf::Response, Error> {
        let path = Target::path(&self.path)?;
        let mut request = Request::new(self.data.clone());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = path.into();
        *request.headers_mut() = self.headers.clone();
        client.request(request).await
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

fn parse_method(name: &str) -> Result<Method, String> {
    let method = name.parse().ok().filter(|method| *method != Method::CONNECT);
    method.ok_or_else(|| format!("-X {name}: expected a method such as GET, and not CONNECT"))
}

/// The value may be a secret and is not shown.
fn header(line: &str) -> Result<(HeaderName, HeaderValue), String> {
    let parts = line.split_once(':').and_then(|(name, value)| {
        Some((name.trim().parse::<HeaderName>().ok()?, HeaderValue::from_str(value.trim()).ok()?))
    });
    parts.ok_or_else(|| "-H: expected 'Name: value'".to_owned())
}

fn count(value: &str) -> Result<u64, String> {
    let count = value.parse().ok().filter(|count| *count > 0);
    count.ok_or_else(|| format!("--repeat {value}: expected a number from 1 on"))
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

fn refuse(message: &str) -> ExitCode {
    complain(message);
    ExitCode::from(2)
}

#[expect(clippy::disallowed_methods, reason = "async-std has no clock of its own")]
fn now() -> Instant {
    Instant::now()
}

const USAGE: &str = "\
Makes calls through an ordered list of targets, and prints what comes back.

Usage: fetch --config FILE [-X METHOD] [-H 'Name: value']... [-d DATA] [--repeat N] [--json] PATH

  --config FILE       a TOML file whose table [failover] has the targets and the policy
  -X METHOD           the method [GET, or POST with -d]
  -H 'Name: value'    a header; may be repeated
  -d DATA             the body
  --repeat N          makes so many calls, one after the other [1]
  --json              prints a line for each call: what came back, or why nothing did
  --help              prints this

Exit code: 0 if every call got a response, 1 if one did not, 2 for a flag or a configuration that makes no sense.
";
