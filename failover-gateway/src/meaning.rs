//! What a configuration means, told line by line and without anything secret.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use failover_tokio::{Follow, Policy, Preset, Protocol, Replay, Target};
use humantime::format_duration;

use crate::listener::UNIX;
use crate::settings::Settings;
use crate::tls::Served;

/// A configuration, as it is understood.
pub(crate) struct Meaning<'a> {
    pub(crate) settings: &'a Settings,
    /// Where it listens.
    pub(crate) listen: &'a str,
}

impl Display for Meaning<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Settings { listen_tls, admin, routes, door, show_attempts, limits, failover, .. } = self.settings;
        writeln!(f, "listen = {}", self.listen)?;
        writeln!(
            f,
            "listen_tls = {}",
            listen_tls.as_ref().map_or_else(|| NONE.to_owned(), Served::certificate)
        )?;
        writeln!(f, "admin.listen = {}", admin.as_ref().map_or(NONE, |admin| &admin.listen))?;
        if let Some(admin) = admin {
            writeln!(f, "admin.token_file = {}", if admin.token.is_some() { "(not shown)" } else { NONE })?;
        }
        writeln!(f, "base_path = {}", if door.base.is_empty() { "/" } else { &door.base })?;
        writeln!(f, "status_path = {}", routes.status.as_deref().unwrap_or(NONE))?;
        writeln!(f, "metrics_path = {}", routes.metrics.as_deref().unwrap_or(NONE))?;
        let networks = door.trusted.networks.iter().map(ToString::to_string);
        let proxies =
            networks.chain(door.trusted.unix.then(|| UNIX.to_owned())).collect::<Vec<_>>().join(", ");
        writeln!(f, "trusted_proxies = {}", if proxies.is_empty() { NONE } else { &proxies })?;
        writeln!(f, "underscores_in_headers = {}", door.underscores)?;
        writeln!(f, "show_attempts = {show_attempts}")?;
        let log = self.settings.access_log.as_ref().map(|path| path.display().to_string());
        writeln!(f, "access_log = {}", log.as_deref().unwrap_or(NONE))?;
        let record = self.settings.record.as_ref().map(|path| path.display().to_string());
        writeln!(f, "record = {}", record.as_deref().unwrap_or(NONE))?;
        writeln!(f, "max_connections = {}", limits.max_connections)?;
        writeln!(f, "max_headers = {}", limits.max_headers.unwrap_or(HYPERS_HEADERS))?;
        writeln!(f, "idle_timeout = {}", format_duration(limits.idle_timeout))?;
        writeln!(
            f,
            "max_request_body = {}",
            door.max_body.map_or_else(|| NONE.to_owned(), |most| most.to_string())
        )?;
        writeln!(f, "shutdown_delay = {}", format_duration(limits.shutdown_delay))?;
        writeln!(f, "drain_timeout = {}", format_duration(limits.drain_timeout))?;
        for (place, target) in failover.targets.iter().enumerate() {
            write!(f, "failover.targets[{place}] = {}", target.name())?;
            route(f, target)?;
            writeln!(f)?;
        }
        let preset = if failover.preset == Preset::Ballerina { "ballerina" } else { "default" };
        writeln!(f, "failover.preset = {preset}")?;
        policy(f, &failover.policy)?;
        self.settings.warnings.iter().try_for_each(|warning| write!(f, "\nwarning: {warning}"))
    }
}

/// How a target is reached, where its URL does not say it.
fn route(f: &mut Formatter<'_>, target: &Target) -> fmt::Result {
    let route = target.route();
    let protocol = route.protocol.map(|protocol| match protocol {
        Protocol::Http1 => "http1",
        Protocol::Http2 => "http2",
        _ => "auto",
    });
    for (key, value) in [
        ("protocol", protocol.map(str::to_owned)),
        ("connect", route.address.as_ref().map(ToString::to_string)),
        ("server_name", route.server_name.clone()),
        ("tls", route.tls.clone()),
    ] {
        if let Some(value) = value {
            write!(f, ", {key} = {value}")?;
        }
    }
    Ok(())
}

fn policy(f: &mut Formatter<'_>, policy: &Policy) -> fmt::Result {
    let replay = match policy.replay {
        Replay::Methods => "methods",
        Replay::Always => "always",
        Replay::Never => "never",
        _ => "auto",
    };
    writeln!(f, "failover.replay = {replay}")?;
    let not_processed = policy.not_processed.map_or_else(|| "all".to_owned(), |codes| codes.to_string());
    writeln!(f, "failover.not_processed = {not_processed}")?;
    let upgrades = policy.upgrades.join(", ");
    writeln!(f, "failover.upgrades = {}", if upgrades.is_empty() { NONE } else { &upgrades })?;
    let checks = policy.checks.as_ref().map(|checks| (&checks.path, format_duration(checks.every)));
    writeln!(
        f,
        "failover.checks = {}",
        checks.map_or_else(|| NONE.to_owned(), |(path, every)| format!("{path} every {every}"))
    )?;
    writeln!(f, "failover.failover_codes = {}", policy.failover_codes)?;
    for (key, time) in [
        ("connect_timeout", Some(policy.connect_timeout)),
        ("attempt_timeout", Some(policy.attempt_timeout)),
        ("deadline", policy.deadline),
        ("upload_deadline", policy.upload_deadline),
        ("body_idle", policy.body_idle),
        ("interval", Some(policy.interval)),
        ("failback.after", policy.failback.map(|failback| failback.after)),
        ("failback.max", policy.failback.map(|failback| failback.max)),
        ("cool_down.base", policy.cool_down.map(|cool_down| cool_down.base)),
        ("cool_down.max", policy.cool_down.map(|cool_down| cool_down.max)),
        ("retry_after", policy.retry_after),
    ] {
        writeln!(f, "failover.{key} = {}", shown(time))?;
    }
    writeln!(f, "failover.rounds = {}", policy.rounds)?;
    if let Some(most) = policy.max_attempts {
        writeln!(f, "failover.max_attempts = {most}")?;
    }
    let backoff = policy.backoff;
    writeln!(f, "failover.backoff = {} to {}", format_duration(backoff.base), format_duration(backoff.max))?;
    writeln!(f, "failover.free_repeat = {}", if policy.free_repeat { "on" } else { NONE })?;
    writeln!(f, "failover.follow = {}", if policy.follow == Follow::Answer { "answer" } else { "strikes" })?;
    writeln!(f, "failover.leave_after = {}", policy.leave_after)?;
    let late =
        policy.late.map(|late| format!("{} times, at least {}", late.factor, format_duration(late.floor)));
    writeln!(f, "failover.late = {}", late.as_deref().unwrap_or(NONE))?;
    let budget = policy.budget.map(|budget| format!("{}%, at least {}", budget.percent, budget.reserve));
    writeln!(f, "failover.budget = {}", budget.as_deref().unwrap_or(NONE))?;
    writeln!(f, "failover.jitter = {}", if policy.jitter { "on" } else { NONE })?;
    write!(f, "failover.replay_buffer = {}", policy.replay_buffer)
}

fn shown(time: Option<Duration>) -> String {
    time.map_or_else(|| NONE.to_owned(), |time| format_duration(time).to_string())
}

/// How many headers hyper takes by itself.
const HYPERS_HEADERS: u32 = 100;

const NONE: &str = "off";
