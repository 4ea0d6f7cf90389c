//! A server that answers before it has read the request. If it goes then, the answer counts, not the
//! request that couldn't be sent.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use everstream::{Action, Error, Fault, Http};
use socket2::SockRef;

use crate::support::{Client, for_both_clients, quick};

for_both_clients!(
    an_answer_and_a_reset_while_the_body_is_sent_are_the_answer,
    a_reset_without_an_answer_is_a_reset,
    a_stream_that_begins_while_the_body_is_sent_gets_the_rest_of_it,
);

/// More than the buffers of both sockets hold.
const BODY: usize = 10 << 20;

/// A server that reads a part of each request, writes this, and resets the connection.
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
    // A close with something unread would be a reset as well, but not on every system.
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))
}

fn first_fault<C: Client>(url: &str) -> Fault {
    let http = Http::new(url).method("POST").body(vec![b'x'; BODY]);
    match C::with(quick(http)).next_action() {
        Some(Ok(Action::Fault(fault)) | Err(Error::Fault(fault) | Error::NotRepeated(fault))) => {
            fault
        }
        other => panic!("a fault was expected, and it was {other:?}"),
    }
}

fn an_answer_and_a_reset_while_the_body_is_sent_are_the_answer<C: Client>() {
    // Other systems throw away at a reset what they have received.
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

fn a_reset_without_an_answer_is_a_reset<C: Client>() {
    let url = answer_and_reset("");
    let fault = first_fault::<C>(&url);
    assert!(matches!(fault, Fault::Request(_)), "{fault:?}");
    assert_eq!(
        fault.to_string(),
        "the server reset the connection before responding"
    );
}

/// A server that flushes its head early, and has nothing to say until it has read the request.
fn a_stream_that_begins_while_the_body_is_sent_gets_the_rest_of_it<C: Client>() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (begun, has_begun) = std::sync::mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // The head of the request is shorter, and so a part of the body is among it.
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
            other => panic!("a start was expected, and it was {other:?}"),
        }
        begun.send(()).unwrap();
        match client.next_action() {
            Some(Ok(Action::Event(event))) => assert_eq!(event.data(), "all of it"),
            other => panic!("an event was expected, and it was {other:?}"),
        }
    });
}
