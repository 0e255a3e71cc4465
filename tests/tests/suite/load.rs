//! Many calls at once, and calls that are dropped.

use std::collections::HashMap;
use std::sync::Mutex;
use std::thread;

use failover_core::Reason;
use failover_tests::lab::{End, Gate, LIMIT, Reply, Request, Server};

use super::{Call, client, client_with, policy};

#[test]
fn snapshot_every_get_of_64_tasks_is_answered_while_a_target_dies() {
    let (mut first, second) = (echo(), echo());
    let client = client([&first, &second]);
    thread::scope(|scope| {
        for task in 0..TASKS {
            let client = &client;
            scope.spawn(move || {
                for nth in 0..CALLS {
                    let path = format!("/{task}/{nth}");
                    let answer = client.call(&Call::get(&path)).unwrap();
                    assert_eq!((answer.status, answer.text()), (200, path.as_str()));
                }
            });
        }
        drop(first.wait_for_requests(TASKS * CALLS / 4));
        first.stop();
    });
    assert_eq!(client.sticky(), 1);
    assert!(!second.requests().is_empty());
}

#[test]
fn never_twice_no_post_of_64_tasks_is_executed_twice_while_a_target_dies() {
    let (mut first, second) = (echo(), echo());
    let client = client([&first, &second]);
    let answered = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for task in 0..TASKS {
            let (client, answered) = (&client, &answered);
            scope.spawn(move || {
                for nth in 0..CALLS {
                    let body = format!("{task}/{nth}");
                    match client.call(&Call::post(body.as_str())) {
                        Ok(answer) => {
                            assert_eq!(answer.text(), "/pay");
                            answered.lock().unwrap().push(body);
                        }
                        Err(stopped) => assert_eq!(stopped.reason, Reason::NoProof),
                    }
                }
            });
        }
        drop(first.wait_for_requests(TASKS * CALLS / 4));
        first.stop();
    });
    let mut executed = HashMap::<_, usize>::new();
    for Request { body, .. } in first.requests().into_iter().chain(second.requests()) {
        *executed.entry(String::from_utf8(body).unwrap()).or_default() += 1;
    }
    assert!(executed.values().all(|&times| times == 1), "{executed:?}");
    assert!(answered.lock().unwrap().iter().all(|body| executed.contains_key(body)));
    assert_eq!(client.sticky(), 1);
}

#[test]
fn handle_pin_every_answer_is_its_own_while_connections_die_all_the_time() {
    let server = Server::start(|request| {
        let reply = Reply::ok(request.target.clone());
        match request.position % 7 {
            3 => reply.end(End::Fin),
            5 => reply.chunked(),
            6 => reply.end(End::ResetAtNext),
            _ => reply,
        }
    });
    let other = echo();
    let client = client([&server, &other]);
    thread::scope(|scope| {
        for task in 0..16 {
            let client = &client;
            scope.spawn(move || {
                for nth in 0..CALLS {
                    let path = format!("/{task}/{nth}");
                    assert_eq!(client.call(&Call::get(&path)).unwrap().text(), path);
                }
            });
        }
    });
}

#[test]
fn cancel_neutral_a_dropped_call_closes_its_connection_and_books_nothing() {
    let gate = Gate::new();
    let held = gate.clone();
    let first = Server::start(move |request| match request.target.as_str() {
        "/slow" => Reply::stall(),
        "/held" => Reply::ok("/held").after(&held),
        other => Reply::ok(other),
    });
    let second = Server::script([Reply::ok("other")]);
    // So long that it is not its time that ends an attempt.
    let policy = policy().attempt_timeout(2 * LIMIT).deadline(None);
    let client = client_with([&first, &second], policy);
    for dropped in 1..=4 {
        let call = client.start(Call::get("/slow"));
        let requests = first.wait_for_requests(2 * dropped - 1);
        assert_eq!(requests.last().unwrap().target, "/slow");
        call.cancel();
        first.wait_for_closed(dropped);
        let path = format!("/{dropped}");
        assert_eq!(client.call(&Call::get(&path)).unwrap().text(), path);
    }
    assert_eq!((client.sticky(), second.connections()), (0, 0));

    // The answer that comes too late is nobody's.
    let call = client.start(Call::get("/held"));
    drop(first.wait_for_requests(9));
    call.cancel();
    gate.open();
    for path in ["/a", "/b", "/c"] {
        assert_eq!(client.call(&Call::get(path)).unwrap().text(), path);
    }
}

#[test]
fn handle_pin_a_call_that_began_before_a_failover_ends_where_it_began() {
    let gate = Gate::new();
    let held = gate.clone();
    let first = Server::start(move |request| match request.target.as_str() {
        "/slow" => Reply::ok("first").after(&held),
        _ => Reply::status(503),
    });
    let second = Server::script([Reply::ok("second")]);
    let client = client([&first, &second]);
    let slow = client.start(Call::get("/slow"));
    assert_eq!(first.wait_for_requests(1).len(), 1);
    for _ in 0..3 {
        assert_eq!(client.call(&Call::get("/")).unwrap().text(), "second");
    }
    gate.open();
    let answer = slow.finish().unwrap();
    assert_eq!((answer.text(), answer.target), ("first", 0));
    // A slow success never undoes a newer failover.
    assert_eq!(client.sticky(), 1);
}

/// A server that answers with the request's target.
fn echo() -> Server {
    Server::start(|request| Reply::ok(request.target.clone()))
}

const TASKS: usize = 64;
const CALLS: usize = 20;
