//! The configuration file: its keys, and what is refused.

use std::fmt::Display;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use failover_tokio::core::{parse_duration, parse_size};
use failover_tokio::rustls::pki_types::ServerName;
use failover_tokio::{BuildError, Config, MOST_HEADERS, RecordFile, Target};
use ipnet::IpNet;
use toml::de::DeTable;
use toml::{Table, Value};

use crate::access::{self, AccessLog};
use crate::door::{Door, Trusted};
use crate::listener::UNIX;
use crate::mistake::{Mistake, line_and_column};
use crate::secrets;
use crate::tls::{Named, Served};

/// What the configuration file says.
pub(crate) struct Settings {
    /// The address and port to listen on, or the path of a Unix socket.
    pub(crate) listen: String,
    /// How TLS is spoken with clients, if it is.
    pub(crate) listen_tls: Option<Served>,
    pub(crate) admin: Option<Admin>,
    pub(crate) routes: Routes,
    pub(crate) door: Door,
    /// Whether problems tell clients where the targets are.
    pub(crate) show_attempts: bool,
    pub(crate) access_log: Option<PathBuf>,
    /// That log, once it is opened.
    pub(crate) access: Option<AccessLog>,
    /// Where what happens to calls is recorded.
    pub(crate) record: Option<PathBuf>,
    /// That file, once it is opened.
    pub(crate) recorded: Option<RecordFile>,
    pub(crate) limits: Limits,
    /// How TLS is spoken with targets that name these settings.
    pub(crate) tls: Vec<Named>,
    pub(crate) failover: Config,
    /// What an operator should know of it.
    pub(crate) warnings: Vec<String>,
    /// The keys whose values stand for something else.
    revealed: Vec<String>,
}

/// Where operators ask, and who may change something.
#[derive(Eq, PartialEq)]
pub(crate) struct Admin {
    pub(crate) listen: String,
    /// Without it only who is on this machine may.
    pub(crate) token: Option<Vec<u8>>,
    token_file: Option<PathBuf>,
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
    /// How long a client may be silent between requests, send the head of one or take nothing of an answer, and an answer
    /// stand still.
    pub(crate) idle_timeout: Duration,
    /// How many header lines a message of HTTP/1.1 may have, unless it is hyper's own bound.
    pub(crate) max_headers: Option<u32>,
    /// How long connections are still taken after the process was told to end.
    pub(crate) shutdown_delay: Duration,
    /// How long the calls under way may take when the process is told to end.
    pub(crate) drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1000,
            idle_timeout: Duration::from_secs(60),
            max_headers: None,
            shutdown_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// Those of the admin listener.
    pub(crate) fn of_operators() -> Self {
        Self { max_connections: 64, ..Self::default() }
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
        // The whole text of such an error shows the line, which may hold a secret.
        let no_toml = |error: toml::de::Error| {
            let at = line_and_column(&text, error.span().map_or(0, |span| span.start));
            format!("{place}:{at}: {}", error.message())
        };
        let placed = DeTable::parse(&text).map_err(no_toml)?;
        let table: Table = toml::from_str(&text).map_err(no_toml)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let warning = secrets::are_in(&table).then(|| secrets::warning(path)).flatten();
        let settings = Self::revealed(table, folder).map_err(|mistake| {
            let at = mistake.place(placed.get_ref(), &text).map(|at| format!(":{at}"));
            format!("{place}{}: {mistake}", at.unwrap_or_default())
        });
        let mut settings = settings?;
        settings.warnings.extend(warning);
        Ok(settings)
    }

    fn revealed(mut table: Table, folder: &Path) -> Result<Self, Mistake> {
        let revealed = secrets::reveal(&mut table, folder)?;
        let settings = Self::of(table, folder).map_err(|mistake| mistake.without(&revealed))?;
        Ok(Self { revealed: revealed.into_iter().map(|secret| secret.key).collect(), ..settings })
    }

    /// A key with its value, unless that stands for something else, which may be a secret.
    pub(crate) fn told(&self, key: &str, value: impl Display) -> String {
        let is_revealed = self.revealed.iter().any(|revealed| revealed == key);
        if is_revealed { key.to_owned() } else { format!("{key} = {value}") }
    }

    /// The same with the access log and the record opened anew, so that a file that was moved away is left.
    ///
    /// # Errors
    ///
    /// One of them cannot be opened.
    pub(crate) fn opened(mut self) -> Result<Self, String> {
        if let Some(path) = &self.access_log {
            let refuse = |error| format!("{}: {error}", self.told("access_log", path.display()));
            self.access = Some(AccessLog::open(path).map_err(refuse)?);
        }
        if let Some(path) = &self.record {
            let refuse = |error| format!("{}: {error}", self.told("record", path.display()));
            self.recorded = Some(RecordFile::open(path, LONGEST_RECORD).map_err(refuse)?);
        }
        Ok(self)
    }

    fn of(mut table: Table, folder: &Path) -> Result<Self, Mistake> {
        if let Some(key) = table.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(unknown(key));
        }
        let Some(Value::Table(failover)) = table.remove("failover") else {
            return Err(Mistake::new("failover", "expected a table, [failover], with targets"));
        };
        let has = |key| failover.contains_key(key);
        let (bounds_uploads, bounds_silence) = (has("upload_deadline"), has("body_idle"));
        let failover = group(failover)?;
        let tls = table.remove("tls").map_or(Ok(Vec::new()), |tables| Named::read(tables, folder))?;
        for (place, target) in failover.targets.iter().enumerate() {
            let within = |error: BuildError| {
                let key = format!("failover.targets[{place}].{}", error.key());
                error.at(key)
            };
            reached(target, &tls).map_err(within)?;
        }
        let listen_tls = table.remove("listen_tls").filter(|table| !is_off(table));
        let listen_tls = listen_tls.map(|table| Served::read(table, folder)).transpose()?;
        let admin = table.remove("admin").filter(|table| !is_off(table));
        let admin = admin.map(|table| Admin::read(table, folder)).transpose()?;
        let mut settings = Self {
            listen: "127.0.0.1:9090".to_owned(),
            listen_tls,
            admin,
            routes: Routes::default(),
            door: Door::default(),
            show_attempts: false,
            access_log: None,
            access: None,
            record: None,
            recorded: None,
            limits: Limits::default(),
            tls,
            failover,
            warnings: Vec::new(),
            revealed: Vec::new(),
        };
        let access_log = table.remove("access_log").map(|path| access_log(&path, folder)).transpose()?;
        settings.access_log = access_log.flatten();
        settings.record = table.remove("record").map(|path| record(&path, folder)).transpose()?.flatten();
        for (key, value) in &table {
            settings.set(key, value)?;
        }
        // A client that sends a byte now and then must not hold a place for ever.
        let policy = &mut settings.failover.policy;
        if !bounds_uploads {
            policy.upload_deadline = Some(LONGEST_UPLOAD);
        }
        if !bounds_silence {
            policy.body_idle = Some(settings.limits.idle_timeout);
        }
        let tokens = settings.admin.iter().filter_map(|admin| admin.token_file.as_ref());
        let keys =
            settings.listen_tls.iter().map(Served::key).chain(settings.tls.iter().filter_map(Named::key));
        settings.warnings.extend(tokens.map(PathBuf::as_path).chain(keys).filter_map(secrets::warning));
        match &settings.routes {
            Routes { status: Some(path), metrics, .. } if metrics.as_ref() == Some(path) => {
                Err(refuse("metrics_path", path, "another path than status_path"))
            }
            _ => Ok(settings),
        }
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<(), Mistake> {
        let Self { routes, door, limits, .. } = self;
        match key {
            "listen" => address(key, value)?.clone_into(&mut self.listen),
            "base_path" => path(key, value)?.trim_end_matches('/').clone_into(&mut door.base),
            "status_path" => routes.status = unless_off(key, value, path)?.map(str::to_owned),
            "metrics_path" => routes.metrics = unless_off(key, value, path)?.map(str::to_owned),
            "trusted_proxies" => door.trusted = unless_off(key, value, networks)?.unwrap_or_default(),
            "underscores_in_headers" => door.underscores = switch(key, value)?,
            "show_attempts" => self.show_attempts = switch(key, value)?,
            "max_connections" => limits.max_connections = count(key, value)?,
            "max_headers" => limits.max_headers = unless_off(key, value, headers)?,
            "max_request_body" => door.max_body = unless_off(key, value, size)?,
            "idle_timeout" => limits.idle_timeout = time(key, value)?,
            "shutdown_delay" => {
                limits.shutdown_delay = unless_off(key, value, time)?.unwrap_or_default();
            }
            "drain_timeout" => limits.drain_timeout = time(key, value)?,
            _ => return Err(unknown(key)),
        }
        Ok(())
    }
}

impl Admin {
    pub(crate) fn address(&self) -> &str {
        &self.listen
    }

    fn read(value: Value, folder: &Path) -> Result<Self, Mistake> {
        let Value::Table(mut table) = value else {
            return Err(Mistake::new("admin", "expected a table, [admin], with listen, or \"off\""));
        };
        if let Some(key) = table.keys().find(|key| !ADMIN.contains(&key.as_str())) {
            return Err(BuildError::unknown_key("admin", key, &ADMIN).into());
        }
        let listen =
            table.remove("listen").ok_or_else(|| Mistake::missing("admin.listen", "expected an address"))?;
        let listen = address("admin.listen", &listen)?.to_owned();
        let token_file = match table.remove("token_file") {
            Some(Value::String(path)) => Some(path),
            Some(_) => return Err(Mistake::new("admin.token_file", "expected the path of a file")),
            None => None,
        };
        let token = token_file.as_ref().map(|path| token(path, folder)).transpose()?;
        let token_file = token_file.map(|path| folder.join(path));
        Ok(Self { listen, token, token_file })
    }
}

/// The group that the table `[failover]` tells.
fn group(table: Table) -> Result<Config, Mistake> {
    let within = |error: BuildError| {
        let key = format!("failover.{}", error.key());
        if error.is_unknown_key() && KEYS.contains(&error.key()) {
            return Mistake::unknown(key, "it belongs above the tables");
        }
        error.at(key).into()
    };
    let config =
        Config::read(table).map_err(|error| Mistake::new("failover", error.message()))?.map_err(within)?;
    config.clone().group().map_err(within)?;
    Ok(config)
}

/// Refuses a target that is reached by TLS as it cannot be.
fn reached(target: &Target, tls: &[Named]) -> Result<(), BuildError> {
    let route = target.route();
    let is_plain = target.scheme().as_str() == "http";
    for (key, name) in [("tls", &route.tls), ("server_name", &route.server_name)] {
        let Some(name) = name else { continue };
        let expected = match key {
            _ if is_plain => "none, since the URL is not one of https".to_owned(),
            "tls" if tls.iter().any(|named| named.name == *name) => continue,
            // It may be a password.
            "tls" if name.contains('@') => "the name of a table such as [tls.inner]".to_owned(),
            "tls" => format!("the table [tls.{name}]"),
            "server_name" if ServerName::try_from(name.as_str()).is_err() => "a host name".to_owned(),
            _ => continue,
        };
        return Err(BuildError::new(key, name, expected));
    }
    Ok(())
}

/// Refuses a key of the outermost table.
fn unknown(key: &str) -> Mistake {
    let alone = Table::from_iter([(key.to_owned(), Value::Boolean(false))]);
    let is_of_failover =
        Config::read(alone).is_ok_and(|read| read.err().is_none_or(|error| !error.is_unknown_key()));
    if is_of_failover {
        return Mistake::unknown(key, "it belongs in the table [failover]");
    }
    BuildError::unknown_key("", key, &KEYS).into()
}

/// The token in a file, without the line's end.
fn token(path: &str, folder: &Path) -> Result<Vec<u8>, Mistake> {
    let key = "admin.token_file";
    // What is no file may be the token.
    let token = fs::read(folder.join(path)).map_err(|error| Mistake::new(key, error.to_string()))?;
    let token = token.trim_ascii();
    if token.len() < SHORTEST_TOKEN || token.iter().any(|byte| !byte.is_ascii_graphic()) {
        let expected = format!("expected at least {SHORTEST_TOKEN} visible characters, and nothing else");
        return Err(Mistake::of(key, path, expected));
    }
    Ok(token.to_vec())
}

/// The file of the access log, if there is one.
fn access_log(path: &Value, folder: &Path) -> Result<Option<PathBuf>, Mistake> {
    match path.as_str() {
        _ if is_off(path) => Ok(None),
        Some(path) if !path.is_empty() => Ok(Some(access::path(path, folder))),
        _ => Err(Mistake::new("access_log", "expected the path of a file, \"-\" for stdout, or \"off\"")),
    }
}

/// The file of the record, if there is one.
fn record(path: &Value, folder: &Path) -> Result<Option<PathBuf>, Mistake> {
    match path.as_str() {
        _ if is_off(path) => Ok(None),
        Some(path) if !path.is_empty() && path != "-" => Ok(Some(folder.join(path))),
        _ => Err(Mistake::new("record", "expected the path of a file, or \"off\"")),
    }
}

fn is_off(value: &Value) -> bool {
    *value == Value::Boolean(false) || value.as_str() == Some("off")
}

/// What is read under a key, unless it is off.
fn unless_off<'a, T>(
    key: &str,
    value: &'a Value,
    read: impl FnOnce(&str, &'a Value) -> Result<T, Mistake>,
) -> Result<Option<T>, Mistake> {
    if is_off(value) { Ok(None) } else { read(key, value).map(Some).map_err(|mistake| mistake.or("\"off\"")) }
}

fn text<'a>(key: &str, value: &'a Value) -> Result<&'a str, Mistake> {
    value.as_str().ok_or_else(|| refuse_value(key, value, "a string"))
}

/// Host and port, whether or not there is such a host, or a Unix socket's path.
fn address<'a>(key: &str, value: &'a Value) -> Result<&'a str, Mistake> {
    let address = text(key, value)?;
    if cfg!(unix) && address.strip_prefix(UNIX).is_some_and(|path| !path.is_empty()) {
        return Ok(address);
    }
    let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    let is_address = port.is_some_and(|port| port.parse::<u16>().is_ok());
    is_address
        .then_some(address)
        .ok_or_else(|| refuse(key, address, "an address such as 127.0.0.1:9090 or unix:/path"))
}

/// A path without a query; the base path may be empty.
fn path<'a>(key: &str, value: &'a Value) -> Result<&'a str, Mistake> {
    let path = text(key, value)?;
    let is_path = path.starts_with('/') && !path.contains('?') && Target::path(path).is_ok();
    let is_path = is_path || (path.is_empty() && key == "base_path");
    is_path.then_some(path).ok_or_else(|| refuse(key, path, "a path such as /fo"))
}

/// Addresses, and networks of them; `unix:` is whoever comes over a Unix socket.
fn networks(key: &str, value: &Value) -> Result<Trusted, Mistake> {
    let expected = "a list of addresses and networks such as [\"10.0.0.0/8\", \"::1\", \"unix:\"]";
    let mut trusted = Trusted::default();
    for value in value.as_array().ok_or_else(|| refuse_value(key, value, expected))? {
        let text = value.as_str().ok_or_else(|| refuse_value(key, value, expected))?;
        if text == UNIX {
            trusted.unix = true;
            continue;
        }
        let network: Result<IpNet, _> = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        trusted.networks.push(network.map_err(|_| refuse(key, text, expected))?);
    }
    Ok(trusted)
}

fn switch(key: &str, value: &Value) -> Result<bool, Mistake> {
    match value {
        Value::Boolean(on) => Ok(*on),
        Value::String(word) if word == "on" => Ok(true),
        _ if is_off(value) => Ok(false),
        _ => Err(refuse_value(key, value, "true or false")),
    }
}

fn count(key: &str, value: &Value) -> Result<u32, Mistake> {
    let count = value.as_integer().and_then(|count| count.try_into().ok()).filter(|&count| count > 0);
    count.ok_or_else(|| refuse_value(key, value, "a whole number from 1 on"))
}

fn headers(key: &str, value: &Value) -> Result<u32, Mistake> {
    let count = value.as_integer().and_then(|count| count.try_into().ok());
    let most = u32::try_from(MOST_HEADERS).unwrap_or(u32::MAX);
    let count = count.filter(|count| (1..=most).contains(count));
    count.ok_or_else(|| refuse_value(key, value, &format!("a whole number from 1 to {MOST_HEADERS}")))
}

fn size(key: &str, value: &Value) -> Result<u64, Mistake> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    parse_size(&text).map_err(|error| error.at(key).into())
}

fn time(key: &str, value: &Value) -> Result<Duration, Mistake> {
    let time = value.as_str().and_then(|time| parse_duration(time).ok());
    time.filter(|time| !time.is_zero() && *time <= LONGEST).ok_or_else(|| {
        let expected =
            "a duration above zero such as \"500ms\", at most \"365days\" (units: ns, us, ms, s, m, h, days)";
        refuse_value(key, value, expected)
    })
}

fn refuse_value(key: &str, value: &Value, expected: &str) -> Mistake {
    match value {
        Value::String(text) => refuse(key, text, expected),
        _ => refuse(key, &value.to_string(), expected),
    }
}

/// A value that may hold a password is not shown.
fn refuse(key: &str, value: &str, expected: &str) -> Mistake {
    let value = if value.contains('@') { "(not shown)" } else { value };
    BuildError::new(key, value, expected).into()
}

/// In which a client must have sent a request's body.
const LONGEST_UPLOAD: Duration = Duration::from_secs(60 * 60);

/// In bytes, of the record and of what was in it before each.
const LONGEST_RECORD: u64 = 32 << 20;

const SHORTEST_TOKEN: usize = 16;

const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

const ADMIN: [&str; 2] = ["listen", "token_file"];

const KEYS: [&str; 19] = [
    "listen",
    "base_path",
    "status_path",
    "metrics_path",
    "trusted_proxies",
    "underscores_in_headers",
    "show_attempts",
    "access_log",
    "record",
    "max_connections",
    "max_headers",
    "max_request_body",
    "idle_timeout",
    "shutdown_delay",
    "drain_timeout",
    "failover",
    "tls",
    "listen_tls",
    "admin",
];
