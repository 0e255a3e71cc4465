//! What any server needs: sockets, signals and a voice.

use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process;

use axum::{BoxError, Router};
use tokio::net::TcpListener;

/// The sockets of one server: `localhost` may be either of two addresses.
pub(crate) struct Listeners {
    port: u16,
    sockets: Vec<TcpListener>,
}

impl Listeners {
    pub(crate) async fn bind(flag: &str, port: u16) -> Result<Self, String> {
        let failed = |error: io::Error| match error.kind() {
            ErrorKind::AddrInUse => {
                format!("port {port} is in use: choose another with {flag}, or 0 for any")
            }
            _ => format!("cannot listen on port {port} ({flag}): {error}"),
        };
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(failed)?;
        let port = v4.local_addr().map_err(failed)?.port();
        let mut sockets = vec![v4];
        match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
            Ok(v6) => sockets.push(v6),
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(failed(error)),
            // This machine has no IPv6.
            Err(_) => {}
        }
        Ok(Self { port, sockets })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Serves connections in the background.
    pub(crate) fn serve(self, router: &Router) {
        for socket in self.sockets {
            tokio::spawn(axum::serve(socket, router.clone()).into_future());
        }
    }
}

/// Waits for Ctrl-C or SIGTERM, which count from this call on.
#[cfg(unix)]
pub(crate) fn told_to_end() -> io::Result<impl Future<Output = io::Result<()>>> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => Ok(()),
            _ = terminated.recv() => Ok(()),
        }
    })
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
pub(crate) fn told_to_end() -> io::Result<impl Future<Output = io::Result<()>>> {
    Ok(tokio::signal::ctrl_c())
}

/// Ends the process, with a complaint if there is one.
pub(crate) fn exit(ended: Result<(), BoxError>) -> ! {
    let code = match ended {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(io::stderr(), "http_failover: {error}");
            2
        }
    };
    // A name that is still being resolved keeps a thread busy, which nobody waits for.
    process::exit(code)
}

/// Prints a line; where nobody reads it, that is no reason to end.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

pub(crate) fn scale(value: &str) -> Result<f64, &'static str> {
    let scale = value.parse().ok().filter(|scale| (0.001..=1000.0).contains(scale));
    scale.ok_or("expected a number from 0.001 to 1000")
}
