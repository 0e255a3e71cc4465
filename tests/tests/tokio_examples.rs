//! The examples of the tokio adapter that make calls by themselves, as a user runs them.
#![forbid(unsafe_code)]

use failover_tests::example::{self, Run};

#[test]
fn a_stack_of_clusters_overflows_to_the_next_region_and_moves_there_and_no_call_fails() {
    let story = run("tower_stack", &[]);
    let mut scenes = story.split(|line| !line.starts_with(' ')).skip(1);
    let mut next = || scenes.next().unwrap_or_else(|| panic!("another scene: {story:#?}"));

    let calls = next();
    assert!(times(calls, "answered by eu-1") > 0 && times(calls, "answered by eu-2") > 0, "{story:#?}");
    assert_eq!(times(calls, "answered by eu-"), 6, "{story:#?}");

    let orders = next();
    let (eu, us) = (times(orders, "answered by eu-"), times(orders, "answered by us-"));
    assert!(eu >= 8 && us > 0, "{story:#?}");
    assert_eq!(eu + us, 12, "{story:#?}");
    assert_eq!(times(orders, "given up: target 0: no room: "), us, "{story:#?}");

    let first = next();
    // Refused, or before that on a connection that is just being closed.
    assert!(times(first, "given up: target 0: ") > 0, "{story:#?}");
    assert_eq!((times(first, "answered by us-"), times(next(), "answered by us-")), (1, 6), "{story:#?}");
    assert_eq!(story.last().map(String::as_str), Some("no call failed"));
}

#[test]
fn a_backend_for_frontends_degrades_and_sends_an_order_again_only_with_a_key() {
    let story = run("bff", &["--once"]);
    let told = [
        "GET /home",
        r#"  200 application/json {"degraded":[],"profile":{"name":"Ada"},"recommendations":[7,8]}"#,
        "GET /profile",
        r#"  200 application/json {"name":"Ada"}"#,
        "recommendations-1 is slow",
        "recommendations-2 is slow",
        "GET /home",
        r#"  200 application/json {"degraded":["recommendations"],"profile":{"name":"Ada"},"recommendations":null}"#,
        "accounts-1 is slow",
        "POST /orders with a key",
        r#"  201 application/json {"taken_by":"accounts-2"}"#,
        "accounts-2 is slow",
        "POST /orders",
        r#"  504 application/problem+json {"reason":"no_proof","status":504,"title":"Gateway Timeout"}"#,
        "GET /home",
        r#"  504 application/problem+json {"reason":"targets_tried","status":504,"title":"Gateway Timeout"}"#,
    ];
    assert_eq!(story, told);
}

#[test]
fn an_error_in_a_200_fails_over_unless_it_is_the_callers_own_or_too_late() {
    let given_up = "  given up: target 0 answered 200 OK, which was judged a failure";
    let told = [
        "JSON-RPC, where the first node is over its limit",
        given_up,
        "  target 1 answered:",
        r#"    {"id": 1, "result": "0x10d4f"}"#,
        "JSON-RPC, where the caller asks for a method that there is not",
        "  target 0 answered:",
        r#"    {"id": 1, "error": {"code": -32601, "message": "what?"}}"#,
        "a language model, where the first one is overloaded from the beginning",
        given_up,
        "  target 1 answered:",
        r#"    data: {"delta": "Hello"}"#,
        r#"    data: {"delta": " there"}"#,
        "a language model, where the first one is overloaded in the middle of its answer",
        "  target 0 answered:",
        r#"    data: {"delta": "Hello"}"#,
        r#"    data: {"delta": " there"}"#,
        "    event: error",
        r#"    data: {"type": "error", "error": {"type": "overloaded_error"}}"#,
    ];
    assert_eq!(run("judged", &[]), told);
}

/// Runs an example to its end, and returns what it prints.
fn run(name: &str, args: &[&str]) -> Vec<String> {
    let run = Run::of(&example::build(name), args);
    assert_eq!(run.code, 0, "{run:#?}");
    run.printed.lines().map(str::to_owned).collect()
}

/// How often an event that begins like this happened.
fn times(scene: &[String], event: &str) -> usize {
    let counted = scene.iter().filter_map(|line| line.trim_start().split_once(" x "));
    counted
        .filter(|(_, what)| what.starts_with(event))
        .map(|(times, _)| times.parse::<usize>().unwrap())
        .sum()
}
