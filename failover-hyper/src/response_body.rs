//! The body of a response, which can be read ahead.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use failover_core::{BodyToken, Group, Target};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

use crate::clock::Clock;
use crate::error::BoxError;
use crate::idle::Idle;
use crate::observe;
use crate::runtime::Runtime;
use crate::transport_body::TransportBody;

/// The body of a response, streamed from the target.
///
/// It is never failed over: a body that breaks off is an error, that of `B`, the body that the transport gives.
pub struct ResponseBody<B: Body = TransportBody> {
    /// What was read ahead. An error is its last element, and then nothing is left.
    ahead: VecDeque<Result<Frame<B::Data>, BoxError>>,
    rest: Rest<B>,
    /// Who is told how it ends.
    origin: Option<Origin>,
    /// The bytes of a probe's answer that passed.
    passed: usize,
    /// How long it may stand still, if that is bounded.
    idle: Option<Idle>,
}

/// The target that a response came from.
#[derive(Debug)]
pub struct Origin {
    /// The group of the target.
    pub group: Group<Target>,
    /// Its index.
    pub index: usize,
    /// Of an answer that was accepted: what it tells how its body ended, and by which clock.
    pub body: Option<(BodyToken, Clock)>,
}

impl Origin {
    /// The body ended whole, or enough of it passed.
    fn whole(&self) {
        if let Some((body, clock)) = self.body {
            self.group.body_whole(body, clock.now());
        }
    }

    /// The body broke off.
    fn broke_off(self) {
        observe::answer_broke_off(self.index, &self.group.targets()[self.index]);
        if let Some((body, clock)) = self.body {
            self.group.body_broke_off(body, clock.now());
        }
    }
}

/// What is left of a body after what was read ahead.
enum Rest<B> {
    Nothing,
    Stream(B),
    /// The stream, as long as the call does not let go of it.
    Held(Held<B>),
}

impl<B: Body + Unpin> ResponseBody<B> {
    /// A body that streams `body`.
    pub fn new(body: B, origin: Option<Origin>) -> Self {
        Self { ahead: VecDeque::new(), rest: Rest::Stream(body), origin, passed: 0, idle: None }
    }
}

impl<B: Body<Error: Into<BoxError>> + Unpin> ResponseBody<B> {
    /// Reads the whole body, however long it is. `http_body_util::Limited` around it bounds that.
    ///
    /// # Errors
    ///
    /// The body broke off.
    pub async fn bytes(self) -> Result<Bytes, BoxError> {
        Ok(self.collect().await?.to_bytes())
    }

    /// Reads the whole body as text, which must be UTF-8.
    ///
    /// # Errors
    ///
    /// The body broke off, or is not UTF-8.
    pub async fn text(self) -> Result<String, BoxError> {
        Ok(String::from_utf8(self.bytes().await?.into())?)
    }

    /// Reads the whole body as JSON.
    ///
    /// # Errors
    ///
    /// The body broke off, or is not the JSON of a `T`.
    #[cfg(feature = "json")]
    pub async fn json<T: serde::de::DeserializeOwned>(self) -> Result<T, BoxError> {
        Ok(serde_json::from_slice(&self.bytes().await?)?)
    }
}

impl<B: Body<Error: Into<BoxError>> + Unpin> ResponseBody<B> {
    /// Has the group told how the body ends, and bounds how long it may stand still.
    pub(crate) fn accept<R: Runtime>(&mut self, body: BodyToken, clock: Clock, idle: Option<Duration>) {
        self.idle = idle.map(Idle::new::<R>);
        let ended = self.is_end_stream();
        if let Some(origin) = &mut self.origin {
            origin.body = Some((body, clock));
            if ended {
                origin.whole();
            }
        }
    }

    /// Tells the group of a frame, or of the end.
    fn tell(&mut self, frame: Option<&Result<Frame<B::Data>, BoxError>>) {
        if let Some(origin) = self.origin.take_if(|_| frame.is_some_and(Result::is_err)) {
            return origin.broke_off();
        }
        let data = frame.and_then(|frame| frame.as_ref().ok()?.data_ref());
        self.passed = self.passed.saturating_add(data.map_or(0, Buf::remaining));
        let is_enough = self.passed >= ENOUGH || frame.is_none() || self.is_end_stream();
        if let Some(origin) = self.origin.as_ref().filter(|_| is_enough) {
            origin.whole();
        }
    }
}

impl<B: Body> ResponseBody<B> {
    /// Whether a part of it will not come, since the call went on from its target.
    #[must_use]
    pub fn is_let_go(&self) -> bool {
        matches!(&self.rest, Rest::Held(held) if held.lock().is_none())
    }
}

impl<B: Body<Data: Send, Error: Into<BoxError>> + Send + Unpin> ResponseBody<B> {
    /// Reads a short body to its end, which frees its connection for another request.
    ///
    /// A longer or slower one keeps its connection until this body is read or dropped, or the call lets go of it.
    pub(crate) async fn drain<R: Runtime>(mut self) -> (Self, Option<Held<B>>) {
        R::timeout(DRAIN_TIME, self.read_ahead()).await;
        let held = match mem::replace(&mut self.rest, Rest::Nothing) {
            Rest::Stream(stream) => Held(Arc::new(Mutex::new(Some(stream)))),
            Rest::Held(held) => held,
            Rest::Nothing => return (self, None),
        };
        self.rest = Rest::Held(held.share());
        (self, Some(held))
    }

    async fn read_ahead(&mut self) {
        let mut size = 0;
        while size <= DRAIN_SIZE {
            let Rest::Stream(stream) = &mut self.rest else { break };
            let frame = stream.frame().await;
            if let Some(Ok(frame)) = &frame {
                size += frame.data_ref().map_or(0, Buf::remaining);
            } else {
                self.rest = Rest::Nothing;
            }
            self.ahead.extend(frame.map(|frame| frame.map_err(Into::into)));
        }
    }
}

impl<B: Body<Error: Into<BoxError>> + Unpin> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let this = self.get_mut();
        let frame = match this.ahead.pop_front() {
            Some(frame) => Some(frame),
            None => match &mut this.rest {
                Rest::Nothing => None,
                Rest::Stream(stream) => match poll(stream, cx) {
                    Poll::Ready(frame) => {
                        if let Some(idle) = &mut this.idle {
                            idle.moved();
                        }
                        frame
                    }
                    Poll::Pending => {
                        let Some(idle) = &mut this.idle else { return Poll::Pending };
                        let error = ready!(idle.poll_over(cx));
                        this.rest = Rest::Nothing;
                        Some(Err(error.into()))
                    }
                },
                Rest::Held(held) => match &mut *held.lock() {
                    Some(stream) => ready!(poll(stream, cx)),
                    None => return Poll::Ready(Some(Err(LetGo.into()))),
                },
            },
        };
        let is_probe = |origin: &Origin| origin.body.is_some_and(|(body, _)| body.is_probe());
        if matches!(frame, Some(Err(_))) || this.origin.as_ref().is_some_and(is_probe) {
            this.tell(frame.as_ref());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty()
            && match &self.rest {
                Rest::Nothing => true,
                Rest::Stream(stream) => stream.is_end_stream(),
                Rest::Held(held) => held.lock().as_ref().is_some_and(Body::is_end_stream),
            }
    }

    fn size_hint(&self) -> SizeHint {
        let data = self.ahead.iter().flatten().filter_map(Frame::data_ref);
        let ahead: u64 = data.map(|data| data.remaining() as u64).sum();
        let broken = self.ahead.back().is_some_and(Result::is_err);
        let rest = match &self.rest {
            Rest::Nothing => SizeHint::with_exact(0),
            Rest::Stream(stream) => stream.size_hint(),
            Rest::Held(held) => held.lock().as_ref().map_or_else(SizeHint::default, Body::size_hint),
        };

        let mut size = SizeHint::new();
        size.set_lower(ahead.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper().filter(|_| !broken) {
            size.set_upper(ahead.saturating_add(upper));
        }
        size
    }
}

// A queue of frames is never pinned, and the rest is pinned only where it is `Unpin`.
impl<B: Body + Unpin> Unpin for ResponseBody<B> {}

impl<B: Body> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("frames_ahead", &self.ahead.len())
            .field("read_to_end", &matches!(self.rest, Rest::Nothing))
            .finish_non_exhaustive()
    }
}

/// The rest of a response that was given up, which its call may still hand to the caller.
pub(crate) struct Held<B>(Arc<Mutex<Option<B>>>);

impl<B> Held<B> {
    /// Closes the stream, and its connection with it, since the call goes on.
    pub(crate) fn let_go(self) {
        drop(self.lock().take());
    }

    fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    fn lock(&self) -> MutexGuard<'_, Option<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of a body that was let go.
#[derive(Debug, thiserror::Error)]
#[error("the rest of the answer was let go when its target was given up")]
struct LetGo;

fn poll<B: Body<Error: Into<BoxError>> + Unpin>(
    stream: &mut B,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
    Pin::new(stream).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
}

/// How much of the answer to a probe shows that its target works again.
const ENOUGH: usize = 64 << 10;

/// How much of a response that was given up is read so that its connection can be used again.
const DRAIN_SIZE: usize = 64 << 10;

/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::Full;

    use super::*;
    use crate::testing::{Frames, Stalled, Tokio};

    #[tokio::test]
    async fn a_short_body_is_read_to_its_end_and_a_long_one_is_not() {
        for (size, read_to_end) in [(0, true), (1, true), (DRAIN_SIZE, true), (DRAIN_SIZE + 2, false)] {
            let halves = [vec![1; size / 2 + size % 2], vec![2; size / 2]];
            let frames =
                halves.iter().map(|half| Ok::<_, Infallible>(Frame::data(Bytes::from(half.clone()))));
            let (body, held) = ResponseBody::new(Frames(frames.collect()), None).drain::<Tokio>().await;
            assert_eq!(held.is_none(), read_to_end, "{size}");
            assert_eq!(body.collect().await.unwrap().to_bytes(), halves.concat());
        }
    }

    #[tokio::test]
    async fn the_size_that_was_known_stays_known() {
        let (body, _) =
            ResponseBody::new(Full::new(Bytes::from_static(b"busy")), None).drain::<Tokio>().await;
        assert_eq!(body.size_hint().exact(), Some(4));
        assert!(!body.is_end_stream());
        assert!(ResponseBody::new(Full::<Bytes>::default(), None).drain::<Tokio>().await.0.is_end_stream());
    }

    #[tokio::test]
    async fn a_body_that_broke_off_while_it_was_drained_is_an_error_to_its_reader() {
        let frames = [Ok(Frame::data(Bytes::from_static(b"half"))), Err("reset")].into();
        let (body, _) = ResponseBody::new(Frames(frames), None).drain::<Tokio>().await;
        assert_eq!(body.size_hint().exact(), None);
        assert_eq!(body.collect().await.unwrap_err().to_string(), "reset");
    }

    #[tokio::test]
    async fn a_body_that_was_let_go_is_an_error_to_its_reader() {
        let frames = [1, 2, 3].map(|piece| Ok::<_, Infallible>(Frame::data(vec![piece; DRAIN_SIZE].into())));
        let (mut body, held) = ResponseBody::new(Frames(frames.into()), None).drain::<Tokio>().await;
        assert!(!body.is_let_go());
        held.unwrap().let_go();
        assert!(body.is_let_go() && !body.is_end_stream());
        for piece in [1, 2] {
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap()[0], piece);
        }
        assert!(body.frame().await.unwrap().unwrap_err().is::<LetGo>());
    }

    #[tokio::test]
    async fn a_body_is_read_whole_or_not_at_all() {
        let body = |text| ResponseBody::new(Full::new(Bytes::from_static(text)), None);
        assert_eq!(body(b"[1, 2]").bytes().await.unwrap(), "[1, 2]");
        assert_eq!(body("höher".as_bytes()).text().await.unwrap(), "höher");
        assert!(body(b"\xff").text().await.unwrap_err().is::<std::string::FromUtf8Error>());
        let broken = || {
            let frames = [Ok(Frame::data(Bytes::from_static(b"[1]"))), Err("reset")];
            ResponseBody::new(Frames(frames.into()), None)
        };
        assert_eq!(broken().bytes().await.unwrap_err().to_string(), "reset");
        assert_eq!(broken().text().await.unwrap_err().to_string(), "reset");
        #[cfg(feature = "json")]
        {
            assert_eq!(body(b"[1, 2]").json::<Vec<u8>>().await.unwrap(), [1, 2]);
            assert_eq!(broken().json::<Vec<u8>>().await.unwrap_err().to_string(), "reset");
            assert!(body(b"[1, 2").json::<Vec<u8>>().await.unwrap_err().is::<serde_json::Error>());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn body_idle_a_reader_waits_for_the_next_piece_no_longer_than_its_bound() {
        let mut body = ResponseBody::new(Stalled, None);
        body.idle = Some(Idle::new::<Tokio>(SECOND));
        let began = Tokio::now();
        // Nobody reads, so that nothing stands still.
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!(body.frame().await.unwrap().unwrap_err().to_string(), "no piece of the body came for 1s");
        assert_eq!(Tokio::now() - began, 3 * SECOND);
        assert!(body.frame().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn body_idle_each_piece_has_the_whole_bound() {
        let (pieces, receiver) = tokio::sync::mpsc::channel(1);
        let mut body = ResponseBody::new(Pieces(receiver), None);
        body.idle = Some(Idle::new::<Tokio>(SECOND));
        tokio::spawn(async move {
            for nth in 0..10 {
                tokio::time::sleep(SECOND * 9 / 10).await;
                pieces.send(nth).await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        for nth in 0..10 {
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), [nth].as_slice());
        }
        let began = Tokio::now();
        body.frame().await.unwrap().unwrap_err();
        assert_eq!(Tokio::now() - began, SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_is_not_waited_for() {
        assert!(ResponseBody::new(Stalled, None).drain::<Tokio>().await.1.is_some());
    }

    /// A body of pieces that come when they come.
    struct Pieces(tokio::sync::mpsc::Receiver<u8>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let piece = ready!(self.0.poll_recv(cx));
            Poll::Ready(piece.map(|piece| Ok(Frame::data(Bytes::from(vec![piece])))))
        }
    }

    const SECOND: Duration = Duration::from_secs(1);
}
