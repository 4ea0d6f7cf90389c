//! Streams that break, and what the next request sends.

use everstream_testing::{Feed, Reply};

use crate::run::{Run, Test};
use crate::script::allowed;

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "drop_in_event",
        run: a_drop_in_an_event_resumes_after_the_last_one,
    },
    Test {
        name: "non_ascii_id",
        run: a_non_ascii_id_is_sent_as_utf_8,
    },
    Test {
        name: "broken_bodies",
        run: bodies_that_break_are_faults_and_are_resumed,
    },
    Test {
        name: "burst",
        run: events_lost_in_the_browser_are_requested_again,
    },
];

fn a_drop_in_an_event_resumes_after_the_last_one(run: &Run<'_>) {
    let first = Reply::stream()
        .event_with_id("1", "one")
        .send("id: 2\ndata: tw");
    run.reply(first.wait_for(&run.gate("one")).drop_connection());
    let second = Reply::stream().event_with_id("2", "two");
    run.reply(second.event_with_id("3", "three").stall());
    run.open();
    run.finish();
    let requests = run.requests();
    let ids: Vec<_> = requests
        .iter()
        .map(|it| it.header("last-event-id"))
        .collect();
    assert_eq!(ids, [None, Some("1")]);
    // Only the second request needs a preflight request.
    let preflights = run.preflights();
    assert_eq!(preflights.len(), 1, "{preflights:#?}");
    let announced = preflights[0].header("access-control-request-headers");
    assert_eq!(announced, Some("last-event-id"));
    assert_eq!(preflights[0].number, 2);
}

fn a_non_ascii_id_is_sent_as_utf_8(run: &Run<'_>) {
    let id = "ключ-ü-€";
    let first = Reply::stream().event_with_id(id, "one");
    run.reply(first.wait_for(&run.gate("one")).drop_connection());
    run.reply(Reply::stream().event("two").stall());
    run.open();
    run.finish();
    let requests = run.requests();
    assert_eq!(requests.len(), 2);
    let sent = requests[1].header_bytes("last-event-id");
    assert_eq!(sent, Some(id.as_bytes()));
}

fn bodies_that_break_are_faults_and_are_resumed(run: &Run<'_>) {
    let event = |id: &str, data: &str| Reply::stream().event_with_id(id, data);
    let in_a_chunked_body = event("1", "one").wait_for(&run.gate("one"));
    run.reply(in_a_chunked_body.drop_connection());
    let before_the_announced_length = event("2", "two").content_length(1000);
    run.reply(before_the_announced_length.wait_for(&run.gate("two")));
    let by_a_reset = event("3", "three").wait_for(&run.gate("three"));
    run.reply(by_a_reset.reset());
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                Access-Control-Allow-Origin: *\r\nTransfer-Encoding: chunked\r\n\r\n";
    let event_in_chunk = "12\r\nid: 4\ndata: four\n\n\r\n";
    let by_an_invalid_chunk = Reply::raw(format!("{head}{event_in_chunk}"));
    let by_an_invalid_chunk = by_an_invalid_chunk.wait_for(&run.gate("four"));
    run.replies.push(by_an_invalid_chunk.send("zz\r\n").stall());
    run.reply(event("5", "five").stall());
    run.open();
    run.finish();
    let requests = run.requests();
    let ids: Vec<_> = requests
        .iter()
        .map(|it| it.header("last-event-id"))
        .collect();
    assert_eq!(ids, [None, Some("1"), Some("2"), Some("3"), Some("4")]);
}

/// When a connection breaks, the browser drops what it hasn't delivered yet.
fn events_lost_in_the_browser_are_requested_again(run: &Run<'_>) {
    let feed = Feed::new();
    for number in 0..500 {
        feed.push(number.to_string());
    }
    run.reply(Reply::stream().resume(feed.take(200).and_half()).reset());
    run.reply(Reply::stream().resume(feed.take(200).and_half()).reset());
    let rest = allowed(Reply::stream().resume(&feed).stall());
    run.replies.otherwise(move |_| rest.clone());
    run.open();
    run.finish();
    assert!(run.requests().len() >= 3, "{:#?}", run.requests());
}
