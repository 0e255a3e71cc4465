//! The status and the metrics, as programs read them.

use failover_tests::lab::{Reply, Server};
use serde_json::{Value, json};

use crate::{Gateway, config};

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
    let calls = json!({ "waiting": 0, "answered": 3, "failed_over": 1, "stopped": 0, "abandoned": 0 });
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
    let told: Vec<_> = status["failovers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failover| {
            (failover["from"]["index"].clone(), failover["to"]["url"].clone(), failover["why"].clone())
        })
        .collect();
    assert_eq!(
        told,
        [
            (json!(1), json!(works.url()), json!("answered 503 Service Unavailable")),
            (json!(0), json!(busy.url()), json!("connection refused")),
        ]
    );
    let minute = status["last_minute"].as_array().unwrap();
    let sum = |key: &str| minute.iter().map(|second| second[key].as_u64().unwrap()).sum::<u64>();
    assert_eq!((minute.len(), sum("count"), sum("failed")), (60, 3, 1));
}

#[test]
fn a_call_that_stopped_is_told_with_its_reason() {
    let cut = Server::script([Reply::fin()]);
    let down = Server::down();
    let gateway = Gateway::before([&cut, &down], "");
    gateway.post("/", "money");
    let status = gateway.status();
    let failover = &status["failovers"][0];
    assert_eq!((&failover["to"], &failover["stopped"]), (&Value::Null, &json!("no_proof")));
    assert_eq!((&failover["method"], &status["calls"]["stopped"]), (&json!("POST"), &json!(1)));
}

#[test]
fn bounded_only_the_last_failovers_are_kept() {
    let (busy, works) = (Server::script([Reply::status(503)]), Server::script([Reply::ok("")]));
    let gateway = Gateway::before([&busy, &works], "failback = 'off'\ncool_down = 'off'\nmax_attempts = 1");
    for _ in 0..120 {
        gateway.get("/");
    }
    let failovers = gateway.status()["failovers"].as_array().unwrap().len();
    assert!(failovers <= 50, "{failovers}");
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
    for line in [
        "# TYPE failover_calls_total counter",
        "failover_calls_total{outcome=\"answered\"} 1",
        &format!("failover_attempts_total{{target=\"{down}\",outcome=\"no_connection\"}} 1"),
        &format!("failover_attempts_total{{target=\"{works}\",outcome=\"answered\"}} 1"),
        &format!("failover_failovers_total{{from=\"{down}\",to=\"{works}\"}} 1"),
        "# TYPE failover_call_duration_seconds histogram",
        "failover_call_duration_seconds_bucket{outcome=\"answered\",le=\"+Inf\"} 1",
        "failover_call_duration_seconds_count{outcome=\"answered\"} 1",
    ] {
        assert!(answer.text().lines().any(|told| told == line), "no {line} in {}", answer.text());
    }
    assert!(!answer.text().contains("s3cret"));
}

fn targets(status: &Value) -> &[Value] {
    status["targets"].as_array().unwrap()
}
