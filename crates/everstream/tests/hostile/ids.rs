//! Ids of every kind: what the user gets, and what the client sends when it reconnects.

use everstream_testing::{Reply, Server};

use crate::support::{Client, for_both_clients};

for_both_clients!(
    every_id_is_kept_and_sent_if_valid_in_a_header,
    an_id_that_cannot_be_sent_replaces_an_older_one,
    an_id_of_a_megabyte_is_kept_and_sent,
);

type Row = (&'static [u8], Option<&'static str>, Option<&'static [u8]>);

/// The bytes after `id:`, the resulting last event id, and what is sent. The previous id is `0`.
const IDS: [Row; 29] = [
    (b" 1", Some("1"), Some(b"1")),
    (b"1", Some("1"), Some(b"1")),
    // One space belongs to the field; others are part of the id, and HTTP strips them at both ends.
    (b"  1", Some(" 1"), Some(b"1")),
    (b" 1 ", Some("1 "), Some(b"1")),
    (b" a b", Some("a b"), Some(b"a b")),
    (b"\t1\t", Some("\t1\t"), Some(b"1")),
    (b" a\tb", Some("a\tb"), Some(b"a\tb")),
    (b"   ", Some("  "), Some(b"")),
    // An empty id clears it.
    (b"", None, None),
    (b" ", None, None),
    // With NUL, the field is ignored (WHATWG HTML 9.2.6).
    (b" \0", Some("0"), Some(b"0")),
    (b" a\0b", Some("0"), Some(b"0")),
    (b" 1\0", Some("0"), Some(b"0")),
    // Ids that aren't valid in a header are kept but not sent.
    (b" \x01", Some("\x01"), None),
    (b" \x08", Some("\x08"), None),
    (b" \x0B", Some("\x0B"), None),
    (b" \x1F", Some("\x1F"), None),
    (b" \x7F", Some("\x7F"), None),
    (b" a\x1B[31mb", Some("a\x1B[31mb"), None),
    // Non-ASCII: the same bytes.
    (b" \xC3\xA9", Some("\u{e9}"), Some(b"\xC3\xA9")),
    (b" \xC2\x80", Some("\u{80}"), Some(b"\xC2\x80")),
    (b" \xC2\xA0", Some("\u{a0}"), Some(b"\xC2\xA0")),
    (b" \xE6\x97\xA5", Some("\u{65e5}"), Some(b"\xE6\x97\xA5")),
    (
        b" \xF0\x9F\x98\x80",
        Some("\u{1f600}"),
        Some(b"\xF0\x9F\x98\x80"),
    ),
    (b" \xE2\x80\xAE", Some("\u{202e}"), Some(b"\xE2\x80\xAE")),
    (b" \xEF\xBB\xBF1", Some("\u{feff}1"), Some(b"\xEF\xBB\xBF1")),
    // Invalid UTF-8: with the replacement character, like the user's id.
    (b" \xE9", Some("\u{fffd}"), Some(b"\xEF\xBF\xBD")),
    // Text with a meaning in HTTP or SSE.
    (b" id: 2", Some("id: 2"), Some(b"id: 2")),
    (
        b" \"1\"; x=y, z",
        Some("\"1\"; x=y, z"),
        Some(b"\"1\"; x=y, z"),
    ),
];

fn with_id(id: &[u8]) -> Vec<u8> {
    [b"id:", id, b"\ndata: a\n\n"].concat()
}

fn every_id_is_kept_and_sent_if_valid_in_a_header<C: Client>() {
    for (id, kept, sent) in IDS {
        let what = String::from_utf8_lossy(id);
        let server = Server::start();
        let stream = Reply::stream().event_with_id("0", "0").send(with_id(id));
        server.enqueue(stream.drop_connection());
        server.otherwise(Reply::stream().event("b").stall());
        let mut client = C::quick(server.url("/"));
        client.event_data();
        let event = client.next_event().unwrap().unwrap();
        assert_eq!(event.last_event_id(), kept, "{what:?}");
        assert_eq!(client.last_event_id().as_deref(), kept, "{what:?}");
        // The id survives the reconnect, whether or not it could be sent.
        assert_eq!(client.event_data(), "b", "{what:?}");
        assert_eq!(client.last_event_id().as_deref(), kept, "{what:?}");
        let requests = server.requests();
        assert_eq!(requests.len(), 2, "{what:?}");
        assert_eq!(requests[1].header_bytes("last-event-id"), sent, "{what:?}");
        assert_eq!(server.refused_requests(), 0, "{what:?}");
    }
}

/// Otherwise the server would resume from the older id and repeat events.
fn an_id_that_cannot_be_sent_replaces_an_older_one<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event_with_id("1", "a").drop_connection());
    server.enqueue(Reply::stream().event_with_id("\x01", "b").drop_connection());
    server.enqueue(Reply::stream().event_with_id("2", "c").drop_connection());
    server.otherwise(Reply::stream().event("d").stall());
    let mut client = C::quick(server.url("/"));
    for data in ["a", "b", "c", "d"] {
        assert_eq!(client.event_data(), data);
    }
    let requests = server.requests();
    let sent: Vec<_> = requests
        .iter()
        .map(|request| request.header("last-event-id"))
        .collect();
    assert_eq!(sent, [None, Some("1"), None, Some("2")]);
}

fn an_id_of_a_megabyte_is_kept_and_sent<C: Client>() {
    let id = "0123456789abcdef".repeat(1 << 16);
    let server = Server::start();
    server.enqueue(Reply::stream().event_with_id(&id, "a").drop_connection());
    server.otherwise(Reply::stream().event("b").stall());
    let mut client = C::quick(server.url("/"));
    client.event_data();
    assert!(client.last_event_id().as_deref() == Some(&*id));
    client.event_data();
    assert!(server.requests()[1].header("last-event-id") == Some(&*id));
}
