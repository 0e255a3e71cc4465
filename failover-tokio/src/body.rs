//! Request bodies: what a call keeps, and what each attempt sends.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

use crate::error::BoxError;
use crate::progress::{Progress, Stage};
use crate::replay::{Reader, Replay};
use crate::wire::TransportBody;

/// The body of a call, from which each attempt's body is made.
#[derive(Debug)]
pub(crate) enum CallBody {
    /// In memory, shared by all attempts.
    Whole(Bytes),
    /// Read from the caller as the first attempt sends it.
    Streamed(Replay),
}

impl CallBody {
    /// The body of a request, of which up to `limit` bytes are kept unless it is in memory.
    pub(crate) fn of<B>(mut body: B, version: Version, limit: usize) -> Self
    where
        B: Body<Error: Into<BoxError>> + Send + 'static,
    {
        if body.is_end_stream() {
            return Self::Whole(Bytes::new());
        }
        if let Some(bytes) = (&mut body as &mut dyn Any).downcast_mut::<Full<Bytes>>().and_then(whole) {
            return Self::Whole(bytes);
        }
        Self::Streamed(match TransportBody::inbound(body, version) {
            Ok(body) => Replay::new(body, limit),
            Err(body) => Replay::new(body, limit),
        })
    }

    /// The body from its first byte on, for one attempt.
    pub(crate) fn attempt(&self, progress: Progress) -> AttemptBody {
        let source = match self {
            Self::Whole(bytes) => Source::Whole(bytes.clone()),
            Self::Streamed(replay) => Source::Streamed(replay.reader()),
        };
        AttemptBody { source, progress }
    }

    /// Ends the attempt's body, and tells whether another attempt could send all of it.
    pub(crate) fn rewind(&self) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Streamed(replay) => replay.rewind(),
        }
    }

    /// Whether the body is known beforehand not to fit what is kept for another attempt.
    pub(crate) fn is_one_shot(&self) -> bool {
        match self {
            Self::Whole(_) => false,
            Self::Streamed(replay) => replay.is_one_shot(),
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Streamed(replay) => replay.size_hint(),
        }
    }
}

/// The body of an attempt's request: what a [`Failover`](crate::Failover) gives to the services under it.
#[derive(Debug)]
pub struct AttemptBody {
    source: Source,
    progress: Progress,
}

impl AttemptBody {
    /// Notes who has the request.
    pub(crate) fn reach(&self, stage: Stage) {
        self.progress.reach(stage);
    }
}

#[derive(Debug)]
enum Source {
    Whole(Bytes),
    Streamed(Reader),
}

impl Body for AttemptBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = match &mut self.source {
            Source::Whole(bytes) => Poll::Ready(slice(bytes).map(|data| Ok(Frame::data(data)))),
            Source::Streamed(reader) => reader.poll_frame(cx).map_err(Into::into),
        };
        if frame.is_pending() {
            self.progress.starve();
        }
        let frame = ready!(frame);
        self.progress.made();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(bytes) => bytes.is_empty(),
            Source::Streamed(reader) => reader.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Streamed(reader) => reader.size_hint(),
        }
    }
}

/// Why a request body broke off: always the caller's part, never the target's.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// The caller's body failed.
    Inbound(BoxError),
    /// The attempt that this body belonged to was given up.
    GivenUp,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inbound(_) => "the request body failed",
            Self::GivenUp => "the attempt was given up",
        })
    }
}

impl std::error::Error for BodyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Inbound(error) => Some(&**error),
            Self::GivenUp => None,
        }
    }
}

/// The bytes of a body in memory that has not been read yet.
fn whole(body: &mut Full<Bytes>) -> Option<Bytes> {
    let Poll::Ready(frame) = Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())) else {
        return None;
    };
    frame?.ok()?.into_data().ok()
}

/// Takes the next piece of a body in memory, so that the transport shows how far it has come.
fn slice(bytes: &mut Bytes) -> Option<Bytes> {
    (!bytes.is_empty()).then(|| bytes.split_to(bytes.len().min(SLICE)))
}

/// The largest piece of a body that is handed to the transport at once, where the body has not its own pieces.
pub(crate) const SLICE: usize = 64 << 10;
