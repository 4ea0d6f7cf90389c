//! Servers that respond before they have read the whole request. Even if the server then closes, the
//! response counts rather than the send error.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use everstream::{Action, Error, Fault, Http};
use socket2::SockRef;

use crate::support::{Client, for_both_clients, quick};

for_both_clients!(
    a_response_before_a_reset_counts_while_the_body_is_being_sent,
    a_reset_without_a_response_is_reported_as_a_reset,
    the_body_is_sent_completely_after_an_early_response,
);

/// Larger than the buffers of both sockets.
const BODY: usize = 10 << 20;

/// Starts a server that reads a part of each request, sends `answer`, and resets the connection.
fn answer_and_reset(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            _ = refuse(stream, answer);
        }
    });
    url
}

fn refuse(mut stream: TcpStream, answer: &str) -> std::io::Result<()> {
    stream.read_exact(&mut [0; 4096])?;
    stream.write_all(answer.as_bytes())?;
    // Closing with unread data resets the connection only on some systems.
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))
}

fn first_fault<C: Client>(url: &str) -> Fault {
    let http = Http::new(url).method("POST").body(vec![b'x'; BODY]);
    match C::with(quick(http)).next_action() {
        Some(Ok(Action::Fault(fault)) | Err(Error::Fault(fault) | Error::NotRepeated(fault))) => {
            fault
        }
        other => panic!("expected a fault, got {other:?}"),
    }
}

fn a_response_before_a_reset_counts_while_the_body_is_being_sent<C: Client>() {
    // Other systems discard received data at a reset.
    if !cfg!(target_os = "linux") {
        return;
    }
    for (answer, status) in [
        (
            "HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge",
            413,
        ),
        (
            "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\nwho?",
            401,
        ),
        (
            "HTTP/1.1 401 Unauthorized\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwho?\r\n0\r\n\r\n",
            401,
        ),
    ] {
        let url = answer_and_reset(answer);
        for _ in 0..5 {
            let fault = first_fault::<C>(&url);
            assert_eq!(fault.status(), Some(status), "{fault:?}");
            let body = &fault.response().unwrap().body;
            assert!(body == b"large" || body == b"who?", "{body:?}");
        }
    }
}

fn a_reset_without_a_response_is_reported_as_a_reset<C: Client>() {
    let url = answer_and_reset("");
    let fault = first_fault::<C>(&url);
    assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
    assert_eq!(
        fault.to_string(),
        "the server reset the connection before responding"
    );
}

/// The server flushes its head early, and sends nothing more until it has read the whole request.
fn the_body_is_sent_completely_after_an_early_response<C: Client>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (begun, has_begun) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Larger than the head of the request, so it includes a part of the body.
            stream.read_exact(&mut [0; 4096]).unwrap();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
            has_begun.recv().unwrap();
            let most = (BODY - 4096) as u64;
            let read = std::io::copy(&mut (&stream).take(most), &mut std::io::sink());
            if read.is_ok_and(|read| read == most) {
                _ = stream.write_all(b"data: all of it\n\n");
            }
        });
        let http = Http::new(url).method("POST").body(vec![b'x'; BODY]);
        let mut client = C::with(quick(http));
        match client.next_action() {
            Some(Ok(Action::Start(_))) => {}
            other => panic!("expected a start, got {other:?}"),
        }
        begun.send(()).unwrap();
        match client.next_action() {
            Some(Ok(Action::Event(event))) => assert_eq!(event.data(), "all of it"),
            other => panic!("expected an event, got {other:?}"),
        }
    });
}
