//! Failover for reqwest: an ordered list of targets, and each request goes to the one that works.
//!
//! Beside the reqwest that a program has, with its features and its TLS:
//!
//! ```console
//! $ cargo add failover-reqwest --features json
//! $ cargo add reqwest --no-default-features
//! $ cargo add serde_json
//! $ cargo add tokio --features macros,rt-multi-thread
//! ```
//!
//! ```no_run
//! use failover_reqwest::{Answered, FailoverClient};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let client = FailoverClient::builder()
//!         .targets(["http://api.example", "http://api.standby.example/v1"])
//!         .client(reqwest::Client::builder().user_agent("shop/1.0"))
//!         .build()?;
//!     let response = client.get("/users?page=2").send().await?;
//!     println!("{:?}", response.extensions().get::<Answered>());
//!     let users: serde_json::Value = response.error_for_status()?.json().await?;
//!     println!("{users}");
//!     Ok(())
//! }
//! ```
//!
//! If a target fails, by an error, a timeout or a *failover code* such as 503, the request goes to the next one, and the
//! calls that follow begin there. After a while a call tries the preferred target again.
//!
//! A request is never executed twice unless that is known to be harmless: by its method, by an `Idempotency-Key`, or
//! because [`Replay::Always`] says so. A POST goes to the next target if there was no connection; after a timeout it
//! does not, and the call ends in [`Error::Stopped`] with [`Reason::NoProof`].
//!
//! # What there is
//!
//! Examples of items that come from `failover-core` or `failover-hyper` name those crates; here they are `failover_reqwest::…`.
//!
//! | to | use |
//! | --- | --- |
//! | make a call | [`FailoverClient::get`], [`post`](FailoverClient::post) and so on, and [`send`](RequestBuilder::send), as with reqwest |
//! | keep code that has whole URLs | the same: a URL below one of the targets is a path below all |
//! | send what a builder of reqwest's made | [`FailoverClient::execute`] |
//! | add failover to a client of reqwest-middleware | a [`FailoverClient`] as its last middleware, with the feature `middleware` |
//! | bound one call, or say whether it may be sent again | [`RequestBuilder::timeout`], [`attempts`](RequestBuilder::attempts), [`replay`](RequestBuilder::replay), [`idempotent`](RequestBuilder::idempotent) |
//! | fail over by more than the status, such as an error in a 200 | [`Judge`], [`Policy::judge`] |
//! | learn which target answered | [`Answered`], in each response's extensions |
//! | learn why none did | [`Error::Stopped`]: the reason, each failure, and the last response; or [`Error::is_timeout`] and its like |
//! | set how requests are sent | [`Builder::client`] |
//! | change a knob | [`Builder`], [`Policy`]; [`Policy::ballerina`] is a preset |
//! | change the targets while calls go on | [`FailoverClient::set_targets`] |
//! | show what is remembered of them | [`FailoverClient::snapshot`] |
//!
//! The decisions are those of [`failover_core`], which is pure; this crate performs them, with what `failover-hyper` has for
//! all runtimes, by a client of reqwest's: its pool, its TLS, its cookies and its decompression. All targets have the same client.
//!
//! # What reqwest's client sets
//!
//! What was set on the [`reqwest::ClientBuilder`] holds, but for what would break the promise above or the bounds of the policy:
//!
//! | | |
//! | --- | --- |
//! | `redirect`, `retry` | are off: a 3xx is an answer, and nothing is sent again but by failover |
//! | `timeout` | bounds nothing: [`Policy::attempt_timeout`] and [`Policy::deadline`] do, and for one call [`RequestBuilder::timeout`]. They end with the head of the answer, and [`Policy::body_idle`] bounds how long a body may stand still |
//! | `connect_timeout` | holds beside the one of the policy or the target, whichever is shorter |
//! | `read_timeout` | holds: it ends an attempt whose answer takes longer, too |
//! | `default_headers` | are a request's unless it, or the target, has its own |
//! | `no_proxy`, `proxy` | see below |
//! | `https_only` | a target of http ends the call: its request cannot be built |
//!
//! **Proxies by environment.** Unless `no_proxy` was called, reqwest sends through the proxies that `HTTP_PROXY` (not in CGI),
//! `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` name, in either case, and with its feature `system-proxy` those of the system. A proxy
//! that all targets have in common is one that they fail with in common. That there was no connection then means one to the
//! proxy, or through it where the target speaks TLS; what a proxy answers itself, such as 502, is its target's answer.
//!
//! # What its errors prove
//!
//! | what happened | proves |
//! | --- | --- |
//! | [`reqwest::Error::is_connect`]: resolve, connect, proxy or TLS failed, or took longer than the bound | [`NoConnection`](Evidence::NoConnection): any request goes to the next target |
//! | the same for want of descriptors or memory here | [`NoRoom`](Evidence::NoRoom), which is nobody's fault |
//! | the body that the caller streams failed | [`LocalFault`](Evidence::LocalFault) |
//! | the request cannot be built for the target | [`LocalFault`](Evidence::LocalFault) |
//! | anything else | nothing: [`MaybeProcessed`](Evidence::MaybeProcessed) |
//!
//! The transport of `failover-tokio` proves more. Over reqwest's,
//!
//! - a connection that was closed while it was idle, in the moment in which it gets a request, is a failure of its target like any:
//!   a POST stops there, and a GET goes to the next target. Keep `pool_idle_timeout` below what the targets keep. Where
//!   nothing of the request was written, reqwest's pool itself takes another connection, which is safe and not an attempt;
//! - a stream of HTTP/2 that was refused, or waited in vain for room on its connection, may have been processed;
//! - a body over HTTP/2 whose stream ends without a word, and which states no length, looks whole;
//! - `Expect: 100-continue` is not sent, since reqwest does not tell what targets ask for;
//! - the bound of connecting is told apart only for the request that opens the connection. One that waits for the connection that
//!   another one opens, over HTTP/2 by prior knowledge, waits as long as for its answer;
//! - targets are reached as their URLs say, nothing runs a policy's `checks`, and reqwest resolves dots in paths.
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
//! A request's body in memory is shared by all attempts. A streamed one, which reqwest cannot clone, gets its first attempt; it is
//! kept up to [`Policy::replay_buffer`] bytes, 64 KiB by default, for others, and beyond that it stays with the target that it is
//! being sent to. Several parts are a stream, also where each is in memory. A response's body is streamed and never failed over:
//! if it breaks off, that is an error, and a failure of its target.
//!
//! # Tracing and metrics
//!
//! Under the target `failover`, each call is a span with its attempts as events, and with the feature `metrics` there are counters,
//! histograms and gauges, as the documentation of `failover-tokio` describes them.
//!
//! # Features
//!
//! - `form`, `json`, `multipart`, `query`: the methods of [`RequestBuilder`], and reqwest's features of these names.
//! - `metrics`: see above.
//! - `middleware`: the client is a middleware of `reqwest-middleware`, its innermost.
//! - `record`: a `Recorder` for `Builder::record`, which keeps what happens to calls as lines of JSON, and the `Story` that they tell.
//! - `serde`: `Config`, the configuration of targets and policy, for `Builder::config`.
//!
//! TLS, HTTP/2, streams, cookies and the like are features of reqwest's.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod answer;
mod builder;
mod calls;
mod client;
mod connect;
mod error;
mod exchange;
#[cfg(feature = "middleware")]
mod middleware;
mod request;
mod template;

pub use failover_core as core;
pub use failover_core::{
    AdminState, Backoff, Budget, BuildError, Case, Cause, Checks, CoolDown, Evidence, Failback, Failure,
    Follow, Group, InvalidCodes, Judge, Judgement, Judges, Late, MOST_PEEKED, PathError, Peeked, Policy,
    Reason, Replay, Snapshot, StatusCodes, Stopped, Target, TargetSnapshot, Verdict,
};
#[cfg(feature = "serde")]
pub use failover_core::{Config, Preset};
#[cfg(feature = "metrics")]
pub use failover_hyper::describe_metrics;
pub use failover_hyper::{
    Answered, AttemptError, Attempts, Fault, Idempotent, IntoCodes, IntoTargets, Within,
};
#[cfg(feature = "record")]
pub use failover_hyper::{RecordFile, Recorder, Story};
pub use reqwest;

pub use crate::builder::Builder;
pub use crate::client::FailoverClient;
pub use crate::error::Error;
pub use crate::request::RequestBuilder;
