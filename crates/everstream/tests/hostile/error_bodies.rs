//! Error responses whose body doesn't end: after two seconds the error is reported, with what has arrived
//! of the body.

use std::thread;
use std::time::{Duration, Instant};

use everstream::{Action, Error};
use everstream_testing::{Reply, Server};

use crate::support::{Client, for_both_clients};

for_both_clients!(
    an_error_with_an_unfinished_body_is_reported_after_two_seconds,
    an_error_with_a_complete_body_is_reported_immediately,
);

const BODY_TIME: Duration = Duration::from_secs(2);
/// Generous enough for a loaded machine.
const MAX_TIME: Duration = Duration::from_secs(25);

/// Returns the body in the fault for a reply with status 500, and how long that took.
fn fault_body<C: Client>(reply: Reply) -> (Vec<u8>, Duration) {
    let server = Server::start();
    server.otherwise(reply);
    let mut client = C::quick(server.url("/"));
    let began = Instant::now();
    let fault = match client.next_action() {
        Some(Ok(Action::Fault(fault)) | Err(Error::Fault(fault))) => fault,
        other => panic!("expected a fault, got {other:?}"),
    };
    let took = began.elapsed();
    assert_eq!(fault.status(), Some(500), "{fault:?}");
    (fault.response().unwrap().body.clone(), took)
}

fn an_error_with_an_unfinished_body_is_reported_after_two_seconds<C: Client>() {
    let error = || Reply::status(500);
    let dripping = (0..10_000).fold(error().chunked().send("oh no"), |reply, _| {
        reply.pause(Duration::from_millis(100)).send(".")
    });
    thread::scope(|scope| {
        for (what, reply) in [
            ("chunks", error().chunked().send("oh no").stall()),
            ("a length", error().content_length(9).send("oh no").stall()),
            ("the close", error().close_delimited().send("oh no").stall()),
            ("a drop now and then", dripping),
            (
                "half a chunk",
                Reply::raw("HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n9\r\noh no")
                    .stall(),
            ),
        ] {
            scope.spawn(move || {
                let (body, took) = fault_body::<C>(reply);
                assert!(body.starts_with(b"oh no"), "{what}: {body:?}");
                assert!(took >= BODY_TIME && took < MAX_TIME, "{what}: {took:?}");
            });
        }
        scope.spawn(move || {
            let (body, took) = fault_body::<C>(error().content_length(9).stall());
            assert!(body.is_empty() && took < MAX_TIME, "{body:?} {took:?}");
        });
    });
}

/// The framing shows that it is complete, although the connection stays open.
fn an_error_with_a_complete_body_is_reported_immediately<C: Client>() {
    for reply in [
        Reply::raw("HTTP/1.1 500 Oh\r\nContent-Length: 5\r\n\r\noh no").stall(),
        Reply::raw("HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n5\r\noh no\r\n0\r\n\r\n")
            .stall(),
        // The client keeps only 1 KiB, so it doesn't wait for more.
        Reply::raw([b"HTTP/1.1 500 Oh\r\n\r\n".as_slice(), &[b'x'; 1024]].concat()).stall(),
    ] {
        // A busy machine may take as long now and then; a client that waited would do so each time.
        let at_once = (0..10).any(|_| {
            let (body, took) = fault_body::<C>(reply.clone());
            assert!(body == b"oh no" || body == [b'x'; 1024], "{body:?}");
            took < BODY_TIME
        });
        assert!(at_once, "it waited");
    }
}
