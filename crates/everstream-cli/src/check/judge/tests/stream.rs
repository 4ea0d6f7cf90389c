//! What the stream says, and when.

use super::*;

#[test]
fn compression_is_to_blame_only_beyond_doubt() {
    let gzip = |plain: u64, compressed: Option<u64>, waited: u64| {
        let mut observed = good();
        let stream = observed.stream.as_mut().unwrap();
        stream.events[0].at = millis(plain);
        let mut answer = answer(&["1"]);
        answer.coding = Some("gzip".into());
        answer.first_event = compressed.map(millis);
        answer.waited = millis(waited);
        observed.second = Some(answer);
        objections(&observed)
    };
    assert_eq!(gzip(10, Some(20), 20), []);
    assert_eq!(gzip(10, Some(1900), 1900), [], "less than two seconds");
    assert_eq!(gzip(1000, Some(2900), 2900), [], "the rhythm of the stream");
    assert_eq!(gzip(10, Some(2100), 2100), [("compression", Warn)]);
    assert_eq!(gzip(10, None, 2100), [("compression", Warn)]);
    assert_eq!(gzip(10, None, 5000), [("compression", Fail)]);
    assert_eq!(gzip(4000, None, 5000), [("compression", Skip)]);
}

/// nginx with gzip held back the headers until its buffer was full: this was said to be a server that
/// answers no second connection.
#[test]
fn a_compressor_that_holds_the_headers_back_is_told_from_a_refused_connection() {
    let mut observed = good();
    observed.second = Some(Answer {
        error: Some("no byte came".into()),
        silent: true,
        after: millis(12_000),
        ..Answer::default()
    });
    assert_eq!(objections(&observed), [("compression", Fail)]);
    // Nothing else was asked for: it may be either.
    (observed.resume, observed.unknown_id) = (None, None);
    observed.stream.as_mut().unwrap().events.clear();
    let found = objections(&observed);
    assert!(found.contains(&("reconnect", Fail)), "{found:?}");
    assert!(found.contains(&("compression", Skip)), "{found:?}");
}

#[test]
fn headers_that_come_late() {
    let after = |headers: u64, first_read: u64| {
        let mut observed = good();
        observed.response.as_mut().unwrap().after = millis(headers);
        observed.stream.as_mut().unwrap().reads[0].at = millis(first_read);
        let together = judge(&observed)
            .iter()
            .any(|it| it.observed.contains("came together"));
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
        // Not what this is about.
        let steady = steady();
        stream.events = steady.events;
        (stream.retries, stream.comments) = (steady.retries, steady.comments);
        (stream.comments_from, stream.comments_to) = (steady.comments_from, steady.comments_to);
        observed.stream = Some(stream);
        objections(&observed)
    };
    let (one, three) = ("data: x\n\n", "data: x\n\n".repeat(3));
    // Each when it happens, also many in a second.
    assert_eq!(
        delivered(&[(0, &three), (200, one), (400, one), (600, one)], 700),
        []
    );
    // Too few to say.
    assert_eq!(
        delivered(&[(0, one), (20, one), (30, one)], 40),
        [("delivery", Skip)]
    );
    // The first burst is what happened before.
    let steady = [(0, &*three), (2000, one), (4000, one), (6000, one)];
    assert_eq!(delivered(&steady, 7000), []);
    let clumps = [(0, one), (2000, &*three), (4000, &*three), (6000, &*three)];
    assert_eq!(delivered(&clumps, 7000), [("delivery", Warn)]);
    // Whatever the rhythm: nobody stops for seconds within an event by himself.
    let cut = [
        (0, "data: x\n\ndata"),
        (2000, ": x\n\nda"),
        (4000, "ta: x\n\n"),
    ];
    assert_eq!(delivered(&cut, 5000), [("delivery", Fail)]);
    // Only the first of these was waited for.
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
        "too short to say"
    );
    assert_eq!(silent(&[(0, "data: x\n\n")], 59_000), Some(Skip));
    assert_eq!(silent(&[(0, "data: x\n\n")], 61_000), Some(Warn));
    assert_eq!(silent(&[(61_000, "data: x\n\n")], 62_000), Some(Warn));
    assert_eq!(silent(&[(0, ":\n"), (5_000, ":\n")], 20_000), None);
    assert_eq!(
        silent(&[(0, ":\n:\n"), (10, ":\n")], 20_000),
        Some(Skip),
        "all at once"
    );
    assert_eq!(silent(&[(30_000, "data: x\n\n")], 61_000), None);
}

#[test]
fn what_a_stream_says() {
    with_stream(|it| it.retries.clear(), "retry", Skip);
    with_stream(|it| it.retries = vec![0], "retry", Warn);
    with_stream(|it| it.retries = vec![300_001], "retry", Warn);
    with_stream(|it| it.retries = vec![3000, 4000], "retry", Warn);
    with_stream(|it| it.bad_retry = Some("1s".into()), "retry", Fail);
    with_stream(|it| it.ids_unsendable = 1, "usable-ids", Fail);
    with_stream(|it| it.ids_with_nul = 1, "usable-ids", Fail);
    with_stream(|it| it.events[6].id = None, "ids", Warn);
    with_stream(|it| it.events[6].id = Some("1".into()), "unique-ids", Fail);
    with_stream(
        |it| _ = it.kinds.insert("open".into(), 1),
        "event-types",
        Warn,
    );
    with_stream(
        |it| it.events[0].form = crate::check::observed::Form::AlmostJson,
        "data",
        Warn,
    );
    with_stream(|it| it.events[0].size = 2 << 20, "sizes", Warn);
    with_stream(|it| it.oversize = 1, "sizes", Warn);
    with_stream(|it| it.longest_line = 70_000, "sizes", Warn);
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
}
