//! Judges: answers whose status does not say that they are none.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;

use failover_core::{Case, Config, Evidence, Judgement, Policy, Reason, Verdict};
use failover_tests::lab::{End, Gate, LIMIT, Reply, Server};

use super::{ATTEMPT, Call, Failed, client_with, each, policy};

/// Guards: a `Driver` that does not ask the judges of its policy.
#[test]
fn an_error_in_a_200_fails_over_and_an_error_of_the_callers_own_does_not() {
    let judged = judged("[[judge]]\npreset = 'json-rpc'");
    let cases = [
        ("a limit", r#"{"jsonrpc":"2.0","error":{"code":-32005,"message":"limit"},"id":1}"#, true),
        ("no such method", r#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"what?"},"id":1}"#, false),
        ("a result", r#"{"jsonrpc":"2.0","result":{"error":{"code":-32005}},"id":1}"#, false),
        ("no JSON", "busy", false),
        ("nothing", "", false),
    ];
    each(cases.map(|(name, body, moves)| (name, (body, moves))), |(body, moves)| {
        let first = Server::script([json(body)]);
        let second = Server::script([json(r#"{"result":7}"#)]);
        let client = client_with([&first, &second], judged.clone());
        // It was not processed, so that it needs no proof.
        let answer = client.call(&Call::post("{}")).unwrap();
        assert_eq!(answer.text(), if moves { r#"{"result":7}"# } else { body });
        assert_eq!((answer.target, answer.failures.len()), (usize::from(moves), usize::from(moves)));
        assert_eq!(second.requests().len(), usize::from(moves));
    });
}

/// Guards: a `Judged` answer whose replay needs no proof.
#[test]
fn never_twice_what_may_have_been_done_is_sent_again_only_where_somebody_vouches_for_it() {
    let failed = r#"{"error":{"code":-32603}}"#;
    for (vouched, sent) in [("/pay", 1), ("/other/*", 0)] {
        let rules = format!(
            "[[judge]]\npreset = 'json-rpc'\n[[judge]]\nwhen = {{ method = 'POST', path = '{vouched}' }}\nreplay = 'always'"
        );
        let servers = [Server::script([json(failed)]), Server::script([json("{}")])];
        let client = client_with([&servers[0], &servers[1]], judged(&rules));
        let outcome = client.call(&Call::post("{}").header("content-type", "application/json"));
        assert_eq!(servers[1].requests().len(), sent);
        match outcome {
            Ok(answer) => assert_eq!((answer.target, answer.text()), (1, "{}")),
            Err(stopped) => {
                assert_eq!(stopped.reason, Reason::NoProof);
                assert_eq!(stopped.answer, Some((200, failed.as_bytes().to_vec())));
                assert!(stopped.message.contains("answered 200 OK, which was judged a failure"));
            }
        }
    }
}

/// Guards: `Bench::peek` that hands on an answer without what was peeked, or with its length or trailers lost.
#[test]
fn exact_what_was_peeked_passes_as_it_came() {
    let large = format!("{{\"result\":\"{}\"}}", "0123456789".repeat(20_000));
    for body in [large.as_str(), r#"{"result":1}"#, ""] {
        for reply in [json(body), json(body).chunked(), json(body).close_delimited()] {
            let server = Server::script([reply, Reply::ok("other")]);
            let client = client_with([&server], judged("[[judge]]\npreset = 'json-rpc'"));
            let answer = client.call(&Call::get("/")).unwrap();
            assert!(answer.text() == body, "{} of {} bytes", answer.text().len(), body.len());
            assert_eq!(client.skim(&Call::get("/")), 200);
        }
        let server = Server::script([json(body)]);
        let client = client_with([&server], judged("[[judge]]\npreset = 'json-rpc'"));
        let answer = client.call(&Call::get("/")).unwrap();
        assert_eq!(answer.header("content-length"), Some(body.len().to_string().as_str()));
    }
}

/// Guards: `Bench::peek` that waits for longer than the attempt has, or ends it then.
#[test]
fn attempt_bound_an_answer_that_is_undecided_in_time_is_judged_by_its_status() {
    for (status, target) in [(200, 0), (503, 1)] {
        let gate = Gate::new();
        let reply = Reply::status(status).header("content-type", "application/json");
        let slow = Server::script([reply.body(r#"{"error":{"code":-32005}}"#).halfway(&gate)]);
        let works = Server::script([json("{}")]);
        let rules = judged("[[judge]]\npreset = 'json-rpc'").attempt_timeout(ATTEMPT);
        let client = client_with([&slow, &works], rules);
        let call = client.start(Call::get("/"));
        // Until its time is over, which nothing tells from outside.
        thread::sleep(ATTEMPT * 3 / 2);
        gate.open();
        let answer = call.finish().unwrap();
        assert_eq!((answer.target, answer.status), (target, 200));
    }
}

/// Guards: `Bench::peek` that takes a body which breaks off for a short one.
#[test]
fn broken_body_an_answer_that_breaks_off_before_it_was_judged_is_none() {
    let cut = |end| json(r#"{"result":1234}"#).cut(8).end(end);
    for end in [End::Fin, End::Reset] {
        let (broken, works) = (Server::script([cut(end)]), Server::script([json("{}")]));
        let client = client_with([&broken, &works], judged("[[judge]]\npreset = 'json-rpc'"));
        let answer = client.call(&Call::get("/")).unwrap();
        assert_eq!((answer.target, answer.text()), (1, "{}"));
        let failed = Failed { target: 0, evidence: Some(Evidence::MaybeProcessed), status: None };
        assert_eq!(answer.failures, [failed]);
        let stopped = client.call(&Call::post("{}")).unwrap_err();
        assert_eq!((stopped.reason, works.requests().len()), (Reason::NoProof, 1));
    }
}

/// Guards: `is_encoded` that is never true; `Judges::settle` that ends with the first judge who is undecided.
#[test]
fn an_answer_with_a_coding_or_a_long_one_is_judged_by_what_needs_no_more_of_it() {
    let error = r#"{"error":{"code":-32005}}"#;
    let long = format!("[{}{error}]", " ".repeat(100_000));
    let by_head =
        "[[judge]]\npreset = 'json-rpc'\n[[judge]]\nwhen = { header = 'x-busy' }\nverdict = 'elsewhere'";
    for (reply, target) in [
        (json(error).header("content-encoding", "x-own"), 0),
        (json(error).header("content-encoding", "x-own").header("x-busy", "1"), 1),
        (json(error).header("content-encoding", "identity"), 1),
        (json(&long), 0),
        (json(&long).header("x-busy", "1"), 1),
        (json("{}").header("x-busy", "1"), 1),
    ] {
        let (first, second) = (Server::script([reply]), Server::script([json("{}")]));
        let client = client_with([&first, &second], judged(by_head));
        assert_eq!(client.call(&Call::get("/")).unwrap().target, target);
    }
}

/// Guards: `Attempt::time_left` that keeps nothing for another target; a `Driver` for which a failover code that breaks off is none.
#[test]
fn never_refused_untried_an_answer_that_stalls_or_breaks_off_takes_the_next_target_nothing() {
    let error = r#"{"error":{"code":-32005}}"#;
    let cases = [
        ("a code whose body stalls", Reply::status(503).body(error).cut(4).end(End::Stall), "GET"),
        ("an error that is judged, whose body stalls", Reply::ok(error).cut(24).end(End::Stall), "GET"),
        ("a refusal whose body breaks off", Reply::status(501).body(error).cut(4), "POST"),
    ];
    each(cases.map(|(name, reply, method)| (name, (reply, method))), |(reply, method)| {
        let reply = reply.header("content-type", "application/json");
        let (first, second) = (Server::script([reply]), Server::script([json("{}")]));
        let policy = judged("[[judge]]\npreset = 'json-rpc'").deadline(ATTEMPT * 2);
        let client = client_with([&first, &second], policy);
        assert_eq!(client.call(&Call::new(method, "/", "")).unwrap().target, 1);
    });
}

#[test]
fn an_error_in_the_first_event_fails_over_at_once_and_one_in_a_later_event_is_seen() {
    let event = |data: &str| format!("event: x\ndata: {data}\n\n");
    let (overloaded, begins) =
        (event(r#"{"type":"error","error":{"type":"overloaded_error"}}"#), event(r#"{"type":"start"}"#));
    let stream = |events: String| {
        Reply::ok(events).header("content-type", "text/event-stream; charset=utf-8").chunked()
    };
    let judged = judged("[[judge]]\npreset = 'llm'");
    for (events, target) in
        [(format!(": waiting\n\n{overloaded}"), 1), (format!("{begins}{overloaded}"), 0), (begins.clone(), 0)]
    {
        // The rest of the stream comes only when the call has its answer.
        let gate = Gate::new();
        let rest = "x".repeat(events.len());
        let reply = stream(format!("{events}{rest}")).halfway(&gate);
        let (first, second) = (Server::script([reply]), Server::script([stream(begins.clone())]));
        let patient = judged.clone().attempt_timeout(LIMIT * 2);
        let client = client_with([&first, &second], patient);
        assert_eq!(client.skim(&Call::post("{}")), 200, "it does not wait for the rest");
        assert_eq!(second.requests().len(), target);
        gate.open();
        let client = client_with([&first, &second], judged.clone());
        let call = client.start(Call::post("{}"));
        let answer = call.finish().unwrap();
        assert_eq!(answer.target, target);
        assert_eq!(answer.text(), if target == 0 { format!("{events}{rest}") } else { begins.clone() });
    }
}

/// Guards: `llm` whose rule on 401 is a strike.
#[test]
fn a_key_that_one_target_refuses_is_tried_at_the_next_and_is_no_strike() {
    let judged = judged("[[judge]]\npreset = 'llm'");
    for status in [401, 403] {
        let (refuses, takes) = (Server::script([Reply::status(status)]), Server::script([json("{}")]));
        let client = client_with([&refuses, &takes], judged.clone());
        for _ in 0..5 {
            assert_eq!(client.call(&Call::post("{}")).unwrap().target, 1);
        }
        assert_eq!((client.sticky(), refuses.requests().len()), (0, 5));
        // Where all refuse it, the last one's answer is the call's.
        let stopped = client_with([&refuses], judged.clone()).call(&Call::post("{}")).unwrap_err();
        assert_eq!(stopped.answer.unwrap().0, status);
    }
}

/// Guards: `ResponseBody` that does not look at trailers.
#[test]
fn what_trailers_tell_is_known_too_late_for_the_call_and_counts_against_the_target() {
    let judged = judged("[[judge]]\npreset = 'grpc'");
    let reply = |body: &str| Reply::ok(body).header("content-type", "application/grpc");
    let late = Server::script([reply("half").trailer("grpc-status", "14")]);
    let works = Server::script([reply("whole").trailer("grpc-status", "0")]);
    let client = client_with([&late, &works], judged.clone());
    for _ in 0..3 {
        assert_eq!(client.call(&Call::post("{}")).unwrap().text(), "half");
    }
    assert_eq!(client.call(&Call::post("{}")).unwrap().text(), "whole");

    let at_once = Server::script([reply("").header("grpc-status", "14")]);
    let client = client_with([&at_once, &works], judged);
    assert_eq!(client.call(&Call::get("/")).unwrap().text(), "whole");
    assert_eq!(client.call(&Call::post("{}")).unwrap_err().reason, Reason::NoProof);
}

/// Guards: `Bench::ask` that lets a judge's panic pass.
#[test]
fn a_judge_that_panics_leaves_its_answer_to_the_status() {
    let panics = |case: &Case<'_>| match case.path {
        "/odd" => panic!("an odd request"),
        _ => Judgement::Is(Verdict::Pass),
    };
    let server = Server::script([Reply::ok("right")]);
    let client = client_with([&server], policy().judge(panics));
    for path in ["/odd", "/", "/odd"] {
        assert_eq!(client.call(&Call::get(path)).unwrap().text(), "right");
    }
}

#[test]
fn a_judge_that_is_slow_holds_up_its_own_call_only() {
    let (goes_on, waits) = channel();
    let waits = Mutex::new(waits);
    let (begun, asked) = channel();
    let slow = move |case: &Case<'_>| {
        if case.path == "/slow" {
            begun.send(()).expect("somebody waits for that");
            waits.lock().expect("one at a time").recv_timeout(LIMIT).expect("it is let go on");
        }
        Judgement::ByStatus
    };
    let server = Server::start(|_| Reply::ok("right"));
    let client = client_with([&server], policy().judge(slow));
    let call = client.start(Call::get("/slow"));
    asked.recv_timeout(LIMIT).expect("the judge is asked");
    for _ in 0..10 {
        assert_eq!(client.call(&Call::get("/")).unwrap().text(), "right");
    }
    goes_on.send(()).expect("the judge waits");
    assert_eq!(call.finish().unwrap().text(), "right");
}

fn json(body: &str) -> Reply {
    Reply::ok(body).header("content-type", "application/json")
}

/// The suite's policy with the judges of a configuration.
fn judged(judges: &str) -> Policy {
    let config: Config = toml::from_str(judges).expect("a configuration");
    let mut policy = policy();
    policy.judge = config.policy.judge;
    policy
}
