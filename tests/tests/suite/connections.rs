//! What becomes of connections, and that what is told of a request is what its server saw.

use std::time::Duration;

use failover_core::{Evidence, Reason};
use failover_tests::lab::{Blackhole, Cut, End, Gate, LIMIT, Proxy, Reply, Server};

use super::{Call, Client, Failed, Outcome, client, client_with, each, policy, target};

#[test]
fn never_twice_a_post_that_is_cut_anywhere_is_told_as_its_server_saw_it() {
    each(cuts(), |Case { end, served }| {
        let (lab, mut executed) = (Lab::new(), vec![]);
        loop {
            let (outcome, seen) = lab.cut(&Call::post("money"), Cut::Request(executed.len()), end, served);
            executed.push(seen);
            let Err(stopped) = outcome else { break };
            assert_eq!(stopped.reason, Reason::NoProof);
            let evidence = if served { Client::STALE } else { Evidence::MaybeProcessed };
            assert_eq!(evidences(&stopped.failures), [Some(evidence)]);
        }
        // The last one was longer than the request, and the one before it as long.
        let parts = executed.len() - 2;
        assert!(parts > 50 && executed[..parts].iter().all(|&seen| seen == 0), "{executed:?}");
        assert_eq!(executed[parts..], [1, 1]);
    });
}

#[test]
fn never_twice_a_post_whose_answer_is_cut_anywhere_is_executed_once() {
    each(cuts(), |Case { end, served }| {
        let lab = Lab::new();
        for bytes in 0.. {
            let (outcome, seen) = lab.cut(&Call::post("money"), Cut::Answer(bytes), end, served);
            assert_eq!(seen, 1, "{bytes}");
            match outcome {
                Ok(answer) if answer.body.is_ok() => {
                    assert_eq!((answer.text(), bytes), ("thanks", ANSWER.len()));
                    break;
                }
                Ok(answer) => assert_eq!((answer.status, answer.failures.len()), (200, 0)),
                Err(stopped) => {
                    let is_stale = served && bytes == 0;
                    let evidence = if is_stale { Client::STALE } else { Evidence::MaybeProcessed };
                    assert_eq!(evidences(&stopped.failures), [Some(evidence)], "{bytes}");
                }
            }
        }
    });
}

#[test]
fn a_connection_on_which_something_was_said_unasked_is_closed_and_gets_no_request() {
    let answer = "HTTP/1.1 200 \r\ncontent-length: 5\r\n\r\nhello";
    let unasked = "HTTP/1.1 408 \r\ncontent-length: 5\r\n\r\nlater";
    let (together, said) = (Gate::new(), Gate::new());
    let holds = (together.clone(), said.clone());
    let server = Server::start(move |request| match request.connection {
        0..4 => {
            let reply = Reply::raw(format!("{answer}{unasked}")).end(End::KeepAlive);
            reply.after(&holds.0).halfway(&holds.1)
        }
        _ => Reply::ok("right"),
    });
    let client = client([&server]);
    let calls = [(); 4].map(|()| client.start(Call::get("/")));
    drop(server.wait_for_requests(4));
    together.open();
    for call in calls {
        assert_eq!(call.finish().unwrap().text(), "hello");
    }
    said.open();
    server.wait_for_closed(4);
    let answer = client.call(&Call::post("money")).unwrap();
    assert_eq!((answer.text(), evidences(&answer.failures)), ("right", vec![]));
}

#[test]
fn cancel_neutral_a_call_that_leaves_in_any_stage_takes_its_connection_and_nobody_elses() {
    let gates = [(); 3].map(|()| Gate::new());
    let [reads, halfway, held] = gates.clone();
    let server = Server::early(move |request| match request.target.as_str() {
        "/reads" => Reply::ok("late").after(&reads),
        "/waits" => Reply::stall(),
        "/body" => Reply::ok("late".repeat(100_000)).halfway(&halfway),
        "/held" => Reply::ok("held").after(&held),
        _ => Reply::ok("right"),
    });
    let client = client_with([&server], policy().attempt_timeout(2 * LIMIT));
    let other = client.start(Call::get("/held"));
    drop(server.wait_for_requests(1));

    let uploading = client.start(Call::new("POST", "/reads", vec![b'x'; 16 << 20]));
    drop(server.wait_for_requests(2));
    uploading.cancel();
    gates[0].open();
    server.wait_for_closed(1);

    let waiting = client.start(Call::get("/waits"));
    drop(server.wait_for_requests(3));
    waiting.cancel();
    server.wait_for_closed(2);

    assert_eq!(client.skim(&Call::get("/body")), 200);
    gates[1].open();
    server.wait_for_closed(3);

    assert_eq!(client.call(&Call::get("/")).unwrap().text(), "right");
    gates[2].open();
    assert_eq!(other.finish().unwrap().text(), "held");
    assert_eq!((server.connections(), server.requests().len()), (5, 5));
    drop(client);
    server.wait_for_closed(5);
}

#[test]
fn cancel_neutral_a_call_that_leaves_while_connecting_holds_nobody_up() {
    let (blackhole, works) = (Blackhole::new(), Server::script([Reply::ok("right")]));
    let targets = vec![target(&blackhole.url()).connect_timeout(CONNECT), target(&works.url())];
    let client = Client::new(targets, policy());
    for _ in 0..20 {
        client.start(Call::post("money")).cancel();
    }
    let answer = client.call(&Call::post("money")).unwrap();
    assert_eq!((answer.text(), answer.target), ("right", 1));
    assert!(answer.failures.iter().all(|failed| failed.evidence == Some(Evidence::NoConnection)));
    assert_eq!(works.requests().len(), 1);
}

/// Guards: `AttemptError::unconnected` that proves nothing, and a place in the queue for a connection that does not.
#[test]
fn connect_bound_200_calls_at_a_target_that_takes_no_connection_are_answered_by_the_next() {
    let (blackhole, works) = (Blackhole::new(), Server::script([Reply::ok("right")]));
    let targets = vec![target(&blackhole.url()).connect_timeout(CONNECT), target(&works.url())];
    let client = Client::new(targets, policy());
    let calls: Vec<_> = (0..200).map(|_| client.start(Call::post("money"))).collect();
    let mut unconnected = 0;
    for call in calls {
        let answer = call.finish().unwrap();
        assert_eq!((answer.text(), answer.target), ("right", 1));
        assert!(answer.failures.len() <= 1, "{:?}", answer.failures);
        for failed in &answer.failures {
            // Those for whom nothing was opened yet hold nothing against the target.
            assert!(
                matches!(failed.evidence, Some(Evidence::NoConnection | Evidence::NotSent)),
                "{failed:?}"
            );
            unconnected += usize::from(failed.evidence == Some(Evidence::NoConnection));
        }
    }
    assert!(unconnected > 0);
    assert_eq!((client.sticky(), works.requests().len()), (1, 200));
}

/// How a connection is cut, and whether it had served a request before.
#[derive(Clone, Copy)]
struct Case {
    end: End,
    served: bool,
}

fn cuts() -> [(&'static str, Case); 4] {
    [
        ("fin on a new connection", Case { end: End::Fin, served: false }),
        ("reset on a new connection", Case { end: End::Reset, served: false }),
        ("fin on one that served", Case { end: End::Fin, served: true }),
        ("reset on one that served", Case { end: End::Reset, served: true }),
    ]
}

/// A server behind a proxy, and a client.
pub(crate) struct Lab {
    server: Server,
    proxy: Proxy,
    client: Client,
}

impl Lab {
    pub(crate) fn new() -> Self {
        let server = Server::script([Reply::raw(ANSWER).end(End::KeepAlive)]);
        let proxy = Proxy::before(&server);
        let client = client([proxy.front()]);
        Self { server, proxy, client }
    }

    /// Cuts the connection of a call; its outcome, and how often it was executed.
    pub(crate) fn cut(&self, call: &Call, cut: Cut, end: End, served: bool) -> (Outcome, usize) {
        if served {
            assert_eq!(self.client.call(&Call::get("/")).unwrap().text(), "thanks");
        }
        let before = self.server.requests().len();
        self.proxy.cut(cut, end);
        let outcome = self.client.call(call);
        (outcome, self.server.requests().len() - before)
    }
}

pub(crate) fn evidences(failures: &[Failed]) -> Vec<Option<Evidence>> {
    failures.iter().map(|failed| failed.evidence).collect()
}

const ANSWER: &str = "HTTP/1.1 200 \r\ncontent-length: 6\r\n\r\nthanks";

const CONNECT: Duration = Duration::from_millis(300);
