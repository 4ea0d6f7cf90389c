//! `Last-Event-ID`: which ids are kept, and which are sent.

use everstream::{Error, Http, SseClient};
use everstream_testing::{Reply, Server};

use crate::support::{Client, for_both_clients, quick};

for_both_clients!(
    the_id_is_sent_on_every_reconnect,
    no_header_before_an_id_is_known,
    an_id_without_data_counts,
    an_empty_id_clears_and_no_header_is_sent,
    an_id_with_nul_is_ignored,
    an_id_is_sent_as_the_received_bytes,
    an_id_that_cannot_be_sent_is_kept_and_the_header_omitted,
    a_preset_id_is_sent_initially,
    a_preset_id_cannot_inject_a_header,
    a_received_id_replaces_the_users_header,
    an_event_has_its_own_id_and_the_last_one,
    the_handle_returns_the_id_of_the_last_delivered_event,
    no_event_is_lost_or_repeated_over_many_cuts,
);

/// Returns the `Last-Event-ID` of each request.
fn ids(server: &Server) -> Vec<Option<String>> {
    let requests = server.requests();
    let id = |request: &everstream_testing::Request| {
        assert!(request.header_values("last-event-id").count() <= 1);
        request.header("last-event-id").map(String::from)
    };
    requests.iter().map(id).collect()
}

fn some(id: &str) -> Option<String> {
    Some(id.into())
}

fn the_id_is_sent_on_every_reconnect<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event_with_id("1", "a").drop_connection());
    server.enqueue(Reply::stream().event("without an id").drop_connection());
    server.enqueue(Reply::stream().end());
    server.enqueue(Reply::on_accept().drop_connection());
    server.enqueue(Reply::stream().event_with_id("2", "b").end());
    server.enqueue(Reply::stream().event("c").stall());
    let mut client = C::quick(server.url("/"));

    for data in ["a", "without an id", "b", "c"] {
        assert_eq!(client.event_data(), data);
    }
    let expected = [None, some("1"), some("1"), some("1"), some("2")];
    assert_eq!(ids(&server), expected);
    assert_eq!(client.last_event_id(), some("2"));
}

fn no_header_before_an_id_is_known<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event("a").drop_connection());
    server.enqueue(Reply::stream().event("b").stall());
    let mut client = C::with(quick(server.url("/")).last_event_id(""));

    client.event_data();
    client.event_data();
    assert_eq!(ids(&server), [None, None]);
    assert_eq!(client.last_event_id(), None);
}

fn an_id_without_data_counts<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().send("id: 7\n\n").drop_connection());
    server.enqueue(Reply::stream().event("a").stall());
    let mut client = C::quick(server.url("/"));

    let event = client.next_event().unwrap().unwrap();
    assert_eq!((event.id(), event.last_event_id()), (None, Some("7")));
    assert_eq!(ids(&server), [None, some("7")]);
}

fn an_empty_id_clears_and_no_header_is_sent<C: Client>() {
    for cleared in ["id\ndata: b\n\n", "id:\ndata: b\n\n", "id: \ndata: b\n\n"] {
        let server = Server::start();
        server.enqueue(Reply::stream().event_with_id("1", "a").send(cleared).end());
        server.enqueue(Reply::stream().event("c").stall());
        let mut client = C::quick(server.url("/"));

        client.event_data();
        assert_eq!(client.last_event_id(), some("1"));
        client.event_data();
        assert_eq!(client.last_event_id(), None);
        assert_eq!(client.handle().last_event_id(), None);
        client.event_data();
        assert_eq!(ids(&server), [None, None], "{cleared:?}");
    }
}

fn an_id_with_nul_is_ignored<C: Client>() {
    let server = Server::start();
    let nul = "id: 2\0\ndata: b\n\n";
    server.enqueue(Reply::stream().event_with_id("1", "a").send(nul).end());
    server.enqueue(Reply::stream().event("c").stall());
    let mut client = C::quick(server.url("/"));

    for data in ["a", "b", "c"] {
        assert_eq!(client.event_data(), data);
    }
    assert_eq!(ids(&server), [None, some("1")]);
}

fn an_id_is_sent_as_the_received_bytes<C: Client>() {
    for id in ["é☃", "日本語", "a\tb", "\"1\"; x=y", "~!@#$%"] {
        let server = Server::start();
        server.enqueue(Reply::stream().event_with_id(id, "a").drop_connection());
        server.enqueue(Reply::stream().event("b").stall());
        let mut client = C::quick(server.url("/"));

        client.event_data();
        client.event_data();
        let request = &server.requests()[1];
        assert_eq!(request.header_bytes("last-event-id"), Some(id.as_bytes()));
    }
}

fn an_id_that_cannot_be_sent_is_kept_and_the_header_omitted<C: Client>() {
    for id in ["\x01", "a\x7f", "\x1b[31m", "x\x0by"] {
        let server = Server::start();
        server.enqueue(Reply::stream().event_with_id(id, "a").drop_connection());
        server.enqueue(Reply::stream().event("b").drop_connection());
        server.enqueue(Reply::stream().event_with_id("2", "c").drop_connection());
        server.enqueue(Reply::stream().event("d").stall());
        let mut client = C::quick(server.url("/"));

        client.event_data();
        client.event_data();
        assert_eq!(client.last_event_id(), some(id));
        assert_eq!(client.handle().last_event_id(), some(id));
        client.event_data();
        client.event_data();
        assert_eq!(ids(&server), [None, None, None, some("2")]);
    }
}

fn a_preset_id_is_sent_initially<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event("a").drop_connection());
    server.enqueue(Reply::stream().event_with_id("42", "b").drop_connection());
    server.enqueue(Reply::stream().event("c").stall());
    let mut client = C::with(quick(server.url("/")).last_event_id("41"));

    assert_eq!(client.last_event_id(), some("41"));
    for _ in 0..3 {
        client.event_data();
    }
    assert_eq!(ids(&server), [some("41"), some("41"), some("42")]);
}

fn a_preset_id_cannot_inject_a_header<C: Client>() {
    for evil in ["1\r\nX-Evil: 1", "1\n", "1\r", "1\0"] {
        match C::build(SseClient::builder("http://127.0.0.1/").last_event_id(evil)).err() {
            Some(Error::Config { setting, .. }) => assert_eq!(setting, "last_event_id"),
            other => panic!("{evil:?}: {other:?}"),
        }
    }
}

fn a_received_id_replaces_the_users_header<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event_with_id("2", "a").drop_connection());
    server.enqueue(Reply::stream().event("b").stall());
    let mut client = C::quick(Http::new(server.url("/")).header("Last-Event-ID", "1"));

    client.event_data();
    client.event_data();
    assert_eq!(ids(&server), [some("1"), some("2")]);
}

fn an_event_has_its_own_id_and_the_last_one<C: Client>() {
    let server = Server::start();
    server.otherwise(Reply::stream().event_with_id("1", "a").event("b").stall());
    let mut client = C::quick(server.url("/"));

    let a = client.next_event().unwrap().unwrap();
    assert_eq!((a.id(), a.last_event_id()), (Some("1"), Some("1")));
    let b = client.next_event().unwrap().unwrap();
    assert_eq!((b.id(), b.last_event_id()), (None, Some("1")));
}

fn the_handle_returns_the_id_of_the_last_delivered_event<C: Client>() {
    let server = Server::start();
    // In one chunk, so that the second event has been received but not delivered.
    let both = "id: 1\ndata: a\n\nid: 2\ndata: b\n\n";
    server.otherwise(Reply::stream().send(both).stall());
    let mut client = C::quick(server.url("/"));
    let handle = client.handle();

    assert_eq!(handle.last_event_id(), None);
    client.event_data();
    assert_eq!(handle.last_event_id(), some("1"));
    assert_eq!(client.last_event_id(), some("1"));
    client.event_data();
    assert_eq!(handle.last_event_id(), some("2"));
    drop(client);
    assert_eq!(handle.last_event_id(), some("2"));
}

fn no_event_is_lost_or_repeated_over_many_cuts<C: Client>() {
    let server = Server::start();
    let feed = everstream_testing::Feed::new();
    for number in 1..=60 {
        feed.push(number.to_string());
    }
    for taken in [1, 0, 3, 7, 2] {
        server.enqueue(
            Reply::stream()
                .resume(feed.take(taken).and_half())
                .drop_connection(),
        );
        server.enqueue(Reply::stream().resume(feed.take(taken)).end());
        server.enqueue(Reply::on_accept().reset());
    }
    server.otherwise(Reply::stream().resume(&feed));
    let mut client = C::quick(server.url("/"));

    for number in 1..=60 {
        assert_eq!(client.event_data(), number.to_string());
    }
}
