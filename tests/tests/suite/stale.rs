//! Kept-alive connections that the target has closed: no target failure, and no licence to send a POST again.

use failover_core::{Evidence, Reason};
use failover_tests::lab::{End, Reply, Server};

use super::{ATTEMPT, Call, Client, client, each, policy, target};

/// Guards: `TransportError::from` a broken exchange that takes a stale connection for a request that was handed back.
#[test]
fn stale_connection_a_post_is_not_repeated_and_steers_nobody() {
    each(dying(), |dies| {
        let read = matches!(dies, Dies::WhenRead(_));
        until_reused(|| {
            let (first, second) = (server_that(dies.clone()), Server::script([Reply::ok("wrong target")]));
            let client = client([&first, &second]);
            assert_eq!(client.call(&Call::get("/1")).unwrap().text(), "right");
            let Err(stopped) = client.call(&Call::post("money")) else { return false };
            assert_eq!(stopped.reason, Reason::NoProof);
            assert_eq!(stopped.failures[0].evidence, Some(Client::STALE));
            assert_eq!((first.requests().len(), second.connections()), (1 + usize::from(read), 0));
            assert_eq!(client.sticky(), 0);
            assert_eq!(client.call(&Call::post("more")).unwrap().target, 0);
            true
        });
    });
}

/// Guards: `Watermark::may_be_stale` of a connection that has served nothing.
#[test]
fn stale_connection_the_first_request_on_a_connection_meets_none() {
    let (first, second) = (Server::script([Reply::fin()]), Server::script([Reply::ok("right")]));
    let answer = client([&first, &second]).call(&Call::get("/")).unwrap();
    let seen: Vec<_> = answer.failures.iter().map(|failed| (failed.target, failed.evidence)).collect();
    assert_eq!((answer.target, seen), (1, vec![(0, Some(Evidence::MaybeProcessed))]));
    assert_eq!(first.requests().len(), 1);
}

/// Guards: `Watermark::may_be_stale` of a connection on which something was read since.
#[test]
fn stale_connection_what_a_reused_one_may_die_of_and_still_be_a_target_failure() {
    let cases = [
        ("a timeout", Reply::stall()),
        ("an answer that broke off in its head", Reply::raw("HTTP/1.1 200 OK\r\ncontent-le")),
        ("an answer that was reset in its head", Reply::raw("HTTP/1.1 200 OK\r\ncontent-le").end(End::Reset)),
        ("garbage", Reply::raw("\u{1}\u{2}\u{3}\r\n\r\n")),
    ];
    each(cases, |reply| {
        until_reused(|| {
            let (first, second) =
                (server_that(Dies::WhenRead(reply.clone())), Server::script([Reply::ok("other")]));
            let targets = vec![target(&first.url()).attempt_timeout(ATTEMPT), target(&second.url())];
            let client = Client::new(targets, policy());
            client.call(&Call::get("/1")).unwrap();
            let answer = client.call(&Call::get("/2")).unwrap();
            if answer.failures.is_empty() {
                return false;
            }
            assert_eq!((answer.text(), answer.failures.len()), ("other", 1));
            assert_eq!(answer.failures[0].evidence, Some(Evidence::MaybeProcessed));
            true
        });
    });
}

#[test]
fn never_twice_posts_to_a_target_that_closes_after_every_answer() {
    let first = Server::script([Reply::ok("right").end(End::Fin)]);
    let second = Server::script([Reply::ok("other")]);
    let client = client([&first, &second]);
    let mut answered = Vec::new();
    for nth in 0..200 {
        match client.call(&Call::post(format!("{nth}"))) {
            Ok(_) => answered.push(format!("{nth}")),
            Err(stopped) => assert_eq!(stopped.reason, Reason::NoProof),
        }
    }
    let mut executed: Vec<_> =
        first.requests().iter().chain(&second.requests()).map(|request| request.text().to_owned()).collect();
    let all = executed.len();
    executed.sort_unstable();
    executed.dedup();
    assert_eq!(executed.len(), all, "none was executed twice");
    assert!(answered.iter().all(|body| executed.contains(body)));
    assert!(answered.len() >= 100, "{} of 200", answered.len());
}

#[derive(Clone, Debug)]
pub(crate) enum Dies {
    /// As the request arrives, without having read it.
    WhenWritten(End),
    /// After having executed it.
    WhenRead(Reply),
}

pub(crate) fn dying() -> [(&'static str, Dies); 4] {
    [
        ("fin as the request is written", Dies::WhenWritten(End::FinAtNext)),
        ("reset as the request is written", Dies::WhenWritten(End::ResetAtNext)),
        ("fin after the request", Dies::WhenRead(Reply::fin())),
        ("reset after the request", Dies::WhenRead(Reply::reset())),
    ]
}

/// A server whose first connection serves one request and then dies; all others work.
pub(crate) fn server_that(dies: Dies) -> Server {
    Server::start(move |request| match (&dies, request.connection, request.position) {
        (Dies::WhenWritten(end), 0, 0) => Reply::ok("right").end(*end),
        (Dies::WhenRead(reply), 0, 1) => reply.clone(),
        _ => Reply::ok("right"),
    })
}

/// Repeats a scenario whose second request comes on the first one's connection, until it does: an answer may be read
/// before its connection is idle again.
pub(crate) fn until_reused(scenario: impl Fn() -> bool) {
    assert!((0..100).any(|_| scenario()), "the connection was never reused");
}
