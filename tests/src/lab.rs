//! A laboratory of misbehaving HTTP/1.1 servers on loopback.
//!
//! A [`Server`] does to a client what its script says, and records every request that it executed, so that a
//! suite can count executions exactly. It is built on `std::net` and `std::thread` only: suites of any runtime
//! can use it. It stops and joins its threads when it is dropped, and a handler that panicked there fails the
//! test.
//!
//! ```
//! use failover_tests::lab::{End, Reply, Server};
//!
//! // Answers the first request, closes the idle connection, then never answers again.
//! let server = Server::script([Reply::ok("hello").end(End::Fin), Reply::stall()]);
//! assert!(server.url().starts_with("http://127.0.0.1:"));
//! assert_eq!(server.requests().len(), 0);
//!
//! // Or a function of the request.
//! let _mirror = Server::start(|request| Reply::ok(request.body.clone()).header("x-method", &request.method));
//!
//! // Or nobody at all: connecting is refused.
//! let _down = Server::down();
//! ```
//!
//! | a client meets | written as |
//! |---|---|
//! | connection refused | [`Server::down`], [`Server::stop`] |
//! | a connect that never completes | [`Blackhole::new`] |
//! | a connection that is accepted and then ignored; reset on accept | [`Server::accepting`] with [`Accept`] |
//! | no answer; a reset or a FIN after the request, or inside the head | [`Reply::stall`], [`Reply::reset`], [`Reply::fin`], [`Reply::raw`] |
//! | a stall, a FIN or a reset inside the body, with a length or chunked | [`Reply::cut`] and [`Reply::end`], [`Reply::chunked`] |
//! | garbage, status 99, any other status, a large head | [`Reply::raw`], [`Reply::status`], [`Reply::header`] |
//! | 103 then 200, a close-delimited body, HTTP/1.0, trailers | [`Reply::interim`], [`Reply::close_delimited`], [`Reply::http10`], [`Reply::trailer`] |
//! | a slow answer, a slow body, a dripping head | [`Reply::after`], [`Reply::halfway`], [`Reply::dripping`] |
//! | an answer before the body was read | [`Server::early`] |
//! | a kept-alive connection that ends while idle, or as the next request is written | [`Reply::end`] with [`End`] |
//! | a connection that ends after any byte of a request or of an answer | [`Proxy::cut`] |

pub(crate) mod connect;
mod proxy;
mod reply;
mod request;

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{SockRef, Socket};

pub use self::connect::Blackhole;
pub use self::proxy::{Cut, Proxy};
pub use self::reply::{End, Gate, Hold, Reply};
pub use self::request::Request;

/// The guard against hangs: nothing in the lab waits longer for a client, and no test needs nearly as long.
pub const LIMIT: Duration = Duration::from_secs(30);

/// One misbehaving HTTP server on a loopback port of its own.
///
/// Its port stays reserved until it is dropped, stopped or not, so that no other server of a test run that is
/// going on beside this one can answer in its place.
pub struct Server {
    address: SocketAddr,
    /// Bound and never listening.
    _reserved: Socket,
    shared: Arc<Shared>,
    /// `None` once stopped, and from the start for a server that is down.
    acceptor: Option<JoinHandle<()>>,
}

/// What a server does with a connection before it reads anything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Accept {
    /// Reads requests and replies to them.
    Serve,
    /// Resets the connection.
    Reset,
    /// Closes the connection.
    Fin,
    /// Keeps the connection and never reads from it.
    Freeze,
}

impl Server {
    /// Starts a server that replies to each request, read in full, as `handler` says.
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::accepting([Accept::Serve], handler)
    }

    /// Starts a server that gives one reply after the other, over all its connections; the last one repeats.
    ///
    /// # Panics
    ///
    /// If there is no reply, or if no port can be had.
    pub fn script(replies: impl IntoIterator<Item = Reply>) -> Self {
        let replies: Vec<_> = replies.into_iter().collect();
        assert!(!replies.is_empty(), "a script has at least one reply");
        let next = AtomicUsize::new(0);
        Self::start(move |_| replies[next.fetch_add(1, Ordering::Relaxed).min(replies.len() - 1)].clone())
    }

    /// Starts a server that treats one connection after the other as `accepts` says; the last one repeats.
    ///
    /// # Panics
    ///
    /// If `accepts` is empty, or if no port can be had.
    pub fn accepting(
        accepts: impl IntoIterator<Item = Accept>,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::launch(accepts.into_iter().collect(), Serving { early: false, handler: Box::new(handler) })
    }

    /// Starts a server that replies as soon as it has read a request's head.
    ///
    /// The body of such a request is recorded as empty. If the connection goes on, the body is read and thrown
    /// away after the reply.
    pub fn early(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::launch(vec![Accept::Serve], Serving { early: true, handler: Box::new(handler) })
    }

    /// A server that is down: its port is taken and nobody listens there, so connecting is refused.
    ///
    /// # Panics
    ///
    /// If no port can be had.
    #[must_use]
    pub fn down() -> Self {
        let (reserved, address) = connect::reserve().expect("a loopback port is to be had");
        Self { address, _reserved: reserved, shared: Arc::default(), acceptor: None }
    }

    /// Stops the server as a crash does: all connections end, and from then on connecting is refused.
    ///
    /// What was recorded stays.
    ///
    /// # Panics
    ///
    /// If a handler panicked.
    pub fn stop(&mut self) {
        self.shared.stop();
        if let Some(acceptor) = self.acceptor.take() {
            // Wakes the acceptor. It is accepting, so only a lack of sockets in this process can refuse this.
            if TcpStream::connect(self.address).is_ok()
                && let Err(panic) = acceptor.join()
                && !thread::panicking()
            {
                resume_unwind(panic);
            }
        }
    }

    /// Where the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server's URL: scheme, host and port, with no slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request that the server executed, in the order in which it did.
    ///
    /// A request is executed when it has arrived in full, whatever becomes of the answer; at a server that
    /// answers [early](Self::early), when its head has.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().requests.clone()
    }

    /// How many connections the server accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lock().accepted
    }

    /// Waits until the server has executed `count` requests, and returns all it has.
    ///
    /// # Panics
    ///
    /// If that takes longer than [`LIMIT`].
    #[must_use]
    pub fn wait_for_requests(&self, count: usize) -> Vec<Request> {
        self.shared.wait("requests", count, |state| state.requests.len()).requests.clone()
    }

    /// Waits until the server has accepted `count` connections.
    ///
    /// # Panics
    ///
    /// If that takes longer than [`LIMIT`].
    pub fn wait_for_connections(&self, count: usize) {
        drop(self.shared.wait("connections", count, |state| state.accepted));
    }

    /// Waits until `count` of the server's connections have ended, from whichever side.
    ///
    /// # Panics
    ///
    /// If that takes longer than [`LIMIT`].
    pub fn wait_for_closed(&self, count: usize) {
        drop(self.shared.wait("closed connections", count, |state| state.closed));
    }

    fn launch(accepts: Vec<Accept>, serving: Serving) -> Self {
        assert!(!accepts.is_empty(), "the first connection needs to be treated somehow");
        Self::conversing(move |stream, connection, shared| {
            let how = accepts[connection.min(accepts.len() - 1)];
            converse(stream, connection, how, &serving, shared)
        })
    }

    fn conversing(
        converse: impl Fn(&TcpStream, usize, &Shared) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let mut server = Self::down();
        let listener = connect::listen(server.address).expect("the reserved port can be listened on");
        let shared = Arc::clone(&server.shared);
        let acceptor = thread::Builder::new()
            .name(format!("lab {}", server.address.port()))
            .spawn(move || accept(&listener, &shared, &converse))
            .expect("a thread is to be had");
        server.acceptor = Some(acceptor);
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What the threads of a server share with the test.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    accepted: usize,
    closed: usize,
    stopping: bool,
    /// The connections that are open, so that stopping can end them.
    open: HashMap<usize, Arc<TcpStream>>,
}

struct Serving {
    early: bool,
    handler: Box<dyn Fn(&Request) -> Reply + Send + Sync>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<V>(&self, change: impl FnOnce(&mut State) -> V) -> V {
        let value = change(&mut self.lock());
        self.changed.notify_all();
        value
    }

    fn stop(&self) {
        self.change(|state| {
            state.stopping = true;
            for stream in state.open.values() {
                // Fails if the peer was first, which is as good.
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
    }

    fn wait(&self, what: &str, wanted: usize, count: impl Fn(&State) -> usize) -> MutexGuard<'_, State> {
        let (state, timeout) = self
            .changed
            .wait_timeout_while(self.lock(), LIMIT, |state| count(state) < wanted)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "{} {what} of {wanted} after {LIMIT:?}", count(&state));
        state
    }

    /// Waits until the server stops, and at most for `time`; whether it goes on.
    fn goes_on_after(&self, time: Duration) -> bool {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), time, |state| !state.stopping)
            .unwrap_or_else(PoisonError::into_inner);
        !state.stopping
    }
}

fn accept(
    listener: &TcpListener,
    shared: &Shared,
    converse: &(impl Fn(&TcpStream, usize, &Shared) -> io::Result<()> + Sync),
) {
    // The scope joins the threads of all connections; a panic in one of them becomes one here.
    thread::scope(|scope| {
        let mut connection = 0;
        loop {
            let accepted = listener.accept();
            let Ok((stream, _)) = accepted else {
                // Out of descriptors: they may come back.
                if shared.goes_on_after(Duration::from_millis(10)) {
                    continue;
                }
                break;
            };
            let stream = Arc::new(stream);
            let stopping = shared.change(|state| {
                if !state.stopping {
                    state.accepted += 1;
                    state.open.insert(connection, Arc::clone(&stream));
                }
                state.stopping
            });
            if stopping {
                break;
            }
            scope.spawn(move || {
                // What fails here fails because the client went away, which is its right.
                let outcome = catch_unwind(AssertUnwindSafe(|| {
                    let _ = converse(&stream, connection, shared);
                }));
                shared.change(|state| state.open.remove(&connection));
                // Closes the socket.
                drop(stream);
                shared.change(|state| state.closed += 1);
                if let Err(panic) = outcome {
                    resume_unwind(panic);
                }
            });
            connection += 1;
        }
    });
}

fn converse(
    stream: &TcpStream,
    connection: usize,
    how: Accept,
    serving: &Serving,
    shared: &Shared,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match how {
        Accept::Serve => {}
        Accept::Reset => return end(stream, End::Reset, shared),
        Accept::Fin => return end(stream, End::HalfFin, shared),
        Accept::Freeze => return end(stream, End::Freeze, shared),
    }
    let mut reader = BufReader::new(stream);
    for position in 0.. {
        let Some(mut request) = Request::read_head(&mut reader, connection, position)? else {
            break;
        };
        if !serving.early {
            if request.header("expect") == Some("100-continue") {
                (&mut &*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            request.read_body(&mut reader)?;
        }
        // First the reply, so that whoever has seen the request recorded knows that its reply is taken from the script.
        let reply = (serving.handler)(&request);
        shared.change(|state| state.requests.push(request.clone()));
        reply.write(&mut &*stream, &request, &|hold| hold.goes_on(|time| shared.goes_on_after(time)))?;
        match reply.ending() {
            End::KeepAlive if serving.early => request.read_body(&mut reader)?,
            End::KeepAlive => {}
            End::FinAtNext | End::ResetAtNext if reader.fill_buf()?.is_empty() => break,
            End::FinAtNext => return end(stream, End::HalfFin, shared),
            End::ResetAtNext => return end(stream, End::Reset, shared),
            last => return end(stream, last, shared),
        }
    }
    Ok(())
}

/// Does the last thing that happens on a connection, up to the close.
fn end(stream: &TcpStream, end: End, shared: &Shared) -> io::Result<()> {
    match end {
        End::Reset => SockRef::from(stream).set_linger(Some(Duration::ZERO)),
        End::Fin => Ok(()),
        End::HalfFin => {
            stream.shutdown(Shutdown::Write)?;
            io::copy(&mut &*stream, &mut io::sink()).map(drop)
        }
        End::Freeze => {
            while shared.goes_on_after(LIMIT) {}
            Ok(())
        }
        End::Stall | End::KeepAlive | End::FinAtNext | End::ResetAtNext => {
            io::copy(&mut &*stream, &mut io::sink()).map(drop)
        }
    }
}
