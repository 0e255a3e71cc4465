//! Request bodies: what a call keeps, and what each attempt sends.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::progress::Progress;
use crate::read::{PIECE, Pieces};
use crate::replay::{Reader, Replay};

/// The body of a call, from which each attempt's body is made.
#[derive(Debug)]
pub(crate) enum CallBody {
    /// In memory, shared by all attempts.
    Whole(Bytes),
    /// Read from the caller as the first attempt sends it.
    Streamed(Replay),
}

impl CallBody {
    /// A body of surf's, of which at most `limit` bytes are kept for another attempt.
    pub(crate) fn streamed(body: surf::Body, limit: usize) -> Self {
        match body.is_empty() {
            Some(true) => Self::Whole(Bytes::new()),
            _ => Self::Streamed(Replay::new(Pieces::new(body), limit)),
        }
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

    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Whole(bytes) => Some(bytes.len() as u64),
            Self::Streamed(replay) => replay.length(),
        }
    }
}

/// The request body of one attempt.
#[derive(Debug)]
pub(crate) struct AttemptBody {
    source: Source,
    progress: Progress,
}

#[derive(Debug)]
enum Source {
    Whole(Bytes),
    Streamed(Reader),
    Once(Pieces),
}

impl AttemptBody {
    /// A body that is sent once and not kept.
    pub(crate) fn once(body: surf::Body) -> Self {
        Self { source: Source::Once(Pieces::new(body)), progress: Progress::start() }
    }

    pub(crate) fn length(&self) -> Option<u64> {
        match &self.source {
            Source::Whole(bytes) => Some(bytes.len() as u64),
            Source::Streamed(reader) => reader.left(),
            Source::Once(pieces) => pieces.left(),
        }
    }
}

impl Body for AttemptBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let piece = match &mut self.source {
            Source::Whole(bytes) => Poll::Ready(slice(bytes).map(Ok)),
            Source::Streamed(reader) => reader.poll_next(cx),
            Source::Once(pieces) => pieces.poll_next(cx).map_err(BodyError::Inbound),
        };
        if piece.is_pending() {
            self.progress.starve();
        }
        let piece = ready!(piece);
        self.progress.made();
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.length() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.length().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Why a request body broke off: always the caller's part, never the target's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The caller's body failed.
    #[error("the request body failed")]
    Inbound(#[source] io::Error),
    /// The attempt that this body belonged to was given up.
    #[error("the attempt was given up")]
    GivenUp,
}

/// Takes the next piece of a body in memory, so that the transport shows how far it has come.
fn slice(bytes: &mut Bytes) -> Option<Bytes> {
    (!bytes.is_empty()).then(|| bytes.split_to(bytes.len().min(PIECE)))
}
