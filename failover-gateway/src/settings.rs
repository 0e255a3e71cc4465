//! The configuration file: its keys, and what is refused.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use failover_tokio::{BuildError, Config, Target};
use ipnet::IpNet;
use toml::{Table, Value};

use crate::door::Door;
use crate::tls::Named;

/// What the configuration file says.
pub(crate) struct Settings {
    /// The address and port to listen on.
    pub(crate) listen: String,
    pub(crate) routes: Routes,
    pub(crate) door: Door,
    /// Whether problems tell clients where the targets are.
    pub(crate) show_attempts: bool,
    pub(crate) limits: Limits,
    /// How TLS is spoken with targets that name these settings.
    pub(crate) tls: Vec<Named>,
    pub(crate) failover: Config,
}

/// Which paths are the gateway's own.
#[derive(Default)]
pub(crate) struct Routes {
    pub(crate) status: Option<String>,
    pub(crate) metrics: Option<String>,
}

/// What clients are kept to.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct Limits {
    /// The connections at a time: another one gets the place of the one that has been idle for longest, or waits for one.
    pub(crate) max_connections: u32,
    /// How long a client may be silent between requests or take nothing of an answer, and an answer stand still.
    pub(crate) idle_timeout: Duration,
    /// How long the calls under way may take when the process is told to end.
    pub(crate) drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1000,
            idle_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

impl Settings {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Names the file that cannot be read, or the key that makes no sense, without anything secret.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let place = path.display();
        let text = fs::read_to_string(path).map_err(|error| format!("{place}: {error}"))?;
        let table = toml::from_str(&text).map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            format!("{place}, line {}: {}", before.matches('\n').count() + 1, error.message())
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::of(table, folder).map_err(|error| format!("{place}: {error}"))
    }

    fn of(mut table: Table, folder: &Path) -> Result<Self, String> {
        let failover = match table.remove("failover") {
            Some(value @ Value::Table(_)) => value.try_into(),
            _ => return Err("failover: expected a table, [failover], with targets".to_owned()),
        };
        let failover: Config = failover.map_err(|error| format!("failover.{}", error.message()))?;
        let tls = table.remove("tls").map_or(Ok(Vec::new()), |tables| Named::read(tables, folder))?;
        for (place, target) in failover.targets.iter().enumerate() {
            let name = target.route().tls.as_ref();
            if let Some(name) = name.filter(|&name| tls.iter().all(|named| named.name != *name)) {
                let key = format!("failover.targets[{place}].tls");
                return Err(refuse(&key, name, &format!("the table [tls.{name}]")).to_string());
            }
        }
        let mut settings = Self {
            listen: "127.0.0.1:9090".to_owned(),
            routes: Routes::default(),
            door: Door::default(),
            show_attempts: false,
            limits: Limits::default(),
            tls,
            failover,
        };
        for (key, value) in &table {
            settings.set(key, value).map_err(|error| error.to_string())?;
        }
        match &settings.routes {
            Routes { status: Some(path), metrics, .. } if metrics.as_ref() == Some(path) => {
                Err(refuse("metrics_path", path, "another path than status_path").to_string())
            }
            _ => Ok(settings),
        }
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<(), BuildError> {
        let Self { routes, door, limits, .. } = self;
        match key {
            "listen" => address(key, value)?.clone_into(&mut self.listen),
            "base_path" => path(key, value)?.trim_end_matches('/').clone_into(&mut door.base),
            "status_path" => routes.status = Some(path(key, value)?.to_owned()),
            "metrics_path" => routes.metrics = Some(path(key, value)?.to_owned()),
            "trusted_proxies" => door.trusted_proxies = networks(key, value)?,
            "underscores_in_headers" => door.underscores = switch(key, value)?,
            "show_attempts" => self.show_attempts = switch(key, value)?,
            "max_connections" => limits.max_connections = count(key, value)?,
            "idle_timeout" => limits.idle_timeout = time(key, value)?,
            "drain_timeout" => limits.drain_timeout = time(key, value)?,
            _ => {
                return Err(BuildError::new(
                    key,
                    "(not shown)",
                    format!("one of {}, failover, tls", KEYS.join(", ")),
                ));
            }
        }
        Ok(())
    }
}

fn text<'a>(key: &str, value: &'a Value) -> Result<&'a str, BuildError> {
    value.as_str().ok_or_else(|| refuse(key, value, "a string"))
}

/// Host and port, whether or not there is such a host.
fn address<'a>(key: &str, value: &'a Value) -> Result<&'a str, BuildError> {
    let address = text(key, value)?;
    let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    let is_address = port.is_some_and(|port| port.parse::<u16>().is_ok());
    is_address.then_some(address).ok_or_else(|| refuse(key, address, "an address such as 127.0.0.1:9090"))
}

/// A path without a query; the base path may be empty.
fn path<'a>(key: &str, value: &'a Value) -> Result<&'a str, BuildError> {
    let path = text(key, value)?;
    let is_path = path.starts_with('/') && !path.contains('?') && Target::path(path).is_ok();
    let is_path = is_path || (path.is_empty() && key == "base_path");
    is_path.then_some(path).ok_or_else(|| refuse(key, path, "a path such as /fo"))
}

/// Addresses, and networks of them.
fn networks(key: &str, value: &Value) -> Result<Vec<IpNet>, BuildError> {
    let expected = "a list of addresses and networks such as [\"10.0.0.0/8\", \"::1\"]";
    let network = |value: &Value| {
        let text = value.as_str().ok_or_else(|| refuse(key, value, expected))?;
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map_err(|_| refuse(key, text, expected))
    };
    value.as_array().ok_or_else(|| refuse(key, value, expected))?.iter().map(network).collect()
}

fn switch(key: &str, value: &Value) -> Result<bool, BuildError> {
    value.as_bool().ok_or_else(|| refuse(key, value, "true or false"))
}

fn count(key: &str, value: &Value) -> Result<u32, BuildError> {
    let count = value.as_integer().and_then(|count| count.try_into().ok()).filter(|&count| count > 0);
    count.ok_or_else(|| refuse(key, value, "a whole number from 1 on"))
}

fn time(key: &str, value: &Value) -> Result<Duration, BuildError> {
    let time = value.as_str().and_then(|time| humantime::parse_duration(time).ok());
    time.filter(|time| !time.is_zero() && *time <= LONGEST).ok_or_else(|| {
        refuse(key, value, "a duration above zero, such as \"500ms\", and at most \"365days\"")
    })
}

/// A value that may hold a password is not shown.
fn refuse(key: &str, value: &(impl ToString + ?Sized), expected: &str) -> BuildError {
    let value = Some(value.to_string()).filter(|value| !value.contains('@'));
    BuildError::new(key, value.as_deref().unwrap_or("(not shown)"), expected)
}

const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

const KEYS: [&str; 10] = [
    "listen",
    "base_path",
    "status_path",
    "metrics_path",
    "trusted_proxies",
    "underscores_in_headers",
    "show_attempts",
    "max_connections",
    "idle_timeout",
    "drain_timeout",
];
