//! The examples of the core, as a user runs them: whole drivers on other runtimes.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::LazyLock;

use failover_tests::example;
use failover_tests::lab::{End, Reply, Server};

#[test]
fn each_example_goes_on_to_the_target_that_answers() {
    for example in examples() {
        let down = Server::down();
        let busy = Server::start(|_| Reply::status(503).body("busy").end(End::Fin));
        let up = Server::start(|_| Reply::ok("hello").interim(103).end(End::Fin));
        let output = run(example, &[&down.url(), &busy.url(), &format!("{}/base/", up.url())]);
        let printed = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<_> = printed.lines().collect();
        assert_eq!(output.status.code(), Some(0), "{printed}");
        assert!(lines[0].starts_with("target 0: no connection: "), "{printed}");
        assert_eq!(
            lines[1..],
            ["target 1 answered 503 Service Unavailable", "target 2 answered 200 OK", "hello"]
        );
        assert_eq!(busy.requests().len(), 1);
        let [request] = &up.requests()[..] else { panic!("{:?}", up.requests()) };
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/base/path?query"));
    }
}

#[test]
fn each_example_takes_no_part_of_an_answer_for_the_answer() {
    for (nth, example) in examples().iter().enumerate() {
        let mut parts =
            vec![Reply::ok("hello").cut(4), Reply::raw("HTTP/1.1 200 OK\r\ncontent-le"), Reply::reset()];
        if nth < BY_HAND {
            // What it need not understand, it must not take for something else.
            parts.push(Reply::ok("hello").chunked().end(End::Fin));
        }
        let servers: Vec<_> = parts.into_iter().map(|part| Server::script([part])).collect();
        let targets: Vec<_> = servers.iter().map(Server::url).collect();
        let output = run(example, &targets.iter().map(String::as_str).collect::<Vec<_>>());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{error}");
        assert!(error.starts_with("all targets were tried: target 0: maybe processed: "), "{error}");
        assert_eq!(error.matches("maybe processed").count(), servers.len(), "{error}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn each_example_refuses_what_makes_no_sense_in_one_line() {
    for example in examples() {
        for (targets, named) in [(&[][..], "targets"), (&["ftp://host"], "ftp://host")] {
            let output = run(example, targets);
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!((output.status.code(), error.lines().count()), (Some(1), 1), "{error}");
            assert!(error.contains(named), "{error}");
        }
    }
}

/// Asks targets for a path.
fn run(example: &PathBuf, targets: &[&str]) -> Output {
    Command::new(example).arg("/path?query").args(targets).output().unwrap()
}

/// Where the examples are.
fn examples() -> &'static [PathBuf; 3] {
    static EXAMPLES: LazyLock<[PathBuf; 3]> =
        LazyLock::new(|| ["blocking", "smol", "ureq"].map(example::build));
    &EXAMPLES
}

/// The first ones speak HTTP by hand.
const BY_HAND: usize = 2;
