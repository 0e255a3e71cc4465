//! A failover state machine for HTTP, without any I/O.
//!
//! A [`Group`] is an ordered list of targets. A call through it goes to the target that worked last; when that fails,
//! to the next, and so on, under two rules that are kept apart: *may this request be sent again?* and *should later
//! requests go elsewhere?* This crate decides; it reads no clock, opens no socket and sends nothing. A driver performs
//! what it says, on any runtime, blocking or not.
//!
//! ```text
//!             begin(facts, now)
//!                   |
//!                   v
//!    +---------> Attempt ---- handle_response: accepted ------------------> Return
//!    |              |
//!    |              | given up: a failover code, or handle_error(evidence)
//!    |              v
//!    |         may it be replayed?  is a target, an attempt, time, budget left?
//!    |              | yes                                        | no
//!    +--- Send <----+----> Wait --resume(now)--> Send or Fail    v
//!                                                               Fail
//! ```
//!
//! Every transition consumes its state and returns the next [`Action`], so a driver that reports twice, or sends while
//! it should wait, does not compile.
//!
//! # A whole driver
//!
//! Here "sending" is a function; in an adapter it is an HTTP client, and the pause a timer.
//!
//! ```
//! use failover_core::{Action, Evidence, Facts, Group, Policy, Timestamp};
//! use http::{HeaderMap, Method, StatusCode};
//! use std::time::Instant;
//!
//! /// One origin of time per group, kept beside it.
//! struct Client {
//!     group: Group<&'static str>,
//!     origin: Instant,
//! }
//!
//! impl Client {
//!     fn now(&self) -> Timestamp {
//!         Timestamp::from(self.origin.elapsed())
//!     }
//!
//!     fn get(&self, send: impl Fn(&str) -> Result<StatusCode, &'static str>) -> Result<(StatusCode, usize), String> {
//!         let facts = Facts::of(&Method::GET, &HeaderMap::new());
//!         let mut action = self.group.begin(facts, self.now());
//!         loop {
//!             action = match action {
//!                 Action::Send(attempt) => match send(attempt.target()) {
//!                     Ok(status) => attempt.handle_response(status, None, status, self.now()),
//!                     Err(error) => attempt.handle_error(Evidence::NoConnection, error, self.now()),
//!                 },
//!                 Action::Wait(wait) => {
//!                     std::thread::sleep(wait.pause());
//!                     wait.resume(self.now())
//!                 }
//!                 Action::Return(answer) => return Ok((*answer.response(), answer.target())),
//!                 Action::Fail(stopped) => return Err(stopped.to_string()),
//!             }
//!         }
//!     }
//! }
//!
//! let group = Group::new(["http://down", "http://busy", "http://up"], Policy::default())?;
//! let client = Client { group, origin: Instant::now() };
//! let send = |target: &str| match target {
//!     "http://down" => Err("connection refused"),
//!     "http://busy" => Ok(StatusCode::SERVICE_UNAVAILABLE),
//!     _ => Ok(StatusCode::OK),
//! };
//! assert_eq!(client.get(send), Ok((StatusCode::OK, 2)));
//! assert_eq!(client.group.sticky(), 2);
//!
//! // Target 0, which refused the connection before, cools down and so is tried last.
//! let story = client.get(|_| Err("no route")).unwrap_err();
//! assert_eq!(
//!     story,
//!     "all targets were tried: target 2: no connection: no route; target 1: no connection: no route; \
//!      target 0: no connection: no route"
//! );
//! # Ok::<(), failover_core::BuildError>(())
//! ```
//!
//! # The table
//!
//! | what happened | replay needs | goes to | target's health | cursor |
//! | --- | --- | --- | --- | --- |
//! | [`NoConnection`](Evidence::NoConnection) | a body that is not gone | next | connect failure | leaves |
//! | [`NotSent`](Evidence::NotSent) | a body that is not gone | next | none | leaves |
//! | [`NoRoom`](Evidence::NoRoom); where all attempts end so, the call stops as by a local fault | a body that is not gone | next | none | stays |
//! | [`HandedBack`](Evidence::HandedBack), first time in the call (then `NotSent`) | a body that is not gone | same, free | none | stays |
//! | [`Refused`](Evidence::Refused), or a status in `not_processed` that is no failover code | the body | next | failure | stays |
//! | [`Stale`](Evidence::Stale), first time in the call (then `MaybeProcessed`) | proof and the body | same, free | none | stays |
//! | [`MaybeProcessed`](Evidence::MaybeProcessed) | proof and the body | next | failure | leaves |
//! | failover code in `not_processed` | the body | next | failure, unless 501 or 4xx | leaves |
//! | any other failover code | proof and the body | next | failure, unless 501 or 4xx | leaves |
//! | any other status | - | returned | success, unless 5xx or 429 | confirmed; a probe answered by 5xx or 429 has failed |
//! | [`LocalFault`](Evidence::LocalFault) | never | - | none | stays |
//! | the attempt or wait is dropped | - | - | none | stays |
//!
//! *Proof* is an idempotent method, an `Idempotency-Key` header, or [`Replay::Always`]. *Leaves* and *confirmed* take
//! effect when the call ends: the cursor goes to the target that answered, unless the sticky target's row says that it
//! stays. A call that stops before it tried every target moves the cursor on if the sticky target's failure counts
//! against its health, so that the next call begins elsewhere.
//!
//! # Order
//!
//! Target 0 first if the call probes it (see [`Failback`]); then the sticky target; then the others from there on,
//! circularly; those that cool down (see [`CoolDown`]) last, but they are tried. Each target once per round.
//!
//! # Cost
//!
//! A call that is answered at once allocates nothing and writes nothing that is shared but the group's reference
//! count, and the budget's counter if there is a budget. Memory is bounded: an [`Attempt`] is 64 bytes, a failed call
//! keeps one record per attempt and at most one response.
//!
//! # Features
//!
//! `serde` adds `Config`, the configuration of groups and policies, and makes a [`Snapshot`] serialize.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod attempt;
mod ballerina;
mod budget;
mod codes;
#[cfg(feature = "serde")]
mod config;
mod cursor;
mod error;
mod evidence;
mod failback;
mod group;
mod health;
mod mark;
mod outcome;
mod pause;
mod policy;
mod reason;
mod snapshot;
mod sync;
mod time;
mod wire;

pub use crate::attempt::{Action, Attempt, Wait};
pub use crate::budget::Budget;
pub use crate::codes::{InvalidCodes, StatusCodes};
#[cfg(feature = "serde")]
pub use crate::config::{Config, Preset};
pub use crate::error::BuildError;
pub use crate::evidence::{Evidence, Facts, Replay};
pub use crate::failback::Failback;
pub use crate::group::Group;
pub use crate::health::CoolDown;
pub use crate::outcome::{Answer, BodyToken, Cause, Failure, Stopped};
pub use crate::pause::Backoff;
pub use crate::policy::Policy;
pub use crate::reason::Reason;
pub use crate::snapshot::{Snapshot, TargetSnapshot};
pub use crate::time::Timestamp;
pub use crate::wire::{Head, PathError, Target, retry_after, settle_framing};
