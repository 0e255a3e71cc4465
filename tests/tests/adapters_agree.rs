//! The adapters do the same: equal traces for equal scripts.

use std::error::Error;
use std::time::Duration;

use failover_core::{Evidence, Failure, Policy, Reason};
use failover_tests::explore::explore;
use failover_tests::lab::{LIMIT, Reply, Server};

/// How a call ended, its failures, where the next one begins, and what each server executed.
#[derive(Debug, PartialEq)]
struct Trace {
    end: Result<(u16, String), Option<Reason>>,
    failures: Vec<(usize, Option<Evidence>, Option<u16>)>,
    sticky: usize,
    executed: Vec<(String, usize)>,
}

const ENDINGS: [&str; 8] = ["ok", "404", "503", "501", "421", "fin", "reset", "down"];

#[test]
fn every_pair_of_endings_gives_the_same_two_calls_on_all() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let worlds = explore(|choices| {
        let endings = [choices.among(&ENDINGS), choices.among(&ENDINGS)];
        let methods = choices.among(&[["PUT", "POST"], ["POST", "PUT"]]);
        let on_tokio =
            tokio.block_on(async { tokio::time::timeout(LIMIT, by_tokio(endings, methods)).await });
        let on_async_std =
            async_std::task::block_on(async_std::future::timeout(LIMIT, by_async_std(endings, methods)));
        let on_reqwest =
            tokio.block_on(async { tokio::time::timeout(LIMIT, by_reqwest(endings, methods)).await });
        let on_tokio = on_tokio.expect("it ends");
        assert_eq!(on_tokio, on_async_std.expect("it ends"), "{endings:?} {methods:?}");
        assert_eq!(on_tokio, on_reqwest.expect("it ends"), "{endings:?} {methods:?}");
    });
    assert_eq!(worlds, 128);
}

async fn by_tokio(endings: [&'static str; 2], methods: [&str; 2]) -> Vec<Trace> {
    use failover_tokio::{Error, FailoverClient};
    use http_body_util::BodyExt;

    let servers = endings.map(server);
    let urls = servers.each_ref().map(Server::url);
    let client = FailoverClient::builder().targets(urls).policy(policy()).build().expect("a client");
    let mut traces = vec![];
    for method in methods {
        let (end, failures) = match client.method(method, "/pay").body("money").await {
            Ok(response) => {
                let failures = told(response.body().answered().failures());
                let status = response.status().as_u16();
                let body = response.into_body().collect().await.expect("a whole body").to_bytes();
                (Ok((status, text(&body))), failures)
            }
            Err(Error::Stopped(stopped)) => (Err(Some(stopped.reason())), told(stopped.failures())),
            Err(_) => (Err(None), vec![]),
        };
        traces.push(Trace { end, failures, sticky: client.sticky(), executed: executed(&servers) });
    }
    traces
}

async fn by_async_std(endings: [&'static str; 2], methods: [&str; 2]) -> Vec<Trace> {
    use failover_async_std::{Answered, Error, FailoverClient};

    let servers = endings.map(server);
    let urls = servers.each_ref().map(Server::url);
    let client = FailoverClient::builder().targets(urls).policy(policy()).build().expect("a client");
    let mut traces = vec![];
    for method in methods {
        let (end, failures) = match client.method(method, "/pay").body("money").await {
            Ok(mut response) => {
                let failures = told(response.ext::<Answered>().expect("its story").failures());
                let body = response.body_bytes().await.expect("a whole body");
                (Ok((response.status().into(), text(&body))), failures)
            }
            Err(Error::Stopped(stopped)) => (Err(Some(stopped.reason())), told(stopped.failures())),
            Err(_) => (Err(None), vec![]),
        };
        traces.push(Trace { end, failures, sticky: client.sticky(), executed: executed(&servers) });
    }
    traces
}

async fn by_reqwest(endings: [&'static str; 2], methods: [&str; 2]) -> Vec<Trace> {
    use failover_reqwest::{Answered, Error, FailoverClient};

    let servers = endings.map(server);
    let urls = servers.each_ref().map(Server::url);
    let builder = FailoverClient::builder().targets(urls).policy(policy());
    let client = builder.client(reqwest::Client::builder().no_proxy()).build().expect("a client");
    let mut traces = vec![];
    for method in methods {
        let request = client.request(method.parse().expect("a method"), "/pay").body("money");
        let (end, failures) = match request.send().await {
            Ok(response) => {
                let failures = told(response.extensions().get::<Answered>().expect("its story").failures());
                let status = response.status().as_u16();
                (Ok((status, text(&response.bytes().await.expect("a whole body")))), failures)
            }
            Err(Error::Stopped(stopped)) => (Err(Some(stopped.reason())), told(stopped.failures())),
            Err(_) => (Err(None), vec![]),
        };
        traces.push(Trace { end, failures, sticky: client.sticky(), executed: executed(&servers) });
    }
    traces
}

fn server(ending: &'static str) -> Server {
    match ending {
        "ok" => Server::start(|request| Reply::ok(request.body.clone())),
        "fin" => Server::start(|_| Reply::fin()),
        "reset" => Server::start(|_| Reply::reset()),
        "down" => Server::down(),
        status => {
            let status = status.parse().expect("a status");
            Server::start(move |_| Reply::status(status).body("no"))
        }
    }
}

fn policy() -> Policy {
    Policy::default().attempt_timeout(Duration::from_secs(5))
}

fn told<E: Error>(failures: &[Failure<E>]) -> Vec<(usize, Option<Evidence>, Option<u16>)> {
    let status = |failure: &Failure<E>| failure.status().map(|status| status.as_u16());
    failures.iter().map(|failure| (failure.target(), failure.evidence(), status(failure))).collect()
}

fn executed(servers: &[Server]) -> Vec<(String, usize)> {
    let requests = |(index, server): (usize, &Server)| {
        server.requests().into_iter().map(move |request| (request.method, index)).collect::<Vec<_>>()
    };
    servers.iter().enumerate().flat_map(requests).collect()
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}
