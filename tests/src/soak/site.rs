//! A target: a server that misbehaves at random, and that can be stopped and started on its port.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use socket2::{SockRef, Socket};

use super::chaos::{Chaos, Kind, question};
use crate::lab::connect::{listen, reserve};
use crate::lab::{End, Request};

/// One of the targets.
#[derive(Debug)]
pub(super) struct Site {
    address: SocketAddr,
    _reserved: Socket,
    shared: Arc<Shared>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    nth: usize,
    chaos: Arc<Chaos>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stopping: bool,
    accepted: u64,
    open: HashMap<u64, Arc<TcpStream>>,
}

impl Site {
    pub(super) fn open(nth: usize, chaos: Arc<Chaos>) -> Self {
        let (reserved, address) = reserve().expect("a loopback port is to be had");
        let shared = Arc::new(Shared { nth, chaos, state: Mutex::default() });
        let site = Self { address, _reserved: reserved, shared, acceptor: Mutex::default() };
        site.start();
        site
    }

    pub(super) fn nth(&self) -> usize {
        self.shared.nth
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections are open.
    pub(super) fn connections(&self) -> usize {
        self.shared.lock().open.len()
    }

    /// Accepts connections, if it does not already.
    pub(super) fn start(&self) {
        let mut acceptor = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner);
        if acceptor.is_none() {
            self.shared.lock().stopping = false;
            let listener = listen(self.address).expect("the reserved port can be listened on");
            let shared = Arc::clone(&self.shared);
            *acceptor = Some(thread::spawn(move || accept(&listener, &shared)));
        }
    }

    /// Ends all connections, and refuses them from then on.
    pub(super) fn stop(&self) {
        let mut acceptor = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(acceptor) = acceptor.take() else { return };
        let mut state = self.shared.lock();
        state.stopping = true;
        for stream in state.open.values() {
            // Fails if the peer was first, which is as good.
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(state);
        // Wakes the acceptor.
        if TcpStream::connect(self.address).is_ok() {
            let _ = acceptor.join();
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn converse(&self, stream: &TcpStream) -> io::Result<()> {
        let ledger = &self.chaos.ledger;
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        let mut ends = End::KeepAlive;
        for position in 0.. {
            match ends {
                End::FinAtNext | End::ResetAtNext if reader.fill_buf()?.is_empty() => break,
                End::FinAtNext => return finish(stream, End::HalfFin),
                End::ResetAtNext => return finish(stream, End::Reset),
                _ => {}
            }
            let Some(mut request) = Request::read_head(&mut reader, 0, position)? else { break };
            let Some(id) = request.header("x-id").and_then(|id| id.parse().ok()) else {
                ledger.breaks(format!("a request without an id came: {request:?}"));
                break;
            };
            let kind = self.chaos.kind(self.nth, id, position, request.header("x-fine").is_some());
            ledger.injects(kind);
            let reply = self.chaos.reply(kind, self.nth, id);
            if kind != Kind::Early {
                request.read_body(&mut reader)?;
                self.execute(id, &request);
            }
            reply.write(&mut &*stream, &request, &|hold| {
                hold.goes_on(|time| {
                    // The hold is what this fault is.
                    thread::sleep(time);
                    true
                })
            })?;
            if kind == Kind::Early {
                request.read_body(&mut reader)?;
                self.execute(id, &request);
            }
            if kind == Kind::IdleCloseSoon {
                stream.set_read_timeout(Some(self.chaos.moment(id)))?;
                // It ends the connection if nothing comes in time.
                reader.fill_buf()?;
                stream.set_read_timeout(None)?;
            }
            ends = reply.ending();
            if !matches!(ends, End::KeepAlive | End::FinAtNext | End::ResetAtNext) {
                return finish(stream, ends);
            }
        }
        Ok(())
    }

    fn execute(&self, id: u64, request: &Request) {
        self.chaos.ledger.executed(id);
        let wanted = if request.method == "GET" { vec![] } else { question(id) };
        if request.body != wanted {
            let (came, wanted) = (request.body.len(), wanted.len());
            self.chaos.ledger.breaks(format!("the body of {id} came wrong: {came} bytes of {wanted}"));
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // Out of descriptors: they may come back.
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        let stream = Arc::new(stream);
        let mut state = shared.lock();
        if state.stopping {
            break;
        }
        state.accepted += 1;
        let connection = state.accepted;
        state.open.insert(connection, Arc::clone(&stream));
        drop(state);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // What fails here fails because the client went away, or the site did.
            let _ = shared.converse(&stream);
            shared.lock().open.remove(&connection);
        });
    }
}

fn finish(stream: &TcpStream, end: End) -> io::Result<()> {
    match end {
        End::Reset => SockRef::from(stream).set_linger(Some(Duration::ZERO)),
        End::Fin => Ok(()),
        End::HalfFin => {
            stream.shutdown(Shutdown::Write)?;
            io::copy(&mut &*stream, &mut io::sink()).map(drop)
        }
        _ => io::copy(&mut &*stream, &mut io::sink()).map(drop),
    }
}
