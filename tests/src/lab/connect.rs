//! Ports: reserved, listened on, or leading nowhere.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// A port whose connects neither succeed nor fail: they hang, as behind a firewall that drops packets.
///
/// It is a listener that accepts nothing and whose queue is full. Linux then drops the first packet of every
/// further connection, which is what the lab relies on.
#[derive(Debug)]
pub struct Blackhole {
    address: SocketAddr,
    _listener: Socket,
    /// What fills the queue.
    _queued: Vec<TcpStream>,
}

impl Blackhole {
    /// Opens a port and fills its queue.
    ///
    /// # Panics
    ///
    /// If no port can be had, or if this system goes on accepting.
    #[must_use]
    pub fn new() -> Self {
        Self::open().expect("a queue of one fills up")
    }

    /// The URL that leads nowhere: scheme, host and port, with no slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn open() -> io::Result<Self> {
        let (listener, address) = reserve()?;
        listener.listen(0)?;
        let mut queued = Vec::new();
        while queued.len() < 64 {
            // On loopback the kernel completes a connect within the call, or not at all.
            match TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
                Ok(stream) => queued.push(stream),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    return Ok(Self { address, _listener: listener, _queued: queued });
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("64 connections were accepted by a queue of one"))
    }
}

impl Default for Blackhole {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes a loopback port without listening on it: connecting there is refused, and nobody else gets the port.
pub(crate) fn reserve() -> io::Result<(Socket, SocketAddr)> {
    let socket = bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok((socket, address))
}

/// Listens on a reserved port; the reservation outlives the listener.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = bind(address)?;
    socket.listen(1024)?;
    Ok(socket.into())
}

fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    // Lets the listener share the port with its reservation.
    socket.set_reuse_address(true)?;
    #[cfg(not(any(target_os = "linux", windows)))]
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}
