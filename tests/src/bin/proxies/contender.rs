//! The proxies that are measured, each with the configuration that stands in `tests/proxies`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;
use crate::process::{Process, free_port, quiet};

/// A proxy, not yet running.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Contender {
    Nginx,
    Haproxy,
    Gateway,
    /// With checks.
    GatewayChecks,
}

impl Contender {
    pub(crate) const ALL: [Self; 4] = [Self::Nginx, Self::Haproxy, Self::Gateway, Self::GatewayChecks];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Gateway => "gateway",
            Self::GatewayChecks => "gateway, `checks`",
        }
    }

    /// The name of its configuration.
    fn configuration(self) -> &'static str {
        match self {
            Self::Nginx => "nginx.conf",
            Self::Haproxy => "haproxy.cfg",
            Self::Gateway => "gateway.toml",
            Self::GatewayChecks => "gateway-checks.toml",
        }
    }
}

/// Where proxies find what they need.
pub(crate) struct Place<'a> {
    /// The gateway's program.
    pub(crate) gateway: &'a str,
    /// What the gateway is run by, if by anything.
    pub(crate) under: &'a [String],
    /// Where its files go, which is nobody else's.
    pub(crate) folder: PathBuf,
    /// The ports of the two backends.
    pub(crate) backends: [u16; 2],
}

/// A proxy, running.
pub(crate) struct Proxy {
    pub(crate) process: Process,
    pub(crate) port: u16,
}

impl Proxy {
    pub(crate) async fn start(contender: Contender, place: &Place<'_>) -> Result<Self, Error> {
        let port = free_port().await?;
        let file = fill_in(place, contender.configuration(), port)?;
        let mut command = match contender {
            Contender::Nginx => nginx(place, &file),
            Contender::Haproxy => {
                let mut command = quiet("haproxy");
                command.arg("-db").arg("-f").arg(file);
                command
            }
            Contender::Gateway | Contender::GatewayChecks => {
                let mut words = place.under.iter().map(String::as_str).chain([place.gateway]);
                let mut command = quiet(words.next().unwrap_or_default());
                command.args(words).arg("--config").arg(file);
                command.env("RUST_LOG", "off").env("TOKIO_WORKER_THREADS", WORKERS);
                command
            }
        };
        let mut process = Process::start(command.stderr(Stdio::null()))?;
        process.listens(port).await.map_err(|error| format!("{}: {error}", contender.name()))?;
        Ok(Self { process, port })
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// Starts the backend for what all proxies are measured with while all is well: 1 KiB for each request.
pub(crate) async fn start_backend(place: &Place<'_>) -> Result<Process, Error> {
    let file = fill_in(place, "backend.conf", 0)?;
    let mut process = Process::start(&mut nginx(place, &file))?;
    process.listens(place.backends[0]).await?;
    Ok(process)
}

fn nginx(place: &Place<'_>, file: &Path) -> Command {
    let mut command = quiet("nginx");
    command.arg("-p").arg(&place.folder).arg("-c").arg(file);
    command
}

/// Fills in a configuration, and tells where it is.
fn fill_in(place: &Place<'_>, name: &str, listen: u16) -> Result<PathBuf, Error> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("proxies").join(name))?;
    let [first, second] = place.backends.map(|port| port.to_string());
    let text = text
        .replace("@LISTEN@", &listen.to_string())
        .replace("@FIRST@", &first)
        .replace("@SECOND@", &second)
        .replace("@BODY@", &"x".repeat(1 << 10))
        .replace("@FOLDER@", &place.folder.to_string_lossy());
    let file = place.folder.join(name);
    fs::write(&file, text)?;
    Ok(file)
}

/// As many as nginx and `HAProxy` have.
const WORKERS: &str = "2";
