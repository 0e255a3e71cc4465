//! Ballerina's example: the example `http_failover` of the tokio adapter, as a user runs and calls it.
#![forbid(unsafe_code)]
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use failover_tests::example::{self, Run, signal, wait};
use failover_tests::lab::LIMIT;
use failover_tests::wire::{Answer, Connection};

#[test]
fn the_first_call_is_answered_by_the_third_target_and_the_second_goes_there_directly() {
    let demo = Demo::start();
    let began = Instant::now();
    is_the_mock_resource(&demo.call("GET", "/fo"));
    // No such host, a pause, a target that is too slow, and a pause.
    assert!(began.elapsed() >= 2 * INTERVAL + ATTEMPT_TIMEOUT, "{:?}", began.elapsed());
    let story = demo.lines(4);
    let backend = demo.backend.as_str();
    for (line, [begins, holds]) in story.iter().zip([
        ["GET /fo", ""],
        ["  target 0, http://nonexistentEP/mock1: ", ""],
        [&format!("  target 1, {}/echo: ", backend.replace("127.0.0.1", "localhost")), "no answer"],
        [&format!("  target 2, {}/mock: ", backend.replace("127.0.0.1", "localhost")), "answered 200"],
    ]) {
        assert!(line.starts_with(begins) && line.contains(holds), "{story:#?}");
    }

    for method in ["GET", "POST", "GET"] {
        is_the_mock_resource(&demo.call(method, "/fo"));
        let story = demo.lines(2);
        assert_eq!(story[0], format!("{method} /fo"));
        assert!(story[1].starts_with("  target 2, "), "{story:#?}");
    }
}

#[test]
fn the_first_call_may_be_a_post() {
    let demo = Demo::start();
    is_the_mock_resource(&demo.call("POST", "/fo/"));
    assert!(demo.lines(4)[3].starts_with("  target 2, "));
}

#[test]
fn elsewhere_there_is_nothing() {
    let demo = Demo::start();
    for path in ["/", "/foxyz", "/fo/x", "/mock", "//fo"] {
        assert_eq!(demo.call("GET", path).status, 404, "{path}");
    }
    for method in ["PUT", "DELETE", "PATCH"] {
        let answer = demo.call(method, "/fo");
        assert_eq!(answer.status, 405);
        assert!(
            answer.header("allow").is_some_and(|allowed| allowed.contains("GET") && allowed.contains("POST"))
        );
    }
}

#[test]
fn the_backends_can_be_called_directly() {
    let demo = Demo::scaled("0.005");
    for method in ["GET", "POST", "PUT"] {
        let at = |path| call(&demo.backend, method, path);
        is_the_mock_resource(&at("/mock"));
        let echo = at("/echo");
        assert_eq!((echo.status, echo.text()), (200, "echo Resource is invoked"));
        assert_eq!(at("/").status, 404);
    }
    assert_eq!(call(&demo.backend, "DELETE", "/mock").status, 405);
}

#[test]
fn a_busy_port_is_a_one_line_error() {
    let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = busy.local_addr().unwrap().port().to_string();
    for (flag, other) in [("--port", "--backend-port"), ("--backend-port", "--port")] {
        let error = refused(&[flag, &port, other, "0"]);
        assert!(error.contains(&port) && error.contains(flag), "{error}");
    }
}

#[test]
fn a_flag_that_makes_no_sense_is_refused_by_what_is_wrong_with_it() {
    for (args, named) in [
        (&["--port", "65536"][..], "65536"),
        (&["--port"], "--port"),
        (&["--port=1", "--port", "2"], "--port"),
        (&["--time-scale", "0"], "--time-scale"),
        (&["--time-scale", "soon"], "soon"),
        (&["--unknown", "1"], "--unknown"),
        (&["--time-scal", "1"], "a similar argument exists: '--time-scale'"),
    ] {
        let error = Run::of(&EXAMPLE, args).misuse();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn sigterm_ends_it_successfully_from_the_moment_it_listens() {
    let mut demo = Demo::start();
    signal(&demo.process, "TERM");
    assert_eq!(wait(&mut demo.process).code(), Some(0));
}

#[test]
fn sigterm_ends_it_while_a_call_is_under_way() {
    let mut demo = Demo::start();
    let mut call = Connection::to(&demo.service);
    call.write(b"GET /fo HTTP/1.1\r\nhost: demo\r\n\r\n");
    signal(&demo.process, "TERM");
    assert_eq!(wait(&mut demo.process).code(), Some(0));
}

/// The example, running; killed when it is dropped.
struct Demo {
    process: Child,
    /// What it prints.
    output: Receiver<String>,
    backend: String,
    service: String,
}

impl Demo {
    fn start() -> Self {
        Self::scaled("0.1")
    }

    fn scaled(time_scale: &str) -> Self {
        let mut process = Command::new(&*EXAMPLE)
            .args(["--time-scale", time_scale, "--port", "0", "--backend-port=0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, output) = channel();
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut demo = Self { process, output, backend: String::new(), service: String::new() };
        let lines = demo.lines(2);
        let url = |line: &str| {
            let (_, place) = line.split_once("http://").expect("the line has a URL");
            format!("http://{}", place.trim_end_matches("/fo"))
        };
        (demo.backend, demo.service) = (url(&lines[0]), url(&lines[1]));
        demo
    }

    fn call(&self, method: &str, path: &str) -> Answer {
        call(&self.service, method, path)
    }

    /// The next lines that it prints.
    fn lines(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.output.recv_timeout(LIMIT).expect("there is another line")).collect()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Fails if it has ended, which is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn is_the_mock_resource(answer: &Answer) {
    assert_eq!((answer.status, answer.text()), (200, "Mock Resource is Invoked."));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    assert_eq!(answer.header("content-length"), Some("25"));
}

fn call(url: &str, method: &str, path: &str) -> Answer {
    let rest = if method == "GET" { "\r\n" } else { "content-length: 4\r\n\r\nbody" };
    let mut connection = Connection::to(url);
    connection.write(format!("{method} {path} HTTP/1.1\r\nhost: demo\r\n{rest}").as_bytes());
    connection.read(method).expect("there is an answer")
}

/// Runs the example with arguments that it refuses, and returns its one line.
fn refused(args: &[&str]) -> String {
    Run::of(&EXAMPLE, args).refusal()
}

static EXAMPLE: LazyLock<PathBuf> = LazyLock::new(|| example::build("http_failover"));

/// What Ballerina's example sets, scaled: large enough that a busy machine does within it what takes no time.
const INTERVAL: Duration = Duration::from_millis(500);
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(500);
