//! The configuration: every key, the seed's own keys, and what is refused.

use std::time::Duration;

use failover_core::{
    Backoff, Budget, Checks, Config, CoolDown, Failback, Follow, Late, Policy, Preset, Replay,
};
use proptest::prelude::*;

#[test]
fn the_seeds_configuration_pasted_as_json_is_the_seeds_client() {
    let config: Config = serde_json::from_str(
        r#"{
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
    .expect("the seed's configuration");
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
    let policy = read("timeout = 2.5\ninterval = 1\nfailoverCodes = [503]");
    assert_eq!(
        (policy.attempt_timeout, policy.interval),
        (Duration::from_millis(2500), Duration::from_secs(1))
    );
    assert_eq!(policy.replay, Replay::Always, "the preset is the seed's");
    let policy = read("preset = 'default'\ntimeout = 2.5");
    assert_eq!(policy.replay, Replay::Auto, "unless another is named");
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
    assert_eq!([preset(""), preset("preset = 'default'\ntimeout = 5")], [Preset::Default; 2]);
    assert_eq!([preset("preset = 'ballerina'"), preset("timeout = 5")], [Preset::Ballerina; 2]);
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
    assert_eq!(refused("cool_down = { strikes = 0 }"), "leave_after = 0: expected at least 1");
}

#[test]
fn a_target_has_headers_of_its_own_which_are_never_shown() {
    let config: Config =
        toml::from_str("targets = ['http://a', { url = 'http://b', headers = { x-api-key = 's3cret' } }]")
            .expect("a configuration");
    assert!(config.targets[0].headers().is_empty());
    assert_eq!(config.targets[1].headers()["x-api-key"], "s3cret");
    assert!(!format!("{config:?} {:?}", config.targets[1].headers()).contains("s3cret"));
    let broken = refused("targets = [{ url = 'http://a', headers = { 'x y' = 's3cret' } }]");
    assert_eq!(
        broken,
        "targets[0].headers.x y = (not shown): expected a header name and its value as a string"
    );
}

#[test]
fn rejected_names_the_key_the_value_and_what_would_be_right() {
    for (config, error) in [
        ("rounds = 0", "rounds = 0: expected at least 1"),
        ("rounds = 256", "rounds = 256: expected a whole number from 0 to 255"),
        ("rounds = 'two'", "rounds = two: expected a whole number from 0 to 255"),
        ("max_attempts = -1", "max_attempts = -1: expected a whole number from 0 to 65535"),
        ("attempt_timeout = 5", "attempt_timeout = 5: expected a duration such as \"5s\" or \"500ms\""),
        ("attempt_timeout = '-5s'", "attempt_timeout = -5s: expected a duration such as \"5s\" or \"500ms\""),
        (
            "timeoutInMillis = -5",
            "timeoutInMillis = -5: expected a time that is not negative and not too long",
        ),
        ("interval = nan", "interval = NaN: expected a time that is not negative and not too long"),
        ("deadline = '0s'", "deadline = 0ns: expected a time above zero"),
        ("replay = 'sometimes'", "replay = sometimes: expected one of auto, methods, always, never"),
        ("preset = 'hasty'", "preset = hasty: expected one of ballerina, default"),
        ("free_repeat = 1", "free_repeat = 1: expected one of on, off"),
        (
            "replay_buffer = '1 GB'",
            "replay_buffer = 1 GB: expected a number of bytes, or a size such as \"64KiB\" or \"8MiB\"",
        ),
        (
            "failover_codes = [503, 1000]",
            "failover_codes = 1000: expected status codes such as 503, \"501-504\" or \"5xx, !501\"",
        ),
        (
            "failoverCodes = '99'",
            "failoverCodes = 99: expected status codes such as 503, \"501-504\" or \"5xx, !501\"",
        ),
        ("follow = 'calls'", "follow = calls: expected one of strikes, answer"),
        ("leave_after = 0", "leave_after = 0: expected at least 1"),
        ("leave_after = 256", "leave_after = 256: expected a whole number from 0 to 255"),
        ("late = { factor = 0 }", "late.factor = 0: expected at least 1"),
        ("late = { factor = 1.5 }", "late.factor = 1.5: expected a whole number from 0 to 4294967295"),
        ("late = { floor = '0s' }", "late.floor = 0ns: expected a time above zero"),
        ("late = { after = '1s' }", "late.after = 1s: expected one of factor, floor"),
        ("late = 3", "late = 3: expected a table of factor, floor"),
        ("failback = { afer = '1s' }", "failback.afer = 1s: expected one of after, max"),
        ("failback = { after = '0s' }", "failback.after = 0ns: expected a time above zero"),
        ("cool_down = 3", "cool_down = 3: expected a table of base, max, strikes"),
        ("cool_down = { base = '0s' }", "cool_down.base = 0ns: expected a time above zero"),
        ("retry_after = '0s'", "retry_after = 0ns: expected a time above zero"),
        ("upgrades = 'websocket'", "upgrades = websocket: expected a list of names such as [\"websocket\"]"),
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
        ("targets = ['ftp://u:p@a/x']", "targets[0] = ftp://a: expected the scheme http or https"),
        (
            "targets = [{ url = 'nohost' }]",
            "targets[0].url = nohost: expected a URL with a scheme and a host, such as http://host:8080/base",
        ),
        ("targets = [{ }]", "targets[0].url = : expected a URL such as http://host:8080/base"),
        (
            "targets = [{ url = 'http://a', secureSocket = 1 }]",
            "targets[0].secureSocket = : expected one of url, name, headers, attempt_timeout, connect_timeout, state, protocol, connect, server_name, tls",
        ),
    ] {
        assert_eq!(refused(config), error, "{config}");
    }
    let twice = refused("timeout = 5\nattempt_timeout = '5s'");
    assert_eq!(twice, "attempt_timeout = 5s: expected only one of attempt_timeout, timeout, timeoutInMillis");
    let unknown = refused("failover_code = 503");
    assert!(
        unknown.starts_with("failover_code = 503: expected one of targets, preset, failover_codes,"),
        "{unknown}"
    );
    let secret = refused("target = [{ url = 'http://a' }, 'http://u:p@a/x']");
    assert!(secret.starts_with("target = [{..}, http://a]: expected one of targets,"), "{secret}");
    let empty = toml::from_str::<Config>("").expect("a policy").group().expect_err("no targets");
    assert_eq!(empty.to_string(), "targets = []: expected at least one target");
}

#[test]
fn rejected_two_bounds_that_contradict_each_other() {
    assert_eq!(
        refused("late = { floor = '3s' }\nattempt_timeout = '2s'"),
        "late.floor = 3s: expected at most attempt_timeout = 2s"
    );
    assert!(read("attempt_timeout = '500ms'").late.is_some(), "a default contradicts nothing");
    for timeout in ["attempt_timeout = '6s'", "timeout = 6", "timeoutInMillis = 6000"] {
        for preset in ["default", "ballerina"] {
            let config = format!("preset = '{preset}'\ndeadline = '5s'\n{timeout}");
            assert_eq!(refused(&config), "attempt_timeout = 6s: expected at most deadline = 5s", "{config}");
        }
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
        ("preset = 'default'\ntimeout = 60", 60, Some(60)),
        ("preset = 'default'\ntimeoutInMillis = 60_000", 60, Some(60)),
        ("preset = 'ballerina'\ndeadline = '5s'", 5, Some(5)),
        ("timeout = 60", 60, None),
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

proptest! {
    #![proptest_config(failover_tests::properties("regressions/core_config.txt"))]

    #[test]
    fn no_text_panics(key in "[a-zA-Z_]{1,20}|rounds|targets|failback|budget|interval|replay_buffer", value in "[0-9a-z'\"{}\\[\\], =.-]{0,20}") {
        if let Err(error) = toml::from_str::<Config>(&format!("{key} = {value}")) {
            prop_assert!(!error.message().is_empty());
        }
    }
}

fn read(config: &str) -> Policy {
    toml::from_str::<Config>(config).expect("a configuration").policy
}

fn refused(config: &str) -> String {
    toml::from_str::<Config>(config).expect_err(config).message().to_owned()
}
