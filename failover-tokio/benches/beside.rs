//! What answers with heads of 60 kB and trailers of 17 kB cost those who call beside them through the same client: how long
//! GETs of 1 KiB on loopback take, alone and beside.
//!
//! Each of 16 callers pauses for a millisecond between small calls, and the odd ones come at 100 a second, whatever either
//! take: reading and writing such heads takes processor time, of which the server has a part too, so that more of them are a
//! busy machine.
//! The rounds take turns, so that whatever else the machine does meets all of them.

use std::convert::Infallible;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use common::{Pieces, Server, serve};
use failover_tokio::{FailoverClient, Protocol};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tower::BoxError;

#[path = "../tests/common/mod.rs"]
#[expect(dead_code, reason = "what the tests need")]
mod common;

fn main() -> Result<(), BoxError> {
    let runtime = Runtime::new()?;
    for (name, http2) in [("HTTP/1.1", false), ("HTTP/2", true)] {
        let builder = FailoverClient::builder().targets([start(http2)?]);
        let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
        let client = builder.protocol(protocol).build()?;
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let pair =
                [runtime.block_on(measure(&client, false))?, runtime.block_on(measure(&client, true))?];
            // The first round warms up.
            if round > 0 {
                alone.push(pair[0]);
                beside.push(pair[1]);
            }
        }
        println!("{name}, {ROUNDS} rounds:");
        for (nth, quantile) in ["p50", "p99"].into_iter().enumerate() {
            let of = |rounds: &[[f64; 2]]| spread(rounds.iter().map(|round| round[nth]));
            let (alone, beside, ratios) =
                (of(&alone), of(&beside), spread(alone.iter().zip(&beside).map(|(a, b)| b[nth] / a[nth])));
            println!(
                "  {quantile} {} us alone, {} us beside, {:.2} times ({:.2} to {:.2})",
                show(alone),
                show(beside),
                ratios.1,
                ratios.0,
                ratios.2
            );
        }
    }
    Ok(())
}

/// The least, the median and the most.
fn spread(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    (values[0], values[values.len() / 2], values[values.len() - 1])
}

fn show((least, median, most): (f64, f64, f64)) -> String {
    format!("{median:.0} ({least:.0} to {most:.0})")
}

/// Half and 99 of a hundred small calls took at most so many microseconds.
async fn measure(client: &FailoverClient, has_odd_ones: bool) -> Result<[f64; 2], BoxError> {
    let began = Instant::now();
    let odd_ones: Vec<_> = (0..if has_odd_ones { ODD_CALLERS } else { 0 })
        .map(|nth| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut turns = interval_at(began + ODD_PAUSE / ODD_CALLERS * nth, ODD_PAUSE);
                turns.set_missed_tick_behavior(MissedTickBehavior::Skip);
                while began.elapsed() < ROUND {
                    turns.tick().await;
                    let request = Request::get("/odd").header("te", "trailers").body("")?;
                    let response = client.request(request).await?;
                    assert_eq!(response.headers()[ODD].len(), HEAD);
                    let body = response.collect().await?;
                    assert_eq!(body.trailers().map(|trailers| trailers[ODD].len()), Some(TRAILERS));
                }
                Ok::<_, BoxError>(())
            })
        })
        .collect();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                while began.elapsed() < ROUND {
                    sleep(PAUSE).await;
                    let called = Instant::now();
                    assert_eq!(client.get("/").send().await?.collect().await?.to_bytes().len(), BODY);
                    times.push(called.elapsed().as_secs_f64() * 1e6);
                }
                Ok::<_, BoxError>(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for caller in callers {
        times.extend(caller.await??);
    }
    for odd_one in odd_ones {
        odd_one.await??;
    }
    times.sort_by(f64::total_cmp);
    Ok([times[times.len() / 2], times[times.len() * 99 / 100]])
}

/// Starts a server on a thread of its own, and tells its URL.
fn start(http2: bool) -> Result<String, BoxError> {
    let (sender, receiver) = oneshot::channel();
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || {
        runtime.block_on(async {
            let server = Server::start(move |stream, _| async move {
                stream.set_nodelay(true).expect("a socket takes its options");
                serve(stream, http2, answer).await;
            });
            // The other side waits for it.
            let _ = sender.send(server.await.url());
            std::future::pending::<()>().await;
        });
    });
    Ok(receiver.blocking_recv()?)
}

async fn answer(request: Request<Incoming>) -> Result<Response<Pieces>, Infallible> {
    let is_odd = request.uri().path() == "/odd";
    let pieces = vec![Ok(vec![b'x'; BODY].into())];
    let trailers = is_odd.then(|| fields(TRAILERS));
    let mut response = Response::new(Pieces { pieces, trailers });
    if is_odd {
        *response.headers_mut() = fields(HEAD);
        response.headers_mut().insert("trailer", HeaderValue::from_static(ODD));
    } else {
        response.headers_mut().insert("content-length", BODY.into());
    }
    Ok(response)
}

fn fields(size: usize) -> HeaderMap {
    let value = HeaderValue::from_maybe_shared(Bytes::from(vec![b'o'; size]));
    [(http::HeaderName::from_static(ODD), value.expect("text is a value"))].into_iter().collect()
}

const ODD: &str = "x-odd";
const HEAD: usize = 60_000;
const TRAILERS: usize = 17_000;
const ODD_CALLERS: u32 = 4;
const ODD_PAUSE: Duration = Duration::from_millis(40);

const CALLERS: usize = 16;
const PAUSE: Duration = Duration::from_millis(1);
const BODY: usize = 1 << 10;

const ROUNDS: usize = 10;
const ROUND: Duration = Duration::from_secs(1);
