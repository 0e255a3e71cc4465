//! Answers and errors as axum's handlers and services give them.
#![forbid(unsafe_code)]

use std::net::Ipv4Addr;

use axum::extract::{Request, State};
use axum::routing::{get, post};
use axum::{Extension, Router, serve};
use failover_tokio::{Error, Failover, FailoverClient, Peer, Policy, ResponseBody, Target};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use tokio::net::TcpListener;

/// Guards: `gateway_response` that loses the last answer, tells of a target, or leaves out `Allow`.
#[tokio::test]
async fn a_router_passes_on_what_targets_answer_and_answers_itself_where_none_does() {
    let works = start(Router::new().route("/order", post(async |body: String| body))).await;
    let busy = start(Router::new().fallback(async || (StatusCode::SERVICE_UNAVAILABLE, "busy"))).await;
    let client = |url: &str| FailoverClient::builder().targets(url).build().unwrap();
    for is_service in [true, false] {
        let front = |url: &str| {
            let router = Router::new().route("/health", get("well"));
            if is_service {
                router.fallback_service(client(url).into_proxy())
            } else {
                router.merge(Router::new().fallback(pass_on).with_state(client(url)))
            }
        };
        let ask = async |url: &str, method: &str, path: &str| {
            let front = client(&start(front(url)).await);
            let front =
                FailoverClient::builder().targets(front.targets()).failover_codes("").build().unwrap();
            let (head, body) = front.method(method, path).body("7").await.unwrap().into_parts();
            (head.status.as_u16(), body.text().await.unwrap(), head.headers)
        };
        let (status, text, _) = ask(&works, "POST", "/order").await;
        assert_eq!((status, text.as_str()), (200, "7"));
        let (status, text, _) = ask(&works, "GET", "/health").await;
        assert_eq!((status, text.as_str()), (200, "well"));
        let (status, text, _) = ask(&busy, "POST", "/order").await;
        assert_eq!((status, text.as_str()), (503, "busy"));
        let (status, text, headers) = ask("http://127.0.0.1:1", "GET", "/order").await;
        assert_eq!((status, text.as_str(), &headers["content-length"]), (502, "", &HeaderValue::from(0)));
        let (status, text, headers) = ask(&works, "TRACE", "/order").await;
        assert_eq!((status, text.as_str()), (405, ""));
        assert!(headers["allow"].to_str().unwrap().contains("DELETE"));
    }
}

/// Guards: `may_pass_on` that counts nothing, or beyond OPTIONS.
#[tokio::test]
async fn a_request_is_passed_on_as_often_as_it_may_be() {
    let echo = async |headers: HeaderMap| headers["max-forwards"].to_str().unwrap().to_owned();
    let works = start(Router::new().fallback(echo)).await;
    let target = FailoverClient::builder().targets(&works).build().unwrap();
    let front = start(Router::new().fallback_service(target.clone().into_proxy())).await;
    let client = FailoverClient::builder().targets(front).build().unwrap();
    let ask = async |method: &str, left: &str| {
        let response = client.method(method, "/").header("max-forwards", left).await.unwrap();
        let (head, body) = response.into_parts();
        (head.status, body.text().await.unwrap(), head.headers.contains_key("allow"))
    };
    for (method, left, told) in [("OPTIONS", "2", "1"), ("GET", "0", "0"), ("OPTIONS", "x", "x")] {
        assert_eq!(ask(method, left).await, (StatusCode::OK, told.to_owned(), false), "{method} {left}");
    }
    assert_eq!(ask("OPTIONS", "0").await, (StatusCode::OK, String::new(), true));
    let last = Request::options("/").header("max-forwards", "0").body(String::new()).unwrap();
    assert!(matches!(target.forward(last).await, Err(Error::LastHop)));
}

/// Guards: a `Proxy` that only `Connections` have.
#[tokio::test]
async fn a_stack_of_ones_own_is_a_service_of_a_router_too() {
    let works = start(Router::new().route("/order", get("7"))).await;
    let transport = FailoverClient::builder().targets(&works).transport().unwrap();
    let target = Target::parse(&works).unwrap();
    let failover = Failover::new([target], Policy::default(), transport).unwrap();
    let front = start(Router::new().fallback_service(failover.into_proxy())).await;
    let client = FailoverClient::builder().targets(front).build().unwrap();
    assert_eq!(client.get("/order").await.unwrap().into_body().text().await.unwrap(), "7");
}

/// Guards: a `Proxy` that does not look for a `Peer`, and passes on what a client says of itself.
#[tokio::test]
async fn a_peer_among_the_extensions_of_a_request_tells_the_targets_who_asked() {
    let told = async |headers: HeaderMap| headers["x-forwarded-for"].to_str().unwrap().to_owned();
    let works = start(Router::new().route("/order", get(told))).await;
    let proxy = FailoverClient::builder().targets(works).build().unwrap().into_proxy();
    let peer = Extension(Peer::new(Ipv4Addr::new(192, 0, 2, 7).into()));
    let front = start(Router::new().fallback_service(proxy).layer(peer)).await;
    let client = FailoverClient::builder().targets(front).build().unwrap();
    let answer = client.get("/order").header("x-forwarded-for", "127.0.0.1").await.unwrap();
    assert_eq!(answer.into_body().text().await.unwrap(), "192.0.2.7");
}

/// Guards: `gateway_response` that passes on what concerned the connection to a target.
#[tokio::test]
async fn the_last_answer_of_a_call_that_was_not_forwarded_says_nothing_of_its_connection() {
    let busy =
        async || (StatusCode::SERVICE_UNAVAILABLE, [("keep-alive", "timeout=5"), ("x-kept", "1")], "busy");
    let busy = start(Router::new().fallback(busy)).await;
    let client = FailoverClient::builder().targets(busy).build().unwrap();
    let response = client.get("/order").await.unwrap_err().gateway_response();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        (response.headers().get("keep-alive"), &response.headers()["x-kept"]),
        (None, &HeaderValue::from(1))
    );
    assert_eq!(response.into_body().text().await.unwrap(), "busy");
}

async fn pass_on(State(client): State<FailoverClient>, request: Request) -> Response<ResponseBody> {
    client.forward(request).await.unwrap_or_else(Error::gateway_response)
}

async fn start(router: Router) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async { serve(listener, router).await });
    url
}
