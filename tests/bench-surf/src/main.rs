//! Throughput of kept-alive GETs of 1 KiB on loopback, side by side in one run.
//!
//! ```console
//! $ cargo run --release --manifest-path tests/bench-surf/Cargo.toml
//! ```
//!
//! The contenders take turns, so that whatever else the machine does meets all of them; each round is compared with that
//! of the better of surf's own transports. "bare sockets" is no client at all: what any client here could reach
//! at most; "hyper alone" is what a client on hyper could.
#![forbid(unsafe_code)]

use std::future::poll_fn;
use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{self, TcpListener};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use async_std::io::{ReadExt, WriteExt};
use async_std::net::TcpStream;
use async_std::task;
use bytes::Bytes;
use failover_async_std::{FailoverClient, Transport};
use http_body_util::{BodyExt, Empty};
use http_client::h1::H1Client;
use http_client::isahc::IsahcClient;
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use smol_hyper::rt::FuturesIo;

fn main() -> io::Result<()> {
    let server = serve()?;
    let contenders: [(&str, Arc<Contender>); 6] = [
        ("surf, curl-client", Arc::new(surf_over(&server, IsahcClient::new()))),
        ("surf, h1-client", Arc::new(surf_over(&server, H1Client::new()))),
        ("surf over our Transport", Arc::new(surf_over(&server, Transport::plain()))),
        ("FailoverClient", Arc::new(failover(&server))),
        ("hyper alone", Arc::new(Contender::Hyper(Hyper::to(&server)))),
        ("bare sockets", Arc::new(Contender::Bare(Bare::to(&server)))),
    ];
    for concurrent in [1, 64] {
        let mut rates = contenders.each_ref().map(|_| Vec::new());
        for round in 0..=ROUNDS {
            for ((_, contender), rates) in contenders.iter().zip(&mut rates) {
                let rate = measure(contender, concurrent);
                // The first round warms up.
                if round > 0 {
                    rates.push(rate);
                }
            }
        }
        // The better of surf's own, whose rounds the others' are compared with, each with its own.
        let stock = usize::from(median(&rates[1]) > median(&rates[0]));
        println!("{concurrent} concurrent, {ROUNDS} rounds:");
        for ((name, _), rounds) in contenders.iter().zip(&rates) {
            let ratios = sorted(rounds.iter().zip(&rates[stock]).map(|(rate, stock)| rate / stock));
            let (rate, ratio) = (median(rounds), ratios[ratios.len() / 2]);
            let (least, most) = (ratios[0], ratios[ratios.len() - 1]);
            println!(
                "  {name:24} {rate:8.0} requests/s, {ratio:.2} of the better stock one ({least:.2} to {most:.2})"
            );
        }
    }
    Ok(())
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

fn median(values: &[f64]) -> f64 {
    sorted(values.iter().copied())[values.len() / 2]
}

/// A client, and where it sends to.
enum Contender {
    Surf(surf::Client, String),
    Failover(FailoverClient),
    Hyper(Hyper),
    Bare(Bare),
}

impl Contender {
    async fn call(&self) -> surf::Result<Vec<u8>> {
        match self {
            Self::Hyper(hyper) => Ok(hyper.call().await?),
            Self::Bare(bare) => Ok(bare.call().await?),
            Self::Surf(client, url) => client.get(url).recv_bytes().await,
            Self::Failover(client) => client.get("/").send().await?.body_bytes().await,
        }
    }
}

/// hyper's connections on async-std, polled by whoever calls, without bounds, failover or evidence.
struct Hyper {
    address: String,
    idle: Mutex<Vec<Connection>>,
}

struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    driver: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>,
}

impl Connection {
    async fn exchange(&mut self, request: Request<Empty<Bytes>>) -> hyper::Result<Vec<u8>> {
        let exchange = async {
            let answer = self.sender.send_request(request).await?;
            answer.into_body().collect().await.map(|body| body.to_bytes().to_vec())
        };
        let mut exchange = pin!(exchange);
        poll_fn(|cx| {
            // The answer comes by the connection.
            let _ = self.driver.as_mut().poll(cx)?;
            exchange.as_mut().poll(cx)
        })
        .await
    }
}

impl Hyper {
    fn to(server: &str) -> Self {
        let address = server.trim_start_matches("http://").to_owned();
        Self { address, idle: Mutex::default() }
    }

    async fn call(&self) -> io::Result<Vec<u8>> {
        let idle = self.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => {
                let stream = TcpStream::connect(&self.address).await?;
                stream.set_nodelay(true)?;
                let (sender, driver) = handshake(FuturesIo::new(stream)).await.map_err(io::Error::other)?;
                Connection { sender, driver: Box::pin(driver) }
            }
        };
        let request =
            Request::get("/").header(HOST, &self.address).body(Empty::new()).map_err(io::Error::other)?;
        let body = connection.exchange(request).await.map_err(io::Error::other)?;
        self.idle().push(connection);
        Ok(body)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().expect("nobody panics with it")
    }
}

/// Requests that are written to sockets of async-std's, without bounds, checks or a parser.
struct Bare {
    address: String,
    idle: Mutex<Vec<TcpStream>>,
}

impl Bare {
    fn to(server: &str) -> Self {
        let address = server.trim_start_matches("http://").to_owned();
        Self { address, idle: Mutex::default() }
    }

    async fn call(&self) -> io::Result<Vec<u8>> {
        let idle = self.idle().pop();
        let mut stream = match idle {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(&self.address).await?;
                stream.set_nodelay(true)?;
                stream
            }
        };
        let request = format!("GET / HTTP/1.1\r\nhost: {}\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).await?;
        let (mut buffer, mut filled) = (vec![0; 8 << 10], 0);
        loop {
            filled += stream.read(&mut buffer[filled..]).await?;
            let mut ends = buffer[..filled].windows(4);
            if let Some(body) = ends.position(|end| end == b"\r\n\r\n").map(|end| &buffer[end + 4..filled]) {
                if body.len() == BODY {
                    self.idle().push(stream);
                    return Ok(body.to_vec());
                }
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.idle.lock().expect("nobody panics with it")
    }
}

fn surf_over(server: &str, transport: impl surf::HttpClient) -> Contender {
    Contender::Surf(surf::Client::with_http_client(transport), format!("{server}/"))
}

fn failover(server: &str) -> Contender {
    let client = FailoverClient::builder().targets([server]).build();
    Contender::Failover(client.expect("the server has a URL"))
}

/// Requests per second of so many tasks.
fn measure(contender: &Arc<Contender>, concurrent: usize) -> f64 {
    let began = Instant::now();
    let tasks: Vec<_> = (0..concurrent)
        .map(|_| {
            let contender = Arc::clone(contender);
            task::spawn(async move {
                let mut calls = 0_u32;
                while began.elapsed() < ROUND {
                    let body = contender.call().await.expect("the server answers");
                    assert_eq!(body.len(), BODY);
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    let calls: u32 = task::block_on(async {
        let mut calls = 0;
        for task in tasks {
            calls += task.await;
        }
        calls
    });
    f64::from(calls) / began.elapsed().as_secs_f64()
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

fn answer(stream: &net::TcpStream) -> io::Result<()> {
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
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(1);
