//! One suite over all adapters: what a caller of any of them meets when targets misbehave.
//!
//! A test binary brings its adapter as `crate::Client`, with
//!
//! - `Client::new(targets: Vec<Target>, policy: Policy) -> Self`
//! - `call(&self, &Call) -> Outcome`: performs a call, reads the body of its answer, and panics after `LIMIT`
//! - `skim(&self, &Call) -> u16`: performs a call and drops its answer with the body unread
//! - `start(&self, Call) -> Started`, with `finish(self) -> Outcome` and `cancel(self)`, which drops the future
//! - `sticky(&self) -> usize`
//! - `STALE: Evidence`, for what a connection proves that had served and ended without an answer
//!
//! What only a transport of our own does is in `transport`, for the adapters that have one.
//!
//! Calls block, so that the tests read the same for every runtime and can wait for the lab's servers.

mod bodies;
pub(crate) mod connections;
mod failures;
mod judges;
mod load;
mod requests;
pub(crate) mod stale;
mod time;

use std::thread;
use std::time::Duration;

use failover_core::{Evidence, Policy, Reason, Target};
use failover_tests::lab::{Blackhole, Request, Server};
use http::Extensions;

use crate::Client;

/// A request as a caller makes it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// What holds for this call alone.
    pub(crate) own: Extensions,
}

pub(crate) type Outcome = Result<Answered, Stopped>;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    /// Or why it could not be read to its end.
    pub(crate) body: Result<Vec<u8>, String>,
    pub(crate) target: usize,
    pub(crate) failures: Vec<Failed>,
}

/// No answer.
#[derive(Debug)]
pub(crate) struct Stopped {
    pub(crate) reason: Reason,
    pub(crate) failures: Vec<Failed>,
    /// Status and body of the last answer that was given up.
    pub(crate) answer: Option<(u16, Vec<u8>)>,
    /// The error as it displays.
    pub(crate) message: String,
    /// The error's `Debug`, and those of all its sources.
    pub(crate) debug: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Failed {
    pub(crate) target: usize,
    pub(crate) evidence: Option<Evidence>,
    pub(crate) status: Option<u16>,
}

impl Call {
    pub(crate) fn new(method: &str, path: &str, body: impl Into<Vec<u8>>) -> Self {
        let (headers, own) = (vec![], Extensions::new());
        Self { method: method.to_owned(), path: path.to_owned(), headers, body: body.into(), own }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new("GET", path, "")
    }

    pub(crate) fn post(body: impl Into<Vec<u8>>) -> Self {
        Self::new("POST", "/pay", body)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn own(mut self, extension: impl Clone + Send + Sync + 'static) -> Self {
        self.own.insert(extension);
        self
    }
}

impl Answered {
    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(self.body.as_ref().expect("the body can be read")).expect("the body is UTF-8")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// A place that a target's URL leads to.
struct Place {
    url: String,
    /// It keeps its clients waiting, which then wait for [`ATTEMPT`] only.
    is_silent: bool,
    server: Option<Server>,
    _blackhole: Option<Blackhole>,
}

impl Place {
    fn server(server: Server) -> Self {
        Self { url: server.url(), is_silent: false, server: Some(server), _blackhole: None }
    }

    fn blackhole() -> Self {
        let blackhole = Blackhole::new();
        Self { url: blackhole.url(), is_silent: true, server: None, _blackhole: Some(blackhole) }
    }

    fn nowhere(url: &str) -> Self {
        Self { url: url.to_owned(), is_silent: false, server: None, _blackhole: None }
    }

    fn silent(self) -> Self {
        Self { is_silent: true, ..self }
    }

    fn over_tls(self) -> Self {
        Self { url: self.url.replace("http:", "https:"), ..self }
    }

    fn target(&self) -> Target {
        let target = target(&self.url);
        if self.is_silent { target.attempt_timeout(ATTEMPT) } else { target }
    }

    /// The requests that were executed there.
    fn requests(&self) -> Vec<Request> {
        self.server.as_ref().map(Server::requests).unwrap_or_default()
    }

    fn executed(&self) -> usize {
        self.requests().len()
    }
}

/// A client of these servers whose attempts may take [`PATIENCE`].
pub(crate) fn client<const N: usize>(servers: [&Server; N]) -> Client {
    client_with(servers, policy())
}

pub(crate) fn client_with<const N: usize>(servers: [&Server; N], policy: Policy) -> Client {
    Client::new(servers.map(|server| target(&server.url())).into(), policy)
}

pub(crate) fn target(url: &str) -> Target {
    Target::parse(url).expect("the URL is one of a target")
}

pub(crate) fn policy() -> Policy {
    Policy::default().attempt_timeout(PATIENCE).deadline(None)
}

/// Examines all cases at once, since many of them take a time to fail; the name of a case that panics is its thread's.
pub(crate) fn each<C: Send>(cases: impl IntoIterator<Item = (&'static str, C)>, examine: impl Fn(C) + Sync) {
    thread::scope(|scope| {
        for (name, case) in cases {
            let examine = &examine;
            thread::Builder::new()
                .name(name.to_owned())
                .spawn_scoped(scope, move || examine(case))
                .expect("a thread is to be had");
        }
    });
}

/// The bound of an attempt at a target that does not answer: short enough to wait for, and long enough that it has read the
/// request.
const ATTEMPT: Duration = Duration::from_secs(2);

/// The bound of an attempt at a target that answers, on a machine that is busy, too.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
