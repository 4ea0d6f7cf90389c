//! The content of the stream, and its timing.

use super::*;

#[test]
fn compression_is_a_warning_only_if_the_delay_repeats() {
    let gzip = |plain: u64, compressed: Option<u64>, waited: u64, repeat| {
        let mut observed = good();
        let stream = observed.stream.as_mut().unwrap();
        stream.events[0].at = millis(plain);
        observed.second = Some(at(compressed, waited, Some("gzip")));
        observed.repeat = repeat;
        objections(&observed)
    };
    let same = |plain: u64, compressed: Option<u64>, waited: u64| {
        let repeat = Repeat {
            plain: at(Some(plain), plain, None),
            gzip: at(compressed, waited, Some("gzip")),
        };
        gzip(plain, compressed, waited, Some(repeat))
    };
    assert_eq!(same(10, Some(20), 20), []);
    assert_eq!(same(10, Some(1900), 1900), [], "less than two seconds");
    assert_eq!(same(1000, Some(2900), 2900), [], "the rhythm of the stream");
    assert_eq!(same(10, Some(2100), 2100), [("compression", Warn)]);
    assert_eq!(same(10, None, 2100), [("compression", Warn)]);
    assert_eq!(same(10, None, 5000), [("compression", Warn)]);
    assert_eq!(same(4000, None, 5000), [("compression", Skip)]);
    // A single delay may be chance.
    let skipped = [("compression", Skip)];
    assert_eq!(gzip(10, None, 5000, None), skipped);
    let other = |plain, compressed: Option<u64>| Repeat {
        plain: at(plain, 5000, None),
        gzip: at(compressed, 5000, Some("gzip")),
    };
    let repeat = |plain, compressed| gzip(10, None, 5000, Some(other(plain, compressed)));
    assert_eq!(repeat(Some(10), Some(10)), []);
    assert_eq!(repeat(None, None), skipped, "the stream is sparse");
    assert_eq!(repeat(Some(4000), None), skipped);
}

/// A connection whose first event arrived at this time.
fn at(event: Option<u64>, waited: u64, coding: Option<&str>) -> Answer {
    Answer {
        coding: coding.map(str::to_owned),
        first_event: event.map(millis),
        waited: millis(waited),
        ..answer(&["1"])
    }
}

/// Bug: nginx with gzip held back the headers until its buffer was full, and the check reported a server
/// that doesn't answer a second connection.
#[test]
fn a_compressor_that_delays_the_headers_is_distinguished_from_a_refused_connection() {
    let mut observed = good();
    observed.second = Some(Answer {
        error: Some("no byte came".into()),
        silent: true,
        after: millis(12_000),
        ..Answer::default()
    });
    assert_eq!(objections(&observed), [("compression", Skip)], "once");
    let silent = Answer {
        error: Some("no byte came".into()),
        silent: true,
        after: millis(12_000),
        ..Answer::default()
    };
    observed.repeat = Some(Repeat {
        plain: at(Some(10), 10, None),
        gzip: silent,
    });
    assert_eq!(objections(&observed), [("compression", Warn)]);
    // Without other connections to compare, it may be either.
    (observed.resume, observed.unknown_id, observed.repeat) = (None, None, None);
    observed.stream.as_mut().unwrap().events.clear();
    let found = objections(&observed);
    assert!(found.contains(&("reconnect", Skip)), "{found:?}");
    assert!(found.contains(&("compression", Skip)), "{found:?}");
}

#[test]
fn late_headers_are_a_warning() {
    let after = |headers: u64, first_read: u64| {
        let mut observed = good();
        observed.response.as_mut().unwrap().after = millis(headers);
        observed.stream.as_mut().unwrap().reads[0].at = millis(first_read);
        let together = judge(&observed)
            .iter()
            .any(|it| it.observed.contains("arrived together"));
        (objections(&observed), together)
    };
    assert_eq!(
        after(4000, 0),
        (vec![], false),
        "the connection may have taken it"
    );
    assert_eq!(after(6000, 0), (vec![("first-event", Warn)], true));
    assert_eq!(after(6000, 400), (vec![("first-event", Warn)], false));
}

#[test]
fn events_in_clumps() {
    let delivered = |reads: &[(u64, &str)], time| {
        let mut observed = good();
        let mut stream = watched(reads, time, End::Open);
        // The rest of the stream is steady.
        let steady = steady();
        stream.events = steady.events;
        (stream.retries, stream.comments) = (steady.retries, steady.comments);
        (stream.comments_from, stream.comments_to) = (steady.comments_from, steady.comments_to);
        observed.stream = Some(stream);
        objections(&observed)
    };
    let (one, three) = ("data: x\n\n", "data: x\n\n".repeat(3));
    // Each event when it happens, even if that is many in a second.
    assert_eq!(
        delivered(&[(0, &three), (200, one), (400, one), (600, one)], 700),
        []
    );
    // Single events in succession aren't clumps, whatever the pauses.
    let singles: Vec<(u64, &str)> = [0, 300, 600]
        .into_iter()
        .flat_map(|at| (0..5).map(move |group| at + group * 3000))
        .map(|at| (at, one))
        .collect();
    let mut singles = singles;
    singles.sort_unstable();
    assert_eq!(delivered(&singles, 14_000), []);
    // Too few to tell.
    assert_eq!(
        delivered(&[(0, one), (20, one), (30, one)], 40),
        [("delivery", Skip)]
    );
    // The first burst is a replay.
    let steady = [(0, &*three), (2000, one), (4000, one), (6000, one)];
    assert_eq!(delivered(&steady, 7000), []);
    let clumps = [(0, one), (2000, &*three), (4000, &*three), (6000, &*three)];
    assert_eq!(delivered(&clumps, 7000), [("delivery", Warn)]);
    // No server pauses for seconds inside an event.
    let cut = [
        (0, "data: x\n\ndata"),
        (2000, ": x\n\nda"),
        (4000, "ta: x\n\n"),
    ];
    assert_eq!(delivered(&cut, 5000), [("delivery", Fail)]);
    // Only after the first of these was there a wait.
    let end = [(0, "data: x\n\ndata"), (2000, ": x\n\nda")];
    assert_eq!(delivered(&end, 2100), [("delivery", Skip)]);
}

#[test]
fn silence() {
    let silent = |reads: &[(u64, &str)], time| {
        let mut observed = good();
        observed.stream = Some(watched(reads, time, End::Open));
        let found = objections(&observed);
        found
            .into_iter()
            .find(|(id, _)| *id == "heartbeat")
            .map(|(_, level)| level)
    };
    assert_eq!(
        silent(&[(0, "data: x\n\n")], 20_000),
        Some(Skip),
        "too short to tell"
    );
    assert_eq!(silent(&[(0, "data: x\n\n")], 59_000), Some(Skip));
    assert_eq!(silent(&[(0, "data: x\n\n")], 61_000), Some(Warn));
    assert_eq!(silent(&[(61_000, "data: x\n\n")], 62_000), Some(Warn));
    assert_eq!(silent(&[(0, ":\n"), (5_000, ":\n")], 20_000), None);
    assert_eq!(
        silent(&[(0, ":\n:\n"), (10, ":\n")], 20_000),
        Some(Skip),
        "all at the same time"
    );
    assert_eq!(silent(&[(30_000, "data: x\n\n")], 61_000), None);
}

/// Bug: haproxy closed a stream after 2.6 s of silence, and the longest silence was reported as 0.
#[test]
fn silence_before_a_break_counts() {
    let broke = |silence: u64| {
        let mut observed = good();
        let reads = [(0, "id: 1\ndata: x\n\n:\n")];
        let mut stream = watched(&reads, silence, End::Broke("reset".into()));
        stream.retries.push(3000);
        observed.stream = Some(stream);
        let findings = judge(&observed);
        let of = |id| findings.iter().find(|it| it.id == id).unwrap();
        let (end, heartbeat) = (of("end"), of("heartbeat"));
        assert_eq!(end.level, Fail);
        let fix = end.advice.unwrap().fix;
        (end.observed.clone(), fix, heartbeat.level)
    };
    let (said, fix, heartbeat) = broke(60_000);
    assert_eq!(said, "broke after 60 s of silence: reset");
    assert!(fix.starts_with("Send a comment"), "{fix}");
    assert!(fix.contains("every 15 to 30 s"), "{fix}");
    assert_eq!(heartbeat, Warn);
    let (said, fix, heartbeat) = broke(2600);
    assert_eq!(said, "broke after 2.60 s of silence: reset");
    for limit in [
        "nginx: proxy_read_timeout",
        "haproxy: timeout server, timeout client",
    ] {
        assert!(fix.contains(limit), "{fix}");
    }
    assert_eq!(heartbeat, Skip);
    assert_eq!(broke(100).0, "broke: reset");
}

#[test]
fn a_longer_duration_is_suggested_only_if_the_whole_duration_was_too_short() {
    let setting = |whole_duration, time| {
        let mut observed = good();
        observed.whole_duration = whole_duration;
        observed.stream = Some(watched(&[(0, "data: x\n\n")], time, End::Open));
        let mut findings = judge(&observed).into_iter();
        let heartbeat = findings.find(|it| it.id == "heartbeat");
        heartbeat.unwrap().setting
    };
    assert_eq!(setting(true, 20_000), Some(Setting::Duration));
    assert_eq!(setting(true, 70_000), None);
    assert_eq!(setting(false, 300), None, "the count ended it");
}

#[test]
fn a_stream_without_events_is_a_warning_after_30_s() {
    let first_event = |text: &str, time| {
        let mut observed = good();
        observed.stream = Some(watched(&[(0, text)], time, End::Open));
        let mut findings = judge(&observed).into_iter();
        let found = findings.find(|it| it.id == "first-event").unwrap();
        (found.level, found.observed)
    };
    let (level, said) = first_event(":\n\n", 4000);
    assert_eq!(level, Skip);
    assert!(
        said.ends_with("no event arrived in 4.00 s, only comments"),
        "{said}"
    );
    assert_eq!(first_event(":\n\n", 30_000).0, Warn);
    // Without any data, sooner.
    assert_eq!(first_event("", 4999).0, Skip);
    assert_eq!(first_event("", 5000).0, Warn);
    assert_eq!(first_event("data: x\n\n", 30_000).0, Level::Pass);
}

#[test]
fn the_response_to_a_post_needs_no_ids_and_no_caching_headers() {
    let mut observed = good();
    let response = observed.response.as_mut().unwrap();
    (response.repeatable, response.method) = (false, "POST".into());
    response.headers = headers(&[
        ("cache-control", "no-transform"),
        ("content-type", "text/event-stream; charset=utf8"),
    ]);
    let stream = observed.stream.as_mut().unwrap();
    for event in &mut stream.events {
        event.id = None;
    }
    stream.kinds.insert("error".into(), 1);
    stream.error_event = Some("Overloaded".into());
    let findings = judge(&observed);
    let bad: Vec<_> = findings
        .iter()
        .filter(|it| matches!(it.level, Warn | Fail))
        .map(|it| (it.id, &*it.observed))
        .collect();
    assert_eq!(
        bad,
        [("data", "the response reports an error: \"Overloaded\"")]
    );
}

#[test]
fn faults_of_the_content() {
    with_stream(|it| it.retries.clear(), "retry", Skip);
    with_stream(|it| it.retries = vec![0], "retry", Warn);
    with_stream(|it| it.retries = vec![300_001], "retry", Warn);
    with_stream(|it| it.retries = vec![3000, 4000], "retry", Warn);
    with_stream(|it| it.bad_retry = Some("1s".into()), "retry", Fail);
    with_stream(|it| it.ids_unsendable = 1, "usable-ids", Fail);
    with_stream(|it| it.ids_with_nul = 1, "usable-ids", Fail);
    with_stream(|it| it.bad_retry = Some(String::new()), "retry", Warn);
    with_stream(|it| it.events[6].id = None, "ids", Warn);
    let mut greeting = good();
    greeting.stream.as_mut().unwrap().events[0].id = None;
    let found = objections(&greeting);
    assert!(!found.iter().any(|(id, _)| *id == "ids"), "{found:?}");
    with_stream(|it| it.events[6].id = Some("1".into()), "unique-ids", Fail);
    with_stream(
        |it| _ = it.kinds.insert("open".into(), 1),
        "event-types",
        Warn,
    );
    with_stream(
        |it| it.events[0].form = crate::observed::Form::AlmostJson,
        "data",
        Warn,
    );
    with_stream(|it| it.events[0].size = 2 << 20, "sizes", Warn);
    with_stream(|it| it.oversize = 1, "sizes", Warn);
    with_stream(|it| it.longest_line = 70_000, "sizes", Warn);
}

#[test]
fn a_retry_that_overflows_timers_says_so() {
    let retry = |value| {
        let mut observed = good();
        observed.stream.as_mut().unwrap().retries = vec![value];
        let found = judge(&observed).into_iter().find(|it| it.id == "retry");
        let found = found.unwrap();
        (found.observed, found.advice.unwrap().why)
    };
    let (said, why) = retry(u64::MAX);
    assert_eq!(said, "retry: 18446744073709551615 ms or more");
    assert!(why.contains("reconnect without a pause"), "{why}");
    assert!(retry(2_147_483_648).1.contains("without a pause"));
    let (said, why) = retry(2_147_483_647);
    assert_eq!(said, "retry: 2147483647 ms");
    assert!(!why.contains("without a pause"), "{why}");
}

#[test]
fn how_a_stream_is_written() {
    with_stream(|it| it.bom_at_start = true, "bom", Warn);
    with_stream(|it| it.later_boms = 1, "bom", Fail);
    with_stream(|it| it.crlf = 1, "line-ends", Warn);
    with_stream(|it| (it.lf, it.cr) = (0, 1), "line-ends", Warn);
    with_stream(|it| it.not_utf8 = Some(7), "utf-8", Fail);
    with_stream(|it| it.stray_line = Some("{}".into()), "fields", Fail);
    with_stream(
        |it| _ = it.unknown_fields.insert("x".into(), 1),
        "fields",
        Warn,
    );
    with_stream(|it| it.end = End::Ended, "end", Warn);
    with_stream(|it| it.end = End::Broke("cut".into()), "end", Fail);
    with_stream(
        |it| (it.end, it.half_event) = (End::Ended, true),
        "end",
        Fail,
    );
    // The blank line is not what is wrong with a connection that broke.
    let mut observed = good();
    let stream = observed.stream.as_mut().unwrap();
    (stream.end, stream.half_event) = (End::Broke("cut".into()), true);
    stream.watched = millis(60_100);
    let mut findings = judge(&observed).into_iter();
    let end = findings.find(|it| it.id == "end").unwrap();
    assert_eq!(end.observed, "broke inside an event: cut");
    assert!(!end.advice.unwrap().fix.contains("blank line"));
}
