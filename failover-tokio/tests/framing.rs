//! A matrix of framing: whatever the method, however a request's body is framed, and over whichever versions of HTTP it comes and
//! goes, each target gets the same.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use failover_tokio::{Answered, FailoverClient, Policy, Protocol, Replay, Target};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response, Version};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

/// Guards: `Head::new` that states no chunks where the length is unknown.
#[tokio::test]
async fn exact_each_target_gets_the_body_and_its_framing_whatever_the_versions() {
    let versions = [Protocol::Http1, Protocol::Http2];
    for inbound in versions {
        for outbound in versions {
            let targets = [Recorder::start(outbound, 503).await, Recorder::start(outbound, 200).await];
            let urls = targets.each_ref().map(|target| target.url.clone());
            let proxy = forwarding(client(urls, outbound), inbound).await;
            let front = client([proxy], inbound);
            for method in METHODS {
                for content in CONTENTS {
                    let method = Method::from_bytes(method.as_bytes()).unwrap();
                    let case = format!("{method} {content:?} over {inbound:?} and {outbound:?}");
                    let request =
                        Request::builder().method(method.clone()).uri("/").body(content.body()).unwrap();
                    let response = front.forward(request).await.unwrap();
                    assert_eq!(
                        response.extensions().get::<Answered>().unwrap().failures().len(),
                        0,
                        "{case}"
                    );
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

    fn body(self) -> UnsyncBoxBody<Bytes, Infallible> {
        let pieces: &[&str] = match self {
            Self::None | Self::Known => return Full::from(self.text()).boxed_unsync(),
            Self::Unknown => &["mon", "ey"],
            Self::UnknownAndEmpty => &[],
        };
        Pieces(pieces.iter().map(|piece| Bytes::from_static(piece.as_bytes())).collect()).boxed_unsync()
    }
}

/// A body that does not tell how long it is.
struct Pieces(VecDeque<Bytes>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
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
    url: String,
    seen: Arc<Mutex<Option<Seen>>>,
}

impl Recorder {
    async fn start(protocol: Protocol, status: u16) -> Self {
        let seen = Arc::new(Mutex::new(None));
        let see = Arc::clone(&seen);
        let url = serve(protocol, move |request: Request<Incoming>| {
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
        });
        Self { url: url.await, seen }
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

async fn forwarding(client: FailoverClient, inbound: Protocol) -> String {
    serve(inbound, move |request: Request<Incoming>| {
        let client = client.clone();
        async move {
            let is_http2 = request.version() == Version::HTTP_2;
            assert_eq!(is_http2, inbound == Protocol::Http2);
            client.forward(request).await
        }
    })
    .await
}

async fn serve<H, F, B, E>(protocol: Protocol, handler: H) -> String
where
    H: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (io, service) = (TokioIo::new(stream), service_fn(handler.clone()));
            tokio::spawn(async move {
                if protocol == Protocol::Http2 {
                    let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
                } else {
                    let _ = http1::Builder::new().serve_connection(io, service).await;
                }
            });
        }
    });
    url
}

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "MY-OWN"];

const CONTENTS: [Content; 4] = [Content::None, Content::Known, Content::Unknown, Content::UnknownAndEmpty];

/// The bound of an attempt, on a machine that is busy, too.
const PATIENCE: Duration = Duration::from_secs(20);
