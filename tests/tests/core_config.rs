//! The configuration: every key, Ballerina's own keys, and what is refused.

use std::time::Duration;

use failover_core::{
    Backoff, Budget, Checks, Config, CoolDown, Failback, Follow, Late, Policy, Preset, Replay,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};

#[test]
fn the_seeds_configuration_as_json_is_the_seeds_client_where_its_preset_is_named() {
    let config: Config = serde_json::from_str(
        r#"{
            "preset": "ballerina",
            "timeoutInMillis": 5000,
            "failoverCodes": [501, 502, 503],
            "intervalInMillis": 5000,
            "targets": [
                { "url": "http://nonexistentEP/mock1" },
                { "url": "http://localhost:8080/echo" },
                { "url": "http://localhost:8080/mock" }
            ]
        }"#,
    )
    .expect("Ballerina's configuration");
    let expected = Policy::ballerina()
        .attempt_timeout(Duration::from_secs(5))
        .failover_codes("501-503".parse().expect("codes"))
        .interval(Duration::from_secs(5));
    assert_eq!(config.policy, expected);
    assert_eq!(config.targets.len(), 3);
    assert_eq!(config.group().expect("a group").targets()[2].to_string(), "http://localhost:8080");
}

#[test]
fn the_keys_of_its_current_version_are_in_seconds() {
    let policy = read("preset = 'ballerina'\ntimeout = 2.5\ninterval = 1\nfailoverCodes = [503]");
    assert_eq!(
        (policy.attempt_timeout, policy.interval),
        (Duration::from_millis(2500), Duration::from_secs(1))
    );
    assert_eq!(policy.replay, Replay::Always);
}

/// Guards: `Config::of` that takes a key of Ballerina's for its preset, which allows what nobody asked for.
#[test]
fn never_twice_no_spelling_of_a_key_lets_a_request_be_sent_again() {
    for (theirs, ours) in [
        ("timeout", "attempt_timeout"),
        ("timeoutInMillis", "attempt_timeout"),
        ("intervalInMillis", "interval"),
        ("failoverCodes", "failover_codes"),
    ] {
        for preset in ["", "preset = 'default'\n"] {
            let told = format!(
                "unknown key `{theirs}`: did you mean `{ours}`? `{theirs}` is one of Ballerina's client, whose keys are read beside \
                 preset = \"ballerina\""
            );
            assert_eq!(refused(&format!("{preset}{theirs} = 503")), told);
            assert_eq!(refused(&format!("{theirs} = 503\ntargets = ['http://a']")), told);
        }
    }
    assert_eq!(read("preset = 'ballerina'\nreplay = 'auto'\ntimeout = 5").replay, Replay::Auto);
}

#[test]
fn every_knob_is_a_key() {
    let policy = read(
        r#"
        preset = "default"
        failover_codes = ["5xx", 429, "!501"]
        not_processed = 421
        replay = "never"
        connect_timeout = "1s"
        attempt_timeout = "2s"
        deadline = "1m 30s"
        upload_deadline = "1h"
        body_idle = "1m"
        upgrades = ["websocket", "tcp"]
        interval = "500ms"
        rounds = 2
        backoff = { base = "10ms", max = "1s" }
        max_attempts = 4
        free_repeat = false
        replay_buffer = "1MiB"
        follow = "answer"
        leave_after = 5
        late = { factor = 4, floor = "250ms" }
        failback = { after = "10s", max = "1m" }
        cool_down = { base = "1s", max = "2s" }
        jitter = false
        checks = { path = "/up", every = "1s", timeout = "500ms", fall = 4, rise = 1, statuses = [204] }
        retry_after = "1m"
        budget = { percent = 10, reserve = 3 }
        seed = 7
        "#,
    );
    let seconds = Duration::from_secs;
    let expected = Policy::default()
        .failover_codes("5xx, 429, !501".parse().expect("codes"))
        .not_processed(Some("421".parse().expect("codes")))
        .replay(Replay::Never)
        .connect_timeout(seconds(1))
        .attempt_timeout(seconds(2))
        .deadline(Some(seconds(90)))
        .upload_deadline(Some(seconds(3600)))
        .body_idle(seconds(60))
        .upgrades(["websocket", "tcp"])
        .interval(Duration::from_millis(500))
        .rounds(2)
        .backoff(Backoff { base: Duration::from_millis(10), max: seconds(1) })
        .max_attempts(Some(4))
        .free_repeat(false)
        .replay_buffer(1 << 20)
        .follow(Follow::Answer)
        .leave_after(5)
        .late(Some(Late { factor: 4, floor: Duration::from_millis(250) }))
        .failback(Some(Failback { after: seconds(10), max: seconds(60) }))
        .cool_down(Some(CoolDown { base: seconds(1), max: seconds(2) }))
        .checks(Some(Checks {
            path: "/up".to_owned(),
            every: seconds(1),
            timeout: Duration::from_millis(500),
            fall: 4,
            rise: 1,
            statuses: "204".parse().expect("codes"),
        }))
        .retry_after(Some(seconds(60)))
        .budget(Some(Budget { percent: 10, reserve: 3 }))
        .jitter(false)
        .seed(7);
    assert_eq!(policy, expected);
}

#[test]
fn what_is_not_set_is_as_in_the_preset() {
    assert_eq!(read(""), Policy::default());
    assert_eq!(read("preset = 'ballerina'"), Policy::ballerina());
    let expected = Policy::ballerina().failback(Failback::default());
    assert_eq!(read("preset = 'ballerina'\nfailback = 'on'"), expected);
    let off = "failback = 'off'\ncool_down = 'none'\nretry_after = false\ndeadline = 'never'\nbudget = 'off'\nlate = 'off'";
    let expected =
        Policy::default().failback(None).cool_down(None).retry_after(None).deadline(None).late(None);
    assert_eq!(read(off), expected);
    assert_eq!(read("late = 'on'"), Policy::default());
    assert_eq!(read("follow = 'strikes'"), Policy::default());
    let late = |factor, floor| Some(Late { factor, floor: Duration::from_millis(floor) });
    assert_eq!(read("late = { factor = 5 }").late, late(5, 1_000));
    assert_eq!(read("late = { floor = '2s' }").late, late(3, 2_000));
    assert_eq!(read("preset = 'ballerina'\nlate = { }").late, late(3, 1_000), "a table turns it on");
    let preset = |config| toml::from_str::<Config>(config).expect("a configuration").preset;
    assert_eq!([preset(""), preset("preset = 'default'")], [Preset::Default; 2]);
    assert_eq!(preset("preset = 'ballerina'"), Preset::Ballerina);
    assert_eq!(read("not_processed = 'all'"), Policy::default().not_processed(None));
    assert!(read("failover_codes = []").failover_codes.is_empty());
}

/// Guards: `Config::set` that drops the strikes of older files, or takes them for another knob; `Config::read` that lets
/// one of two silently win.
#[test]
fn the_strikes_of_the_cool_down_are_the_older_name_of_leave_after() {
    let older = read("cool_down = { strikes = 5, base = '1s' }");
    let newer = read("leave_after = 5\ncool_down = { base = '1s' }");
    assert_eq!((older.leave_after, &older), (5, &newer));
    assert_eq!(read("cool_down = { base = '1s' }").leave_after, Policy::default().leave_after);
    for cool_down in ["{ strikes = 5 }", "{ strikes = 4, base = '1s' }"] {
        assert_eq!(
            refused(&format!("leave_after = 4\ncool_down = {cool_down}")),
            "leave_after = 4: expected this key or cool_down.strikes, which is its older name"
        );
    }
    assert_eq!(refused("cool_down = { strikes = 0 }"), "cool_down.strikes = 0: expected at least 1");
}

#[test]
fn a_target_has_headers_of_its_own_which_are_never_shown() {
    let config: Config =
        toml::from_str("targets = ['http://a', { url = 'http://b', headers = { x-api-key = 's3cret' } }]")
            .expect("a configuration");
    assert!(config.targets[0].headers().is_empty());
    assert_eq!(config.targets[1].headers()["x-api-key"], "s3cret");
    assert!(!format!("{config:?} {:?}", config.targets[1].headers()).contains("s3cret"));
    for (headers, key) in [
        ("'x y' = 's3cret'", "headers"),
        ("'Authorization: Bearer s3cret' = ''", "headers"),
        ("x-key = 7", "headers.x-key"),
    ] {
        let broken = refused(&format!("targets = [{{ url = 'http://a', headers = {{ {headers} }} }}]"));
        let told = "(not shown): expected a header name and its value as a string";
        assert_eq!(broken, format!("targets[0].{key} = {told}"));
    }
}

#[test]
fn rejected_names_the_key_the_value_and_what_would_be_right() {
    for (config, error) in [
        ("rounds = 0", "rounds = 0: expected at least 1"),
        ("rounds = 256", "rounds = 256: expected a whole number from 0 to 255"),
        ("rounds = 'two'", "rounds = two: expected a whole number from 0 to 255"),
        ("max_attempts = -1", "max_attempts = -1: expected a whole number from 0 to 65535, or \"off\""),
        (
            "attempt_timeout = 5",
            "attempt_timeout = 5: expected a duration such as \"5s\" or \"500ms\" (units: ns, us, ms, s, m, h, days)",
        ),
        (
            "attempt_timeout = '1M'",
            "attempt_timeout = 1M: expected a duration such as \"5s\" or \"500ms\" (units: ns, us, ms, s, m, h, days)",
        ),
        (
            "attempt_timeout = '-5s'",
            "attempt_timeout = -5s: expected a duration such as \"5s\" or \"500ms\" (units: ns, us, ms, s, m, h, days)",
        ),
        (
            "timeoutInMillis = -5",
            "timeoutInMillis = -5: expected a time that is not negative and not too long",
        ),
        (
            "interval = nan",
            "interval = NaN: expected a time that is not negative and not too long, or \"off\"",
        ),
        ("timeout = 0", "timeout = 0ns: expected a time above zero"),
        ("timeoutInMillis = 0", "timeoutInMillis = 0ns: expected a time above zero"),
        ("deadline = '0s'", "deadline = 0ns: expected a time above zero"),
        ("replay = 'sometimes'", "replay = sometimes: expected one of auto, methods, always, never"),
        ("preset = 'hasty'", "preset = hasty: expected one of ballerina, default"),
        ("free_repeat = 1", "free_repeat = 1: expected one of on, off"),
        (
            "failover_codes = [503, 1000]",
            "failover_codes = 1000: expected status codes such as 503, \"501-504\" or \"5xx, !501\", or \"off\"",
        ),
        (
            "failoverCodes = '99'",
            "failoverCodes = 99: expected status codes such as 503, \"501-504\" or \"5xx, !501\", or \"off\"",
        ),
        ("follow = 'calls'", "follow = calls: expected one of strikes, answer"),
        ("leave_after = 0", "leave_after = 0: expected at least 1"),
        ("leave_after = 256", "leave_after = 256: expected a whole number from 0 to 255"),
        ("late = { factor = 0 }", "late.factor = 0: expected at least 1"),
        ("late = { factor = 1.5 }", "late.factor = 1.5: expected a whole number from 0 to 4294967295"),
        ("late = { floor = '0s' }", "late.floor = 0ns: expected a time above zero"),
        ("late = 3", "late = 3: expected a table of factor, floor, or \"off\""),
        ("failback = { after = '0s' }", "failback.after = 0ns: expected a time above zero"),
        ("cool_down = { base = '0s' }", "cool_down.base = 0ns: expected a time above zero"),
        ("retry_after = '0s'", "retry_after = 0ns: expected a time above zero"),
        (
            "upgrades = 'websocket'",
            "upgrades = websocket: expected a list of names such as [\"websocket\"], or \"off\"",
        ),
        (
            "upgrades = ['tcp', 'H2C']",
            "upgrades[1] = H2C: expected the name of a protocol such as websocket, and none of h2c, HTTP and TLS",
        ),
        (
            "upgrades = ['HTTP/2.0']",
            "upgrades[0] = HTTP/2.0: expected the name of a protocol such as websocket, and none of h2c, HTTP and TLS",
        ),
        (
            "upgrades = ['web, socket']",
            "upgrades[0] = web, socket: expected the name of a protocol such as websocket, and none of h2c, HTTP and TLS",
        ),
        ("body_idle = '0s'", "body_idle = 0ns: expected a time above zero"),
        ("targets = 'http://a'", "targets = http://a: expected a list of targets"),
        ("targets = 'http://u:p@a/x'", "targets = http://a: expected a list of targets"),
        ("rounds = ['http://u:p@a', 2]", "rounds = [http://a, 2]: expected a whole number from 0 to 255"),
        ("checks = 'http://u:p@a/x'", "checks.path = http://a: expected a path such as /healthz"),
        ("targets = ['http://u:p@a:p/x']", "targets[0] = http://a: expected a port from 0 to 65535"),
        (
            "targets = [{ url = 'http://a', connect = 'u:p@a:3128' }]",
            "targets[0].connect = a:3128: expected host:port, or unix:/path",
        ),
        ("targets = ['ftp://u:p@a/x']", "targets[0] = ftp://a: expected the scheme http or https"),
        (
            "targets = [{ url = 'nohost' }]",
            "targets[0].url = nohost: expected a URL with a scheme and a host, such as http://host:8080/base",
        ),
        ("targets = [{ }]", "targets[0].url = : expected a URL such as http://host:8080/base"),
    ] {
        assert_eq!(refused(config), error, "{config}");
    }
    let twice = refused("timeout = 5\nattempt_timeout = '5s'");
    assert_eq!(twice, "attempt_timeout = 5s: expected only one of attempt_timeout, timeout, timeoutInMillis");
    let empty = toml::from_str::<Config>("").expect("a policy").group().expect_err("no targets");
    assert_eq!(empty.to_string(), "targets = []: expected at least one target");
}

#[test]
fn rejected_an_unknown_key_is_told_with_the_one_that_was_likely_meant_and_with_those_that_there_are() {
    let knobs = "targets, preset, failover_codes, not_processed, replay, connect_timeout, attempt_timeout, deadline, \
                 upload_deadline, body_idle, upgrades, interval, rounds, backoff, max_attempts, free_repeat, replay_buffer, \
                 follow, leave_after, late, failback, cool_down, checks, retry_after, budget, judge, jitter, seed";
    let ballerina = &format!("{knobs}, timeout, timeoutInMillis, intervalInMillis, failoverCodes")[..];
    let target =
        "url, name, headers, attempt_timeout, connect_timeout, state, protocol, connect, server_name, tls";
    let rule = "preset, when, verdict, processed, harm, replay";
    for (config, told, meant, keys) in [
        ("atempt_timeout = '5s'", "atempt_timeout", "attempt_timeout", knobs),
        ("failover_code = 503", "failover_code", "failover_codes", knobs),
        ("timout = 5", "timout", "attempt_timeout", knobs),
        ("timeout_in_millis = 5000", "timeout_in_millis", "attempt_timeout", knobs),
        ("intervalInMilis = 5000", "intervalInMilis", "interval", knobs),
        ("failoverCode = 503", "failoverCode", "failover_codes", knobs),
        ("preset = 'default'\ntimout = 5", "timout", "attempt_timeout", knobs),
        ("preset = 'ballerina'\ntimout = 5", "timout", "timeout", ballerina),
        ("target = [{ url = 'http://a' }, 'http://u:p@a/x']", "target", "targets", knobs),
        ("leave-after = 3", "leave-after", "leave_after", knobs),
        ("retries = 3", "retries", "", knobs),
        ("\"a\\nb\" = 3", "a\\nb", "", knobs),
        ("'http://u:s3cret@h' = 3", "(not shown)", "", knobs),
        ("late = { after = '1s' }", "late.after", "", "factor, floor"),
        ("late = { facto = 3 }", "late.facto", "factor", "factor, floor"),
        ("failback = { afer = '1s' }", "failback.afer", "after", "after, max"),
        ("cool_down = { bse = '1s' }", "cool_down.bse", "base", "base, max, strikes"),
        ("backoff = { mx = '1s' }", "backoff.mx", "max", "base, max"),
        ("budget = { percents = 1 }", "budget.percents", "percent", "percent, reserve"),
        ("checks = { Path = '/' }", "checks.Path", "path", "path, every, timeout, fall, rise, statuses"),
        (
            "targets = ['http://a', { url = 'http://b', secureSocket = 1 }]",
            "targets[1].secureSocket",
            "",
            target,
        ),
        ("targets = [{ uri = 'http://b' }]", "targets[0].uri", "url", target),
        ("targets = [{ header = 7, url = 'http://b' }]", "targets[0].header", "headers", target),
        ("[[judge]]\nwen = { status = 200 }", "judge[0].wen", "when", rule),
        ("[[judge]]\npreset = 'llm'\nharms = 1", "judge[0].harms", "harm", rule),
        (
            "[[judge]]\npreset = 'llm'\n[[judge]]\nwhen = { satus = 200 }",
            "judge[1].when.satus",
            "status",
            "method, path, status, header, type, body_has, json, in",
        ),
    ] {
        let expected = match meant {
            "" => format!("unknown key `{told}`: the keys here are {keys}"),
            _ => format!("unknown key `{told}`: did you mean `{meant}`? The keys here are {keys}"),
        };
        assert_eq!(refused(config), expected, "{config}");
    }
}

#[test]
fn whatever_can_be_off_is_off_by_that_word_and_what_cannot_says_what_would_be_right() {
    let none = Backoff { base: Duration::ZERO, max: Duration::ZERO };
    let off = Policy::default()
        .failover_codes("".parse().expect("codes"))
        .not_processed(Some("".parse().expect("codes")))
        .deadline(None)
        .upgrades([""; 0])
        .backoff(none)
        .free_repeat(false)
        .replay_buffer(0)
        .late(None)
        .failback(None)
        .cool_down(None)
        .retry_after(None)
        .jitter(false);
    let knobs = "failover_codes not_processed deadline upload_deadline body_idle upgrades interval backoff max_attempts \
                 free_repeat replay_buffer late failback cool_down checks retry_after budget judge jitter";
    for word in ["'off'", "false"] {
        let config: Vec<_> = knobs.split_whitespace().map(|knob| format!("{knob} = {word}\n")).collect();
        assert_eq!(read(&config.concat()), off);
        assert_eq!(
            read(&format!("preset = 'ballerina'\nintervalInMillis = {word}")).interval,
            Duration::ZERO
        );
    }
    for (config, error) in [
        ("attempt_timeout = false", format!("attempt_timeout = false: expected {DURATION}")),
        ("connect_timeout = 'off'", format!("connect_timeout = off: expected {DURATION}")),
        ("deadline = true", format!("deadline = true: expected {DURATION}, or \"off\"")),
        ("retry_after = 5", format!("retry_after = 5: expected {DURATION}, or \"off\"")),
        ("rounds = 'off'", "rounds = off: expected a whole number from 0 to 255".to_owned()),
        ("follow = false", "follow = false: expected one of strikes, answer".to_owned()),
        ("late = 'of'", "late = of: expected a table of factor, floor, or \"off\"".to_owned()),
        ("jitter = 0.1", "jitter = 0.1: expected one of on, off".to_owned()),
        ("interval = 'none'", format!("interval = none: expected {DURATION}, or \"off\"")),
        (
            "max_attempts = 'never'",
            "max_attempts = never: expected a whole number from 0 to 65535, or \"off\"".to_owned(),
        ),
        ("replay_buffer = 'none'", format!("replay_buffer = none: expected {SIZE}, or \"off\"")),
        ("judge = 1", "judge = 1: expected a list of rules, or \"off\"".to_owned()),
        ("replay_buffer = true", format!("replay_buffer = true: expected {SIZE}, or \"off\"")),
    ] {
        assert_eq!(refused(config), error, "{config}");
    }
}

#[test]
fn what_a_table_is_mostly_about_can_stand_for_it() {
    for (short, long) in [
        ("failback = '10s'", "failback = { after = '10s' }"),
        ("failback = '1h'", "failback = { after = '1h', max = '1h' }"),
        ("cool_down = '1s'", "cool_down = { base = '1s' }"),
        ("cool_down = '1h'", "cool_down = { base = '1h', max = '1h' }"),
        ("backoff = '1s'", "backoff = { base = '1s', max = '1s' }"),
        ("backoff = { max = '1s' }", "backoff = { base = '25ms', max = '1s' }"),
        ("checks = '/up'", "checks = { path = '/up' }"),
        ("budget = '20%'", "budget = { percent = 20 }"),
        ("budget = { percent = '20 %', reserve = 1 }", "budget = { percent = 20, reserve = 1 }"),
    ] {
        assert_eq!(read(short), read(long), "{short}");
    }
    for (config, error) in [
        ("failback = 30", format!("failback = 30: expected {DURATION}, or a table of after, max, or \"off\"")),
        ("failback = '0s'", "failback.after = 0ns: expected a time above zero".to_owned()),
        ("cool_down = 3", format!("cool_down = 3: expected {DURATION}, or a table of base, max, strikes, or \"off\"")),
        ("backoff = []", format!("backoff = []: expected {DURATION}, or a table of base, max, or \"off\"")),
        (
            "budget = '20'",
            "budget = 20: expected a part of the calls such as \"20%\", or a table of percent, reserve, or \"off\""
                .to_owned(),
        ),
        (
            "failback = { after = '1m', max = '30s' }",
            "failback.after = 60s: expected at most failback.max = 30s".to_owned(),
        ),
    ] {
        assert_eq!(refused(config), error, "{config}");
    }
}

#[test]
fn a_size_is_a_number_of_bytes_or_has_a_unit() {
    for (size, bytes) in [
        ("0", 0),
        ("65536", 65_536),
        ("'512'", 512),
        ("'512 B'", 512),
        ("'64KiB'", 64 << 10),
        ("'64 kib'", 64 << 10),
        ("'8MiB'", 8 << 20),
        ("'2GiB'", 2 << 30),
        ("'64kB'", 64_000),
        ("'64KB'", 64_000),
        ("'1 MB'", 1_000_000),
        ("'1GB'", 1_000_000_000),
    ] {
        assert_eq!(read(&format!("replay_buffer = {size}")).replay_buffer, bytes, "{size}");
    }
    for (size, shown) in [
        ("-1", "-1"),
        ("1.5", "1.5"),
        ("'1.5MB'", "1.5MB"),
        ("'MB'", "MB"),
        ("''", ""),
        ("'1 parsec'", "1 parsec"),
        ("'-1MB'", "-1MB"),
        ("'99999999999GiB'", "99999999999GiB"),
    ] {
        let error = format!("replay_buffer = {shown}: expected {SIZE}, or \"off\"");
        assert_eq!(refused(&format!("replay_buffer = {size}")), error);
    }
}

/// Guards: `Reading::refuse` that refuses what stands elsewhere, or nothing before the end; `Key` that takes what there is not.
#[test]
fn what_is_refused_is_refused_where_it_stands() {
    for (config, place) in [
        ("rounds = 1\natempt_timeout = '5s'", "atempt_timeout"),
        ("rounds = 1\nattempt_timeout = 5\n", "5"),
        ("rounds = 0", "0"),
        ("[late]\nfactor = 3\nflor = '1s'", "flor"),
        ("late = { factor = 3, floor = 'soon' }", "'soon'"),
        ("targets = ['http://a',\n  'ftp://b']", "'ftp://b'"),
        ("targets = ['http://a',\n  { url = 'http://b', nam = 'b' }]", "nam"),
        ("targets = [{ name = 7 }]", "7"),
        ("targets = ['http://a', { name = 'b' }]", "{ name = 'b' }"),
        ("targets = [{ url = 'http://b', headers = { 'x y' = 's3cret' } }]", "{ 'x y' = 's3cret' }"),
        ("targets = [{ url = 'http://b', headers = { x-key = 7 } }]", "7"),
        ("[[judge]]\npreset = 'llm'\n[[judge]]\nwhen = { status = 20 }", "20"),
        ("[[judge]]\nwhen = { in = [1] }", "{ in = [1] }"),
        ("failover_codes = [503, 1000]", "[503, 1000]"),
        ("checks = { every = '1s' }", "{ every = '1s' }"),
        ("preset = 'ballerina'\ntimeout = 0", "0"),
        ("rounds = 2\ncool_down = { strikes = 0 }", "{ strikes = 0 }"),
        ("upgrades = ['tcp', 'H2C']", "['tcp', 'H2C']"),
        ("cool_down = { base = '1h', max = '5m' }", "{ base = '1h', max = '5m' }"),
    ] {
        let error = toml::from_str::<Config>(config).expect_err(config);
        let span = error.span().expect("a place");
        assert_eq!(&config[span], place, "{config}: {}", error.message());
        let table: toml::Table = toml::from_str(config).expect("TOML");
        let refused = Config::read(table).expect("a table").expect_err(config);
        assert_eq!(refused.to_string(), error.message(), "{config}");
    }
    for (config, line, column) in [
        ("{\n  \"rounds\": 1,\n  \"roundz\": 2\n}", 3, 10),
        ("{\n  \"late\": {\n    \"floor\": 5 }\n}", 3, 14),
        ("{\n  \"targets\": [\"http://a\",\n  \"ftp://b\"]\n}", 3, 11),
    ] {
        let error = serde_json::from_str::<Config>(config).expect_err(config);
        assert_eq!((error.line(), error.column()), (line, column), "{error}");
    }
}

/// Guards: `Reading::refuse` that takes for wrong what another entry makes right.
#[test]
fn nothing_is_refused_for_what_stands_beside_it() {
    for config in [
        "backoff = { base = '1s', max = '2s' }",
        "cool_down = { base = '10m', max = '20m' }",
        "targets = [{ name = 'a', url = 'http://a' }]",
        "[[judge]]\nprocessed = false\nharm = true\nverdict = 'elsewhere'\nwhen = { in = [1], json = '/a' }",
        "[[judge]]\nreplay = 'always'\nwhen = { path = '/a' }",
        "checks = { every = '1s', path = '/' }",
        "attempt_timeout = '50s'\ndeadline = '1m'",
    ] {
        assert!(toml::from_str::<Config>(config).is_ok(), "{config}");
    }
}

#[test]
fn what_is_no_table_at_all_is_refused_without_being_shown() {
    for json in ["\"http://u:s3cret@h\"", "[\"s3cret\"]", "7", "null", "true"] {
        let error = serde_json::from_str::<Config>(json).expect_err(json).to_string();
        assert!(error.starts_with("configuration = (not shown): expected a table with targets"), "{error}");
    }
}

#[test]
fn rejected_two_bounds_that_contradict_each_other() {
    assert_eq!(
        refused("late = { floor = '3s' }\nattempt_timeout = '2s'"),
        "late.floor = 3s: expected at most attempt_timeout = 2s"
    );
    assert!(read("attempt_timeout = '500ms'").late.is_some(), "a default contradicts nothing");
    for (preset, timeout) in [
        ("default", "attempt_timeout = '6s'"),
        ("ballerina", "attempt_timeout = '6s'"),
        ("ballerina", "timeout = 6"),
        ("ballerina", "timeoutInMillis = 6000"),
    ] {
        let config = format!("preset = '{preset}'\ndeadline = '5s'\n{timeout}");
        let key = timeout.split(' ').next().expect("a key");
        assert_eq!(refused(&config), format!("{key} = 6s: expected at most deadline = 5s"), "{config}");
    }
    for (config, error) in [
        ("deadline = '5s'\ninterval = '5s'", "interval = 5s: expected less than deadline = 5s"),
        ("deadline = '5s'\ninterval = 6", "interval = 6s: expected less than deadline = 5s"),
        (
            "preset = 'ballerina'\ndeadline = '5s'\nintervalInMillis = 5000",
            "intervalInMillis = 5s: expected less than deadline = 5s",
        ),
        (
            "deadline = '5s'\ntargets = ['http://a', { url = 'http://b', attempt_timeout = '6s' }]",
            "targets[1].attempt_timeout = 6s: expected at most deadline = 5s",
        ),
    ] {
        assert_eq!(refused(config), error);
    }
    assert_eq!(
        refused("deadline = '0s'\nattempt_timeout = '6s'"),
        "deadline = 0ns: expected a time above zero"
    );
}

#[test]
fn rejected_is_no_bound_that_a_default_can_give_way_to() {
    for (config, attempt_timeout, deadline) in [
        ("deadline = '5s'", 5, Some(5)),
        ("deadline = '20s'", 10, Some(20)),
        ("deadline = 'off'", 10, None),
        ("attempt_timeout = '1m'", 60, Some(60)),
        ("attempt_timeout = '20s'", 20, Some(30)),
        ("attempt_timeout = '5s'\ndeadline = '5s'", 5, Some(5)),
        ("attempt_timeout = '1m'\ndeadline = 'off'", 60, None),
        ("preset = 'ballerina'\ndeadline = '5s'", 5, Some(5)),
        ("preset = 'ballerina'\ntimeout = 60", 60, None),
        ("interval = '9s'", 10, Some(30)),
        ("interval = '40s'", 10, Some(90)),
        ("interval = '40s'\ndeadline = 'off'", 10, None),
        ("interval = '4s'\ndeadline = '5s'", 5, Some(5)),
        ("interval = 'off'\ndeadline = '1ms'", 0, Some(0)),
        ("targets = [{ url = 'http://a', attempt_timeout = '1m' }]", 10, Some(60)),
        ("attempt_timeout = '2m'\ntargets = [{ url = 'http://a', attempt_timeout = '1m' }]", 120, Some(120)),
    ] {
        let policy = read(config);
        let bounds = (policy.attempt_timeout.as_secs(), policy.deadline.map(|deadline| deadline.as_secs()));
        assert_eq!(bounds, (attempt_timeout, deadline), "{config}");
    }
}

#[test]
fn a_snapshot_serializes() {
    use failover_core::{Action, Evidence, Facts, Timestamp};
    let group = toml::from_str::<Config>("targets = ['http://a', 'http://b']")
        .expect("a configuration")
        .group()
        .expect("a group");
    let facts = Facts::of(&http::Method::GET, &http::HeaderMap::new());
    let call = failover_tests::world::first(group.begin::<(), _>(facts, Timestamp::ORIGIN));
    let Action::Send(call) = call.handle_error(Evidence::NoConnection, "", Timestamp::ORIGIN) else {
        panic!("it goes on")
    };
    let answer = call.handle_response(http::StatusCode::OK, None, (), Timestamp::ORIGIN);
    assert!(matches!(answer, Action::Return(_)));
    let json = serde_json::to_value(group.snapshot(Timestamp::ORIGIN)).expect("JSON");
    assert_eq!(json["sticky"], 1);
    assert_eq!(json["targets"][0]["last_failure"], "no_connection");
    assert!(json["targets"][0]["cooling"].as_f64().is_some_and(|seconds| (4.9..=6.0).contains(&seconds)));
    assert!(json["targets"][1]["cooling"].is_null());
    assert!(json["targets"][0]["probe_in"].as_f64().is_some_and(|seconds| (29.9..=36.0).contains(&seconds)));
    assert_eq!(
        (&json["targets"][0]["strikes"], &json["targets"][0]["failed_probes"]),
        (&3.into(), &0.into())
    );
    assert!(json["targets"][1]["probe_in"].is_null() && json["targets"][1]["usual"].is_null());
    assert_eq!(json["probes"], 0);
}

#[test]
fn rejected_a_number_is_one_however_large_it_is() {
    for (json, error) in [
        (
            "{ \"rounds\": 18446744073709551615 }",
            "rounds = 18446744073709552000: expected a whole number from 0 to 255",
        ),
        (
            "{ \"targets\": [{ \"name\": 18446744073709551615 }] }",
            "targets[0].name = 18446744073709552000: expected a name",
        ),
    ] {
        let told = serde_json::from_str::<Config>(json).expect_err(json).to_string();
        assert!(told.starts_with(error), "{told}");
    }
}

/// Guards: `Config::read` that goes by the keys before a wrong one: a format may hand them over in any order.
#[test]
fn a_key_of_ballerinas_client_with_one_wrong_letter_is_told_where_its_preset_is_meant() {
    for meant in ["timeout", "timeoutInMillis", "intervalInMillis", "failoverCodes"] {
        for (change, place, letter) in (0..4)
            .flat_map(|change| (0..meant.len()).map(move |place| (change, place)))
            .flat_map(|(change, place)| ["a", "Z", "_"].map(|letter| (change, place, letter)))
        {
            let written = with_a_wrong_letter(meant, change, place, letter);
            let config = format!("preset = 'ballerina'\n{written} = 1");
            let table: toml::Table = toml::from_str(&config).expect("TOML");
            let Err(error) = Config::read(table).expect("a table") else { continue };
            if error.is_unknown_key() {
                let told = error.to_string();
                let told = told.split('`').nth(3).unwrap_or_default();
                assert_eq!(plain(told), plain(meant), "{config}: {error}");
            }
        }
    }
}

proptest! {
    #![proptest_config(failover_tests::properties("regressions/core_config.txt"))]

    #[test]
    fn no_text_panics(key in "[a-zA-Z_]{1,20}|rounds|targets|failback|budget|interval|replay_buffer", value in "[0-9a-z'\"{}\\[\\], =.-]{0,20}") {
        if let Err(error) = toml::from_str::<Config>(&format!("{key} = {value}")) {
            prop_assert!(!error.message().is_empty());
        }
    }

    /// Guards: `nearest` that takes another key for nearer, or none for near.
    #[test]
    fn any_key_with_one_wrong_letter_is_told_with_the_right_one(
        (around, keys) in select(LEVELS), key: Index, change in 0..4_u8, place: Index, letter in "[a-zA-Z0-9_-]",
    ) {
        let meant = *key.get(keys);
        let written = with_a_wrong_letter(meant, change, place.index(meant.len()), &letter);
        if !written.is_empty() && !keys.contains(&written.as_str()) {
            let config = around.replace("KEY", &format!("{written} = 1"));
            let error = toml::from_str::<Config>(&config).expect_err(&config);
            let told = error.message().split('`').nth(3).unwrap_or_default();
            prop_assert!(error.message().starts_with("unknown key `"), "{config}: {}", error.message());
            prop_assert_eq!(plain(told), plain(meant), "{}: {}", config, error.message());
            prop_assert_eq!(error.span().map(|span| &config[span]), Some(&*written));
        }
    }

    /// Guards: `redact` that shows what is no port; whatever shows a value that is not read.
    #[test]
    fn redacted_no_error_holds_a_secret_wherever_the_configuration_is_broken(
        place in 0..SECRETS.len(), length in 0..12_usize, put in "[-'\"=.,#@:/\\[\\]{}\\\\ \na0]?",
    ) {
        let mut broken = SECRETS.to_owned();
        broken.replace_range(place..(place + length).min(SECRETS.len()), &put);
        let told = match toml::from_str::<Config>(&broken) {
            Ok(config) => config.group().err().map(|error| error.to_string()),
            Err(error) => Some(error.message().to_owned()),
        };
        let json = toml::from_str::<toml::Table>(&broken).ok().and_then(|table| serde_json::to_string(&table).ok());
        let json = json.and_then(|json| serde_json::from_str::<Config>(&json).err()).map(|error| error.to_string());
        for error in told.into_iter().chain(json) {
            // Four letters of one are too many.
            let is_told = SECRET.as_bytes().windows(4).any(|part| error.as_bytes().windows(4).any(|told| told == part));
            prop_assert!(!is_told, "{broken}\n{error}");
        }
    }
}

/// A key with a letter too few, too many, another one, or two that changed places.
/// `failoverCodes` and `failover_codes` are alike.
fn plain(key: &str) -> String {
    key.replace(['_', '-'], "").to_lowercase()
}

fn with_a_wrong_letter(key: &str, change: u8, place: usize, letter: &str) -> String {
    let (before, after) = key.split_at(place);
    let (this, rest) = after.split_at(1);
    match change {
        0 => format!("{before}{rest}"),
        1 => format!("{before}{letter}{after}"),
        2 => format!("{before}{letter}{rest}"),
        _ => {
            let (next, rest) = rest.split_at(rest.len().min(1));
            format!("{before}{next}{this}{rest}")
        }
    }
}

fn read(config: &str) -> Policy {
    toml::from_str::<Config>(config).expect("a configuration").policy
}

fn refused(config: &str) -> String {
    toml::from_str::<Config>(config).expect_err(config).message().to_owned()
}

/// Each table of a configuration, with its keys.
const LEVELS: &[(&str, &[&str])] = &[
    (
        "KEY",
        &[
            "targets",
            "preset",
            "failover_codes",
            "not_processed",
            "replay",
            "connect_timeout",
            "attempt_timeout",
            "deadline",
            "upload_deadline",
            "body_idle",
            "upgrades",
            "interval",
            "rounds",
            "backoff",
            "max_attempts",
            "free_repeat",
            "replay_buffer",
            "follow",
            "leave_after",
            "late",
            "failback",
            "cool_down",
            "checks",
            "retry_after",
            "budget",
            "judge",
            "jitter",
            "seed",
        ],
    ),
    ("late = { KEY }", &["factor", "floor"]),
    ("[failback]\nKEY", &["after", "max"]),
    ("cool_down = { KEY }", &["base", "max", "strikes"]),
    ("backoff = { KEY }", &["base", "max"]),
    ("budget = { KEY }", &["percent", "reserve"]),
    ("[checks]\nKEY", &["path", "every", "timeout", "fall", "rise", "statuses"]),
    (
        "targets = ['http://a', { url = 'http://b', KEY }]",
        &[
            "url",
            "name",
            "headers",
            "attempt_timeout",
            "connect_timeout",
            "state",
            "protocol",
            "connect",
            "server_name",
            "tls",
        ],
    ),
    ("[[judge]]\nKEY", &["preset", "when", "verdict", "processed", "harm", "replay"]),
    ("[[judge]]\nwhen = { KEY }", &["method", "path", "status", "header", "type", "body_has", "json", "in"]),
];

const SECRET: &str = "Zq7Kw9Xv";

const SECRETS: &str = "deadline = '30s'
targets = [
    'http://user:Zq7Kw9Xv@a.example/v1',
    { url = 'https://user:Zq7Kw9Xv@b.example:8443', headers = { x-api-key = 'Zq7Kw9Xv', authorization = \"Zq7Kw9Xv\" } },
]
late = { factor = 3, floor = '1s' }
[[judge]]
when = { header = { x-token = 'Zq7Kw9Xv' }, status = 200 }
verdict = 'pass'
[[judge]]
verdict = 'pass'
[judge.when]
method = 'POST'
[judge.when.header]
x-token = 'Zq7Kw9Xv'
";

const DURATION: &str = "a duration such as \"5s\" or \"500ms\" (units: ns, us, ms, s, m, h, days)";

const SIZE: &str =
    "a size such as \"64KiB\", \"1MB\" or a number of bytes (units: B, kB, MB, GB, KiB, MiB, GiB)";
