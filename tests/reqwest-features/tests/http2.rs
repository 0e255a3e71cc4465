//! The adapter for reqwest over HTTP/2: what was refused there may have been processed, as far as reqwest tells.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use failover_core::{Evidence, Reason};
use failover_reqwest::{Answered, Error, FailoverClient};
use failover_tests::lab::Server;
use failover_tokio::rustls::crypto::ring;
use h2::server::{self, SendResponse};
use h2::{Reason as Code, RecvStream};
use http::{Request, Response};
use reqwest::Version;
use tokio::net::TcpListener;

#[tokio::test]
async fn never_twice_what_a_stream_or_a_connection_ends_with_is_sent_once() {
    let endings: [fn(&mut SendResponse<Bytes>); 3] = [
        |stream| stream.send_reset(Code::REFUSED_STREAM),
        |stream| stream.send_reset(Code::INTERNAL_ERROR),
        |stream| stream.send_reset(Code::NO_ERROR),
    ];
    for ending in endings {
        let (ends, works) = (Http2::start(ending).await, Http2::start(answer).await);
        let client = over([&ends.url, &works.url]);
        let Error::Stopped(stopped) = client.post("/").body("money").send().await.unwrap_err() else {
            panic!("it was sent")
        };
        assert_eq!(stopped.reason(), Reason::NoProof);
        assert_eq!(stopped.failures()[0].evidence(), Some(Evidence::MaybeProcessed));
        assert_eq!((ends.executed(), works.executed()), (1, 0));

        let response = client.get("/").send().await.unwrap();
        assert_eq!((response.version(), target_of(&response)), (Version::HTTP_2, 1));
        assert_eq!(response.text().await.unwrap(), "right");
        assert_eq!((ends.executed(), works.executed()), (2, 1));
    }
}

#[tokio::test]
async fn not_sent_always_a_post_moves_on_from_a_target_that_is_down() {
    let (down, works) = (Server::down(), Http2::start(answer).await);
    let response = over([&down.url(), &works.url]).post("/").body("money").send().await.unwrap();
    assert_eq!((target_of(&response), works.executed()), (1, 1));
}

#[tokio::test]
async fn requests_at_once_share_a_connection_and_each_gets_its_own_answer() {
    let works = Http2::start(|stream| answer(stream)).await;
    let client = over([&works.url, &works.url.replace("127.0.0.1", "localhost")]);
    let calls: Vec<_> = (0..50).map(|_| tokio::spawn(client.post("/").body("money").send())).collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().text().await.unwrap(), "right");
    }
    assert_eq!((works.executed(), works.connections.load(Ordering::Relaxed)), (50, 1));
}

fn answer(stream: &mut SendResponse<Bytes>) {
    let mut body = stream.send_response(Response::new(()), false).unwrap();
    body.send_data("right".into(), true).unwrap();
}

fn over(urls: [&String; 2]) -> FailoverClient {
    let _ = ring::default_provider().install_default();
    let reqwest = reqwest::Client::builder().no_proxy().http2_prior_knowledge();
    FailoverClient::builder().targets(urls).client(reqwest).build().unwrap()
}

fn target_of(response: &reqwest::Response) -> usize {
    response.extensions().get::<Answered>().unwrap().target()
}

/// A server that ends each stream in the same way, once it has read the request.
struct Http2 {
    url: String,
    executed: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
}

impl Http2 {
    async fn start(end: fn(&mut SendResponse<Bytes>)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (executed, connections) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let server = Self { url, executed: Arc::clone(&executed), connections: Arc::clone(&connections) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                let executed = Arc::clone(&executed);
                tokio::spawn(async move {
                    let mut connection = server::handshake(stream).await.unwrap();
                    while let Some(Ok((request, mut stream))) = connection.accept().await {
                        let executed = Arc::clone(&executed);
                        tokio::spawn(async move {
                            read(request).await;
                            executed.fetch_add(1, Ordering::Relaxed);
                            end(&mut stream);
                        });
                    }
                });
            }
        });
        server
    }

    fn executed(&self) -> usize {
        self.executed.load(Ordering::Relaxed)
    }
}

async fn read(request: Request<RecvStream>) {
    let mut body = request.into_body();
    while let Some(Ok(piece)) = body.data().await {
        let _ = body.flow_control().release_capacity(piece.len());
    }
}
