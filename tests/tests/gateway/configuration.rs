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
        (&[][..], "not provided: --config <FILE>"),
        (&["--config"], "required for '--config <FILE>'"),
        (&["--confg", "x"], "unexpected argument '--confg' found: a similar argument exists: '--config'"),
        (&["gateway.toml"], "unexpected argument 'gateway.toml' found: try --help"),
        (&["--config=a", "--config=b"], "'--config <FILE>' cannot be used multiple times"),
        (&["--listen=a", "--listen", "b"], "'--listen <ADDR>' cannot be used multiple times"),
        (&["--check", "--check"], "'--check' cannot be used multiple times"),
        (&["--check=yes"], "'yes' for '--check'"),
        (&["--check"], "not provided: --config <FILE>"),
        (&["--config", "/no/such/file.toml"], "/no/such/file.toml"),
        (&["--explain"], "required for '--explain <FILE>'"),
        (&["--explain=a", "--explain=b"], "'--explain <FILE>' cannot be used multiple times"),
        (&["--explain=a", "--config=b"], "'--explain <FILE>' cannot be used with"),
        (&["--explain=a", "--check"], "'--explain <FILE>' cannot be used with"),
        (&["--explain", "/no/such/record"], "--explain /no/such/record: No such file"),
        (&["--config=/no/such/file.toml", "--listen"], "--listen"),
        (&["two\n\nlines"], "unexpected argument 'two"),
    ] {
        let error = refusal(args);
        assert!(error.contains(named), "{args:?}: {error}");
    }
}

#[test]
fn rejected_a_key_of_the_group_is_named_with_its_value_and_its_place() {
    let targets = "[failover]\ntargets = ['http://127.0.0.1:1']\n";
    let target =
        "url, name, headers, attempt_timeout, connect_timeout, state, protocol, connect, server_name, tls";
    for (text, said) in [
        ("", " failover: expected a table, [failover], with targets".to_owned()),
        ("failover = 1", "1:12: failover: expected a table, [failover], with targets".to_owned()),
        ("[failover]", "1:1: failover.targets = []: expected at least one target".to_owned()),
        (
            "[failover]\n  targets = []",
            "2:13: failover.targets = []: expected at least one target".to_owned(),
        ),
        (
            "[failover]\ntargets = [\n  'http://h',\n  'ftp://h',\n]",
            "4:3: failover.targets[1] = ftp://h: expected the scheme http or https".to_owned(),
        ),
        (
            "[[failover.targets]]\nurl = 'http://h'\n[[failover.targets]]\nurl = 'http://i'\nnme = 'i'",
            format!(
                "5:1: unknown key `failover.targets[1].nme`: did you mean `name`? The keys here are {target}"
            ),
        ),
        (
            "[[failover.targets]]\nurl = 'http://h'\n[[failover.targets]]\nname = 'i'",
            "3:1: failover.targets[1].url = : expected a URL such as http://host:8080/base".to_owned(),
        ),
        (
            "[failover]\ntargets = ['http://h']\nrounds = 0",
            "3:10: failover.rounds = 0: expected at least 1".to_owned(),
        ),
        (
            &format!("{targets}[failover.late]\nfactr = 3"),
            "4:1: unknown key `failover.late.factr`: did you mean `factor`? The keys here are factor, floor"
                .to_owned(),
        ),
        (
            &format!("{targets}late.factor = 0"),
            "3:15: failover.late.factor = 0: expected at least 1".to_owned(),
        ),
        (
            &format!("{targets}preset = 'ballerina'\ntimeout = 0"),
            "4:11: failover.timeout = 0ns: expected a time above zero".to_owned(),
        ),
        (
            &format!("{targets}timeout = '5s'"),
            "3:1: unknown key `failover.timeout`: did you mean `attempt_timeout`? `timeout` is one of Ballerina's client, \
             whose keys are read beside preset = \"ballerina\""
                .to_owned(),
        ),
        (
            &format!("{targets}cool_down = {{ strikes = 0 }}"),
            "3:25: failover.cool_down.strikes = 0: expected at least 1".to_owned(),
        ),
        (
            &format!("{targets}deadline = '5s'\ninterval = '5s'"),
            "4:12: failover.interval = 5s: expected less than deadline = 5s".to_owned(),
        ),
        (
            &format!("{targets}preset = 'ballerina'\ndeadline = '5s'\ntimeout = 6"),
            "5:11: failover.timeout = 6s: expected at most deadline = 5s".to_owned(),
        ),
    ] {
        assert_refused(text, &said);
    }
}

#[test]
fn rejected_a_value_of_the_gateways_own_keys_is_named_with_its_place() {
    let targets = "[failover]\ntargets = ['http://127.0.0.1:1']\n";
    let time = "expected a duration above zero such as \"500ms\", at most \"365days\" (units: ns, us, ms, s, m, h, days)";
    let size = "expected a size such as \"64KiB\", \"1MB\" or a number of bytes (units: B, kB, MB, GB, KiB, MiB, GiB)";
    for (text, said) in [
        (&format!("listen = 1\n{targets}"), "1:10: listen = 1: expected a string".to_owned()),
        (
            &format!("listen = 'nowhere'\n{targets}"),
            "1:10: listen = nowhere: expected an address such as 127.0.0.1:9090 or unix:/path".to_owned(),
        ),
        (
            &format!("base_path = 'fo'\n{targets}"),
            "1:13: base_path = fo: expected a path such as /fo".to_owned(),
        ),
        (
            &format!("base_path = '/fo?x'\n{targets}"),
            "1:13: base_path = /fo?x: expected a path such as /fo".to_owned(),
        ),
        (
            &format!("status_path = ''\n{targets}"),
            "1:15: status_path = : expected a path such as /fo, or \"off\"".to_owned(),
        ),
        (
            &format!("# \u{e4}\n \tmetrics_path = 'a b'\n{targets}"),
            "2:18: metrics_path = a b: expected a path such as /fo, or \"off\"".to_owned(),
        ),
        (
            &format!("status_path = '/x'\nmetrics_path = '/x'\n{targets}"),
            "2:16: metrics_path = /x: expected another path than status_path".to_owned(),
        ),
        (
            &format!("max_connections = 0\n{targets}"),
            "1:19: max_connections = 0: expected a whole number from 1 on".to_owned(),
        ),
        (
            &format!("max_request_body = '5 parsecs'\n{targets}"),
            format!("1:20: max_request_body = 5 parsecs: {size}, or \"off\""),
        ),
        (
            &format!("max_request_body = -1\n{targets}"),
            format!("1:20: max_request_body = -1: {size}, or \"off\""),
        ),
        (&format!("idle_timeout = '0s'\n{targets}"), format!("1:16: idle_timeout = 0s: {time}")),
        (&format!("idle_timeout = '400days'\n{targets}"), format!("1:16: idle_timeout = 400days: {time}")),
        (&format!("idle_timeout = false\n{targets}"), format!("1:16: idle_timeout = false: {time}")),
        (&format!("drain_timeout = 5\n{targets}"), format!("1:17: drain_timeout = 5: {time}")),
        (&format!("shutdown_delay = 5\n{targets}"), format!("1:18: shutdown_delay = 5: {time}, or \"off\"")),
    ] {
        assert_refused(text, &said);
    }
}

#[test]
fn rejected_what_else_makes_no_sense_is_named_with_its_place() {
    let targets = "[failover]\ntargets = ['http://127.0.0.1:1']\n";
    let top = "listen, base_path, status_path, metrics_path, trusted_proxies, underscores_in_headers, show_attempts, access_log, \
               record, max_connections, max_headers, max_request_body, idle_timeout, shutdown_delay, drain_timeout, failover, \
               tls, listen_tls, admin";
    for (text, said) in [
        (&format!("show_attempts = 1\n{targets}")[..], "1:17: show_attempts = 1: expected true or false".to_owned()),
        (
            "[failover]\ntargets = [{ url = 'http://h', headers = { Content-Length = '5' } }]",
            "2:61: failover.targets[0].headers.Content-Length = (not shown): expected no header of the connection or of the body's framing"
                .to_owned(),
        ),
        (&format!("record = 1\n{targets}"), "1:10: record: expected the path of a file, or \"off\"".to_owned()),
        (
            &format!("access_log = ''\n{targets}"),
            "1:14: access_log: expected the path of a file, \"-\" for stdout, or \"off\"".to_owned(),
        ),
        (&format!("colour = 'red'\n{targets}"), format!("1:1: unknown key `colour`: the keys here are {top}")),
        (
            &format!("\n  lsten = 'h:1'\n{targets}"),
            format!("2:3: unknown key `lsten`: did you mean `listen`? The keys here are {top}"),
        ),
        (
            "[fialover]\ntargets = ['http://h']",
            format!("1:2: unknown key `fialover`: did you mean `failover`? The keys here are {top}"),
        ),
        (
            &format!("rounds = 2\n{targets}"),
            "1:1: unknown key `rounds`: it belongs in the table [failover]".to_owned(),
        ),
        (
            &format!("body_idle = '1s'\n{targets}"),
            "1:1: unknown key `body_idle`: it belongs in the table [failover]".to_owned(),
        ),
        (
            "[failover]\ntargets = [{ url = 'https://h', tls = 'inner' }]",
            "2:39: failover.targets[0].tls = inner: expected the table [tls.inner]".to_owned(),
        ),
        (
            "[failover]\ntargets = [{ url = 'http://h', tls = 'inner' }]",
            "2:38: failover.targets[0].tls = inner: expected none, since the URL is not one of https".to_owned(),
        ),
        (
            "[failover]\ntargets = [{ url = 'https://h', server_name = 'a b' }]",
            "2:47: failover.targets[0].server_name = a b: expected a host name".to_owned(),
        ),
        (&format!("tls = 1\n{targets}"), "1:7: tls: expected tables such as [tls.inner]".to_owned()),
        (
            &format!("{targets}[tls.inner]\nroot = 'ca.pem'"),
            "4:1: unknown key `tls.inner.root`: did you mean `roots`? The keys here are roots, certificate, key".to_owned(),
        ),
        (
            &format!("{targets}[tls.inner]\nroots = 1"),
            "4:9: tls.inner.roots: expected the path of a PEM file".to_owned(),
        ),
        (
            &format!("{targets}[tls.inner]\nroots = 'no.pem'"),
            "4:9: tls.inner.roots: No such file or directory (os error 2)".to_owned(),
        ),
        (
            &format!("{targets}[tls.inner]\nroots = 'gateway.toml'"),
            "4:9: tls.inner.roots = gateway.toml: expected a certificate in PEM, and there is none".to_owned(),
        ),
        (
            &format!("{targets}[tls.inner]\ncertificate = 'gateway.toml'"),
            "3:1: tls.inner.key is missing: expected the key of tls.inner.certificate".to_owned(),
        ),
        (&format!("listen = \n{targets}"), "1:10: string values must be quoted, expected literal string".to_owned()),
        (&format!("\n\nlisten = 'x'\nlisten = 'y'\n{targets}"), "4:1: duplicate key".to_owned()),
    ] {
        assert_refused(text, &said);
    }
}

#[test]
fn rejected_each_key_of_the_gateway_with_one_wrong_letter_is_told_with_the_right_one() {
    for (around, keys) in [
        (
            "KEY = 1\n",
            "listen base_path status_path metrics_path trusted_proxies underscores_in_headers show_attempts access_log record \
             max_connections max_headers max_request_body idle_timeout shutdown_delay drain_timeout tls listen_tls admin",
        ),
        ("[admin]\nKEY = 1\n", "listen token_file"),
        ("[listen_tls]\nKEY = 1\n", "certificate key"),
        ("[tls.inner]\nKEY = 1\n", "roots certificate key"),
    ] {
        for key in keys.split_whitespace() {
            let swapped = format!("{}{}{}", &key[1..2], &key[..1], &key[2..]);
            for written in
                [format!("{key}s"), key[1..].to_owned(), swapped, key.replacen(['e', 'o', 's'], "x", 1)]
            {
                if keys.split_whitespace().any(|key| key == written) {
                    continue;
                }
                let text = format!("{}[failover]\ntargets = ['http://h']\n", around.replace("KEY", &written));
                let file = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "gateway.toml", &text);
                let error = refusal(&["--config", &file.path()]);
                assert!(
                    error.contains(&format!("did you mean `{key}`? The keys here are ")),
                    "{text}: {error}"
                );
            }
        }
    }
}

#[test]
fn rejected_a_key_that_belongs_above_the_tables_is_told_so() {
    let text = "[failover]\ntargets = ['http://h']\nlisten = 'h:1'";
    let file = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "gateway.toml", text);
    let error = refusal(&["--config", &file.path()]);
    let said = ":3:1: unknown key `failover.listen`: it belongs above the tables\n";
    assert!(error.ends_with(said), "{error}");
}

#[test]
fn whatever_can_be_off_is_off_by_that_word() {
    for word in ["'off'", "false"] {
        let keys = "status_path metrics_path trusted_proxies underscores_in_headers show_attempts access_log record max_headers \
                    max_request_body shutdown_delay listen_tls admin";
        let off = |keys: &str| {
            keys.split_whitespace().map(|key| format!("{key} = {word}\n")).collect::<Vec<_>>().concat()
        };
        let top = off(keys);
        let keys = "deadline upload_deadline body_idle upgrades checks failback cool_down retry_after jitter";
        let text = format!("{top}[failover]\ntargets = ['http://h']\n{}", off(keys));
        let file = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "gateway.toml", &text);
        let run = Run::of(&GATEWAY, &["--check", "--config", &file.path()]);
        assert_eq!((run.code, run.complaint.as_str()), (0, ""));
        for key in "status_path metrics_path trusted_proxies access_log record max_request_body listen_tls admin.listen \
                    failover.deadline failover.upload_deadline failover.body_idle failover.upgrades failover.checks \
                    failover.failback.after failover.cool_down.base failover.retry_after failover.jitter"
            .split_whitespace()
        {
            let line = format!("{key} = off");
            assert!(run.printed.lines().any(|printed| printed == line), "{line}: {}", run.printed);
        }
    }
}

#[test]
fn sizes_have_units_and_tables_have_short_forms() {
    let text = "max_request_body = '10 MB'\n[failover]\ntargets = ['http://h']\nreplay_buffer = '1MiB'\nfailback = '10s'\n\
                cool_down = '1s'\nchecks = '/healthz'\n";
    let file = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "gateway.toml", text);
    let run = Run::of(&GATEWAY, &["--check", "--config", &file.path()]);
    for line in [
        "max_request_body = 10000000",
        "failover.replay_buffer = 1048576",
        "failover.failback.after = 10s",
        "failover.cool_down.base = 1s",
        "failover.checks = /healthz every 5s",
    ] {
        assert!(
            run.printed.lines().any(|printed| printed == line),
            "{line}: {}{}",
            run.printed,
            run.complaint
        );
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
fn help_tells_each_flag() {
    for flag in ["--help", "-h"] {
        let Run { code, printed, complaint } = Run::of(&GATEWAY, &[flag]);
        assert_eq!((code, complaint.as_str()), (0, ""));
        for told in ["--config <FILE>", "--listen <ADDR>", "--check", "--explain <FILE>", "Exit code: 0"] {
            assert!(printed.contains(told), "{told}: {printed}");
        }
    }
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
        "[failover]\ntargets = ['http://h']\nchecks = 'http://user:s3cret@h/healthz'",
        "[failover]\ntargets = ['http://h']\nupgrades = ['user:s3cret@h']",
        "[failover]\ntargets = [{ url = 'http://h', connect = 'user:s3cret@proxy:3128' }]",
        "[failover]\ntargets = [{ url = 'http://h', server_name = 'user:s3cret@h' }]",
        "[failover]\ntargets = [{ url = 'https://h', server_name = 'user:s3cret@h' }]",
        "[failover]\ntargets = [{ url = 'https://h', tls = 'user:s3cret@h' }]",
        "[failover]\ntargets = ['http://user:pa@ss:s3cret']",
        "[admin]\nlisten = 'h:1'\ntoken_file = 's3cret-token-of-mine'\n[failover]\ntargets = ['http://h']",
        "tls.inner.key = 's3cret+/s3cret=='\n[failover]\ntargets = ['http://h']",
    ] {
        let file = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "gateway.toml", text);
        let error = refusal(&["--config", &file.path()]);
        assert!(!error.contains("s3cret"), "{text}: {error}");
    }
    for args in [
        &["http://user:s3cret@h/"][..],
        &["--http://user:s3cret@h/"],
        &["-s3cret@h"],
        &["--targets=http://user:s3cret@h/"],
        &["--config=a", "--check=http://user:s3cret@h/"],
        &["--config=a", "--lis s3cret@h", "b"],
    ] {
        let error = refusal(args);
        assert!(!error.contains("s3cret"), "{args:?}: {error}");
    }
}

#[test]
fn redacted_what_a_string_of_the_file_stands_for_is_in_no_refusal() {
    let secret = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "secret", "s3cret\nof two lines\n");
    let of_file = format!("${{file:{}}}", secret.path());
    for (text, said) in [
        ("listen = '${env:PASSWORD}'\n", "1:10: listen = ${env:PASSWORD}: expected"),
        ("idle_timeout = '${env:PASSWORD}'\n", "1:16: idle_timeout = ${env:PASSWORD}: expected"),
        ("[admin]\nlisten = 'h:1'\ntoken_file = '${env:PASSWORD}'\n", "3:14: admin.token_file: No such file"),
        ("[tls.inner]\nkey = 'x${env:PASSWORD}y'\n", "2:7: tls.inner.key: No such file"),
        ("[failover]\npreset = '${env:PASSWORD}'\n", "2:10: failover.preset = ${env:PASSWORD}: expected"),
        (
            "[failover]\nfailover_codes = [503, '${env:PASSWORD}']\n",
            "2:18: failover.failover_codes = ${env:PASSWORD}: expected",
        ),
        (
            "[failover]\nchecks = '${env:PASSWORD}'\n",
            "2:10: failover.checks.path = ${env:PASSWORD}: expected",
        ),
        (
            "[failover]\nfailback = '${env:PASSWORD}'\n",
            "2:12: failover.failback = ${env:PASSWORD}: expected a duration",
        ),
        ("[failover]\nreplay = 'FILE'\n", "2:10: failover.replay = (not shown): expected"),
        (
            "[failover]\nreplay = 'http://${env:PASSWORD}:${env:PIN}'\n",
            "2:10: failover.replay = (not shown): expected",
        ),
        (
            "[failover]\nchecks = 'http://${env:PASSWORD}:${env:PIN}@h'\n",
            "2:10: failover.checks.path = (not shown): expected",
        ),
        (
            "[failover]\nreplay = '${env:PASSWORD} ${env:PIN}'\n",
            "2:10: failover.replay = ${env:PASSWORD} ${env:PIN}: expected",
        ),
        ("listen = 'unix:/no/${env:PASSWORD}/socket'\n", "failover-gateway: listen: No such file"),
        ("access_log = 'no/${env:PASSWORD}/log'\n", ": access_log: No such file"),
        ("record = 'no/${env:PASSWORD}/record'\n", ": record: No such file"),
    ] {
        let text = text.replace("FILE", &of_file);
        let (top, failover) = text.split_once("[failover]\n").unwrap_or((&text, ""));
        let text = format!("{top}[failover]\n{failover}targets = ['http://h']\n");
        let file = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "gateway.toml", &text);
        let run = Command::new(&*GATEWAY)
            .env("PASSWORD", "hunter2")
            .env("PIN", "hunter2-1234")
            .args(["--config", &file.path()])
            .output();
        let error = String::from_utf8(run.unwrap().stderr).unwrap();
        assert!(error.contains(said), "{text}: {error}");
        assert!(!error.contains("hunter") && !error.contains("1234") && !error.contains("s3cret"), "{error}");
    }
}

#[test]
fn redacted_the_name_of_settings_of_tls_that_are_not_there_is_as_the_file_has_it() {
    let text = "[failover]\ntargets = [{ url = 'https://h', tls = '${env:PASSWORD}' }]\n";
    let file = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "gateway.toml", text);
    let run = Command::new(&*GATEWAY).env("PASSWORD", "hunter2").args(["--config", &file.path()]).output();
    let error = String::from_utf8(run.unwrap().stderr).unwrap();
    let said = ":2:39: failover.targets[0].tls = ${env:PASSWORD}: expected the table [tls.${env:PASSWORD}]";
    assert!(error.contains(said), "{error}");
}

/// Mutilates a file in every place.
#[test]
fn redacted_no_refusal_holds_a_secret_wherever_the_file_is_broken() {
    let secret = "Zq7Kw9Xv";
    let whole = format!(
        "listen = '127.0.0.1:0'\n[failover]\ntargets = [\n  'http://user:{secret}@h/v1',\n  {{ url = 'http://i', headers = {{ x-key = '{secret}' }} }},\n]\n"
    );
    let file = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "gateway.toml", "");
    let mut refused = 0;
    for place in (0..whole.len()).step_by(2) {
        for (length, put) in [(1, ""), (0, "'"), (1, "="), (5, "\n")] {
            let mut broken = whole.clone();
            broken.replace_range(place..(place + length).min(whole.len()), put);
            file.write(&broken);
            let run = Run::of(&GATEWAY, &["--check", "--config", &file.path()]);
            let is_told = secret
                .as_bytes()
                .windows(4)
                .any(|part| run.complaint.as_bytes().windows(4).any(|told| told == part));
            assert!(!is_told, "{broken}: {}", run.complaint);
            refused += usize::from(run.code == 2);
        }
    }
    assert!(refused > 100, "{refused}");
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

/// Asserts that a file is refused, at a start and at a check, in one line that goes on so behind its name.
fn assert_refused(text: &str, said: &str) {
    let file = Scratch::file(env!("CARGO_TARGET_TMPDIR"), "gateway.toml", text);
    for args in [&["--config", &file.path()][..], &["--config", &file.path(), "--check"]] {
        assert_eq!(refusal(args).trim_end(), format!("failover-gateway: {}:{said}", file.path()), "{text}");
    }
}
