//! Heads and trailers of any size, over both versions of HTTP.
#![cfg(feature = "http2")]
#![forbid(unsafe_code)]

#[expect(dead_code, reason = "what the other suites need")]
mod common;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use common::{Pieces, Server, fault, serve, stopped, text};
use failover_tokio::{Evidence, FailoverClient, Fault, Protocol};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::sync::Notify;

/// Guards: `Transport::send` without the limit on heads.
#[tokio::test]
async fn one_head_an_answers_head_of_any_size_breaks_no_other_call() {
    for http2 in [false, true] {
        let release = Arc::new(Notify::new());
        let server = odd_server(http2, &release).await;
        let client = client(&server, http2);
        let waiting = client.clone();
        let other = tokio::spawn(async move { text(waiting.get("/held").await.unwrap()).await });
        for (size, is_read) in
            [(0, true), (20_000, true), (60_000, true), (200_000, true), (300_000, false), (700_000, false)]
        {
            let result = client.get(format!("/head/{size}")).await;
            if is_read {
                let response = result.unwrap();
                assert_eq!(response.headers()["x-odd"].len(), size, "{http2}");
                assert_eq!(text(response).await, "right");
            } else {
                let failure = stopped(result);
                assert_eq!(
                    (failure.evidence(), fault(&failure)),
                    (Some(Evidence::MaybeProcessed), Fault::Garbage),
                    "{http2} {size}"
                );
            }
            assert_eq!(text(client.get("/head/0").await.unwrap()).await, "right");
        }
        release.notify_one();
        assert_eq!(other.await.unwrap(), "right");
        if http2 {
            assert_eq!(server.connections(), 1);
        }
    }
}

/// Guards: `Received::poll_frame` without the limit on trailers; `Http1::open` that leaves hyper's own in place.
#[tokio::test]
async fn one_head_trailers_come_whole_or_as_an_error() {
    for http2 in [false, true] {
        let server = odd_server(http2, &Arc::default()).await;
        let client = client(&server, http2);
        for (size, is_read) in
            [(0, true), (17_000, true), (200_000, true), (300_000, false), (700_000, false)]
        {
            let request = Request::get(format!("/trailers/{size}")).header("te", "trailers");
            let response = client.request(request.body("").unwrap()).await.unwrap();
            let body = response.into_body().collect().await;
            if is_read {
                let body = body.unwrap();
                assert_eq!(body.trailers().unwrap()["x-odd"].len(), size, "{http2}");
                assert_eq!(body.to_bytes(), "right");
            } else {
                let error = body.unwrap_err().to_string();
                assert!(error.ends_with("broke off: the trailers are too large"), "{http2} {size}: {error}");
            }
        }
        if http2 {
            assert_eq!(server.connections(), 1);
        }
    }
}

/// Answers `/head/N` and `/trailers/N` with a field of N bytes there, and `/held` when that is released.
async fn odd_server(http2: bool, release: &Arc<Notify>) -> Server {
    let release = Arc::clone(release);
    Server::start(move |stream, _| {
        let release = Arc::clone(&release);
        serve(stream, http2, move |request| odd(request, Arc::clone(&release)))
    })
    .await
}

async fn odd(request: Request<Incoming>, release: Arc<Notify>) -> Result<Response<Pieces>, Infallible> {
    let mut response = Response::new(Pieces { pieces: vec![Ok(Bytes::from("right"))], trailers: None });
    let path = request.uri().path().trim_start_matches('/');
    let (place, size) = path.split_once('/').unwrap_or((path, "0"));
    let size: usize = size.parse().unwrap();
    let fields = || {
        let mut fields = HeaderMap::new();
        fields.insert("x-odd", HeaderValue::from_maybe_shared(Bytes::from(vec![b'o'; size])).unwrap());
        fields
    };
    match place {
        "head" => *response.headers_mut() = fields(),
        "trailers" => {
            response.headers_mut().insert("trailer", HeaderValue::from_static("x-odd"));
            response.body_mut().trailers = Some(fields());
        }
        _ => release.notified().await,
    }
    Ok(response)
}

fn client(server: &Server, http2: bool) -> FailoverClient {
    let builder = FailoverClient::builder().targets([server.url()]);
    if http2 { builder.protocol(Protocol::Http2).build().unwrap() } else { builder.build().unwrap() }
}
