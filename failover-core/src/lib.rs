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
//!                 Action::Return(answer) => {
//!                     // As soon as the caller has read all of the answer.
//!                     self.group.body_whole(answer.body(), self.now());
//!                     return Ok((*answer.response(), answer.target()));
//!                 }
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
//! # May this request be sent again?
//!
//! | what happened | replay needs | goes to | strikes against its target |
//! | --- | --- | --- | --- |
//! | [`NoConnection`](Evidence::NoConnection) | a body that is not gone | next | all that are needed; one, if it answered since then or within the last second |
//! | [`NotSent`](Evidence::NotSent) | a body that is not gone | next | none |
//! | [`NoRoom`](Evidence::NoRoom); where all attempts end so, the call stops as by a local fault | a body that is not gone | next | none |
//! | [`HandedBack`](Evidence::HandedBack), first time in the call (then `NotSent`) | a body that is not gone | same, free | none |
//! | [`Refused`](Evidence::Refused), or a status in `not_processed` that is no failover code | the body | next | one, unless 501 or 4xx other than 421 and 429 |
//! | [`Stale`](Evidence::Stale), first time in the call (then `MaybeProcessed`) | proof and the body | same, free | none |
//! | [`MaybeProcessed`](Evidence::MaybeProcessed) | proof and the body | next | one |
//! | no answer after the attempt's whole time | as the evidence says | next | one, if the target answered nobody meanwhile |
//! | late, while its target cools or is down by its checks, or the attempt is a probe | proof, the body, another target that is ready; else it waits on | next | one, under the guards of [`Late`] |
//! | failover code in `not_processed` | the body | next | one, unless 501 or 4xx other than 421 and 429 |
//! | any other failover code | proof and the body | next | the same |
//! | 5xx or 429, returned | - | returned | none, and it clears none |
//! | any other status | - | returned | clears them |
//! | its body broke off ([`Group::body_broke_off`]) | - | - | those that its head cleared, and one |
//! | [`LocalFault`](Evidence::LocalFault) | never | - | none |
//! | the caller left ([`Attempt::abandon`]) | - | - | one, if he waited for longer than answers take, under the guards of [`Late`] |
//!
//! *Proof* is an idempotent method, an `Idempotency-Key` header, or [`Replay::Always`].
//!
//! A driver says what a failure proves, which is the one thing that nobody checks for it: see [its guide](guide::evidence).
//!
//! # Should later requests go elsewhere?
//!
//! Strikes count when an attempt ends, whatever becomes of its call. With `leave_after` of them in a row a target cools down
//! (see [`CoolDown`]), and calls begin elsewhere as soon as another target gives a call an answer by which that is well. If all
//! targets fail for a common cause, order and sticky target stay. Under [`Follow::Answer`], as in the preset
//! [`Policy::ballerina`], each answer makes its target the sticky one instead.
//!
//! # Order
//!
//! The preferred target that the call probes, if it does (see [`Failback`]); then the sticky target; then the others from there
//! on, circularly; those that cool down last, but they are tried, and those that an administrator drains after them. If all
//! cool, the order is as if none did. Each target once per round.
//!
//! # Words
//!
//! A name in parentheses, such as (`best_first`), is a requirement: tests begin with it.
//!
//! | word | means |
//! | --- | --- |
//! | target, group | one place where a request can go; the ordered targets with their policy, and what is remembered between calls |
//! | call, attempt | one request by its caller; one sending of it to one target |
//! | sticky target | where the next call begins |
//! | failover code | a status by which a target is given up in a call |
//! | evidence | what a failure proves about whether the request was executed |
//! | proof | what shows that a second execution does no harm |
//! | replay | sending a request again after an attempt that failed |
//! | free repeat | a replay at the same target that counts as no attempt |
//! | strike | a failure that counts against its target |
//! | cool-down | the time for which a target with enough strikes is asked last |
//! | usual | how long the head of an answer takes at this target, as its last answers tell |
//! | late | without the head of an answer for longer than answers take at this target |
//! | failback, probe | going back to a preferred target; the call that tries it |
//! | failback clock | when the next probe of a preferred target is due, and how often that was doubled |
//! | check | a request of the group's own, to learn how a target is |
//! | interval, backoff | the pause between different targets; between rounds |
//! | stop | the end of a call without an acceptable answer, with its [`Reason`] |
//! | driver, adapter | code that performs the actions of the machine; a crate with one |
//!
//! # Cost
//!
//! A call that is answered at once allocates nothing and writes nothing that is shared but the group's reference
//! count, and the budget's counter if there is a budget. Memory is bounded: an [`Attempt`] is 72 bytes, a failed call
//! keeps one record per attempt and at most one response.
//!
//! # Guides
//!
//! | | |
//! | --- | --- |
//! | [Choosing a policy](guide::policy) | what each knob does in time, and which to set |
//! | [Never twice](guide::never_twice) | when a request is sent again, and what to do so that it can be |
//! | [Evidence](guide::evidence) | how to write the one dangerous part of a driver |
//! | [Coming from Ballerina](guide::ballerina) | its keys, operations and errors here, and what differs |
//!
//! # Features
//!
//! `serde` adds `Config`, the configuration of groups and policies, and makes a [`Snapshot`] serialize.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

/// The guides: pages of text, with code that is compiled and run.
#[cfg(any(doc, doctest))]
pub mod guide {
    #[doc = include_str!("../guide/policy.md")]
    pub mod policy {}

    #[doc = include_str!("../guide/never_twice.md")]
    pub mod never_twice {}

    #[doc = include_str!("../guide/evidence.md")]
    pub mod evidence {}

    #[doc = include_str!("../guide/ballerina.md")]
    pub mod ballerina {}
}

mod admin;
mod attempt;
mod ballerina;
mod budget;
mod call;
mod checker;
mod checks;
mod codes;
#[cfg(feature = "serde")]
mod config;
mod cursor;
mod entry;
mod error;
mod evidence;
mod failback;
mod group;
mod health;
mod judge;
mod late;
mod mark;
mod near;
mod outcome;
mod pause;
mod policy;
mod reason;
mod snapshot;
mod sync;
mod time;
mod verdict;
mod wire;

pub use crate::admin::AdminState;
pub use crate::attempt::{Action, Attempt, Expired, Wait};
pub use crate::budget::Budget;
pub use crate::checker::{CheckNext, Checker};
pub use crate::checks::{CheckState, Checks};
pub use crate::codes::{InvalidCodes, StatusCodes};
#[cfg(feature = "serde")]
pub use crate::config::{Config, Preset, parse_duration, parse_size};
pub use crate::entry::Entry;
pub use crate::error::BuildError;
pub use crate::evidence::{Evidence, Facts, Replay};
pub use crate::failback::Failback;
pub use crate::group::Group;
pub use crate::health::CoolDown;
pub use crate::judge::{Case, Judge, Judgement, Judges, MOST_PEEKED, Peeked};
pub use crate::late::Late;
pub use crate::outcome::{Answer, BodyToken, Cause, Failure, Stopped};
pub use crate::pause::Backoff;
pub use crate::policy::{Follow, Policy};
pub use crate::reason::{PassedOver, Reason};
pub use crate::snapshot::{Snapshot, TargetSnapshot};
pub use crate::time::Timestamp;
pub use crate::verdict::Verdict;
pub use crate::wire::{Address, Head, PathError, Protocol, Route, Target, retry_after, settle_framing};
