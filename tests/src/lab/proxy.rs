//! A proxy that cuts connections.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::{End, LIMIT, Server};

/// A proxy in front of a server, which passes bytes on until it is told to cut.
///
/// A client hears of a cut only when the server is done with what it got, so that a suite can compare what the client
/// concludes with what the server executed.
#[derive(Debug)]
pub struct Proxy {
    front: Server,
    next: Arc<Mutex<Option<(Cut, End)>>>,
}

/// After how many bytes a proxy cuts the connection that passes them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cut {
    /// So many bytes from the client. At 0 it is cut as the first one comes, which the server does not get.
    Request(usize),
    /// So many bytes from the server. At 0 it is cut as the first one comes, which the client does not get.
    Answer(usize),
}

impl Proxy {
    /// Starts a proxy.
    ///
    /// # Panics
    ///
    /// If no port can be had.
    #[must_use]
    pub fn before(server: &Server) -> Self {
        Self::before_address(server.address())
    }

    /// Starts a proxy in front of a server that is not the lab's.
    ///
    /// # Panics
    ///
    /// If no port can be had.
    #[must_use]
    pub fn before_address(address: SocketAddr) -> Self {
        let next = Arc::default();
        let relay = Relay { next: Arc::clone(&next), address };
        let front = Server::conversing(move |client, _, _| relay.run(client));
        Self { front, next }
    }

    /// Cuts one connection, counting bytes from now on: with a FIN, or with a reset if `end` is [`End::Reset`].
    pub fn cut(&self, cut: Cut, end: End) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some((cut, end));
    }

    /// What the clients connect to. It executes no requests itself.
    #[must_use]
    pub fn front(&self) -> &Server {
        &self.front
    }
}

struct Relay {
    next: Arc<Mutex<Option<(Cut, End)>>>,
    address: SocketAddr,
}

impl Relay {
    fn run(&self, client: &TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(self.address)?;
        for stream in [client, &server] {
            stream.set_nodelay(true)?;
        }
        server.set_read_timeout(Some(LIMIT))?;
        let is_cut = AtomicBool::new(false);
        thread::scope(|scope| {
            let answers = scope.spawn(|| self.pass(&server, client, Cut::Answer, &is_cut));
            let cut = self.pass(client, &server, Cut::Request, &is_cut);
            // The server does what it does with what it got, and closes.
            let _ = server.shutdown(Shutdown::Write);
            let cut = cut.or(answers.join().expect("a relay does not panic"));
            match cut {
                Some(End::Reset) => SockRef::from(client).set_linger(Some(Duration::ZERO)),
                Some(_) => {
                    client.shutdown(Shutdown::Write)?;
                    io::copy(&mut &*client, &mut io::sink()).map(drop)
                }
                None => Ok(()),
            }
        })
    }

    /// Passes bytes on until one side ends, or until they are to be cut; how.
    fn pass(
        &self,
        mut from: &TcpStream,
        mut to: &TcpStream,
        way: fn(usize) -> Cut,
        is_cut: &AtomicBool,
    ) -> Option<End> {
        let mut buffer = [0; 1 << 14];
        let mut cut = None;
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            if is_cut.load(Ordering::Acquire) {
                continue;
            }
            let (passed, end) = self.count(way, count);
            if end.is_some() {
                is_cut.store(true, Ordering::Release);
            }
            if to.write_all(&buffer[..passed]).is_err() {
                break;
            }
            cut = end;
            if cut.is_some() {
                break;
            }
        }
        match way(0) {
            // Wakes the other half, and tells the peer nothing.
            Cut::Answer(_) if cut.is_some() => drop(to.shutdown(Shutdown::Read)),
            Cut::Answer(_) if !is_cut.load(Ordering::Acquire) => drop(to.shutdown(Shutdown::Write)),
            _ => {}
        }
        cut
    }

    /// How many of so many bytes are passed on, and how the connection ends after them.
    fn count(&self, way: fn(usize) -> Cut, count: usize) -> (usize, Option<End>) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        match *next {
            Some((cut @ (Cut::Request(left) | Cut::Answer(left)), end)) if cut == way(left) => {
                *next = (left > count).then(|| (way(left - count), end));
                (left.min(count), next.is_none().then_some(end))
            }
            _ => (count, None),
        }
    }
}
