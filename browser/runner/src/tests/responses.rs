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
        name: "error_body_limit",
        run: as_much_of_an_error_body_is_kept_as_the_program_says,
    },
    Test {
        name: "send",
        run: send_returns_any_response,
    },
    Test {
        name: "retry_after",
        run: an_exposed_retry_after_is_obeyed,
    },
    Test {
        name: "retry_after_date",
        run: a_retry_after_can_be_a_date,
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
    let reply = Reply::status(403)
        .header("Content-Type", "application/json")
        .header("Access-Control-Expose-Headers", "X-Reason")
        .header("X-Reason", "gesperrt für heute");
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

fn as_much_of_an_error_body_is_kept_as_the_program_says(run: &Run<'_>) {
    run.reply(Reply::status(500).send("x".repeat(3000)));
    run.reply(Reply::status(500).send("x".repeat(3000)));
    run.open();
    run.finish();
    assert_eq!(run.requests().len(), 2);
}

fn send_returns_any_response(run: &Run<'_>) {
    let json = Reply::status(200).header("Content-Type", "application/json");
    run.reply(json.header("Connection", "close").send(r#"{"answer":42}"#));
    let forbidden = Reply::status(403).header("Connection", "close");
    run.reply(forbidden.send("no access"));
    run.reply(Reply::stream().event("hello").stall());
    run.open();
    run.wait("dropped");
    run.wait_for_open_connections(0);
    run.gate("checked").open();
    run.finish();
    let requests = run.requests();
    let ids: Vec<_> = requests
        .iter()
        .map(|it| it.header("last-event-id"))
        .collect();
    assert_eq!(ids, [Some("7"), None, None]);
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

fn a_retry_after_can_be_a_date(run: &Run<'_>) {
    for value in [
        "Fri, 31 Dec 2100 23:00:00 GMT",
        // The oldest format. It is in the zone of Greenwich, too.
        "Fri Dec 31 23:00:00 2100",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "soon",
    ] {
        let reply = Reply::status(503).header("Retry-After", value);
        run.reply(reply.header("Access-Control-Expose-Headers", "Retry-After"));
    }
    run.open();
    run.finish();
    assert_eq!(run.requests().len(), 4);
}

fn a_retry_after_that_is_not_exposed_is_unknown(run: &Run<'_>) {
    run.reply(refused());
    run.reply(Reply::stream().event("hello").stall());
    run.open();
    run.finish();
    assert_eq!(run.requests().len(), 2);
}
