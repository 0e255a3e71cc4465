//! Sockets by address: names are looked up off the executor, and their addresses raced (RFC 8305).

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use failover_core::Address;

use crate::names::Names;
use crate::runtime::Runtime;

/// Connects to a Unix socket, or to the first of a host's addresses that takes the connection.
pub(crate) async fn dial<R: Runtime>(names: &Arc<Names>, address: &Address) -> Result<R::Socket, DialError> {
    match address {
        Address::Host { host, port } => {
            let addresses = resolve::<R>(names, host, *port).await.map_err(DialError::Resolve)?;
            let mut race = Race::new::<R>(addresses, R::connect);
            poll_fn(|cx| race.poll(cx)).await.map_err(DialError::Connect)
        }
        Address::Unix(path) => R::connect_unix(path).await.map_err(DialError::Unix),
        _ => Err(DialError::Connect(io::ErrorKind::Unsupported.into())),
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum DialError {
    /// The name has no address.
    Resolve(io::Error),
    /// None of the addresses took the connection: why the last one did not.
    Connect(io::Error),
    /// The Unix socket did not take it.
    Unix(io::Error),
}

async fn resolve<R: Runtime>(names: &Arc<Names>, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let mut addresses = interleaved(names.resolve::<R>(bare).await?);
    for address in &mut addresses {
        address.set_port(port);
    }
    Ok(addresses)
}

/// The addresses with their families taking turns, the first one's first (RFC 8305, section 4).
fn interleaved(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let v6_first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == v6_first);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut turns = Vec::new();
    loop {
        let turn = [first.next(), second.next()];
        if turn == [None; 2] {
            return turns;
        }
        turns.extend(turn.into_iter().flatten());
    }
}

/// Connects to one address after the other, each with a head start before the next.
struct Race<C, S> {
    waiting: std::vec::IntoIter<SocketAddr>,
    connect: C,
    running: Vec<Pin<Box<dyn Future<Output = io::Result<S>> + Send>>>,
    sleep: fn(Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>,
    head_start: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Why the last address to fail did.
    error: Option<io::Error>,
}

impl<C, F, S> Race<C, S>
where
    C: Fn(SocketAddr) -> F,
    F: Future<Output = io::Result<S>> + Send + 'static,
{
    fn new<R: Runtime>(addresses: Vec<SocketAddr>, connect: C) -> Self {
        let sleep = |time| Box::pin(R::sleep(time)) as Pin<Box<dyn Future<Output = ()> + Send>>;
        Self {
            waiting: addresses.into_iter(),
            connect,
            running: vec![],
            sleep,
            head_start: None,
            error: None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<S>> {
        loop {
            let before = self.running.len();
            let mut nth = 0;
            while let Some(running) = self.running.get_mut(nth) {
                match running.as_mut().poll(cx) {
                    Poll::Pending => nth += 1,
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                    Poll::Ready(Err(error)) => {
                        drop(self.running.remove(nth));
                        self.error = Some(error);
                    }
                }
            }
            let failed = self.running.len() < before;
            let waits = self.head_start.as_mut().is_some_and(|time| time.as_mut().poll(cx).is_pending());
            if waits && !failed && !self.running.is_empty() {
                return Poll::Pending;
            }
            self.head_start = None;
            let Some(address) = self.waiting.next() else {
                if !self.running.is_empty() {
                    return Poll::Pending;
                }
                let error = self.error.take();
                return Poll::Ready(Err(error.unwrap_or_else(|| io::ErrorKind::NotFound.into())));
            };
            self.running.push(Box::pin((self.connect)(address)));
            if self.waiting.len() > 0 {
                self.head_start = Some((self.sleep)(HEAD_START));
            }
        }
    }
}

/// The time that an address has before the next one is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::testing::Tokio;

    #[tokio::test(start_paused = true)]
    async fn the_first_address_to_take_the_connection_wins() {
        // Each address fails, never answers, or works.
        for (script, winner) in [
            ("w", Some(0)),
            ("fw", Some(1)),
            ("ffw", Some(2)),
            ("nw", Some(1)),
            ("nfw", Some(2)),
            ("fnw", Some(2)),
            ("ww", Some(0)),
            ("", None),
            ("f", None),
            ("fff", None),
        ] {
            assert_eq!(run(script).await.ok(), winner, "{script}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_never_answers_has_its_head_start() {
        let began = Instant::now();
        assert_eq!(run("nnw").await.unwrap(), 2);
        assert_eq!(began.elapsed(), 2 * HEAD_START);
    }

    #[test]
    fn families_take_turns() {
        let [a, b, c, d] = ["[::1]:1", "[::2]:2", "127.0.0.3:3", "127.0.0.4:4"]
            .map(|address| address.parse::<SocketAddr>().unwrap());
        assert_eq!(interleaved(vec![a, b, c, d]), [a, c, b, d]);
        assert_eq!(interleaved(vec![c, a, b]), [c, a, b]);
        assert_eq!(interleaved(vec![]), []);
    }

    async fn run(script: &'static str) -> io::Result<u16> {
        let addresses = (0..).take(script.len()).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let mut race = Race::new::<Tokio>(addresses.collect(), |address: SocketAddr| async move {
            match script.as_bytes()[usize::from(address.port())] {
                b'w' => Ok(address.port()),
                b'f' => Err(io::ErrorKind::ConnectionRefused.into()),
                _ => std::future::pending().await,
            }
        });
        poll_fn(|cx| race.poll(cx)).await
    }
}
