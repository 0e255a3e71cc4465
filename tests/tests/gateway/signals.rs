//! SIGHUP reads the configuration again, SIGTERM lets the calls under way end.

use std::array;
use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use failover_tests::example::Scratch;
use failover_tests::lab::{End, Gate, LIMIT, Reply, Server};
use failover_tests::wire::Connection;
use failover_tokio::{FailoverClient, Protocol};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::{GATEWAY, Gateway, Over, config};

#[test]
fn identity_other_targets_are_taken_and_what_is_remembered_stays() {
    let (down, works, added) =
        (Server::down(), Server::script([Reply::ok("first")]), Server::script([Reply::ok("added")]));
    let gateway = Gateway::before([&down, &works], "");
    assert_eq!(gateway.get("/").text(), "first");

    let urls = [added.url(), down.url(), works.url()];
    let said = gateway.reload(&config("base_path = '/new'", &urls, "failback = 'off'"));
    assert!(said.contains("was read again"), "{said}");
    // Cursor and cool-down follow their targets, and so do the counts.
    let status = gateway.status();
    assert_eq!(status["sticky"], 2);
    assert_eq!(status["targets"][1]["cooling"], true);
    let attempts = |index: usize| status["targets"][index]["attempts"].clone();
    assert_eq!([attempts(0), attempts(1), attempts(2)], [json!(0), json!(1), json!(1)]);
    assert_eq!((gateway.get("/").status, gateway.get("/new").text()), (404, "first"));

    gateway.reload(&config("", &[added.url()], ""));
    assert_eq!(gateway.get("/").text(), "added");
}

#[test]
fn identity_a_target_whose_credentials_are_rotated_is_the_same_target() {
    let (down, works) =
        (Server::down(), Server::start(|request| Reply::ok(request.header("authorization").unwrap())));
    let urls = |secret| [&down, &works].map(|server| format!("http://u:{secret}@{}", server.address()));
    let gateway = Gateway::configured(&config("", &urls("old"), ""));
    let old = gateway.get("/").text().to_owned();
    gateway.reload(&config("", &urls("new"), ""));
    let status = gateway.status();
    assert_eq!((&status["sticky"], &status["targets"][0]["cooling"]), (&json!(1), &json!(true)));
    assert_eq!(status["targets"][0]["attempts"], json!(1));
    assert_ne!(gateway.get("/").text(), old, "and yet the new credentials are sent");
}

#[test]
fn rejected_a_bad_file_changes_nothing_and_says_why() {
    let works = Server::script([Reply::ok("right")]);
    let down = Server::down();
    let gateway = Gateway::before([&down, &works], "");
    gateway.get("/");
    let before = gateway.status()["targets"].clone();
    for (text, said) in [
        (config("", &["ftp://user:s3cret@h"], ""), "failover.targets[0] = ftp://h: expected"),
        (config("", &[""; 0], ""), "failover.targets = []: expected at least one target"),
        (config("base_path = 1", &[works.url()], ""), "base_path = 1: expected a string"),
        (
            config("", &[works.url()], "deadline = '1m'\nattempt_timeout = '1h'"),
            "failover.attempt_timeout = 3600s: expected",
        ),
        ("targets = [".to_owned(), "gateway.toml:1:12: "),
    ] {
        let line = gateway.reload(&text);
        assert!(line.contains("stays as it was") && line.contains(said), "{text}: {line}");
        assert!(!line.contains("s3cret"));
        assert_eq!(gateway.get("/").text(), "right");
    }
    let after = gateway.status();
    assert_eq!((&after["sticky"], &after["targets"][1]["url"]), (&json!(1), &before[1]["url"]));
}

#[test]
fn handle_pin_a_call_under_way_ends_on_the_list_that_it_began_with() {
    let gate = Gate::new();
    let slow = Server::script([Reply::ok("slow").after(&gate)]);
    let other = Server::script([Reply::ok("other")]);
    let gateway = Gateway::before([&slow], "");
    let mut connection = gateway.connect();
    connection.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(slow.wait_for_requests(1).len(), 1);
    gateway.reload(&config("", &[other.url()], ""));
    assert_eq!(gateway.get("/").text(), "other");
    gate.open();
    assert_eq!(connection.read("GET").unwrap().text(), "slow");
    let status = gateway.wait_for_status(|status| status["calls"]["answered"] == 2);
    // The answer of the target that is gone is nobody else's.
    assert_eq!(status["targets"][0]["attempts"], 1);
}

#[test]
fn what_takes_a_restart_is_said_to() {
    let works = Server::script([Reply::ok("right")]);
    let gateway = Gateway::before([&works], "");
    for (wanted, told) in [
        ("max_connections = 7", Some("max_connections")),
        ("", None),
        ("max_connections = 7\nidle_timeout = '5s'", Some("max_connections, idle_timeout")),
        ("drain_timeout = '7s'", Some("drain_timeout")),
    ] {
        gateway.reload(&config(wanted, &[works.url()], ""));
        let logged = gateway.logged.lock().unwrap();
        let said = logged.iter().find_map(|line| line.split("only a restart changes ").nth(1));
        assert_eq!(said, told, "{wanted}: {logged:#?}");
    }
}

#[test]
fn sigterm_takes_no_connections_and_lets_calls_end() {
    let gate = Gate::new();
    let server = Server::start({
        let gate = gate.clone();
        move |request| match request.target.as_str() {
            "/slow" => Reply::ok("slow").halfway(&gate),
            _ => Reply::ok("at once"),
        }
    });
    let mut gateway = Gateway::before([&server], "");
    let [mut idle, mut fresh, mut slow] = [(); 3].map(|()| gateway.connect());
    idle.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(idle.read("GET").unwrap().text(), "at once");
    slow.write(b"GET /slow HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(server.wait_for_requests(2).len(), 2);

    gateway.signal("TERM");
    gateway.wait_for_log("no more connections");
    assert_eq!((idle.rest(), fresh.rest()), (vec![], vec![]));
    assert!(TcpStream::connect(gateway.url.strip_prefix("http://").unwrap()).is_err());
    gate.open();
    let answer = slow.read("GET").unwrap();
    assert_eq!(answer.text(), "slow");
    assert_eq!(gateway.wait().code(), Some(0));
    gateway.wait_for_log("all calls have ended");
}

#[tokio::test]
async fn sigterm_lets_calls_over_http2_end() {
    let gate = Gate::new();
    let server = Server::script([Reply::ok("slow").halfway(&gate)]);
    let mut gateway = Gateway::before([&server], "");
    let client = FailoverClient::builder().targets([&gateway.url]).protocol(Protocol::Http2).build().unwrap();
    let response = client.get("/").await.unwrap();
    gateway.signal("TERM");
    gateway.wait_for_log("no more connections");
    gate.open();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "slow");
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn sigterm_does_not_wait_for_a_connection_without_calls() {
    let down = Server::down();
    let mut gateway = Gateway::before([&down], "");
    let mut connection = gateway.connect();
    // Neither the shutdown nor the ping that goes with it is heeded.
    connection.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    connection.write(b"\0\0\x08\x06\0\0\0\0\0pingpong");
    gateway.wait_for_status(|_| true);
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn a_file_that_cannot_be_read_to_its_end_holds_nobody_up() {
    let works = Server::script([Reply::ok("right")]);
    let mut gateway = Gateway::before([&works], "");
    fs::remove_file(gateway.config.path()).unwrap();
    assert!(Command::new("mkfifo").arg(gateway.config.path()).status().unwrap().success());
    gateway.signal("HUP");
    for _ in 0..3 {
        assert_eq!(gateway.get("/").text(), "right");
    }
    // Nor does it keep later ones from being read.
    fs::remove_file(gateway.config.path()).unwrap();
    let said = gateway.reload(&config("base_path = '/new'", &[works.url()], ""));
    assert!(said.contains("was read again"), "{said}");
    assert_eq!(gateway.get("/new").text(), "right");
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn sigterm_waits_for_calls_only_so_long() {
    let server = Server::script([Reply::raw("").end(End::Stall)]);
    let mut gateway = Gateway::configured(&config("drain_timeout = '300ms'", &[server.url()], ""));
    let mut connection = gateway.connect();
    connection.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(server.wait_for_requests(1).len(), 1);
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(1));
    gateway.wait_for_log("cut off");
    assert_eq!(connection.rest(), b"");
}

#[test]
fn sigint_ends_it_as_well() {
    let down = Server::down();
    let mut gateway = Gateway::before([&down], "");
    gateway.signal("INT");
    assert_eq!(gateway.wait().code(), Some(0));
}

#[test]
fn a_second_sigterm_ends_it_at_once() {
    let server = Server::script([Reply::raw("").end(End::Stall)]);
    for delay in ["0", "1h"] {
        let top = if delay == "0" { String::new() } else { format!("shutdown_delay = '{delay}'") };
        let mut gateway = Gateway::configured(&config(&top, &[server.url()], ""));
        let asked = server.requests().len();
        let mut connection = gateway.connect();
        connection.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
        assert_eq!(server.wait_for_requests(asked + 1).len(), asked + 1);
        gateway.signal("TERM");
        gateway.wait_for_log("told to end");
        gateway.signal("TERM");
        assert_eq!(gateway.wait().code(), Some(1));
        assert_eq!(connection.rest(), b"");
    }
}

#[test]
fn within_the_shutdown_delay_calls_are_answered_and_readiness_is_not() {
    let server = Server::script([Reply::ok("right")]);
    let text = config("shutdown_delay = '1h'", &[server.url()], "") + "[admin]\nlisten = '127.0.0.1:0'\n";
    let mut gateway = Gateway::configured(&text);
    let operators = gateway.operators();
    let ready = || {
        let mut connection = Connection::to(&operators);
        connection.write(b"GET /-/ready HTTP/1.1\r\nhost: h\r\n\r\n");
        connection.read("GET").unwrap().status
    };
    assert_eq!(ready(), 200);
    gateway.signal("TERM");
    gateway.wait_for_log("told to end");
    assert_eq!((ready(), gateway.get("/").text()), (503, "right"));
    gateway.signal("INT");
    assert_eq!(gateway.wait().code(), Some(1));
}

/// A call that has lost its connection, at a gateway that leaves, was executed nowhere.
///
/// Guards: connections that end at once when the process is to.
#[test]
fn no_call_is_lost_when_one_gateway_leaves_and_another_one_is_there() {
    let server = Server::start(|request| Reply::ok(request.text()).header("x-path", &request.target));
    let text = config("shutdown_delay = '300ms'", &[server.url()], "");
    let (mut leaving, staying) = (Gateway::configured(&text), Gateway::configured(&text));
    let urls = [leaving.url.clone(), staying.url.clone()];
    let over = AtomicBool::new(false);
    let (calls, moved) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for caller in 0..8 {
            let (urls, over, calls, moved) = (&urls, &over, &calls, &moved);
            scope.spawn(move || {
                let (mut url, mut connection) = (&urls[0], None);
                for nth in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let call = format!("{caller}-{nth}");
                    while !exchange(url, &mut connection, &call) {
                        assert_eq!(url, &urls[0], "the other one stays");
                        url = &urls[1];
                        moved.fetch_add(1, Ordering::Relaxed);
                    }
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _over = Over(&over);
        assert!(server.wait_for_requests(200).len() >= 200);
        leaving.signal("TERM");
        assert_eq!(leaving.wait().code(), Some(0));
        let asked = server.requests().len();
        assert!(server.wait_for_requests(asked + 200).len() > asked);
    });
    let mut executed: Vec<_> = server.requests().into_iter().map(|request| request.body).collect();
    let all = executed.len();
    executed.sort();
    executed.dedup();
    let calls = calls.into_inner();
    assert_eq!((all, executed.len()), (calls, calls), "each is executed once");
    assert_eq!(moved.into_inner(), 8, "each caller moves once");
}

#[test]
fn no_call_is_lost_or_wrong_while_the_targets_change_time_and_again() {
    let servers: [_; 3] = array::from_fn(|_| {
        Server::start(|request| Reply::ok(request.text()).header("x-path", &request.target))
    });
    let lists = [[0, 1], [1, 2], [2, 0]].map(|list| list.map(|index: usize| servers[index].url()));
    let text = |nth: usize| config("", &lists[nth % lists.len()], "");
    let gateway = Gateway::configured(&text(0));
    let over = AtomicBool::new(false);
    let calls = AtomicUsize::new(0);
    thread::scope(|scope| {
        for caller in 0..8 {
            let (url, over, calls) = (&gateway.url, &over, &calls);
            scope.spawn(move || {
                let mut connection = None;
                for nth in 0.. {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    assert!(exchange(url, &mut connection, &format!("{caller}-{nth}")));
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let _over = Over(&over);
        for nth in 1..=RELOADS {
            let asked = calls.load(Ordering::Relaxed);
            let said = gateway.reload(&text(nth));
            assert!(said.contains("was read again"), "{said}");
            let began = Instant::now();
            while calls.load(Ordering::Relaxed) < asked + 8 {
                assert!(began.elapsed() < LIMIT);
                // The callers count by an atomic, which nobody can wait for.
                thread::sleep(Duration::from_millis(1));
            }
        }
    });
    let mut executed: Vec<_> =
        servers.iter().flat_map(Server::requests).map(|request| request.body).collect();
    let all = executed.len();
    executed.sort();
    executed.dedup();
    let calls = calls.into_inner();
    assert_eq!((all, executed.len()), (calls, calls), "each is executed once");
    assert!(servers.iter().all(|server| server.requests().len() >= RELOADS), "each had its turn");
}

#[test]
fn other_signals_do_no_harm() {
    let server = Server::script([Reply::ok("right")]);
    let gateway = Gateway::before([&server], "");
    for signal in ["USR1", "USR2", "ALRM", "PIPE"] {
        gateway.signal(signal);
        assert_eq!(gateway.get("/").text(), "right", "{signal}");
    }
}

#[test]
fn systemd_is_told_when_it_is_ready_reloads_and_stops() {
    let folder = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "notify", "");
    let path = Path::new(&folder.path()).with_extension("sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let told = || {
        let mut told = [0; 1000];
        let length = socket.recv(&mut told).unwrap();
        String::from_utf8_lossy(&told[..length]).into_owned()
    };
    let server = Server::script([Reply::ok("right")]);
    let text = config("", &[server.url()], "");
    let mut command = Command::new(&*GATEWAY);
    command.env("NOTIFY_SOCKET", &path);
    let mut gateway = Gateway::run(command, &text);
    assert_eq!(told(), "READY=1\n");
    gateway.reload(&text);
    assert!(told().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(told(), "READY=1\n");
    gateway.signal("TERM");
    assert_eq!((told(), gateway.wait().code()), ("STOPPING=1\n".to_owned(), Some(0)));
}

/// Asks, and tells whether there is an answer, which is then the right one; every other call is a POST.
fn exchange(url: &str, connection: &mut Option<Connection>, call: &str) -> bool {
    if connection.is_none() {
        *connection = Connection::attempt(url).ok();
    }
    let Some(kept) = connection else { return false };
    let method = if call.ends_with(['1', '3', '5', '7', '9']) { "POST" } else { "GET" };
    let length = call.len();
    kept.write(
        format!("{method} /{call} HTTP/1.1\r\nhost: h\r\ncontent-length: {length}\r\n\r\n{call}").as_bytes(),
    );
    let Some(answer) = kept.read(method) else {
        *connection = None;
        return false;
    };
    assert_eq!((answer.status, answer.text()), (200, call));
    assert_eq!(answer.header("x-path"), Some(format!("/{call}").as_str()));
    if answer.header("connection") == Some("close") {
        *connection = None;
    }
    true
}

const RELOADS: usize = 50;

#[test]
fn sigterm_lets_a_slow_reader_have_all_of_its_answer() {
    let body = vec![7; 4 << 20];
    let server = Server::script([Reply::ok(body.clone())]);
    let mut gateway = Gateway::before([&server], "");
    let mut connection = gateway.connect();
    connection.write(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    let is_over = |status: &Value| status["calls"]["answered"] == 1;
    gateway.wait_for_status(is_over);
    gateway.signal("TERM");
    gateway.wait_for_log("no more connections");
    // Longer than a connection without calls has for its last words.
    thread::sleep(Duration::from_secs(3));
    let answer = connection.read("GET").unwrap();
    assert!(answer.whole && answer.body == body, "{} bytes came", answer.body.len());
    assert_eq!(gateway.wait().code(), Some(0));
}
