//! What failover over hyper needs on any runtime: the connections, what a failure on them proves, and the driver.
//!
//! This is for adapters. An application uses one of them: `failover-tokio`, `failover-async-std` or `failover-reqwest`. To write another,
//! name the runtime by implementing [`Runtime`], build a client from [`Settings`], make a [`Template`] of each request,
//! and let [`perform`] drive the call over an [`Exchange`], such as one that [`send`]s by a [`Transport`].
//!
//! ```
//! use failover_core::Stopped;
//! use failover_hyper::{
//!     AttemptError, CallBody, Drains, Exchange, Observed, ResponseBody, Runtime, Template, TransportBody, perform,
//! };
//! use http::{Request, Response};
//!
//! async fn post<R: Runtime>(
//!     (observed, drains): (&Observed, &Drains),
//!     body: &'static str,
//!     exchange: &impl Exchange<Body = TransportBody>,
//! ) -> Result<Response<ResponseBody>, Stopped<Response<ResponseBody>, AttemptError>> {
//!     let (head, body) = Request::post("/orders").body(body).expect("a path").into_parts();
//!     let template = Template::new(head, CallBody::whole(body)).expect("no tunnel");
//!     perform::<R, _>(observed, drains, &template, exchange).await
//! }
//! ```
//!
//! # Features
//!
//! - `rustls`: https targets, with rustls, the platform's certificate roots, and ring unless the process has another default
//!   provider.
//! - `rustls-no-provider`: the same without ring.
//! - `http2`: connections of HTTP/2 beside those of HTTP/1.1.
//! - `metrics`: counters, histograms and gauges through the facade of that name.
//! - `json`: [`ResponseBody::json`], and `Draft::json`.
//! - `record`: what happens to calls as lines of JSON, by a `Recorder`, and the `Story` of them.
//! - `serde`: the core's configuration type, for [`Settings::configure`].
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![cfg_attr(not(feature = "http2"), expect(dead_code, reason = "what only connections of HTTP/2 need"))]

mod ahead;
mod answered;
mod body_error;
mod checking;
mod classify;
mod clock;
mod connect;
mod connections;
mod conversions;
mod default_headers;
mod dial;
mod draft;
mod drain;
mod drive;
mod error;
mod evidence;
mod exchange;
mod expect;
mod face;
mod http1;
#[cfg_attr(not(feature = "http2"), path = "no_http2.rs")]
mod http2;
mod idle;
mod judging;
mod knobs;
mod limits;
#[cfg(feature = "record")]
mod lines;
#[cfg(feature = "metrics")]
mod metrics;
mod names;
#[cfg(feature = "record")]
mod notes;
mod observe;
mod observed;
mod opener;
mod outage;
mod peek;
mod places;
mod pool;
mod progress;
mod received;
#[cfg(feature = "record")]
mod record;
#[cfg(feature = "record")]
mod record_file;
#[cfg(feature = "record")]
mod recorded;
mod relay;
mod replay;
mod request_body;
mod response_body;
mod runtime;
mod settings;
mod socket;
#[cfg(feature = "record")]
mod story;
#[cfg(feature = "record")]
mod story_words;
mod stream;
mod targets;
mod template;
#[cfg(test)]
mod testing;
#[cfg(feature = "rustls-no-provider")]
mod tls;
mod transport;
mod transport_body;
mod tuning;
mod why;
mod wire;

pub use failover_core as core;
#[cfg(feature = "json")]
#[doc(hidden)]
pub use serde::Serialize;
#[cfg(feature = "rustls-no-provider")]
pub use tokio_rustls::rustls;

pub use crate::answered::Answered;
pub use crate::body_error::BodyError;
pub use crate::classify::{Classify, Proven};
pub use crate::clock::Clock;
pub use crate::connections::{Connections, Sending};
pub use crate::conversions::{IntoCodes, IntoTargets};
pub use crate::default_headers::DefaultHeaders;
pub use crate::draft::{Draft, IntoBody, InvalidHeader, Mistake, QueryPair};
pub use crate::drain::Drains;
pub use crate::drive::perform;
pub use crate::error::{AttemptError, BoxError, Fault, gateway_status};
pub use crate::evidence::{TransportError, is_short_of_room};
pub use crate::exchange::{Exchange, receive, send};
pub use crate::knobs::Knobs;
#[cfg(feature = "record")]
pub use crate::lines::Lines;
#[cfg(feature = "metrics")]
pub use crate::metrics::describe_metrics;
pub use crate::names::{Resolve, SystemResolver};
pub use crate::observed::Observed;
pub use crate::opener::Opener;
pub use crate::progress::{Bound, Elapsed, Patience, Progress, Stage};
#[cfg(feature = "record")]
pub use crate::record::Recorder;
#[cfg(feature = "record")]
pub use crate::record_file::RecordFile;
pub use crate::request_body::{AttemptBody, CallBody};
pub use crate::response_body::ResponseBody;
pub use crate::runtime::Runtime;
pub use crate::settings::{Resolver, Settings};
pub use crate::socket::Socket;
#[cfg(feature = "record")]
pub use crate::story::Story;
pub use crate::stream::Stream;
pub use crate::targets::{List, Targets, group_by_uri};
pub use crate::template::{Attempts, Idempotent, Template, Within};
pub use crate::transport::Transport;
pub use crate::transport_body::TransportBody;
pub use crate::tuning::{MOST_HEADERS, Tuning};
pub use crate::why::failure_in_words;
pub use crate::wire::Watermark;
