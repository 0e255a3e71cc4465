//! How a site behaves on one of its connections.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;

use super::chaos::{Chaos, question};

/// A connection of a site.
#[derive(Clone)]
pub(super) struct Conduct {
    /// The number of the site.
    pub(super) nth: usize,
    /// The number of the connection.
    pub(super) connection: u64,
    pub(super) stream: Arc<TcpStream>,
    pub(super) chaos: Arc<Chaos>,
}

impl Conduct {
    /// Executes a request that was read whole.
    pub(super) fn execute(&self, id: u64, method: &str, body: &[u8], over: &'static str) {
        let ledger = &self.chaos.ledger;
        ledger.executed(id, over);
        let wanted = if method == "GET" { vec![] } else { question(id) };
        if body != wanted {
            let (came, wanted) = (body.len(), wanted.len());
            ledger.breaks(format!("the body of {id} came wrong: {came} bytes of {wanted}"));
        }
    }

    /// Lets the connection end by a reset.
    pub(super) fn reset(&self) -> io::Result<()> {
        SockRef::from(&*self.stream).set_linger(Some(Duration::ZERO))
    }

    /// Closes the connection, whoever else has it.
    pub(super) fn close(&self) {
        // Fails if the peer was first, which is as good.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
