//! TLS that is cut after any byte of the handshake, of a request or of its answer, over both adapters.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use failover_core::{Evidence, Policy, Reason, Target};
use failover_tests::lab::{Cut, End, LIMIT, Proxy, Reply, Server};
use failover_tokio::Fault;
use failover_tokio::rustls::crypto::ring::default_provider;
use failover_tokio::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use failover_tokio::rustls::server::NoServerSessionStorage;
use failover_tokio::rustls::version::{TLS12, TLS13};
use failover_tokio::rustls::{
    ClientConfig, RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion,
};

/// Guards: `TransportError::from` a TLS handshake that failed, for a request that may have been processed.
#[test]
fn not_sent_always_tls_that_is_cut_in_the_handshake_moves_a_post_on() {
    each(|lab, end| {
        let mut moved = 0;
        for bytes in steps() {
            let (outcome, seen) = lab.post(Cut::Request(bytes), end);
            let is_whole = matches!(&outcome, Outcome::Answered(0, ..));
            let was_shaking = !seen.may_be_connected;
            lab.examine(&format!("{bytes} bytes to the server"), &outcome, &seen, was_shaking);
            moved += usize::from(was_shaking);
            if is_whole {
                break;
            }
        }
        assert!(moved > 64, "{moved}");
    });
}

/// Guards: `TransportBody::poll_frame` that takes the error by which a body broke off for its end; `TransportError::from` a
/// broken exchange for which nothing was sent on a connection that was lost.
#[test]
fn not_sent_always_tls_that_is_cut_in_the_answer_executes_a_post_once() {
    each(|lab, end| {
        let (mut moved, mut executed) = (0, 0);
        for bytes in steps() {
            let (outcome, seen) = lab.post(Cut::Answer(bytes), end);
            let was_shaking = !seen.executed && bytes < seen.written;
            lab.examine(&format!("{bytes} bytes to the client"), &outcome, &seen, was_shaking);
            moved += usize::from(was_shaking);
            executed += usize::from(seen.executed);
            if bytes > seen.written {
                break;
            }
        }
        assert!(moved > 64 && executed > 10, "{moved} {executed}");
    });
}

/// Both ways to cut, both versions of TLS and both adapters at once; the name of a case that panics is its thread's.
fn each(examine: impl Fn(&Lab, End) + Sync) {
    thread::scope(|scope| {
        for (protocol, version) in [("TLS 1.2", &TLS12), ("TLS 1.3", &TLS13)] {
            for (adapter, post) in [("tokio", over_tokio as Post), ("async-std", over_async_std)] {
                for end in [End::Fin, End::Reset] {
                    let examine = &examine;
                    thread::Builder::new()
                        .name(format!("{end:?} of {protocol} over {adapter}"))
                        .spawn_scoped(scope, move || examine(&Lab::new(version, post), end))
                        .expect("a thread is to be had");
                }
            }
        }
    });
}

/// Every byte up to 64, then each seventh.
fn steps() -> impl Iterator<Item = usize> {
    (0..=64).chain((71..).step_by(7))
}

type Post = fn(Vec<Target>, ClientConfig) -> Outcome;

/// What a client tells of a call.
#[derive(Debug)]
enum Outcome {
    /// The target that answered, the body or why it broke off, and the failures before.
    Answered(usize, Result<Vec<u8>, String>, Vec<(usize, Option<Evidence>, Option<Fault>)>),
    Stopped(Reason, Vec<Option<Evidence>>),
}

/// A server over TLS behind a proxy, and one that works beside it.
struct Lab {
    server: TlsServer,
    proxy: Proxy,
    works: Server,
    /// How many requests each had executed before.
    executed: Cell<[usize; 2]>,
    post: Post,
}

impl Lab {
    fn new(version: &'static SupportedProtocolVersion, post: Post) -> Self {
        let server = TlsServer::start(version);
        let proxy = Proxy::before_address(server.address);
        Self {
            server,
            proxy,
            works: Server::script([Reply::ok("in the clear")]),
            executed: Cell::default(),
            post,
        }
    }

    /// Posts over a connection that is cut; the outcome, and what the server saw of that connection.
    fn post(&self, cut: Cut, end: End) -> (Outcome, Seen) {
        let url = format!("https://localhost:{}", self.proxy.front().address().port());
        let targets =
            [url, self.works.url()].map(|url| Target::parse(&url).expect("the URL is one of a target"));
        self.proxy.cut(cut, end);
        let outcome = (self.post)(targets.into(), self.server.trusting());
        let see = || self.server.seen.recv_timeout(LIMIT).expect("the proxy connects to the server");
        let mut seen = see();
        // One that was cut before the request was sent on it is replaced.
        while matches!(outcome, Outcome::Answered(0, ..)) && !seen.executed {
            seen.executed = see().executed;
        }
        (outcome, seen)
    }

    fn examine(&self, what: &str, outcome: &Outcome, seen: &Seen, was_shaking: bool) {
        let what = format!("{what}: {outcome:?} {seen:?}");
        let before = self.executed.get();
        self.executed.set([self.server.executions.load(Ordering::Acquire), self.works.requests().len()]);
        let [executed, moved] = [0, 1].map(|nth| self.executed.get()[nth] - before[nth]);
        assert!(executed == usize::from(seen.executed) && executed + moved <= 1, "{executed} {moved} {what}");
        match outcome {
            Outcome::Answered(0, body, failures) => {
                let is_unsent =
                    |failed: &_| matches!(failed, (0, Some(Evidence::HandedBack), Some(Fault::Unsent)));
                assert!(seen.executed && failures.iter().all(is_unsent), "{what}");
                assert!(body.as_ref().is_ok_and(|body| body == ANSWER.as_bytes()) || body.is_err(), "{what}");
            }
            Outcome::Answered(_, body, failures) => {
                assert!(moved == 1, "{what}");
                assert_eq!(body.as_deref(), Ok(b"in the clear".as_slice()), "{what}");
                let [(0, Some(evidence), Some(fault))] = failures[..] else { panic!("{what}") };
                let is_known = matches!(
                    (evidence, fault),
                    (Evidence::NoConnection, Fault::Tls | Fault::Closed)
                        | (Evidence::NotSent | Evidence::HandedBack, _)
                );
                assert!(is_known, "{what}");
            }
            Outcome::Stopped(reason, evidence) => {
                assert_eq!((*reason, moved), (Reason::NoProof, 0), "{what}");
                assert_eq!(evidence, &[Some(Evidence::MaybeProcessed)], "{what}");
            }
        }
        assert!(!was_shaking || matches!(outcome, Outcome::Answered(1, ..)), "{what}");
    }
}

fn over_tokio(targets: Vec<Target>, tls: ClientConfig) -> Outcome {
    use failover_tokio::{AttemptError, Builder, Error, FailoverClient};
    use http_body_util::BodyExt;

    type Failure = failover_core::Failure<AttemptError>;
    let failed =
        |failure: &Failure| (failure.target(), failure.evidence(), failure.error().map(AttemptError::fault));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime is to be had").block_on(async {
        let builder = FailoverClient::builder().policy(policy()).tls(tls);
        let builder = targets.into_iter().fold(builder, Builder::target);
        match builder.build().expect("the settings make sense").post("/pay").body("money").await {
            Ok(response) => {
                let story = response.body().answered().clone();
                let body = response.into_body().collect().await;
                let body = body.map(|body| body.to_bytes().to_vec()).map_err(|error| error.to_string());
                Outcome::Answered(story.target(), body, story.failures().iter().map(failed).collect())
            }
            Err(Error::Stopped(stopped)) => {
                Outcome::Stopped(stopped.reason(), stopped.failures().iter().map(Failure::evidence).collect())
            }
            Err(error) => panic!("{error}"),
        }
    })
}

fn over_async_std(targets: Vec<Target>, tls: ClientConfig) -> Outcome {
    use failover_async_std::{Answered, AttemptError, Builder, Error, FailoverClient};

    type Failure = failover_core::Failure<AttemptError>;
    let failed =
        |failure: &Failure| (failure.target(), failure.evidence(), failure.error().map(AttemptError::fault));
    async_std::task::block_on(async {
        let builder = FailoverClient::builder().policy(policy()).tls(tls);
        let builder = targets.into_iter().fold(builder, Builder::target);
        match builder.build().expect("the settings make sense").post("/pay").body("money").await {
            Ok(mut response) => {
                let story = response.ext::<Answered>().expect("an answer has its story").clone();
                let body = response.body_bytes().await.map_err(|error| error.to_string());
                Outcome::Answered(story.target(), body, story.failures().iter().map(failed).collect())
            }
            Err(Error::Stopped(stopped)) => {
                Outcome::Stopped(stopped.reason(), stopped.failures().iter().map(Failure::evidence).collect())
            }
            Err(error) => panic!("{error}"),
        }
    })
}

fn policy() -> Policy {
    Policy::default().connect_timeout(LIMIT).attempt_timeout(LIMIT).deadline(None)
}

/// A server over TLS that answers one request per connection, with a body that ends where the connection does.
struct TlsServer {
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    version: &'static SupportedProtocolVersion,
    seen: Receiver<Seen>,
    executions: Arc<AtomicUsize>,
    thread: Option<JoinHandle<()>>,
}

/// What a server saw of a connection.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// The request has come whole.
    executed: bool,
    /// The bytes that the server wrote.
    written: usize,
    /// The server has written all that its client waits for in the handshake.
    may_be_connected: bool,
}

impl TlsServer {
    fn start(version: &'static SupportedProtocolVersion) -> Self {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = certified.cert.der().clone();
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (see, seen) = channel();
        let executions = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&executions);
        let thread = thread::spawn(move || serve(&listener, &Arc::new(config), version, &see, &count));
        Self { address, certificate, version, seen, executions, thread: Some(thread) }
    }

    /// A client's TLS that trusts this server only.
    fn trusting(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(&[self.version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        // What the thread has to tell is told to nobody from now on, which ends it.
        self.seen = channel().1;
        if TcpStream::connect(self.address).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

fn serve(
    listener: &TcpListener,
    config: &Arc<ServerConfig>,
    version: &'static SupportedProtocolVersion,
    see: &Sender<Seen>,
    executions: &AtomicUsize,
) {
    while let Ok((stream, _)) = listener.accept() {
        let before = executions.load(Ordering::Acquire);
        let mut tls = ServerConnection::new(Arc::clone(config)).unwrap();
        let (mut seen, mut socket) = (Seen::default(), Counted { stream, written: 0 });
        // What fails here fails because the connection was cut.
        let _ = answer(&mut tls, &mut socket, executions);
        seen.executed = executions.load(Ordering::Acquire) > before;
        seen.written = socket.written;
        seen.may_be_connected = if version == &TLS13 { socket.written > 0 } else { !tls.is_handshaking() };
        // The proxy tells its client of the end when the connection ends.
        if see.send(seen).is_err() {
            break;
        }
    }
}

fn answer(tls: &mut ServerConnection, socket: &mut Counted, executions: &AtomicUsize) -> io::Result<()> {
    socket.stream.set_read_timeout(Some(LIMIT))?;
    socket.stream.set_nodelay(true)?;
    let mut session = BufReader::new(failover_tokio::rustls::Stream::new(tls, socket));
    let mut length = 0;
    loop {
        let mut line = String::new();
        if session.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().map_err(io::Error::other)?,
            None if line.trim_end().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    session.read_exact(&mut body)?;
    executions.fetch_add(1, Ordering::AcqRel);
    assert_eq!(body, b"money");
    let session = session.get_mut();
    // A record for each part, so that it can be cut between them.
    for part in ["HTTP/1.1 200 \r\nconnection: close\r\n\r\n", &ANSWER[..50], &ANSWER[50..]] {
        session.write_all(part.as_bytes())?;
        session.flush()?;
    }
    session.conn.send_close_notify();
    session.conn.complete_io(session.sock)?;
    session.sock.stream.shutdown(Shutdown::Write)
}

/// A socket that counts what is written.
struct Counted {
    stream: TcpStream,
    written: usize,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.stream.write(bytes)?;
        self.written += count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

const ANSWER: &str =
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";
