//! The adapter for tokio, as callers use it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use failover_tokio::{Builder, Error, FailoverClient, ResponseBody, Within};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use super::adapter::{Adapter, Call, Failed, Head, Settings, Stop};

/// A client and its runtime.
#[derive(Clone)]
pub(super) struct OverTokio {
    client: FailoverClient,
    runtime: Handle,
}

impl OverTokio {
    pub(super) fn new(runtime: &Handle, settings: Settings) -> Self {
        let _entered = runtime.enter();
        let builder = FailoverClient::builder().policy(settings.policy).tls(settings.tls);
        let builder = settings.targets.into_iter().fold(builder, Builder::target);
        Self { client: builder.build().expect("the settings make sense"), runtime: runtime.clone() }
    }
}

impl Adapter for OverTokio {
    type Body = ResponseBody;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
        sleep(time)
    }

    async fn within<F: Future<Output: Send> + Send>(time: Duration, future: F) -> Option<F::Output> {
        timeout(time, future).await.ok()
    }

    async fn call(&self, call: Call) -> Result<Head<ResponseBody>, Stop<ResponseBody>> {
        let mut request = Request::builder().method(call.method).uri("/soak");
        for (name, value) in call.headers() {
            request = request.header(name, value);
        }
        if let Some(time) = call.within {
            request = request.extension(Within(time));
        }
        let outcome = if call.is_streamed {
            let pieces = Pieces { piece: call.piece(), rest: call.body };
            self.client.forward(request.body(pieces).expect("the request can be built")).await
        } else {
            self.client.request(request.body(call.body).expect("the request can be built")).await
        };
        outcome.map(head).map_err(stop)
    }

    async fn piece(body: &mut ResponseBody) -> Result<Option<Bytes>, String> {
        loop {
            match body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(error.to_string()),
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        return Ok(Some(piece));
                    }
                }
            }
        }
    }

    fn watch(&self) -> impl Fn() -> Option<usize> + 'static {
        let runtime = self.runtime.clone();
        move || Some(runtime.metrics().num_alive_tasks())
    }
}

fn head(response: Response<ResponseBody>) -> Head<ResponseBody> {
    let id = response.headers().get("x-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let target = response.body().answered().target();
    Head { status: response.status().as_u16(), id, target, body: response.into_body() }
}

fn stop(error: Error) -> Stop<ResponseBody> {
    let message = error.to_string();
    let (reason, failures) = match &error {
        Error::Stopped(stopped) => {
            (Some(stopped.reason()), stopped.failures().iter().map(Failed::from).collect())
        }
        _ => (None, vec![]),
    };
    Stop { reason, failures, answer: error.into_response().map(head), message }
}

/// A body whose length is not known.
struct Pieces {
    rest: Bytes,
    piece: usize,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let size = self.piece.min(self.rest.len());
        let piece = self.rest.split_to(size);
        Poll::Ready((size > 0).then(|| Ok(Frame::data(piece))))
    }
}
