//! Failover for HTTP on tokio and hyper: an ordered list of targets, and each request goes to the one that works.
//!
//! ```console
//! $ cargo add failover-tokio
//! $ cargo add tokio --features macros,rt-multi-thread
//! ```
//!
//! ```no_run
//! use failover_tokio::{Answered, FailoverClient};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let targets = ["https://api.example", "https://api.standby.example/v1"];
//!     let client = FailoverClient::builder().targets(targets).build()?;
//!     let response = client.get("/users?page=2").await?;
//!     println!("{}, {:?}", response.status(), response.extensions().get::<Answered>());
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
//! | to | use |
//! | --- | --- |
//! | make a call | [`FailoverClient::get`], [`post`](FailoverClient::post) and so on, [`execute`](FailoverClient::execute) |
//! | send headers | [`FailoverClient::request`] |
//! | pass a server's request on | [`FailoverClient::forward`] |
//! | let a call run in the background | [`FailoverClient::submit`] |
//! | learn which target answered | [`Answered`], in each response's extensions |
//! | learn why none did | [`Error::Stopped`]: the reason, each failure, and the last response |
//! | change a knob | [`Builder`], [`Policy`]; [`Policy::ballerina`] is a preset |
//!
//! The decisions are those of [`failover_core`], which is pure; this crate performs them. The transport is hyper-util's
//! pooled client for HTTP/1.1, with its own retries off. It follows no redirects.
//!
//! # Bodies
//!
//! A request's body in memory is shared by all attempts. A streamed one is kept up to [`Policy::replay_buffer`] bytes;
//! beyond that, it stays with the target that it is being sent to. A response's body is streamed and never failed over:
//! if it breaks off, that is an error.
//!
//! # Features
//!
//! `tls`, on by default: https targets, with rustls, ring, and the platform's certificate roots.
#![forbid(unsafe_code)]

mod answer;
mod body;
mod builder;
mod call;
mod client;
mod connect;
mod drive;
mod error;
mod evidence;
mod forward;
mod progress;
mod replay;
mod submit;
#[cfg(feature = "tls")]
mod tls;
mod transport;

pub use failover_core as core;
pub use failover_core::{
    BuildError, Cause, Evidence, Failure, InvalidCodes, PathError, Policy, Reason, Replay, Snapshot,
    StatusCodes, Stopped, Target,
};
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;

pub use crate::answer::{Answered, ResponseBody};
pub use crate::builder::Builder;
pub use crate::client::FailoverClient;
pub use crate::error::{AttemptError, Error, Fault};
pub use crate::submit::Submitted;
