//! What only the adapter for async-std has: its transport alone under surf, and failover as surf's middleware.
#![forbid(unsafe_code)]

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_std::future::timeout;
use async_std::io::{BufRead, Read};
use async_std::task;
use failover_async_std::rustls::crypto::ring;
use failover_async_std::rustls::{ClientConfig, RootCertStore};
use failover_async_std::{
    Answered, AttemptError, BuildError, Builder, Error, Evidence, FailoverClient, FailoverMiddleware, Fault,
    Policy, Protocol, Reason, RecordFile, Recorder, Replay, Resolve, Story, Target, Transport,
    Unrepresentable, Within,
};
use failover_tests::example::{self, Scratch};
use failover_tests::lab::{Accept, Blackhole, End, LIMIT, Reply, Server};
use surf::http::{Method, headers::HeaderValue};
use surf::middleware::{Middleware, Next};
use surf::utils::async_trait;
use surf::{Body, HttpClient, Url};
use tokio::io::DuplexStream;

#[test]
fn what_happens_to_the_calls_of_a_client_and_of_a_middleware_is_recorded() {
    let (down, works) = (Server::down(), Server::script([Reply::ok("right")]));
    let file = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "record.jsonl", "");
    let recorder = Recorder::to(RecordFile::open(file.path(), 1 << 20).unwrap());
    let builder =
        |name| FailoverClient::builder().targets([down.url(), works.url()]).name(name).record(&recorder);
    let client = builder("client").build().unwrap();
    assert_eq!(block_on(client.get("/")).unwrap().status(), 200);
    let middleware = builder("middleware").build_middleware().unwrap();
    let surf = surf::Client::with_http_client(Transport::plain()).with(middleware);
    assert_eq!(block_on(surf.get("http://any.example/")).unwrap().status(), 200);
    recorder.flush();
    let mut story = Story::default();
    std::fs::read_to_string(file.path()).unwrap().lines().for_each(|line| story.read(line));
    let story = story.to_string();
    for name in ["client", "middleware"] {
        assert!(
            story.contains(&format!("{name}: 1 call failed over from target 0 ({})", down.url())),
            "{story}"
        );
    }
}

// The transport alone.

#[test]
fn after_a_request_that_was_dropped_the_next_one_gets_its_own_answer() {
    let server = Server::start(|request| match request.target.as_str() {
        "/slow" => Reply::stall(),
        other => Reply::ok(other),
    });
    let client = surf_client();
    for dropped in 1..=5 {
        let slow = client.get(format!("{}/slow", server.url())).build();
        let sending = task::spawn({
            let client = client.clone();
            async move { client.send(slow).await }
        });
        drop(server.wait_for_requests(2 * dropped - 1));
        assert!(block_on(sending.cancel()).is_none());
        let path = format!("/{dropped}");
        assert_eq!(get(&client, &server, &path).unwrap(), path);
    }
}

#[test]
fn after_a_body_that_was_not_read_the_next_request_gets_its_own_answer() {
    let server = Server::start(|request| match request.target.as_str() {
        "/large" => Reply::ok("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong".repeat(10_000)),
        other => Reply::ok(other),
    });
    let client = surf_client();
    for nth in 0..10 {
        let response = block_on(client.get(format!("{}/large", server.url())));
        assert_eq!(response.unwrap().status(), 200);
        let path = format!("/{nth}");
        assert_eq!(get(&client, &server, &path).unwrap(), path);
    }
}

#[test]
fn whatever_frames_a_body_it_comes_whole() {
    let whole = Reply::ok("0123456789".repeat(1000));
    for reply in [
        whole.clone(),
        whole.clone().chunked(),
        whole.clone().trailer("sum", "1"),
        whole.clone().close_delimited(),
        whole.clone().http10(),
        whole.clone().interim(103),
    ] {
        let server = Server::script([reply]);
        assert_eq!(get(&surf_client(), &server, "/").unwrap(), "0123456789".repeat(1000));
    }
}

#[test]
fn a_body_that_breaks_off_is_an_error_however_often_it_is_read() {
    let reply = Reply::ok("0123456789".repeat(1000)).cut(5000);
    for reply in [reply.clone(), reply.clone().chunked(), reply.end(End::Reset)] {
        let server = Server::script([reply]);
        let mut response = block_on(surf_client().get(server.url())).unwrap();
        let mut body = response.take_body();
        for _ in 0..3 {
            block_on(async_std::io::ReadExt::read_to_end(&mut body, &mut vec![])).unwrap_err();
        }
    }
}

#[test]
fn answers_without_a_body_are_not_waited_for() {
    let server = Server::start(|request| match request.target.as_str() {
        "/204" => Reply::status(204),
        "/304" => Reply::status(304),
        _ => Reply::ok("12345"),
    });
    let client = surf_client();
    for _ in 0..3 {
        let mut response = block_on(client.head(server.url())).unwrap();
        assert_eq!(response.header("content-length").unwrap().as_str(), "5");
        assert_eq!(block_on(response.body_string()).unwrap(), "");
        assert_eq!(get(&client, &server, "/204").unwrap(), "");
        assert_eq!(get(&client, &server, "/304").unwrap(), "");
        assert_eq!(get(&client, &server, "/").unwrap(), "12345");
    }
}

#[test]
fn an_answer_that_surf_cannot_hold_is_an_error_that_holds_it() {
    let odd = |status| Reply::status(status).header("x-name", "caf\u{e9}").body("odd");
    for status in [200, 420, 599, 799, 999] {
        let server = Server::script([odd(status)]);
        let error = block_on(surf_client().get(server.url())).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("caf"), "{error:?}");
        let response = error.downcast::<Unrepresentable>().unwrap().into_response();
        assert_eq!(
            (response.status().as_u16(), response.headers()["x-name"].as_bytes()),
            (status, "café".as_bytes())
        );
        assert_eq!(block_on(response.into_body().into_string()).unwrap(), "odd");
    }
}

#[test]
fn json_comes_as_what_it_is_and_a_missing_type_is_not_made_up() {
    let server = Server::script([Reply::ok(r#"{"item": 7}"#)]);
    let mut response = block_on(surf_client().get(server.url())).unwrap();
    assert!(response.header("content-type").is_none());
    assert_eq!(block_on(response.body_json::<serde_json::Value>()).unwrap()["item"], 7);
}

#[test]
fn failures_have_types_and_say_what_they_prove() {
    let (down, silent, reset) =
        (Server::down(), Blackhole::new(), Server::accepting([Accept::Serve], |_| Reply::reset()));
    let client =
        surf::Client::with_http_client(Transport::plain().connect_timeout(Duration::from_millis(200)));
    for (url, fault, evidence) in [
        (down.url(), Fault::Refused, Evidence::NoConnection),
        (silent.url(), Fault::ConnectTimeout, Evidence::NoConnection),
        ("http://no-such-host.invalid".to_owned(), Fault::Resolve, Evidence::NoConnection),
        (reset.url(), Fault::Closed, Evidence::MaybeProcessed),
        // There is no TLS.
        (down.url().replace("http", "https"), Fault::Tls, Evidence::NoConnection),
        ("ftp://host.invalid/".to_owned(), Fault::Local, Evidence::LocalFault),
        ("data:secret".to_owned(), Fault::Local, Evidence::LocalFault),
    ] {
        let error = block_on(client.get(&url)).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
        let error = error.downcast::<AttemptError>().unwrap();
        assert_eq!((error.fault(), error.evidence()), (fault, evidence), "{url}");
    }
}

#[test]
fn a_request_that_http_does_not_allow_is_an_error_and_nothing_is_sent() {
    let server = Server::script([Reply::ok("")]);
    let client = surf_client();
    let with = |name: &str, value: &str| {
        let mut request = client.get(server.url()).build();
        // Both are ASCII, which is all that surf asks for.
        let value = HeaderValue::from_bytes(value.into()).unwrap();
        request.insert_header(name, value);
        request
    };
    for request in [
        with("x y", "secret"),
        with("", "secret"),
        with("x", "secret\r\nx-smuggled: 1"),
        surf::Request::new(Method::Connect, server.url().parse().unwrap()),
    ] {
        let error = block_on(client.send(request)).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"));
        assert_eq!(error.downcast::<AttemptError>().unwrap().evidence(), Evidence::LocalFault);
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn bodies_arrive_whole_whether_or_not_their_length_is_known() {
    let server = Server::start(|request| Reply::ok(request.body.clone()));
    let client = surf_client();
    for size in SIZES {
        for known in [true, false] {
            let mut response = block_on(client.post(server.url()).body(streamed(size, known))).unwrap();
            assert!(block_on(response.body_bytes()).unwrap() == bytes(size), "{size}");
        }
    }
    for request in server.requests() {
        assert!(request.header("content-length").is_some() != request.header("transfer-encoding").is_some());
        assert_eq!(request.headers("host").count(), 1);
    }
}

#[test]
fn a_body_that_is_not_as_long_as_it_says_is_an_error_and_never_executed() {
    let server = Server::script([Reply::ok("")]);
    let body = Body::from_reader(async_std::io::Cursor::new("short"), Some(100));
    let error = block_on(surf_client().post(server.url()).body(body)).unwrap_err();
    let error = error.downcast::<AttemptError>().unwrap();
    assert_eq!((error.fault(), error.evidence()), (Fault::RequestBody, Evidence::LocalFault));
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_length_that_the_caller_states_wrongly_is_put_right() {
    let server = Server::start(|request| Reply::ok(request.body.clone()));
    let mut request = surf_client().post(server.url()).body("body").build();
    request.insert_header("content-length", "400");
    request.insert_header("transfer-encoding", "chunked");
    let mut response = block_on(surf_client().send(request)).unwrap();
    assert_eq!(block_on(response.body_string()).unwrap(), "body");
    assert_eq!(server.requests()[0].headers("content-length").collect::<Vec<_>>(), ["4"]);
}

#[test]
fn the_transport_can_be_asked_for_its_configuration() {
    let mut transport = Transport::plain();
    assert!(transport.config().tcp_no_delay);
    let config = transport.config().clone();
    transport.set_config(config).unwrap_err();
    let client: surf::Client = surf::Config::new().set_http_client(transport).try_into().unwrap();
    let server = Server::script([Reply::ok("right")]);
    assert_eq!(get(&client, &server, "/").unwrap(), "right");
}

#[test]
fn no_tokio_runtime_runs() {
    let server = Server::script([Reply::ok("right")]);
    let client = surf_client().with(Tokioless);
    assert_eq!(get(&client, &server, "/").unwrap(), "right");
    let spawned = client.clone();
    let url = server.url();
    let response = block_on(task::spawn(async move { spawned.get(url).recv_string().await }));
    assert_eq!(response.unwrap(), "right");
    #[cfg(target_os = "linux")]
    for thread in std::fs::read_dir("/proc/self/task").unwrap() {
        // A thread may end meanwhile.
        let name = std::fs::read_to_string(thread.unwrap().path().join("comm")).unwrap_or_default();
        assert!(!name.starts_with("tokio"), "{name}");
    }
}

#[test]
fn no_tokio_runtime_is_even_compiled() {
    let args = ["tree", "--offline", "-p", "failover-async-std", "-e", "features,no-dev", "-i", "tokio"];
    let tree = example::cargo().args(args).stderr(Stdio::inherit()).output().unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains(r#"tokio feature "sync""#), "{tree}");
    for runtime in ["rt", "rt-multi-thread", "full"] {
        assert!(!tree.contains(&format!(r#"tokio feature "{runtime}""#)), "{tree}");
    }
}

#[test]
fn the_rest_of_the_workspace_has_nothing_of_what_surf_brings() {
    for package in ["failover-core", "failover-tokio"] {
        let args = ["tree", "--offline", "-p", package, "-e", "no-dev", "--all-features", "--prefix", "none"];
        let tree = example::cargo().args(args).stderr(Stdio::inherit()).output().unwrap();
        let tree = String::from_utf8(tree.stdout).unwrap();
        assert!(tree.starts_with(package), "{tree}");
        for unmaintained in ["surf ", "async-std ", "http-types ", "http-client ", "rand v0.7", "cookie "] {
            assert!(!tree.lines().any(|line| line.starts_with(unmaintained)), "{tree}");
        }
    }
}

// The adapter in its three forms: over the transport, over a client of the caller's own, and as middleware.

/// Guards: `foreign` that believes no error.
#[test]
fn not_sent_always_a_post_moves_on_when_our_transport_proves_that_nothing_was_sent() {
    for face in FACES {
        let (down, silent) = (Server::down(), Blackhole::new());
        for url in [down.url(), silent.url(), "http://no-such-host.invalid".to_owned()] {
            let works = Server::script([Reply::ok("right")]);
            let adapter = face.over(vec![target(&url), target(&works.url())], policy());
            let mut response = adapter.post("money").unwrap();
            let answered = response.ext::<Answered>().unwrap();
            assert_eq!((answered.target(), answered.attempts()), (1, 2));
            assert_eq!(answered.failures()[0].evidence(), Some(Evidence::NoConnection), "{face:?} {url}");
            assert_eq!(block_on(response.body_string()).unwrap(), "right");
            assert_eq!((works.requests().len(), works.requests()[0].text()), (1, "money"));
            assert_eq!(adapter.sticky(), 1);
        }
    }
}

/// Guards: `Transport::send` that drops the extensions of the attempt's request.
#[test]
fn a_body_goes_when_its_target_asks_for_it() {
    for face in FACES {
        let works = Server::script([Reply::ok("right")]);
        let adapter = face.over(vec![target(&works.url())], patient());
        // Where the machine is busy, the second may be over before it is asked for.
        let is_asked_for = (0..10).any(|_| {
            let began = Instant::now();
            adapter.send(expecting()).unwrap();
            began.elapsed() < Duration::from_secs(1)
        });
        assert!(is_asked_for, "{face:?}");
        let requests = works.requests();
        assert_eq!((requests[0].header("expect"), requests[0].text()), (Some("100-continue"), "money"));
    }
}

#[test]
fn a_body_that_a_target_refuses_by_its_head_is_the_next_ones_whole() {
    for face in FACES {
        let busy = Server::early(|_| Reply::status(503).end(End::HalfFin));
        let works = Server::script([Reply::ok("right")]);
        let adapter = face.over(vec![target(&busy.url()), target(&works.url())], patient());
        let response = adapter.send(expecting()).unwrap();
        assert_eq!(response.ext::<Answered>().unwrap().target(), 1, "{face:?}");
        assert_eq!((works.requests().len(), works.requests()[0].text()), (1, "money"));
    }
}

#[test]
fn never_twice_a_post_is_an_error_when_it_may_have_been_executed() {
    for face in FACES {
        for reply in [Reply::stall(), Reply::fin(), Reply::reset(), Reply::raw("garbage\r\n\r\n")] {
            let (first, works) = (Server::script([reply]), Server::script([Reply::ok("right")]));
            let policy = policy().leave_after(1);
            let adapter = face.over(vec![target(&first.url()), target(&works.url())], policy);
            let Err(Error::Stopped(stopped)) = adapter.post("money") else { panic!("{face:?}") };
            assert_eq!(stopped.reason(), Reason::NoProof);
            assert_eq!(stopped.failures()[0].evidence(), Some(Evidence::MaybeProcessed));
            assert_eq!((first.requests().len(), works.connections()), (1, 0));
            assert_eq!(block_on(adapter.post("more").unwrap().body_string()).unwrap(), "right");
        }
    }
}

/// Guards: `ReplayBody::reader` that begins after what was kept.
#[test]
fn exact_a_streamed_body_goes_whole_to_the_next_target_as_long_as_it_was_kept() {
    for face in FACES {
        for size in SIZES {
            for known in [true, false] {
                for limit in [64 << 10, 2 << 20] {
                    let first = Server::script([Reply::status(503).body("no")]);
                    let second = Server::start(|request| Reply::ok(request.body.clone()));
                    let targets = vec![target(&first.url()), target(&second.url())];
                    let policy = policy().replay(Replay::Always).replay_buffer(limit);
                    let outcome = face.over(targets, policy).post(streamed(size, known));
                    assert!(first.requests()[0].body == bytes(size));
                    if size <= limit {
                        assert!(
                            block_on(outcome.unwrap().body_bytes()).unwrap() == bytes(size),
                            "{face:?} {size}"
                        );
                        assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
                        continue;
                    }
                    let Err(error) = outcome else { panic!("{face:?} {size}") };
                    assert_eq!(error.response().unwrap().status(), 503);
                    let Error::Stopped(stopped) = error else { panic!("{error}") };
                    assert_eq!(stopped.reason(), if known { Reason::OneShotBody } else { Reason::BodyGone });
                    assert_eq!(second.connections(), 0);
                }
            }
        }
    }
}

/// Guards: `ReplayBody::rewind` that takes a body for gone since it is larger than the buffer.
#[test]
fn stream_first_a_body_of_which_nothing_was_read_still_goes_to_the_next_target() {
    for face in FACES {
        let (down, works) = (Server::down(), Server::start(|request| Reply::ok(request.body.clone())));
        let adapter = face.over(vec![target(&down.url()), target(&works.url())], policy());
        for known in [true, false] {
            let mut response = adapter.post(streamed(1 << 20, known)).unwrap();
            assert!(block_on(response.body_bytes()).unwrap() == bytes(1 << 20));
        }
    }
}

/// Guards: `ReplayBody::reader` that begins after what was kept.
#[test]
fn exact_each_attempt_has_the_same_head() {
    for face in FACES {
        let servers = [Reply::status(503), Reply::fin(), Reply::ok("")].map(|reply| Server::script([reply]));
        let targets = servers.iter().map(|server| target(&server.url())).collect();
        let policy = policy().replay(Replay::Always);
        let adapter = face.over(targets, policy);
        adapter.post(streamed(1000, true)).unwrap();
        let heads = servers.each_ref().map(|server| {
            let mut request = server.requests().pop().unwrap();
            request.headers.retain(|(name, _)| name != "host");
            request.headers.sort();
            (request.method, request.target, request.headers)
        });
        assert!(heads[0] == heads[1] && heads[1] == heads[2], "{face:?} {heads:?}");
    }
}

#[test]
fn an_odd_answer_is_the_targets_and_a_failover_code_if_the_policy_says_so() {
    for face in FACES {
        let (odd, other) =
            (Server::script([Reply::status(599).body("odd")]), Server::script([Reply::ok("other")]));
        let targets = || vec![target(&odd.url()), target(&other.url())];
        let adapter = face.over(targets(), policy());
        let Err(Error::Unrepresentable(answer)) = adapter.post("") else { panic!("{face:?}") };
        assert_eq!(answer.response().extensions().get::<Answered>().unwrap().target(), 0);
        assert_eq!(block_on(answer.into_response().into_body().into_string()).unwrap(), "odd");
        assert_eq!((adapter.sticky(), other.connections()), (0, 0));

        let failover_codes = "5xx".parse().unwrap();
        let adapter = face.over(targets(), policy().failover_codes(failover_codes).replay(Replay::Always));
        let answered = adapter.post("").unwrap().ext::<Answered>().unwrap().clone();
        assert_eq!(answered.failures()[0].status().map(|status| status.as_u16()), Some(599), "{face:?}");

        let Err(Error::Stopped(stopped)) =
            face.over(targets(), policy().failover_codes(failover_codes)).post("")
        else {
            panic!("{face:?}")
        };
        let answer = stopped.into_response().unwrap().unwrap_err().into_response();
        assert_eq!(block_on(answer.into_body().into_string()).unwrap(), "odd");
    }
}

#[test]
fn last_answer_the_error_of_a_middleware_holds_it() {
    for face in FACES {
        let busy = Server::script([Reply::status(503).body("back at noon")]);
        let error = face.over(vec![target(&busy.url())], policy()).post("").unwrap_err();
        let mut response = error.into_response().unwrap();
        assert_eq!(response.ext::<Answered>().unwrap().attempts(), 1);
        assert_eq!(block_on(response.body_string()).unwrap(), "back at noon");
    }
}

#[test]
fn last_answer_a_long_one_can_be_read_to_its_end() {
    for face in FACES {
        let busy = Server::script([Reply::status(503).body(bytes(1 << 20))]);
        let mut response =
            face.over(vec![target(&busy.url())], policy()).post("").unwrap_err().into_response().unwrap();
        assert!(block_on(response.body_bytes()).unwrap() == bytes(1 << 20), "{face:?}");
    }
}

#[test]
fn deadline_a_caller_may_bound_one_call() {
    let stalls = [(); 2].map(|()| Server::script([Reply::stall()]));
    let within = Within(Duration::from_millis(200));
    for face in FACES {
        let targets = stalls.iter().map(|server| target(&server.url())).collect();
        let adapter = face.over(targets, policy().attempt_timeout(LIMIT).deadline(None));
        let mut request = surf::Request::new(Method::Get, Url::parse("http://any.example/").unwrap());
        request.set_ext(within);
        let Err(Error::Stopped(stopped)) = adapter.send(request) else { panic!("{face:?}") };
        assert!(matches!(stopped.reason(), Reason::Deadline | Reason::TargetsTried), "{stopped}");
        assert!(stopped.failures()[0].ended() >= stopped.failures()[0].began() + within.0 / 2);
    }
}

#[test]
fn prefer_an_operator_moves_the_cursor() {
    let servers = [(); 2].map(|()| Server::script([Reply::ok("")]));
    for face in FACES {
        let adapter = face.over(servers.iter().map(|server| target(&server.url())).collect(), policy());
        adapter.prefer(1).unwrap();
        assert_eq!(adapter.post("").unwrap().ext::<Answered>().unwrap().target(), 1);
        adapter.prefer(2).unwrap_err();
    }
}

/// Guards: `failed` that has one status for all.
#[test]
fn the_error_of_a_middleware_has_the_status_that_a_gateway_would_say() {
    let status_of = |target: &str, path: &str| {
        let policy = policy().attempt_timeout(Duration::from_secs(1));
        let failover = FailoverMiddleware::builder().targets(target).policy(policy).build_middleware();
        let client = surf_client().with(failover.unwrap());
        u16::from(block_on(client.get(format!("http://any.example/{path}"))).unwrap_err().status())
    };
    assert_eq!(status_of(&Server::down().url(), ""), 502);
    let silent = Server::script([Reply::stall()]);
    assert_eq!(status_of(&silent.url(), ""), 504);
    let long = format!("{}/{}", silent.url(), "b".repeat(10_000));
    assert_eq!(status_of(&long, &"x".repeat(60_000)), 414);
}

#[test]
fn middleware_before_sees_each_call_and_middleware_after_each_attempt_with_its_targets_headers() {
    let servers = [Server::script([Reply::status(503)]), Server::script([Reply::ok("right")])];
    let key = |nth: usize, value: &'static str| {
        target(&format!("{}/base{nth}", servers[nth].url()))
            .with_header(http::HeaderName::from_static("x-api-key"), http::HeaderValue::from_static(value))
    };
    let failover = FailoverMiddleware::builder().target(key(0, "first")).target(key(1, "second"));
    let failover = failover.policy(policy()).build_middleware().unwrap();
    let (before, after) = (Journal::default(), Journal::default());
    let client = surf_client().with(before.clone()).with(failover.clone()).with(after.clone());

    let request = client.get("http://any.example/a/b?c=d").header("x-mine", "kept").build();
    assert_eq!(block_on(client.recv_string(request)).unwrap(), "right");
    assert_eq!(before.lines(), ["http://any.example/a/b?c=d -"]);
    assert_eq!(
        after.lines(),
        [
            format!("{}/base0/a/b?c=d first", servers[0].url()),
            format!("{}/base1/a/b?c=d second", servers[1].url()),
        ]
    );
    for (server, [path, key]) in
        servers.iter().zip([["/base0/a/b?c=d", "first"], ["/base1/a/b?c=d", "second"]])
    {
        let request = server.requests().pop().unwrap();
        assert_eq!((request.target.as_str(), request.headers("x-api-key").collect()), (path, vec![key]));
        assert_eq!(request.headers("host").collect::<Vec<_>>(), [server.address().to_string()]);
        assert_eq!(request.header("x-mine"), Some("kept"));
    }
    assert_eq!((failover.sticky(), failover.targets().len()), (0, 2));
    assert_eq!(failover.snapshot().targets[0].strikes, 1);
}

#[test]
fn middleware_may_be_one_requests_own() {
    let works = Server::script([Reply::ok("right")]);
    let down = Server::down();
    let failover = FailoverMiddleware::builder().targets([down.url(), works.url()]);
    let failover = failover.build_middleware().unwrap();
    let request = surf_client().get("http://any.example/").middleware(failover.clone()).build();
    assert_eq!(block_on(surf_client().recv_string(request)).unwrap(), "right");
    assert_eq!(failover.sticky(), 1);
}

#[test]
fn never_twice_what_a_stock_transport_does_not_prove_is_not_believed() {
    let stock = || surf::Client::with_http_client(Stock);
    let targets = || vec![target("http://127.0.0.1:1"), target("http://127.0.0.1:2")];
    let client = FailoverClient::builder().client(stock()).target(targets().remove(0)).build().unwrap();
    let Err(Error::Stopped(stopped)) = block_on(client.post("/").body("money")) else {
        panic!("it was executed?")
    };
    assert_eq!(stopped.failures()[0].evidence(), Some(Evidence::MaybeProcessed));
    assert_eq!(stopped.failures()[0].error().unwrap().fault(), Fault::Client);

    let builder = targets().into_iter().fold(FailoverMiddleware::builder(), Builder::target);
    let client = stock().with(builder.build_middleware().unwrap());
    let error = block_on(client.post("http://any.example/").body("money")).unwrap_err();
    let Error::Stopped(stopped) = error.downcast().unwrap() else { panic!("it has attempts") };
    assert_eq!((stopped.reason(), stopped.failures().len()), (Reason::NoProof, 1));
    let error = block_on(client.get("http://any.example/")).unwrap_err();
    let Error::Stopped(stopped) = error.downcast().unwrap() else { panic!("it has attempts") };
    assert_eq!((stopped.reason(), stopped.failures().len()), (Reason::TargetsTried, 2));
}

#[test]
fn never_twice_a_middleware_that_gives_up_by_itself_proves_nothing() {
    let (silent, works) = (Blackhole::new(), Server::script([Reply::ok("right")]));
    let failover = FailoverMiddleware::builder().targets([silent.url(), works.url()]).policy(policy());
    let client = surf_client().with(failover.build_middleware().unwrap()).with(Impatient);
    let error = block_on(client.post("http://any.example/").body("money")).unwrap_err();
    let Error::Stopped(stopped) = error.downcast().unwrap() else { panic!("it has attempts") };
    assert_eq!(stopped.failures()[0].evidence(), Some(Evidence::MaybeProcessed));
    assert_eq!(works.connections(), 0);
}

#[test]
fn a_path_that_surf_would_change_is_refused_where_surf_would_see_it() {
    let server = Server::script([Reply::ok("right")]);
    let client = FailoverClient::builder().client(surf_client()).targets([format!("{}/v1", server.url())]);
    let client = client.build().unwrap();
    let Err(Error::Stopped(stopped)) = block_on(client.get("/../admin")) else {
        panic!("it left the base path")
    };
    assert_eq!((stopped.reason(), server.connections()), (Reason::LocalFault, 0));
    assert_eq!(block_on(client.get("/a%2Fb?c=%20")).unwrap().status(), 200);
    assert_eq!(server.requests()[0].target, "/v1/a%2Fb?c=%20");
}

#[test]
fn a_submitted_call_runs_by_itself_and_is_abandoned_when_it_is_dropped() {
    let server = Server::start(|request| match request.target.as_str() {
        "/slow" => Reply::stall(),
        other => Reply::ok(other),
    });
    let client = FailoverClient::builder().targets([server.url()]).attempt_timeout(LIMIT).build().unwrap();
    let submitted = client.get("/report").submit();
    assert_eq!(server.wait_for_requests(1)[0].target, "/report");
    let mut response = block_on(submitted).unwrap();
    assert_eq!(block_on(response.body_string()).unwrap(), "/report");

    let submitted = client.get("/slow").submit();
    drop(server.wait_for_requests(2));
    assert!(!submitted.is_finished());
    drop(submitted);
    server.wait_for_closed(1);
    assert!(matches!(block_on(client.method("NO METHOD", "/").submit()), Err(Error::Method)));
}

/// Guards: a way to send that forgets the default headers.
#[test]
fn per_target_request_default_headers_are_in_each_form() {
    let server = Server::start(|request| Reply::ok(request.header("x-key").unwrap_or("none")));
    let builder = || FailoverClient::builder().targets([server.url()]).default_header("x-key", "ours");
    let over_surf = builder().client(surf_client()).build().unwrap();
    let middleware = surf_client().with(builder().build_middleware().unwrap());
    let surfs = || surf::Request::new(Method::Get, Url::parse("http://any.example/").unwrap());
    let texts = block_on(async {
        [
            over_surf.get("/").await.unwrap().body_string().await.unwrap(),
            builder().build().unwrap().send(surfs()).await.unwrap().body_string().await.unwrap(),
            middleware.send(surfs()).await.unwrap().body_string().await.unwrap(),
        ]
    });
    assert_eq!(texts, ["ours"; 3]);
}

/// Finds no address.
struct Nowhere;

impl Resolve for Nowhere {
    fn resolve(&self, _: &str) -> io::Result<Vec<SocketAddr>> {
        Err(io::ErrorKind::NotFound.into())
    }
}

fn settings_of_tls() -> ClientConfig {
    ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

/// Guards: a setting of how to connect that is lost on a client that connects by other means.
#[test]
fn settings_that_make_no_sense_together_are_refused() {
    let refuse = |key: &str, set: fn(Builder) -> Builder| {
        let builder = || set(FailoverClient::builder().targets(["http://a.example"]));
        builder().build().unwrap();
        assert_eq!(builder().client(surf_client()).build().unwrap_err().key(), key);
        assert_eq!(builder().build_middleware().unwrap_err().key(), key);
    };
    refuse("connector", |builder| builder.connector(|_| pending::<Result<DuplexStream, String>>()));
    refuse("resolver", |builder| builder.resolver(Nowhere));
    refuse("protocol", |builder| builder.protocol(Protocol::Auto));
    refuse("max_headers", |builder| builder.max_headers(100));
    refuse("pool_idle_timeout", |builder| builder.pool_idle_timeout(LIMIT));
    refuse("pool_max_idle", |builder| builder.pool_max_idle(1));
    refuse("pool_max_age", |builder| builder.pool_max_age(LIMIT));
    refuse("pool_max_dials", |builder| builder.pool_max_dials(1));
    refuse("http2_stream_window", |builder| builder.http2_stream_window(1 << 20));
    refuse("http2_connection_window", |builder| builder.http2_connection_window(1 << 20));
    refuse("tls", |builder| builder.tls(settings_of_tls()));
    refuse("tls_named", |builder| builder.tls_named("own", settings_of_tls()));
    let url = "http://host.example";
    let error =
        FailoverMiddleware::builder().targets([url]).client(surf_client()).build_middleware().unwrap_err();
    assert!(error.to_string().starts_with("client"), "{error}");
    let error = FailoverClient::builder().build().unwrap_err();
    assert!(error.to_string().starts_with("targets"), "{error}");
    let error = FailoverClient::builder().targets([url, "http://user:secret@"]).build().unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}

/// Guards: `AttemptError::unconnected` that proves nothing.
#[test]
fn connect_bound_holds_in_each_form() {
    let connect_timeout = Duration::from_millis(300);
    let policy = policy().connect_timeout(connect_timeout).attempt_timeout(100 * LIMIT).deadline(None);
    for face in FACES {
        let (silent, works) = (Blackhole::new(), Server::script([Reply::ok("right")]));
        let adapter = face.over(vec![target(&silent.url()), target(&works.url())], policy.clone());
        let began = Instant::now();
        let response = adapter.post("money").unwrap();
        assert!(began.elapsed() >= connect_timeout);
        let answered = response.ext::<Answered>().unwrap();
        assert_eq!(answered.failures()[0].evidence(), Some(Evidence::NoConnection), "{face:?}");
        assert_eq!(works.requests().len(), 1);
    }
}

/// Guards: `foreign` that believes an error of our transport whose request it does not know.
#[test]
fn unknown_service_a_post_whose_redirect_does_not_connect_is_not_executed_again() {
    let (down, works) = (Server::down(), Server::script([Reply::ok("right")]));
    let elsewhere =
        format!("HTTP/1.1 303 See Other\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", down.url());
    let first = Server::script([Reply::raw(elsewhere)]);
    let client = surf_client().with(surf::middleware::Redirect::new(3));
    let targets = [first.url(), works.url()];
    let client = FailoverClient::builder().client(client).targets(targets).build().unwrap();
    let Err(Error::Stopped(stopped)) = block_on(client.post("/").body("money")) else { panic!("an answer") };
    assert_eq!(stopped.reason(), Reason::NoProof);
    let failure = &stopped.failures()[0];
    assert_eq!(failure.evidence(), Some(Evidence::MaybeProcessed));
    assert_eq!(failure.error().unwrap().fault(), Fault::Client);
    assert_eq!((first.requests().len(), works.connections()), (1, 0));
}

/// The forms of the adapter.
#[derive(Clone, Copy, Debug)]
enum Face {
    Transport,
    Client,
    Middleware,
}

const FACES: [Face; 3] = [Face::Transport, Face::Client, Face::Middleware];

enum Adapter {
    Client(FailoverClient),
    Middleware(Box<surf::Client>, FailoverMiddleware),
}

impl Face {
    fn over(self, targets: Vec<Target>, policy: Policy) -> Adapter {
        let builder = targets.into_iter().fold(FailoverClient::builder(), Builder::target);
        let builder = builder.policy(policy);
        match self {
            Self::Transport => Adapter::Client(builder.build().unwrap()),
            Self::Client => Adapter::Client(builder.client(surf_client()).build().unwrap()),
            Self::Middleware => {
                let failover = builder.build_middleware().unwrap();
                Adapter::Middleware(Box::new(surf_client().with(failover.clone())), failover)
            }
        }
    }
}

impl Adapter {
    fn post(&self, body: impl Into<Body>) -> Result<surf::Response, Error> {
        let url = Url::parse("http://any.example/pay").unwrap();
        self.send(surf::Request::builder(Method::Post, url).body(body).build())
    }

    fn send(&self, request: surf::Request) -> Result<surf::Response, Error> {
        match self {
            Self::Client(client) => block_on(client.send(request)),
            Self::Middleware(client, _) => {
                block_on(client.send(request)).map_err(|error| error.downcast().expect("it is the adapter's"))
            }
        }
    }

    fn prefer(&self, index: usize) -> Result<(), BuildError> {
        match self {
            Self::Client(client) => client.prefer(index),
            Self::Middleware(_, failover) => failover.prefer(index),
        }
    }

    fn sticky(&self) -> usize {
        match self {
            Self::Client(client) => client.sticky(),
            Self::Middleware(_, failover) => failover.sticky(),
        }
    }
}

/// Notes the URL and the key of each request.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait]
impl Middleware for Journal {
    async fn handle(
        &self,
        request: surf::Request,
        client: surf::Client,
        next: Next<'_>,
    ) -> surf::Result<surf::Response> {
        let key = request.header("x-api-key").map_or("-", |values| values.as_str());
        self.0.lock().unwrap().push(format!("{} {key}", request.url()));
        next.run(request, client).await
    }
}

/// Gives up soon, and then does who knows what.
struct Impatient;

#[async_trait]
impl Middleware for Impatient {
    async fn handle(
        &self,
        request: surf::Request,
        client: surf::Client,
        next: Next<'_>,
    ) -> surf::Result<surf::Response> {
        let _ = timeout(Duration::from_millis(50), next.run(request, client)).await;
        pending().await
    }
}

/// Sees that no runtime of tokio is there where requests are sent from.
struct Tokioless;

#[async_trait]
impl Middleware for Tokioless {
    async fn handle(
        &self,
        request: surf::Request,
        client: surf::Client,
        next: Next<'_>,
    ) -> surf::Result<surf::Response> {
        assert!(tokio::runtime::Handle::try_current().is_err());
        let result = next.run(request, client).await;
        assert!(tokio::runtime::Handle::try_current().is_err());
        result
    }
}

/// Fails as surf's own transports do when a connection is refused.
#[derive(Debug)]
struct Stock;

#[async_trait]
impl HttpClient for Stock {
    async fn send(&self, _: surf::http::Request) -> surf::Result<surf::http::Response> {
        Err(surf::Error::from_str(400, "Connection refused (os error 111)"))
    }
}

/// A body of surf's that comes in small pieces.
struct Pieces {
    rest: Vec<u8>,
    read: usize,
}

impl BufRead for Pieces {
    fn poll_fill_buf(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        let end = this.rest.len().min(this.read + 1000);
        Poll::Ready(Ok(&this.rest[this.read..end]))
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        self.read += count;
    }
}

impl Read for Pieces {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let count = buf.len().min(self.rest.len() - self.read).min(1000);
        buf[..count].copy_from_slice(&self.rest[self.read..self.read + count]);
        self.read += count;
        Poll::Ready(Ok(count))
    }
}

fn streamed(size: usize, known: bool) -> Body {
    Body::from_reader(Pieces { rest: bytes(size), read: 0 }, known.then_some(size))
}

fn bytes(size: usize) -> Vec<u8> {
    (0..=255).cycle().take(size).collect()
}

fn surf_client() -> surf::Client {
    surf::Client::with_http_client(Transport::plain())
}

fn get(client: &surf::Client, server: &Server, path: &str) -> surf::Result<String> {
    block_on(client.get(format!("{}{path}", server.url())).recv_string())
}

fn target(url: &str) -> Target {
    Target::parse(url).unwrap()
}

fn policy() -> Policy {
    Policy::default().attempt_timeout(Duration::from_secs(1))
}

/// Has attempts take as long as a busy machine needs.
fn patient() -> Policy {
    Policy::default().attempt_timeout(LIMIT).deadline(None)
}

/// A request whose body is to be asked for.
fn expecting() -> surf::Request {
    let url = Url::parse("http://any.example/pay").unwrap();
    let request = surf::Request::builder(Method::Put, url).header("expect", "100-continue");
    request.body("money").build()
}

fn block_on<F: IntoFuture>(future: F) -> F::Output {
    task::block_on(async { timeout(LIMIT, future.into_future()).await.expect("nothing takes that long") })
}

const SIZES: [usize; 4] = [0, 1, 64 << 10, 1 << 20];
