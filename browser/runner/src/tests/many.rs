//! Several clients in one program.

use everstream_testing::Reply;

use crate::run::{Run, Test};
use crate::script::allowed;

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "several",
        run: clients_are_independent,
    },
    Test {
        name: "seventh",
        run: the_seventh_stream_waits_for_a_connection,
    },
];

/// A client follows the path `/a` and signals its events as `a-hello`. Each stream sends an event, waits
/// for `more` to send another one, and breaks at `break-a`. The resumed stream sends `again`.
fn serve(run: &Run<'_>) {
    let (more, names) = (run.gate("more"), "abcdefg");
    let breaks: Vec<_> = names
        .chars()
        .map(|it| run.gate(&format!("break-{it}")))
        .collect();
    run.replies.otherwise(move |request| {
        let name = request.path().trim_start_matches('/');
        let index = names.find(name).unwrap();
        allowed(match request.header("last-event-id") {
            None => Reply::stream()
                .event_with_id("1", "hello")
                .wait_for(&more)
                .event_with_id("2", "more")
                .wait_for(&breaks[index])
                .drop_connection(),
            Some(_) => Reply::stream().event_with_id("3", "again").stall(),
        })
    });
}

fn clients_are_independent(run: &Run<'_>) {
    serve(run);
    run.open();
    for name in ["a", "b", "c", "d"] {
        run.wait(&format!("{name}-hello"));
    }
    run.gate("close").open();
    run.wait_for_open_connections(3);
    run.gate("more").open();
    for name in ["a", "b", "d"] {
        run.wait(&format!("{name}-more"));
    }
    run.gate("break-b").open();
    run.wait("b-again");
    run.gate("break-a").open();
    run.wait("a-again");
    assert!(!run.gate("c-more").is_open());
    assert!(!run.gate("d-again").is_open());
    let resumed: Vec<_> = run.requests().split_off(4);
    let sent: Vec<_> = resumed
        .iter()
        .map(|it| (it.path(), it.header("last-event-id")))
        .collect();
    assert_eq!(sent, [("/b", Some("2")), ("/a", Some("2"))]);
    run.gate("end").open();
    run.finish();
}

/// A browser opens at most six connections to a server over HTTP/1.1.
fn the_seventh_stream_waits_for_a_connection(run: &Run<'_>) {
    serve(run);
    run.open();
    let first_six = ["a", "b", "c", "d", "e", "f"];
    for name in first_six {
        run.wait(&format!("{name}-hello"));
    }
    run.gate("more").open();
    for name in first_six {
        run.wait(&format!("{name}-more"));
    }
    // By now the seventh request would have arrived.
    assert_eq!(run.requests().len(), 6, "{:#?}", run.requests());
    assert_eq!(run.server.accepted_connections(), 6);

    run.gate("break-a").open();
    run.wait("g-hello");
    run.wait("g-more");
    assert_eq!(run.requests()[6].path(), "/g");
    // Now the first stream waits to be resumed.
    assert!(!run.gate("a-again").is_open());
    run.gate("close").open();
    run.wait("a-again");
    let resumed = run.requests().pop().unwrap();
    assert_eq!(resumed.path(), "/a");
    assert_eq!(resumed.header("last-event-id"), Some("2"));
    run.wait_for_open_connections(6);
    run.gate("end").open();
    run.finish();
}
