//! What only the adapter for tokio has: its builder, streamed bodies, forwarding, submitted calls, the runtime's clock.
#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::error::Error as StdError;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use failover_core::{Evidence, PathError, Policy, Reason, Replay, StatusCodes, Target};
use failover_tests::lab::{End, Gate, LIMIT, Reply, Server};
use failover_tokio::{
    Backoff, BodyError, Budget, BuildError, Builder, Case, Checks, CoolDown, Error, FailoverClient, Fault,
    Follow, Judgement, Peer, Resolve, ResponseBody,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tower_service::Service;

#[test]
fn rejected_a_setting_that_makes_no_sense_is_named_with_its_value() {
    let builder = || FailoverClient::builder().targets(["http://a.example"]);
    let zero = Duration::ZERO;
    let policy = Policy::default;
    for (built, key, value) in [
        (FailoverClient::builder().build(), "targets", "[]"),
        (FailoverClient::builder().targets([""; 0]).build(), "targets", "[]"),
        (builder().targets(["ftp://a.example"]).build(), "targets", "ftp://a.example"),
        (builder().targets(["http://"]).build(), "targets", "http://"),
        (builder().targets(["/a/path"]).build(), "targets", ""),
        (builder().targets(["a.example:8080"]).build(), "targets", "a.example:8080"),
        (builder().targets(["http://a.example:99999"]).build(), "targets", "http://a.example"),
        (builder().targets(["http://a.example:port"]).build(), "targets", "http://a.example"),
        (builder().targets(["http://a.example/?q=1"]).build(), "targets", "http://a.example"),
        (builder().targets(["http://a.example/#f"]).build(), "targets", "http://a.example"),
        (builder().targets(["http://a b"]).build(), "targets", "http://a b"),
        (builder().failover_codes([503, 99]).build(), "failover_codes", "99"),
        (builder().failover_codes([1000]).build(), "failover_codes", "1000"),
        (builder().attempt_timeout(zero).build(), "attempt_timeout", "0"),
        (builder().deadline(zero).build(), "deadline", "0"),
        (builder().policy(policy().max_attempts(0)).build(), "max_attempts", "0"),
        (builder().policy(policy().rounds(0)).build(), "rounds", "0"),
        (builder().pool_idle_timeout(zero).build(), "pool_idle_timeout", "0"),
        (builder().pool_idle_timeout(Duration::MAX).build(), "pool_idle_timeout", "s"),
        (builder().pool_max_age(zero).build(), "pool_max_age", "0"),
        (builder().pool_max_idle(10_001).build(), "pool_max_idle", "10001"),
        (builder().pool_max_dials(0).build(), "pool_max_dials", "0"),
        (builder().max_headers(0).build(), "max_headers", "0"),
        (builder().http2_stream_window(65_534).build(), "http2_stream_window", "65534"),
        (builder().http2_connection_window(1 << 31).build(), "http2_connection_window", "2147483648"),
        (builder().default_header("content-length", "1").build(), "default_headers", "content-length"),
        (builder().default_header("idempotency-key", "1").build(), "default_headers", "idempotency-key"),
        (builder().default_header("x-key", "\n").build(), "default_headers", "x-key"),
        (builder().default_header("no name", "x").build(), "default_headers", "(not shown)"),
    ] {
        let error: BuildError = built.expect_err(key);
        assert_eq!(error.key(), key, "{error}");
        assert!(error.value().contains(value), "{error}");
        let message = error.to_string();
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains(key) && message.contains(value), "{message}");
    }
}

#[test]
fn rejected_what_looks_odd_and_makes_sense_is_not() {
    let builder = || FailoverClient::builder().targets(["http://a.example", "http://a.example"]);
    let policy = Policy::default;
    for built in [
        builder().build(),
        builder().failover_codes(StatusCodes::EMPTY).build(),
        builder().failover_codes("").build(),
        builder().failover_codes([100, 999]).build(),
        builder().policy(policy().deadline(None)).attempt_timeout(Duration::MAX).build(),
        builder().attempt_timeout(Duration::from_secs(2)).deadline(Duration::from_secs(1)).build(),
        builder().interval(Duration::ZERO).build(),
        builder().targets(["https://A.example:443/base/", "http://[::1]:8080", "http://127.0.0.1"]).build(),
    ] {
        built.unwrap();
    }
}

/// Guards: `DefaultHeaders::fmt` that shows values; its errors that do.
#[test]
fn redacted_a_default_header_is_in_no_error_and_in_no_debug_text() {
    let builder = || FailoverClient::builder().targets(["http://a.example"]);
    let built = builder().default_header("x-key", "secret");
    let text = format!("{built:?} {:?}", built.clone().build().unwrap());
    assert!(text.contains("x-key") && !text.contains("secret"), "{text}");
    for (name, value) in [("x-key", "secret\n"), ("the secret", "x"), ("host", "secret")] {
        let error = builder().default_header(name, value).build().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
    }
}

/// Guards: `forward` that adds default headers, and a service of a client that does not.
#[tokio::test]
async fn forward_default_headers_are_for_requests_that_begin_here() {
    let server = Server::start(|request| Reply::ok(request.header("x-key").unwrap_or("none")));
    let builder = FailoverClient::builder().targets([server.url()]).default_header("x-key", "ours");
    let client = builder.build().unwrap();
    assert_eq!(text(client.forward(Request::new(Full::<Bytes>::default())).await.unwrap()).await, "none");
    assert_eq!(text(client.get("/").await.unwrap()).await, "ours");
    let mut service = client.into_service();
    assert_eq!(text(service.call(Request::new(Full::<Bytes>::default())).await.unwrap()).await, "ours");
}

#[test]
fn targets_are_given_as_whatever_holds_urls() {
    let (one, two) = (String::from("http://a.example"), String::from("http://b.example/base"));
    let both = [one.clone(), two.clone()];
    let uri: Uri = two.parse().unwrap();
    let target: Target = two.parse().unwrap();
    let builder = FailoverClient::builder;
    let named = |builder: Builder| -> Vec<_> {
        builder.build().unwrap().targets().iter().map(Target::name).collect()
    };
    for given in vec![
        builder().targets("http://b.example/base"),
        builder().targets(two.clone()),
        builder().targets(&two),
        builder().targets(&uri),
        builder().targets(uri.clone()),
        builder().targets(&target),
        builder().targets(target.clone()),
        builder().targets([uri.clone()]),
        builder().targets(vec![target.clone()]),
        builder().targets(&[target.clone()][..]),
        builder().targets(both.iter().skip(1).map(String::as_str)),
        builder().targets(Some(Cow::Borrowed("http://b.example/base"))),
    ] {
        assert_eq!(named(given), both[1..]);
    }
    for given in [
        builder().targets(["http://a.example", "http://b.example/base"]),
        builder().targets(&both),
        builder().targets(both.clone()),
        builder().targets(both.to_vec()),
        builder().targets(&one).targets([target]),
    ] {
        assert_eq!(named(given), both);
    }
    for given in [builder().targets("a.example"), builder().targets([&one, "ftp://b.example"])] {
        assert_eq!(given.build().unwrap_err().key(), "targets");
    }
}

#[test]
fn failover_codes_are_given_as_whatever_holds_statuses() {
    let builder = || FailoverClient::builder().targets("http://a.example");
    let text = String::from("502, 503");
    let codes: StatusCodes = text.parse().unwrap();
    let statuses = [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE];
    for given in [
        builder().failover_codes(codes),
        builder().failover_codes("502-503"),
        builder().failover_codes(text.clone()),
        builder().failover_codes(&text),
        builder().failover_codes([502, 503]),
        builder().failover_codes(502..=503),
        builder().failover_codes(vec![502, 503]),
        builder().failover_codes(statuses),
        builder().failover_codes(statuses.iter()),
    ] {
        assert_eq!(given.build().unwrap().group().policy().failover_codes, codes);
    }
    let one = builder().failover_codes(StatusCode::BAD_GATEWAY).build().unwrap();
    assert_eq!(one.group().policy().failover_codes.to_string(), "502");
    for (given, value) in [
        (builder().failover_codes("5xx, 42"), "42"),
        (builder().failover_codes([503, 42]), "42"),
        (builder().failover_codes("x").failover_codes("5xx"), "x"),
    ] {
        let error = given.build().unwrap_err();
        assert_eq!((error.key(), error.value()), ("failover_codes", value));
    }
}

/// Guards: `Target::fmt` that shows the base path.
#[test]
fn redacted_user_information_is_in_no_error_and_in_no_debug_text() {
    let urls = [
        "ftp://user:secret@a.example/hidden",
        "http://user:secret@",
        "http://user:secret@:80",
        "http://user:secret@a.example:99999",
        "http://user:secret@a.example/?hidden",
        "http://user:sec@ret@a.example/#hidden",
        "http://user:secret@a b/hidden",
        "http://user:secret/@a.example/?hidden",
        "user:secret@a.example/hidden",
        "ftp://a.example/hidden?mail=x@hidden.example",
    ];
    for url in urls {
        let builder = FailoverClient::builder().targets([url]);
        let text = format!("{builder:?}");
        let error = builder.build().expect_err(url);
        for text in [text, error.to_string(), format!("{error:?}")] {
            for hidden in ["user", "secret", "ret@", "hidden"] {
                assert!(!text.contains(hidden), "{hidden} of {url} in {text}");
            }
        }
    }
    let client = FailoverClient::builder().targets(["http://user:secret@a.example/hidden"]).build().unwrap();
    let text = format!("{client:?} {:?} {}", client.targets(), client.targets()[0]);
    assert!(text.contains("http://a.example"), "{text}");
    for hidden in ["user", "secret", "hidden", "dXNlcjpzZWNyZXQ"] {
        assert!(!text.contains(hidden), "{hidden} in {text}");
    }
}

#[tokio::test]
async fn local_fault_a_method_or_a_path_that_cannot_be_sent_touches_no_target() {
    let servers = [(); 2].map(|()| Server::script([Reply::ok("")]));
    let client = client(&servers);
    for method in ["", "BAD METHOD", "GET\r\n", "CONNECT", "G\u{e9}T"] {
        let error = client.method(method, "/").await.unwrap_err();
        assert!(matches!(error, Error::Method), "{method:?}: {error}");
        assert_eq!(error.gateway_status(), StatusCode::METHOD_NOT_ALLOWED);
    }
    for path in
        ["http://evil.example/", "HTTPS://evil.example", "/a b", "/a#b", "/\u{fc}", "/a\r\nb: c", "/\0"]
    {
        let error = client.get(path).await.unwrap_err();
        assert!(matches!(error, Error::Path(_)), "{path:?}: {error}");
        assert_eq!(error.gateway_status(), StatusCode::BAD_REQUEST);
        assert!(!error.to_string().contains("evil"), "{error}");
    }
    assert_eq!(servers.map(|server| server.connections()), [0, 0]);
    assert_eq!(client.sticky(), 0);
}

#[tokio::test]
async fn explain_an_error_tells_what_kind_of_one_it_is() {
    let (down, busy, silent) =
        (Server::down(), Server::start(|_| Reply::status(503)), Server::start(|_| Reply::stall()));
    let asked = |servers: &[&Server]| {
        let policy = Policy::default().attempt_timeout(Duration::from_millis(50));
        let urls = servers.iter().map(|server| server.url());
        FailoverClient::builder().targets(urls).policy(policy).build().unwrap().get("/")
    };
    let kinds = |error: &Error| {
        [error.is_connect(), error.is_timeout(), error.is_status(), error.is_builder(), error.is_body()]
    };
    for (request, expected, status) in [
        (asked(&[&down, &down]), [true, false, false, false, false], None),
        (asked(&[&silent]), [false, true, false, false, false], None),
        (asked(&[&silent, &down]), [false, true, false, false, false], None),
        (asked(&[&down, &silent]), [false, true, false, false, false], None),
        (asked(&[&silent]).timeout(Duration::ZERO), [false, true, false, false, false], None),
        (asked(&[&down, &busy]), [false, false, true, false, false], Some(StatusCode::SERVICE_UNAVAILABLE)),
        (asked(&[&busy, &down]), [false; 5], None),
        (asked(&[&busy]).header("x", "\n"), [false, false, false, true, false], None),
    ] {
        let error = request.await.unwrap_err();
        assert_eq!((kinds(&error), error.status()), (expected, status), "{error}");
    }
}

#[tokio::test]
async fn explain_a_body_that_cannot_be_read_tells_why() {
    async fn json(reply: Reply) -> Result<Vec<u32>, Box<dyn StdError>> {
        let server = Server::script([reply]);
        Ok(client([&server]).get("/").await?.into_body().json().await?)
    }
    assert_eq!(json(Reply::ok("[1, 2]")).await.unwrap(), [1, 2]);
    for (reply, told) in [
        (
            Reply::ok("[1, 2]").cut(4),
            "the answer's body broke off: end of file before message length reached",
        ),
        (Reply::ok("oops"), "the answer's body is no JSON: expected value at line 1 column 1"),
    ] {
        let error = json(reply).await.unwrap_err();
        assert_eq!(error.to_string(), told);
        assert!(error.is::<BodyError>());
    }
}

#[tokio::test]
async fn a_method_of_ones_own_is_sent_and_is_not_idempotent() {
    let servers = [Server::script([Reply::reset()]), Server::script([Reply::ok("")])];
    let error = client(&servers).method("BREW", "/pot").body("coffee").await.unwrap_err();
    assert!(matches!(error, Error::Stopped(stopped) if stopped.reason() == Reason::NoProof));
    assert_eq!(servers[0].requests()[0].method, "BREW");
    assert_eq!(servers[1].connections(), 0);
}

/// Guards: `Builder::transport` that drops what it has no use for.
#[test]
fn what_is_of_calls_is_refused_for_a_transport_alone() {
    let refused = |builder: Builder| builder.transport().unwrap_err().key().to_owned();
    let builder = || FailoverClient::builder().targets(["http://a.example"]);
    assert_eq!(refused(builder().default_header("authorization", "Bearer 7f3a")), "default_headers");
    assert_eq!(refused(builder().user_agent("shop/1.0")), "default_headers");
    assert_eq!(refused(builder().name("shop")), "name");
    builder().connect_timeout(LIMIT).transport().unwrap();
}

#[tokio::test]
async fn all_of_a_server_is_asked_for_without_a_query() {
    let server = Server::script([Reply::ok("")]);
    let error = client([&server]).options("*").query([("page", 2)]).await.unwrap_err();
    assert!(matches!(error, Error::Path(PathError::QueryOfAll)), "{error}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn each_verb_has_its_method_and_its_body() {
    let server = Server::start(|request| Reply::ok(request.body.clone()).header("x-method", &request.method));
    let client = client([&server]);
    for (response, method, body) in [
        (client.get("/").await, "GET", ""),
        (client.head("/").await, "HEAD", ""),
        (client.options("/").await, "OPTIONS", ""),
        (client.delete("/").await, "DELETE", ""),
        (client.post("/").body("posted").await, "POST", "posted"),
        (client.put("/").body(vec![b'p'; 3]).await, "PUT", "ppp"),
        (client.patch("/").body(Bytes::from_static(b"patched")).await, "PATCH", "patched"),
        (client.method(Method::POST, "/").body("by type").await, "POST", "by type"),
        (client.method("TRACE", "/").await, "TRACE", ""),
    ] {
        let response = response.unwrap();
        assert_eq!(response.headers()["x-method"], method);
        assert_eq!(text(response).await, body);
    }
}

#[tokio::test]
async fn a_status_that_no_standard_knows_passes_through() {
    for status in [299, 499, 599, 600, 799, 999] {
        let server = Server::script([Reply::status(status).body("odd")]);
        let response = client([&server]).get("/").await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(text(response).await, "odd");
    }
}

#[tokio::test]
async fn failover_codes_are_the_callers() {
    let servers = [Server::script([Reply::status(404)]), Server::script([Reply::status(501).body("kept")])];
    let builder = || FailoverClient::builder().targets(servers.each_ref().map(Server::url));
    let response =
        builder().failover_codes([404, 502]).policy(Policy::ballerina()).build().unwrap().get("/").await;
    assert_eq!(text(response.unwrap()).await, "kept");
    // 501 is not among the codes, but the default policy knows that it was not processed.
    let error = builder().failover_codes([404, 502]).build().unwrap().get("/").await.unwrap_err();
    assert_eq!(error.response().unwrap().status(), 501);
}

/// Guards: a knob of the builder that sets none of the policy's, or another one.
#[test]
fn each_knob_set_on_the_builder_wins_over_the_policy() {
    let second = Duration::from_secs(1);
    let codes: StatusCodes = "503".parse().unwrap();
    let judged = |_: &Case<'_>| Judgement::ByStatus;
    let expected = Policy::default()
        .failover_codes(codes)
        .not_processed(codes)
        .replay(Replay::Always)
        .connect_timeout(second)
        .attempt_timeout(2 * second)
        .deadline(None)
        .upload_deadline(3 * second)
        .body_idle(4 * second)
        .upgrades(["other"])
        .interval(5 * second)
        .rounds(2)
        .backoff(Backoff { base: second, max: second })
        .max_attempts(3)
        .free_repeat(false)
        .replay_buffer(4)
        .follow(Follow::Answer)
        .leave_after(5)
        .late(None)
        .failback(None)
        .cool_down(CoolDown { base: second, max: second })
        .checks(None)
        .retry_after(None)
        .budget(Budget::default())
        .jitter(false)
        .seed(6);
    let builder = FailoverClient::builder()
        .targets("http://a.example")
        .failover_codes("503")
        .not_processed(codes)
        .replay(Replay::Always)
        .connect_timeout(second)
        .attempt_timeout(2 * second)
        .deadline(None)
        .upload_deadline(3 * second)
        .body_idle(4 * second)
        .upgrades(["other"])
        .interval(5 * second)
        .rounds(2)
        .backoff(Backoff { base: second, max: second })
        .max_attempts(3)
        .free_repeat(false)
        .replay_buffer(4)
        .follow(Follow::Answer)
        .leave_after(5)
        .late(None)
        .failback(None)
        .cool_down(CoolDown { base: second, max: second })
        .checks(None)
        .retry_after(None)
        .budget(Budget::default())
        .jitter(false)
        .seed(6);
    let judging = Policy::default().checks(Checks::at("/well")).judge(judged);
    for policy in [None, Some(judging)] {
        let is_judging = policy.is_some();
        let builder = builder.clone();
        let builder = if let Some(policy) = policy { builder.policy(policy) } else { builder };
        let mut built = builder.judge(judged).build().unwrap().group().policy().clone();
        let told = format!("{:?}", built.judge);
        assert!(told.contains(if is_judging { '2' } else { '1' }), "{told}");
        built.judge = expected.judge.clone();
        assert_eq!(built, expected);
    }
}

#[tokio::test]
async fn replay_set_on_the_builder_wins_over_the_policy() {
    let servers = [Server::script([Reply::fin()]), Server::script([Reply::ok("right")])];
    let client = FailoverClient::builder()
        .replay(Replay::Always)
        .targets(servers.each_ref().map(Server::url))
        .policy(Policy::default().replay(Replay::Never))
        .build()
        .unwrap();
    assert_eq!(text(client.post("/").body("money").await.unwrap()).await, "right");
    assert_eq!(servers[1].requests()[0].text(), "money");
}

#[tokio::test]
async fn explain_an_answer_tells_its_target_and_its_failures() {
    let servers = [Server::down(), Server::script([Reply::status(503)]), Server::script([Reply::ok("")])];
    let response = client(&servers).get("/").await.unwrap();
    let answered = response.body().answered();
    assert_eq!((answered.target(), answered.attempts()), (2, 3));
    assert_eq!(answered.failures()[0].error().unwrap().fault(), Fault::Refused);
    assert_eq!(answered.failures()[1].status(), Some(StatusCode::SERVICE_UNAVAILABLE));
}

#[tokio::test]
async fn explain_an_error_has_the_status_by_which_it_is_passed_on() {
    let (down, mute) = (Server::down(), Server::script([Reply::stall()]));
    for (urls, path, status) in [
        ([mute.url(), down.url()], "/".to_owned(), StatusCode::GATEWAY_TIMEOUT),
        ([down.url() + "/a", down.url() + "/b"], "/".to_owned(), StatusCode::BAD_GATEWAY),
        ([down.url(), mute.url()], "/".to_owned(), StatusCode::GATEWAY_TIMEOUT),
        ([down.url() + "/base", mute.url()], format!("/{}", "x".repeat(65_530)), StatusCode::URI_TOO_LONG),
    ] {
        let builder = FailoverClient::builder().targets(urls).attempt_timeout(Duration::from_secs(1));
        let error = builder.build().unwrap().get(&path).await.unwrap_err();
        assert_eq!(error.gateway_status(), status, "{error}");
    }
}

#[tokio::test]
async fn last_answer_is_handed_on_with_its_story() {
    let servers = [Server::script([Reply::status(503).body("one").chunked()]), Server::down()];
    let response = client(&servers).get("/").await.unwrap_err().into_response().unwrap();
    let answered = response.body().answered();
    assert_eq!((answered.target(), answered.attempts()), (0, 2));
    assert_eq!((response.status().as_u16(), text(response).await.as_str()), (503, "one"));
}

#[tokio::test]
async fn last_answer_a_body_that_broke_off_is_an_error_there_too() {
    let server = Server::script([Reply::status(503).body("0123456789").cut(4)]);
    let response = client([&server]).get("/").await.unwrap_err().into_response().unwrap();
    response.into_body().collect().await.unwrap_err();
}

/// Guards: a request's body that is taken for one on its way when it has been sent, so that the answer is not drained.
#[tokio::test]
async fn drained_the_answer_to_a_streamed_body_leaves_its_connection_usable_once_that_was_sent() {
    const CALLS: usize = 10;
    let gates: Vec<_> = (0..CALLS).map(|_| Gate::new()).collect();
    let halves = gates.clone();
    let first = Server::start(move |request| match request.target.strip_prefix("/bad/") {
        Some(nth) => Reply::status(503).body("a few bytes").halfway(&halves[nth.parse::<usize>().unwrap()]),
        None => Reply::ok("right"),
    });
    let second = Server::script([Reply::ok("right")]);
    let client = client([&first, &second]);
    for (nth, gate) in gates.iter().enumerate() {
        let (mut body, feed) = stream();
        body.size = (nth % 2 == 0).then_some(5);
        feed.send(Frame::data(Bytes::from_static(b"thing"))).unwrap();
        drop(feed);
        let response = client.forward(Request::put(format!("/bad/{nth}")).body(body).unwrap()).await.unwrap();
        assert_eq!(response.body().answered().target(), 1);
        gate.open();
        // The body ends now. If a busy machine takes longer for it, one of the calls to come will show it.
        sleep(Duration::from_millis(20)).await;
        assert_eq!(text(client.get("/").await.unwrap()).await, "right");
    }
    assert!(first.connections() < CALLS, "{} connections", first.connections());
}

/// Guards: an answer that breaks off when its call ends with it, since the rest of the request is not sent any more.
#[tokio::test]
async fn early_answer_one_that_ends_its_call_comes_whole_while_the_request_goes_on() {
    let gate = Gate::new();
    let half = gate.clone();
    let server = Server::early(move |_| Reply::status(503).body("late and whole").halfway(&half));
    let (body, feed) = stream();
    feed.send(Frame::data(Bytes::from_static(b"the request's first piece"))).unwrap();
    let error = client([&server]).forward(Request::put("/").body(body).unwrap()).await.unwrap_err();
    let response = error.into_response().unwrap();
    gate.open();
    assert_eq!(text(response).await, "late and whole");
    drop(feed);
}

/// Guards: `ReplayBody::reader` that begins after what was kept.
#[tokio::test]
async fn exact_a_streamed_body_moves_on_with_the_same_bytes() {
    for known in [true, false] {
        let first = Server::script([Reply::reset()]);
        let second = Server::script([Reply::status(503)]);
        let third = Server::start(|request| Reply::ok(request.body.clone()));
        let bytes: Vec<u8> = (0..=255).cycle().take(50_000).collect();
        let (mut body, feed) = stream();
        body.size = known.then_some(50_000);
        for piece in bytes.chunks(777) {
            feed.send(Frame::data(Bytes::copy_from_slice(piece))).unwrap();
        }
        drop(feed);
        let request = Request::put("/thing").header("x-one", "1").body(body).unwrap();
        let response = client([&first, &second, &third]).forward(request).await.unwrap();
        assert!(response.into_body().collect().await.unwrap().to_bytes() == bytes);
        let requests = [first, second, third].map(|server| server.requests());
        for request in requests.iter().map(|requests| &requests[0]) {
            assert!(request.body == bytes);
            let length = known.then_some("50000");
            let coding = (!known).then_some("chunked");
            assert_eq!(
                (request.header("content-length"), request.header("transfer-encoding")),
                (length, coding)
            );
            assert_eq!((request.method.as_str(), request.header("x-one")), ("PUT", Some("1")));
        }
    }
}

/// Guards: `Reader::is_end_stream` that frames an empty body as what it turned out to be.
#[tokio::test]
async fn exact_a_body_of_unknown_length_arrives_whatever_the_method_on_each_attempt() {
    for method in ["GET", "HEAD", "OPTIONS", "DELETE", "PUT"] {
        for size in [0, 1, 50_000] {
            let servers = [Server::script([Reply::status(503)]), Server::script([Reply::ok("")])];
            let (body, feed) = stream();
            for piece in vec![7; size].chunks(777) {
                feed.send(Frame::data(Bytes::copy_from_slice(piece))).unwrap();
            }
            drop(feed);
            let request = Request::builder().method(method).uri("/").body(body).unwrap();
            client(&servers).forward(request).await.unwrap();
            for server in servers {
                let request = &server.requests()[0];
                assert_eq!((request.method.as_str(), request.body.len()), (method, size));
                assert_eq!(request.header("transfer-encoding"), Some("chunked"), "{method} {size}");
                assert_eq!(request.header("content-length"), None);
            }
        }
    }
}

/// Guards: `ReplayBody::is_one_shot` of no body.
#[tokio::test]
async fn bounded_a_streamed_body_that_outgrew_the_buffer_stays_with_its_target() {
    for known in [true, false] {
        let servers = [Server::script([Reply::status(503).body("no")]), Server::script([Reply::ok("")])];
        let (mut body, feed) = stream();
        body.size = known.then_some(LARGE as u64);
        send_large(&feed);
        drop(feed);
        let error = client(&servers).forward(Request::put("/").body(body).unwrap()).await.unwrap_err();
        let Error::Stopped(stopped) = &error else { panic!("{error}") };
        let reason = if known { Reason::OneShotBody } else { Reason::BodyGone };
        assert_eq!(stopped.reason(), reason);
        assert_eq!(servers[0].requests()[0].body.len(), LARGE);
        assert_eq!(servers[1].connections(), 0);
        assert_eq!(text(error.into_response().unwrap()).await, "no");
    }
}

/// Guards: `ReplayBody::rewind` that tells of each body that it is whole.
#[tokio::test]
async fn bounded_a_streamed_body_that_outgrew_the_buffer_is_not_replayed_after_an_error_either() {
    let servers = [Server::script([Reply::reset()]), Server::script([Reply::ok("")])];
    let (body, feed) = stream();
    send_large(&feed);
    drop(feed);
    let error = client(&servers).forward(Request::put("/").body(body).unwrap()).await.unwrap_err();
    assert!(matches!(&error, Error::Stopped(stopped) if stopped.reason() == Reason::BodyGone), "{error}");
    assert_eq!(servers.map(|server| server.requests().len()), [1, 0]);
}

/// Guards: `Source::poll_next` that fails when the body outgrows the buffer.
#[tokio::test]
async fn stream_first_a_body_that_cannot_be_replayed_gets_its_first_attempt() {
    let servers = [Server::start(|request| Reply::ok(request.body.len().to_string())), Server::down()];
    let policy = Policy::default().replay_buffer(0);
    let urls = servers.each_ref().map(Server::url);
    let client = FailoverClient::builder().targets(urls).policy(policy).build().unwrap();
    let (body, feed) = stream();
    send_large(&feed);
    drop(feed);
    let response = client.forward(Request::post("/").body(body).unwrap()).await.unwrap();
    assert_eq!(text(response).await, LARGE.to_string());
}

/// Guards: `ReplayBody::rewind` that takes a body for gone since it is larger than the buffer.
#[tokio::test]
async fn not_sent_always_a_body_that_cannot_be_replayed_moves_on_unread() {
    for known in [true, false] {
        let servers = [Server::down(), Server::start(|request| Reply::ok(request.body.len().to_string()))];
        let (mut body, feed) = stream();
        body.size = known.then_some(LARGE as u64);
        send_large(&feed);
        drop(feed);
        let response = client(&servers).forward(Request::post("/").body(body).unwrap()).await.unwrap();
        assert_eq!(text(response).await, LARGE.to_string());
    }
}

/// Guards: `Http1::exchange` that looks for the answer when all of the body was taken.
#[tokio::test]
async fn early_answer_one_to_a_body_that_has_not_ended_is_right() {
    let server = Server::early(|_| Reply::status(413).body("too large").end(End::Stall));
    let (body, feed) = stream();
    feed.send(Frame::data(Bytes::from_static(b"the beginning"))).unwrap();
    let response = client([&server]).forward(Request::post("/").body(body).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(text(response).await, "too large");
    drop(feed);
}

#[tokio::test]
async fn attempt_bound_progress_of_the_request_body_restarts_the_clock() {
    let server = Server::start(|request| Reply::ok(request.text().to_owned()));
    let bound = Duration::from_secs(1);
    let client = FailoverClient::builder().targets([server.url()]).attempt_timeout(bound).build().unwrap();
    let (body, feed) = stream();
    tokio::spawn(async move {
        for _ in 0..15 {
            sleep(bound / 10).await;
            feed.send(Frame::data(Bytes::from_static(b"."))).unwrap();
        }
    });
    let began = Instant::now();
    let response = client.forward(Request::post("/").body(body).unwrap()).await.unwrap();
    assert_eq!(text(response).await, "...............");
    assert!(began.elapsed() > bound);
}

#[tokio::test]
async fn local_fault_a_request_body_that_stalls_or_fails_is_not_the_targets_fault() {
    let servers = [Server::script([Reply::ok("")]), Server::script([Reply::ok("")])];
    let urls = servers.each_ref().map(Server::url);
    let client =
        FailoverClient::builder().targets(urls).attempt_timeout(Duration::from_secs(1)).build().unwrap();
    let (stalled, feed) = stream();
    feed.send(Frame::data(Bytes::from_static(b"the beginning"))).unwrap();
    let error = client.forward(Request::put("/").body(stalled).unwrap()).await.unwrap_err();
    is_local_fault(&error, Fault::RequestBody);
    assert_eq!(error.gateway_status(), StatusCode::REQUEST_TIMEOUT);
    drop(feed);

    let (mut failing, feed) = stream();
    failing.fails = true;
    feed.send(Frame::data(Bytes::from_static(b"the beginning"))).unwrap();
    drop(feed);
    let error = client.forward(Request::put("/").body(failing).unwrap()).await.unwrap_err();
    is_local_fault(&error, Fault::RequestBody);
    assert_eq!(error.gateway_status(), StatusCode::BAD_REQUEST);
    assert!(error.is_body() && !error.is_connect(), "{error}");
    assert_eq!(client.sticky(), 0);
    assert_eq!(servers[0].requests(), []);
    assert_eq!(servers[1].connections(), 0);
    assert_eq!(client.get("/").await.unwrap().status(), StatusCode::OK);
    assert_eq!(servers[1].connections(), 0);
}

/// Guards: `gateway_response` that passes an earlier answer on where the client itself is at fault.
#[tokio::test]
async fn gateway_status_a_fault_of_the_client_wins_over_what_a_target_answered_before() {
    let servers = [Server::early(|_| Reply::status(503)), Server::script([Reply::ok("")])];
    let urls = servers.each_ref().map(Server::url);
    let client =
        FailoverClient::builder().targets(urls).attempt_timeout(Duration::from_secs(1)).build().unwrap();
    let (stalled, feed) = stream();
    feed.send(Frame::data(Bytes::from_static(b"the beginning"))).unwrap();
    let error = client.forward(Request::put("/").body(stalled).unwrap()).await.unwrap_err();
    assert_eq!(error.response().unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    let response = error.gateway_response();
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(response.body().answered().failures().len(), 2);
    assert_eq!(text(response).await, "");
    drop(feed);
}

#[tokio::test]
async fn forward_headers_of_one_connection_are_stripped_both_ways() {
    let answer = |status| {
        Reply::status(status)
            .header("connection", "x-private, keep-alive")
            .header("keep-alive", "timeout=5")
            .header("x-private", "1")
            .header("proxy-authenticate", "Basic")
            .header("x-public", "2")
    };
    let server = Server::script([answer(200), answer(503)]);
    let client = client([&server]);
    let request = || {
        Request::get("http://front.example/path?query")
            .header("host", "front.example")
            .header("connection", "X-Private , close")
            .header("connection", "x-other")
            .header("x-private", "1")
            .header("x-other", "1")
            .header("keep-alive", "timeout=5")
            .header("proxy-connection", "keep-alive")
            .header("proxy-authorization", "Basic")
            .header("te", "gzip")
            .header("expect", "100-continue")
            .header("x-public", "2")
            .header("cookie", "a=b")
            .header("cookie", "c=d; e=f")
            .body(Full::<Bytes>::default())
            .unwrap()
    };
    let answered = client.forward(request()).await.unwrap();
    let given_up = client.forward(request()).await.unwrap_err().into_response().unwrap();
    for response in [answered, given_up] {
        let mut names: Vec<_> = response.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "x-public"], "with {}", response.status());
    }
    for request in server.requests() {
        assert_eq!(request.target, "/path?query");
        let mut headers = request.headers;
        headers.sort();
        let host = server.address().to_string();
        let expected =
            [("cookie", "a=b; c=d; e=f"), ("host", &host), ("via", "1.1 failover"), ("x-public", "2")];
        assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}

#[tokio::test]
async fn forward_what_servers_say_of_the_client_cannot_be_taken_away_by_naming_it() {
    let server = Server::script([Reply::ok("")]);
    let said = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
    let mut request = Request::get("/").header("connection", said.join(", ")).header("connection", "X-Via");
    for name in said.iter().chain(&["x-via"]) {
        request = request.header(*name, "1");
    }
    client([&server]).forward(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
    let requests = server.requests();
    for name in said {
        let expected = if name == "via" { "1, 1.1 failover" } else { "1" };
        assert_eq!(requests[0].header(name), Some(expected), "{name}");
    }
    assert_eq!(requests[0].header("x-via"), None);
}

#[tokio::test]
async fn forward_a_targets_own_via_does_not_hide_that_of_the_proxy() {
    let server = Server::script([Reply::ok("")]);
    let own = (HeaderName::from_static("via"), HeaderValue::from_static("1.0 own"));
    let target = Target::parse(&server.url()).unwrap().with_header(own.0, own.1);
    let client = FailoverClient::builder().target(target).build().unwrap();
    client.forward(Request::new(Full::<Bytes>::default())).await.unwrap();
    let requests = server.requests();
    let lines = requests[0].headers.iter().filter(|(name, _)| name == "via").map(|(_, value)| value.as_str());
    assert_eq!(lines.collect::<Vec<_>>().join(", "), "1.0 own, 1.1 failover");
}

#[tokio::test]
async fn forward_makes_no_cookie_of_none() {
    let server = Server::script([Reply::ok("")]);
    let request =
        Request::get("/").header("connection", "cookie").header("cookie", "a=b").header("cookie", "c=d");
    client([&server]).forward(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
    assert_eq!(server.requests()[0].header("cookie"), None);
}

/// Guards: `Peer::introduce` that adds nothing, or that keeps what anybody says.
#[tokio::test]
async fn forward_tells_of_a_client_that_it_knows() {
    let server = Server::script([Reply::ok("")]);
    let address = "192.0.2.7".parse().unwrap();
    let peer = Peer::new(address);
    for (peer, expected) in [
        (Peer::unnamed(), [None, None, Some("front.example"), Some("http")]),
        (peer.clone(), [None, Some("192.0.2.7"), Some("front.example"), Some("http")]),
        (peer.clone().over_tls(), [None, Some("192.0.2.7"), Some("front.example"), Some("https")]),
        (peer.trusted(), [Some("by=1"), Some("1, 2, 192.0.2.7"), Some("first.example"), Some("https")]),
        (Peer::unnamed().trusted(), [Some("by=1"), Some("1"), Some("first.example"), Some("https")]),
    ] {
        let request = Request::get("/").header("host", "front.example").header("forwarded", "by=1");
        let request = request.header("x-forwarded-for", "1").header("x-forwarded-for", "2");
        let request =
            request.header("x-forwarded-host", "first.example").header("x-forwarded-proto", "https");
        let mut request = request.body(Full::<Bytes>::default()).unwrap();
        peer.introduce(&mut request);
        client([&server]).forward(request).await.unwrap();
        let requests = server.requests();
        let names = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];
        assert_eq!(names.map(|name| requests.last().unwrap().header(name)), expected, "{peer:?}");
    }
}

/// Guards: `check` that refuses nothing.
#[tokio::test]
async fn forward_refuses_what_no_target_is_asked_for() {
    let server = Server::script([Reply::ok("")]);
    let client = client([&server]);
    let forward = async |method: &str, path: &str, via: &str| {
        let request = Request::builder().method(method).uri(path).header("via", via);
        let result = client.forward(request.body(Full::<Bytes>::default()).unwrap()).await;
        result.map_or_else(|error| error.gateway_status().as_u16(), |answer| answer.status().as_u16())
    };
    let seven = ["1.1 failover"; 7].join(", ");
    assert_eq!(forward("GET", "/a/../b/%2e", &seven).await, 200);
    assert_eq!(forward("GET", "/", &format!("{seven},2.0 failover")).await, 508);
    assert_eq!(forward("TRACE", "/", "1.1 other").await, 405);
    for path in [
        "/..",
        "/a%2fb/../../c",
        "/a\\b/../../c",
        "/x;%2fy/../../c",
        "/a%5c../../c",
        "/a/../../b",
        "/%2E%2e/b",
        "/a/..%2f../b",
        "/..;x/b",
        "/.%2e%5cb",
    ] {
        assert_eq!(forward("GET", path, "1.1 other").await, 400, "{path}");
    }
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn forward_trailers_pass_both_ways() {
    let server = Server::script([Reply::ok("body").trailer("x-sum", "4")]);
    let (body, feed) = stream();
    feed.send(Frame::data(Bytes::from_static(b"money"))).unwrap();
    feed.send(Frame::trailers(HeaderMap::from_iter([(
        HeaderName::from_static("x-sum"),
        HeaderValue::from_static("5"),
    )])))
    .unwrap();
    drop(feed);
    let request = Request::post("/").header("te", "trailers").header("trailer", "x-sum").body(body).unwrap();
    let response = client([&server]).forward(request).await.unwrap();
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["x-sum"], "4");
    let requests = server.requests();
    assert_eq!((requests[0].text(), requests[0].header("te")), ("money", Some("trailers")));
    assert_eq!(requests[0].trailers, [("x-sum".to_owned(), "5".to_owned())]);
}

#[tokio::test]
async fn forward_an_upgrade_is_an_offer_without_which_a_request_is_served() {
    let server = Server::script([Reply::ok("right")]);
    for offered in ["websocket", "TLS/1.2", "h2c"] {
        let request =
            Request::get("/").header("connection", "keep-alive, Upgrade").header("upgrade", offered);
        let request = request.body(Full::<Bytes>::default()).unwrap();
        assert_eq!(text(client([&server]).forward(request).await.unwrap()).await, "right");
    }
    for request in server.requests() {
        assert_eq!((request.header("upgrade"), request.header("connection")), (None, None));
    }
}

/// Guards: `Driver::run` that reads an answer to its end before it returns it.
#[tokio::test]
async fn committed_a_forwarded_answer_is_streamed_before_it_has_ended() {
    let gate = Gate::new();
    let server = Server::script([Reply::ok("in two").halfway(&gate)]);
    let client = client([&server]);
    let forwarded = client.forward(Request::get("/").body(Full::<Bytes>::default()).unwrap());
    let response = timeout(LIMIT, forwarded).await.expect("nothing takes that long").unwrap();
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "in ");
    gate.open();
    assert_eq!(body.collect().await.unwrap().to_bytes(), "two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handle_pin_a_submitted_call_ends_with_the_target_that_began_it() {
    let gate = Gate::new();
    let held = gate.clone();
    let first = Server::start(move |request| match request.target.as_str() {
        "/slow" => Reply::ok("first").after(&held),
        _ => Reply::status(503),
    });
    let servers = [first, Server::script([Reply::ok("second")])];
    let policy = Policy::default().leave_after(1);
    let targets = servers.each_ref().map(Server::url);
    let client = FailoverClient::builder().targets(targets).policy(policy).build().unwrap();
    // It runs although nobody polls it.
    let submitted = client.post("/slow").body("money").submit();
    assert_eq!(servers[0].wait_for_requests(1)[0].text(), "money");
    assert!(!submitted.is_finished());
    assert_eq!(text(client.get("/").await.unwrap()).await, "second");
    assert_eq!(client.sticky(), 1);
    gate.open();
    let response = timeout(LIMIT, submitted).await.unwrap().unwrap();
    assert_eq!(response.body().answered().target(), 0);
    assert_eq!(text(response).await, "first");
    assert_eq!((client.sticky(), servers[0].requests().len()), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_neutral_dropping_a_submitted_call_abandons_it() {
    let server = Server::script([Reply::stall(), Reply::ok("right")]);
    // So long that it is not its time that ends the attempt.
    let policy = Policy::default().attempt_timeout(2 * LIMIT).deadline(None);
    let client = FailoverClient::builder().targets([server.url()]).policy(policy).build().unwrap();
    let submitted = client.get("/").submit();
    assert_eq!(server.wait_for_requests(1).len(), 1);
    drop(submitted);
    server.wait_for_closed(1);
    assert_eq!(text(client.get("/").await.unwrap()).await, "right");
}

#[tokio::test]
async fn a_submitted_call_that_cannot_be_made_says_so() {
    let server = Server::script([Reply::ok("")]);
    let error = client([&server]).get("http://evil.example/").submit().await.unwrap_err();
    assert!(matches!(error, Error::Path(_)), "{error}");
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn cancel_neutral_a_call_that_is_dropped_while_it_pauses_books_nothing() {
    let servers = [Server::script([Reply::status(503)]), Server::script([Reply::ok("")])];
    let client = FailoverClient::builder()
        .targets(servers.each_ref().map(Server::url))
        .interval(LIMIT)
        .policy(Policy::default().deadline(None))
        .build()
        .unwrap();
    {
        let mut call = pin!(client.get("/").send());
        poll_until(call.as_mut(), || servers[0].requests().len() == 1).await;
    }
    assert_eq!((client.sticky(), servers[1].connections()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_interval_is_waited_by_the_runtimes_clock() {
    let servers = [(); 3].map(|()| Server::down());
    let hour = Duration::from_hours(1);
    let client = FailoverClient::builder()
        .targets(servers.each_ref().map(Server::url))
        .interval(hour)
        .policy(Policy::default().deadline(None))
        .build()
        .unwrap();
    let began = Instant::now();
    let Error::Stopped(stopped) = client.get("/").await.unwrap_err() else { panic!("the targets are down") };
    assert_eq!(stopped.failures().len(), 3);
    assert!(began.elapsed() >= 2 * hour);
    for pair in stopped.failures().windows(2) {
        assert!(pair[1].began().since(pair[0].ended()) >= hour);
    }
}

#[tokio::test]
async fn failback_target_0_is_probed_when_its_time_has_come_by_the_runtimes_clock() {
    let busy = || Reply::status(503);
    let servers =
        [Server::script([busy(), busy(), busy(), Reply::ok("back")]), Server::script([Reply::ok("other")])];
    let client = client(&servers);
    for _ in 0..3 {
        assert_eq!(text(client.get("/").await.unwrap()).await, "other");
    }
    tokio::time::pause();
    // The clock is 30 s, lengthened by up to a fifth.
    tokio::time::advance(Duration::from_secs(37)).await;
    tokio::time::resume();
    for _ in 0..3 {
        assert_eq!(text(client.get("/").await.unwrap()).await, "back");
    }
    assert_eq!((client.sticky(), servers[0].requests().len()), (0, 6));
}

/// Guards: `Names::look_up` with one lookup at a time.
#[tokio::test]
async fn one_name_a_name_that_hangs_holds_up_no_other() {
    let works = Server::script([Reply::ok("right")]);
    let (ended, end) = std::sync::mpsc::channel();
    let hangs = Target::parse("http://hangs.example").unwrap().connect_timeout(Duration::from_millis(300));
    let works_too = format!("http://works.example:{}", works.address().port());
    let client = FailoverClient::builder()
        .target(hangs)
        .targets([works_too])
        .connect_timeout(LIMIT)
        .attempt_timeout(LIMIT)
        .resolver(Hangs(Mutex::new(end)))
        .build()
        .unwrap();
    let calls = (0..700).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { text(client.post("/").body("money").await.unwrap()).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), "right");
    }
    assert_eq!(works.requests().len(), 700);
    drop(ended);
}

#[test]
fn a_client_that_outlives_its_runtime_dials_again_in_another() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = Server::script([Reply::ok("right")]);
    let (release, gate) = std::sync::mpsc::channel();
    let client = FailoverClient::builder()
        .targets([format!("http://hangs.example:{}", server.address().port())])
        .resolver(Hangs(Mutex::new(gate)))
        .build()
        .unwrap();
    let first = runtime();
    let call = first.spawn({
        let client = client.clone();
        async move { client.get("/").await.map(drop) }
    });
    while !LOOKED_UP.load(Ordering::Acquire) {
        thread::yield_now();
    }
    drop(first);
    drop((call, release));
    for _ in 0..2 {
        // Its connections, too, are of no use without their runtime.
        assert_eq!(runtime().block_on(async { text(client.get("/").await.unwrap()).await }), "right");
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_was_idle_gets_no_request() {
    let mut first = Server::script([Reply::ok("first")]);
    let second = Server::script([Reply::ok("second")]);
    let client = client([&first, &second]);
    assert_eq!(text(client.get("/").await.unwrap()).await, "first");
    // Lets the connection become idle.
    sleep(Duration::from_millis(100)).await;
    // The server closes it while this thread, the only one that could notice, is busy; and when the runtime hears of
    // that and of the timer at once, the call comes first.
    let mut timer = pin!(sleep(Duration::from_millis(1)));
    poll_fn(|cx| Poll::Ready(timer.as_mut().poll(cx).is_pending())).await;
    first.stop();
    thread::sleep(Duration::from_millis(5));
    timer.await;
    let response = client.post("/").body("money").await.unwrap();
    let answered = response.body().answered().clone();
    let seen: Vec<_> =
        answered.failures().iter().map(|failure| (failure.target(), failure.evidence())).collect();
    assert_eq!(seen, [(0, Some(Evidence::NoConnection))]);
    assert_eq!(text(response).await, "second");
    assert_eq!((first.requests().len(), second.requests()[0].text()), (1, "money"));
    assert_eq!(client.snapshot().targets[0].strikes, 1, "it has answered just now");
}

/// Guards: `Pool::sweep_from_now_on` that has nothing swept.
#[tokio::test]
async fn bounded_an_idle_connection_is_closed_in_time() {
    let server = Server::script([Reply::ok("right")]);
    let client = client([&server]);
    assert_eq!(text(client.get("/").await.unwrap()).await, "right");
    tokio::time::pause();
    for _ in 0..60 {
        tokio::time::advance(Duration::from_secs(1)).await;
        // Real time for what is done by the sockets.
        tokio::task::spawn_blocking(thread::yield_now).await.unwrap();
    }
    tokio::time::resume();
    tokio::task::spawn_blocking(move || server.wait_for_closed(1)).await.unwrap();
    drop(client);
}

#[tokio::test]
async fn a_clone_shares_its_memory_and_its_connections() {
    let servers = [Server::down(), Server::script([Reply::ok("right")])];
    let client = client(&servers);
    for _ in 0..5 {
        assert_eq!(text(client.clone().get("/").await.unwrap()).await, "right");
    }
    assert_eq!(client.sticky(), 1);
    // A connection may be idle again only after the next call has begun.
    assert!(servers[1].connections() < 5, "{} connections", servers[1].connections());
}

#[test]
fn calls_can_be_spawned() {
    fn spawnable(_: &(impl Future + Send)) {}
    fn shareable(_: &(impl Clone + Send + Sync + 'static)) {}
    fn an_error<E: StdError + Send + Sync + 'static>() {}

    let client = FailoverClient::builder().targets(["http://a.example"]).build().unwrap();
    spawnable(&client.get("/").send());
    spawnable(&client.get("/").into_future());
    spawnable(&client.request(Request::new("body")));
    spawnable(&client.forward(Request::new(Full::<Bytes>::default())));
    shareable(&client);
    an_error::<Error>();
}

#[cfg(unix)]
#[test]
fn local_fault_no_file_descriptors_is_no_targets_fault() {
    let child = std::process::Command::new("sh")
        .args(["-c", r#"ulimit -n 64 && exec "$0" --ignored --exact without_file_descriptors"#])
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && output.contains("1 passed"), "{output}");
}

#[cfg(unix)]
#[tokio::test]
#[ignore = "uses up its process's file descriptors; another test runs it in a process of its own"]
async fn without_file_descriptors() {
    let servers = [Server::script([Reply::ok("first")]), Server::script([Reply::ok("second")])];
    let client = client(&servers);
    let hoard: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    assert!(hoard.len() < 64);
    for _ in 0..5 {
        for error in [client.post("/").body("money").await, client.get("/").await].map(Result::unwrap_err) {
            assert_eq!(error.gateway_status(), StatusCode::SERVICE_UNAVAILABLE);
            let Error::Stopped(stopped) = error else { panic!("{error}") };
            assert_eq!((stopped.reason(), stopped.failures().len()), (Reason::LocalFault, 2), "{stopped}");
            for failure in stopped.failures() {
                assert_eq!(failure.evidence(), Some(Evidence::NoRoom));
                assert_eq!(failure.error().unwrap().fault(), Fault::Local);
            }
        }
    }
    drop(hoard);
    assert_eq!(client.sticky(), 0);
    assert_eq!(text(client.get("/").await.unwrap()).await, "first");
}

fn client<'a>(servers: impl IntoIterator<Item = &'a Server>) -> FailoverClient {
    let mut builder = FailoverClient::builder();
    for server in servers {
        builder = builder.target(Target::parse(&server.url()).unwrap());
    }
    builder.build().unwrap()
}

async fn text(response: Response<ResponseBody>) -> String {
    let body = timeout(LIMIT, response.into_body().collect()).await.unwrap().unwrap();
    String::from_utf8(body.to_bytes().into()).unwrap()
}

fn is_local_fault(error: &Error, fault: Fault) {
    let Error::Stopped(stopped) = error else { panic!("{error}") };
    assert_eq!((stopped.reason(), stopped.failures().len()), (Reason::LocalFault, 1), "{error}");
    assert_eq!(stopped.failures()[0].evidence(), Some(Evidence::LocalFault));
    assert_eq!(stopped.failures()[0].error().unwrap().fault(), fault);
}

/// Polls a future, which does not end, until something has happened because of it.
async fn poll_until<F: Future>(mut future: Pin<&mut F>, happened: impl Fn() -> bool) {
    timeout(LIMIT, async {
        while !happened() {
            let pending = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await;
            assert!(pending, "the future ended");
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

/// A request body that a test feeds, frame by frame, and ends by dropping the sender.
struct Streamed {
    frames: mpsc::UnboundedReceiver<Frame<Bytes>>,
    /// The size that it announces.
    size: Option<u64>,
    /// Whether it breaks off where it would end.
    fails: bool,
}

fn stream() -> (Streamed, mpsc::UnboundedSender<Frame<Bytes>>) {
    let (feed, frames) = mpsc::unbounded_channel();
    (Streamed { frames, size: None, fails: false }, feed)
}

fn send_large(feed: &mpsc::UnboundedSender<Frame<Bytes>>) {
    for _ in 0..LARGE / 1000 {
        feed.send(Frame::data(Bytes::from_static(&[b'x'; 1000]))).unwrap();
    }
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.frames.poll_recv(cx).map(|frame| match frame {
            Some(frame) => Some(Ok(frame)),
            None if self.fails => Some(Err(io::Error::other("the source of the body broke off"))),
            None => None,
        })
    }

    fn size_hint(&self) -> SizeHint {
        self.size.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// More than the replay buffer holds.
const LARGE: usize = 1_000_000;

/// Whether a name was looked up that hangs.
static LOOKED_UP: AtomicBool = AtomicBool::new(false);

/// Finds this machine for every name but one, which it finds when its sender was dropped.
struct Hangs(Mutex<std::sync::mpsc::Receiver<()>>);

impl Resolve for Hangs {
    fn resolve(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        if name == "hangs.example" {
            LOOKED_UP.store(true, Ordering::Release);
            let _ = self.0.lock().unwrap().recv();
        }
        Ok(vec![([127, 0, 0, 1], 0).into()])
    }
}
