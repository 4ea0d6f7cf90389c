//! Responses that are cut at every byte: in the head, in the framing, within a character, within an event.

use everstream_testing::{Reply, Server};

use crate::support::{Client, for_both_clients};

for_both_clients!(
    no_event_is_lost_wherever_a_chunked_response_is_cut,
    no_event_is_lost_wherever_a_response_with_a_length_is_cut,
    no_event_is_lost_wherever_a_response_without_a_length_is_cut,
    no_event_is_lost_wherever_a_response_is_reset,
);

/// Ids and data: characters of all lengths, several lines, and empty data.
const EVENTS: [(&str, &str); 4] = [("1", "a"), ("2", "é€😀"), ("3", "two\nlines"), ("4", "")];

/// Returns the events after this id, with comments and `retry:`. After the last event it starts over,
/// because one client is used for all cuts.
fn wire_after(last_event_id: Option<&str>) -> String {
    let next = last_event_id.map_or(0, |id| id.parse().unwrap()) % EVENTS.len();
    let mut wire = String::new();
    for (id, data) in &EVENTS[next..] {
        wire += &format!(": {id}\nretry: 1\nid: {id}\n");
        for line in data.split('\n') {
            wire += &format!("data: {line}\r\n");
        }
        wire += "\r\n";
    }
    wire
}

fn cut_at_every_byte<C: Client>(whole: &Reply, cut: fn(Reply, usize) -> Reply) {
    // A client that reconnects gets the remaining events.
    let server = Server::with_handler(|request| {
        let rest = wire_after(request.header("last-event-id"));
        Reply::stream().send(rest).end()
    });
    let length = whole.wire_bytes().len();
    assert!(length > 200, "{length}");
    let mut client = C::quick(server.url("/"));
    for at in 0..length {
        // The rest of the previous connection has no events.
        server.enqueue(cut(whole.clone(), at));
        for (id, data) in EVENTS {
            let event = client.next_event().unwrap().unwrap();
            let seen = (event.id(), event.data());
            assert_eq!(seen, (Some(id), data), "cut after {at} bytes");
        }
        assert_eq!(server.queued_replies(), 0, "cut after {at} bytes");
    }
}

fn no_event_is_lost_wherever_a_chunked_response_is_cut<C: Client>() {
    let whole = Reply::stream().send(wire_after(None)).end();
    cut_at_every_byte::<C>(&whole, Reply::cut_after);
}

fn no_event_is_lost_wherever_a_response_with_a_length_is_cut<C: Client>() {
    let wire = wire_after(None);
    let whole = Reply::stream().content_length(wire.len() as u64).send(wire);
    cut_at_every_byte::<C>(&whole, Reply::cut_after);
}

/// A cut can't be distinguished from a clean end.
fn no_event_is_lost_wherever_a_response_without_a_length_is_cut<C: Client>() {
    let whole = Reply::stream().close_delimited().send(wire_after(None));
    cut_at_every_byte::<C>(&whole, Reply::cut_after);
}

/// At a reset, the system may discard received data that wasn't read.
fn no_event_is_lost_wherever_a_response_is_reset<C: Client>() {
    let whole = Reply::stream().send(wire_after(None)).end();
    cut_at_every_byte::<C>(&whole, Reply::reset_after);
}
