//! A clean end reports what was discarded or ignored. The last event can be delivered without its blank
//! line if the framing proves that the response is complete.

use everstream::{Action, End};
use everstream_testing::{Reply, Server};

use crate::support::{Client, for_both_clients, quick};

for_both_clients!(
    an_end_reports_the_size_of_the_unfinished_event,
    an_end_reports_the_text_of_a_response_without_events,
    a_fault_discards_without_a_warning,
    the_last_event_is_delivered_at_a_proven_end,
    the_last_event_is_discarded_at_an_unproven_end,
    the_sentinel_is_found_without_its_blank_line,
);

const UNFINISHED: &str = "id: 7\ndata: [DONE]";

/// Returns the data of a response's events, and its end.
fn read<C: Client>(reply: Reply, dispatch: bool) -> (Vec<String>, End) {
    let server = Server::start();
    server.enqueue(reply);
    let mut client = C::build(quick(server.url("/")).dispatch_unfinished(dispatch)).unwrap();
    let mut events = Vec::new();
    loop {
        match client.next_action().unwrap().unwrap() {
            Action::Event(event) => events.push(event.data().to_owned()),
            Action::End(end) => return (events, *end),
            _ => {}
        }
    }
}

/// Responses framed by chunks, by a length, and by nothing.
fn framings(body: &str) -> [Reply; 3] {
    [
        Reply::stream().chunked(),
        Reply::stream().content_length(body.len() as u64),
        Reply::stream().close_delimited(),
    ]
    .map(|reply| reply.send(body))
}

fn an_end_reports_the_size_of_the_unfinished_event<C: Client>() {
    for reply in framings(UNFINISHED) {
        let (events, end) = read::<C>(reply, false);
        assert_eq!((&*events, end.discarded_bytes), (&[][..], 18));
        assert_eq!(end.ignored_text, None);
    }
    let (_, end) = read::<C>(Reply::stream().event("a").comment("b"), false);
    assert_eq!(end, End::default());
}

fn an_end_reports_the_text_of_a_response_without_events<C: Client>() {
    let error = "error: {\"code\": 503}\n";
    for reply in framings(error) {
        let (events, end) = read::<C>(reply, false);
        assert_eq!((&*events, end.discarded_bytes), (&[][..], 0));
        assert_eq!(end.ignored_text.as_deref(), Some(error.trim_end()));
    }
}

fn a_fault_discards_without_a_warning<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().send(UNFINISHED).drop_connection());
    let mut client = C::build(quick(server.url("/")).dispatch_unfinished(true)).unwrap();
    client.expect_start();
    client.expect_fault();
}

fn the_last_event_is_delivered_at_a_proven_end<C: Client>() {
    let [chunked, length, _] = framings(UNFINISHED);
    for reply in [chunked, length] {
        let (events, end) = read::<C>(reply, true);
        assert_eq!(events, ["[DONE]"]);
        assert_eq!(end, End::default());
    }
}

fn the_last_event_is_discarded_at_an_unproven_end<C: Client>() {
    let [_, _, close_delimited] = framings(UNFINISHED);
    let (events, end) = read::<C>(close_delimited, true);
    assert_eq!((&*events, end.discarded_bytes), (&[][..], 18));
}

fn the_sentinel_is_found_without_its_blank_line<C: Client>() {
    let server = Server::start();
    server.enqueue(Reply::stream().event("a").send(UNFINISHED));
    let builder = quick(server.url("/")).dispatch_unfinished(true);
    let mut client = C::build(builder.until("[DONE]")).unwrap();
    assert_eq!(client.event_data(), "a");
    assert!(client.next_event().is_none());
    assert_eq!(client.handle().last_event_id().as_deref(), Some("7"));
}
