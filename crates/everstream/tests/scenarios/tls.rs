//! The beginning of TLS. `transport/` tests complete handshakes, which need a server with a certificate.

use std::io::Read;
use std::net::TcpListener;

use everstream::{SseClient, error_strategy};

use everstream_http::FailureKind;
use everstream_testing::{Reply, Server};

use crate::support::{Client, for_both_clients};

for_both_clients!(
    http2_is_offered_only_by_the_async_client,
    a_server_without_tls_is_reported_as_such,
);

fn http2_is_offered_only_by_the_async_client<C: Client>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        // The first record: a header of 5 bytes with the length at its end.
        let mut header = [0; 5];
        socket.read_exact(&mut header).unwrap();
        let mut hello = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        socket.read_exact(&mut hello).unwrap();
        hello
    });
    let strategy = error_strategy::always_fail();
    let mut client = C::with(SseClient::builder(url).error_strategy(strategy));
    assert!(client.expect_error().is_connect());

    let hello = server.join().unwrap();
    let offers = |protocol: &[u8]| {
        hello
            .windows(protocol.len())
            .any(|window| window == protocol)
    };
    assert!(offers(b"\x08http/1.1"));
    let answers_pings = !C::BLOCKING && cfg!(feature = "http2");
    assert_eq!(offers(b"\x02h2"), answers_pings);
}

fn a_server_without_tls_is_reported_as_such<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::on_accept().send("this isn't TLS at all").stall());
    let url = server.url("/").replace("http:", "https:");
    let strategy = error_strategy::always_fail();
    let mut client = C::with(SseClient::builder(url).error_strategy(strategy));
    let fault = client.expect_error();
    assert!(fault.is_connect(), "{fault:?}");
    let failure = fault.failure().unwrap();
    let port = server.addr().port();
    assert_eq!(
        failure.to_string(),
        format!("127.0.0.1 doesn't speak TLS on port {port}")
    );
    assert_eq!(failure.kind(), FailureKind::Tls);
}
