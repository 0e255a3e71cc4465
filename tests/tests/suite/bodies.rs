//! Bodies: whole or an error, of the right answer, and the same on every attempt.

use std::thread;
use std::time::Duration;

use failover_core::Reason;
use failover_tests::lab::{End, Gate, LIMIT, Reply, Server};

use super::{ATTEMPT, Call, client, client_with, each, policy};

#[test]
fn a_length_that_is_stated_beside_chunks_is_not_heeded() {
    for length in [3, 5, 57] {
        let both =
            format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
        let right = Server::script([Reply::raw(format!("HTTP/1.1 200 OK\r\n{both}"))]);
        assert_eq!(client([&right]).call(&Call::get("/")).unwrap().text(), "hello");
        let busy = Server::script([Reply::raw(format!("HTTP/1.1 503 Busy\r\n{both}"))]);
        let stopped = client([&busy]).call(&Call::get("/")).unwrap_err();
        assert_eq!(stopped.answer, Some((503, b"hello".to_vec())));
    }
}

#[test]
fn a_transfer_coding_that_nobody_undoes_is_no_answer() {
    let coded = "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    let (odd, works) = (Server::script([Reply::raw(coded)]), Server::script([Reply::ok("right")]));
    let client = client([&odd, &works]);
    assert_eq!(client.call(&Call::get("/")).unwrap().text(), "right");
    assert_eq!((odd.requests().len(), client.sticky()), (1, 0));
}

/// Guards: `TransportBody::poll_frame` that takes the error by which a body broke off for its end.
#[test]
fn committed_a_truncated_body_is_an_error_and_never_another_targets() {
    let body = "0123456789".repeat(1000);
    let whole = Reply::ok(body);
    let cases = [
        ("fin inside a body with a length", whole.clone().cut(5000)),
        ("reset inside a body with a length", whole.clone().cut(5000).end(End::Reset)),
        ("fin inside a chunked body", whole.clone().chunked().cut(5000)),
        ("reset inside a chunked body", whole.clone().chunked().cut(5000).end(End::Reset)),
        ("fin before the body", whole.cut(0)),
    ];
    each(cases, |reply| {
        let (first, second) = (Server::script([reply]), Server::script([Reply::ok("other")]));
        let client = client([&first, &second]);
        let answer = client.call(&Call::get("/")).unwrap();
        assert_eq!((answer.status, answer.target), (200, 0));
        answer.body.unwrap_err();
        assert_eq!((first.requests().len(), second.connections()), (1, 0));
    });
}

#[test]
fn body_idle_a_body_that_stands_still_is_an_error_and_a_strike() {
    let stands_still = Server::script([Reply::ok("0123456789").cut(4).end(End::Stall)]);
    let works = Server::script([Reply::ok("right")]);
    let client = client_with([&stands_still, &works], policy().body_idle(ATTEMPT / 4));
    for _ in 0..3 {
        let answer = client.call(&Call::get("/")).unwrap();
        assert!(answer.target == 0 && answer.body.is_err());
    }
    assert_eq!(client.call(&Call::get("/")).unwrap().text(), "right");
}

/// Guards: `Driver::run` whose bound of a body that stands still is the attempt's.
#[test]
fn committed_a_body_may_take_longer_than_an_attempt() {
    let first = Server::script([Reply::ok("slow and whole").halfway(ATTEMPT * 3 / 2)]);
    let second = Server::script([Reply::ok("other")]);
    let client = client_with([&first, &second], policy().attempt_timeout(ATTEMPT));
    let answer = client.call(&Call::get("/")).unwrap();
    assert_eq!((answer.text(), answer.target), ("slow and whole", 0));
}

/// Guards: `Received::new` that takes each answer for one of HTTP/2.
#[test]
fn committed_bodies_come_whole_however_they_are_framed() {
    let body = "0123456789".repeat(10_000);
    let whole = Reply::ok(body.clone());
    let cases = [
        ("with a length", whole.clone()),
        ("chunked", whole.clone().chunked()),
        ("with a trailer", whole.clone().trailer("sum", "1")),
        ("with a head of 60 kB", whole.clone().header("odd", &"o".repeat(60_000))),
        ("close-delimited", whole.clone().close_delimited()),
        ("HTTP/1.0", whole.clone().http10()),
        ("after a 103", whole.clone().interim(103)),
        ("after two interim answers", whole.interim(102).interim(103)),
    ];
    each(cases, |reply| {
        let server = Server::script([reply]);
        let client = client([&server]);
        for _ in 0..3 {
            let answer = client.call(&Call::get("/")).unwrap();
            assert_eq!((answer.status, answer.text()), (200, body.as_str()));
        }
    });
}

/// Guards: `Transport::send` that states the length of what came.
#[test]
fn committed_answers_without_a_body_are_not_waited_for() {
    let server = Server::start(|request| match request.target.as_str() {
        "/204" => Reply::status(204),
        "/304" => Reply::status(304).body("not sent"),
        _ => Reply::ok("12345"),
    });
    let client = client([&server]);
    for _ in 0..3 {
        assert_eq!(client.call(&Call::get("/204")).unwrap().text(), "");
        assert_eq!(client.call(&Call::get("/304")).unwrap().text(), "");
        let answer = client.call(&Call::new("HEAD", "/", "")).unwrap();
        assert_eq!((answer.status, answer.text(), answer.header("content-length")), (200, "", Some("5")));
        assert_eq!(client.call(&Call::get("/")).unwrap().text(), "12345");
    }
}

#[test]
fn committed_after_a_timeout_the_next_answer_is_its_own() {
    let gate = Gate::new();
    let held = gate.clone();
    let server = Server::start(move |request| match request.target.as_str() {
        "/slow" => Reply::ok("/slow").after(&held),
        other => Reply::ok(other),
    });
    let client = client_with([&server], policy().attempt_timeout(3 * ATTEMPT));
    assert_eq!(client.call(&Call::get("/slow")).unwrap_err().reason, Reason::TargetsTried);
    gate.open();
    for nth in 0..20 {
        let path = format!("/{nth}");
        assert_eq!(client.call(&Call::get(&path)).unwrap().text(), path);
    }
}

#[test]
fn committed_after_a_body_that_was_not_read_the_next_answer_is_its_own() {
    let server = Server::start(|request| match request.target.as_str() {
        // What is left on the wire looks like an answer.
        "/large" => Reply::ok("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong".repeat(100_000)),
        "/chunked" => Reply::ok("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong".repeat(1000)).chunked(),
        "/cut" => Reply::ok("wrong".repeat(1000)).cut(1000).end(End::Stall),
        other => Reply::ok(other),
    });
    let client = client([&server]);
    for nth in 0..10 {
        for unread in ["/large", "/chunked", "/cut"] {
            assert_eq!(client.skim(&Call::get(unread)), 200);
            let path = format!("/{nth}");
            assert_eq!(client.call(&Call::get(&path)).unwrap().text(), path);
        }
    }
    server.wait_for_closed(30);
}

/// Guards: `CallBody::attempt` that gives a body in memory away to the first attempt.
#[test]
fn exact_each_attempt_sends_each_byte_once_with_the_same_head() {
    for size in [0, 1, 64 << 10, (1 << 20) + 3] {
        let body: Vec<u8> = (0..=255).cycle().take(size).collect();
        let first = Server::script([Reply::status(503)]);
        let second = Server::script([Reply::fin()]);
        let third = Server::start(|request| Reply::ok(request.body.clone()));
        let client = client([&first, &second, &third]);
        let call = Call::new("PUT", "/things/1?a=b", body.clone()).header("x-one", "1").header("x-one", "2");
        let answer = client.call(&call).unwrap();
        assert!(answer.body.unwrap() == body);

        let attempts = [first.requests(), second.requests(), third.requests()];
        let mut heads = Vec::new();
        for requests in &attempts {
            assert_eq!(requests.len(), 1);
            let request = &requests[0];
            assert!(request.body == body, "{} bytes of {}", request.body.len(), body.len());
            assert_eq!(request.header("transfer-encoding"), None);
            let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
            assert_eq!(length, body.len());
            let mut headers = request.headers.clone();
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case("host"));
            heads.push((request.method.clone(), request.target.clone(), headers));
        }
        assert_eq!(heads[0].1, "/things/1?a=b");
        assert!(heads.windows(2).all(|pair| pair[0] == pair[1]), "{heads:?}");
    }
}

/// Guards: `AttemptBody::is_end_stream` without the empty body.
#[test]
fn exact_a_get_gains_no_body_on_its_second_attempt() {
    let (first, second) = (Server::script([Reply::status(503)]), Server::script([Reply::ok("")]));
    client([&first, &second]).call(&Call::get("/")).unwrap();
    for request in [&first.requests()[0], &second.requests()[0]] {
        assert_eq!((request.header("content-length"), request.header("content-type")), (None, None));
        assert_eq!(request.header("transfer-encoding"), None);
    }
}

#[test]
fn early_answer_one_that_comes_before_the_body_was_read_is_right() {
    for end in [End::KeepAlive, End::HalfFin, End::Stall] {
        for body in [b"small".to_vec(), vec![b'x'; 8 << 20]] {
            let server = Server::early(move |_| Reply::status(413).body("too large").end(end));
            let answer = client([&server]).call(&Call::post(body)).unwrap();
            assert_eq!((answer.status, answer.text()), (413, "too large"), "{end:?}");
        }
    }
}

/// Guards: `CallBody::attempt` that gives a body in memory away to the first attempt.
#[test]
fn early_answer_one_that_is_given_up_lets_the_whole_body_go_to_the_next_target() {
    for end in [End::KeepAlive, End::HalfFin, End::Stall] {
        let first = Server::early(move |_| Reply::status(503).end(end));
        let second = Server::start(|request| Reply::ok(request.body.len().to_string()));
        let call = Call::new("PUT", "/", vec![b'x'; 8 << 20]);
        let answer = client([&first, &second]).call(&call).unwrap();
        assert_eq!((answer.text(), answer.target), ((8 << 20).to_string().as_str(), 1), "{end:?}");
    }
}

/// Guards: `ResponseBody::drain` without its time.
#[test]
fn drained_an_answer_that_is_given_up_pins_no_connection() {
    let never = Gate::new();
    let large = Reply::status(503).body(vec![b'x'; 32 << 20]);
    let cases = [
        ("endless", Reply::status(503).body("half").halfway(&never)),
        ("cut", Reply::status(503).body("half").cut(2).end(End::Stall)),
        ("large", large.clone()),
        ("large and chunked", large.chunked()),
    ];
    each(cases, |reply| {
        let (first, second) = (Server::script([reply]), Server::script([Reply::ok("right")]));
        let client = client([&first, &second]);
        assert_eq!(client.call(&Call::get("/")).unwrap().text(), "right");
        // The connection was either closed, or read to its end, so that the server could close it.
        drop(first);
        assert_eq!(client.call(&Call::get("/")).unwrap().text(), "right");
    });
}

/// Guards: an answer that is drained before the call goes on, and one that is not drained when it went on, or was dropped.
#[test]
fn drained_a_small_answer_leaves_its_connection_usable_though_it_ends_after_the_call() {
    each([("answered", false), ("cancelled", true)], |is_cancelled| {
        const CALLS: usize = 10;
        let gates: Vec<_> = (0..CALLS).map(|_| Gate::new()).collect();
        let halves = gates.clone();
        let first = Server::start(move |request| match request.target.strip_prefix("/bad/") {
            Some(nth) => {
                let gate = &halves[nth.parse::<usize>().expect("a number")];
                Reply::status(503).body("a few bytes").halfway(gate)
            }
            None => Reply::ok("right"),
        });
        let held = Gate::new();
        let works = Reply::ok("right");
        let second = Server::script([if is_cancelled { works.after(&held) } else { works }]);
        let client = client([&first, &second]);
        for (nth, gate) in gates.iter().enumerate() {
            let call = client.start(Call::get(&format!("/bad/{nth}")));
            if is_cancelled {
                drop(second.wait_for_requests(nth + 1));
                call.cancel();
            } else {
                assert_eq!(call.finish().unwrap().target, 1);
            }
            gate.open();
            // The body ends now. If a busy machine takes longer for it, one of the calls to come will show it.
            thread::sleep(Duration::from_millis(20));
            assert_eq!(client.call(&Call::get("/")).unwrap().target, 0);
        }
        assert!(first.connections() < CALLS, "{} connections", first.connections());
        held.open();
    });
}

/// Guards: an answer that is drained for a while though its call ended with it, and then let go.
#[test]
fn drained_the_answer_that_ends_the_call_comes_whole_however_late() {
    let late = Reply::status(503).body("late and whole").halfway(Duration::from_millis(600));
    each([("with a length", late.clone()), ("chunked", late.chunked())], |reply| {
        let stopped = client([&Server::script([reply])]).call(&Call::get("/")).unwrap_err();
        assert_eq!(stopped.answer, Some((503, b"late and whole".to_vec())));
    });
}

/// Guards: an answer that is kept for as long as its call lasts, or drained to whatever end.
#[test]
fn drained_an_endless_answer_is_closed_before_the_next_attempt_has_ended() {
    let large = Reply::status(503).body(vec![b'x'; 32 << 20]);
    let cases = [
        ("stalled", Reply::status(503).body("x".repeat(1000)).cut(500).end(End::Stall)),
        ("large", large.clone()),
        ("large and chunked", large.chunked()),
    ];
    each([("answered", false), ("cancelled", true)], |is_cancelled| {
        each(cases.clone(), |reply| {
            let gate = Gate::new();
            let first = Server::script([reply]);
            let second = Server::script([Reply::ok("right").after(&gate)]);
            let client = client_with([&first, &second], policy().attempt_timeout(2 * LIMIT).deadline(None));
            let call = client.start(Call::get("/"));
            assert_eq!(second.wait_for_requests(1).len(), 1);
            if is_cancelled {
                call.cancel();
                first.wait_for_closed(1);
                gate.open();
            } else {
                first.wait_for_closed(1);
                gate.open();
                assert_eq!(call.finish().unwrap().text(), "right");
            }
        });
    });
}
