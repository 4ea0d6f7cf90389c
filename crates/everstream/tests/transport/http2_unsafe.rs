//! HTTP/2: requests that aren't safe are sent once, and their streams are resumed by GET.

use std::thread;
use std::time::Duration;

use everstream::{Action, Builder, Http, HttpVersion, SseClient, error_strategy};
use h2::Reason;

use super::client::{Client, both};
use super::h2_server::{H2Server, Stream};

fn call(server: &H2Server) -> Builder {
    let http = Http::new(server.url("/mcp"))
        .version(HttpVersion::Http2)
        .method("POST")
        .header("accept", "application/json, text/event-stream")
        .header("content-type", "application/json")
        .body("{}");
    SseClient::builder(http)
        .initial_retry_delay(Duration::ZERO)
        .error_strategy(error_strategy::always_continue())
}

/// Answers the call with an event with an id. Ends the stream only once the client has the event, because
/// a reset would overtake it.
fn first(client: &mut Client, server: &H2Server, end: impl FnOnce(Stream)) {
    let stream = thread::scope(|scope| {
        let stream = scope.spawn(|| {
            let exchange = server.next();
            assert_eq!(exchange.request.method(), "POST");
            let mut stream = exchange.stream();
            stream.send("id: 1\ndata: a\n\n");
            stream
        });
        assert_eq!(client.event().data(), "a");
        stream.join().unwrap()
    });
    end(stream);
}

#[test]
fn a_complete_response_with_an_id_is_not_repeated() {
    let server = H2Server::cleartext();
    both(|kind| {
        let mut client = kind.build(call(&server));
        first(&mut client, &server, Stream::end);
        match client.next() {
            Some(Ok(Action::End(end))) => assert!(end.not_repeated),
            other => panic!("{other:?}"),
        }
        assert!(client.next().is_none());
        assert_eq!(server.drain(), 0);
    });
}

#[test]
fn a_call_is_resumed_by_get_and_sent_once() {
    let server = H2Server::cleartext();
    let ends: [fn(Stream); 2] = [Stream::end, |stream| stream.reset(Reason::INTERNAL_ERROR)];
    both(|kind| {
        for end in ends {
            let builder = call(&server).resume_with_get(true).until("bye");
            let mut client = kind.build(builder);
            first(&mut client, &server, end);
            thread::scope(|scope| {
                scope.spawn(|| {
                    let exchange = server.next();
                    assert_eq!(exchange.request.method(), "GET");
                    assert_eq!(exchange.header("last-event-id"), Some("1"));
                    assert_eq!(exchange.header("accept"), Some("text/event-stream"));
                    assert_eq!(exchange.header("content-type"), None);
                    assert_eq!(exchange.header("content-length"), None);
                    let mut stream = exchange.stream();
                    stream.send("data: b\n\ndata: bye\n\n");
                    stream.end();
                });
                _ = client.fault();
                assert_eq!(client.event().data(), "b");
            });
            assert!(client.next().is_none());
            assert_eq!(server.drain(), 0);
        }
    });
}

/// A refused stream means that the server didn't process the GET, not that it can't resume.
#[test]
fn a_get_with_a_refused_stream_is_repeated_and_405_is_final() {
    let server = H2Server::cleartext();
    both(|kind| {
        let mut client = kind.build(call(&server).resume_with_get(true));
        first(&mut client, &server, Stream::end);
        assert!(client.fault().is_none());
        thread::scope(|scope| {
            scope.spawn(|| server.next().reset(Reason::REFUSED_STREAM));
            assert!(client.fault().is_some_and(|fault| fault.is_connect()));
        });
        thread::scope(|scope| {
            scope.spawn(|| {
                let exchange = server.next();
                assert_eq!(exchange.request.method(), "GET");
                exchange.respond(405).end();
            });
            assert_eq!(client.any_fault().status(), Some(405));
        });
        assert!(client.next().is_none());
        assert_eq!(server.drain(), 0);
    });
}
