//! Failover for HTTP on async-std and surf: an ordered list of targets, and each request goes to the one that works.
//!
//! ```console
//! $ cargo add failover-async-std
//! $ cargo add async-std
//! $ cargo add surf --no-default-features
//! ```
//!
//! ```no_run
//! use async_std::task;
//! use failover_async_std::{Answered, FailoverClient};
//!
//! fn main() -> surf::Result<()> {
//!     task::block_on(async {
//!         let targets = ["https://api.example", "https://api.standby.example/v1"];
//!         let client = FailoverClient::builder().targets(targets).build()?;
//!         let mut response = client.get("/users?page=2").await?;
//!         println!("{:?}", response.ext::<Answered>());
//!         println!("{}", response.body_string().await?);
//!         Ok(())
//!     })
//! }
//! ```
//!
//! If a target fails, by an error, a timeout or a *failover code* such as 503, the request goes to the next one, and the
//! calls that follow begin there. After a while a call tries the preferred target again.
//!
//! A request is never executed twice unless that is known to be harmless: by its method, by an `Idempotency-Key`, or
//! because [`Replay::Always`] says so. A POST goes to the next target if it provably was not sent; after a timeout it
//! does not, and the call ends in [`Error::Stopped`] with [`Reason::NoProof`].
//!
//! # What there is
//!
//! Examples of items that come from `failover-core` or `failover-hyper` name those crates; here they are `failover_async_std::…`.
//!
//! | to | use |
//! | --- | --- |
//! | make a call | [`FailoverClient::get`], [`post`](FailoverClient::post) and so on, [`method`](FailoverClient::method) for any |
//! | send headers, a query, a body, JSON | [`RequestBuilder`] |
//! | send a request that is there already | [`FailoverClient::request`] |
//! | send what surf's request builder made, or a stream | [`FailoverClient::send`] |
//! | let a call run in the background | [`RequestBuilder::submit`] |
//! | add failover to a client of surf's | [`FailoverMiddleware`] |
//! | send through a client of surf's | [`Builder::client`] |
//! | have a sound transport for surf, without failover | [`Transport`] |
//! | bound one call, or say whether it may be sent again | [`RequestBuilder::timeout`], [`attempts`](RequestBuilder::attempts), [`idempotent`](RequestBuilder::idempotent), [`replay`](RequestBuilder::replay); of others, their extensions [`Within`], [`Attempts`], [`Idempotent`], [`Replay`] |
//! | fail over by more than the status, such as an error in a 200 | [`Judge`], [`Policy::judge`] |
//! | learn which target answered | [`Answered`], in each response's extensions |
//! | learn why none did | [`Error::Stopped`]: the reason, each failure, and the last response; or [`Error::is_timeout`] and its like |
//! | change a knob | [`Builder`], [`Policy`]; [`Policy::ballerina`] is a preset |
//! | reach a target otherwise than its URL says | [`Target::connect_to`] another address or a Unix socket, by a [`protocol`](Target::protocol), a [`server_name`](Target::server_name), [`tls`](Target::tls) of its own |
//! | reach all of them through a proxy, or over streams of one's own | [`Builder::connector`] |
//! | send the same headers with each request | [`Builder::default_header`], [`user_agent`](Builder::user_agent) |
//! | change the targets while calls go on | [`FailoverClient::set_targets`] |
//!
//! The decisions are those of [`failover_core`], which is pure; this crate performs them, with what `failover-hyper` has for
//! all runtimes.
//!
//! # surf and async-std
//!
//! Neither is maintained: async-std has been discontinued (RUSTSEC-2025-0052), surf has had no release for years
//! (RUSTSEC-2025-0036), and they bring unmaintained dependencies, some of them with advisories of their own. The
//! project's `deny.toml` names each one, and why it is bearable. **If you can choose, use `failover-tokio`**: it has the
//! same methods and the same behaviour, none of these dependencies, and it also forwards a server's requests. This crate
//! is for applications that live on async-std, until they can move.
//!
//! The feature sets of surf that bring a transport are not used, since failover cannot be built on them. What was found:
//!
//! | surf with | under failure |
//! | --- | --- |
//! | `h1-client` | after a request that was dropped or timed out, the next one on its connection gets **its** answer; what was not read of a body is taken for the next answer; a body that is cut off ends without an error; 103 is taken for the answer; a name is resolved on the executor's thread; errors are mostly text |
//! | `h1-client-rustls` | the same, over a TLS with known vulnerabilities |
//! | `curl-client` | a POST without a body is sent again, and so executed twice, when a connection that was kept alive dies; it panics at a status such as 599 and at header values that are not UTF-8; an answer to HEAD that states a length hangs |
//! | `hyper-client` | old versions of hyper and tokio with known vulnerabilities |
//!
//! Therefore surf is only the face here. Under it is [`Transport`]: hyper 1, with a pool of its
//! own, over async-std's sockets, tasks and timers. It proves what can be proven about a request that failed. No
//! runtime of tokio runs; a few types and traits come from the tokio crate, without its runtime.
//!
//! Three things of surf's remain, and each is an error where it shows. A response whose status is none of surf's closed
//! list, or with a header that is not ASCII, is an [`Unrepresentable`], which holds the response in types that can hold
//! it. A [`surf::Request`] that is cloned loses its body: give it to [`FailoverClient::send`] as it is. Where surf itself
//! must parse the URL, which is so with [`Builder::client`], a path with dots as segments is refused, since surf would
//! resolve them.
//!
//! # Guides
//!
//! | | |
//! | --- | --- |
//! | [Choosing a policy](https://docs.rs/failover-core/latest/failover_core/guide/policy/index.html) | what each knob does in time, and which to set |
//! | [Never twice](https://docs.rs/failover-core/latest/failover_core/guide/never_twice/index.html) | when a request is sent again, and what to do so that it can be |
//! | [Coming from Ballerina](https://docs.rs/failover-core/latest/failover_core/guide/ballerina/index.html) | the keys, operations and errors of its client here, and what differs |
//!
//! # Bodies
//!
//! A request's body in memory is shared by all attempts. A streamed one is kept up to [`Policy::replay_buffer`] bytes;
//! beyond that, it stays with the target that it is being sent to. A response's body is streamed and never failed over:
//! if it breaks off, that is an error to its reader.
//!
//! # Tracing
//!
//! Under the target `failover`, each call is a span with its attempts as events, as the documentation of `failover-tokio`
//! describes them.
//!
//! # Features
//!
//! - `json`: `RequestBuilder::json`.
//! - `metrics`: counters, histograms and gauges through the facade of that name, as the documentation of `failover-tokio` lists them.
//! - `record`: a `Recorder` for `Builder::record`, which keeps what happens to calls as lines of JSON, and the `Story` that they tell.
//! - `serde`: `Config`, the configuration of targets and policy, for `Builder::config`.
//! - `http2`, on by default: HTTP/2, where TLS negotiates it or a target is said to speak it.
//! - `rustls`, on by default: https targets, with rustls, the platform's certificate roots, and ring unless the process has another
//!   default provider.
//! - `rustls-no-provider`: the same without ring: the process must have a default provider, or the client settings
//!   ([`Builder::tls`]).
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod bodies;
mod builder;
mod client;
mod convert;
mod error;
mod exchange;
mod middleware;
mod readiness;
mod request;
mod runtime;
mod submit;
mod surf_client;
mod transport;
mod unrepresentable;

pub use failover_core as core;
pub use failover_core::{
    Address, AdminState, Backoff, Budget, BuildError, Case, Cause, Checks, CoolDown, Evidence, Failback,
    Failure, Follow, Group, InvalidCodes, Judge, Judgement, Judges, Late, MOST_PEEKED, PathError, Peeked,
    Policy, Protocol, Reason, Replay, Snapshot, StatusCodes, Stopped, Target, TargetSnapshot, Verdict,
};
#[cfg(feature = "serde")]
pub use failover_core::{Config, Preset};
#[cfg(feature = "metrics")]
pub use failover_hyper::describe_metrics;
#[cfg(feature = "rustls-no-provider")]
pub use failover_hyper::rustls;
pub use failover_hyper::{
    Answered, AttemptError, Attempts, Fault, Idempotent, IntoBody, IntoCodes, IntoTargets, InvalidHeader,
    MOST_HEADERS, QueryPair, Resolve, SystemResolver, Within,
};
#[cfg(feature = "record")]
pub use failover_hyper::{RecordFile, Recorder, Story};
pub use surf;

pub use crate::builder::Builder;
pub use crate::client::FailoverClient;
pub use crate::error::Error;
pub use crate::middleware::FailoverMiddleware;
pub use crate::request::RequestBuilder;
pub use crate::submit::Submitted;
pub use crate::transport::Transport;
pub use crate::unrepresentable::Unrepresentable;
