//! Responses that aren't streams.

use std::time::Duration;

use everstream_testing::Reply;

use crate::run::{Run, Test};

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "no_content",
        run: a_204_ends_the_stream,
    },
    Test {
        name: "error_status",
        run: an_error_status_has_headers_and_a_body,
    },
    Test {
        name: "endless_error_body",
        run: of_an_endless_error_body_the_beginning_is_kept,
    },
    Test {
        name: "retry_after",
        run: an_exposed_retry_after_is_obeyed,
    },
    Test {
        name: "hidden_retry_after",
        run: a_retry_after_that_is_not_exposed_is_unknown,
    },
];

fn a_204_ends_the_stream(run: &Run<'_>) {
    run.reply(Reply::status(204));
    run.open();
    run.finish();
    assert_eq!(run.requests().len(), 1);
}

fn an_error_status_has_headers_and_a_body(run: &Run<'_>) {
    let reply = Reply::status(403).header("Content-Type", "application/json");
    run.reply(reply.send(r#"{"error":"no access"}"#));
    run.open();
    run.finish();
    assert_eq!(run.requests().len(), 1);
}

fn of_an_endless_error_body_the_beginning_is_kept(run: &Run<'_>) {
    run.reply(Reply::status(500).chunked().send_forever("x".repeat(100)));
    run.open();
    run.wait("failed");
    run.wait_for_open_connections(0);
    run.gate("checked").open();
    run.finish();
}

fn refused() -> Reply {
    Reply::status(503).header("Retry-After", "2")
}

fn an_exposed_retry_after_is_obeyed(run: &Run<'_>) {
    run.reply(refused().header("Access-Control-Expose-Headers", "Retry-After"));
    run.reply(Reply::stream().event("hello").stall());
    run.open();
    run.finish();
    let requests = run.requests();
    let waited = requests[1].at - requests[0].at;
    assert!(waited >= Duration::from_secs(2), "{waited:?}");
}

fn a_retry_after_that_is_not_exposed_is_unknown(run: &Run<'_>) {
    run.reply(refused());
    run.reply(Reply::stream().event("hello").stall());
    run.open();
    run.finish();
    assert_eq!(run.requests().len(), 2);
}
