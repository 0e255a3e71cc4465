//! A backend that is a process of its own, and that writes down each request before it answers.

use std::collections::HashMap;
use std::convert::Infallible;
use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use failover_tests::example::Scratch;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::Error;
use crate::load::{ID, answer_to};

/// Serves on a port until the process is killed.
pub(crate) async fn serve(port: u16, journal: &Path) -> io::Result<()> {
    let journal = Arc::new(OpenOptions::new().create(true).append(true).open(journal)?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let journal = Arc::clone(&journal);
        let service = service_fn(move |request| {
            let journal = Arc::clone(&journal);
            async move { Ok::<_, Infallible>(execute(request, &journal).await) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn execute(request: Request<Incoming>, journal: &File) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let id = head.headers.get(ID).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let whole = body.collect().await.is_ok();
    // One write of one line, which outlives the process.
    let mut journal = journal;
    if !whole || journal.write_all(format!("{id}\n").as_bytes()).is_err() {
        let mut refusal = Response::new(Full::default());
        *refusal.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return refusal;
    }
    Response::new(Full::from(answer_to(&id)))
}

/// A backend as the one who kills it has it; killed when this is dropped.
pub(crate) struct Backend {
    process: Child,
    port: u16,
    journal: Scratch,
}

impl Backend {
    pub(crate) async fn start(journal: Scratch) -> Result<Self, Error> {
        // The port is free as far as anybody can tell before it is taken.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?.port();
        let process = spawn(port, &journal.path())?;
        let backend = Self { process, port, journal };
        backend.listens().await?;
        Ok(backend)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.process.kill()?;
        self.process.wait().map(drop)
    }

    /// Starts it again, on the same port.
    pub(crate) async fn restart(&mut self) -> Result<(), Error> {
        self.process = spawn(self.port, &self.journal.path())?;
        self.listens().await
    }

    async fn listens(&self) -> Result<(), Error> {
        for _ in 0..500 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_ok() {
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err("a backend does not start".into())
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        // Fails if it has ended, which is as good.
        let _ = self.kill();
    }
}

fn spawn(port: u16, journal: &str) -> io::Result<Child> {
    Command::new(env::current_exe()?)
        .args(["backend", &port.to_string(), journal])
        .stdin(Stdio::null())
        .spawn()
}

/// How often each request was executed, by all backends together.
pub(crate) fn executions(backends: &[Backend]) -> io::Result<HashMap<String, u32>> {
    let mut executions = HashMap::new();
    for backend in backends {
        for id in fs::read_to_string(backend.journal.path())?.lines() {
            *executions.entry(id.to_owned()).or_default() += 1;
        }
    }
    Ok(executions)
}
