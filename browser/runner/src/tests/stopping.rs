//! Stopping a client aborts its request: the server sees its connection close.

use everstream_testing::Reply;

use crate::run::{Run, Test};

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "interrupt",
        run: interrupt_replaces_the_connection,
    },
    Test {
        name: "close",
        run: close_and_drop_abort_the_requests,
    },
    Test {
        name: "drop_client",
        run: close_and_drop_abort_the_requests,
    },
];

/// Two clients: one waits for the head of its response, the other one for an event.
fn open_with_two_clients(run: &Run<'_>) {
    run.replies.otherwise(|request| match request.path() {
        "/silent" => Reply::raw("").stall(),
        _ => crate::script::allowed(Reply::stream().event("hello").stall()),
    });
    run.open();
    run.wait_for_requests(2);
    run.wait("hello");
    run.wait_for_open_connections(2);
    run.gate("stop").open();
}

fn close_and_drop_abort_the_requests(run: &Run<'_>) {
    open_with_two_clients(run);
    run.wait_for_open_connections(0);
    run.gate("checked").open();
    run.finish();
    assert_eq!(run.requests().len(), 2);
}

fn interrupt_replaces_the_connection(run: &Run<'_>) {
    open_with_two_clients(run);
    run.wait_for_requests(4);
    run.wait_for_open_connections(2);
    run.gate("checked").open();
    run.finish();
    let requests = run.requests();
    let mut connections: Vec<_> = requests.iter().map(|it| it.connection).collect();
    connections.sort_unstable();
    assert_eq!(connections, [1, 2, 3, 4], "{requests:#?}");
}
