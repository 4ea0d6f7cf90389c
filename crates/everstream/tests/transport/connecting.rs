//! Timeouts while connecting.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use everstream::{Action, Fault, Http, SseClient};
use everstream_http::FailureKind;
use everstream_testing::{Reply, Server};
use socket2::{Domain, Socket, Type};

use super::client::{both, chain, failure};

/// Long enough for a connection within one machine.
const SHORT: Duration = Duration::from_millis(600);

/// Binds a listener whose backlog accepts connections, but which sends nothing.
fn silent() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// A listener whose backlog is full, so the system doesn't answer further connection attempts.
struct FullBacklog {
    addr: SocketAddr,
    _listener: Socket,
    _waiting: Vec<TcpStream>,
}

impl FullBacklog {
    fn new() -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        listener.bind(&any.into()).unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap().as_socket().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&addr, Duration::from_millis(100)) {
            waiting.push(stream);
            assert!(waiting.len() < 100, "the backlog doesn't fill up");
        }
        FullBacklog {
            addr,
            _listener: listener,
            _waiting: waiting,
        }
    }
}

#[test]
fn an_unanswered_connection_fails_after_connect_timeout() {
    let full = FullBacklog::new();
    both(|kind| {
        let http = Http::new(format!("http://{}/", full.addr)).connect_timeout(SHORT);
        let began = Instant::now();
        let fault = kind.build(SseClient::builder(http)).any_fault();
        assert!(matches!(fault, Fault::ConnectTimeout(SHORT)), "{fault:?}");
        assert!(began.elapsed() >= SHORT);
        assert!(fault.to_string().contains("connect_timeout"), "{fault}");
    });
}

/// In paused time, which advances when all tasks wait.
#[tokio::test(start_paused = true)]
async fn connect_timeout_is_ten_seconds_by_default() {
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
        matches!(fault, Fault::ConnectTimeout(limit) if limit == ten_seconds),
        "{fault:?}"
    );
    assert!(began.elapsed() >= ten_seconds);
}

#[test]
fn connect_timeout_includes_the_tls_handshake() {
    let silent = silent();
    both(|kind| {
        let url = format!("https://{}/", silent.local_addr().unwrap());
        let http = Http::new(url).connect_timeout(SHORT);
        let fault = kind.build(SseClient::builder(http)).any_fault();
        assert!(matches!(fault, Fault::ConnectTimeout(SHORT)), "{fault:?}");
    });
}

#[test]
fn connect_timeout_includes_the_proxy() {
    let silent = silent();
    both(|kind| {
        let http = Http::new("https://feed.test/")
            .proxy(format!("http://{}", silent.local_addr().unwrap()))
            .connect_timeout(SHORT);
        let fault = kind.build(SseClient::builder(http)).any_fault();
        assert!(matches!(fault, Fault::ConnectTimeout(SHORT)), "{fault:?}");
    });
}

#[test]
fn connect_timeout_does_not_apply_to_the_response() {
    let server = Server::start();
    server.otherwise(
        Reply::stream()
            .head_delayed(SHORT * 2)
            .event("late")
            .stall(),
    );
    both(|kind| {
        let http = Http::new(server.url("/")).connect_timeout(SHORT);
        assert_eq!(kind.build(SseClient::builder(http)).event().data(), "late");
    });
}

#[test]
fn a_refused_connection_is_a_connect_fault_with_the_cause() {
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
fn an_unknown_host_name_is_a_connect_fault_that_names_it() {
    both(|kind| {
        // A name that can't exist (RFC 6761), so no name server is asked.
        let builder = SseClient::builder(Http::new("http://feed.invalid/").no_proxy());
        let fault = kind.build(builder).any_fault();
        assert!(matches!(fault, Fault::Connect(_)), "{fault:?}");
        let text = chain(&fault);
        // The rest is the system's message.
        let (prefix, system_text) = text.split_once("feed.invalid").unwrap();
        assert_eq!(prefix, "can't resolve ");
        assert!(
            system_text.starts_with(": ") && system_text.len() > 2,
            "{text}"
        );
        assert!(!system_text.contains("lookup"), "{text}");
        assert_eq!(failure(&fault).kind(), FailureKind::Resolve);
    });
}
