//! Connecting, and what is known about a connection.

use everstream_testing::Reply;

use crate::run::{Run, Test};

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "connect",
        run: connects_to_the_server_of_the_page,
    },
    Test {
        name: "relative_url",
        run: a_relative_url_does_not_follow_the_page,
    },
    Test {
        name: "settings",
        run: settings_that_the_browser_refuses_fail_at_build,
    },
];

fn connects_to_the_server_of_the_page(run: &Run<'_>) {
    let reply = Reply::stream().event("hello").event("wörld");
    run.origin_replies.push(reply.stall());
    run.open();
    run.finish();
    let requests = run.origin.requests();
    let feeds: Vec<_> = requests.iter().filter(|it| it.path() == "/feed").collect();
    assert_eq!(feeds.len(), 1, "{feeds:#?}");
    let header = |name| feeds[0].header(name);
    assert_eq!(header("accept"), Some("text/event-stream"));
    assert_eq!(header("last-event-id"), None);
    // What the browser makes of `cache: "no-store"`.
    assert_eq!(header("cache-control"), Some("no-cache"));
}

/// Pages with a router change their own URL.
fn a_relative_url_does_not_follow_the_page(run: &Run<'_>) {
    let first = Reply::stream().event_with_id("1", "one");
    let first = first.wait_for(&run.gate("one")).drop_connection();
    run.origin_replies.push(first);
    let second = Reply::stream().event_with_id("2", "two");
    run.origin_replies.push(second.stall());
    run.open();
    run.finish();
    let requests = run.origin.requests();
    let feeds = requests.iter().filter(|it| it.path().ends_with("feed"));
    let paths: Vec<_> = feeds.map(|it| it.path()).collect();
    assert_eq!(paths, ["/feed", "/feed"]);
}

fn settings_that_the_browser_refuses_fail_at_build(run: &Run<'_>) {
    run.open();
    run.finish();
    assert_eq!(run.server.request_count(), 0);
}
