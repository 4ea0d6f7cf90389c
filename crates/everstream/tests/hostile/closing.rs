//! FIN, RST and half-closes in every phase of a response.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::thread;

use everstream::Http;
use everstream_testing::{Reply, Server};

use super::outcome::{check, outcome};
use crate::support::{Client, LIMIT, for_both_clients, quick};

for_both_clients!(
    a_fin_in_every_phase_is_a_fault_after_the_received_events,
    a_half_close_in_every_phase_is_like_a_fin,
    a_reset_in_every_phase_is_reported_as_a_reset,
    the_client_closes_a_half_closed_connection,
    a_server_that_shuts_down_reading_is_read_to_the_end,
    a_server_that_never_reads_the_request_body_can_still_respond,
);

/// The complete response, of which a prefix is sent.
fn answer() -> Reply {
    Reply::stream()
        .send("data: a\n\n")
        .send("data: b\n\n")
        .end()
}

const REQUEST: &str = "Request: the server closed the connection before responding [Closed]";
const READ: &str = "Read: the server closed the connection mid-response [Closed]";

const RESET_REQUEST: &str = ": the server reset the connection before responding [Reset]";
const RESET_READ: &str = ": the server reset the connection mid-response [Reset]";

/// Where the response is cut, and the actions that the client returns.
const PHASES: [(&str, &[&str]); 10] = [
    ("HTTP/1.1 2", &[REQUEST]),
    ("OK\r\n", &[REQUEST]),
    ("Content-", &[REQUEST]),
    ("\r\n\r\n", &["start", READ]),
    ("\r\n\r\n9", &["start", READ]),
    ("data: a", &["start", READ]),
    ("data: a\n\n", &["start", "event a", READ]),
    ("data: a\n\n\r\n", &["start", "event a", READ]),
    ("data: b\n\n\r\n", &["start", "event a", "event b", READ]),
    ("0\r\n", &["start", "event a", "event b", READ]),
];

fn length_up_to(end: &str) -> usize {
    let wire = answer().wire_bytes();
    let mut windows = wire.windows(end.len());
    windows.position(|part| part == end.as_bytes()).unwrap() + end.len()
}

fn a_fin_in_every_phase_is_a_fault_after_the_received_events<C: Client>() {
    let whole = &["start", "event a", "event b", "end"];
    check::<C>(&[
        ("complete", answer(), whole),
        // Before a response. The error depends on the timing.
        (
            "immediately",
            Reply::on_accept().drop_connection(),
            &["Request: "],
        ),
        ("no answer", Reply::raw("").drop_connection(), &[REQUEST]),
    ]);
    let rows = PHASES.map(|(end, seen)| (end, answer().cut_after(length_up_to(end)), seen));
    check::<C>(&rows);
}

fn a_half_close_in_every_phase_is_like_a_fin<C: Client>() {
    let rows = PHASES.map(|(end, seen)| {
        let wire = &answer().wire_bytes()[..length_up_to(end)];
        (end, Reply::raw(wire).half_close(), seen)
    });
    check::<C>(&rows);
    check::<C>(&[
        ("immediately", Reply::on_accept().half_close(), &[REQUEST]),
        ("no answer", Reply::raw("").half_close(), &[REQUEST]),
        (
            "complete",
            answer().half_close(),
            &["start", "event a", "event b", READ],
        ),
        (
            "without a length",
            Reply::stream().close_delimited().event("a").half_close(),
            &["start", "event a", "end"],
        ),
    ]);
}

fn a_reset_in_every_phase_is_reported_as_a_reset<C: Client>() {
    let seen = outcome::<C>(Reply::raw("").reset(), quick);
    assert!(
        matches!(&*seen, [one] if one.starts_with("Request: ") && one.ends_with(RESET_REQUEST)),
        "{seen:?}"
    );
    // The reset may arrive before the client knows that it is connected.
    let seen = outcome::<C>(Reply::on_accept().reset(), quick);
    let is_fault = |seen: &str| seen.starts_with("Request: ") || seen.starts_with("Connect: ");
    assert!(matches!(&*seen, [one] if is_fault(one)), "{seen:?}");
    for (end, expected) in PHASES {
        let seen = outcome::<C>(answer().reset_after(length_up_to(end)), quick);
        let (fault, before) = seen.split_last().unwrap();
        // At a reset, the system may discard received data that wasn't read.
        assert!(expected.starts_with(&before.iter().map(String::as_str).collect::<Vec<_>>()));
        let (variant, words) = match before.is_empty() {
            true => ("Request: ", RESET_REQUEST),
            false => ("Read: ", RESET_READ),
        };
        assert!(
            fault.starts_with(variant) && fault.ends_with(words),
            "{end:?}: {fault}"
        );
    }
}

fn the_client_closes_a_half_closed_connection<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().close_delimited().event("a").half_close());
    server.enqueue(Reply::stream().event("b").half_close());
    let mut client = C::quick(server.url("/"));
    assert_eq!(client.event_data(), "a");
    client.expect_clean_end();
    // The server waits for the client's FIN.
    assert!(server.wait_for_open_connections(0, LIMIT));
    assert_eq!(client.event_data(), "b");
    client.expect_fault();
    assert!(server.wait_for_open_connections(0, LIMIT));
}

/// TCP doesn't signal this to the client.
fn a_server_that_shuts_down_reading_is_read_to_the_end<C: Client>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        stream.shutdown(Shutdown::Read).unwrap();
        stream.write_all(&answer().wire_bytes()).unwrap();
        stream
    });
    let mut client = C::quick(url);
    client.expect_start();
    client.expect_event("a");
    client.expect_event("b");
    client.expect_clean_end();
    server.join().unwrap();
}

fn a_server_that_never_reads_the_request_body_can_still_respond<C: Client>() {
    // Larger than the buffers of both sockets.
    let body = vec![b'x'; 32 << 20];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let answer = Reply::stream().event("a").wire_bytes();
        stream.read_exact(&mut [0]).unwrap();
        stream
            .write_all(&answer[..answer.len() - b"0\r\n\r\n".len()])
            .unwrap();
        stream
    });
    let mut client = C::quick(Http::new(url).method("POST").body(body));
    client.expect_start();
    client.expect_event("a");
    drop(client);
    server.join().unwrap();
}
