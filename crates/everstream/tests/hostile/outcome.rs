//! Describes what a client returns for a connection, as strings for tables.

use std::error::Error as _;

use everstream::{Action, Builder, Error, Fault};
use everstream_testing::{Reply, Server};

use crate::support::{Client, quick};

/// A description, the server's reply, and the expected outcome.
///
/// An outcome consists of `start`, `event DATA`, `comment TEXT`, `end` for a clean end, and for a fault,
/// its variant and a part of its message, such as `Read: the server reset`. Where HTTP or the connection
/// failed, the kind of failure follows the message: `[Reset]`. A fault with the prefix `final ` ends the
/// iteration; after others the client reconnects.
pub(crate) type Row<'a> = (&'a str, Reply, &'a [&'a str]);

/// The data of the event that the client gets when it reconnects.
const RECONNECTED: &str = "reconnected";

/// Checks each row with a new client.
pub(crate) fn check<C: Client>(rows: &[Row<'_>]) {
    check_with::<C>(rows, quick);
}

/// Like [`check`], with other settings.
pub(crate) fn check_with<C: Client>(rows: &[Row<'_>], settings: impl Fn(String) -> Builder + Sync) {
    // In parallel, because rows may wait for timeouts.
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let tried: Vec<_> = rows
            .iter()
            .map(|(name, reply, expected)| {
                let settings = &settings;
                scope.spawn(move || {
                    let seen = outcome::<C>(reply.clone(), settings);
                    (!matches(&seen, expected))
                        .then(|| format!("{name}:\n  expected {expected:?}\n  got      {seen:?}"))
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

/// Returns the outcome of a reply, up to the fault that ends the iteration or to the next connection.
pub(crate) fn outcome<C: Client>(
    reply: Reply,
    settings: impl Fn(String) -> Builder,
) -> Vec<String> {
    let server = Server::start();
    server.enqueue(reply);
    server.otherwise(Reply::stream().event(RECONNECTED).stall());
    let mut client = C::with(settings(server.url("/")));
    let mut seen = seen_until::<C>(&mut client, RECONNECTED);
    if seen.last().is_some_and(|last| !last.starts_with("final ")) {
        assert_eq!(seen.pop().as_deref(), Some("start"), "{seen:?}");
    }
    seen
}

/// Returns the outcome up to the event with this data, exclusive, or to a final fault.
pub(crate) fn seen_until<C: Client>(client: &mut C, last: &str) -> Vec<String> {
    let mut seen = Vec::new();
    loop {
        seen.push(match client.next_action() {
            Some(Ok(Action::Event(event))) if event.data() == last => return seen,
            Some(Ok(Action::Event(event))) => format!("event {}", event.data()),
            Some(Ok(Action::Comment(text))) => format!("comment {text}"),
            Some(Ok(Action::Start(_))) => "start".into(),
            Some(Ok(Action::End(_))) => "end".into(),
            Some(Ok(Action::Fault(fault))) => describe(&fault),
            Some(Err(Error::Fault(fault))) => {
                seen.push(format!("final {}", describe(&fault)));
                return seen;
            }
            other => panic!("{other:?} after {seen:?}"),
        });
    }
}

/// Returns the fault's variant, the messages of all levels, and the kind of failure.
fn describe(fault: &Fault) -> String {
    let debug = format!("{fault:?}");
    let variant = debug.split(['(', ' ']).next().unwrap_or_default();
    let mut description = format!("{variant}: {fault}");
    let mut source = fault.source();
    while let Some(cause) = source {
        description += &format!(": {cause}");
        source = cause.source();
    }
    if let Some(failure) = fault.failure() {
        description += &format!(" [{:?}]", failure.kind());
    }
    description
}

fn matches(seen: &[String], expected: &[&str]) -> bool {
    seen.len() == expected.len()
        && seen
            .iter()
            .zip(expected)
            .all(|(seen, expected)| match expected.split_once(": ") {
                // For a fault, compare the variant and a part of the message.
                Some((variant, words)) => seen
                    .strip_prefix(variant)
                    .is_some_and(|rest| rest.starts_with(": ") && rest.contains(words)),
                None => seen == expected,
            })
}
