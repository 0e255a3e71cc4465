//! The body of a response, which can be read ahead.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use failover_core::{BodyToken, Failure, Judge};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;

use crate::ahead::Ahead;
use crate::answered::Answered;
use crate::body_error::BodyError;
use crate::drain::Drain;
use crate::error::{AttemptError, BoxError};
use crate::idle::Idle;
use crate::judging::unless_it_panics;
use crate::observe;
use crate::observed::{Met, Observed};
use crate::runtime::Runtime;
use crate::transport_body::TransportBody;

/// The body of a response, streamed from the target.
///
/// It is never failed over: a body that breaks off is an error, whose source is that of `B`, the body that the transport gives.
///
/// It also tells which target [`answered`](Self::answered).
pub struct ResponseBody<B: Body = TransportBody>(Box<Inner<B>>);

/// In a box, since a response is moved often.
struct Inner<B: Body> {
    content: Content<B>,
    answered: Answered,
    /// Who is told how it ends.
    origin: Option<Origin>,
    /// The bytes of a probe's answer that passed.
    passed: usize,
    /// How long it may stand still, if that is bounded.
    idle: Option<Idle>,
}

/// The target that a response came from.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The group of the target.
    pub(crate) observed: Observed,
    /// Its index.
    pub(crate) index: usize,
    /// Of an answer that was accepted: what it tells how its body ended.
    pub(crate) body: Option<BodyToken>,
}

impl Origin {
    /// The body ended whole, or enough of it passed.
    fn whole(&self) {
        // Of others nobody waits for it.
        if let Some(body) = self.body.filter(|body| body.is_probe()) {
            self.observed.group().body_whole(body, self.observed.clock().now());
            self.observed.tell_moves(&[]);
        }
    }

    /// Its trailers tell that the target failed.
    fn failed(self) {
        if let Some(body) = self.body {
            self.observed.group().body_broke_off(body, self.observed.clock().now());
            self.observed.tell(Met::Said(self.index, "its trailers told a failure"));
        }
    }

    /// Whether trailers tell that.
    fn is_failure(&self, trailers: &HeaderMap) -> bool {
        let judges = &self.observed.group().policy().judge;
        unless_it_panics(|| judges.is_failure(trailers)).unwrap_or(false)
    }

    /// The body broke off.
    fn broke_off(self) {
        if let Some(body) = self.body {
            self.observed.group().body_broke_off(body, self.observed.clock().now());
        }
        observe::answer_broke_off(&self.observed, self.index);
    }
}

/// Where a body is.
enum Content<B: Body> {
    Here(Ahead<B>),
    /// With what drains it, since its answer was given up.
    Drained(Drain<B>),
}

impl<B: Body + Unpin> ResponseBody<B> {
    /// A body of which a part may have been read ahead.
    pub(crate) fn new(body: Ahead<B>, origin: Option<Origin>) -> Self {
        Self::over(Content::Here(body), origin)
    }

    fn over(content: Content<B>, origin: Option<Origin>) -> Self {
        let answered = Answered::at_once(origin.as_ref().map_or(0, |origin| origin.index));
        Self(Box::new(Inner { content, answered, origin, passed: 0, idle: None }))
    }
}

impl<B: Body<Error: Into<BoxError>> + Unpin> ResponseBody<B> {
    /// Reads the whole body, however long it is. `http_body_util::Limited` around it bounds that.
    ///
    /// # Errors
    ///
    /// The body broke off.
    pub async fn bytes(self) -> Result<Bytes, BodyError> {
        Ok(self.collect().await?.to_bytes())
    }

    /// Reads the whole body as text, which must be UTF-8.
    ///
    /// # Errors
    ///
    /// The body broke off, or is not UTF-8.
    pub async fn text(self) -> Result<String, BodyError> {
        String::from_utf8(self.bytes().await?.into()).map_err(BodyError::no_text)
    }

    /// Reads the whole body as JSON.
    ///
    /// # Errors
    ///
    /// The body broke off, or is not the JSON of a `T`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use failover_hyper::ResponseBody;
    /// # use http::Response;
    /// async fn prices(response: Response<ResponseBody>) -> Result<Vec<u32>, Box<dyn std::error::Error>> {
    ///     Ok(response.into_body().json().await?)
    /// }
    /// ```
    #[cfg(feature = "json")]
    pub async fn json<T: serde::de::DeserializeOwned>(self) -> Result<T, BodyError> {
        serde_json::from_slice(&self.bytes().await?).map_err(BodyError::no_json)
    }
}

impl<B: Body<Error: Into<BoxError>> + Unpin> ResponseBody<B> {
    /// The body of an answer that is given up, and what drains it, unless all of it was at hand.
    pub(crate) fn given_up(body: Ahead<B>, origin: Origin) -> (Self, Option<Drain<B>>) {
        match Drain::of(body) {
            Ok(ahead) => (Self::over(Content::Here(ahead), Some(origin)), None),
            Err(drain) => (Self::over(Content::Drained(drain.share()), Some(origin)), Some(drain)),
        }
    }

    /// Has the group told how the body ends, and bounds how long it may stand still.
    pub(crate) fn accept<R: Runtime>(&mut self, body: BodyToken, idle: Option<Duration>) {
        self.0.idle = idle.map(Idle::new::<R>);
        let ended = self.is_end_stream();
        if let Some(origin) = &mut self.0.origin {
            origin.body = Some(body);
            if ended {
                origin.whole();
            }
        }
    }

    /// Tells the group of a frame, or of the end.
    fn tell(&mut self, frame: Option<&Result<Frame<B::Data>, BoxError>>) {
        let this = &mut *self.0;
        if let Some(origin) = this.origin.take_if(|_| frame.is_some_and(Result::is_err)) {
            return origin.broke_off();
        }
        let data = frame.and_then(|frame| frame.as_ref().ok()?.data_ref());
        this.passed = this.passed.saturating_add(data.map_or(0, Buf::remaining));
        let is_enough = this.passed >= ENOUGH || frame.is_none() || self.is_end_stream();
        if let Some(origin) = self.0.origin.as_ref().filter(|_| is_enough) {
            origin.whole();
        }
    }
}

impl<B: Body> ResponseBody<B> {
    /// Which target gave this response, and what happened before it.
    ///
    /// Of a call that stopped the failures are told by [`Stopped`](failover_core::Stopped), as long as that is there.
    #[must_use]
    pub fn answered(&self) -> &Answered {
        &self.0.answered
    }

    /// The body of a response that none of the targets gave, after these failures: it is empty.
    #[doc(hidden)]
    #[must_use]
    pub fn none(failures: Vec<Failure<AttemptError>>) -> Self {
        let answered = Answered::given_up(failures);
        let content = Content::Here(Ahead::ended());
        Self(Box::new(Inner { content, answered, origin: None, passed: 0, idle: None }))
    }

    /// Sets who gave this response.
    #[doc(hidden)]
    pub fn set_answered(&mut self, answered: Answered) {
        self.0.answered = answered;
    }

    /// Whether a part of it will not come, since the call went on from its target.
    #[doc(hidden)]
    #[must_use]
    pub fn is_let_go(&self) -> bool {
        self.see(Ahead::is_let_go)
    }

    /// The same, taken over from what drains it, now that it is the caller's, after so many attempts.
    pub(crate) fn taken_over(mut self, attempts: usize) -> Self {
        self.0.take_over();
        self.0.answered.attempts = attempts;
        self
    }

    fn see<T>(&self, look: impl FnOnce(&Ahead<B>) -> T) -> T {
        match &self.0.content {
            Content::Here(ahead) => look(ahead),
            Content::Drained(drain) => drain.see(look),
        }
    }
}

impl<B: Body> Inner<B> {
    fn take_over(&mut self) -> &mut Ahead<B> {
        if let Content::Drained(drain) = &self.content {
            self.content = Content::Here(drain.take_over());
        }
        match &mut self.content {
            Content::Here(ahead) => ahead,
            Content::Drained(_) => unreachable!("it was taken over"),
        }
    }
}

impl<B: Body<Error: Into<BoxError>> + Unpin> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BodyError>>> {
        let body = self.get_mut();
        let this = &mut *body.0;
        let frame = match this.take_over().poll_frame(cx) {
            Poll::Ready(frame) => {
                if let Some(idle) = &mut this.idle {
                    idle.moved();
                }
                frame
            }
            Poll::Pending => {
                let Some(idle) = &mut this.idle else { return Poll::Pending };
                let error = ready!(idle.poll_over(cx));
                this.take_over().end();
                Some(Err(error.into()))
            }
        };
        if let Some(trailers) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.trailers_ref()) {
            if let Some(origin) = body.0.origin.take_if(|origin| origin.is_failure(trailers)) {
                origin.failed();
            }
        }
        let this = &mut *body.0;
        let is_probe = |origin: &Origin| origin.body.is_some_and(BodyToken::is_probe);
        if matches!(frame, Some(Err(_))) || this.origin.as_ref().is_some_and(is_probe) {
            body.tell(frame.as_ref());
        }
        Poll::Ready(frame.map(|frame| frame.map_err(BodyError::broke_off)))
    }

    fn is_end_stream(&self) -> bool {
        self.see(Ahead::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.see(Ahead::size_hint)
    }
}

impl<B: Body> fmt::Debug for ResponseBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("frames_ahead", &self.see(Ahead::pieces))
            .field("read_to_end", &self.see(Ahead::is_read))
            .finish_non_exhaustive()
    }
}

/// How much of the answer to a probe shows that its target works again.
const ENOUGH: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::error::Error;

    use http_body_util::Full;

    use super::*;
    use crate::testing::{Frames, Pieces, Stalled, Tokio};

    #[tokio::test]
    async fn a_body_is_read_whole_or_not_at_all() {
        let body = |text| ResponseBody::new(Ahead::new(Full::new(Bytes::from_static(text))), None);
        assert_eq!(body(b"[1, 2]").bytes().await.unwrap(), "[1, 2]");
        assert_eq!(body("höher".as_bytes()).text().await.unwrap(), "höher");
        let error = body(b"\xff").text().await.unwrap_err();
        let told = "the answer's body is no UTF-8: invalid utf-8 sequence of 1 bytes from index 0";
        assert_eq!(error.to_string(), told);
        assert!(error.source().unwrap().is::<std::string::FromUtf8Error>());
        let broken = || {
            let frames = [Ok(Frame::data(Bytes::from_static(b"[1]"))), Err("reset")];
            ResponseBody::new(Ahead::new(Frames(frames.into())), None)
        };
        let told = "the answer's body broke off: reset";
        assert_eq!(broken().bytes().await.unwrap_err().to_string(), told);
        assert_eq!(broken().text().await.unwrap_err().to_string(), told);
        #[cfg(feature = "json")]
        {
            assert_eq!(body(b"[1, 2]").json::<Vec<u8>>().await.unwrap(), [1, 2]);
            assert_eq!(broken().json::<Vec<u8>>().await.unwrap_err().to_string(), told);
            let error = body(b"[1, 2").json::<Vec<u8>>().await.unwrap_err();
            let told = "the answer's body is no JSON: EOF while parsing a list at line 1 column 5";
            assert_eq!(error.to_string(), told);
            assert!(error.source().unwrap().is::<serde_json::Error>());
        }
    }

    #[tokio::test]
    async fn what_a_body_fails_with_passes_on_as_any_error() {
        async fn read(text: &'static [u8]) -> Result<String, Box<dyn Error>> {
            Ok(ResponseBody::new(Ahead::new(Full::new(Bytes::from_static(text))), None).text().await?)
        }
        assert_eq!(read(b"text").await.unwrap(), "text");
        assert!(read(b"\xff").await.unwrap_err().is::<BodyError>());
    }

    #[tokio::test(start_paused = true)]
    async fn body_idle_a_reader_waits_for_the_next_piece_no_longer_than_its_bound() {
        let mut body = ResponseBody::new(Ahead::new(Stalled), None);
        body.0.idle = Some(Idle::new::<Tokio>(SECOND));
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
        let mut body = ResponseBody::new(Ahead::new(Pieces(receiver)), None);
        body.0.idle = Some(Idle::new::<Tokio>(SECOND));
        tokio::spawn(async move {
            for nth in 0..10 {
                tokio::time::sleep(SECOND * 9 / 10).await;
                pieces.send(Ok(Frame::data(vec![nth].into()))).await.unwrap();
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

    const SECOND: Duration = Duration::from_secs(1);
}
