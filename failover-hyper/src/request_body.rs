//! Request bodies: what a call keeps, and what each attempt sends.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::Version;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use crate::error::BoxError;
use crate::expect::Expectation;
use crate::places::Place;
use crate::progress::Progress;
use crate::received::Inbound;
use crate::replay::{InboundError, Reader, ReplayBody, SLICE};
use crate::runtime::Runtime;
use crate::wire::Wire;

/// The body of a call, from which each attempt's body is made.
#[derive(Debug)]
pub struct CallBody(Kept);

#[derive(Debug)]
enum Kept {
    /// In memory, shared by all attempts.
    Whole(Bytes),
    /// Read from the caller as the first attempt sends it.
    Streamed(ReplayBody),
}

impl CallBody {
    /// A body in memory.
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self(Kept::Whole(bytes.into()))
    }

    /// The body of a request, of which up to `limit` bytes are kept unless it is in memory.
    pub fn of<B>(body: B, version: Version, limit: usize) -> Self
    where
        B: Body<Error: Into<BoxError>> + Send + 'static,
    {
        Self::stated(body, version, limit, || None)
    }

    /// The same of a request with this head.
    pub fn received<B>(body: B, head: &Parts, limit: usize) -> Self
    where
        B: Body<Error: Into<BoxError>> + Send + 'static,
    {
        let length = || head.headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
        Self::stated(body, head.version, limit, length)
    }

    fn stated<B>(mut body: B, version: Version, limit: usize, length: impl Fn() -> Option<u64>) -> Self
    where
        B: Body<Error: Into<BoxError>> + Send + 'static,
    {
        if body.is_end_stream() {
            return Self::whole(Bytes::new());
        }
        if let Some(bytes) = (&mut body as &mut dyn Any).downcast_mut::<Full<Bytes>>().and_then(bytes_of) {
            return Self::whole(bytes);
        }
        Self(Kept::Streamed(match Inbound::of(body, version) {
            Inbound::Whole(body) => ReplayBody::new(body, limit),
            Inbound::Limited(body) => {
                // It gives its bound for the length of what is longer, which would be cut there and look whole (`committed`).
                let size = body.size_hint();
                let is_known = size.exact().is_some() && size.exact() == length();
                ReplayBody::sized(body, if is_known { size } else { SizeHint::default() }, limit)
            }
            Inbound::Other(body) => ReplayBody::new(body, limit),
        }))
    }

    /// The body from its first byte on, for one attempt, which waits for `expectation` if there is one.
    pub(crate) fn attempt(&self, progress: Progress, expectation: Option<Expectation>) -> AttemptBody {
        let content = match &self.0 {
            Kept::Whole(bytes) => Content::Whole(bytes.clone()),
            Kept::Streamed(replay) => Content::Streamed(Stream { reader: replay.reader(), wire: None }),
        };
        AttemptBody(Box::new(Sent { content, progress, expectation, place: None }))
    }

    /// Ends the attempt's body, and tells whether another attempt could send all of it.
    pub(crate) fn rewind(&self) -> bool {
        match &self.0 {
            Kept::Whole(_) => true,
            Kept::Streamed(replay) => replay.rewind(),
        }
    }

    /// Halts the attempt's body where it is read from the caller, and tells whether another attempt could send all of it.
    pub(crate) fn hold(&self) -> bool {
        match &self.0 {
            Kept::Whole(_) => true,
            Kept::Streamed(replay) => replay.hold(),
        }
    }

    /// Lets the attempt's body go on that was halted.
    pub(crate) fn release(&self) {
        if let Kept::Streamed(replay) = &self.0 {
            replay.release();
        }
    }

    /// Whether an attempt still reads it from the caller.
    pub(crate) fn is_being_read(&self) -> bool {
        match &self.0 {
            Kept::Whole(_) => false,
            Kept::Streamed(replay) => replay.is_being_read(),
        }
    }

    /// Whether it broke off since it is longer than the bound that the caller gave it, a `http_body_util::Limited`.
    pub(crate) fn is_too_long(&self) -> bool {
        match &self.0 {
            Kept::Whole(_) => false,
            Kept::Streamed(replay) => replay.is_too_long(),
        }
    }

    /// Whether only the attempt that is under way can send the rest.
    pub(crate) fn is_gone(&self) -> bool {
        match &self.0 {
            Kept::Whole(_) => false,
            Kept::Streamed(replay) => !replay.is_whole(),
        }
    }

    /// Whether the body is known beforehand not to fit what is kept for another attempt.
    pub(crate) fn is_one_shot(&self) -> bool {
        match &self.0 {
            Kept::Whole(_) => false,
            Kept::Streamed(replay) => replay.is_one_shot(),
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kept::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kept::Streamed(replay) => replay.size_hint(),
        }
    }
}

/// The body of an attempt's request: what failover gives to the services under it.
#[derive(Debug)]
pub struct AttemptBody(Box<Sent>);

/// In a box, since a request is moved often, and hyper keeps room for 32 of them on each connection.
#[derive(Debug)]
struct Sent {
    content: Content,
    progress: Progress,
    /// What it still waits for.
    expectation: Option<Expectation>,
    /// Kept while it is sent over HTTP/2.
    place: Option<Arc<Place>>,
}

impl AttemptBody {
    /// A body that is sent once and not kept.
    #[doc(hidden)]
    pub fn once<R, B>(body: B) -> Self
    where
        R: Runtime,
        B: Body<Error: Into<BoxError>> + Send + 'static,
    {
        CallBody::of(body, Version::HTTP_11, 0).attempt(Progress::start::<R>(), None)
    }

    /// How far the attempt has come.
    #[doc(hidden)]
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.0.progress
    }

    /// What it still waits for.
    pub(crate) fn expectation(&self) -> Option<&Expectation> {
        self.0.expectation.as_ref()
    }

    /// Keeps what hyper holds of it within a bound while it goes over a connection of HTTP/1.1. A body in memory is not copied.
    pub(crate) fn go_over(&mut self, wire: &Wire) {
        if let Content::Streamed(stream) = &mut self.0.content {
            stream.wire = Some(wire.clone());
        }
    }

    /// Keeps a place on a connection until it has ended.
    pub(crate) fn keep(&mut self, place: Arc<Place>) {
        self.0.place = Some(place);
    }
}

#[derive(Debug)]
enum Content {
    Whole(Bytes),
    Streamed(Stream),
}

#[derive(Debug)]
struct Stream {
    reader: Reader,
    /// What it goes over, over HTTP/1.1.
    wire: Option<Wire>,
}

impl Stream {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, InboundError>>> {
        let piece = ready!(self.reader.poll_frame(cx));
        if let (Some(wire), Some(Ok(frame))) = (&self.wire, &piece) {
            wire.give(frame.data_ref().map_or(0, Bytes::len));
        }
        Poll::Ready(piece)
    }

    /// Whether what was read before is to be written first.
    fn is_full(&self, cx: &Context<'_>) -> bool {
        self.wire.as_ref().is_some_and(|wire| wire.is_full(cx))
    }
}

impl Body for AttemptBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let sent = &mut *self.get_mut().0;
        if let Some(expectation) = &sent.expectation {
            ready!(expectation.poll(cx))?;
            sent.expectation = None;
        }
        let frame = match &mut sent.content {
            Content::Whole(bytes) => Poll::Ready(slice(bytes).map(|data| Ok(Frame::data(data)))),
            Content::Streamed(stream) if stream.is_full(cx) => return Poll::Pending,
            Content::Streamed(stream) => stream.poll_frame(cx).map_err(Into::into),
        };
        if frame.is_pending() {
            sent.progress.starve();
        }
        let frame = ready!(frame);
        sent.progress.made();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.0.content {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Streamed(stream) => stream.reader.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Streamed(stream) => stream.reader.size_hint(),
        }
    }
}

/// The bytes of a body in memory that has not been read yet.
fn bytes_of(body: &mut Full<Bytes>) -> Option<Bytes> {
    let Poll::Ready(frame) = Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())) else {
        return None;
    };
    frame?.ok()?.into_data().ok()
}

/// Takes the next piece of a body in memory, so that the transport shows how far it has come.
fn slice(bytes: &mut Bytes) -> Option<Bytes> {
    (!bytes.is_empty()).then(|| bytes.split_to(bytes.len().min(SLICE)))
}
