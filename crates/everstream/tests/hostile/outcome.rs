//! What a client makes of a connection, in words that a table can hold.

use std::error::Error as _;

use everstream::{Action, Builder, Error, Fault};
use everstream_testing::{Reply, Server};

use crate::support::{Client, quick};

/// Something that a server does, its reply, and what is seen of it.
///
/// What is seen is `start`, `event DATA`, `comment TEXT`, `end` for an orderly end, and the variant of
/// a fault with words of its message, such as `Read: the server reset`. Where HTTP or the connection
/// failed, the kind follows the message: `[Reset]`. With `final ` before it the fault ends the
/// iteration; without, the client comes back.
pub(crate) type Row<'a> = (&'a str, Reply, &'a [&'a str]);

/// The good answer that a client which comes back gets.
const AGAIN: &str = "it came back";

/// Tries each row with a client of its own.
pub(crate) fn check<C: Client>(rows: &[Row<'_>]) {
    check_with::<C>(rows, quick);
}

/// As [`check`], with other settings.
pub(crate) fn check_with<C: Client>(rows: &[Row<'_>], settings: impl Fn(String) -> Builder + Sync) {
    // Each waits for itself.
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let tried: Vec<_> = rows
            .iter()
            .map(|(name, reply, expected)| {
                let settings = &settings;
                scope.spawn(move || {
                    let seen = outcome::<C>(reply.clone(), settings);
                    (!matches(&seen, expected))
                        .then(|| format!("{name}:\n  expected {expected:?}\n  and saw  {seen:?}"))
                })
            })
            .collect();
        tried
            .into_iter()
            .filter_map(|row| row.join().unwrap())
            .collect()
    });
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// What is seen of a reply, up to the fault that ends the iteration or to the next connection.
pub(crate) fn outcome<C: Client>(
    reply: Reply,
    settings: impl Fn(String) -> Builder,
) -> Vec<String> {
    let server = Server::start();
    server.enqueue(reply);
    server.otherwise(Reply::stream().event(AGAIN).stall());
    let mut client = C::with(settings(server.url("/")));
    let mut seen = seen_until::<C>(&mut client, AGAIN);
    if seen.last().is_some_and(|last| !last.starts_with("final ")) {
        assert_eq!(seen.pop().as_deref(), Some("start"), "{seen:?}");
    }
    seen
}

/// What is seen up to the event with this data, which isn't told, or to a fault that is final.
pub(crate) fn seen_until<C: Client>(client: &mut C, last: &str) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        seen.push(match client.next_action() {
            Some(Ok(Action::Event(event))) if event.data() == last => return seen,
            Some(Ok(Action::Event(event))) => format!("event {}", event.data()),
            Some(Ok(Action::Comment(text))) => format!("comment {text}"),
            Some(Ok(Action::Start(_))) => "start".into(),
            Some(Ok(Action::End(_))) => "end".into(),
            Some(Ok(Action::Fault(fault))) => told(&fault),
            Some(Err(Error::Fault(fault))) => {
                seen.push(format!("final {}", told(&fault)));
                return seen;
            }
            other => panic!("{other:?} after {seen:?}"),
        });
    }
}

/// The variant, the messages of all levels, and the kind of failure that the last one is.
fn told(fault: &Fault) -> String {
    let debug = format!("{fault:?}");
    let variant = debug.split(['(', ' ']).next().unwrap_or_default();
    let mut told = format!("{variant}: {fault}");
    let mut source = fault.source();
    while let Some(cause) = source {
        told += &format!(": {cause}");
        source = cause.source();
    }
    if let Some(failure) = fault.failure() {
        told += &format!(" [{:?}]", failure.kind());
    }
    told
}

fn matches(seen: &[String], expected: &[&str]) -> bool {
    seen.len() == expected.len()
        && seen
            .iter()
            .zip(expected)
            .all(|(seen, expected)| match expected.split_once(": ") {
                // Of a fault the variant and some words.
                Some((variant, words)) => seen
                    .strip_prefix(variant)
                    .is_some_and(|rest| rest.starts_with(": ") && rest.contains(words)),
                None => seen == expected,
            })
}
