//! What depends on the state of the browser.

use std::collections::HashSet;

use everstream_testing::Reply;

use crate::run::{Run, Test};

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "hidden",
        run: a_hidden_page_receives_and_reconnects,
    },
    Test {
        name: "jitter",
        run: browsers_reconnect_at_different_times,
    },
];

fn a_hidden_page_receives_and_reconnects(run: &Run<'_>) {
    let first = Reply::stream()
        .event_with_id("1", "one")
        .wait_for(&run.gate("throttled"))
        .event_with_id("2", "two")
        .wait_for(&run.gate("two"));
    run.reply(first.drop_connection());
    let second = Reply::stream().event_with_id("3", "three");
    // Then silence: the guest has a read timeout.
    run.reply(second.stall());
    run.reply(Reply::stream().event_with_id("4", "four").stall());
    run.open();
    run.wait("one");
    assert!(!run.gate("hidden").is_open());
    run.minimize();
    run.wait("hidden");
    run.gate("measure").open();
    run.finish();
    let requests = run.requests();
    let ids: Vec<_> = requests
        .iter()
        .map(|it| it.header("last-event-id"))
        .collect();
    assert_eq!(ids, [None, Some("2"), Some("3")]);
}

/// Each starts with a fresh profile and in new processes.
fn browsers_reconnect_at_different_times(run: &Run<'_>) {
    run.server.stop();
    run.open_in(0);
    run.open_in(1);
    let reports = [run.finish(), run.finish()];
    let delays: Vec<_> = reports.iter().flat_map(|it| it.split(' ')).collect();
    // Two clients in each browser.
    assert_eq!(delays.len(), 4, "{reports:?}");
    let different: HashSet<_> = delays.iter().collect();
    assert_eq!(different.len(), 4, "{reports:?}");
}
