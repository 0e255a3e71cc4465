//! A body of which a part is read before its reader asks for it.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};

use crate::error::BoxError;

/// A body, and what was read of it ahead of its reader.
pub(crate) struct Ahead<B: Body> {
    /// An error is the last one, and then nothing is left.
    pieces: VecDeque<Result<Frame<B::Data>, BoxError>>,
    /// How much was read ahead.
    size: usize,
    rest: Rest<B>,
}

/// What is left of a body after what was read ahead.
enum Rest<B> {
    Nothing,
    Stream(B),
    /// Something that will not come.
    LetGo,
}

impl<B: Body> Ahead<B> {
    pub(crate) fn new(body: B) -> Self {
        Self { rest: Rest::Stream(body), ..Self::gone() }
    }

    /// A body of which nothing comes.
    pub(crate) fn gone() -> Self {
        Self { pieces: VecDeque::new(), size: 0, rest: Rest::LetGo }
    }

    /// A body that has ended.
    pub(crate) fn ended() -> Self {
        Self { rest: Rest::Nothing, ..Self::gone() }
    }

    /// Whether its end was read, be it an error.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self.rest, Rest::Nothing)
    }

    /// Whether a part of it will not come.
    pub(crate) fn is_let_go(&self) -> bool {
        matches!(self.rest, Rest::LetGo)
    }

    /// Lets go of what was not read ahead, which closes its connection when it is dropped.
    pub(crate) fn let_go(&mut self) -> Option<B> {
        match mem::replace(&mut self.rest, Rest::LetGo) {
            Rest::Stream(stream) => Some(stream),
            Rest::LetGo => None,
            Rest::Nothing => {
                self.rest = Rest::Nothing;
                None
            }
        }
    }

    /// How much was read ahead.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Adds the data that was read ahead to `bytes`, up to `most`, from the piece `next` on, which then is the next one. It is
    /// `false` where that is not all of it, since it is too much or lies in more parts than can be seen.
    pub(crate) fn copy_to(&self, bytes: &mut Vec<u8>, most: usize, next: &mut usize) -> bool {
        for piece in self.pieces.iter().skip(*next) {
            let Some(data) = piece.as_ref().ok().and_then(Frame::data_ref) else { continue };
            let mut parts = [IoSlice::new(&[]); MOST_PARTS];
            let count = data.chunks_vectored(&mut parts);
            let before = bytes.len();
            for part in &parts[..count] {
                bytes.extend_from_slice(&part[..part.len().min(most - bytes.len())]);
            }
            if bytes.len() - before < data.remaining() {
                return false;
            }
        }
        *next = self.pieces.len();
        true
    }

    /// Whether it broke off, as far as it was read.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self.pieces.back(), Some(Err(_)))
    }

    /// The error that it ended with, which then nobody else meets.
    pub(crate) fn take_error(&mut self) -> Option<BoxError> {
        if self.is_broken() { self.pieces.pop_back()?.err() } else { None }
    }

    /// Ends it here.
    pub(crate) fn end(&mut self) {
        self.rest = Rest::Nothing;
    }

    /// How many pieces wait for the reader.
    pub(crate) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
            && match &self.rest {
                Rest::Nothing => true,
                Rest::Stream(stream) => stream.is_end_stream(),
                Rest::LetGo => false,
            }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        let data = self.pieces.iter().flatten().filter_map(Frame::data_ref);
        let ahead: u64 = data.map(|data| data.remaining() as u64).sum();
        let broken = self.pieces.back().is_some_and(Result::is_err);
        let rest = match &self.rest {
            Rest::Nothing => SizeHint::with_exact(0),
            Rest::Stream(stream) => stream.size_hint(),
            Rest::LetGo => SizeHint::default(),
        };

        let mut size = SizeHint::new();
        size.set_lower(ahead.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper().filter(|_| !broken) {
            size.set_upper(ahead.saturating_add(upper));
        }
        size
    }
}

impl<B: Body<Error: Into<BoxError>> + Unpin> Ahead<B> {
    /// Reads ahead: ready at the end of the body, or when more than `most` was read.
    pub(crate) fn poll_ahead(&mut self, most: usize, cx: &mut Context<'_>) -> Poll<()> {
        while let Rest::Stream(stream) = &mut self.rest {
            let piece = if stream.is_end_stream() {
                None
            } else if self.size > most {
                break;
            } else {
                ready!(poll(stream, cx))
            };
            if let Some(Ok(frame)) = &piece {
                // One without data counts, too, so that they have an end.
                self.size += frame.data_ref().map_or(0, Buf::remaining).max(1);
            } else {
                self.rest = Rest::Nothing;
            }
            self.pieces.extend(piece);
        }
        Poll::Ready(())
    }

    /// The next piece for the reader.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        if let Some(piece) = self.pieces.pop_front() {
            return Poll::Ready(Some(piece));
        }
        match &mut self.rest {
            Rest::Nothing => Poll::Ready(None),
            Rest::Stream(stream) => poll(stream, cx),
            Rest::LetGo => Poll::Ready(Some(Err(LetGo.into()))),
        }
    }
}

/// The end of a body that was let go.
#[derive(Debug, thiserror::Error)]
#[error("the rest of the answer was let go when its target was given up")]
pub(crate) struct LetGo;

/// In how many parts a piece is looked at.
const MOST_PARTS: usize = 16;

fn poll<B: Body<Error: Into<BoxError>> + Unpin>(
    stream: &mut B,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
    Pin::new(stream).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
}
