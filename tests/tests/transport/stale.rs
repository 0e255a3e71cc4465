//! Kept-alive connections that the target has closed: what can be sent again is, for free and at the same target.

use failover_core::Evidence;
use failover_tests::lab::{End, Gate, Reply, Server};

use crate::suite::stale::{dying, server_that, until_reused};
use crate::suite::{Call, client, each};

/// Guards: `TransportError::from` a broken exchange for which no connection is stale.
#[test]
fn stale_connection_a_get_is_repeated_at_the_same_target_for_free() {
    each(dying(), |dies| {
        until_reused(|| {
            let (first, second) = (server_that(dies.clone()), Server::script([Reply::ok("wrong target")]));
            let client = client([&first, &second]);
            assert_eq!(client.call(&Call::get("/1")).unwrap().text(), "right");
            let answer = client.call(&Call::get("/2")).unwrap();
            assert_eq!((answer.text(), answer.target), ("right", 0));
            let seen: Vec<_> =
                answer.failures.iter().map(|failed| (failed.target, failed.evidence)).collect();
            assert!(seen.is_empty() || seen == [(0, Some(Evidence::Stale))], "{seen:?}");
            assert_eq!((client.sticky(), second.connections()), (0, 0));
            // The target is in good standing: no strike, no cool-down.
            for _ in 0..5 {
                assert_eq!(client.call(&Call::get("/3")).unwrap().target, 0);
            }
            assert_eq!(second.connections(), 0);
            !seen.is_empty()
        });
    });
}

/// Guards: `TransportError::from` a broken exchange for which no connection is stale.
#[test]
fn stale_connection_a_post_with_a_key_is_repeated_at_the_same_target() {
    each(dying(), |dies| {
        until_reused(|| {
            let (first, second) = (server_that(dies.clone()), Server::script([Reply::ok("wrong target")]));
            let client = client([&first, &second]);
            client.call(&Call::get("/1")).unwrap();
            let answer = client.call(&Call::post("money").header("idempotency-key", "k")).unwrap();
            assert_eq!((answer.text(), answer.target, second.connections()), ("right", 0, 0));
            assert_eq!(first.requests().last().unwrap().text(), "money");
            !answer.failures.is_empty()
        });
    });
}

/// Guards: `Call::may_repeat` that does not look at the repeats before.
#[test]
fn stale_connection_only_one_repeat_is_free() {
    until_reused(|| {
        // Two idle connections, and each dies as the next request arrives, so that even the repeat may meet one.
        let gate = Gate::new();
        let held = gate.clone();
        let first = Server::start(move |_| Reply::ok("right").after(&held).end(End::ResetAtNext));
        let second = Server::script([Reply::ok("other")]);
        let client = client([&first, &second]);
        let calls = [(); 2].map(|()| client.start(Call::get("/")));
        assert_eq!(first.wait_for_requests(2).len(), 2);
        gate.open();
        for call in calls {
            call.finish().unwrap();
        }
        let answer = client.call(&Call::get("/")).unwrap();
        let failed: Vec<_> = answer.failures.iter().map(|failure| failure.target).collect();
        match answer.target {
            0 => assert!(failed.len() <= 1, "{failed:?}"),
            _ => assert_eq!(failed, [0, 0]),
        }
        !failed.is_empty()
    });
}

/// Guards: `TransportError::from` a broken exchange for which no connection is stale.
#[test]
fn stale_connection_a_target_that_closes_after_every_answer_keeps_its_gets() {
    let server = Server::script([Reply::ok("right").end(End::Fin)]);
    let client = client([&server]);
    let (mut answered, mut harmed) = (0, 0);
    for _ in 0..200 {
        let failures = match client.call(&Call::get("/")) {
            Ok(answer) => {
                answered += 1;
                answer.failures
            }
            Err(stopped) => stopped.failures,
        };
        let harmless = [Some(Evidence::Stale), Some(Evidence::HandedBack)];
        harmed += usize::from(failures.iter().any(|failed| !harmless.contains(&failed.evidence)));
    }
    assert!(answered >= 190, "{answered} of 200 were answered");
    assert!(harmed <= 2, "{harmed} of 200 were failures of the target");
}
