//! Servers that stop sending, in every phase. The fault names the timeout that expired, so no test
//! measures time.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use everstream::{Builder, Fault, Http, SseClient, error_strategy};
use everstream_testing::Reply;

use super::outcome::check_with;
use crate::support::unresponsive::UnresponsiveListener;
use crate::support::{Client, for_both_clients, quick};

for_both_clients!(
    a_stall_in_every_phase_is_a_read_timeout_after_the_received_events,
    a_server_that_never_accepts_is_a_connect_timeout,
    a_server_that_never_reads_is_a_read_timeout,
);

/// Longer than a loaded machine pauses within a response.
const READ: Duration = Duration::from_secs(2);
const CONNECT: Duration = Duration::from_millis(500);
const NO_RESPONSE: &str = "ResponseTimeout: no response within 2 s (read_timeout)";
const READ_TIMEOUT: &str = "ReadTimeout: no data received for 2 s (read_timeout)";

fn with_timeouts(http: Http) -> Builder {
    quick(http).read_timeout(READ)
}

fn a_stall_in_every_phase_is_a_read_timeout_after_the_received_events<C: Client>() {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n";
    let after_head = |body: &[u8]| {
        let wire = [head.as_bytes(), b"\r\n", body].concat();
        Reply::raw(wire).stall()
    };
    check_with::<C>(
        &[
            (
                "the request isn't read",
                Reply::on_accept().stall(),
                &[NO_RESPONSE],
            ),
            ("no answer", Reply::raw("").stall(), &[NO_RESPONSE]),
            (
                "in the status line",
                Reply::raw("HTTP/1.1 2").stall(),
                &[NO_RESPONSE],
            ),
            (
                "after the status line",
                Reply::raw("HTTP/1.1 200 OK\r\n").stall(),
                &[NO_RESPONSE],
            ),
            (
                "in a header's name",
                Reply::raw(&head[..25]).stall(),
                &[NO_RESPONSE],
            ),
            (
                "in a header's value",
                Reply::raw(&head[..40]).stall(),
                &[NO_RESPONSE],
            ),
            (
                "before the blank line",
                Reply::raw(head).stall(),
                &[NO_RESPONSE],
            ),
            (
                "after an informational response",
                Reply::raw("HTTP/1.1 103 Early Hints\r\n\r\n").stall(),
                &[NO_RESPONSE],
            ),
            (
                "after the headers",
                after_head(b""),
                &["start", READ_TIMEOUT],
            ),
            (
                "in a chunk's size",
                after_head(b"1"),
                &["start", READ_TIMEOUT],
            ),
            (
                "in a chunk's extension",
                after_head(b"9;name=val"),
                &["start", READ_TIMEOUT],
            ),
            (
                "after a chunk's size",
                after_head(b"9\r\n"),
                &["start", READ_TIMEOUT],
            ),
            (
                "in a field's name",
                after_head(b"9\r\nda"),
                &["start", READ_TIMEOUT],
            ),
            (
                "in an event",
                after_head(b"9\r\ndata: a\n"),
                &["start", READ_TIMEOUT],
            ),
            (
                "in a character",
                after_head(b"a\r\ndata: \xf0\x9f"),
                &["start", READ_TIMEOUT],
            ),
            (
                "between a chunk and its end",
                after_head(b"9\r\ndata: a\n\n"),
                &["start", "event a", READ_TIMEOUT],
            ),
            (
                "between a CR and its LF",
                after_head(b"9\r\ndata: a\r\r"),
                &["start", "event a", READ_TIMEOUT],
            ),
            (
                "after an event and half another",
                after_head(b"10\r\ndata: a\n\ndata: b\r\n"),
                &["start", "event a", READ_TIMEOUT],
            ),
            (
                "after a comment",
                after_head(b"2\r\n:\n\r\n"),
                &["start", "comment ", READ_TIMEOUT],
            ),
            (
                "in the last chunk",
                after_head(b"9\r\ndata: a\n\n\r\n0\r\n"),
                &["start", "event a", READ_TIMEOUT],
            ),
            (
                "in a trailer",
                after_head(b"9\r\ndata: a\n\n\r\n0\r\nX-A: 1"),
                &["start", "event a", READ_TIMEOUT],
            ),
        ],
        |url| with_timeouts(Http::new(url)),
    );
}

fn a_server_that_never_accepts_is_a_connect_timeout<C: Client>() {
    let unresponsive = UnresponsiveListener::start();
    let http = Http::new(format!("http://{}/", unresponsive.addr)).connect_timeout(CONNECT);
    let builder = SseClient::builder(http).error_strategy(error_strategy::always_fail());
    let fault = C::with(builder).expect_error();
    assert!(matches!(fault, Fault::ConnectTimeout(CONNECT)), "{fault:?}");
    let message = fault.to_string();
    assert_eq!(message, "could not connect within 500 ms (connect_timeout)");
}

/// The request is larger than the buffers of both sockets, so it can't be sent completely.
fn a_server_that_never_reads_is_a_read_timeout<C: Client>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || listener.accept().unwrap());
    let http = Http::new(url).method("PUT").body(vec![b'x'; 32 << 20]);
    let fault = C::with(with_timeouts(http)).expect_not_repeated();
    assert!(matches!(fault, Fault::ResponseTimeout(READ)), "{fault:?}");
    server.join().unwrap();
}
