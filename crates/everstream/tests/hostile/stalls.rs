//! A server that falls silent, in every phase. The limits are settings and part of the fault that
//! names them; no test looks at a clock.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use everstream::{Builder, Fault, Http, SseClient, error_strategy};
use everstream_testing::Reply;

use super::outcome::check_with;
use crate::support::deaf::Deaf;
use crate::support::{Client, for_both_clients, quick};

for_both_clients!(
    a_stall_in_every_phase_is_silence_after_what_came,
    a_server_that_never_accepts_has_its_own_limit,
    a_server_that_never_reads_is_silent,
);

/// Longer than a loaded machine pauses within an answer.
const READ: Duration = Duration::from_secs(2);
const CONNECT: Duration = Duration::from_millis(500);
const SILENCE: &str = "ReadTimeout: no data received for 2s (read_timeout)";

fn impatient(http: Http) -> Builder {
    quick(http.connect_timeout(CONNECT)).read_timeout(READ)
}

fn a_stall_in_every_phase_is_silence_after_what_came<C: Client>() {
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
                &[SILENCE],
            ),
            ("no answer", Reply::raw("").stall(), &[SILENCE]),
            (
                "in the status line",
                Reply::raw("HTTP/1.1 2").stall(),
                &[SILENCE],
            ),
            (
                "after the status line",
                Reply::raw("HTTP/1.1 200 OK\r\n").stall(),
                &[SILENCE],
            ),
            (
                "in a header's name",
                Reply::raw(&head[..25]).stall(),
                &[SILENCE],
            ),
            (
                "in a header's value",
                Reply::raw(&head[..40]).stall(),
                &[SILENCE],
            ),
            (
                "before the blank line",
                Reply::raw(head).stall(),
                &[SILENCE],
            ),
            (
                "after an informational response",
                Reply::raw("HTTP/1.1 103 Early Hints\r\n\r\n").stall(),
                &[SILENCE],
            ),
            ("after the headers", after_head(b""), &["start", SILENCE]),
            ("in a chunk's size", after_head(b"1"), &["start", SILENCE]),
            (
                "in a chunk's extension",
                after_head(b"9;name=val"),
                &["start", SILENCE],
            ),
            (
                "after a chunk's size",
                after_head(b"9\r\n"),
                &["start", SILENCE],
            ),
            (
                "in a field's name",
                after_head(b"9\r\nda"),
                &["start", SILENCE],
            ),
            (
                "in an event",
                after_head(b"9\r\ndata: a\n"),
                &["start", SILENCE],
            ),
            (
                "in a character",
                after_head(b"a\r\ndata: \xf0\x9f"),
                &["start", SILENCE],
            ),
            (
                "between a chunk and its end",
                after_head(b"9\r\ndata: a\n\n"),
                &["start", "event a", SILENCE],
            ),
            (
                "between a CR and its LF",
                after_head(b"9\r\ndata: a\r\r"),
                &["start", "event a", SILENCE],
            ),
            (
                "after an event and half another",
                after_head(b"10\r\ndata: a\n\ndata: b\r\n"),
                &["start", "event a", SILENCE],
            ),
            (
                "after a comment",
                after_head(b"2\r\n:\n\r\n"),
                &["start", "comment ", SILENCE],
            ),
            (
                "in the last chunk",
                after_head(b"9\r\ndata: a\n\n\r\n0\r\n"),
                &["start", "event a", SILENCE],
            ),
            (
                "in a trailer",
                after_head(b"9\r\ndata: a\n\n\r\n0\r\nX-A: 1"),
                &["start", "event a", SILENCE],
            ),
        ],
        |url| impatient(Http::new(url)),
    );
}

fn a_server_that_never_accepts_has_its_own_limit<C: Client>() {
    let deaf = Deaf::start();
    let http = Http::new(format!("http://{}/", deaf.addr)).connect_timeout(CONNECT);
    let builder = SseClient::builder(http).error_strategy(error_strategy::always_fail());
    let fault = C::with(builder).expect_error();
    assert!(matches!(fault, Fault::ConnectTimeout(CONNECT)), "{fault:?}");
    let message = fault.to_string();
    assert_eq!(message, "could not connect within 500ms (connect_timeout)");
}

/// The request is larger than the buffers of both sockets, so that it never gets out.
fn a_server_that_never_reads_is_silent<C: Client>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || listener.accept().unwrap());
    let http = Http::new(url).method("PUT").body(vec![b'x'; 32 << 20]);
    let fault = C::with(impatient(http)).expect_not_repeated();
    assert!(matches!(fault, Fault::ReadTimeout(READ)), "{fault:?}");
    server.join().unwrap();
}
