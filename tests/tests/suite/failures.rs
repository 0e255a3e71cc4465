//! The failure table: what each misbehaviour of target 0 means for a GET and for a POST, beside a target 1 that works.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use failover_core::{Evidence, Failback, Policy, Reason, Replay};
use failover_tests::lab::{Accept, Blackhole, End, Reply, Server};

use super::{ATTEMPT, Answered, Call, Place, client_with, each, policy, target};
use crate::Client;

/// Guards: `Origin::broke_off` that tells the group nothing.
#[test]
fn broken_body_a_target_whose_answers_break_off_is_left_after_three() {
    let broken = Server::start(|_| Reply::ok("0123456789").cut(4));
    let works = Server::start(|_| Reply::ok("right"));
    let client = client_with([&broken, &works], policy());
    for _ in 0..3 {
        let answer = client.call(&Call::get("/")).unwrap();
        assert!(answer.target == 0 && answer.body.is_err());
    }
    for _ in 0..3 {
        assert_eq!(client.call(&Call::get("/")).unwrap().text(), "right");
    }
    assert_eq!((client.sticky(), broken.requests().len()), (1, 3));
}

#[test]
fn not_well_a_target_that_is_back_with_500s_takes_nobody_from_the_one_that_works() {
    let calls = AtomicUsize::new(0);
    let back = Server::start(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::status(503),
        _ => Reply::status(500),
    });
    let works = Server::start(|_| Reply::ok("right"));
    let failback = Some(Failback { after: Duration::from_secs(1), max: Duration::from_secs(100) });
    let policy = policy().failback(failback).leave_after(1).cool_down(None);
    let client = client_with([&back, &works], policy);
    assert_eq!((client.call(&Call::get("/")).unwrap().target, client.sticky()), (1, 1));
    // Until the clock is due, which is lengthened by up to a fifth.
    thread::sleep(Duration::from_millis(1_300));
    assert_eq!(client.call(&Call::get("/")).unwrap().status, 500, "the probe's own answer is passed on");
    assert_eq!((client.sticky(), back.requests().len()), (1, 2));
}

#[test]
fn never_refused_untried_a_get_is_answered_whatever_target_0_does() {
    let all =
        unsent().into_iter().chain(doubtful()).chain(executed()).chain(codes([421, 425, 501, 502, 503, 504]));
    each(all, |place| {
        let (client, works) = beside_one_that_works(&place, policy());
        for call in 0..3 {
            let answer = client.call(&Call::get("/right?call")).unwrap();
            assert_eq!((answer.status, answer.text(), answer.target), (200, "right", 1), "call {call}");
            assert!(answer.failures.iter().all(|failure| failure.target == 0), "{:?}", answer.failures);
        }
        assert_eq!(works.requests().len(), 3);
    });
}

/// Guards: `TransportError::from` a TLS handshake that failed, for a request that may have been processed.
#[test]
fn not_sent_always_a_post_moves_on_when_nothing_was_sent() {
    each(unsent(), |place| {
        let (client, works) = beside_one_that_works(&place, policy());
        let answer = client.call(&Call::post("money")).unwrap();
        assert_eq!((answer.text(), answer.target), ("right", 1));
        assert_eq!(evidence(&answer), [Evidence::NoConnection]);
        assert_eq!(works.requests().len(), 1);
        assert_eq!(works.requests()[0].text(), "money");
        assert_eq!(place.executed(), 0);
        assert_eq!(client.sticky(), 1);
    });
}

/// Guards: `TransportError::from` a connection that was not made, for a request that may have been processed.
#[test]
fn not_sent_always_a_post_moves_on_under_replay_never() {
    let policy = policy().replay(Replay::Never);
    let down = Place::server(Server::down());
    let (client, works) = beside_one_that_works(&down, policy);
    assert_eq!(client.call(&Call::post("money")).unwrap().text(), "right");
    assert_eq!(works.requests().len(), 1);
}

/// Guards: `AttemptError::unconnected` that proves nothing.
#[test]
fn not_sent_always_a_post_moves_on_when_its_time_to_connect_ends() {
    let (blackhole, works) = (Blackhole::new(), Server::script([Reply::ok("right")]));
    let targets = [blackhole.url(), blackhole.url(), works.url()].map(|url| target(&url));
    let bound = 6 * ATTEMPT;
    let policy = policy().attempt_timeout(bound).deadline(bound);
    let answer = Client::new(targets.into(), policy).call(&Call::post("money")).unwrap();
    assert_eq!((answer.text(), answer.target), ("right", 2));
    assert_eq!(evidence(&answer), [Evidence::NoConnection; 2]);
    assert_eq!(works.requests()[0].text(), "money");
}

#[test]
fn never_twice_a_post_is_an_error_when_it_may_have_been_executed() {
    each(executed(), |place| {
        let (client, works) = beside_one_that_works(&place, policy());
        let stopped = client.call(&Call::post("money")).unwrap_err();
        assert_eq!(stopped.reason, Reason::NoProof);
        let failures: Vec<_> = stopped.failures.iter().map(|failure| failure.evidence).collect();
        assert_eq!(failures, [Some(Evidence::MaybeProcessed)]);
        assert!(stopped.answer.is_none());
        assert_eq!((place.executed(), works.requests().len()), (1, 0));
    });
}

#[test]
fn never_twice_a_post_is_executed_at_most_once_where_the_outcome_is_a_race() {
    each(doubtful(), |place| {
        let (client, works) = beside_one_that_works(&place, policy());
        match client.call(&Call::post("money")) {
            Ok(answer) => assert_eq!((answer.text(), works.requests().len()), ("right", 1)),
            Err(stopped) => assert_eq!((stopped.reason, works.requests().len()), (Reason::NoProof, 0)),
        }
        assert_eq!(place.executed(), 0);
    });
}

#[test]
fn never_twice_a_get_is_not_replayed_under_replay_never() {
    let place = Place::server(Server::script([Reply::reset()]));
    let (client, works) = beside_one_that_works(&place, policy().replay(Replay::Never));
    assert_eq!(client.call(&Call::get("/")).unwrap_err().reason, Reason::NoProof);
    assert_eq!((place.executed(), works.requests().len()), (1, 0));
}

#[test]
fn steer_after_three_ambiguous_posts_the_next_one_begins_elsewhere() {
    each(executed(), |place| {
        let (client, works) = beside_one_that_works(&place, policy());
        for _ in 0..3 {
            client.call(&Call::post("first")).unwrap_err();
        }
        let answer = client.call(&Call::post("second")).unwrap();
        assert_eq!((answer.target, answer.failures.len(), client.sticky()), (1, 0, 1));
        assert_eq!((place.executed(), works.requests().len()), (3, 1));
    });
}

/// Guards: `Head::aim` that drops the key.
#[test]
fn same_key_a_post_with_an_idempotency_key_moves_on_with_its_key_and_its_bytes() {
    each(executed().into_iter().chain(codes([502, 503, 504])), |place| {
        let (client, works) = beside_one_that_works(&place, policy());
        let call = Call::post("money").header("idempotency-key", "8e03978e-40d5").header("x-other", "kept");
        let answer = client.call(&call).unwrap();
        assert_eq!(answer.text(), "right");
        let (failed, replayed) = (place.requests(), works.requests());
        assert_eq!((failed.len(), replayed.len()), (1, 1), "{:?}: {failed:?}", evidence(&answer));
        for request in [&failed[0], &replayed[0]] {
            assert_eq!(request.headers("idempotency-key").collect::<Vec<_>>(), ["8e03978e-40d5"]);
            assert_eq!((request.method.as_str(), request.text()), ("POST", "money"));
        }
        let all_but_the_host = |at: usize| {
            let mut headers = [&failed, &replayed][at][0].headers.clone();
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case("host"));
            headers
        };
        assert_eq!(all_but_the_host(0), all_but_the_host(1));
    });
}

#[test]
fn never_twice_a_post_moves_on_where_the_caller_vouches_for_it() {
    each(executed().into_iter().chain(codes([502, 503, 504])), |place| {
        let (client, works) = beside_one_that_works(&place, policy().replay(Replay::Always));
        assert_eq!(client.call(&Call::post("money")).unwrap().text(), "right");
        assert_eq!((place.executed(), works.requests()[0].text()), (1, "money"));
    });
}

#[test]
fn gateway_codes_prove_nothing_for_a_post_and_the_answer_is_kept() {
    each(codes([502, 503, 504]), |place| {
        let (client, works) = beside_one_that_works(&place, policy());
        let stopped = client.call(&Call::post("money")).unwrap_err();
        assert_eq!(stopped.reason, Reason::NoProof);
        let (status, body) = stopped.answer.expect("the answer is kept");
        assert_eq!(stopped.failures[0].status, Some(status));
        assert_eq!(body, b"no");
        assert_eq!((place.executed(), works.requests().len()), (1, 0));
        assert_eq!(client.sticky(), 0, "one failure moves nobody");
    });
}

#[test]
fn gateway_codes_408_and_500_are_answers_unless_the_policy_says_otherwise() {
    each(codes([408, 500, 505, 404, 401]), |place| {
        let (client, works) = beside_one_that_works(&place, policy());
        for call in [Call::get("/"), Call::post("money")] {
            let answer = client.call(&call).unwrap();
            assert_eq!((answer.text(), answer.target), ("no", 0));
        }
        assert_eq!((works.requests().len(), client.sticky()), (0, 0));
    });
    each(codes([408, 500]), |place| {
        let failover_codes = "408, 500".parse().unwrap();
        let (client, works) = beside_one_that_works(&place, policy().failover_codes(failover_codes));
        assert_eq!(client.call(&Call::post("money")).unwrap_err().reason, Reason::NoProof);
        assert_eq!(works.requests().len(), 0);
        assert_eq!(client.call(&Call::get("/")).unwrap().text(), "right");
    });
}

/// Guards: `CallBody::attempt` that gives a body in memory away to the first attempt.
#[test]
fn not_sent_always_a_post_moves_on_with_its_body_when_a_status_says_not_processed() {
    for status in [501, 421, 425] {
        let place = Place::server(Server::script([Reply::status(status).body("no")]));
        let (client, works) = beside_one_that_works(&place, policy());
        let answer = client.call(&Call::post("money")).unwrap();
        assert_eq!((answer.text(), answer.failures[0].status), ("right", Some(status)));
        assert_eq!((works.requests().len(), works.requests()[0].text()), (1, "money"));
        assert_eq!(client.sticky(), 0, "after {status}");
    }
}

#[test]
fn last_answer_a_real_answer_is_kept_with_its_body_though_an_error_came_after_it() {
    let (answers, down) = (Server::script([Reply::status(503).body("back at noon")]), Server::down());
    let client = super::client([&answers, &down]);
    let stopped = client.call(&Call::get("/")).unwrap_err();
    assert_eq!(stopped.reason, Reason::TargetsTried);
    assert_eq!(stopped.answer, Some((503, b"back at noon".to_vec())));
    let seen: Vec<_> =
        stopped.failures.iter().map(|failed| (failed.target, failed.status, failed.evidence)).collect();
    assert_eq!(seen, [(0, Some(503), None), (1, None, Some(Evidence::NoConnection))]);
    assert_eq!(client.sticky(), 0);
}

#[test]
fn last_answer_the_last_one_is_kept() {
    let servers = ["first", "second"].map(|body| Server::script([Reply::status(502).body(body)]));
    let stopped = super::client([&servers[0], &servers[1]]).call(&Call::get("/")).unwrap_err();
    assert_eq!(stopped.answer, Some((502, b"second".to_vec())));
}

#[test]
fn explain_the_message_of_a_stopped_call_names_each_failure_in_one_line() {
    let (answers, down) = (Server::script([Reply::status(503)]), Server::down());
    let message = super::client([&answers, &down]).call(&Call::get("/secret?token=1")).unwrap_err().message;
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.contains("503"), "{message}");
    assert!(!message.contains("secret") && !message.contains("token"), "{message}");
}

#[test]
fn sticky_the_next_call_begins_where_the_last_one_was_answered() {
    let (down, refusing, works) =
        (Server::down(), Server::script([Reply::status(502)]), Server::script([Reply::ok("right")]));
    let client = super::client([&down, &refusing, &works]);
    let answer = client.call(&Call::get("/")).unwrap();
    let seen: Vec<_> = answer.failures.iter().map(|failed| failed.target).collect();
    assert_eq!((answer.target, seen, client.sticky()), (2, vec![0, 1], 2));
    for _ in 0..5 {
        let answer = client.call(&Call::get("/")).unwrap();
        assert_eq!((answer.target, answer.failures.len()), (2, 0));
    }
    assert_eq!(refusing.requests().len(), 1);
}

#[test]
fn a_single_target_is_asked_once_and_its_failure_told() {
    each(unsent().into_iter().chain(executed()), |place| {
        let client = Client::new(vec![place.target()], policy());
        let stopped = client.call(&Call::get("/")).unwrap_err();
        assert_eq!((stopped.reason, stopped.failures.len()), (Reason::TargetsTried, 1));
        assert!(place.executed() <= 1);
    });
}

/// Nothing of a request can be sent, and the adapter can tell.
fn unsent() -> Vec<(&'static str, Place)> {
    let tls = |accept| Place::server(Server::accepting([accept], |_| Reply::ok("in the clear"))).over_tls();
    vec![
        ("connection refused", Place::server(Server::down())),
        ("connect never completes", Place::blackhole()),
        ("no such host", Place::nowhere("http://no-such-host.invalid")),
        ("tls peer closes", tls(Accept::Fin)),
        ("tls peer resets", tls(Accept::Reset)),
        ("tls peer is silent", tls(Accept::Freeze).silent()),
    ]
}

/// Nothing is executed, but whether the adapter can tell is a race.
fn doubtful() -> Vec<(&'static str, Place)> {
    let place = |accept| Place::server(Server::accepting([accept], |_| Reply::ok("never")));
    vec![
        ("reset on accept", place(Accept::Reset)),
        ("closed on accept", place(Accept::Fin)),
        ("never read", place(Accept::Freeze).silent()),
    ]
}

/// A request is executed, and no answer comes.
fn executed() -> Vec<(&'static str, Place)> {
    let place = |reply| Place::server(Server::script([reply]));
    let half_a_head = Reply::raw("HTTP/1.1 200 OK\r\ncontent-le");
    let endless_head = format!("HTTP/1.1 200 OK\r\nx: {}", "x".repeat(4 << 20));
    vec![
        ("never answered", place(Reply::stall()).silent()),
        ("stall inside the head", place(half_a_head.clone().end(End::Stall)).silent()),
        ("dripping head", place(Reply::dripping(ATTEMPT / 20)).silent()),
        ("reset after the request", place(Reply::reset())),
        ("fin after the request", place(Reply::fin())),
        ("fin inside the head", place(half_a_head.clone())),
        ("reset inside the head", place(half_a_head.end(End::Reset))),
        ("garbage", place(Reply::raw("220 smtp.example ESMTP\r\n\r\n"))),
        ("status 99", place(Reply::status(99))),
        ("status 101", place(Reply::status(101))),
        ("endless head", place(Reply::raw(endless_head).end(End::Stall))),
        ("slow answer", place(Reply::ok("late").after(ATTEMPT + Duration::from_secs(2))).silent()),
    ]
}

/// A request is executed and answered with a status.
fn codes<const N: usize>(statuses: [u16; N]) -> Vec<(&'static str, Place)> {
    let place = |status| Place::server(Server::script([Reply::status(status).body("no")]));
    statuses.into_iter().map(|status| ("status", place(status))).collect()
}

fn beside_one_that_works(place: &Place, policy: Policy) -> (Client, Server) {
    let works = Server::script([Reply::ok("right")]);
    (Client::new(vec![place.target(), target(&works.url())], policy), works)
}

fn evidence(answer: &Answered) -> Vec<Evidence> {
    answer.failures.iter().filter_map(|failure| failure.evidence).collect()
}
