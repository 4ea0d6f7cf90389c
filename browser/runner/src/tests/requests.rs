//! Requests with a method, a body or credentials, and which of them are repeated.

use std::sync::atomic::{AtomicUsize, Ordering};

use everstream_testing::{Reply, Request};

use crate::run::{Run, Test};

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "post",
        run: a_post_is_sent_once,
    },
    Test {
        name: "lower_case",
        run: a_get_in_lower_case_is_repeated,
    },
    Test {
        name: "repeat_unsafe",
        run: a_post_is_repeated_if_the_program_says_so,
    },
    Test {
        name: "resume_with_get",
        run: a_post_is_resumed_by_get,
    },
    Test {
        name: "basic_auth",
        run: a_user_and_a_password_are_sent,
    },
    Test {
        name: "before_attempt",
        run: each_attempt_has_a_fresh_token,
    },
];

/// A stream with one event, cut in the next one.
fn broken(run: &Run<'_>) -> Reply {
    let reply = Reply::stream().event_with_id("1", "one").send("data: cut");
    reply.wait_for(&run.gate("one")).drop_connection()
}

fn assert_is_the_post(request: &Request) {
    assert_eq!(request.method, "POST");
    assert_eq!(request.header("authorization"), Some("Bearer secret"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.body, br#"{"question":"warum?"}"#);
}

fn a_post_is_sent_once(run: &Run<'_>) {
    run.reply(broken(run));
    run.open();
    run.finish();
    let requests = run.requests();
    assert_eq!(requests.len(), 1, "{requests:#?}");
    assert_is_the_post(&requests[0]);
    let preflights = run.preflights();
    assert_eq!(preflights.len(), 1);
    let announced = preflights[0].header("access-control-request-headers");
    assert_eq!(announced, Some("authorization,content-type"));
}

fn a_get_in_lower_case_is_repeated(run: &Run<'_>) {
    run.reply(broken(run));
    run.reply(Reply::stream().event_with_id("2", "two").stall());
    run.open();
    run.finish();
    let requests = run.requests();
    assert!(
        requests.iter().all(|it| it.method == "GET"),
        "{requests:#?}"
    );
}

fn a_post_is_repeated_if_the_program_says_so(run: &Run<'_>) {
    run.reply(broken(run));
    run.reply(Reply::stream().event_with_id("2", "two").stall());
    run.open();
    run.finish();
    let requests = run.requests();
    assert_eq!(requests.len(), 2, "{requests:#?}");
    assert_is_the_post(&requests[0]);
    assert_is_the_post(&requests[1]);
    assert_eq!(requests[0].header("last-event-id"), None);
    assert_eq!(requests[1].header("last-event-id"), Some("1"));
}

fn a_post_is_resumed_by_get(run: &Run<'_>) {
    run.reply(broken(run));
    run.reply(Reply::stream().event_with_id("2", "two").stall());
    run.open();
    run.finish();
    let requests = run.requests();
    assert_eq!(requests.len(), 2, "{requests:#?}");
    assert_is_the_post(&requests[0]);
    let resumed = &requests[1];
    assert_eq!(resumed.method, "GET");
    assert_eq!(resumed.header("last-event-id"), Some("1"));
    assert_eq!(resumed.header("authorization"), Some("Bearer secret"));
    assert_eq!(resumed.header("content-type"), None);
    assert_eq!(resumed.body, b"");
}

fn a_user_and_a_password_are_sent(run: &Run<'_>) {
    run.reply(Reply::stream().event("hello").stall());
    run.open();
    run.finish();
    let requests = run.requests();
    let sent = requests[0].header("authorization");
    // "Aladdin:open sesame", from RFC 7617.
    assert_eq!(sent, Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
}

fn each_attempt_has_a_fresh_token(run: &Run<'_>) {
    let issued = AtomicUsize::new(0);
    run.origin_replies
        .otherwise(move |request| match request.path() {
            "/token" => {
                let number = 1 + issued.fetch_add(1, Ordering::Relaxed);
                Reply::status(200).send(format!("token-{number}"))
            }
            _ => Reply::status(404),
        });
    run.reply(broken(run));
    run.reply(Reply::status(503));
    run.reply(Reply::stream().event_with_id("2", "two").stall());
    run.open();
    run.finish();
    let requests = run.requests();
    let sent: Vec<_> = requests
        .iter()
        .map(|it| (it.target.as_str(), it.header("authorization")))
        .collect();
    let expected = [
        ("/feed?attempt=1", Some("Bearer token-1")),
        ("/feed?attempt=2", Some("Bearer token-2")),
        ("/feed?attempt=3", Some("Bearer token-3")),
    ];
    assert_eq!(sent, expected);
}
