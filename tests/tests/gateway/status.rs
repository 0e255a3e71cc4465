//! The status and the metrics, as programs read them.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use failover_tests::lab::{LIMIT, Reply, Server};
use serde_json::{Value, json};

use crate::{GATEWAY, Gateway, config};

#[test]
fn the_status_tells_of_targets_calls_and_failovers() {
    let (down, busy, works) =
        (Server::down(), Server::script([Reply::status(503)]), Server::script([Reply::ok("right")]));
    let gateway = Gateway::before([&down, &busy, &works], "");
    for _ in 0..3 {
        gateway.get("/");
    }
    let status = gateway.status();
    assert_eq!(status["sticky"], 2);
    assert!(status["targets"][0]["probe_in"].as_f64().is_some_and(|left| left > 0.0), "{status:#}");
    assert!(status["targets"][2]["probe_in"].is_null(), "{status:#}");
    let calls =
        json!({ "waiting": 0, "answered": 3, "failed_over": 1, "stopped": 0, "refused": 0, "abandoned": 0 });
    assert_eq!(status["calls"], calls);
    for (target, (server, cooling, last_failure, attempts, failed)) in targets(&status).iter().zip([
        (&down, true, json!("no_connection"), 1, 1),
        (&busy, false, json!(503), 1, 1),
        (&works, false, Value::Null, 3, 0),
    ]) {
        assert_eq!(target["url"], server.url());
        assert_eq!((&target["cooling"], target["cooling_for"].is_f64()), (&json!(cooling), cooling));
        assert_eq!((&target["last_failure"], &target["attempts"]), (&last_failure, &json!(attempts)));
        assert_eq!(target["failed"], failed);
    }
    let told: Vec<_> = failovers(&status)
        .iter()
        .map(|failovers| {
            let (from, to) = (failovers["from"]["index"].clone(), failovers["to"]["name"].clone());
            (from, to, failovers["why"].clone(), failovers["count"].clone())
        })
        .collect();
    assert_eq!(
        told,
        [
            (json!(0), json!(busy.url()), json!("connection refused"), json!(1)),
            (json!(1), json!(works.url()), json!("answered 503 Service Unavailable"), json!(1)),
        ]
    );
    let minute = status["last_minute"].as_array().unwrap();
    let sum = |key: &str| minute.iter().map(|second| second[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!((minute.len(), sum("count"), sum("failed"), sum("stopped")), (60, 3, 1, 0));
}

#[test]
fn a_call_that_stopped_is_told_with_what_kept_it_from_failing_over() {
    let cut = Server::script([Reply::fin()]);
    let down = Server::down();
    let gateway = Gateway::before([&cut, &down], "");
    gateway.post("/", "money");
    let status = gateway.status();
    let failover = &failovers(&status)[0];
    assert_eq!((&failover["to"], &failover["stopped"]), (&Value::Null, &json!("no_proof")));
    let why = "the connection closed before the answer: connection closed before message completed";
    let kept = "the request may have been executed and must not be sent again";
    assert_eq!(failover["why"], format!("{why}; {kept}"));
    assert_eq!((&failover["methods"], &status["calls"]["stopped"]), (&json!(["POST"]), &json!(1)));
    let stops = json!([{ "reason": "no_proof", "why": format!("{kept}; target 0: {why}"), "count": 1 }]);
    assert_eq!(status["stops"], stops);
}

/// Guards: a status that is ok while every call fails.
#[test]
fn down_is_told_while_no_call_has_a_good_answer_and_why() {
    let works = Arc::new(AtomicBool::new(false));
    let working = Arc::clone(&works);
    let server =
        Server::start(
            move |_| {
                if working.load(Ordering::Relaxed) { Reply::ok("right") } else { Reply::status(503) }
            },
        );
    let down = Server::down();
    let gateway = Gateway::before([&down, &server], "");
    let status = gateway.status();
    assert_eq!((&status["state"], &status["why"]), (&json!("ok"), &json!("calls begin at target 0")));
    for _ in 0..2 {
        assert_eq!(gateway.get("/").status, 503);
    }
    let status = gateway.status();
    assert_eq!((&status["state"], &status["warning"]), (&json!("down"), &Value::Null));
    let why =
        "all targets were tried; target 0: connection refused; target 1: answered 503 Service Unavailable";
    let told = status["why"].as_str().unwrap();
    assert!(told.ends_with(&format!(" had no good answer: {why}")), "{told}");
    assert_eq!((&status["stops"][0]["why"], &status["stops"][0]["count"]), (&json!(why), &json!(2)));

    works.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        assert_eq!(gateway.get("/").status, 200);
    }
    let status = gateway.status();
    assert_eq!(status["state"], "failed_over");
    let begin = "calls begin at target 1, and target 0 failed: connection refused";
    assert_eq!((&status["why"], &status["sticky"]), (&json!(begin), &json!(1)));
    assert_eq!(status["warning"], "2 of 5 calls in the last minute had no good answer");
}

/// Guards: `Entry::failed` that takes what its client did wrong for a call that stopped.
#[test]
fn a_request_that_no_target_is_asked_for_is_its_clients_own_fault() {
    let server = Server::script([Reply::ok("right")]);
    let gateway = Gateway::before([&server], "");
    assert_eq!(gateway.ask("TRACE", "/").status, 405);
    let status = gateway.status();
    assert_eq!((&status["state"], &status["calls"]["refused"]), (&json!("ok"), &json!(1)));
    assert_eq!((&status["calls"]["stopped"], &status["stops"]), (&json!(0), &json!([])));
}

#[test]
fn targets_have_their_names_and_what_an_administrator_and_their_checks_say() {
    let (first, second) = (Server::script([Reply::ok("first")]), Server::script([Reply::ok("second")]));
    let target = |server: &Server, more: &str| format!("{{ url = '{}/base'{more} }}", server.url());
    let gateway = |more: &str| {
        let text = format!(
            "status_path = '/-/failover'\n[failover]\nchecks = {{ path = '/', every = '50ms' }}\ntargets = [{}, {}]",
            target(&first, more),
            target(&second, ", name = 'second', state = 'maintenance'")
        );
        Gateway::configured(&text)
    };
    let drained = gateway(", state = 'drain'");
    let status = drained.wait_for_status(|status| status["targets"][0]["check"] == "up");
    assert_eq!(status["state"], "ok");
    let [first_told, second_told] = targets(&status) else { panic!("{status:#}") };
    assert_eq!((&first_told["name"], &first_told["url"]), (&json!(first.url()), &json!(first.url())));
    assert_eq!((&second_told["name"], &second_told["url"]), (&json!("second"), &json!(second.url())));
    assert_eq!((&first_told["state"], &second_told["state"]), (&json!("drain"), &json!("maintenance")));

    let status = gateway(", state = 'maintenance'").status();
    assert_eq!(
        (&status["state"], &status["why"]),
        (&json!("down"), &json!("every target is in maintenance"))
    );
}

/// Guards: `Minutes::count` that keeps each failover for itself.
#[test]
fn bounded_failovers_are_counted_by_the_minute_and_by_their_kind() {
    let (busy, works) = (Server::script([Reply::status(503)]), Server::script([Reply::ok("")]));
    let gateway = Gateway::before([&busy, &works], "failback = 'off'\ncool_down = 'off'\nleave_after = 100");
    for nth in 0..60 {
        gateway.ask(if nth % 2 == 0 { "GET" } else { "DELETE" }, "/");
    }
    let status = gateway.status();
    let told = failovers(&status);
    // They may have taken from one minute into the next.
    assert!(told.len() <= 2, "{status:#}");
    assert_eq!(told.iter().map(|row| row["count"].as_u64().unwrap()).sum::<u64>(), 60);
    assert!(told.iter().any(|row| row["methods"].as_array().unwrap().len() == 2), "{status:#}");
    assert!(told.iter().all(|row| row["longest"].as_f64() >= row["mean"].as_f64()), "{status:#}");
}

#[test]
fn status_and_metrics_can_only_be_read() {
    let server = Server::script([Reply::ok("right")]);
    let gateway = Gateway::before([&server], "");
    for path in ["/-/failover", "/-/metrics"] {
        for method in ["POST", "DELETE", "PUT"] {
            let answer = gateway.ask(method, path);
            assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
        }
        let (head, get) = (gateway.ask("HEAD", path), gateway.get(path));
        assert_eq!((head.status, head.header("content-type")), (200, get.header("content-type")));
    }
    // Only at these very paths.
    assert_eq!(gateway.get("/-/failover/").text(), "right");
    let without = Gateway::configured(&format!("[failover]\ntargets = ['{}']", server.url()));
    assert_eq!(without.get("/-/failover").text(), "right");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_browser_gets_a_page_that_loads_nothing_else() {
    let down = Server::down();
    let gateway = Gateway::before([&down], "");
    let accept = "accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";
    let page = gateway.send("GET", "/-/failover", accept, "");
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    let namespace = "http://www.w3.org/2000/svg";
    let page = page.text().replace(namespace, "");
    for outside in ["http:", "https:", "src=", "href=", "url(", "import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    for accept in ["", "accept: */*\r\n", "accept: application/json\r\n"] {
        let answer = gateway.send("GET", "/-/failover", accept, "");
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
}

#[test]
fn metrics_are_in_the_format_of_prometheus() {
    let (down, works) = (Server::down(), Server::script([Reply::ok("right")]));
    let gateway =
        Gateway::configured(&config("", &[format!("http://u:s3cret@{}", down.address()), works.url()], ""));
    gateway.get("/");
    let answer = gateway.get("/-/metrics");
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let (down, works) = (down.url(), works.url());
    let labels = |target: &str, index| format!("client=\"gateway\",target=\"{target}\",index=\"{index}\"");
    let (first, second) = (labels(&down, 0), labels(&works, 1));
    for line in [
        "# TYPE failover_calls_total counter",
        "failover_calls_total{client=\"gateway\",outcome=\"answered\"} 1",
        &format!("failover_attempts_total{{{first},outcome=\"no_connection\",status=\"none\"}} 1"),
        &format!("failover_attempts_total{{{second},outcome=\"answered\",status=\"2xx\"}} 1"),
        &format!("failover_failovers_total{{client=\"gateway\",from=\"{down}\",to=\"{works}\"}} 1"),
        "# TYPE failover_call_duration_seconds histogram",
        "failover_call_duration_seconds_bucket{client=\"gateway\",outcome=\"answered\",le=\"+Inf\"} 1",
        "failover_call_duration_seconds_count{client=\"gateway\",outcome=\"answered\"} 1",
        "# TYPE failover_target_sticky gauge",
        &format!("failover_target_sticky{{{first}}} 0"),
        &format!("failover_target_sticky{{{second}}} 1"),
        &format!("failover_target_strikes{{{first}}} 3"),
        &format!("failover_target_connections{{{second},state=\"idle\"}} 1"),
        &format!("failover_target_connections{{{second},state=\"in_use\"}} 0"),
    ] {
        assert!(answer.text().lines().any(|told| told == line), "no {line} in {}", answer.text());
    }
    assert!(!answer.text().contains("s3cret"));
}

fn failovers(status: &Value) -> &[Value] {
    status["failovers"].as_array().unwrap()
}

#[test]
fn gauges_of_targets_that_are_gone_go_too() {
    let (gone, stays) = (Server::script([Reply::ok("")]), Server::script([Reply::ok("")]));
    let gateway = Gateway::before([&gone, &stays], "");
    let gauge = format!("failover_target_sticky{{client=\"gateway\",target=\"{}\"", gone.url());
    assert!(gateway.get("/-/metrics").text().contains(&gauge));
    gateway.reload(&config("", &[stays.url()], ""));
    gateway.wait_for_log("targets replaced");
    let began = Instant::now();
    while gateway.get("/-/metrics").text().contains(&gauge) {
        assert!(began.elapsed() < LIMIT, "it is there still");
        // Gauges can only be asked for again.
        thread::sleep(Duration::from_millis(100));
    }
    let metrics = gateway.get("/-/metrics");
    assert!(metrics.text().contains(&gauge.replace(&gone.url(), &stays.url())), "{}", metrics.text());
}

#[test]
fn the_log_tells_each_change_once_and_no_call() {
    let (down, works) = (Server::down(), Server::script([Reply::ok("right")]));
    let mut quiet = Command::new(&*GATEWAY);
    quiet.env("RUST_LOG", "info");
    let gateway = Gateway::run(quiet, &config("", &[down.url(), works.url()], ""));
    for _ in 0..20 {
        gateway.get("/");
    }
    gateway.reload(&config("", &[works.url()], ""));
    gateway.wait_for_log("targets replaced");
    let logged = gateway.logged.lock().unwrap();
    let count = |part: &str| logged.iter().filter(|line| line.contains(part)).count();
    assert!((1..5).contains(&count("target cools")), "{logged:#?}");
    assert_eq!((count("target left"), count("attempt"), count("calls")), (1, 0, 0), "{logged:#?}");
}

fn targets(status: &Value) -> &[Value] {
    status["targets"].as_array().unwrap()
}
