//! The example `fetch` of the async-std adapter, as a user runs it.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use failover_tests::example::{self, Run, Scratch};
use failover_tests::lab::{End, Reply, Server};
use serde_json::{Value, json};

#[test]
fn a_response_is_printed_as_it_is() {
    let server = Server::script([Reply::ok("with a line\nand half of one")]);
    let run = fetch(&[&server.url()], &["/users?page=2"]);
    assert_eq!(
        (run.code, run.printed.as_str(), run.complaint.as_str()),
        (0, "with a line\nand half of one", "")
    );
    assert_eq!(server.requests()[0].target, "/users?page=2");
}

#[test]
fn method_headers_and_body_are_sent_as_given() {
    let server = Server::script([Reply::ok("")]);
    let args = ["-X", "PUT", "-H", "X-One: 1", "-H", "x-one:2", "-d", "a body", "/things"];
    assert_eq!(fetch(&[&server.url()], &args).code, 0);
    assert_eq!(fetch(&[&server.url()], &["-d", "-data", "/"]).code, 0);
    let requests = server.requests();
    assert_eq!((requests[0].method.as_str(), requests[0].text()), ("PUT", "a body"));
    assert_eq!(requests[0].headers("x-one").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!((requests[1].method.as_str(), requests[1].text()), ("POST", "-data"));
}

#[test]
fn a_line_tells_the_whole_call() {
    let (down, busy) = (Server::down(), Server::script([Reply::status(503).body("no")]));
    let works = Server::script([Reply::ok("right")]);
    let run = fetch(&[&down.url(), &busy.url(), &works.url()], &["--json", "--repeat", "3", "/"]);
    let lines = lines(&run);
    assert_eq!((run.code, lines.len()), (0, 3));
    let mut first = lines[0].clone();
    assert!(first.as_object_mut().unwrap().remove("elapsed_ms").is_some_and(|time| time.is_f64()));
    let error = first["failures"][0]["error"].take();
    assert_eq!(error, "connection refused");
    assert_eq!(
        first,
        json!({
            "status": 200,
            "target": 2,
            "attempts": 3,
            "failures": [
                { "target": 0, "evidence": "no_connection", "error": null },
                { "target": 1, "status": 503 },
            ],
            "body": "right",
        })
    );
    for line in &lines[1..] {
        assert_eq!(
            (&line["target"], &line["attempts"], &line["failures"]),
            (&json!(2), &json!(1), &json!([]))
        );
    }
}

#[test]
fn a_call_without_a_response_is_a_line_with_the_reason() {
    let (down, cut) = (Server::down(), Server::script([Reply::fin()]));
    let run = fetch(&[&down.url(), &cut.url()], &["--json", "-d", "money", "/pay?token=secret"]);
    let line = &lines(&run)[0];
    assert_eq!((run.code, &line["reason"], &line["attempts"]), (1, &json!("no_proof"), &json!(2)));
    let evidence: Vec<_> = (0..2).map(|nth| line["failures"][nth]["evidence"].as_str().unwrap()).collect();
    assert_eq!(evidence, ["no_connection", "maybe_processed"]);
    assert!(line["error"].is_string() && !run.printed.contains("secret"), "{}", run.printed);
    assert_eq!(line.as_object().unwrap().len(), 4);

    let run = fetch(&[&down.url()], &["/"]);
    assert_eq!((run.code, run.printed.as_str(), run.complaint.lines().count()), (1, "", 1));
}

#[test]
fn committed_a_body_that_breaks_off_is_an_error_and_nothing_of_it_is_printed() {
    let reply = Reply::ok("0123456789".repeat(1000)).cut(5000);
    for reply in [reply.clone(), reply.clone().end(End::Reset), reply.chunked()] {
        let (first, second) = (Server::script([reply]), Server::script([Reply::ok("other")]));
        let run = fetch(&[&first.url(), &second.url()], &["--json", "/"]);
        let line = &lines(&run)[0];
        assert_eq!((run.code, &line["reason"], &line["attempts"]), (1, &json!("broken_body"), &json!(1)));
        assert!(line.get("body").is_none() && line.get("status").is_none());
        let run = fetch(&[&first.url(), &second.url()], &["/"]);
        assert_eq!((run.code, run.printed.as_str(), run.complaint.lines().count()), (1, "", 1));
        assert_eq!(second.connections(), 0);
    }
}

#[test]
fn one_call_without_a_response_is_an_error_though_the_others_have_one() {
    let server = Server::script([Reply::ok("1"), Reply::status(503), Reply::ok("3")]);
    let run = fetch(&[&server.url()], &["--json", "--repeat", "3", "/"]);
    let statuses: Vec<_> = lines(&run).iter().map(|line| line.get("status").cloned()).collect();
    assert_eq!((run.code, statuses), (1, vec![Some(json!(200)), None, Some(json!(200))]));
}

#[test]
fn a_status_that_surf_does_not_know_and_a_latin_1_header_are_shown() {
    for status in [200, 599, 799] {
        let server = Server::script([Reply::status(status).header("x-name", "é").body("odd")]);
        let run = fetch(&[&server.url()], &["--json", "/"]);
        let line = &lines(&run)[0];
        assert_eq!((run.code, &line["status"], &line["body"]), (0, &json!(status), &json!("odd")));
    }
    let (odd, works) = (Server::script([Reply::status(599)]), Server::script([Reply::ok("right")]));
    let config = format!("failover_codes = '5xx'\ntargets = ['{}', '{}']", odd.url(), works.url());
    let line = &lines(&fetch_with(&config, &["--json", "/"]))[0];
    assert_eq!(
        (&line["failures"][0], &line["body"]),
        (&json!({ "target": 0, "status": 599 }), &json!("right"))
    );
}

#[test]
fn what_makes_no_sense_is_refused_in_one_line_that_names_it() {
    let target = "targets = ['http://127.0.0.1:1']";
    for (config, named) in [
        ("", "targets"),
        ("targets = []", "targets"),
        ("targets = ['ftp://x']", "targets[0]"),
        ("targets = ['http://x']\nattempt_timeout = '2 parsecs'", "attempt_timeout"),
        ("targets = ['http://x']\ndeadline = '1m'\nattempt_timeout = '1h'", "attempt_timeout"),
        ("targets = ['http://x']\nroundz = 1", "fetch.toml:6: unknown key `roundz`: did you mean `rounds`?"),
        ("targets = ['http://x'", "fetch.toml"),
    ] {
        let complaint = fetch_with(config, &["/"]).refusal();
        assert!(complaint.contains(named), "{complaint}");
    }
    for (args, named) in [
        (&["/", "-H", "secret"][..], "-H"),
        (&["http://elsewhere.example/"], "PATH"),
        (&["http://user:secret@elsewhere.example/"], "PATH"),
    ] {
        let complaint = fetch_with(target, args).refusal();
        assert!(complaint.contains(named) && !complaint.contains("secret"), "{complaint}");
    }
    for (args, named) in [
        (&["/", "--unknown"][..], "--unknown"),
        (&["/", "--jsn"], "'--json'"),
        (&["/", "-X"], "-X"),
        (&["/", "-X", "G T"], "-X"),
        (&["/", "-X", "GET", "-X", "PUT"], "-X"),
        (&["/", "--repeat", "0"], "--repeat"),
        (&["/", "--repeat", "many"], "--repeat"),
        (&["/a", "/b"], "/b"),
        (&["/a", "http://user:secret@b/"], "unexpected argument"),
        (&["-H", "Authorization:", "Bearer", "secret", "/"], "unexpected argument"),
        (&["-HAuthorization:", "secret", "/"], "unexpected argument"),
        (&["--header", "Authorization: Bearer secret", "/"], "unexpected argument"),
        (&[], "<PATH>"),
    ] {
        let complaint = fetch_with(target, args).misuse();
        assert!(complaint.contains(named) && !complaint.contains("secret"), "{complaint}");
    }
    let missing = fetch_args(&["--config", "no/such/file.toml", "/"]).refusal();
    assert!(missing.contains("no/such/file.toml"), "{missing}");
    assert!(fetch_args(&["/"]).misuse().contains("--config"));
    let other = scratch("[gateway]\nlisten = 1\n");
    let without = fetch_args(&["--config", &other.path(), "/"]).refusal();
    assert!(without.contains("failover"), "{without}");
}

#[test]
fn the_configuration_of_the_demo_is_read() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../failover-async-std/examples/fetch.toml");
    let text = fs::read_to_string(demo).unwrap();
    let (echo, mock) =
        (Server::script([Reply::stall()]), Server::script([Reply::ok("Mock Resource is Invoked.")]));
    let text = text
        .replace("http://localhost:8080/echo", &format!("{}/echo", echo.url()))
        .replace("http://localhost:8080/mock", &format!("{}/mock", mock.url()))
        .replace("\"5s\"", "\"500ms\"");
    let file = scratch(&text);
    let run = fetch_args(&["--config", &file.path(), "--json", "--repeat", "2", "/"]);
    let lines = lines(&run);
    assert_eq!((&lines[0]["body"], &lines[0]["attempts"]), (&json!("Mock Resource is Invoked."), &json!(3)));
    assert_eq!((&lines[1]["target"], &lines[1]["attempts"]), (&json!(2), &json!(1)));
    assert_eq!(mock.requests()[0].target, "/mock/");
}

/// Runs the example with these targets.
fn fetch(targets: &[&str], args: &[&str]) -> Run {
    let targets: Vec<_> = targets.iter().map(|url| format!("'{url}'")).collect();
    fetch_with(&format!("targets = [{}]", targets.join(", ")), args)
}

/// With this table `[failover]`.
fn fetch_with(table: &str, args: &[&str]) -> Run {
    let file = scratch(&format!("[gateway]\nlisten = '127.0.0.1:9090'\n\n[failover]\n{table}\n"));
    fetch_args(&[&["--config", &file.path()], args].concat())
}

fn fetch_args(args: &[&str]) -> Run {
    Run::of(&EXAMPLE, args)
}

/// The lines of JSON that it printed, where it complained of nothing.
fn lines(run: &Run) -> Vec<Value> {
    assert_eq!(run.complaint, "");
    run.printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn scratch(text: &str) -> Scratch {
    Scratch::file(env!("CARGO_TARGET_TMPDIR"), "fetch.toml", text)
}

static EXAMPLE: LazyLock<PathBuf> = LazyLock::new(|| example::build("fetch"));
