//! The access log: a line of JSON for each request that was passed on, with all its attempts.

use std::fs::OpenOptions;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use failover_tokio::{AttemptError, Failure, Lines};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Request, StatusCode, Version};
use serde::{Serialize, Serializer};
use tokio::time::Instant;

use crate::caller::Caller;
use crate::failed::Failed;
use crate::ledger::Watched;

/// Where the lines go.
#[derive(Clone)]
pub(crate) struct AccessLog(Lines);

impl AccessLog {
    /// A log in a file, which is appended to, or on stdout if the path is `-`.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new(STDOUT) {
            return Ok(Self(Lines::to(io::stdout())));
        }
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self(Lines::to(file)))
    }

    /// Begins the record of a request, which is known by an identifier: its own, or a new one that its targets get, too.
    pub(crate) fn begin<B>(&self, request: &mut Request<B>, caller: &Caller) -> Box<Record> {
        let id = request.headers().get(&REQUEST_ID).filter(|id| is_id(id)).cloned().unwrap_or_else(new_id);
        request.headers_mut().insert(REQUEST_ID, id.clone());
        let line = Line {
            at: SystemTime::now(),
            id: id.to_str().unwrap_or_default().to_owned(),
            trace: trace(request.headers()),
            client: caller.address.map(|address| address.to_canonical().to_string()),
            method: request.method().to_string(),
            path: request.uri().path().chars().take(LONGEST_PATH).collect(),
            version: match request.version() {
                Version::HTTP_10 => "1.0",
                Version::HTTP_2 => "2",
                _ => "1.1",
            },
            status: None,
            bytes: 0,
            whole: false,
            took: 0.0,
            target: None,
            stopped: None,
            attempts: Vec::new(),
        };
        Box::new(Record { line, began: Instant::now(), log: self.clone() })
    }

    /// Waits until everything so far is written, if that takes no longer than usual.
    pub(crate) fn flush(&self) {
        self.0.flush();
    }
}

/// What becomes of a request. The line is written when this is dropped: once all of the answer is sent, or will not be.
pub(crate) struct Record {
    line: Line,
    began: Instant,
    log: AccessLog,
}

#[derive(Serialize)]
struct Line {
    #[serde(serialize_with = "rfc3339")]
    at: SystemTime,
    id: String,
    /// The trace that it is a part of (W3C Trace Context).
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
    client: Option<String>,
    method: String,
    /// Its beginning, without the query, which may hold secrets.
    path: String,
    version: &'static str,
    /// `None` if the client left before there was one.
    status: Option<u16>,
    /// Of the answer's body.
    bytes: u64,
    /// Whether all of the answer was sent.
    whole: bool,
    /// In seconds, to the end of the answer.
    took: f64,
    /// Whose answer it is.
    target: Option<LoggedTarget>,
    /// Why there was no good answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<&'static str>,
    /// Those that failed.
    attempts: Vec<LoggedAttempt>,
}

#[derive(Serialize)]
struct LoggedTarget {
    index: usize,
    /// Where the list was replaced meanwhile, it is not known.
    name: Option<String>,
}

#[derive(Serialize)]
struct LoggedAttempt {
    #[serde(flatten)]
    target: LoggedTarget,
    #[serde(flatten)]
    failed: Failed,
}

impl Record {
    /// The call ended with an answer of a target, or stopped for a reason.
    pub(crate) fn call(
        &mut self,
        outcome: Result<usize, &'static str>,
        failures: &[Failure<AttemptError>],
        targets: &[Watched],
    ) {
        let place = |index: usize| LoggedTarget {
            index,
            name: targets.get(index).map(|watched| watched.name().to_owned()),
        };
        self.line.target = outcome.ok().map(place);
        self.line.stopped = outcome.err();
        let attempt = |failure: &Failure<AttemptError>| LoggedAttempt {
            target: place(failure.target()),
            failed: Failed::of(failure),
        };
        self.line.attempts = failures.iter().map(attempt).collect();
    }

    /// The answer has this status.
    pub(crate) fn answer(&mut self, status: StatusCode) {
        self.line.status = Some(status.as_u16());
    }

    /// A piece of the answer's body is sent.
    pub(crate) fn sends(&mut self, bytes: usize) {
        self.line.bytes += bytes as u64;
    }

    /// All of the answer's body was sent.
    pub(crate) fn ends(&mut self) {
        self.line.whole = true;
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.line.took = self.began.elapsed().as_secs_f64();
        let mut line = serde_json::to_vec(&self.line).unwrap_or_default();
        line.push(b'\n');
        self.log.0.take(line);
    }
}

/// The path of an access log in a configuration's folder.
pub(crate) fn path(text: &str, folder: &Path) -> PathBuf {
    if text == STDOUT { text.into() } else { folder.join(text) }
}

/// Whether an identifier of somebody else's is taken over.
fn is_id(id: &HeaderValue) -> bool {
    let id = id.as_bytes();
    (1..=LONGEST_ID).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

/// An identifier that no other request has.
fn new_id() -> HeaderValue {
    static PROCESS: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(SystemTime::now()));
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = format!("{:016x}{:016x}", *PROCESS, NEXT.fetch_add(1, Ordering::Relaxed));
    HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("-"))
}

/// The trace in `traceparent`, which is passed on as it is.
fn trace(headers: &HeaderMap) -> Option<String> {
    let parent = headers.get("traceparent")?.to_str().ok()?;
    let trace = parent.split('-').nth(1).filter(|trace| trace.len() == 32)?;
    trace.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| trace.to_owned())
}

fn rfc3339<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_micros(*at))
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Of an identifier that is taken over, in bytes.
const LONGEST_ID: usize = 128;

/// Of a path that is told, in characters.
const LONGEST_PATH: usize = 2 << 10;

const STDOUT: &str = "-";
