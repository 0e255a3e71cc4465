//! A connection of HTTP/1.1: one exchange at a time, driven by whoever has it.
//!
//! There is no task behind it. The call that sends on it drives it, then the reader of the answer, and an idle one lies in
//! the pool. So nothing is written after a call has given up, and what was written until then is exact.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;

use crate::limits::MOST_OF_H1;
use crate::progress::{Progress, Stage};
use crate::relay::Relay;
use crate::request_body::AttemptBody;
use crate::runtime::Runtime;
use crate::stream::Stream;
use crate::tuning::Tuning;
use crate::wire::{Watermark, Wire};

/// A connection of HTTP/1.1 that nobody else has.
pub(crate) struct Http1 {
    sender: http1::SendRequest<AttemptBody>,
    /// Behind a lock that is never taken, since hyper's future is not `Sync`.
    driver: Mutex<Driver>,
    relay: Arc<Relay>,
    /// The relay's.
    waker: Waker,
    wire: Wire,
    end: Option<End>,
    pub(crate) opened: Instant,
    /// How long it may be idle.
    pub(crate) idle_time: Duration,
    /// How long it may be at most.
    idle_timeout: Duration,
    /// By what its pool counts it.
    pub(crate) counted: Option<Arc<()>>,
}

type Driver = Pin<Box<dyn Future<Output = End> + Send>>;

/// How a connection ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Whole,
    Broken,
}

/// Where a connection goes after its exchange.
pub(crate) trait Home: Send + Sync {
    /// Takes a connection that can be used again.
    fn take_back(&self, connection: Box<Http1>);
}

/// The end of an exchange without an answer.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) error: hyper::Error,
    /// The request, if hyper gave it back.
    pub(crate) handed_back: Option<Request<AttemptBody>>,
    /// Whether the connection ended as if there had been no request.
    pub(crate) lost: bool,
    /// How far the connection was when the exchange began.
    pub(crate) began: Watermark,
}

impl Http1 {
    /// Begins to speak HTTP/1.1.
    pub(crate) async fn open<R: Runtime>(stream: Stream, tuning: &Tuning) -> hyper::Result<Box<Self>> {
        let wire = stream.wire();
        let mut http = http1::Builder::new();
        // Some servers write `Name : value`, which tells nobody a wrong name or value.
        http.max_header_size(MOST_OF_H1).allow_spaces_after_header_name_in_responses(true);
        if let Some(count) = tuning.max_headers {
            http.max_headers(count);
        }
        let (sender, connection) = http.handshake(R::io(stream)).await?;
        // What went wrong, the exchange on it tells.
        let driver: Driver = Box::pin(async {
            if connection.with_upgrades().await.is_ok() { End::Whole } else { End::Broken }
        });
        let (driver, relay) = (Mutex::new(driver), Arc::new(Relay::default()));
        let (waker, opened) = (Waker::from(Arc::clone(&relay)), R::now());
        Ok(Box::new(Self {
            sender,
            driver,
            relay,
            waker,
            wire,
            end: None,
            opened,
            idle_time: tuning.idle_timeout,
            idle_timeout: tuning.idle_timeout,
            counted: None,
        }))
    }

    /// Polls what comes of the connection, which needs no other waker than the connection itself, and lets that do what it
    /// can where nothing has come yet.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let relay = Arc::clone(&self.relay);
        relay.within(cx, || {
            let cx = &mut Context::from_waker(Waker::noop());
            let polled = poll(cx);
            if polled.is_ready() {
                return polled;
            }
            self.drive(true);
            poll(cx)
        })
    }

    /// The same where nothing can have come before that did what it can.
    fn poll_driven<T>(
        &mut self,
        cx: &Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let relay = Arc::clone(&self.relay);
        relay.within(cx, || {
            self.drive(true);
            poll(&mut Context::from_waker(Waker::noop()))
        })
    }

    /// Lets the connection do what it can, and read or not.
    fn drive(&mut self, reads: bool) {
        if self.end.is_some() {
            return;
        }
        let cx = &mut Context::from_waker(&self.waker);
        let driver = self.driver.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.wire.drive(true);
        self.wire.put_off(!reads);
        if let Poll::Ready(end) = driver.as_mut().poll(cx) {
            self.end = Some(end);
        }
        // Whoever it was handed over to reads when he likes.
        self.wire.put_off(false);
        self.wire.drive(false);
    }

    /// Whether another request can be sent on it: the last exchange is over, and the peer has neither closed it nor said
    /// anything unasked, as far as is known, or as it `reads`.
    fn is_usable(&mut self, reads: bool) -> bool {
        self.relay.rest();
        // One that waits for the next request has done what it could with the last piece of the answer.
        if reads || !self.sender.is_ready() {
            self.drive(reads);
        }
        self.end.is_none() && self.sender.is_ready()
    }

    /// The same of one that has been idle, whose peer may have closed it by now.
    pub(crate) fn is_still_usable(&mut self) -> bool {
        self.ask_for_news();
        self.is_usable(true)
    }

    /// Ends the connection with its next read if there is anything to read, since nothing was asked for: hyper reads before
    /// it writes.
    fn ask_for_news(&self) {
        // TLS may have something to say before the first answer.
        if self.wire.has_served() {
            self.wire.ask_for_news();
        }
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// Before it sends on a connection that has been idle, it asks whether the peer has closed that by now.
    ///
    /// # Errors
    ///
    /// There is none; then the connection is closed.
    pub(crate) fn exchange(
        &mut self,
        mut request: Request<AttemptBody>,
        progress: &Progress,
    ) -> impl Future<Output = Result<Response<Incoming>, Broken>> + Send {
        request.body_mut().go_over(&self.wire);
        let began = self.wire.mark();
        progress.reach(Stage::Alone(began.clone()));
        let answer = self.sender.try_send_request(request);
        self.ask_for_news();
        async move {
            let mut answer = pin!(answer);
            match poll_fn(|cx| self.poll_driven(cx, |cx| answer.as_mut().poll(cx))).await {
                Ok(response) => {
                    self.wire.serve();
                    self.idle_time = idle_time(response.headers(), self.idle_timeout);
                    Ok(response)
                }
                Err(mut error) => Err(Broken {
                    handed_back: error.take_message(),
                    error: error.into_error(),
                    lost: self.end == Some(End::Whole),
                    began,
                }),
            }
        }
    }

    /// Lets go of a connection on which another protocol is spoken from here on: hyper hands it over with the answer. `false` if
    /// it broke before that.
    pub(crate) async fn switch(&mut self) -> bool {
        let ended = poll_fn(|cx| {
            let _: Poll<()> = self.poll_driven(cx, |_| Poll::Pending);
            self.end.map_or(Poll::Pending, Poll::Ready)
        });
        ended.await == End::Whole
    }
}

impl fmt::Debug for Http1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http1").field("end", &self.end).finish_non_exhaustive()
    }
}

/// A connection whose answer is read, and where it goes then.
pub(crate) struct Reading {
    connection: Box<Http1>,
    home: Arc<dyn Home>,
}

impl Reading {
    pub(crate) fn new(connection: Box<Http1>, home: Arc<dyn Home>) -> Self {
        Self { connection, home }
    }

    /// Polls what comes of the connection: see [`Http1::poll`].
    pub(crate) fn poll<T>(
        &mut self,
        cx: &Context<'_>,
        poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.connection.poll(cx, poll)
    }

    /// The answer ended: the connection is kept if it can be used again, and closed otherwise.
    pub(crate) fn finish(mut self) {
        // What comes from here on, the next one to use it asks for.
        if self.connection.is_usable(false) {
            self.home.take_back(self.connection);
        }
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connection.fmt(f)
    }
}

/// How long a connection may be idle after an answer with these headers, at `most`: `Keep-Alive` is heeded with a margin, since
/// the peer counts from earlier on.
fn idle_time(headers: &HeaderMap, most: Duration) -> Duration {
    let mut hints = headers.iter().filter(|(name, _)| **name == KEEP_ALIVE);
    let Some(hints) = hints.next().and_then(|(_, hints)| hints.to_str().ok()) else {
        return most;
    };
    let hint = |name: &str| {
        let mut values = hints.split(',').filter_map(|hint| hint.trim().split_once('='));
        values.find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?.1.trim().parse::<u64>().ok()
    };
    if hint("max") == Some(0) {
        return Duration::ZERO;
    }
    hint("timeout").map_or(most, |seconds| {
        let told = Duration::from_secs(seconds);
        told.saturating_sub(MARGIN.min(told / 2)).min(most)
    })
}

static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// By how much sooner than the peer says a connection is closed.
const MARGIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keep_alive_is_heeded_with_a_margin() {
        let most = Duration::from_secs(20);
        for (hints, time) in [
            ("timeout=5", 4_000),
            ("timeout=5, max=100", 4_000),
            ("max=100,Timeout = 1", 500),
            ("timeout=0", 0),
            ("timeout=5, max=0", 0),
            ("timeout=3600", 20_000),
            ("timeout=soon", 20_000),
            ("", 20_000),
        ] {
            let headers = [(KEEP_ALIVE.clone(), hints.parse().unwrap())].into_iter().collect();
            assert_eq!(idle_time(&headers, most), Duration::from_millis(time), "{hints}");
        }
        assert_eq!(idle_time(&HeaderMap::new(), most), most);
    }
}
