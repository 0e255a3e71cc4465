//! What the gateway learns between calls, as scenes of real outages show it from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use failover_tests::lab::{Blackhole, LIMIT, Reply, Server};
use serde_json::json;

use crate::{Gateway, config};

#[test]
fn abandoned_a_target_that_hangs_is_left_although_every_caller_leaves_first() {
    let hangs = Arc::new(AtomicBool::new(false));
    let hanging = Arc::clone(&hangs);
    let first =
        Server::start(
            move |_| if hanging.load(Ordering::Relaxed) { Reply::stall() } else { Reply::ok("first") },
        );
    let second = Server::script([Reply::ok("second")]);
    let gateway = Gateway::before([&first, &second], "");
    for _ in 0..10 {
        assert_eq!(gateway.get("/").text(), "first");
    }
    hangs.store(true, Ordering::Relaxed);
    let began = Instant::now();
    while gateway.status()["targets"][0]["strikes"] != 3 {
        assert!(began.elapsed() < LIMIT, "{:#}", gateway.status());
        let mut caller = gateway.connect();
        caller.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
        // The caller's patience: far longer than answers took, and more than the half second between two that count.
        thread::sleep(Duration::from_millis(700));
    }
    assert_eq!(gateway.get("/").text(), "second");
    assert_eq!(gateway.status()["sticky"], 1);
}

#[test]
fn blip_one_failure_in_150_moves_nobody() {
    let calls = AtomicUsize::new(0);
    let first = Server::start(move |_| match calls.fetch_add(1, Ordering::Relaxed) % 150 {
        149 => Reply::status(503),
        _ => Reply::ok("first"),
    });
    let second = Server::script([Reply::ok("second")]);
    let gateway = Gateway::before([&first, &second], "");
    let mut connection = gateway.connect();
    let answers = (0..450).map(|_| {
        connection.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
        connection.read("GET").unwrap().text().to_owned()
    });
    assert_eq!(answers.filter(|answer| answer == "first").count(), 447);
    assert_eq!((second.requests().len(), &gateway.status()["sticky"]), (3, &json!(0)));
}

#[test]
fn not_well_a_target_that_is_back_with_500s_gets_its_probes_and_nothing_more() {
    let calls = AtomicUsize::new(0);
    let first = Server::start(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        0..3 => Reply::status(503),
        _ => Reply::status(500),
    });
    let second = Server::script([Reply::ok("second")]);
    let gateway = Gateway::before([&first, &second], "failback = { after = '500ms' }\ncool_down = 'off'");
    let began = Instant::now();
    let mut failed = 0;
    while gateway.status()["probes"].as_u64() < Some(2) {
        assert!(began.elapsed() < LIMIT, "{:#}", gateway.status());
        failed += u64::from(gateway.get("/").status == 500);
        // The clock that is waited for is the gateway's, so it can only be asked again.
        thread::sleep(Duration::from_millis(20));
    }
    let status = gateway.status();
    assert_eq!((&status["sticky"], &status["probes"]), (&json!(1), &json!(failed)));
}

#[test]
fn best_first_the_nearer_standby_is_back_before_the_primary() {
    let near_is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&near_is_down);
    let near =
        Server::start(
            move |_| if down.load(Ordering::Relaxed) { Reply::status(503) } else { Reply::ok("near") },
        );
    let (primary, far) = (Server::down(), Server::script([Reply::ok("far")]));
    let failover = "failback = { after = '500ms' }\ncool_down = { base = '100ms' }";
    let gateway = Gateway::before([&primary, &near, &far], failover);
    for _ in 0..3 {
        assert_eq!(gateway.get("/").text(), "far");
    }
    assert_eq!(gateway.status()["sticky"], 2);
    near_is_down.store(false, Ordering::Relaxed);
    let began = Instant::now();
    while gateway.status()["sticky"] != 1 {
        assert!(began.elapsed() < LIMIT, "{:#}", gateway.status());
        assert_eq!(gateway.get("/").status, 200);
        // The clock that is waited for is the gateway's, so it can only be asked again.
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn broken_body_a_target_whose_answers_break_off_is_left_after_three() {
    let broken = Server::start(|_| Reply::ok("0123456789").cut(4));
    let works = Server::script([Reply::ok("right")]);
    let gateway = Gateway::before([&broken, &works], "");
    for _ in 0..3 {
        let mut caller = gateway.connect();
        caller.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
        assert!(!caller.read("GET").unwrap().whole);
    }
    assert_eq!(gateway.get("/").text(), "right");
    assert_eq!((broken.requests().len(), &gateway.status()["sticky"]), (3, &json!(1)));
}

#[test]
fn connect_bound_a_connect_that_nobody_answers_costs_one_call_its_time_and_the_next_ones_none() {
    let (swallows, works) = (Blackhole::new(), Server::script([Reply::ok("right")]));
    let gateway =
        Gateway::configured(&config("", &[swallows.url(), works.url()], "connect_timeout = '300ms'"));
    for _ in 0..5 {
        assert_eq!(gateway.post("/", "money").text(), "right");
    }
    let status = gateway.status();
    assert_eq!((&status["targets"][0]["attempts"], &status["sticky"]), (&json!(1), &json!(1)));
}

#[test]
fn all_cool_an_outage_of_everything_is_told_and_changes_neither_order_nor_cursor() {
    let targets = [Server::down(), Server::down(), Server::down()];
    let gateway = Gateway::before(&targets, "");
    for _ in 0..5 {
        assert_eq!(gateway.get("/").status, 502);
    }
    let status = gateway.status();
    for target in status["targets"].as_array().unwrap() {
        assert_eq!((&target["cooling"], &target["last_failure"]), (&json!(true), &json!("no_connection")));
        assert_eq!(target["attempts"], 5);
    }
    assert_eq!(status["sticky"], 0);
}
