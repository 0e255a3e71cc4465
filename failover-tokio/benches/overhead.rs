//! What failover costs beside the pooled client of hyper-util under it: kept-alive GETs of 1 KiB on loopback.
//!
//! The contenders take turns, so that whatever else the machine does meets all of them; each round is compared with the first
//! contender's.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use failover_tokio::FailoverClient;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::runtime::Runtime;
use tokio::time::{Instant, timeout};
use tower::BoxError;

fn main() -> Result<(), BoxError> {
    let server = serve()?;
    let runtime = Runtime::new()?;
    let client = || FailoverClient::builder().targets([&server]).build();
    let contenders = [
        ("hyper-util's client", Contender::Raw(raw(), server.parse()?)),
        ("the same with a timeout", Contender::Timed(raw(), server.parse()?)),
        ("FailoverClient::get", Contender::Get(client()?)),
        ("FailoverClient::forward", Contender::Forward(client()?)),
    ]
    .map(|(name, contender)| (name, Arc::new(contender)));
    for concurrent in [1, 64] {
        let mut rates = contenders.each_ref().map(|_| Vec::new());
        for round in 0..=ROUNDS {
            for ((_, contender), rates) in contenders.iter().zip(&mut rates) {
                let rate = runtime.block_on(measure(contender, concurrent))?;
                // The first round warms up.
                if round > 0 {
                    rates.push(rate);
                }
            }
        }
        println!("{concurrent} concurrent, {ROUNDS} rounds:");
        for ((name, _), rounds) in contenders.iter().zip(&rates) {
            let (_, rate, _) = spread(rounds.iter().copied());
            let (least, ratio, most) = spread(rounds.iter().zip(&rates[0]).map(|(rate, first)| rate / first));
            println!("  {name:24} {rate:8.0} requests/s, {ratio:.2} of the first ({least:.2} to {most:.2})");
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

type RawClient = Client<HttpConnector, Full<Bytes>>;

/// A client, and where it sends to.
enum Contender {
    Raw(RawClient, Uri),
    Timed(RawClient, Uri),
    Get(FailoverClient),
    Forward(FailoverClient),
}

impl Contender {
    async fn call(&self) -> Result<Bytes, BoxError> {
        match self {
            Self::Raw(client, uri) => Ok(client.get(uri.clone()).await?.collect().await?.to_bytes()),
            Self::Timed(client, uri) => {
                let response = timeout(Duration::from_secs(10), client.get(uri.clone())).await??;
                Ok(response.collect().await?.to_bytes())
            }
            Self::Get(client) => Ok(client.get("/").send().await?.collect().await?.to_bytes()),
            Self::Forward(client) => {
                let request = Request::new(Full::<Bytes>::default());
                Ok(client.forward(request).await?.collect().await?.to_bytes())
            }
        }
    }
}

fn raw() -> RawClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector)
}

/// Requests per second of so many tasks.
async fn measure(contender: &Arc<Contender>, concurrent: usize) -> Result<f64, BoxError> {
    let began = Instant::now();
    let tasks: Vec<_> = (0..concurrent)
        .map(|_| {
            let contender = Arc::clone(contender);
            tokio::spawn(async move {
                let mut calls = 0_u32;
                while began.elapsed() < ROUND {
                    assert_eq!(contender.call().await?.len(), BODY);
                    calls += 1;
                }
                Ok::<_, BoxError>(calls)
            })
        })
        .collect();
    let mut calls = 0;
    for task in tasks {
        calls += task.await??;
    }
    Ok(f64::from(calls) / began.elapsed().as_secs_f64())
}

/// Starts a server with a thread for each connection, and tells its URL.
fn serve() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client may go away when it likes.
            thread::spawn(move || answer(&stream));
        }
    });
    Ok(url)
}

fn answer(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n");
    let reply = [head.into_bytes(), vec![b'x'; BODY]].concat();
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line == b"\r\n" {
            writer.write_all(&reply)?;
        }
    }
}

const BODY: usize = 1 << 10;
const ROUNDS: usize = 10;
const ROUND: Duration = Duration::from_secs(1);
