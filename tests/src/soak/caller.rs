//! A caller: it calls again and again, and looks closely at what comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use failover_core::{Evidence, Reason};

use super::adapter::{Adapter, Call, Head, Stop};
use super::chaos::{LAST, answer, pick, question};
use super::ledger::Ledger;
use super::{ATTEMPT, Order};

pub(super) struct Caller<A> {
    adapter: A,
    ledger: Arc<Ledger>,
    order: Order,
    nth: u64,
}

/// When a caller goes away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Leaves {
    Never,
    During(Duration),
    /// With a part of the answer unread.
    Midway,
}

impl<A: Adapter> Caller<A> {
    pub(super) fn new(adapter: A, ledger: Arc<Ledger>, order: Order, nth: usize) -> Self {
        Self { adapter, ledger, order, nth: nth as u64 }
    }

    /// Calls until it is over.
    pub(super) async fn run(&self, is_over: &AtomicBool) {
        for turn in 0.. {
            if is_over.load(Ordering::Acquire) {
                break;
            }
            let draw = |what| pick(&[self.order.seed, 9, self.nth, turn, what]);
            A::sleep(Duration::from_millis(draw(0) % 60)).await;
            let (method, has_key) = match draw(1) % if self.order.is_harsh { 6 } else { 4 } {
                0 => ("GET", false),
                1 | 4 | 5 => ("POST", false),
                2 => ("POST", true),
                _ => ("PUT", false),
            };
            let id = self.ledger.begin(method == "POST" && !has_key);
            let is_get = method == "GET";
            let call = Call {
                id,
                method,
                body: if is_get { vec![] } else { question(id) }.into(),
                is_streamed: !is_get && draw(2) % 2 == 0,
                has_key,
                is_fine: draw(3) % 3 == 0,
                within: (draw(4) % 10 == 0).then(|| Duration::from_millis(20 + draw(5) % 1_000)),
            };
            let leaves = match draw(6) % 20 {
                0 => Leaves::During(Duration::from_micros(draw(7) % 300_000)),
                1 => Leaves::During(Duration::from_micros(draw(7) % 3_000)),
                2 => Leaves::Midway,
                _ => Leaves::Never,
            };
            self.make(call, leaves).await;
        }
    }

    async fn make(&self, call: Call, leaves: Leaves) {
        let bound = call.deadline() + self.order.slack;
        let began = Instant::now();
        let time = if let Leaves::During(time) = leaves { time } else { bound };
        let (id, made) = (call.id, self.adapter.call(call.clone()));
        let Some(outcome) = A::within(time, made).await else {
            return match leaves {
                Leaves::During(_) => self.ledger.left(),
                _ => self.ledger.breaks(format!("{id} did not end within {bound:?}")),
            };
        };
        if began.elapsed() > bound {
            self.ledger.breaks(format!("{id} took {:?} of {bound:?}", began.elapsed()));
        }
        match outcome {
            Ok(head) => {
                let (target, status) = (head.target, head.status);
                if status != 200 && (status != 500 || call.is_fine && target == LAST) {
                    self.ledger.breaks(format!("{id} is answered with {status} by target {target}"));
                }
                match self.read(&call, head, leaves).await {
                    Read::Whole => self.ledger.answered(target, status),
                    Read::BrokeOff => self.ledger.broke_off(),
                    Read::Left => self.ledger.left(),
                    Read::Wrong => {}
                }
            }
            Err(stop) => self.judge(&call, stop, leaves, began.elapsed()).await,
        }
    }

    /// Reads an answer, which is to be that of this call.
    async fn read(&self, call: &Call, mut head: Head<A::Body>, leaves: Leaves) -> Read {
        let id = call.id;
        if head.id != Some(id) || head.target > LAST {
            let Head { status, id: other, target, .. } = head;
            self.ledger.breaks(format!("{id} has the answer {status} of {other:?} by target {target}"));
            return Read::Wrong;
        }
        let wanted = answer(id);
        let (mut came, bound) = (0, ATTEMPT + self.order.slack);
        loop {
            match A::within(bound, A::piece(&mut head.body)).await {
                Some(Ok(Some(piece))) => {
                    if wanted.get(came..came + piece.len()) != Some(&piece) {
                        self.ledger.breaks(format!("the answer of {id} is wrong after {came} bytes"));
                        return Read::Wrong;
                    }
                    came += piece.len();
                    if leaves == Leaves::Midway {
                        return Read::Left;
                    }
                }
                Some(Ok(None)) if came == wanted.len() => return Read::Whole,
                Some(Ok(None)) => {
                    self.ledger.breaks(format!("the answer of {id} ends after {came} of {}", wanted.len()));
                    return Read::Wrong;
                }
                Some(Err(_)) => return Read::BrokeOff,
                None => {
                    self.ledger.breaks(format!("the answer of {id} stands still after {came} bytes"));
                    return Read::Wrong;
                }
            }
        }
    }

    /// Whether there is a good reason for an error.
    async fn judge(&self, call: &Call, stop: Stop<A::Body>, leaves: Leaves, took: Duration) {
        let Stop { reason, failures, answer, message } = stop;
        let has_tried = |target| failures.iter().any(|failed| failed.target == target);
        let Some(reason) = reason else {
            return self.ledger.breaks(format!("{} cannot be made: {message}", call.id));
        };
        let is_odd = reason == Reason::TargetsTried && call.is_fine;
        self.ledger.stopped(if is_odd { "targets_tried, the last of which works" } else { reason.as_str() });
        let is_once = call.method == "POST" && !call.has_key;
        let may_have_been_executed = failures.last().is_some_and(|failed| {
            matches!(failed.evidence, Some(Evidence::MaybeProcessed | Evidence::Stale))
                || matches!(failed.status, Some(202 | 503))
        });
        let is_refused =
            call.is_fine && failures.iter().any(|failed| failed.target == LAST && failed.status.is_some());
        let is_right = match reason {
            Reason::TargetsTried => (0..=LAST).all(has_tried) && !is_refused,
            Reason::NoProof => is_once && may_have_been_executed,
            Reason::Deadline => took >= call.deadline(),
            Reason::OneShotBody | Reason::BodyGone => call.is_streamed && !failures.is_empty(),
            _ => false,
        };
        if !is_right {
            let Call { id, method, has_key, is_streamed, is_fine, .. } = call;
            self.ledger.breaks(format!(
                "{method} {id} (key {has_key}, streamed {is_streamed}, fine {is_fine}) stopped after {took:?}: {message}; {failures:?}"
            ));
        }
        if let Some(head) = answer {
            self.read(call, head, leaves).await;
        }
    }
}

enum Read {
    Whole,
    BrokeOff,
    Left,
    Wrong,
}
