//! The record of what happens to calls, and the story that `--explain` tells of it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use failover_tests::example::{Run, Scratch};
use failover_tests::lab::{LIMIT, Reply, Server};
use serde_json::Value;

use crate::{GATEWAY, Gateway, config};

/// Guards: a record without what was withheld, one with the path or the query of a request, and one with that of a target's URL.
#[test]
fn an_outage_is_recorded_and_told_with_nothing_secret() {
    let breaks = Arc::new(AtomicBool::new(false));
    let first = Server::start({
        let breaks = Arc::clone(&breaks);
        move |_| if breaks.load(Ordering::Relaxed) { Reply::fin() } else { right() }
    });
    let second = Server::start(|_| right());
    let record = Record::new();
    let urls = [&first, &second].map(|server| format!("{}/s3cret-base?", server.url()));
    let urls = urls.map(|url| url.trim_end_matches('?').to_owned());
    let failover = "failback = { after = '500ms' }\ncool_down = { base = '100ms' }";
    let mut gateway = Gateway::configured(&config(&record.key(), &urls, failover));
    let send = |method, body: &str| {
        let headers = format!("authorization: s3cret-header\r\ncontent-length: {}\r\n", body.len());
        gateway.send(method, "/s3cret-path?token=s3cret-query", &headers, body).status
    };
    for _ in 0..5 {
        assert_eq!(send("GET", ""), 200);
    }
    breaks.store(true, Ordering::Relaxed);
    assert_eq!(send("POST", "s3cret-body"), 502);
    let mut failed_over = 0;
    while gateway.status()["sticky"] == 0 {
        assert_eq!(send("GET", ""), 200);
        failed_over += 1;
    }
    breaks.store(false, Ordering::Relaxed);
    let mut answered = 5;
    let began = Instant::now();
    while gateway.status()["sticky"] == 1 {
        assert_eq!(send("GET", ""), 200);
        answered += 1;
        assert!(began.elapsed() < LIMIT, "it is not returned to");
        // That the failback clock is due can be asked for by calls only.
        std::thread::sleep(Duration::from_millis(10));
    }
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));

    let (recorded, story) = (record.text(), explain(&record.path()));
    for told in [&recorded, &story] {
        assert!(!told.contains("s3cret"), "{told}");
    }
    // What became of the first calls while the outage began, each in a paragraph with its why.
    let [first, second] =
        [(0, first.url()), (1, second.url())].map(|(nth, url)| format!("target {nth} ({url})"));
    let story = story.split_whitespace().collect::<Vec<_>>().join(" ");
    let closed = "the connection closed before the answer: connection closed before message completed";
    for said in [
        &format!("1 call was not failed over from {first}: {closed} 1 POST;"),
        "Withheld (no_proof): the request may have been executed",
        &format!("{failed_over} calls failed over from {first} to {second}: {closed} {failed_over} GET"),
        "A second execution does no harm by its method",
        &format!("Target 0 {} cools for", first.split_once("0 ").unwrap().1),
        &format!("From here on calls begin at {second}, and not at {first}: {closed}"),
        &format!("From here on calls begin at {first} again, and not at {second}: it answered"),
        "Calls stop: requests may have been executed",
        "Calls are answered again: 1 stopped in",
        &format!("answered at once {answered} failed over {failed_over}"),
        "stopped 1: 1 no_proof",
    ] {
        assert!(story.contains(said), "no {said:?} in {story}");
    }
}

/// Guards: a record whose file is opened where a call waits for it.
#[test]
fn a_pipe_that_nobody_reads_harms_no_call() {
    let (busy, works) = (Server::script([Reply::status(503)]), Server::script([Reply::ok("right")]));
    let record = Record::new();
    fs::remove_file(record.path()).unwrap();
    assert!(Command::new("mkfifo").arg(record.path()).status().unwrap().success());
    let failover = "leave_after = 100\ncool_down = 'off'\nbudget = 'off'";
    let mut gateway = Gateway::configured(&config(&record.key(), &[busy.url(), works.url()], failover));
    // It is full, so that the first line is not taken.
    let mut pipe = OpenOptions::new().read(true).write(true).open(record.path()).unwrap();
    pipe.write_all(&vec![b'\n'; 60 << 10]).unwrap();
    for _ in 0..500 {
        assert_eq!(gateway.get("/").text(), "right");
    }
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn a_record_is_begun_and_left_by_sighup_as_the_file_says() {
    let (busy, works) = (Server::script([Reply::status(503)]), Server::script([Reply::ok("right")]));
    let (record, urls) = (Record::new(), [busy.url(), works.url()]);
    let failover = "leave_after = 100\ncool_down = 'off'";
    let with = |top: &str| config(top, &urls, failover);
    let mut gateway = Gateway::configured(&with(""));
    gateway.get("/");
    assert_eq!(record.text(), "");
    gateway.reload(&with(&record.key()));
    gateway.get("/");
    record.wait_for("call", 1);
    // It was moved away.
    let moved = format!("{}.moved", record.path());
    fs::rename(record.path(), &moved).unwrap();
    gateway.reload(&with(&record.key()));
    gateway.ask("HEAD", "/");
    let [begins, call] = ["begins", "call"].map(|event| record.wait_for(event, 1).remove(0));
    assert_eq!((&begins["index"], begins["targets"].as_array().unwrap().len()), (&Value::from(0), 2));
    assert_eq!(call["method"], "HEAD");
    assert!(fs::read_to_string(moved).unwrap().contains(r#""method":"GET""#));

    let said = gateway.reload(&with("record = '/no/such/folder/record'"));
    assert!(
        said.contains("stays as it was") && said.contains("record = /no/such/folder/record: No such"),
        "{said}"
    );
    gateway.ask("OPTIONS", "/");
    record.wait_for("call", 2);
    gateway.reload(&with("record = 'off'"));
    gateway.ask("PUT", "/");
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(!record.text().contains("PUT"), "{}", record.text());
}

#[test]
fn what_was_in_the_file_before_is_told_first_and_stdin_as_well() {
    let line = |at: &str| {
        format!(r#"{{"at":"2026-11-26T{at}Z","client":"c","event":"stops","reason":"deadline"}}"#) + "\n"
    };
    let record = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "record.jsonl", &line("14:00:01"));
    fs::write(format!("{}.1", record.path()), line("14:00:00")).unwrap();
    let story = explain(&record.path());
    assert!(story.starts_with("Recorded from 2026-11-26 14:00:00.000 to 14:00:01.000 (UTC): c\n"), "{story}");

    let mut process = Command::new(&*GATEWAY)
        .args(["--explain", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(line("15:00:00").as_bytes()).unwrap();
    let told = process.wait_with_output().unwrap();
    assert!(told.status.success());
    assert!(String::from_utf8(told.stdout).unwrap().contains("15:00:00.000  Calls stop: no time is left"));
}

/// Guards: a README that tells another story than the program.
#[test]
fn the_readme_tells_a_recorded_outage_as_it_is_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../failover-gateway");
    let story = explain(folder.join("outage.jsonl").to_str().unwrap());
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    assert!(readme.contains(&format!("```text\n{story}```\n")), "{story}");
}

fn right() -> Reply {
    Reply::ok("right").header("connection", "close")
}

/// What the gateway tells of a record.
fn explain(path: &str) -> String {
    let run = Run::of(&GATEWAY, &["--explain", path]);
    assert_eq!((run.code, run.complaint.as_str()), (0, ""));
    run.printed
}

/// The file of a record.
struct Record(Scratch);

impl Record {
    fn new() -> Self {
        Self(Scratch::file(env!("CARGO_TARGET_TMPDIR"), "record.jsonl", ""))
    }

    fn path(&self) -> String {
        self.0.path()
    }

    fn key(&self) -> String {
        format!("record = '{}'", self.path())
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap_or_default()
    }

    /// The lines of one kind, once there are so many.
    fn wait_for(&self, event: &str, count: usize) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let text = self.text();
            let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let lines: Vec<_> = lines.filter(|line| line["event"] == event).collect();
            if lines.len() >= count {
                return lines;
            }
            assert!(began.elapsed() < LIMIT, "{text}");
            std::thread::yield_now();
        }
    }
}
