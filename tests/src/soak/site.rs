//! A target: a server that misbehaves at random, and that can be stopped and started on its port.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use failover_core::Target;
use failover_tokio::rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::Socket;
use tokio_rustls::TlsAcceptor;

use super::chaos::{Chaos, Opening};
use super::conduct::Conduct;
use super::speech::{Identity, Speech};
use super::{http1, http2};
use crate::lab::connect::{listen, reserve};

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
    speech: Speech,
    identity: Arc<Identity>,
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
    pub(super) fn open(nth: usize, speech: Speech, identity: Arc<Identity>, chaos: Arc<Chaos>) -> Self {
        let (reserved, address) = reserve().expect("a loopback port is to be had");
        let shared = Arc::new(Shared { nth, speech, identity, chaos, state: Mutex::default() });
        let site = Self { address, _reserved: reserved, shared, acceptor: Mutex::default() };
        site.start();
        site
    }

    pub(super) fn nth(&self) -> usize {
        self.shared.nth
    }

    pub(super) fn speech(&self) -> Speech {
        self.shared.speech
    }

    pub(super) fn target(&self) -> Target {
        self.shared.speech.target(self.address)
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

    fn converse(&self, stream: &Arc<TcpStream>, connection: u64) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (nth, stream, chaos) = (self.nth, Arc::clone(stream), Arc::clone(&self.chaos));
        let conduct = Conduct { nth, connection, stream, chaos };
        let stream = &*conduct.stream;
        match self.speech {
            Speech::Http1 => http1::converse(&conduct, stream),
            Speech::Http2 => streams(&conduct, None),
            Speech::Tls => {
                let opening = self.chaos.opening(nth, connection);
                self.chaos.ledger.opens(opening);
                match opening {
                    Opening::Stall => io::copy(&mut &*stream, &mut io::sink()).map(drop),
                    Opening::Fin => stream.peek(&mut [0]).map(drop),
                    Opening::Fine { http2: true } => {
                        streams(&conduct, Some(Arc::clone(&self.identity.http2)))
                    }
                    Opening::Fine { http2: false } => {
                        let session = ServerConnection::new(Arc::clone(&self.identity.http1));
                        http1::converse(
                            &conduct,
                            StreamOwned::new(session.map_err(io::Error::other)?, stream),
                        )
                    }
                }
            }
        }
    }
}

/// Speaks HTTP/2, within TLS if there are settings for it.
fn streams(conduct: &Conduct, tls: Option<Arc<ServerConfig>>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let socket = conduct.stream.try_clone()?;
    socket.set_nonblocking(true)?;
    runtime.block_on(async {
        let socket = tokio::net::TcpStream::from_std(socket)?;
        match tls {
            None => http2::converse(conduct, socket, "HTTP/2").await,
            Some(settings) => {
                let session = TlsAcceptor::from(settings).accept(socket).await?;
                http2::converse(conduct, session, "HTTP/2 over TLS").await
            }
        }
    })
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
            let _ = shared.converse(&stream, connection);
            shared.lock().open.remove(&connection);
        });
    }
}
