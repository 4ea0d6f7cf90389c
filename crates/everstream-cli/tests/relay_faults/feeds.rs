//! What feeds do, and what engines can't store.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use everstream_testing::{Feed, Reply, Request, Server};

use super::{
    Engine, Random, Stored, active, assert_stored, messages, push, pushed, relay, serve,
    wait_for_count,
};
use crate::common::wait_for;

pub(super) fn an_event_is_too_large(engine: &mut Engine, _random: &mut Random) {
    let size = engine.limit().map_or(8 << 20, |limit| limit + 1000);
    stored_or_rejected(engine, &"x".repeat(size), engine.limit().is_none());
}

pub(super) fn data_contains_nul(engine: &mut Engine, _random: &mut Random) {
    stored_or_rejected(engine, "a\0b", engine.stores_nul());
}

fn stored_or_rejected(engine: &Engine, data: &str, is_stored: bool) {
    let feed = Feed::new();
    let server = serve(&feed);
    push(&feed, 3);
    feed.push(data);
    push(&feed, 3);
    let mut expected = pushed(1..=7);
    if is_stored {
        let _relay = relay(&server, engine, &[]);
        data.clone_into(&mut expected[3].2);
        return assert_stored(engine, &expected);
    }
    let (code, said) = relay(&server, engine, &[]).end();
    assert_eq!(code, 1, "{said}");
    for part in [
        "the log can't store the event with id 4",
        "hint: --dead-letter",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert_stored(engine, &expected[..3]);
    let _relay = relay(&server, engine, &["--dead-letter"]);
    wait_for_count(engine, 7);
    let placeholder = engine.records().swap_remove(3).2;
    assert!(placeholder.starts_with("not stored: "), "{placeholder}");
    expected[3].1 = "everstream-dead-letter".to_owned();
    expected[3].2 = placeholder;
    assert_stored(engine, &expected);
}

/// Each connection gets two events, so that many of the ids are resumed after.
pub(super) fn types_and_ids_are_odd(engine: &mut Engine, _random: &mut Random) {
    let long = "x".repeat(4000);
    let odd = [
        "a b",
        "100%",
        "%41%00",
        "☃ é",
        "\"quoted\"",
        "'; DROP TABLE log; --",
        "{\"a\": [1]}",
        "-1",
        "0",
        "a\tb",
        "a: b",
        "\\u0000\\n",
        &long,
    ];
    let mut events: Vec<Stored> = Vec::new();
    for (index, text) in odd.iter().enumerate() {
        let data = ["", "{}", text][index % 3].to_owned();
        events.push((Some((*text).to_owned()), format!("  {text} "), data.clone()));
        events.push((Some(format!("{text}2")), format!("\u{1}{text}"), data));
    }
    let sent = events.clone();
    let server = Server::with_handler(move |request| {
        let after = match request.header_bytes("last-event-id") {
            None => 0,
            Some(id) => {
                let known = |it: &Stored| it.0.as_ref().unwrap().as_bytes() == id;
                match sent.iter().position(known) {
                    Some(index) => index + 1,
                    None => return Reply::status(400),
                }
            }
        };
        portion(&sent[after..], 3)
    });
    let _relay = relay(&server, engine, &[]);
    assert_stored(engine, &events);
}

/// Some of these events; the connection is dropped if there are more.
fn portion(events: &[Stored], limit: usize) -> Reply {
    let mut body = String::new();
    for (id, event, data) in events.iter().take(limit) {
        if let Some(id) = id {
            writeln!(body, "id: {id}").unwrap();
        }
        write!(body, "event: {event}\ndata: {data}\n\n").unwrap();
    }
    let reply = Reply::stream().send(body);
    match events.len() > limit {
        true => reply.drop_connection(),
        false => reply.stall(),
    }
}

fn resumed_after(request: &Request) -> usize {
    let id = request.header("last-event-id");
    id.map_or(0, |id| id.parse().unwrap())
}

/// More than it should, each time.
pub(super) fn the_feed_replays_20_events(engine: &mut Engine, random: &mut Random) {
    const EVENTS: usize = 400;
    let sent = pushed(1..=EVENTS);
    let server = Server::with_handler(move |request| {
        let after = resumed_after(request).saturating_sub(20);
        portion(&sent[after..], 50)
    });
    let first = relay(&server, engine, &[]);
    wait_for_count(engine, 30 + random.below(200));
    drop(first);
    let second = relay(&server, engine, &[]);
    // The first one may have stored all.
    wait_for_count(engine, EVENTS);
    wait_for("replay", || (server.request_count() > 8).then_some(()));
    assert_stored(engine, &pushed(1..=EVENTS));
    second.signal("TERM");
    let last = second.out.all();
    let status = last.iter().rfind(|it| it.contains("skipped_replays"));
    let status = status.unwrap();
    assert!(!status.contains("\"skipped_replays\":0,"), "{status}");
}

/// Nobody can store what the feed has dropped. The relay stores what comes next, and reports the gap if it
/// knows of one.
pub(super) fn the_feed_no_longer_knows_the_id(engine: &mut Engine, _random: &mut Random) {
    let feed = Feed::new();
    let server = serve(&feed);
    push(&feed, 50);
    let first = relay(&server, engine, &[]);
    wait_for_count(engine, 50);
    drop(first);

    server.otherwise(Reply::status(410));
    let (code, said) = relay(&server, engine, &[]).end();
    assert_eq!(code, 6, "{said}");
    let hint = "the log ends with id 50: the feed may no longer know it";
    assert!(said.contains(hint), "{said}");

    let connections = AtomicUsize::new(0);
    server.otherwise_with(move |request| {
        assert_eq!(resumed_after(request), 50);
        match connections.fetch_add(1, Ordering::SeqCst) {
            0 => portion(&pushed(51..=55), 5),
            _ => portion(&pushed(101..=110), 10),
        }
    });
    let relay = relay(&server, engine, &[]);
    assert_stored(engine, &pushed((1..=50).chain(101..=110)));
    let gap = "the log has a gap after id 50: the feed used to continue with id 51 and now continues with id 101";
    // It was written before, but may not have been read.
    wait_for("gap", || (messages(&relay, gap) > 0).then_some(()));
    assert_eq!(messages(&relay, gap), 1);
}

/// A second connection without an id begins later.
pub(super) fn the_feed_begins_now(engine: &mut Engine, _random: &mut Random) {
    let connections = Arc::new(AtomicUsize::new(0));
    let server = Server::start();
    let counted = connections.clone();
    server.otherwise_with(move |request| match request.header("last-event-id") {
        Some(_) => portion(&pushed(resumed_after(request) + 1..=175), 175),
        None => match counted.fetch_add(1, Ordering::SeqCst) {
            0 => portion(&pushed(171..=173), 175),
            _ => portion(&pushed(174..=175), 175),
        },
    });
    let relay = relay(&server, engine, &[]);
    wait_for_count(engine, 2);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    server.drop_connections();
    assert_stored(engine, &pushed(171..=175));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    let empty = "the log is empty: starting it";
    wait_for(empty, || (messages(&relay, empty) > 0).then_some(()));
    assert_eq!(messages(&relay, empty), 1);
    assert_eq!(messages(&relay, "are missing"), 0);
}

pub(super) fn a_feed_without_ids(engine: &mut Engine, _random: &mut Random) {
    let mut events = pushed(1..=3);
    events.iter_mut().for_each(|it| it.0 = None);
    let server = Server::start();
    server.otherwise(portion(&events, 3));
    let (code, said) = relay(&server, engine, &[]).end();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("hint: --no-ids"), "{said}");
    assert_eq!(engine.count(), 0);

    let first = relay(&server, engine, &["--no-ids"]);
    assert_stored(engine, &events);
    let relays = [relay(&server, engine, &["--no-ids"])];
    active(&relays);
    let (code, said) = first.end();
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("another writer appended to the log"),
        "{said}"
    );
    assert_stored(engine, &[&events[..], &events[..]].concat());
}
