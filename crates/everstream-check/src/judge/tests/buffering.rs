//! Proxies that hold the stream back.

use super::*;
use crate::judge::Finding;

/// Headers after this time, from this server, and then this stream.
fn late(after: u64, server: &str, stream: Stream) -> Observed {
    let mut observed = good();
    let response = observed.response.as_mut().unwrap();
    response.after = millis(after);
    response.headers = headers(&[("server", server), ("x-accel-buffering", "")]);
    Observed {
        stream: Some(stream),
        second: None,
        resume: None,
        unknown_id: None,
        ..observed
    }
}

fn head_after(time: u64) -> Option<Response> {
    Some(Response {
        after: millis(time),
        ..Response::default()
    })
}

fn broken() -> Stream {
    watched(&[], 5, End::Broke("cut".into()))
}

fn bad(observed: &Observed) -> Vec<(&'static str, Level)> {
    let all = objections(observed).into_iter();
    all.filter(|(_, level)| *level != Skip).collect()
}

fn finding(observed: &Observed, check: Check) -> Finding {
    let mut all = judge(observed).into_iter();
    all.find(|it| it.check == check).unwrap()
}

/// Bug: nginx buffered a silent stream until its proxy_read_timeout, and the report named crashes.
#[test]
fn headers_that_arrive_with_the_break_were_held_back_if_head_is_fast() {
    let mut observed = late(10_000, "nginx/1.22.1", broken());
    observed.head = head_after(4);
    assert_eq!(bad(&observed), [("proxy-buffering", Fail)]);
    let found = finding(&observed, Check::ProxyBuffering);
    assert_eq!(
        found.observed,
        "server: nginx/1.22.1: the headers arrived only after 10 s, when the connection broke, and \
         nothing else did; HEAD was answered after 0.00 s"
    );
    let fix = found.advice.unwrap().fix;
    for remedy in [
        "X-Accel-Buffering: no",
        "proxy_buffering off",
        "proxy_read_timeout",
    ] {
        assert!(fix.contains(remedy), "{fix}");
    }
    for check in [
        Check::FirstEvent,
        Check::End,
        Check::Heartbeat,
        Check::Reconnect,
    ] {
        let found = finding(&observed, check);
        assert_eq!(found.level, Skip, "{found:?}");
        assert!(found.observed.contains("see proxy-buffering"), "{found:?}");
        assert_eq!(found.setting, None);
    }
}

/// Bug: a server that crashed after some seconds, behind a proxy that doesn't buffer, was reported as
/// buffered by the proxy. The `Date` of its headers is the time when they were written.
#[test]
fn headers_that_were_written_late_were_not_held_back() {
    let with_ages = |age: f64, of_head: f64| {
        let mut observed = late(10_000, "nginx/1.22.1", broken());
        observed.head = head_after(4);
        observed.response.as_mut().unwrap().age = Some(age);
        observed.head.as_mut().unwrap().age = Some(of_head);
        bad(&observed)
    };
    // The clocks differ by an hour.
    let buffered = [("proxy-buffering", Fail)];
    let slow = [("first-event", Warn), ("end", Fail)];
    assert_eq!(with_ages(3610.4, 3600.7), buffered);
    assert_eq!(with_ages(3600.9, 3600.2), slow);
    assert_eq!(with_ages(-3599.8, -3599.1), slow);
}

#[test]
fn a_break_with_late_headers_is_not_buffering_without_evidence() {
    // HEAD is as slow as the stream, or isn't answered.
    let perhaps = [("proxy-buffering", Warn), ("end", Fail)];
    let mut observed = late(10_000, "nginx/1.22.1", broken());
    assert_eq!(bad(&observed), perhaps);
    observed.head = head_after(4900);
    assert_eq!(bad(&observed), perhaps);
    // No trace of a proxy.
    let mut observed = late(10_000, "hypercorn-h11", broken());
    observed.head = head_after(4);
    assert_eq!(bad(&observed), [("first-event", Warn), ("end", Fail)]);
    let said = finding(&observed, Check::FirstEvent).observed;
    assert!(
        said.ends_with("headers and the end of the connection arrived together"),
        "{said}"
    );
    // The headers were in time.
    let mut observed = late(4000, "nginx/1.22.1", broken());
    observed.head = head_after(4);
    assert_eq!(bad(&observed), [("end", Fail)]);
    // The connection was open for a while, or there was data.
    for stream in [
        watched(&[], 3000, End::Broke("cut".into())),
        watched(&[(500, ":\n\n")], 3000, End::Broke("cut".into())),
    ] {
        let mut observed = late(10_000, "nginx/1.22.1", stream);
        observed.head = head_after(4);
        assert_eq!(bad(&observed), [("first-event", Warn), ("end", Fail)]);
    }
}

#[test]
fn a_late_stream_that_arrives_at_once_is_perhaps_buffered() {
    let events: String = (1..=3).map(event).collect();
    let ended = || watched(&[(3, &*events)], 5, End::Ended);
    let observed = late(15_000, "nginx/1.22.1", ended());
    let found = bad(&observed);
    assert!(found.contains(&("proxy-buffering", Warn)), "{found:?}");
    assert!(
        !found.iter().any(|(id, _)| *id == "first-event"),
        "{found:?}"
    );
    assert_eq!(
        finding(&observed, Check::ProxyBuffering).observed,
        "headers and first bytes arrived together, after 15 s, behind server: nginx/1.22.1"
    );
    // Without a proxy, and if events follow one by one.
    let found = bad(&late(15_000, "hypercorn-h11", ended()));
    assert!(found.contains(&("first-event", Warn)), "{found:?}");
    let reads = [(3, &*event(1)), (2000, &*event(2)), (4000, &*event(3))];
    let steady = watched(&reads, 5000, End::Open);
    let found = bad(&late(15_000, "nginx/1.22.1", steady));
    assert_eq!(found, [("first-event", Warn)]);
}

#[test]
fn a_connection_that_ends_without_data_is_said_without_a_time() {
    let said = |end, time| super::super::no_event(&watched(&[], time, end));
    let broke = || End::Broke("cut".into());
    assert_eq!(
        said(broke(), 3),
        "no data arrived before the connection broke"
    );
    assert_eq!(
        said(End::Ended, 3),
        "no data arrived before the stream ended"
    );
    assert_eq!(said(broke(), 30_000), "nothing arrived in 30 s");
    assert_eq!(said(End::Open, 20_000), "nothing arrived in 20 s");
}

#[test]
fn a_proxy_that_answers_for_a_stream_that_does_not_arrive_buffers_it() {
    let mut observed = Observed {
        trouble: Some(Trouble {
            what: "no response in 20 s".into(),
            hint: None,
            kind: TroubleKind::Silence,
        }),
        head: Some(Response {
            headers: [("server", "nginx/1.26.3")].into_iter().collect(),
            ..Response::default()
        }),
        ..Observed::default()
    };
    assert_eq!(bad(&observed), [("proxy-buffering", Fail)]);
    observed.head = Some(Response::default());
    assert_eq!(bad(&observed), [("reachable", Fail)]);
}
