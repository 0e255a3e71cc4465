//! A matrix of framing: whatever the method, however a request's body is framed, and over whichever versions of HTTP it comes and
//! goes, each target gets the same.
#![cfg(feature = "http2")]

#[expect(dead_code, reason = "what the other suites need")]
mod common;

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use common::{Pieces, Server, answered, serve};
use failover_tokio::{FailoverClient, Policy, Protocol, Replay, Target};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response, Version};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

/// Guards: `Head::new` that states no chunks where the length is unknown.
#[tokio::test]
async fn exact_each_target_gets_the_body_and_its_framing_whatever_the_versions() {
    let versions = [Protocol::Http1, Protocol::Http2];
    for inbound in versions {
        for outbound in versions {
            let targets = [Recorder::start(outbound, 503).await, Recorder::start(outbound, 200).await];
            let urls = targets.each_ref().map(|target| target.server.url());
            let proxy = forwarding(client(urls, outbound), inbound).await;
            let front = client([proxy.url()], inbound);
            for method in METHODS {
                for content in CONTENTS {
                    let method = Method::from_bytes(method.as_bytes()).unwrap();
                    let case = format!("{method} {content:?} over {inbound:?} and {outbound:?}");
                    let request =
                        Request::builder().method(method.clone()).uri("/").body(content.body()).unwrap();
                    let response = front.forward(request).await.unwrap();
                    assert_eq!(answered(&response).failures().len(), 0, "{case}");
                    assert_eq!(response.status(), 200, "{case}");
                    let echoed = response
                        .into_body()
                        .collect()
                        .await
                        .unwrap_or_else(|error| panic!("{case}: {error:?}"))
                        .to_bytes();
                    assert_eq!(echoed, if method == Method::HEAD { "" } else { content.text() }, "{case}");
                    let [first, second] = targets.each_ref().map(Recorder::take);
                    assert_eq!(first, second, "{case}");
                    assert_eq!((&first.method, first.body.as_str()), (&method, content.text()), "{case}");
                    first.check_framing(content, outbound, &case);
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Content {
    None,
    /// All of it is known when it is sent.
    Known,
    /// It comes in pieces, and nobody says how many.
    Unknown,
    /// As that, and there are none.
    UnknownAndEmpty,
}

impl Content {
    fn text(self) -> &'static str {
        match self {
            Self::None | Self::UnknownAndEmpty => "",
            Self::Known | Self::Unknown => "money",
        }
    }

    fn body(self) -> UnsyncBoxBody<Bytes, io::Error> {
        match self {
            Self::None | Self::Known => {
                Full::from(self.text()).map_err(|never| match never {}).boxed_unsync()
            }
            Self::Unknown => Pieces::of(["mon", "ey"]).boxed_unsync(),
            Self::UnknownAndEmpty => Pieces::of([]).boxed_unsync(),
        }
    }
}

/// What a target saw of a request.
#[derive(Debug, Eq, PartialEq)]
struct Seen {
    method: Method,
    headers: HeaderMap,
    body: String,
}

impl Seen {
    fn check_framing(&self, content: Content, outbound: Protocol, case: &str) {
        let length = self.headers.get(CONTENT_LENGTH).map(|length| length.to_str().unwrap());
        let coding = self.headers.get(TRANSFER_ENCODING).map(|coding| coding.to_str().unwrap());
        let is_chunked = (outbound == Protocol::Http1).then_some("chunked");
        match content {
            Content::None => assert!(coding.is_none() && length.is_none_or(|length| length == "0"), "{case}"),
            Content::Known => assert_eq!((length, coding), (Some("5"), None), "{case}"),
            Content::Unknown => assert_eq!((length, coding), (None, is_chunked), "{case}"),
            // Over HTTP/2 a request without a body and one whose body is empty begin alike.
            Content::UnknownAndEmpty => {
                assert!(coding == is_chunked && length.is_none() || coding.is_none(), "{case}");
            }
        }
    }
}

/// A target that answers with the body of the request, and remembers what it saw last.
struct Recorder {
    server: Server,
    seen: Arc<Mutex<Option<Seen>>>,
}

impl Recorder {
    async fn start(protocol: Protocol, status: u16) -> Self {
        let seen = Arc::new(Mutex::new(None));
        let see = Arc::clone(&seen);
        let server = Server::start(move |stream, _| {
            let see = Arc::clone(&see);
            serve(stream, protocol == Protocol::Http2, move |request: Request<Incoming>| {
                let see = Arc::clone(&see);
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    let text = String::from_utf8(body.to_vec()).unwrap();
                    let mut headers = head.headers;
                    headers.remove("host");
                    let answer = if head.method == Method::HEAD { Bytes::new() } else { body };
                    *see.lock().unwrap() = Some(Seen { method: head.method, headers, body: text });
                    Ok::<_, Infallible>(Response::builder().status(status).body(Full::new(answer)).unwrap())
                }
            })
        });
        Self { server: server.await, seen }
    }

    fn take(&self) -> Seen {
        self.seen.lock().unwrap().take().unwrap()
    }
}

fn client<const N: usize>(urls: [String; N], protocol: Protocol) -> FailoverClient {
    let policy = Policy::default().replay(Replay::Always).leave_after(u8::MAX).attempt_timeout(PATIENCE);
    let mut builder = FailoverClient::builder().policy(policy).protocol(protocol).deadline(2 * PATIENCE);
    for url in urls {
        builder = builder.target(Target::parse(&url).unwrap());
    }
    builder.build().unwrap()
}

async fn forwarding(client: FailoverClient, inbound: Protocol) -> Server {
    Server::start(move |stream, _| {
        let client = client.clone();
        serve(stream, inbound == Protocol::Http2, move |request: Request<Incoming>| {
            let client = client.clone();
            async move {
                assert_eq!(request.version() == Version::HTTP_2, inbound == Protocol::Http2);
                client.forward(request).await
            }
        })
    })
    .await
}

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "MY-OWN"];

const CONTENTS: [Content; 4] = [Content::None, Content::Known, Content::Unknown, Content::UnknownAndEmpty];

/// The bound of an attempt, on a machine that is busy, too.
const PATIENCE: Duration = Duration::from_secs(20);
