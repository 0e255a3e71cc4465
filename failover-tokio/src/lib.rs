//! Failover for HTTP on tokio and hyper: an ordered list of targets, and each request goes to the one that works.
//!
//! ```console
//! $ cargo add failover-tokio
//! $ cargo add tokio --features macros,rt-multi-thread
//! ```
//!
//! ```no_run
//! use failover_tokio::FailoverClient;
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//!     let targets = ["https://api.example", "https://api.standby.example/v1"];
//!     let client = FailoverClient::builder().targets(targets).build()?;
//!     let response = client.get("/users?page=2").await?;
//!     println!("{:?}", response.body().answered());
//!     println!("{}: {}", response.status(), response.into_body().text().await?);
//!     Ok(())
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
//! Examples of items that come from `failover-core` or `failover-hyper` name those crates; here they are `failover_tokio::…`.
//!
//! | to | use |
//! | --- | --- |
//! | make a call | [`FailoverClient::get`], [`post`](FailoverClient::post) and so on, [`method`](FailoverClient::method) for any |
//! | send headers, a query, a body, JSON | [`RequestBuilder`] |
//! | bound one call, or say whether it may be sent again | [`RequestBuilder::timeout`], [`attempts`](RequestBuilder::attempts), [`idempotent`](RequestBuilder::idempotent), [`replay`](RequestBuilder::replay) |
//! | send a request that is there already | [`FailoverClient::request`], with the extensions [`Within`], [`Attempts`], [`Idempotent`], [`Replay`] |
//! | know afterwards why calls failed over or did not | the feature [`record`](#records) |
//! | fail over by more than the status, such as an error in a 200 | [`Judge`], [`Policy::judge`] |
//! | pass a server's request on, websockets too | [`FailoverClient::forward`]; [`Tunnel`]; [`FailoverClient::into_proxy`] for all requests of a router |
//! | let a call run in the background | [`RequestBuilder::submit`] |
//! | read an answer's body at once | [`ResponseBody::bytes`], [`text`](ResponseBody::text), `json`, with [`BodyError`] |
//! | learn which target answered | [`ResponseBody::answered`] |
//! | learn why none did | [`Error::Stopped`]: the reason, each failure, and the last response; or [`Error::is_timeout`] and its like |
//! | tell a client of one's own of that | [`Error::gateway_response`]; [`Error::into_response`] if a target answered, else [`Error::gateway_status`] |
//! | change a knob | [`Builder`], [`Policy`]; [`Policy::ballerina`] is a preset |
//! | reach a target otherwise than its URL says | [`Target::connect_to`] another address or a Unix socket, by a [`protocol`](Target::protocol), a [`server_name`](Target::server_name), [`tls`](Target::tls) of its own |
//! | reach all of them through a proxy, or over streams of one's own | [`Builder::connector`](#through-a-proxy) |
//! | send the same headers with each request | [`Builder::default_header`], [`user_agent`](Builder::user_agent) |
//! | change the targets while calls go on | [`FailoverClient::set_targets`] |
//! | show what is remembered of them | [`FailoverClient::snapshot`] |
//! | put failover into a tower stack, or a stack under each target | [`Failover`], [`FailoverLayer`], [`Transport`] |
//! | tell what the errors of a stack prove | [`Classify`] |
//!
//! # Guides
//!
//! | | |
//! | --- | --- |
//! | [Choosing a policy](https://docs.rs/failover-core/latest/failover_core/guide/policy/index.html) | what each knob does in time, and which to set |
//! | [Never twice](https://docs.rs/failover-core/latest/failover_core/guide/never_twice/index.html) | when a request is sent again, and what to do so that it can be |
//! | [Cookbook](guide::cookbook) | JSON, streamed uploads and downloads, axum, fakes and time in tests, a client of one's own |
//! | [Mistakes](guide::mistakes) | what rustc says of common ones, and what to write in their place |
//! | [Coming from Ballerina](https://docs.rs/failover-core/latest/failover_core/guide/ballerina/index.html) | the keys, operations and errors of its client here, and what differs |
//!
//! The decisions are those of [`failover_core`], which is pure; this crate performs them, with what `failover-hyper` has for
//! all runtimes. The transport is a pool of hyper's connections of HTTP/1.1 and HTTP/2, which sends each request once. It
//! follows no redirects.
//!
//! # Through a proxy
//!
//! What opens the byte streams to targets is settable ([`Builder::connector`]), so what others wrote for hyper can be used: here, a
//! tunnel through an HTTP proxy, by hyper-util, which has `SocksV5` beside it. TLS, HTTP/2 and all bounds work through it as
//! without; a proxy that is down or refuses proves that the request was not sent. No proxy is taken from the environment.
//!
//! ```
//! use std::error::Error;
//!
//! use failover_tokio::FailoverClient;
//! use http::Uri;
//! use hyper_util::client::legacy::connect::{HttpConnector, proxy::Tunnel};
//! use hyper_util::rt::TokioIo;
//! use tower::ServiceExt;
//!
//! # fn main() -> Result<(), Box<dyn Error>> {
//! let mut to_proxy = HttpConnector::new();
//! to_proxy.set_nodelay(true);
//! let tunnel = Tunnel::new(Uri::from_static("http://proxy.example:3128"), to_proxy);
//! let client = FailoverClient::builder()
//!     .targets(["http://eu.example", "http://us.example"])
//!     .connector(move |address| {
//!         let tunnel = tunnel.clone();
//!         async move {
//!             let stream = tunnel.oneshot(format!("http://{address}").parse()?).await?;
//!             Ok::<_, Box<dyn Error + Send + Sync>>(TokioIo::new(stream))
//!         }
//!     })
//!     .build()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Over other clients
//!
//! [`Failover`] works over any tower service that sends requests: a stack over the [`Transport`], hyper-util's client, or
//! reqwest's. **Below it, redirects and retries must be off** (`reqwest::redirect::Policy::none()`, and no retry layer or
//! middleware), for three reasons. A client that sends by itself again executes a request twice that must not be. Its
//! error is that of the last sending: "connection refused" of a redirect's second place looks as if the request was never
//! sent, after the first place has executed it. And it takes the headers of a target along, such as its API key, to
//! wherever the redirect leads.
//!
//! Hence nothing is proved by the errors of a service that is not ours: each counts as [`Evidence::MaybeProcessed`], so a
//! POST stops there. Whoever has switched that off can vouch for the client by [`Failover::classify`]; see [`Classify`].
//!
//! # Bodies
//!
//! A request's body in memory is shared by all attempts. A streamed one is kept up to [`Policy::replay_buffer`] bytes;
//! beyond that, it stays with the target that it is being sent to. A response's body is streamed and never failed over:
//! if it breaks off, that is an error, also where a stream of HTTP/2 ends without a word. Trailers pass in both
//! directions.
//!
//! So a call holds at most `replay_buffer` of its request, beside the piece that is being sent, and some 64 KiB of an
//! answer that was given up.
//!
//! # HTTP/2
//!
//! With https targets it is negotiated; of others, [`Target::protocol`], or [`Builder::protocol`] for all, says that they
//! speak it. A
//! request whose stream was refused was not executed and goes to the next target, whatever its method; a GOAWAY proves
//! nothing. A connection on which an attempt ran out of time is not used for others, and one that
//! does not answer a ping is closed.
//!
//! # Tracing
//!
//! Under the target `failover`, each change is told in one line, whoever made it and however many calls met it:
//!
//! | event | level | fields beside `client`, `index` and `target_name` |
//! | --- | --- | --- |
//! | `target cools` | WARN | `cools_for`, `strikes`, `why` |
//! | `target left` | WARN | `to_index`, `to_name`, `strikes`, `why` |
//! | `returned to target` | INFO | `from_index`, `from_name` |
//! | `target down by its checks`, `target has no such path to check` | WARN | |
//! | `target up by its checks` | INFO | |
//! | `target preferred by hand` | INFO | `from_index`, `from_name` |
//! | `target's state set by hand` | INFO | `state` |
//! | `targets replaced` | INFO | `targets`, and the sticky one before: `from_index`, `from_name` |
//! | `calls stop` | WARN | only `client` and `reason`: a call had no answer, after others had |
//! | `calls are answered again` | INFO | only `client`, `stopped`: how many did, and `lasted` |
//!
//! That calls stop is told at most once a minute, and that they are answered again as often. A call that stops by its
//! own fault is none of them: one whose time was over before it began, or whose request cannot be sent. What is done to
//! a [`Group`] itself is told with the next change of its client.
//!
//! Each call is a span `call` (INFO) under `failover::call`, by which a subscriber that wants none of them filters it, with `client`, `method` and, when it ends, `outcome`, `index`, `target_name`,
//! `attempts` and `took`. What single calls do is DEBUG: each attempt is an event `attempt answered`, or `attempt given up`
//! with its `status`, or its `evidence`, `error` and, if it is known, `cause`; both with `index`, `target_name` and `took`.
//! A call that stops without an answer is a `call stopped` with the `reason` why no further target was tried, and a body
//! that breaks off later an `answer broke off`.
//!
//! Times are in seconds. Targets are told by the names that they were given ([`Target::named`]), or else by scheme, host and
//! port; the second one that is told alike is `name#2`. Paths, headers and bodies are not told.
//!
//! # Metrics
//!
//! With the feature `metrics`, through the facade of that name, for any exporter:
//!
//! | name | kind | labels beside `client` |
//! | --- | --- | --- |
//! | `failover_calls_total` | counter | `outcome`: `answered`, `abandoned` by its caller, or a [`Reason`] |
//! | `failover_call_duration_seconds` | histogram | `outcome` |
//! | `failover_attempts_total` | counter | `target`, `index`; `outcome`: `answered`, `failover_code`, `judged`, or an [`Evidence`]; `status`: `2xx` and so on, or `none` |
//! | `failover_attempt_duration_seconds` | histogram | `target`, `index` |
//! | `failover_failovers_total` | counter | `from`, `to`: targets |
//! | `failover_broken_answers_total` | counter | `target`, `index` |
//! | `failover_target_sticky` | gauge: 1 or 0 | `target`, `index` |
//! | `failover_target_cooling_seconds` | gauge: 0 if it does not cool | `target`, `index` |
//! | `failover_target_strikes` | gauge | `target`, `index` |
//! | `failover_target_up` | gauge: 1 or 0, where there are checks | `target`, `index` |
//! | `failover_target_connections` | gauge, of a [`FailoverClient`] | `target`, `index`, `state`: `idle`, `in_use` |
//!
//! `client` is [`Builder::name`], by which the clients of a process are told apart. Targets are told as in logs. Reasons
//! and evidence are named as by [`Reason::as_str`] and [`Evidence::as_str`]. Durations end with the head of the answer: good
//! buckets reach from a millisecond to the attempt timeout, 10 s by default, such as 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
//! 0.1, 0.25, 0.5, 1, 2.5, 5 and 10. Attempts of a call that was abandoned are not counted. Targets with the same
//! connections have the same number of them.
//!
//! The gauges are set when you call `record_gauges` of a client or a service, best just before they are read, and so are never
//! stale; an exporter with an idle timeout for gauges forgets those of targets that are gone, which are 0. Counters and
//! histograms of such targets stay as they are. Their handles are kept from a client's first call on: install the recorder
//! before, and give it no idle timeout for counters and histograms.
//!
//! # Records
//!
//! With the feature `record`, a `Recorder` keeps what happens to the calls of a client, for whoever asks afterwards why: each call in
//! which an attempt failed, and each change, as lines of JSON. `Story` tells them in words.
//!
//! ```
//! # #[cfg(feature = "record")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use failover_tokio::{FailoverClient, RecordFile, Recorder, Story};
//!
//! # let folder = std::env::temp_dir().join(format!("failover-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! # let path = folder.join("calls.jsonl");
//! // At most 64 MiB: calls.jsonl, and calls.jsonl.1 with what was in it before.
//! let recorder = Recorder::to(RecordFile::open(&path, 32 << 20)?);
//! let targets = ["https://api.example", "https://api.standby.example/v1"];
//! let client = FailoverClient::builder().targets(targets).record(&recorder).build()?;
//!
//! recorder.flush();
//! let mut story = Story::default();
//! for line in std::fs::read_to_string(&path)?.lines() {
//!     story.read(line);
//! }
//! assert!(story.to_string().contains("Calls begin at target 0"));
//! # std::fs::remove_dir_all(folder)?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "record"))]
//! # fn main() {}
//! ```
//!
//! # Programs
//!
//! Among the crate's examples, `http_failover` is the one to read first, a service in a page; `bff` is an axum service that calls
//! its backends through clients, `tower_stack` a composition of tower services, and `judged` calls that fail over on an error in
//! a 200. The crate `failover-gateway` is a reverse proxy with a status page, made of what is public here.
//!
//! # Features
//!
//! - `http2`, on by default: HTTP/2, where TLS negotiates it or a target is said to speak it.
//! - `rustls`, on by default: https targets, with rustls, the platform's certificate roots, and ring unless the process has another
//!   default provider.
//! - `rustls-no-provider`: the same without ring: the process must have a default provider, or the client settings
//!   ([`Builder::tls`]).
//! - `json`: `RequestBuilder::json` and `ResponseBody::json`.
//! - `metrics`: see above.
//! - `record`: a `Recorder` for `Builder::record`, which keeps what happens to calls as lines of JSON, and the `Story` that they tell.
//! - `serde`: `Config`, the configuration of targets and policy, for `Builder::config`.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

/// The guides: pages of text, with code that is compiled and run.
#[cfg(any(doc, doctest))]
pub mod guide {
    #[doc = include_str!("../guide/cookbook.md")]
    pub mod cookbook {}

    #[doc = include_str!("../guide/mistakes.md")]
    pub mod mistakes {}
}

mod builder;
mod client;
mod error;
mod exchange;
mod forward;
mod forwarded;
mod hop_by_hop;
mod layer;
mod proxy;
mod request;
mod runtime;
mod service;
mod submit;
mod transport;
mod tunnel;
mod upgrade;

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
    Answered, AttemptBody, AttemptError, Attempts, BodyError, Classify, Fault, Idempotent, IntoBody,
    IntoCodes, IntoTargets, InvalidHeader, MOST_HEADERS, Proven, QueryPair, Resolve, ResponseBody, Sending,
    SystemResolver, TransportBody, TransportError, Within, failure_in_words,
};
#[cfg(feature = "record")]
pub use failover_hyper::{Lines, RecordFile, Recorder, Story};

pub use crate::builder::Builder;
pub use crate::client::FailoverClient;
pub use crate::error::Error;
pub use crate::forwarded::Peer;
pub use crate::layer::FailoverLayer;
pub use crate::proxy::Proxy;
pub use crate::request::RequestBuilder;
pub use crate::runtime::Tokio;
pub use crate::service::Failover;
pub use crate::submit::Submitted;
pub use crate::transport::{Connections, Transport};
pub use crate::tunnel::Tunnel;
