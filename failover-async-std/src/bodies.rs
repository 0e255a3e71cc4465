//! Bodies between two worlds: hyper's come in frames, surf's are read.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_std::io::{BufRead, Read};
use bytes::{Buf, Bytes};
use failover_hyper::BoxError;
use http_body::{Body, Frame, SizeHint};

/// A body in frames, to be read. It ends where the frames end, and a body that breaks off never ends: it fails, however
/// often it is read.
pub(crate) struct FrameReader<B> {
    /// `None` once it has failed.
    body: Option<B>,
    chunk: Bytes,
}

impl<B> FrameReader<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + Sync + Unpin + 'static,
{
    /// The body as surf takes it, with its length where that is known.
    pub(crate) fn body(body: B) -> surf::Body {
        let length = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
        surf::Body::from_reader(Self { body: Some(body), chunk: Bytes::new() }, length)
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> BufRead for FrameReader<B> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.chunk.is_empty() {
            let Some(body) = &mut this.body else {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body broke off")));
            };
            match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => this.chunk = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => {
                    this.body = None;
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)));
                }
                None => break,
            }
        }
        Poll::Ready(Ok(&this.chunk))
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        let count = count.min(self.chunk.len());
        self.chunk.advance(count);
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Read for FrameReader<B> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let ahead = ready!(self.as_mut().poll_fill_buf(cx))?;
        let count = ahead.len().min(buf.len());
        buf[..count].copy_from_slice(&ahead[..count]);
        self.consume(count);
        Poll::Ready(Ok(count))
    }
}

/// A body of surf's, in frames of a bounded size. It is as long as it says that it is, or it fails.
pub(crate) struct SurfBody {
    body: surf::Body,
    /// What is still to come, where that is known.
    left: Option<u64>,
}

impl SurfBody {
    pub(crate) fn new(body: surf::Body) -> Self {
        let left = body.len().map(|length| length as u64);
        Self { body, left }
    }
}

impl Body for SurfBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Self { body, left } = &mut *self;
        if *left == Some(0) {
            return Poll::Ready(None);
        }
        let piece = match ready!(Pin::new(&mut *body).poll_fill_buf(cx)) {
            Ok([]) => {
                let broken = left.is_some().then(|| Err(io::ErrorKind::UnexpectedEof.into()));
                return Poll::Ready(broken);
            }
            Ok(ahead) => {
                let most = left.map_or(PIECE, |left| usize::try_from(left).unwrap_or(PIECE).min(PIECE));
                Bytes::copy_from_slice(&ahead[..ahead.len().min(most)])
            }
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        Pin::new(body).consume(piece.len());
        *left = left.map(|left| left.saturating_sub(piece.len() as u64));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl fmt::Debug for SurfBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SurfBody").field("left", &self.left).finish_non_exhaustive()
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

/// The largest piece of a body that is handed on at once, where the body has not its own pieces.
const PIECE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use async_std::io::ReadExt;
    use async_std::task::block_on;

    use super::*;

    #[test]
    fn frames_are_read_to_their_end_and_an_error_stays_one() {
        let frames = |pieces: &[&'static str]| pieces.iter().map(|piece| Ok((*piece).into())).collect();
        let mut whole = FrameReader::body(Frames(frames(&["a", "", "bc"])));
        let mut text = String::new();
        block_on(whole.read_to_string(&mut text)).unwrap();
        assert_eq!(text, "abc");

        let mut broken: VecDeque<_> = frames(&["a"]);
        broken.push_back(Err(io::ErrorKind::ConnectionReset.into()));
        let mut broken = FrameReader::body(Frames(broken));
        for _ in 0..3 {
            block_on(broken.read_to_end(&mut vec![])).unwrap_err();
        }
    }

    #[test]
    fn a_body_that_is_shorter_than_it_says_fails_and_a_longer_one_ends() {
        for (says, pieces) in [(None, "abcd"), (Some(4), "abcd"), (Some(3), "abc"), (Some(0), "")] {
            assert_eq!(collect(says).unwrap(), pieces.as_bytes());
        }
        assert_eq!(collect(Some(5)).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    fn collect(says: Option<usize>) -> io::Result<Vec<u8>> {
        let reader = async_std::io::Cursor::new(b"abcd".to_vec());
        let mut body = SurfBody::new(surf::Body::from_reader(reader, says));
        let mut all = Vec::new();
        while let Some(frame) = block_on(std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx))) {
            all.extend_from_slice(&frame?.into_data().unwrap());
        }
        Ok(all)
    }

    struct Frames(VecDeque<io::Result<Bytes>>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
            Poll::Ready(self.0.pop_front().map(|piece| piece.map(Frame::data)))
        }
    }
}
