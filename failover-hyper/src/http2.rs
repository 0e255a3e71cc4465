//! A connection of HTTP/2, which requests share.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Waker;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper::rt;

use crate::limits::MOST_OF_H2;
use crate::places::{Freed, Place, Places, tell};
use crate::progress::{Progress, Stage};
use crate::request_body::AttemptBody;
use crate::runtime::{Runtime, Timer};
use crate::stream::Stream;
use crate::tuning::Tuning;
use crate::wire::{Watermark, Wire};

/// A connection of HTTP/2.
pub(crate) struct Http2 {
    sender: http2::SendRequest<AttemptBody>,
    places: Arc<Places>,
    wire: Wire,
    opened: Instant,
}

/// The end of an exchange without an answer.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) error: hyper::Error,
    /// Whether hyper gave the request back.
    pub(crate) handed_back: bool,
    /// Whether the connection ended.
    pub(crate) ended: bool,
    /// How far it was when the exchange began.
    pub(crate) began: Watermark,
}

impl Http2 {
    /// Begins to speak HTTP/2, and has the connection driven in the background. `freed` is told when there may be more
    /// places on it, and when it ended.
    ///
    /// Until the peer's settings came there is place for `at_first` requests.
    pub(crate) async fn open<R: Runtime>(
        stream: Stream,
        tuning: &Tuning,
        at_first: usize,
        freed: Weak<dyn Freed>,
    ) -> hyper::Result<Self> {
        let wire = stream.wire();
        let settled = Settled::default();
        let executor = Executor::<R> { settled: settled.clone(), runtime: PhantomData };
        let (sender, connection) = http2::Builder::new(executor)
            .timer(Timer::<R>::default())
            .initial_max_send_streams(at_first)
            .initial_stream_window_size(tuning.stream_window)
            .initial_connection_window_size(tuning.connection_window)
            .max_send_buf_size(SEND_BUFFER)
            .max_header_list_size(MOST_OF_H2)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .handshake(R::io(stream))
            .await?;
        let places = Arc::new(Places::default());
        places.set_most(connection.current_max_send_streams());
        let driver = {
            let places = Arc::clone(&places);
            async move {
                let mut connection = pin!(connection);
                poll_fn(|cx| {
                    if places.most() <= at_first {
                        settled.watch(cx.waker());
                    }
                    let polled = connection.as_mut().poll(cx);
                    if places.set_most(connection.current_max_send_streams()) {
                        tell(&freed);
                    }
                    // What went wrong, the exchanges on it tell.
                    polled.map(drop)
                })
                .await;
                places.close();
                tell(&freed);
            }
        };
        R::spawn(driver);
        Ok(Self { sender, places, wire, opened: R::now() })
    }

    pub(crate) fn opened(&self) -> Instant {
        self.opened
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.places.are_closed() || self.sender.is_closed()
    }

    /// Whether it would take a request if it had room.
    pub(crate) fn is_good(&self) -> bool {
        !self.is_ended() && !self.wire.is_suspect()
    }

    /// Waits for the peer's settings; whether they came.
    pub(crate) async fn is_settled(&self) -> bool {
        self.places.ready().await
    }

    /// Whether no request is on it.
    pub(crate) fn is_idle(&self) -> bool {
        self.places.are_free()
    }

    /// How many requests it has room for at once.
    pub(crate) fn most(&self) -> usize {
        self.places.most()
    }

    /// Takes a place on it, if there is one for new requests.
    pub(crate) fn join(&self, freed: &Weak<dyn Freed>) -> Option<Joined> {
        if !self.is_good() {
            return None;
        }
        let place = self.places.take(freed.clone())?;
        Some(Joined {
            sender: self.sender.clone(),
            wire: self.wire.clone(),
            places: Arc::clone(&self.places),
            place,
        })
    }
}

/// A place on a connection of HTTP/2.
pub(crate) struct Joined {
    sender: http2::SendRequest<AttemptBody>,
    wire: Wire,
    places: Arc<Places>,
    place: Arc<Place>,
}

impl Joined {
    /// Sends a request and waits for the head of its answer, whose body keeps the place.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(crate) async fn exchange(
        mut self,
        mut request: Request<AttemptBody>,
        progress: &Progress,
    ) -> Result<(Response<Incoming>, Arc<Place>), Broken> {
        let began = self.wire.mark();
        progress.reach(Stage::Among(began.clone()));
        request.body_mut().keep(Arc::clone(&self.place));
        match self.sender.try_send_request(request).await {
            Ok(response) => {
                self.wire.serve();
                Ok((response, self.place))
            }
            Err(mut error) => Err(Broken {
                handed_back: error.take_message().is_some(),
                error: error.into_error(),
                ended: self.places.are_closed(),
                began,
            }),
        }
    }
}

impl fmt::Debug for Http2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2").field("places", &self.places).finish_non_exhaustive()
    }
}

/// Runs what a connection consists of as tasks.
#[derive(Clone)]
struct Executor<R> {
    settled: Settled,
    runtime: PhantomData<R>,
}

impl<R, F> rt::Executor<F> for Executor<R>
where
    R: Runtime,
    F: Future + Send + 'static,
{
    fn execute(&self, future: F) {
        let settled = self.settled.clone();
        R::spawn(async move {
            let mut future = pin!(future);
            poll_fn(|cx| {
                let polled = future.as_mut().poll(cx);
                settled.wake();
                polled.map(drop)
            })
            .await;
        });
    }
}

/// Wakes who looks at the peer's settings when the task ran that reads them.
#[derive(Clone, Debug, Default)]
struct Settled(Arc<Mutex<Option<Waker>>>);

impl Settled {
    fn watch(&self, waker: &Waker) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }

    fn wake(&self) {
        if let Some(waker) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            waker.wake();
        }
    }
}

/// How much of a request may wait for the peer, on each stream.
const SEND_BUFFER: usize = 64 << 10;

/// How long a connection with requests under way may be silent before it is asked whether it is alive: all requests share
/// it, so that one that is dead must not be kept.
const PING_INTERVAL: Duration = Duration::from_secs(10);

/// How long the answer to that may take.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
