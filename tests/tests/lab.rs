//! The lab itself: each misbehaviour is what its name says, as seen by a client that is a bare socket.
#![forbid(unsafe_code)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::panic::catch_unwind;
use std::thread;
use std::time::{Duration, Instant};

use failover_tests::lab::{Accept, Blackhole, Cut, End, Gate, LIMIT, Proxy, Reply, Server};

const GET: &str = "GET / HTTP/1.1\r\nhost: lab\r\n\r\n";
const POST: &str = "POST /pay HTTP/1.1\r\nhost: lab\r\ncontent-length: 5\r\n\r\nmoney";

#[test]
fn a_request_is_recorded_as_it_came() {
    let server = Server::script([Reply::ok("")]);
    let mut client = Client::to(&server);
    client.send(
        "PUT /a//b?x=%20&y HTTP/1.1\r\nHost: h\r\nX-Two: 1\r\nx-two:  2 \r\ncontent-length: 3\r\n\r\nabc",
    );
    client.expect("HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n");
    client.send(GET);
    client.expect("HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n");
    let mut other = Client::to(&server);
    other.send(GET);

    let requests = server.wait_for_requests(3);
    assert_eq!((requests[0].method.as_str(), requests[0].target.as_str()), ("PUT", "/a//b?x=%20&y"));
    assert_eq!((requests[0].header("host"), requests[0].text()), (Some("h"), "abc"));
    assert_eq!(requests[0].headers("x-two").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(requests[0].headers[1].0, "X-Two");
    assert_eq!(requests[1].header("x-two"), None);
    let places: Vec<_> = requests.iter().map(|request| (request.connection, request.position)).collect();
    assert_eq!(places, [(0, 0), (0, 1), (1, 0)]);
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_chunked_request_is_recorded_without_its_framing_and_with_its_trailers() {
    let server = Server::script([Reply::ok("")]);
    Client::to(&server).send(
        "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nsum: 13\r\n\r\n",
    );
    let requests = server.wait_for_requests(1);
    assert_eq!(requests[0].text(), "abc0123456789");
    assert_eq!(requests[0].trailers, [("sum".to_owned(), "13".to_owned())]);
}

#[test]
fn a_request_that_did_not_arrive_in_full_is_not_executed() {
    let server = Server::script([Reply::ok("")]);
    for part in ["", "GET / HT", "GET / HTTP/1.1\r\nhost: lab\r\n", &POST[..POST.len() - 1]] {
        Client::to(&server).send(part);
    }
    server.wait_for_closed(4);
    assert_eq!(server.requests(), []);
}

#[test]
fn a_body_that_waits_for_100_continue_is_asked_for() {
    let server = Server::script([Reply::ok("")]);
    let mut client = Client::to(&server);
    client.send("POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n");
    client.expect("HTTP/1.1 100 Continue\r\n\r\n");
    assert_eq!(server.requests(), []);
    client.send("hi");
    client.expect("HTTP/1.1 200 \r\n");
    assert_eq!(server.requests()[0].text(), "hi");
}

#[test]
fn a_script_goes_on_over_connections_and_its_last_reply_repeats() {
    let server = Server::script([Reply::status(503).end(End::Fin), Reply::status(201)]);
    let mut first = Client::to(&server);
    first.send(GET);
    assert_eq!(first.rest(), "HTTP/1.1 503 \r\ncontent-length: 0\r\n\r\n");
    let mut second = Client::to(&server);
    for _ in 0..2 {
        second.send(GET);
        second.expect("HTTP/1.1 201 \r\ncontent-length: 0\r\n\r\n");
    }
}

#[test]
fn a_handler_sees_the_request() {
    let server = Server::start(|request| Reply::ok(request.body.clone()).header("x-saw", &request.method));
    let mut client = Client::to(&server);
    client.send(POST);
    client.expect("HTTP/1.1 200 \r\nx-saw: POST\r\ncontent-length: 5\r\n\r\nmoney");
}

#[test]
fn a_handler_that_panics_fails_the_test_and_hangs_nobody() {
    let panic = catch_unwind(|| {
        let server = Server::start(|_| panic!("as this handler does"));
        let mut client = Client::to(&server);
        client.send(GET);
        assert_eq!(client.rest(), "");
    });
    assert!(panic.is_err());
}

#[test]
fn a_server_that_is_down_refuses_and_keeps_its_port() {
    let server = Server::down();
    for _ in 0..3 {
        assert_eq!(Client::connect(server.address()).unwrap_err(), ErrorKind::ConnectionRefused);
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_server_that_stops_ends_its_connections_and_refuses() {
    let mut server = Server::script([Reply::ok(""), Reply::stall()]);
    let (mut idle, mut waiting) = (Client::to(&server), Client::to(&server));
    idle.send(GET);
    idle.expect("HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n");
    waiting.send(GET);
    assert_eq!(server.wait_for_requests(2).len(), 2);
    server.stop();
    assert_eq!((idle.rest(), waiting.rest()), (String::new(), String::new()));
    assert_eq!(Client::connect(server.address()).unwrap_err(), ErrorKind::ConnectionRefused);
    server.stop();
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_server_that_is_dropped_waits_for_nothing_that_it_holds() {
    let gate = Gate::new();
    let replies = [
        Reply::ok("").after(&gate),
        Reply::ok("").after(LIMIT),
        Reply::ok("xx").halfway(&gate),
        Reply::dripping(LIMIT),
        Reply::stall(),
        Reply::stall().end(End::Freeze),
    ];
    let server = Server::script(replies.clone());
    let clients: Vec<_> = (1..=replies.len())
        .map(|count| {
            let mut client = Client::to(&server);
            client.send(GET);
            assert_eq!(server.wait_for_requests(count).len(), count);
            client
        })
        .collect();
    let began = Instant::now();
    drop(server);
    assert!(began.elapsed() < LIMIT);
    drop(clients);
}

#[test]
fn a_blackhole_neither_accepts_nor_refuses() {
    let blackhole = Blackhole::new();
    let address = blackhole.url().strip_prefix("http://").unwrap().parse().unwrap();
    let error = TcpStream::connect_timeout(&address, Duration::from_millis(300)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[test]
fn a_connection_is_reset_or_closed_on_accept_and_the_next_one_served() {
    let server = Server::accepting([Accept::Reset, Accept::Fin, Accept::Serve], |_| Reply::ok(""));
    assert_eq!(Client::to(&server).fate(), Err(ErrorKind::ConnectionReset));
    assert_eq!(Client::to(&server).fate(), Ok(String::new()));
    let mut client = Client::to(&server);
    client.send(GET);
    client.expect("HTTP/1.1 200 \r\n");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_frozen_connection_reads_nothing() {
    let server = Server::accepting([Accept::Freeze], |_| Reply::ok(""));
    let mut client = Client::to(&server);
    client.0.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    // More than the buffers of both sockets hold.
    let error = client.0.write_all(&vec![b'x'; 64 << 20]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    assert_eq!((server.connections(), server.requests().len()), (1, 0));
}

#[test]
fn a_request_is_executed_and_never_answered() {
    for (reply, head) in [(Reply::stall(), ""), (Reply::raw("HTTP/1.1 2").end(End::Stall), "HTTP/1.1 2")] {
        let server = Server::script([reply]);
        let mut client = Client::to(&server);
        client.send(POST);
        assert_eq!(server.wait_for_requests(1)[0].text(), "money");
        client.expect(head);
        client.is_silent();
        drop(client);
        server.wait_for_closed(1);
    }
}

#[test]
fn a_request_is_executed_and_the_connection_dies() {
    let head = "HTTP/1.1 200 \r\nx-unfin";
    for (reply, fate) in [
        (Reply::reset(), Err(ErrorKind::ConnectionReset)),
        (Reply::fin(), Ok(String::new())),
        (Reply::raw(head), Ok(head.to_owned())),
    ] {
        let server = Server::script([reply]);
        let mut client = Client::to(&server);
        client.send(POST);
        assert_eq!(client.fate(), fate);
        assert_eq!(server.wait_for_requests(1)[0].text(), "money");
    }
}

#[test]
fn a_body_is_cut_short() {
    let whole = Reply::ok("0123456789");
    let head = "HTTP/1.1 200 \r\ncontent-length: 10\r\n\r\n0123";
    let chunks = "HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n2\r\n01\r\n2\r\n23\r\n5\r\n";

    let server = Server::script([whole.clone().cut(4), whole.clone().chunked().cut(4)]);
    for part in [head, chunks] {
        let mut client = Client::to(&server);
        client.send(GET);
        assert_eq!(client.rest(), part);
    }

    let server = Server::script([whole.clone().cut(4).end(End::Stall), whole.cut(4).end(End::Reset)]);
    let mut stalled = Client::to(&server);
    stalled.send(GET);
    stalled.expect(head);
    stalled.is_silent();
    let mut reset = Client::to(&server);
    reset.send(GET);
    assert_eq!(reset.fate(), Err(ErrorKind::ConnectionReset));
}

#[test]
fn an_answer_may_be_anything() {
    let plain = "GET / HTTP/1.1\r\n\r\n";
    let head = "HEAD / HTTP/1.1\r\n\r\n";
    let large = "v".repeat(100_000);
    for (request, reply, wire) in [
        (plain, Reply::raw("\u{1}garbage"), "\u{1}garbage"),
        (plain, Reply::status(99).end(End::Fin), "HTTP/1.1 99 \r\ncontent-length: 0\r\n\r\n"),
        (plain, Reply::status(799).body("x").end(End::Fin), "HTTP/1.1 799 \r\ncontent-length: 1\r\n\r\nx"),
        (plain, Reply::status(204).body("x").end(End::Fin), "HTTP/1.1 204 \r\n\r\n"),
        (plain, Reply::status(304).body("x").end(End::Fin), "HTTP/1.1 304 \r\ncontent-length: 1\r\n\r\n"),
        (head, Reply::ok("body").end(End::Fin), "HTTP/1.1 200 \r\ncontent-length: 4\r\n\r\n"),
        (
            plain,
            Reply::ok("x").interim(103).end(End::Fin),
            "HTTP/1.1 103 \r\nlink: </style.css>; rel=preload\r\n\r\nHTTP/1.1 200 \r\ncontent-length: 1\r\n\r\nx",
        ),
        (plain, Reply::ok("till the end").close_delimited(), "HTTP/1.1 200 \r\n\r\ntill the end"),
        (plain, Reply::ok("old").http10(), "HTTP/1.0 200 \r\n\r\nold"),
        (
            plain,
            Reply::ok("ab").trailer("sum", "2").end(End::Fin),
            "HTTP/1.1 200 \r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\nsum: 2\r\n\r\n",
        ),
        (
            plain,
            Reply::status(503).header("retry-after", "7").header("x", &large).end(End::Fin),
            &format!("HTTP/1.1 503 \r\nretry-after: 7\r\nx: {large}\r\ncontent-length: 0\r\n\r\n"),
        ),
    ] {
        let server = Server::script([reply]);
        let mut client = Client::to(&server);
        client.send(request);
        assert_eq!(client.rest(), wire);
    }
}

#[test]
fn an_answer_waits_for_its_gate_or_its_time() {
    let gate = Gate::new();
    let server = Server::script([
        Reply::ok("gated").after(&gate),
        Reply::ok("in two").halfway(&gate),
        Reply::ok("late").after(Duration::from_millis(150)),
    ]);
    let (mut whole, mut half) = (Client::to(&server), Client::to(&server));
    whole.send(GET);
    assert_eq!(server.wait_for_requests(1).len(), 1);
    half.send(GET);
    half.expect("HTTP/1.1 200 \r\ncontent-length: 6\r\n\r\nin ");
    whole.is_silent();
    half.is_silent();
    gate.open();
    whole.expect("HTTP/1.1 200 \r\ncontent-length: 5\r\n\r\ngated");
    half.expect("two");

    let began = Instant::now();
    whole.send(GET);
    whole.expect("HTTP/1.1 200 \r\ncontent-length: 4\r\n\r\nlate");
    assert!(began.elapsed() >= Duration::from_millis(150));
}

#[test]
fn a_head_drips_for_ever() {
    let server = Server::script([Reply::dripping(Duration::from_millis(1))]);
    let mut client = Client::to(&server);
    client.send(GET);
    client.expect("HTTP/1.1 200 \r\nx-drip: ....................");
    drop(client);
    server.wait_for_closed(1);
}

#[test]
fn an_early_answer_comes_before_the_body_was_read() {
    let server = Server::early(|request| match request.position {
        0 => Reply::status(413),
        _ => Reply::status(413).end(End::HalfFin),
    });
    let mut client = Client::to(&server);
    let (head, body) = POST.split_at(POST.len() - 5);
    for _ in 0..2 {
        client.send(head);
        client.expect("HTTP/1.1 413 \r\ncontent-length: 0\r\n\r\n");
        client.send(body);
    }
    assert_eq!(client.rest(), "");
    assert!(server.requests().iter().all(|request| request.body.is_empty()));
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn an_idle_connection_closes_or_resets_exactly_as_the_next_request_arrives() {
    for (end, fate) in
        [(End::FinAtNext, Ok(String::new())), (End::ResetAtNext, Err(ErrorKind::ConnectionReset))]
    {
        let server = Server::script([Reply::ok("").end(end)]);
        let mut client = Client::to(&server);
        client.send(GET);
        client.expect("HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n");
        client.is_silent();
        client.send(POST);
        assert_eq!(client.fate(), fate);
        server.wait_for_closed(1);
        assert_eq!(server.requests().len(), 1, "the second request was not executed");
    }
}

#[test]
fn an_idle_connection_closes_after_any_number_of_requests() {
    let server = Server::start(|request| match request.position {
        2 => Reply::ok("").end(End::Fin),
        _ => Reply::ok(""),
    });
    let mut client = Client::to(&server);
    for _ in 0..3 {
        client.send(GET);
        client.expect("HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n");
    }
    assert_eq!(client.rest(), "");
}

#[test]
fn a_proxy_passes_on_what_it_is_not_to_cut() {
    let server = Server::start(|request| Reply::ok(request.body.clone()));
    let proxy = Proxy::before(&server);
    let mut client = Client::to(proxy.front());
    for _ in 0..3 {
        client.send(POST);
        client.expect("HTTP/1.1 200 \r\ncontent-length: 5\r\n\r\nmoney");
    }
    drop(client);
    server.wait_for_closed(1);
    proxy.front().wait_for_closed(1);

    let closing = Server::script([Reply::ok("").end(End::Fin)]);
    let proxy = Proxy::before(&closing);
    let mut client = Client::to(proxy.front());
    client.send(GET);
    assert_eq!(client.rest(), "HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n");
}

#[test]
fn a_proxy_cuts_once_and_exactly_where_it_is_told_to() {
    let answer = "HTTP/1.1 200 \r\ncontent-length: 5\r\n\r\nhello";
    for end in [End::Fin, End::Reset] {
        let server = Server::script([Reply::ok("hello")]);
        let proxy = Proxy::before(&server);
        let mut executed = 0;
        for bytes in [0, 1, POST.len() - 1, POST.len()] {
            let mut client = Client::to(proxy.front());
            client.send(POST);
            client.expect(answer);
            proxy.cut(Cut::Request(bytes), end);
            client.send(POST);
            match end {
                End::Reset => assert_eq!(client.fate(), Err(ErrorKind::ConnectionReset)),
                _ => assert_eq!(client.rest(), ""),
            }
            executed += 1 + usize::from(bytes == POST.len());
            assert_eq!(server.requests().len(), executed, "{bytes}");
        }
        for bytes in [0, 1, answer.len() - 1, answer.len()] {
            let mut client = Client::to(proxy.front());
            proxy.cut(Cut::Answer(bytes), end);
            client.send(POST);
            client.expect(&answer[..bytes]);
            match end {
                End::Reset => assert_eq!(client.fate(), Err(ErrorKind::ConnectionReset)),
                _ => assert_eq!(client.rest(), ""),
            }
            executed += 1;
            assert_eq!(server.requests().len(), executed, "{bytes}");
        }
        proxy.front().wait_for_closed(8);
    }
}

#[test]
fn a_hundred_clients_are_counted_exactly() {
    let server = Server::script([Reply::ok("")]);
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                let mut client = Client::to(&server);
                for _ in 0..3 {
                    client.send(POST);
                    client.expect("HTTP/1.1 200 \r\ncontent-length: 0\r\n\r\n");
                }
            });
        }
    });
    server.wait_for_closed(100);
    assert_eq!((server.connections(), server.requests().len()), (100, 300));
}

/// A bare socket that gives up after [`LIMIT`].
#[derive(Debug)]
struct Client(TcpStream);

impl Client {
    fn to(server: &Server) -> Self {
        Self::connect(server.address()).unwrap()
    }

    fn connect(address: SocketAddr) -> Result<Self, ErrorKind> {
        let stream = TcpStream::connect_timeout(&address, LIMIT).map_err(|error| error.kind())?;
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Ok(Self(stream))
    }

    fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).unwrap();
    }

    fn expect(&mut self, wire: &str) {
        let mut bytes = vec![0; wire.len()];
        self.0.read_exact(&mut bytes).unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes), wire);
    }

    /// Nothing is there to read: neither bytes nor an end.
    fn is_silent(&mut self) {
        self.0.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let error = self.0.peek(&mut [0]).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
        self.0.set_read_timeout(Some(LIMIT)).unwrap();
    }

    /// All that comes up to the end of the connection.
    fn rest(&mut self) -> String {
        self.fate().unwrap()
    }

    fn fate(&mut self) -> Result<String, ErrorKind> {
        let mut bytes = Vec::new();
        let outcome: io::Result<usize> = self.0.read_to_end(&mut bytes);
        let _ = self.0.shutdown(Shutdown::Both);
        outcome.map(|_| String::from_utf8(bytes).unwrap()).map_err(|error| error.kind())
    }
}
