//! Flags and the configuration file: what is refused, in one line that names the key.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use failover_tests::example::{Run, Scratch};
use failover_tests::lab::{Reply, Server};

use crate::{GATEWAY, Gateway, config, refusal};

#[test]
fn rejected_a_flag_that_makes_no_sense_is_named() {
    for (args, named) in [
        (&[][..], "--config"),
        (&["--config"], "--config"),
        (&["--configuration", "x"], "--configuration"),
        (&["gateway.toml"], "gateway.toml: expected --config FILE, --listen ADDR, --check, --explain FILE"),
        (&["--config=a", "--config=b"], "--config is given twice"),
        (&["--listen=a", "--listen", "b"], "--listen is given twice"),
        (&["--check", "--check"], "--check is given twice"),
        (&["--check=yes"], "--check=yes"),
        (&["--check"], "--config FILE is missing"),
        (&["--config", "/no/such/file.toml"], "/no/such/file.toml"),
        (&["--explain"], "--explain needs a value"),
        (&["--explain=a", "--explain=b"], "--explain is given twice"),
        (&["--explain=a", "--config=b"], "--explain FILE: expected no other flag"),
        (&["--explain=a", "--check"], "--explain FILE: expected no other flag"),
        (&["--explain", "/no/such/record"], "--explain /no/such/record: No such file"),
        (&["--config=/no/such/file.toml", "--listen"], "--listen"),
    ] {
        let error = refusal(args);
        assert!(error.contains(named), "{args:?}: {error}");
    }
}

#[test]
fn rejected_a_key_that_makes_no_sense_is_named_with_its_value() {
    let targets = "[failover]\ntargets = ['http://127.0.0.1:1']\n";
    for (text, said) in [
        ("", "failover: expected a table"),
        ("failover = 1", "failover: expected a table"),
        ("[failover]", "failover.targets = []: expected at least one target"),
        ("[failover]\ntargets = []", "failover.targets = []: expected at least one target"),
        (
            "[failover]\ntargets = ['ftp://h']",
            "failover.targets[0] = ftp://h: expected the scheme http or https",
        ),
        ("[failover]\ntarget = 'x'", "failover.target = x: expected one of targets,"),
        ("[failover]\ntargets = ['http://h']\nrounds = 0", "failover.rounds = 0: expected at least 1"),
        (&format!("listen = 1\n{targets}"), "listen = 1: expected a string"),
        (
            &format!("listen = 'nowhere'\n{targets}"),
            "listen = nowhere: expected an address such as 127.0.0.1:9090",
        ),
        (&format!("base_path = 'fo'\n{targets}"), "base_path = fo: expected a path such as /fo"),
        (&format!("base_path = '/fo?x'\n{targets}"), "base_path = /fo?x: expected a path such as /fo"),
        (&format!("status_path = ''\n{targets}"), "status_path = : expected a path such as /fo"),
        (&format!("metrics_path = 'a b'\n{targets}"), "metrics_path = a b: expected a path such as /fo"),
        (
            &format!("status_path = '/x'\nmetrics_path = '/x'\n{targets}"),
            "metrics_path = /x: expected another path than status_path",
        ),
        (
            &format!("max_connections = 0\n{targets}"),
            "max_connections = 0: expected a whole number from 1 on",
        ),
        (&format!("idle_timeout = '0s'\n{targets}"), "idle_timeout = \"0s\": expected a duration above zero"),
        (
            &format!("idle_timeout = '400days'\n{targets}"),
            "idle_timeout = \"400days\": expected a duration above zero",
        ),
        (
            "[failover]\ntargets = [{ url = 'http://h', headers = { Content-Length = '5' } }]",
            "failover.targets[0].headers.Content-Length = (not shown): expected no header of the connection",
        ),
        (&format!("drain_timeout = 5\n{targets}"), "drain_timeout = 5: expected a duration above zero"),
        (&format!("record = 1\n{targets}"), "record: expected the path of a file, or \"off\""),
        (&format!("colour = 'red'\n{targets}"), "colour = (not shown): expected one of listen, base_path,"),
        (
            "[failover]\ntargets = [{ url = 'https://h', tls = 'inner' }]",
            "failover.targets[0].tls = inner: expected the table [tls.inner]",
        ),
        (&format!("tls = 1\n{targets}"), "tls: expected tables such as [tls.inner]"),
        (
            &format!("{targets}[tls.inner]\nroot = 'ca.pem'"),
            "tls.inner.root: expected one of roots, certificate, key",
        ),
        (&format!("{targets}[tls.inner]\nroots = 1"), "tls.inner.roots: expected the path of a PEM file"),
        (&format!("{targets}[tls.inner]\nroots = 'no.pem'"), "tls.inner.roots = no.pem: No such file"),
        (
            &format!("{targets}[tls.inner]\nroots = 'gateway.toml'"),
            "tls.inner.roots = gateway.toml: expected a certificate in PEM, and there is none",
        ),
        (&format!("listen = \n{targets}"), "line 1: "),
        (&format!("\n\nlisten = 'x'\nlisten = 'y'\n{targets}"), "line 4: "),
    ] {
        let file = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "gateway.toml", text);
        for args in [&["--config", &file.path()][..], &["--config", &file.path(), "--check"]] {
            let error = refusal(args);
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}

#[test]
fn a_file_is_checked_without_any_network() {
    let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let listen = busy.local_addr().unwrap();
    let text = format!(
        "listen = '{listen}'
        base_path = '/fo/'
        metrics_path = '/-/metrics'
        idle_timeout = '90s'
        [failover]
        attempt_timeout = '1500ms'
        failback = 'off'
        checks = {{ path = '/health' }}
        targets = [
            {{ url = 'http://user:s3cret@nonexistentEP/mock', protocol = 'http2', connect = 'unix:/run/app.sock' }},
            {{ url = 'http://{listen}', headers = {{ x-api-key = 's3cret' }} }},
        ]"
    );
    let file = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "gateway.toml", &text);
    let run = Run::of(&GATEWAY, &["--check", "--config", &file.path()]);
    assert_eq!((run.code, run.complaint.as_str()), (0, ""));
    for line in [
        &format!("listen = {listen}"),
        "base_path = /fo",
        "status_path = off",
        "metrics_path = /-/metrics",
        "record = off",
        "max_connections = 1000",
        "idle_timeout = 1m 30s",
        "drain_timeout = 30s",
        "failover.targets[0] = http://nonexistentep/mock, protocol = http2, connect = unix:/run/app.sock",
        &format!("failover.targets[1] = http://{listen}"),
        "failover.preset = default",
        "failover.replay = auto",
        "failover.not_processed = 421, 425, 501",
        "failover.upgrades = websocket",
        "failover.checks = /health every 5s",
        "failover.attempt_timeout = 1s 500ms",
        "failover.deadline = 30s",
        "failover.failback.after = off",
        "failover.cool_down.base = 5s",
    ] {
        assert!(run.printed.lines().any(|printed| printed == line), "{line}: {}", run.printed);
    }
    assert!(!run.printed.contains("s3cret"), "{}", run.printed);
    busy.set_nonblocking(true).unwrap();
    assert!(busy.accept().is_err(), "a target was called");
}

#[test]
fn the_version_is_told() {
    for flag in ["--version", "-V"] {
        let run = Run::of(&GATEWAY, &[flag]);
        let version = concat!("failover-gateway ", env!("CARGO_PKG_VERSION"), "\n");
        assert_eq!((run.code, run.printed.as_str(), run.complaint.as_str()), (0, version, ""));
    }
}

#[test]
fn redacted_a_password_is_in_no_refusal() {
    for text in [
        "[failover]\ntargets = ['http://user:s3cret@h:x/']",
        "[failover]\ntargets = 'http://user:s3cret@h/'",
        "[failover]\ntarget = ['http://user:s3cret@h/']",
        "[failover]\ntargets = [{ url = 'http://user:s3cret@h/', 's3cret' = 1 ",
        "tls.inner.key = \"\"\"-----BEGIN PRIVATE KEY-----\ns3cret\"\"\"\n[failover]\ntargets = ['http://h']",
        "target = 'http://user:s3cret@h/'\n[failover]\ntargets = ['http://h']",
        "base_path = 'http://user:s3cret@h/'\n[failover]\ntargets = ['http://h']",
        "targets = ['http://user:s3cret@h/'",
    ] {
        let file = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "gateway.toml", text);
        let error = refusal(&["--config", &file.path()]);
        assert!(!error.contains("s3cret"), "{text}: {error}");
    }
}

#[test]
fn a_busy_port_is_named() {
    let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let text = config(&format!("listen = '{address}'"), &["http://127.0.0.1:1"], "");
    let file = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "gateway.toml", &text);
    let error = refusal(&["--config", &file.path()]);
    assert!(error.contains(&format!("listen = {address}")), "{error}");
}

#[test]
fn the_flag_wins_over_the_file() {
    let busy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let server = Server::script([Reply::ok("right")]);
    let top = format!("listen = '{}'", busy.local_addr().unwrap());
    assert_eq!(Gateway::configured(&config(&top, &[server.url()], "")).get("/").text(), "right");
}

#[test]
fn the_file_that_comes_with_it_is_the_demo_of_the_seed() {
    let text = include_str!("../../../failover-gateway/gateway.toml");
    let (echo, mock) =
        (Server::script([Reply::stall()]), Server::script([Reply::ok("Mock Resource is Invoked.")]));
    let text = text
        .replace("http://localhost:8080/echo", &format!("{}/echo", echo.url()))
        .replace("http://localhost:8080/mock", &format!("{}/mock", mock.url()))
        .replace("\"5s\"", "\"500ms\"");
    let gateway = Gateway::configured(&text);
    for _ in 0..2 {
        let answer = gateway.get("/fo");
        assert_eq!((answer.status, answer.text()), (200, "Mock Resource is Invoked."));
        assert_eq!(answer.header("content-length"), Some("25"));
    }
    let status = gateway.status();
    let failovers = status["failovers"].as_array().unwrap();
    assert_eq!((&status["sticky"], failovers.len()), (&2.into(), 2));
    assert_eq!(status["targets"][0]["url"], "http://nonexistentep");
    // The pauses, and the attempt that timed out.
    let took: f64 = failovers.iter().map(|failover| failover["longest"].as_f64().unwrap()).sum();
    assert!(took >= 0.5, "{status:#}");
    assert_eq!((echo.requests().len(), mock.requests()[0].target.as_str()), (1, "/mock/"));
}

#[test]
fn secrets_come_from_the_environment_and_from_files() {
    let server = Server::start(|request| {
        Reply::ok(["authorization", "x-env"].map(|name| request.header(name).unwrap()).join(" "))
    });
    let secret = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "secret", "s3cret\n");
    let text = format!(
        "[failover]\ntargets = [{{ url = 'http://user:${{env:PASSWORD}}@{}', headers = {{ x-env = '${{file:{}}} ${{other}} ${{' }} }}]",
        server.address(),
        secret.path(),
    );
    let mut command = Command::new(&*GATEWAY);
    command.env("PASSWORD", "hunter2");
    let gateway = Gateway::run(command, &text);
    assert_eq!(gateway.get("/").text(), "Basic dXNlcjpodW50ZXIy s3cret ${other} ${");
    for (missing, said) in [
        (
            "${env:NO_SUCH_VARIABLE}",
            "failover.targets[0]: ${env:NO_SUCH_VARIABLE}: there is no such variable",
        ),
        ("${file:no/such/file}", "failover.targets[0]: ${file:no/such/file}: No such file"),
    ] {
        let file = Scratch::file(
            env!("CARGO_TARGET_TMPDIR"),
            "gateway.toml",
            &format!("[failover]\ntargets = ['http://user:{missing}@h']"),
        );
        let error = refusal(&["--config", &file.path()]);
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_file_with_a_secret_that_everybody_can_read_is_warned_of() {
    for (target, warns) in [
        ("'http://user:s3cret@h'", true),
        ("{ url = 'http://h', headers = { X-Api-Key = 's3cret' } }", true),
        ("{ url = 'http://h', headers = { x-api-key = '${env:PATH}' } }", false),
        ("{ url = 'http://h', headers = { x-zone = 'a' } }", false),
        ("'http://user@h'", false),
    ] {
        let text = format!("[failover]\ntargets = [{target}]");
        let file = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "gateway.toml", &text);
        for (mode, is_open) in [(0o644, true), (0o640, false)] {
            fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
            let run = Run::of(&GATEWAY, &["--check", "--config", &file.path()]);
            let warned =
                run.printed.contains(&format!("warning: {}: everybody on this machine", file.path()));
            assert_eq!(warned, warns && is_open, "{target}: {}", run.printed);
            assert!(!run.printed.contains("s3cret"));
        }
    }
    let text = "[failover]\ntargets = ['http://user:s3cret@127.0.0.1:1']";
    let gateway = Gateway::configured(text);
    gateway.wait_for_log("everybody on this machine can read it");
}
