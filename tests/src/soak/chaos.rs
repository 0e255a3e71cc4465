//! What is done to a request, drawn from a seed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ledger::Ledger;
use crate::lab::{End, Reply};

/// What a site does to a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Fine,
    Slow,
    SlowBody,
    Unavailable,
    Internal,
    Reset,
    Fin,
    Cut,
    CutByReset,
    BodyStall,
    Stall,
    Garbage,
    Refused,
    Early,
    Close,
    IdleClose,
    IdleCloseSoon,
    FinAtNext,
    ResetAtNext,
    /// A 200 which says that nothing was done.
    Overloaded,
    /// A 202 which says that something failed.
    Failed,
}

impl Kind {
    /// What is drawn from. Only a stream can be refused, which takes the place of garbage there.
    const ALL: [Self; 20] = [
        Self::Fine,
        Self::Slow,
        Self::SlowBody,
        Self::Unavailable,
        Self::Internal,
        Self::Reset,
        Self::Fin,
        Self::Cut,
        Self::CutByReset,
        Self::BodyStall,
        Self::Stall,
        Self::Garbage,
        Self::Early,
        Self::Close,
        Self::IdleClose,
        Self::IdleCloseSoon,
        Self::FinAtNext,
        Self::ResetAtNext,
        Self::Overloaded,
        Self::Failed,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fine => "none",
            Self::Slow => "slow answer",
            Self::SlowBody => "slow body",
            Self::Unavailable => "503",
            Self::Internal => "500",
            Self::Reset => "reset before the head",
            Self::Fin => "FIN before the head",
            Self::Cut => "FIN inside the body",
            Self::CutByReset => "reset inside the body",
            Self::BodyStall => "stall inside the body",
            Self::Stall => "stall",
            Self::Garbage => "garbage head",
            Self::Refused => "stream refused unprocessed",
            Self::Early => "early answer",
            Self::Close => "Connection: close, or GOAWAY",
            Self::IdleClose => "close after the answer",
            Self::IdleCloseSoon => "close a moment later",
            Self::FinAtNext => "FIN at the next request",
            Self::ResetAtNext => "reset at the next request",
            Self::Overloaded => "200, judged not to be executed",
            Self::Failed => "202, judged a failure",
        }
    }

    /// Whether the request is executed.
    pub(super) fn executes(self) -> bool {
        !matches!(self, Self::Refused | Self::Overloaded)
    }

    /// What the answer says to the judge.
    pub(super) fn verdict(self) -> &'static str {
        match self {
            Self::Overloaded => "not-done",
            Self::Failed => "failed",
            _ => "fine",
        }
    }

    /// Whether it befalls the request that comes next, which may be one that is to go well.
    fn is_for_the_next(self) -> bool {
        matches!(self, Self::IdleClose | Self::IdleCloseSoon | Self::FinAtNext | Self::ResetAtNext)
    }
}

/// How a connection of TLS begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Opening {
    Fine {
        /// Whether HTTP/2 is agreed on.
        http2: bool,
    },
    /// The client's first words are not answered.
    Stall,
    /// The connection is closed after them.
    Fin,
}

/// The numbers of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) status: u16,
    pub(super) is_chunked: bool,
    pub(super) some_time: Duration,
    /// Where a body is cut.
    pub(super) cut: usize,
    /// How much of the body the judge asks for.
    pub(super) peek: usize,
}

/// Where all sites draw from.
#[derive(Debug)]
pub(super) struct Chaos {
    seed: u64,
    is_harsh: bool,
    began: Instant,
    pub(super) ledger: Arc<Ledger>,
}

impl Chaos {
    pub(super) fn new(seed: u64, is_harsh: bool, ledger: Arc<Ledger>) -> Self {
        Self { seed, is_harsh, began: Instant::now(), ledger }
    }

    /// What befalls a request at a site. The last site works whenever it is asked to.
    pub(super) fn kind(&self, site: usize, id: u64, position: usize, is_fine: bool) -> Kind {
        let site_number = site as u64;
        let draw = pick(&[self.seed, 2, site_number, id, position as u64]);
        if is_fine && site == LAST || draw % 100 >= self.percent(site) {
            return Kind::Fine;
        }
        let kind = Kind::ALL[1 + pick_index(&[draw], Kind::ALL.len() - 1)];
        match kind {
            // An empty body cannot be cut: only the next request would find its connection ended or silent.
            Kind::Cut | Kind::CutByReset | Kind::BodyStall if answer_length(id) == 0 => Kind::Fine,
            _ if site == LAST && kind.is_for_the_next() => Kind::Close,
            _ => kind,
        }
    }

    /// The same of a request that shares its connection: at the last site it harms no other.
    pub(super) fn kind_of_stream(&self, site: usize, id: u64, position: usize, is_fine: bool) -> Kind {
        match self.kind(site, id, position, is_fine) {
            Kind::Garbage => Kind::Refused,
            Kind::Fin if site == LAST => Kind::Reset,
            kind => kind,
        }
    }

    /// How many of a hundred requests something befalls, for some seconds.
    fn percent(&self, site: usize) -> u64 {
        if self.is_harsh {
            return 80;
        }
        [2, 20, 60][pick_index(&[self.seed, 1, site as u64, self.spell()], 3)]
    }

    /// Which of the times it is that differ in how bad they are.
    fn spell(&self) -> u64 {
        self.began.elapsed().as_secs() / 3
    }

    /// What befalls a connection of TLS at a site.
    pub(super) fn opening(&self, site: usize, connection: u64) -> Opening {
        let draw = pick(&[self.seed, 10, site as u64, connection]);
        if site != LAST && draw % 100 < self.percent(site) / 4 {
            return if draw % 3 == 0 { Opening::Stall } else { Opening::Fin };
        }
        // For a spell, since a connection of HTTP/2 takes all requests.
        Opening::Fine { http2: pick_index(&[self.seed, 12, site as u64, self.spell()], 2) == 0 }
    }

    /// How many requests a connection may have at once.
    pub(super) fn streams(&self, site: usize, connection: u64) -> u32 {
        [1, 4, 100][pick_index(&[self.seed, 11, site as u64, connection], 3)]
    }

    /// The numbers of an answer.
    pub(super) fn plan(&self, kind: Kind, site: usize, id: u64) -> Plan {
        let draw = pick(&[self.seed, 3, site as u64, id]);
        let whole = answer_length(id);
        let cut = whole.div_ceil(2).min(usize::try_from(draw >> 32).unwrap_or(usize::MAX) % whole.max(1));
        let peek = length(pick(&[id, 13]), 80 << 10);
        let status = match kind {
            Kind::Unavailable => 503,
            Kind::Internal => 500,
            Kind::Failed => 202,
            _ => 200,
        };
        Plan { status, is_chunked: draw % 2 == 0, some_time: Duration::from_millis(draw % 300), cut, peek }
    }

    /// The answer to a request.
    pub(super) fn reply(&self, kind: Kind, site: usize, id: u64) -> Reply {
        let Plan { status, is_chunked, some_time, cut, peek } = self.plan(kind, site, id);
        let reply = Reply::status(status).header("x-id", &id.to_string()).body(answer(id));
        let reply = reply.header("x-peek", &peek.to_string()).header("x-verdict", kind.verdict());
        let reply = if is_chunked { reply.chunked() } else { reply };
        match kind {
            Kind::Slow => reply.after(some_time),
            Kind::SlowBody => reply.halfway(some_time),
            Kind::Reset => Reply::reset(),
            Kind::Fin | Kind::Refused => Reply::fin(),
            Kind::Cut => reply.cut(cut),
            Kind::CutByReset => reply.cut(cut).end(End::Reset),
            Kind::BodyStall => reply.cut(cut).end(End::Stall),
            Kind::Stall => Reply::stall(),
            Kind::Garbage => Reply::raw("220 smtp.example ESMTP\r\n\r\n"),
            Kind::Close => reply.header("connection", "close").end(End::Fin),
            Kind::IdleClose => reply.end(End::Fin),
            Kind::FinAtNext => reply.end(End::FinAtNext),
            Kind::ResetAtNext => reply.end(End::ResetAtNext),
            Kind::Fine
            | Kind::Unavailable
            | Kind::Internal
            | Kind::Early
            | Kind::IdleCloseSoon
            | Kind::Overloaded
            | Kind::Failed => reply,
        }
    }

    /// How long a connection lies idle until its site closes it.
    pub(super) fn moment(&self, id: u64) -> Duration {
        Duration::from_millis(1 + pick(&[self.seed, 4, id]) % 30)
    }
}

/// The body of a request, which follows from its id.
pub(super) fn question(id: u64) -> Vec<u8> {
    bytes(pick(&[id, 5]), length(pick(&[id, 6]), 100 << 10))
}

/// The body of the answer to a request.
pub(super) fn answer(id: u64) -> Vec<u8> {
    bytes(pick(&[id, 7]), answer_length(id))
}

/// A number that these give, and that looks like any.
pub(super) fn pick(of: &[u64]) -> u64 {
    of.iter().fold(0, |mixed, part| mix(mixed ^ mix(*part)))
}

/// One of so many places.
pub(super) fn pick_index(of: &[u64], places: usize) -> usize {
    usize::try_from(pick(of) % places as u64).expect("a place fits")
}

fn answer_length(id: u64) -> usize {
    length(pick(&[id, 8]), 200 << 10)
}

/// A length up to the largest; most are small.
fn length(draw: u64, largest: usize) -> usize {
    let most = match draw % 8 {
        0 => 1,
        1..=3 => 200,
        4..=6 => largest / 20,
        _ => largest + 1,
    };
    usize::try_from(draw >> 8).unwrap_or(usize::MAX) % most
}

fn bytes(of: u64, length: usize) -> Vec<u8> {
    let words = (0..).flat_map(|nth: u64| mix(of ^ nth).to_le_bytes());
    words.take(length).collect()
}

/// The finalizer of `SplitMix64`.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// The site that works when it is asked to.
pub(super) const LAST: usize = 2;
