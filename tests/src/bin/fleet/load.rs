//! The clients: each sends one request after the other on a connection that is kept alive, and looks at each answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::Error;

/// What the clients send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Get,
    /// With an `Idempotency-Key`, so that it may be executed again.
    KeyedPost,
    Post,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Get => "GET",
            Self::KeyedPost => "POST, Idempotency-Key",
            Self::Post => "POST",
        })
    }
}

/// What came of the requests of one kind.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The requests with the right answer.
    pub(crate) answered: Vec<String>,
    /// The requests that may have been executed, and whose client was told so.
    pub(crate) in_doubt: Vec<String>,
    /// How requests failed otherwise.
    pub(crate) wrong: Vec<String>,
}

/// The clients, running.
pub(crate) struct Load {
    clients: JoinSet<Result<[Tally; 3], Error>>,
    until: Instant,
}

impl Load {
    pub(crate) fn start(address: &str, connections: usize, until: Instant) -> Self {
        let address: Arc<str> = address.into();
        let clients = (0..connections).map(|client| send(Arc::clone(&address), client, until));
        Self { clients: clients.collect(), until }
    }

    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Waits for the last answers.
    pub(crate) async fn end(mut self) -> Result<[(Kind, Tally); 3], Error> {
        let mut all = KINDS.map(|kind| (kind, Tally::default()));
        while let Some(tallies) = self.clients.join_next().await {
            for ((_, sum), tally) in all.iter_mut().zip(tallies??) {
                sum.answered.extend(tally.answered);
                sum.in_doubt.extend(tally.in_doubt);
                sum.wrong.extend(tally.wrong);
            }
        }
        Ok(all)
    }
}

/// Sends requests of all kinds by turns.
async fn send(address: Arc<str>, client: usize, until: Instant) -> Result<[Tally; 3], Error> {
    let mut tallies = [(); 3].map(|()| Tally::default());
    let mut connection = None;
    for nth in 0.. {
        if Instant::now() >= until {
            break;
        }
        let (kind, id) = (KINDS[nth % KINDS.len()], format!("{client}-{nth}"));
        let sender = match connection.take() {
            Some(sender) => sender,
            None => connect(&address).await?,
        };
        let tally = &mut tallies[nth % KINDS.len()];
        match timeout(PATIENCE, ask(sender, kind, &id)).await {
            Ok(Ok((StatusCode::OK, body, sender))) if body == answer_to(&id) => {
                tally.answered.push(id);
                connection = Some(sender);
            }
            Ok(Ok((status, body, sender))) if kind == Kind::Post && is_in_doubt(status, &body) => {
                tally.in_doubt.push(id);
                connection = Some(sender);
            }
            Ok(Ok((status, body, _))) => {
                let beginning = &body[..body.len().min(300)];
                tally.wrong.push(format!("{id}: {status}: {}", String::from_utf8_lossy(beginning)));
            }
            Ok(Err(error)) => tally.wrong.push(format!("{id}: {error:?}")),
            Err(_) => tally.wrong.push(format!("{id}: no answer within {PATIENCE:?}")),
        }
    }
    Ok(tallies)
}

/// Asks once, and hands back the connection.
async fn ask(
    mut sender: SendRequest<Full<Bytes>>,
    kind: Kind,
    id: &str,
) -> hyper::Result<(StatusCode, Bytes, SendRequest<Full<Bytes>>)> {
    let mut request = Request::new(Full::default());
    if kind != Kind::Get {
        *request.method_mut() = Method::POST;
        *request.body_mut() = Full::from(format!("an order of {id}"));
    }
    let headers = request.headers_mut();
    headers.insert("host", HeaderValue::from_static("fleet"));
    if let Ok(id) = HeaderValue::from_str(id) {
        if kind == Kind::KeyedPost {
            headers.insert("idempotency-key", id.clone());
        }
        headers.insert(ID, id);
    }
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    Ok((status, response.into_body().collect().await?.to_bytes(), sender))
}

async fn connect(address: &str) -> Result<SendRequest<Full<Bytes>>, Error> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Whether a gateway tells that a request may have been executed.
fn is_in_doubt(status: StatusCode, body: &[u8]) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT)
        && String::from_utf8_lossy(body).contains(r#""reason":"no_proof""#)
}

/// The whole answer to a request: nobody else's.
pub(crate) fn answer_to(id: &str) -> Bytes {
    let mut answer = format!("the answer to {id}\n");
    answer.push_str(&"x".repeat(ANSWER_SIZE.saturating_sub(answer.len())));
    answer.into()
}

/// The header that tells requests apart.
pub(crate) const ID: &str = "x-request-id";

const KINDS: [Kind; 3] = [Kind::Get, Kind::KeyedPost, Kind::Post];

const ANSWER_SIZE: usize = 1 << 10;

/// Longer than the gateway may take.
const PATIENCE: Duration = Duration::from_secs(35);
