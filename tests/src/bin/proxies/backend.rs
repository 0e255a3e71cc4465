//! A backend that is a process of its own, does as it is told, and writes down each request that it executes.

use std::collections::HashMap;
use std::convert::Infallible;
use std::env;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{self, ChildStdin, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Sleep, sleep, timeout};

use crate::Error;
use crate::process::{Process, free_port};

/// What a backend does with requests.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Conduct {
    /// Executes and answers them.
    Well,
    /// Answers with a 503, and executes nothing.
    Busy,
    /// Executes them, and answers after three seconds.
    Slow,
    /// Executes them, and closes the connection halfway through the answer's body.
    Cut,
}

/// Serves on a port until the input ends, by whose lines it is told how.
pub(crate) async fn serve(name: &str, port: u16, backlog: u32, journal: &Path) -> Result<(), Error> {
    let journal = Arc::new(OpenOptions::new().create(true).append(true).open(journal)?);
    let name = HeaderValue::from_str(name)?;
    thread::spawn(|| {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if let Some(conduct) = CONDUCTS.iter().position(|conduct| format!("{conduct:?}") == line) {
                CONDUCT.store(conduct.to_le_bytes()[0], Ordering::Relaxed);
            }
        }
        process::exit(0);
    });
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    let listener = socket.listen(backlog)?;
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let (journal, name) = (Arc::clone(&journal), name.clone());
        let service = service_fn(move |request| {
            let (journal, name) = (Arc::clone(&journal), name.clone());
            async move { Ok::<_, Infallible>(answer(request, &journal, name).await) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

async fn answer(request: Request<Incoming>, mut journal: &File, name: HeaderValue) -> Response<Reply> {
    let conduct = CONDUCTS[usize::from(CONDUCT.load(Ordering::Relaxed))];
    let (head, body) = request.into_parts();
    let id = head.headers.get(ID).and_then(|id| id.to_str().ok()).unwrap_or_default().to_owned();
    let whole = body.collect().await.is_ok();
    let is_executed = whole && conduct != Conduct::Busy;
    // One write of one line, which outlives the process. A check has no id.
    let mut note = || id.is_empty() || journal.write_all(format!("{id}\n").as_bytes()).is_ok();
    if !is_executed || !note() {
        let mut refusal = Response::new(Reply::whole(Bytes::new()));
        *refusal.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return refusal;
    }
    if conduct == Conduct::Slow {
        sleep(SLOW).await;
    }
    let reply = answer_to(&id);
    let reply = if conduct == Conduct::Cut { Reply::half(&reply) } else { Reply::whole(reply) };
    let mut answer = Response::new(reply);
    answer.headers_mut().insert(NAME, name);
    answer
}

/// The body of an answer: all of it, or half of it and then an error.
struct Reply {
    rest: Option<Bytes>,
    length: u64,
    breaks: Option<Pin<Box<Sleep>>>,
}

impl Reply {
    fn whole(bytes: Bytes) -> Self {
        Self { length: bytes.len() as u64, rest: Some(bytes), breaks: None }
    }

    fn half(bytes: &Bytes) -> Self {
        // Until then the first half is written.
        let breaks = Some(Box::pin(sleep(Duration::from_millis(1))));
        Self { length: bytes.len() as u64, rest: Some(bytes.slice(..bytes.len() / 2)), breaks }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some(bytes) = self.rest.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        let Some(breaks) = &mut self.breaks else { return Poll::Ready(None) };
        ready!(breaks.as_mut().poll(context));
        Poll::Ready(Some(Err(Broken)))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.breaks.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

/// What ends a body that is cut.
#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body is cut")
    }
}

impl std::error::Error for Broken {}

/// A backend as the one who torments it has it; killed when this is dropped.
pub(crate) struct Backend {
    process: Process,
    told: ChildStdin,
    name: String,
    port: u16,
    backlog: u32,
    journal: PathBuf,
    /// The connections that fill its backlog.
    fillers: Vec<TcpStream>,
}

impl Backend {
    pub(crate) async fn start(name: &str, backlog: u32, folder: &Path) -> Result<Self, Error> {
        let (port, journal) = (free_port().await?, folder.join(format!("journal-{name}")));
        let (process, told) = spawn(name, port, backlog, &journal)?;
        let mut backend =
            Self { process, told, name: name.to_owned(), port, backlog, journal, fillers: Vec::new() };
        backend.process.listens(port).await?;
        Ok(backend)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn tell(&mut self, conduct: Conduct) -> Result<(), Error> {
        Ok(writeln!(self.told, "{conduct:?}")?)
    }

    pub(crate) fn kill(&mut self) -> Result<(), Error> {
        Ok(self.process.kill()?)
    }

    /// Starts it again, on the same port.
    pub(crate) async fn restart(&mut self) -> Result<(), Error> {
        (self.process, self.told) = spawn(&self.name, self.port, self.backlog, &self.journal)?;
        self.process.listens(self.port).await
    }

    /// Stops it where it is: connections to it are made, by the system, and nobody answers.
    pub(crate) fn stop(&self) -> Result<(), Error> {
        self.process.signal("STOP")
    }

    /// Stops it, and lets no more connection to it be made: its backlog is full.
    pub(crate) async fn isolate(&mut self) -> Result<(), Error> {
        self.stop()?;
        let connect =
            || timeout(Duration::from_millis(50), TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        while let Ok(filler) = connect().await {
            self.fillers.push(filler?);
        }
        Ok(())
    }

    /// Lets it go on after all of these.
    pub(crate) fn go_on(&mut self) -> Result<(), Error> {
        self.fillers.clear();
        self.process.signal("CONT")
    }

    /// Adds how often each request was executed.
    pub(crate) fn count(&self, executions: &mut HashMap<String, u32>) -> io::Result<()> {
        for id in fs::read_to_string(&self.journal)?.lines() {
            *executions.entry(id.to_owned()).or_default() += 1;
        }
        Ok(())
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        // Fails if it has ended, which is as good.
        let _ = self.process.kill();
    }
}

fn spawn(name: &str, port: u16, backlog: u32, journal: &Path) -> Result<(Process, ChildStdin), Error> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["backend", name, &port.to_string(), &backlog.to_string()]).arg(journal);
    Process::start_told(&mut command)
}

/// The whole answer to a request: nobody else's.
pub(crate) fn answer_to(id: &str) -> Bytes {
    let mut answer = format!("the answer to {id}\n");
    answer.push_str(&"x".repeat(ANSWER_SIZE.saturating_sub(answer.len())));
    answer.into()
}

/// The header that tells requests apart.
pub(crate) const ID: &str = "x-request-id";

/// The header that tells who answered.
pub(crate) const NAME: &str = "x-backend";

static CONDUCT: AtomicU8 = AtomicU8::new(0);

const CONDUCTS: [Conduct; 4] = [Conduct::Well, Conduct::Busy, Conduct::Slow, Conduct::Cut];

const ANSWER_SIZE: usize = 1 << 10;

const SLOW: Duration = Duration::from_secs(3);
