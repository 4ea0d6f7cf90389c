//! Reconnecting and resuming.

use super::*;

#[test]
fn reconnecting() {
    let refused = || Answer {
        status: 409,
        ..answer(&[])
    };
    objects(
        |o| o.second.as_mut().unwrap().retries = vec![9],
        "reconnect",
        Warn,
    );
    objects(|o| o.unknown_id = Some(refused()), "unknown-id", Fail);
    let mut observed = good();
    observed.second = Some(refused());
    assert_eq!(
        objections(&observed),
        [("compression", Skip), ("reconnect", Fail)]
    );
}

#[test]
fn a_limit_of_requests_does_not_mean_that_resuming_fails() {
    let limited = Answer {
        status: 429,
        first_try: Some("status 429".into()),
        delay: millis(2000),
        ..answer(&[])
    };
    let mut observed = good();
    observed.resume.as_mut().unwrap().answer = limited;
    assert_eq!(objections(&observed), [("resume", Warn)]);
    let resume = judge(&observed).into_iter().find(|it| it.id == "resume");
    let said = resume.unwrap().observed;
    assert_eq!(said, r#"after "4": status 429, also 2.00 s later"#);
}

/// A server with one stream per session needs a moment to notice that the first one was closed.
#[test]
fn the_second_try_decides_about_reconnecting() {
    let mut observed = good();
    let second = observed.second.as_mut().unwrap();
    (second.first_try, second.delay) = (Some("status 409".into()), millis(2000));
    assert_eq!(objections(&observed), []);
    let reconnect = judge(&observed).into_iter().find(|it| it.id == "reconnect");
    let said = reconnect.unwrap().observed;
    assert_eq!(
        said,
        "works on the second try, 2.00 s after the first, which got status 409"
    );
}

#[test]
fn headers_that_wait_for_an_event_are_not_a_refusal() {
    let silent = || Answer {
        error: Some("no response".into()),
        silent: true,
        after: millis(5000),
        ..Answer::default()
    };
    let mut observed = good();
    observed.second = Some(silent());
    observed.resume = Some(Resume {
        after: 3,
        answer: silent(),
    });
    observed.unknown_id = Some(silent());
    let pending = ["compression", "reconnect", "resume", "unknown-id"].map(|id| (id, Skip));
    assert_eq!(objections(&observed), pending);
    // The first connection's headers didn't wait for an event.
    observed.stream.as_mut().unwrap().reads[0].at = millis(400);
    assert_eq!(
        objections(&observed),
        [
            ("compression", Skip),
            ("reconnect", Warn),
            ("resume", Skip),
            ("unknown-id", Skip)
        ]
    );
}

#[test]
fn an_error_event_after_an_unknown_id_is_not_a_stream() {
    let after = |ended: bool| {
        let mut observed = good();
        let answer = observed.unknown_id.as_mut().unwrap();
        (answer.error_event, answer.ended) = (Some("unknown id".into()), ended);
        objections(&observed)
    };
    assert_eq!(after(false), [("unknown-id", Warn)]);
    assert_eq!(after(true), [("unknown-id", Fail)]);
}

#[test]
fn resuming_is_judged_by_what_follows_the_id() {
    let mut greeted = good();
    greeted.resume.as_mut().unwrap().answer = answer(&["hello-7", "5", "6"]);
    assert_eq!(objections(&greeted), []);
    with_resume(&["hello-7", "6"], Warn);
    with_resume(&["1", "2"], Fail);
    with_resume(&["9", "1"], Fail);
    with_resume(&["4", "5"], Warn);
    with_resume(&["3", "4"], Warn);
    with_resume(&["7"], Warn);
    with_resume(&["99"], Warn);
    with_resume(&[], Warn);
    let few = |count: usize, after: usize, ids: &[&str]| {
        let mut observed = good();
        observed.stream.as_mut().unwrap().events.truncate(count);
        observed.resume = Some(Resume {
            after,
            answer: answer(ids),
        });
        objections(&observed)
    };
    assert_eq!(few(1, 0, &["1"]), [("resume", Warn)]);
    assert_eq!(few(1, 0, &["2"]), [("resume", Skip)]);
    assert_eq!(few(1, 0, &[]), [("resume", Skip)]);
    assert_eq!(
        few(2, 0, &["1", "2"]),
        [("resume", Warn)],
        "starting over, or repeating one event: it can't be determined"
    );
    assert_eq!(few(2, 0, &["2"]), []);
    let mut refused = answer(&[]);
    refused.status = 204;
    objects(
        |o| {
            o.resume = Some(Resume {
                after: 3,
                answer: refused,
            })
        },
        "resume",
        Fail,
    );
    objects(|o| o.resume = None, "resume", Skip);
}
