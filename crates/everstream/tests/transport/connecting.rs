//! Time-outs of connections.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use everstream::{Action, Fault, Http, SseClient};
use everstream_http::FailureKind;
use everstream_testing::{Reply, Server};
use socket2::{Domain, Socket, Type};

use super::client::{both, chain, failure};

/// Long enough for the two ends of one machine, and soon over.
const SOON: Duration = Duration::from_millis(600);

/// Accepts by its backlog, and says nothing.
fn silent() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// A port whose backlog is full, so that the system answers to no further connection.
struct Full {
    addr: SocketAddr,
    _listener: Socket,
    _waiting: Vec<TcpStream>,
}

impl Full {
    fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap().as_socket().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&addr, Duration::from_millis(100)) {
            waiting.push(stream);
            assert!(waiting.len() < 100, "the backlog has no end");
        }
        Full {
            addr,
            _listener: listener,
            _waiting: waiting,
        }
    }
}

#[test]
fn a_connection_that_nobody_answers_is_given_up_after_connect_timeout() {
    let full = Full::new();
    both(|kind| {
        let http = Http::new(format!("http://{}/", full.addr)).connect_timeout(SOON);
        let began = Instant::now();
        let fault = kind.build(SseClient::builder(http)).any_fault();
        assert!(matches!(fault, Fault::ConnectTimeout(SOON)), "{fault:?}");
        assert!(began.elapsed() >= SOON);
        assert!(fault.to_string().contains("connect_timeout"), "{fault}");
    });
}

/// In paused time: it goes on when everybody waits.
#[tokio::test(start_paused = true)]
async fn the_time_to_connect_is_ten_seconds_by_default() {
    let silent = silent();
    let began = tokio::time::Instant::now();
    let mut client = SseClient::new(format!("https://{}/", silent.local_addr().unwrap())).unwrap();
    let fault = loop {
        if let Action::Fault(fault) = client.next_action().await.unwrap().unwrap() {
            break fault;
        }
    };
    let ten_seconds = Duration::from_secs(10);
    assert!(
        matches!(fault, Fault::ConnectTimeout(it) if it == ten_seconds),
        "{fault:?}"
    );
    assert!(began.elapsed() >= ten_seconds);
}

#[test]
fn silence_in_the_tls_handshake_counts_into_connect_timeout() {
    let silent = silent();
    both(|kind| {
        let url = format!("https://{}/", silent.local_addr().unwrap());
        let http = Http::new(url).connect_timeout(SOON);
        let fault = kind.build(SseClient::builder(http)).any_fault();
        assert!(matches!(fault, Fault::ConnectTimeout(SOON)), "{fault:?}");
    });
}

#[test]
fn silence_of_a_proxy_counts_into_connect_timeout() {
    let silent = silent();
    both(|kind| {
        let http = Http::new("https://feed.test/")
            .proxy(format!("http://{}", silent.local_addr().unwrap()))
            .connect_timeout(SOON);
        let fault = kind.build(SseClient::builder(http)).any_fault();
        assert!(matches!(fault, Fault::ConnectTimeout(SOON)), "{fault:?}");
    });
}

#[test]
fn a_slow_response_is_no_slow_connection() {
    let server = Server::start();
    server.otherwise(Reply::stream().head_delayed(SOON * 2).event("late").stall());
    both(|kind| {
        let http = Http::new(server.url("/")).connect_timeout(SOON);
        assert_eq!(kind.build(SseClient::builder(http)).event().data(), "late");
    });
}

#[test]
fn a_refused_connection_is_a_connect_fault_with_its_cause() {
    let server = Server::start();
    server.stop();
    both(|kind| {
        let fault = kind.build(SseClient::builder(server.url("/"))).any_fault();
        assert!(matches!(fault, Fault::Connect(_)), "{fault:?}");
        let refused = format!("connection refused by {}", server.addr());
        assert_eq!(chain(&fault), refused);
        let failure = failure(&fault);
        assert_eq!(failure.kind(), FailureKind::Refused);
        assert!(failure.os_error().is_some());
    });
}

#[test]
fn a_name_that_no_host_has_is_a_connect_fault_that_names_it() {
    both(|kind| {
        // A name that can't exist (RFC 6761), so that no server is asked.
        let builder = SseClient::builder(Http::new("http://feed.invalid/").no_proxy());
        let fault = kind.build(builder).any_fault();
        assert!(matches!(fault, Fault::Connect(_)), "{fault:?}");
        let text = chain(&fault);
        // What follows is the system's.
        let (ours, systems) = text.split_once("feed.invalid").unwrap();
        assert_eq!(ours, "can't resolve ");
        assert!(systems.starts_with(": ") && systems.len() > 2, "{text}");
        assert!(!systems.contains("lookup"), "{text}");
        assert_eq!(failure(&fault).kind(), FailureKind::Resolve);
    });
}
