//! Answers: which target gave one, and what becomes of one that surf cannot hold or that is given up.

use std::fmt;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_std::future::timeout;
use async_std::io::{BufRead, Read, ReadExt};
use failover_core::{Failure, retry_after};
use http::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use crate::convert::shown;
use crate::error::AttemptError;

/// Tells which target gave a response and what happened before it.
///
/// Every response carries it as an extension.
///
/// # Examples
///
/// ```
/// # fn report(response: surf::Response) {
/// if let Some(answered) = response.ext::<failover_async_std::Answered>() {
///     println!("target {} after {} attempts", answered.target(), answered.attempts());
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Answered {
    target: usize,
    attempts: usize,
    /// `None` where nothing failed, so that the happy path does not allocate it.
    failures: Option<Arc<[Failure<AttemptError>]>>,
}

impl Answered {
    /// An answer that was accepted, after these failures.
    pub(crate) fn accepted(target: usize, failures: Vec<Failure<AttemptError>>) -> Self {
        Self { target, attempts: failures.len() + 1, failures: share(failures) }
    }

    /// The last of the answers that were given up; it is itself among the failures.
    pub(crate) fn given_up(failures: Vec<Failure<AttemptError>>) -> Self {
        let answer = failures.iter().rfind(|failure| failure.status().is_some());
        let target = answer.map_or(0, Failure::target);
        Self { target, attempts: failures.len(), failures: share(failures) }
    }

    /// The index of the target that gave this response.
    #[must_use]
    pub fn target(&self) -> usize {
        self.target
    }

    /// How many requests were sent, or tried to be sent, in the call.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.attempts
    }

    /// The failures of the call, in the order in which they happened.
    #[must_use]
    pub fn failures(&self) -> &[Failure<AttemptError>] {
        self.failures.as_deref().unwrap_or_default()
    }
}

fn share(failures: Vec<Failure<AttemptError>>) -> Option<Arc<[Failure<AttemptError>]>> {
    (!failures.is_empty()).then(|| failures.into())
}

/// An answer that surf's types cannot hold: its status is none of surf's closed list, or a header is not ASCII.
///
/// The answer itself is kept, in types that can hold it.
///
/// # Examples
///
/// ```no_run
/// use failover_async_std::{Error, FailoverClient};
///
/// # async fn run(client: FailoverClient) -> Result<(), Error> {
/// match client.get("/legacy").await {
///     Err(Error::Unrepresentable(answer)) => println!("a {}", answer.into_response().status()),
///     other => println!("a {}", other?.status()),
/// }
/// # Ok(())
/// # }
/// ```
pub struct Unrepresentable {
    response: Box<Response<surf::Body>>,
    part: Part,
}

/// What surf has no place for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    Status,
    Header,
}

impl Unrepresentable {
    pub(crate) fn new(response: Response<surf::Body>, part: Part) -> Self {
        Self { response: response.into(), part }
    }

    /// The answer, to be used with its body.
    #[must_use]
    pub fn into_response(self) -> Response<surf::Body> {
        *self.response
    }

    /// The answer. If a call accepted it, its extensions hold [`Answered`].
    #[must_use]
    pub fn response(&self) -> &Response<surf::Body> {
        &self.response
    }

    pub(crate) fn tell(&mut self, answered: Answered) {
        self.response.extensions_mut().insert(answered);
    }
}

impl fmt::Display for Unrepresentable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Part::Status => write!(f, "surf has no place for the answer's status {}", self.response.status()),
            Part::Header => f.write_str("surf has no place for a header of the answer that is not ASCII"),
        }
    }
}

impl fmt::Debug for Unrepresentable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unrepresentable")
            .field("status", &self.response.status())
            .field("part", &self.part)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Unrepresentable {}

/// An answer as the driver needs it: what the machine is told, and what the caller gets.
pub(crate) struct Received {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) reply: Result<surf::Response, Unrepresentable>,
}

impl Received {
    /// The transport's answer.
    pub(crate) fn over_wire(response: Response<surf::Body>) -> Self {
        Self {
            status: response.status(),
            retry_after: retry_after(response.headers()),
            reply: shown(response),
        }
    }

    /// An answer that came through a client of surf's.
    pub(crate) fn over_surf(reply: Result<surf::Response, Unrepresentable>) -> Self {
        let (status, retry_after) = match &reply {
            Ok(response) => {
                let value = response.header("retry-after").map(|values| values.last().as_str());
                let value = value.and_then(|value| HeaderValue::from_str(value).ok());
                let headers = value.map(|value| HeaderMap::from_iter([(RETRY_AFTER, value)]));
                // All statuses of surf's are statuses.
                let status = StatusCode::from_u16(response.status().into()).unwrap_or_default();
                (status, headers.as_ref().and_then(retry_after))
            }
            Err(answer) => (answer.response.status(), retry_after(answer.response.headers())),
        };
        Self { status, retry_after, reply }
    }

    /// Reads a short body to its end, which frees its connection for another request.
    ///
    /// A longer or slower one keeps its connection until this body is read or dropped, or the call lets go of it.
    pub(crate) async fn drain(&mut self) -> Option<Held> {
        match &mut self.reply {
            Ok(response) => {
                let (body, held) = drained(response.take_body()).await;
                set_body(response, body);
                held
            }
            Err(answer) => {
                let body = mem::replace(answer.response.body_mut(), surf::Body::empty());
                let (body, held) = drained(body).await;
                *answer.response.body_mut() = body;
                held
            }
        }
    }
}

/// The rest of a response that was given up, which its call may still hand to the caller.
pub(crate) struct Held(Arc<Mutex<Option<surf::Body>>>);

impl Held {
    /// Closes the stream, and its connection with it, since the call goes on.
    pub(crate) fn let_go(self) {
        drop(self.lock().take());
    }

    fn lock(&self) -> MutexGuard<'_, Option<surf::Body>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets a body, and no content type that the target did not name.
pub(crate) fn set_body(response: &mut surf::Response, body: surf::Body) {
    let typed = response.header("content-type").is_some();
    response.set_body(body);
    if !typed {
        response.remove_header("content-type");
    }
}

async fn drained(mut body: surf::Body) -> (surf::Body, Option<Held>) {
    let length = body.len();
    let mut ahead = Vec::new();
    let mut bounded = (&mut body).take(DRAIN_SIZE + 1);
    let (rest, held) = match timeout(DRAIN_TIME, bounded.read_to_end(&mut ahead)).await {
        Ok(Ok(_)) if ahead.len() as u64 <= DRAIN_SIZE => return (surf::Body::from_bytes(ahead), None),
        Ok(Err(error)) => (Rest::Broken(error), None),
        Ok(Ok(_)) | Err(_) => {
            let shared = Arc::new(Mutex::new(Some(body)));
            (Rest::Held(Held(Arc::clone(&shared))), Some(Held(shared)))
        }
    };
    (surf::Body::from_reader(Kept { ahead, read: 0, rest }, length), held)
}

/// A body of which a part was read ahead.
struct Kept {
    ahead: Vec<u8>,
    /// How much of that was handed on.
    read: usize,
    rest: Rest,
}

/// What comes after what was read ahead.
enum Rest {
    Broken(io::Error),
    /// The stream, as long as the call does not let go of it.
    Held(Held),
}

impl BufRead for Kept {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        if this.read == this.ahead.len() {
            let held = match &this.rest {
                Rest::Broken(error) => {
                    return Poll::Ready(Err(io::Error::new(error.kind(), error.to_string())));
                }
                Rest::Held(held) => held,
            };
            let mut held = held.lock();
            let Some(stream) = &mut *held else {
                let let_go = "the rest of the answer was let go when its target was given up";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, let_go)));
            };
            let mut piece = [0; PIECE];
            let count = ready!(Pin::new(stream).poll_read(cx, &mut piece))?;
            this.ahead.clear();
            this.ahead.extend_from_slice(&piece[..count]);
            this.read = 0;
        }
        Poll::Ready(Ok(&this.ahead[this.read..]))
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        self.read = self.ahead.len().min(self.read + count);
    }
}

impl Read for Kept {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let ahead = ready!(self.as_mut().poll_fill_buf(cx))?;
        let count = ahead.len().min(buf.len());
        buf[..count].copy_from_slice(&ahead[..count]);
        self.consume(count);
        Poll::Ready(Ok(count))
    }
}

/// How much of what is held is read at once.
const PIECE: usize = 8 << 10;

/// How much of a response that was given up is read so that its connection can be used again.
const DRAIN_SIZE: u64 = 64 << 10;

/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use async_std::task::block_on;

    use super::*;

    #[test]
    fn a_short_body_is_read_to_its_end_and_a_long_one_is_held() {
        for (size, held) in
            [(0, false), (1, false), (64 << 10, false), ((64 << 10) + 1, true), (1 << 20, true)]
        {
            let all: Vec<u8> = (0..=255).cycle().take(size).collect();
            let (mut body, rest) = block_on(drained(surf::Body::from_bytes(all.clone())));
            assert_eq!((rest.is_some(), body.len()), (held, Some(size)));
            let mut read = Vec::new();
            block_on(body.read_to_end(&mut read)).unwrap();
            assert!(read == all, "{size}");
        }
    }

    #[test]
    fn a_body_that_was_let_go_is_an_error_to_its_reader() {
        let (mut body, rest) = block_on(drained(surf::Body::from_bytes(vec![7; 1 << 20])));
        rest.unwrap().let_go();
        let mut read = Vec::new();
        for _ in 0..2 {
            block_on(body.read_to_end(&mut read)).unwrap_err();
        }
        assert!(read.len() as u64 >= DRAIN_SIZE);
    }

    #[test]
    fn a_body_that_stalls_is_not_waited_for() {
        struct Stalled;
        impl BufRead for Stalled {
            fn poll_fill_buf(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
                Poll::Pending
            }
            fn consume(self: Pin<&mut Self>, _: usize) {}
        }
        impl Read for Stalled {
            fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
                Poll::Pending
            }
        }
        assert!(block_on(drained(surf::Body::from_reader(Stalled, None))).1.is_some());
    }
}
