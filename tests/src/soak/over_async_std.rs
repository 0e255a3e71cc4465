//! The adapter for async-std, as callers use it.

use std::time::Duration;

use async_std::future::timeout;
use async_std::io::{Cursor, ReadExt};
use async_std::task;
use bytes::Bytes;
use failover_async_std::{Answered, Builder, Error, FailoverClient, Within};
use http::Request;
use surf::http::Method;
use surf::{Response, Url};

use super::adapter::{Adapter, Call, Failed, Head, Settings, Stop};

/// A client.
#[derive(Clone)]
pub(super) struct OverAsyncStd {
    client: FailoverClient,
}

impl OverAsyncStd {
    pub(super) fn new(settings: Settings) -> Self {
        let builder = FailoverClient::builder().policy(settings.policy).tls(settings.tls);
        let builder = settings.targets.into_iter().fold(builder, Builder::target);
        Self { client: builder.build().expect("the settings make sense") }
    }
}

impl Adapter for OverAsyncStd {
    type Body = Response;

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(task::spawn(task));
    }

    fn sleep(time: Duration) -> impl Future<Output = ()> + Send {
        task::sleep(time)
    }

    async fn within<F: Future<Output: Send> + Send>(time: Duration, future: F) -> Option<F::Output> {
        timeout(time, future).await.ok()
    }

    async fn call(&self, call: Call) -> Result<Head<Response>, Stop<Response>> {
        let outcome = if call.is_streamed {
            let method: Method = call.method.parse().expect("a method");
            let url = Url::parse("http://soak.invalid/soak").expect("a URL");
            let mut request = surf::Request::new(method, url);
            for (name, value) in call.headers() {
                request.insert_header(name, value);
            }
            if let Some(time) = call.within {
                request.set_ext(Within(time));
            }
            request.set_body(surf::Body::from_reader(Cursor::new(call.body), None));
            self.client.send(request).await
        } else {
            let mut request = Request::builder().method(call.method).uri("/soak");
            for (name, value) in call.headers() {
                request = request.header(name, value);
            }
            if let Some(time) = call.within {
                request = request.extension(Within(time));
            }
            self.client.request(request.body(call.body).expect("the request can be built")).await
        };
        outcome.map(head).map_err(stop)
    }

    async fn piece(body: &mut Response) -> Result<Option<Bytes>, String> {
        let mut piece = vec![0; 16 << 10];
        let size = body.read(&mut piece).await.map_err(|error| error.to_string())?;
        piece.truncate(size);
        Ok((size > 0).then(|| piece.into()))
    }

    fn watch(&self) -> impl Fn() -> Option<usize> + 'static {
        || None
    }
}

fn head(response: Response) -> Head<Response> {
    let id = response.header("x-id").and_then(|id| id.as_str().parse().ok());
    let target = response.ext().map_or(usize::MAX, Answered::target);
    Head { status: response.status().into(), id, target, body: response }
}

fn stop(error: Error) -> Stop<Response> {
    let message = error.to_string();
    let (reason, failures) = match &error {
        Error::Stopped(stopped) => {
            (Some(stopped.reason()), stopped.failures().iter().map(Failed::from).collect())
        }
        _ => (None, vec![]),
    };
    Stop { reason, failures, answer: error.into_response().map(head), message }
}
