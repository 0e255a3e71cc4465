//! A site's connection of HTTP/1.1.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;

use failover_tokio::rustls::{ServerConnection, StreamOwned};

use super::chaos::Kind;
use super::conduct::Conduct;
use crate::lab::{End, Request};

/// What HTTP/1.1 is spoken over.
pub(super) trait Line: Read + Write {
    const NAME: &'static str;

    /// Says that nothing more comes, where that can be said.
    fn farewell(&mut self) -> io::Result<()>;
}

impl Line for &TcpStream {
    const NAME: &'static str = "HTTP/1.1";

    fn farewell(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Line for StreamOwned<ServerConnection, &TcpStream> {
    const NAME: &'static str = "HTTP/1.1 over TLS";

    fn farewell(&mut self) -> io::Result<()> {
        self.conn.send_close_notify();
        self.flush()
    }
}

/// Serves requests until the connection ends.
pub(super) fn converse<L: Line>(conduct: &Conduct, line: L) -> io::Result<()> {
    let Conduct { nth, stream, chaos, .. } = conduct;
    let mut reader = BufReader::new(line);
    let mut ends = End::KeepAlive;
    for position in 0.. {
        match ends {
            End::FinAtNext | End::ResetAtNext if reader.fill_buf()?.is_empty() => break,
            End::FinAtNext => return finish(reader.get_mut(), conduct, End::HalfFin),
            End::ResetAtNext => return finish(reader.get_mut(), conduct, End::Reset),
            _ => {}
        }
        let Some(mut request) = Request::read_head(&mut reader, 0, position)? else { break };
        let Some(id) = request.header("x-id").and_then(|id| id.parse().ok()) else {
            chaos.ledger.breaks(format!("a request without an id came: {request:?}"));
            break;
        };
        let kind = chaos.kind(*nth, id, position, request.header("x-fine").is_some());
        chaos.ledger.injects(kind);
        let reply = chaos.reply(kind, *nth, id);
        if kind != Kind::Early {
            request.read_body(&mut reader)?;
            if kind.executes() {
                conduct.execute(id, &request.method, &request.body, L::NAME);
            }
        }
        reply.write(reader.get_mut(), &request, &|hold| {
            hold.goes_on(|time| {
                // The hold is what this fault is.
                thread::sleep(time);
                true
            })
        })?;
        reader.get_mut().flush()?;
        if kind == Kind::Early {
            request.read_body(&mut reader)?;
            conduct.execute(id, &request.method, &request.body, L::NAME);
        }
        if kind == Kind::IdleCloseSoon {
            stream.set_read_timeout(Some(chaos.moment(id)))?;
            // It ends the connection if nothing comes in time.
            reader.fill_buf()?;
            stream.set_read_timeout(None)?;
        }
        ends = reply.ending();
        if !matches!(ends, End::KeepAlive | End::FinAtNext | End::ResetAtNext) {
            return finish(reader.get_mut(), conduct, ends);
        }
    }
    Ok(())
}

fn finish(line: &mut impl Line, conduct: &Conduct, end: End) -> io::Result<()> {
    let stream = &*conduct.stream;
    match end {
        End::Reset => conduct.reset(),
        End::Fin => Ok(()),
        End::HalfFin => {
            line.farewell()?;
            stream.shutdown(Shutdown::Write)?;
            io::copy(&mut &*stream, &mut io::sink()).map(drop)
        }
        _ => io::copy(&mut &*stream, &mut io::sink()).map(drop),
    }
}
