//! The read timeout.

use std::time::Duration;

use everstream_testing::Reply;

use crate::run::{Run, Test};

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "timeout_between_events",
        run: events_restart_the_read_timeout,
    },
    Test {
        name: "timeout_before_head",
        run: the_read_timeout_limits_the_wait_for_the_head,
    },
    Test {
        name: "timeout_after_head",
        run: the_read_timeout_limits_the_wait_for_an_event,
    },
    Test {
        name: "endless_retries",
        run: endless_retries_do_not_freeze_the_page,
    },
];

/// Each event replaces the timer. If that woke the task, it would poll in an endless loop of microtasks,
/// and no event would ever be delivered.
fn events_restart_the_read_timeout(run: &Run<'_>) {
    let mut reply = Reply::stream();
    for number in 1..=8 {
        reply = reply
            .event(number.to_string())
            .pause(Duration::from_millis(400));
    }
    run.reply(reply.stall());
    run.open();
    run.finish();
    assert_eq!(run.requests().len(), 1);
}

fn the_read_timeout_limits_the_wait_for_the_head(run: &Run<'_>) {
    run.replies.push(Reply::raw("").stall());
    expect_a_second_connection(run);
}

fn the_read_timeout_limits_the_wait_for_an_event(run: &Run<'_>) {
    run.reply(Reply::stream().stall());
    expect_a_second_connection(run);
}

fn expect_a_second_connection(run: &Run<'_>) {
    run.reply(Reply::stream().event("hello").stall());
    run.open();
    run.wait("hello");
    assert_eq!(run.requests().len(), 2);
    // The request that timed out was aborted.
    run.wait_for_open_connections(1);
    run.gate("checked").open();
    run.finish();
}

/// A timeout of the page ends them.
fn endless_retries_do_not_freeze_the_page(run: &Run<'_>) {
    run.open();
    run.finish();
    assert_eq!(run.requests().len(), 0);
}
