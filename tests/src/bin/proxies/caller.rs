//! The callers: they ask over connections that are kept alive, and look at each answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, timeout};

use crate::Error;
use crate::backend::{ID, NAME, answer_to};

/// A call as its caller saw it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) is_post: bool,
    pub(crate) began: Instant,
    pub(crate) took: Duration,
    /// Who answered, or what went wrong.
    pub(crate) end: Result<Answerer, String>,
}

/// A backend, by its place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Answerer {
    First,
    Second,
}

/// Who calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Load {
    /// Always the same: each asks again when it has been answered, and every 200 ms at most.
    Callers,
    /// Always others, whether or not those before them have been answered.
    Arrivals,
}

impl Load {
    pub(crate) const ALL: [Self; 2] = [Self::Arrivals, Self::Callers];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Callers => "64 callers",
            Self::Arrivals => "64 a second",
        }
    }
}

/// Callers, calling.
pub(crate) struct Callers(JoinSet<Vec<Call>>);

impl Callers {
    /// Begins to call until a moment; each waits so long for an answer and then leaves.
    pub(crate) fn start(load: Load, address: &str, patience: Duration, until: Instant) -> Self {
        let door = Arc::new(Door { address: address.to_owned(), patience, idle: Mutex::default() });
        let mut callers = JoinSet::new();
        match load {
            Load::Callers => {
                for caller in 0..CALLERS {
                    callers.spawn(call_often(Arc::clone(&door), caller, until));
                }
            }
            Load::Arrivals => {
                callers.spawn(arrive(door, until));
            }
        }
        Self(callers)
    }

    /// Waits for the last answers.
    pub(crate) async fn end(mut self) -> Result<Vec<Call>, Error> {
        let mut all = Vec::new();
        while let Some(calls) = self.0.join_next().await {
            all.extend(calls?);
        }
        all.sort_by_key(|call| call.began);
        Ok(all)
    }
}

/// Calls again and again.
async fn call_often(door: Arc<Door>, caller: u32, until: Instant) -> Vec<Call> {
    let mut ticks = interval_at(Instant::now() + PERIOD * caller / CALLERS, PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut calls = Vec::new();
    for nth in 0.. {
        ticks.tick().await;
        if Instant::now() >= until {
            break;
        }
        calls.push(Arc::clone(&door).call(format!("{caller}-{nth}"), (caller + nth) % 2 == 1).await);
    }
    calls
}

/// Has one caller after the other call once.
async fn arrive(door: Arc<Door>, until: Instant) -> Vec<Call> {
    let (mut ticks, mut calls) = (interval(Duration::from_secs(1) / CALLERS), JoinSet::new());
    for nth in 0_u32.. {
        ticks.tick().await;
        if Instant::now() >= until {
            break;
        }
        calls.spawn(Arc::clone(&door).call(nth.to_string(), nth % 2 == 1));
    }
    calls.join_all().await
}

/// Where the callers of a proxy call.
struct Door {
    address: String,
    patience: Duration,
    /// The connections that nobody uses.
    idle: Mutex<Vec<Connection>>,
}

impl Door {
    /// Sends a GET or a POST, and waits for the answer.
    async fn call(self: Arc<Self>, id: String, is_post: bool) -> Call {
        let began = Instant::now();
        let end = match timeout(self.patience, self.ask(is_post, &id)).await {
            Ok(end) => end,
            Err(_) => Err(format!("left after {} s", self.patience.as_secs())),
        };
        Call { id, is_post, began, took: began.elapsed(), end }
    }

    /// Asks once: who answered if the answer is right, or what is wrong with it.
    async fn ask(&self, is_post: bool, id: &str) -> Result<Answerer, String> {
        let mut connection = self.connection().await.map_err(|error| format!("no connection: {error}"))?;
        let closed = |_| "closed without an answer".to_owned();
        connection.ready().await.map_err(closed)?;
        let answer = connection.send_request(request(is_post, id)).await.map_err(closed)?;
        let (status, answerer) = (answer.status(), answerer(&answer));
        let body = answer.into_body().collect().await.map_err(|_| "cut".to_owned())?.to_bytes();
        self.idle().push(connection);
        match answerer {
            _ if status != StatusCode::OK => Err(format!("{status}{}", problem(&body))),
            Some(answerer) if body == answer_to(id) => Ok(answerer),
            _ => Err("another answer".to_owned()),
        }
    }

    async fn connection(&self) -> Result<Connection, Error> {
        loop {
            let Some(connection) = self.idle().pop() else { return connect(&self.address).await };
            if !connection.is_closed() {
                return Ok(connection);
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the gateway has no answer, if it is its problem.
fn problem(body: &[u8]) -> String {
    let Ok(problem) = serde_json::from_slice::<Value>(body) else { return String::new() };
    let attempts = problem["attempts"].as_array().into_iter().flatten();
    let evidence: Vec<_> = attempts.map(|attempt| attempt["evidence"].as_str().unwrap_or("code")).collect();
    format!(" ({}: {})", problem["reason"].as_str().unwrap_or_default(), evidence.join(", "))
}

type Connection = SendRequest<Full<Bytes>>;

fn request(is_post: bool, id: &str) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    if is_post {
        *request.method_mut() = Method::POST;
        *request.body_mut() = Full::from(format!("an order of {id}"));
    }
    let headers = request.headers_mut();
    headers.insert("host", HeaderValue::from_static("fire"));
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(ID, id);
    }
    request
}

fn answerer(answer: &Response<Incoming>) -> Option<Answerer> {
    match answer.headers().get(NAME)?.as_bytes() {
        b"first" => Some(Answerer::First),
        b"second" => Some(Answerer::Second),
        _ => None,
    }
}

async fn connect(address: &str) -> Result<Connection, Error> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// As many, or as many in a second.
const CALLERS: u32 = 64;

const PERIOD: Duration = Duration::from_millis(200);
