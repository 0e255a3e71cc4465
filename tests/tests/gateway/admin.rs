//! What operators ask and change, on a listener of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use failover_tests::example::Scratch;
use failover_tests::lab::{Gate, Reply, Server};
use failover_tests::wire::{Answer, Connection};
use serde_json::json;

use crate::{Gateway, config, refusal};

#[test]
fn operators_are_answered_where_no_load_reaches() {
    let gate = Gate::new();
    let server = Server::script([Reply::ok("slow").after(&gate)]);
    let (gateway, operators) = with_admin("max_connections = 1", "", &[&server]);
    let mut busy = gateway.connect();
    busy.write(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n");
    assert_eq!(server.wait_for_requests(1).len(), 1);
    for path in ["/", "/-/failover"] {
        assert_eq!(ask(&operators, "GET", path, "", "").json()["sticky"], 0);
    }
    let metrics = ask(&operators, "GET", "/-/metrics", "", "");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    for (path, text) in [("/-/ready", "ready\n"), ("/-/alive", "alive\n")] {
        assert_eq!(ask(&operators, "GET", path, "", "").text(), text);
        assert_eq!(ask(&operators, "POST", path, "", "").status, 405);
    }
    let unknown = ask(&operators, "GET", "/fo", "", "");
    assert_eq!(unknown.status, 404);
    assert!(unknown.text().contains("expected /-/failover, /-/metrics"), "{}", unknown.text());
    gate.open();
    assert_eq!(busy.read("GET").unwrap().text(), "slow");
}

#[test]
fn a_target_is_taken_out_and_back_by_hand_and_stays_so_over_a_reload() {
    let (first, second) = (Server::script([Reply::ok("first")]), Server::script([Reply::ok("second")]));
    let (gateway, operators) = with_admin("", "", &[&first, &second]);
    let put = |target: &str, state| ask(&operators, "PUT", &format!("/-/targets/{target}/state"), "", state);
    assert_eq!(gateway.get("/").text(), "first");
    let told = put("0", "maintenance");
    assert_eq!(
        told.json(),
        json!({ "index": 0, "name": first.url(), "state": "maintenance", "sticky": true })
    );
    assert_eq!(gateway.get("/").text(), "second");

    let text = fs::read_to_string(gateway.config.path()).unwrap();
    assert!(gateway.reload(&text).contains("was read again"));
    assert_eq!(ask(&operators, "GET", "/-/targets/0/state", "", "").json()["state"], "maintenance");
    let url = format!("'{}'", first.url());
    let drained = text.replace(&url, &format!("{{ url = {url}, state = 'drain' }}"));
    assert!(gateway.reload(&drained).contains("was read again"), "{drained}");
    assert_eq!(
        ask(&operators, "GET", "/-/targets/0/state", "", "").json()["state"],
        "drain",
        "the file says otherwise now"
    );

    // By its name, in which a path has no slash.
    let name = first.url().replace('/', "%2F").replace(':', "%3a");
    assert_eq!(put(&name, "\"ready\"\n").json()["state"], "ready");
    for (target, state, status, said) in [
        ("2", "drain", 404, format!("expected 0 or {}, 1 or {}", first.url(), second.url())),
        ("0", "off", 400, "expected ready, drain or maintenance".to_owned()),
        ("0", "", 400, "expected ready, drain or maintenance".to_owned()),
    ] {
        let refused = put(target, state);
        assert_eq!(refused.status, status);
        assert!(refused.text().contains(&said), "{}", refused.text());
    }
    let refused = ask(&operators, "POST", "/-/targets/0/state", "", "drain");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD, PUT")));
}

#[test]
fn of_two_targets_with_one_url_the_one_that_was_set_stays_set() {
    let server = Server::script([Reply::ok("right")]);
    let (gateway, operators) = with_admin("", "", &[&server, &server, &server]);
    ask(&operators, "PUT", "/-/targets/1/state", "", "maintenance");
    let text = fs::read_to_string(gateway.config.path()).unwrap();
    assert!(gateway.reload(&text).contains("was read again"));
    let state = |index: usize| {
        ask(&operators, "GET", &format!("/-/targets/{index}/state"), "", "").json()["state"].clone()
    };
    assert_eq!([state(0), state(1), state(2)], ["ready", "maintenance", "ready"]);
}

#[test]
fn the_next_call_begins_where_an_operator_prefers() {
    let (first, second) = (Server::script([Reply::ok("first")]), Server::script([Reply::ok("second")]));
    let (gateway, operators) = with_admin("", "", &[&first, &second]);
    assert_eq!(ask(&operators, "PUT", "/-/prefer", "", "1").json()["sticky"], true);
    assert_eq!(gateway.get("/").text(), "second");
    assert_eq!(ask(&operators, "PUT", "/-/prefer", "", &first.url()).json()["index"], 0);
    assert_eq!(ask(&operators, "GET", "/-/prefer", "", "").json()["index"], 0);
    assert_eq!(gateway.get("/").text(), "first");
}

#[test]
fn nothing_is_changed_for_strangers_or_pages_of_others() {
    let server = Server::script([Reply::ok("right")]);
    let token = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "token", "0123456789abcdef\n");
    let (_gateway, operators) = with_admin("", &format!("token_file = '{}'", token.path()), &[&server]);
    let host = operators.strip_prefix("http://").unwrap();
    for (headers, status) in [
        ("", 200),
        (&*format!("origin: http://{host}\r\n"), 200),
        ("origin: http://evil.example\r\n", 403),
        ("origin: null\r\n", 403),
        ("authorization: Bearer 0123456789abcdef\r\n", 200),
        // Whoever gives a token is held to it.
        ("authorization: Bearer 0123456789abcdeX\r\n", 401),
        ("authorization: Bearer 0123456789abcde\r\n", 401),
        ("authorization: Basic 0123456789abcdef\r\n", 401),
        ("authorization: Bearer 0123456789abcdef\r\norigin: http://evil.example\r\n", 403),
    ] {
        let answer = ask(&operators, "PUT", "/-/prefer", headers, "0");
        assert_eq!(answer.status, status, "{headers}");
        let challenge = (status == 401).then_some("Bearer");
        assert_eq!(answer.header("www-authenticate"), challenge);
    }
    // A name that a page had changed to this machine's address.
    for (headers, status) in [("", 401), ("authorization: Bearer 0123456789abcdef\r\n", 200)] {
        let mut connection = Connection::to(&operators);
        let head = "PUT /-/prefer HTTP/1.1\r\nhost: evil.example:80\r\norigin: http://evil.example:80\r\n";
        connection.write(format!("{head}{headers}content-length: 1\r\n\r\n0").as_bytes());
        assert_eq!(connection.read("PUT").unwrap().status, status);
    }
}

#[test]
fn only_the_user_of_the_process_reaches_the_unix_socket_of_operators() {
    let server = Server::script([Reply::ok("right")]);
    let scratch = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "admin", "");
    let path = Path::new(&scratch.path()).with_extension("sock");
    let text = config("", &[server.url()], "") + &format!("[admin]\nlisten = 'unix:{}'\n", path.display());
    let mut gateway = Gateway::configured(&text);
    let operators = gateway.operators();
    assert_eq!(operators, format!("unix:{}", path.display()));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(ask(&operators, "PUT", "/-/prefer", "", "0").status, 200);
    gateway.signal("TERM");
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn rejected_an_admin_listener_that_makes_no_sense_is_named() {
    let short = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "token", "secret\n");
    for (admin, said) in [
        ("admin = 1", "admin: expected a table, [admin], with listen".to_owned()),
        ("admin = {}", "admin.listen is missing: expected an address".to_owned()),
        (
            "admin = { listen = 'x' }",
            "admin.listen = x: expected an address such as 127.0.0.1:9090 or unix:/path".to_owned(),
        ),
        (
            "admin = { listen = 'h:1', port = 1 }",
            "unknown key `admin.port`: the keys here are listen, token_file".to_owned(),
        ),
        ("admin = { listen = 'h:1', token_file = 'no' }", "admin.token_file: No such file".to_owned()),
        (
            &format!("admin = {{ listen = 'h:1', token_file = '{}' }}", short.path()),
            format!("admin.token_file = {}: expected at least 16 visible characters", short.path()),
        ),
    ] {
        let text = config(admin, &["http://h"], "");
        let file = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "gateway.toml", &text);
        let error = refusal(&["--config", &file.path()]);
        assert!(error.contains(&said), "{error}");
        assert!(!error.contains("secret"));
    }
}

/// A gateway before some targets, and where its operators ask.
fn with_admin(top: &str, admin: &str, targets: &[&Server]) -> (Gateway, String) {
    let urls: Vec<_> = targets.iter().map(|target| target.url()).collect();
    let text = config(top, &urls, "") + &format!("[admin]\nlisten = '127.0.0.1:0'\n{admin}\n");
    let mut gateway = Gateway::configured(&text);
    let operators = gateway.operators();
    (gateway, operators)
}

fn ask(operators: &str, method: &str, path: &str, headers: &str, body: &str) -> Answer {
    let mut connection = Connection::to(operators);
    let host = operators.strip_prefix("http://").unwrap_or("localhost");
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\n{headers}content-length: {length}\r\n\r\n{body}"
    );
    connection.write(head.as_bytes());
    connection.read(method).expect("there is an answer")
}
