//! Responses that aren't streams.

use std::process::Command;
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
        name: "error_responses",
        run: error_responses_are_read_as_elsewhere,
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
    let sent = |name| -> Vec<_> { requests.iter().map(|it| it.header(name)).collect() };
    let basic = Some("Basic bcOpOnNlY3JldA==");
    assert_eq!(sent("authorization"), [basic, basic, Some("Bearer own")]);
    assert_eq!(sent("last-event-id"), [None, None, Some("41")]);
    assert!(
        requests
            .iter()
            .all(|it| it.method == "POST" && it.body == b"{}")
    );
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

fn error_responses_are_read_as_elsewhere(run: &Run<'_>) {
    let [fixdate, rfc850, asctime] = ["%a, %d %b %Y", "%A, %d-%b-%y", "%a %b %e"].map(in_an_hour);
    for (retry_after, text) in [
        (&*fixdate, "naïve".as_bytes()),
        (&*rfc850, b"caf\xe9"),
        (&*asctime, b""),
        ("Sun, 06 Nov 1994 08:49:37 GMT", b""),
        ("5 s", b""),
        ("-5", b""),
        ("soon", b""),
    ] {
        let reply = Reply::status(503)
            .header("Access-Control-Expose-Headers", "Retry-After, X-Text")
            .header("Retry-After", retry_after);
        let reply = match text {
            b"" => reply,
            text => reply.header("X-Text", text),
        };
        run.reply(reply.send("0123456789"));
    }
    run.open();
    run.finish();
    let requests = run.requests();
    assert_eq!(requests.len(), 7);
    assert!(requests.iter().all(|it| it.target == "/feed?a=1"));
}

/// The time in an hour, with the date in this format.
fn in_an_hour(date: &str) -> String {
    let rest = match date.contains(',') {
        true => " %H:%M:%S GMT",
        false => " %H:%M:%S %Y",
    };
    let output = Command::new("date")
        .env("LC_ALL", "C")
        .args(["--utc", "--date=+1 hour", &format!("+{date}{rest}")])
        .output()
        .unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

fn a_retry_after_that_is_not_exposed_is_unknown(run: &Run<'_>) {
    run.reply(refused());
    run.reply(Reply::stream().event("hello").stall());
    run.open();
    run.finish();
    assert_eq!(run.requests().len(), 2);
}
