//! What is too large, and the consequences, don't depend on how the stream is cut.

use everstream_core::{Decoder, Item, Oversize, TooLarge};

use crate::numbers::Random;

#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Event(String, String),
    Comment(String),
    Retry(u128),
    Id,
    Skipped,
    TooLarge,
}

use Seen::{Skipped, TooLarge as Rejected};

fn event(data: &str) -> Seen {
    Seen::Event("message".into(), data.into())
}

struct Limited {
    decoder: Decoder,
    seen: Vec<Seen>,
}

impl Limited {
    fn new(limit: usize, oversize: Oversize) -> Self {
        Limited {
            decoder: Decoder::with_limit(limit, oversize),
            seen: Vec::new(),
        }
    }

    /// Continues after `TooLarge`, as users of the decoder may.
    fn feed(&mut self, mut bytes: &[u8]) {
        loop {
            self.seen.push(match self.decoder.decode_owned(&mut bytes) {
                Ok(None) => return,
                Ok(Some(Item::Event(event))) => {
                    Seen::Event(event.event().into(), event.into_data())
                }
                Ok(Some(Item::Comment(text))) => Seen::Comment(text),
                Ok(Some(Item::Retry(delay))) => Seen::Retry(delay.as_millis()),
                Ok(Some(Item::Id)) => Seen::Id,
                Ok(Some(Item::Skipped)) => Skipped,
                Ok(Some(other)) => panic!("{other:?} is unknown"),
                Err(TooLarge { .. }) => Rejected,
            });
        }
    }
}

/// Decodes a stream in one chunk, in two chunks cut at each position, and byte by byte, and checks that
/// the items are the same. Returns them with the last event id.
#[track_caller]
fn decode(limit: usize, oversize: Oversize, stream: &[u8]) -> (Vec<Seen>, Option<String>) {
    let decode = |chunks: &[&[u8]]| {
        let mut limited = Limited::new(limit, oversize);
        for chunk in chunks {
            limited.feed(chunk);
        }
        let id = limited.decoder.last_event_id().map(String::from);
        (limited.seen, id)
    };
    let whole = decode(&[stream]);
    for cut in 0..=stream.len() {
        let (head, tail) = stream.split_at(cut);
        assert_eq!(
            decode(&[head, tail]),
            whole,
            "{:?} | {:?}, limit {limit}",
            String::from_utf8_lossy(head),
            String::from_utf8_lossy(tail)
        );
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(
        decode(&bytes),
        whole,
        "{:?} byte by byte, limit {limit}",
        String::from_utf8_lossy(stream)
    );
    whole
}

#[track_caller]
fn skips(limit: usize, stream: &str, seen: &[Seen], id: Option<&str>) {
    let (got, last) = decode(limit, Oversize::Skip, stream.as_bytes());
    assert_eq!((&got[..], last.as_deref()), (seen, id), "{stream:?}");
}

#[track_caller]
fn fails(limit: usize, stream: &str, seen: &[Seen]) {
    let (got, _) = decode(limit, Oversize::Fail, stream.as_bytes());
    assert_eq!(got, seen, "{stream:?}");
}

#[test]
fn a_line_at_the_limit_is_accepted_and_one_byte_more_is_too_large() {
    fails(10, "data: 1234\n\n", &[event("1234")]);
    fails(10, "data: 12345\n\n", &[Rejected, Skipped]);
    skips(
        10,
        "data: 12345\n\ndata: b\n\n",
        &[Skipped, event("b")],
        None,
    );
}

#[test]
fn a_line_is_rejected_as_soon_as_it_exceeds_the_limit() {
    for name in ["data", "event", "id", "", "retry", "unknown"] {
        let line = format!("{name}: and what doesn't end");
        for cut in 0..20 {
            let mut limited = Limited::new(20, Oversize::Fail);
            let (head, tail) = line.split_at(cut);
            limited.feed(head.as_bytes());
            assert_eq!(limited.seen, [], "{head:?}");
            limited.feed(tail.as_bytes());
            assert_eq!(limited.seen, [Rejected], "{head:?} | {tail:?}");
        }
    }
}

#[test]
fn line_ends_do_not_count_towards_the_limit() {
    for end in ["\n", "\r", "\r\n"] {
        let stream = format!("data: 1234{end}{end}");
        fails(10, &stream, &[event("1234")]);
    }
}

#[test]
fn the_limit_applies_to_all_data_lines_together() {
    let fits = "data: 1234\ndata: 56789\n\n";
    fails(11, fits, &[event("1234\n56789")]);
    let too_large = "data: 12345\ndata: 67890\ndata\n\ndata: b\n\n";
    fails(11, too_large, &[Rejected, Skipped, event("b")]);
    skips(11, too_large, &[Skipped, event("b")], None);
}

#[test]
fn the_limit_applies_to_data_type_and_id_together() {
    // 4 + 4 + 4 bytes.
    let stream = "id: 1234\nevent: 1234\ndata: 1234\n\n";
    let whole = Seen::Event("1234".into(), "1234".into());
    fails(12, stream, &[whole]);
    fails(11, stream, &[Rejected, Skipped]);
}

#[test]
fn an_id_over_the_limit_is_dropped_and_the_previous_id_stays() {
    let stream = "id: 1\ndata: a\n\nid: 0123456789\ndata: b\n\ndata: c\n\n";
    skips(10, stream, &[event("a"), Skipped, event("c")], Some("1"));
    fails(10, stream, &[event("a"), Rejected, Skipped, event("c")]);
}

/// Otherwise the server would send the same event again after each reconnect.
#[test]
fn the_id_of_a_skipped_event_is_kept_wherever_it_appears() {
    for stream in [
        "id: 2\ndata: 0123456789\n\n",
        "data: 0123456789\nid: 2\n\n",
        "data: 01234\nid: 2\ndata: 56789\n\n",
    ] {
        skips(11, stream, &[Skipped], Some("2"));
    }
}

#[test]
fn an_id_that_exceeds_the_limit_after_decoding_is_not_kept() {
    let stream = b"id: 1\n\nid: \xFF\xFF\xFF\xFF\ndata: a\n\n";
    let (seen, id) = decode(10, Oversize::Skip, stream);
    assert_eq!((seen, id.as_deref()), (vec![Seen::Id, Skipped], Some("1")));
}

/// Regression test: the decoder kept such an id.
#[test]
fn an_id_that_exceeds_the_limit_in_a_skipped_event_is_not_kept() {
    let stream = b"id: 1\n\ndata: 0123456789\nid: \xFF\xFF\xFF\xFF\n\ndata: a\n\n";
    let (seen, id) = decode(10, Oversize::Skip, stream);
    assert_eq!(seen, [Seen::Id, Skipped, event("a")]);
    assert_eq!(id.as_deref(), Some("1"));
    let (seen, _) = decode(10, Oversize::Fail, stream);
    assert_eq!(seen, [Seen::Id, Rejected, Rejected, Skipped, event("a")]);
}

#[test]
fn oversize_comments_unknown_fields_and_retries_do_not_affect_the_event() {
    for long in [
        ": 0123456789",
        "unknown: 0123456789",
        "unknown0123456789",
        "retry: 0000000000",
        "database: 012345",
        "eventual: 012345",
        "idle: 0123456789",
    ] {
        let stream = format!("data: 1\n{long}\ndata: 2\n\n");
        skips(10, &stream, &[event("1\n2")], None);
        fails(10, &stream, &[Rejected, event("1\n2")]);
        // Even if all of the data arrived before: regression test for lost data.
        let stream = format!("data: 1\n{long}\n\n");
        fails(10, &stream, &[Rejected, event("1")]);
    }
}

#[test]
fn an_oversize_event_field_discards_the_event() {
    for long in ["data: 0123456789", "event: 012345678", "id: 0123456789a"] {
        let stream = format!("data: 1\n{long}\ndata: 2\n\ndata: 3\n\n");
        skips(10, &stream, &[Skipped, event("3")], None);
        fails(10, &stream, &[Rejected, Skipped, event("3")]);
    }
}

#[test]
fn an_oversize_field_is_recognized_after_a_bom() {
    for long in ["data: 0123456789", "event: 012345678", "id: 0123456789a"] {
        let stream = format!("\u{FEFF}{long}\ndata: 2\n\ndata: 3\n\n");
        skips(12, &stream, &[Skipped, event("3")], None);
    }
}

#[test]
fn a_bom_after_an_oversize_first_line_is_not_stripped() {
    for long in ["unknown: 0123", ": 0123456789ab", "retry: 000000"] {
        let stream = format!("{long}\n\u{FEFF}data: 1\ndata: 2\n\n");
        skips(12, &stream, &[event("2")], None);
    }
}

#[test]
fn limits_shorter_than_a_field_name_are_enforced() {
    for limit in 0..8 {
        for stream in [
            "data: 0123456789\ndata: a\n\n",
            "event: 0123456789\ndata: a\n\n",
            "id: 0123456789\ndata: a\n\n",
            "\u{FEFF}event: 0123456789\n\n",
            "\u{FEFF}\n\n",
        ] {
            decode(limit, Oversize::Skip, stream.as_bytes());
            decode(limit, Oversize::Fail, stream.as_bytes());
        }
    }
}

/// The replacement of an invalid byte is three bytes long.
#[test]
fn the_limit_applies_to_decoded_data() {
    let (seen, _) = decode(20, Oversize::Fail, b"data: \xFF\xFF\xFF\xFF\xFF\xFF\n\n");
    assert_eq!(seen, [event(&"\u{FFFD}".repeat(6))]);
    let (seen, _) = decode(17, Oversize::Fail, b"data: \xFF\xFF\xFF\xFF\xFF\xFF\n\n");
    assert_eq!(seen, [Rejected, Skipped]);
    let (seen, _) = decode(
        8,
        Oversize::Skip,
        b"data: \xE2\x82\n\ndata: \xFF\xFF\xFF\n\n",
    );
    assert_eq!(seen, [event("\u{FFFD}"), Skipped]);
}

/// Regression test: it appeared in the next event that was split over chunks.
#[test]
fn a_partial_character_of_a_skipped_event_is_discarded() {
    let mut limited = Limited::new(20, Oversize::Skip);
    limited.feed(b"data: 0123456789\ndata: 0123456789\xE2");
    limited.feed(b"\x82\xAC\n\ndata: b");
    limited.feed(b"\n\n");
    assert_eq!(limited.seen, [Skipped, event("b")]);
}

/// An LF belongs to the CR at the end of a chunk only if it is the very next byte.
#[test]
fn a_cr_before_a_skipped_line_does_not_swallow_a_later_lf() {
    for (long, seen) in [
        (&b":abcdefghij"[..], [event("a"), event("b")]),
        (b"data:abcdef", [Skipped, event("b")]),
    ] {
        let mut limited = Limited::new(8, Oversize::Skip);
        limited.feed(b"x\r");
        limited.feed(long);
        limited.feed(b"k\ndata:a\n");
        limited.feed(b"\ndata:b\n\n");
        assert_eq!(limited.seen, seen);
    }
}

#[test]
fn random_streams_near_the_limit_get_the_same_verdict_however_they_are_split() {
    const NAMES: [&[u8]; 10] = [
        b"data:", b"data: ", b"data", b"event:", b"id: ", b":", b"retry:", b"x:", b"", b"dat",
    ];
    const VALUES: [&[u8]; 8] = [b"", b"1", b"abc", b"\xFF", b"\0", b" ", b"\xE2\x82", b":"];
    for seed in 0..3000 {
        let mut random = Random(seed);
        let mut stream = Vec::new();
        if random.below(5) == 0 {
            stream.extend_from_slice("\u{FEFF}".as_bytes());
        }
        for _ in 0..1 + random.below(7) {
            if random.below(4) > 0 {
                stream.extend_from_slice(NAMES[random.below(NAMES.len())]);
                for _ in 0..random.below(6) {
                    stream.extend_from_slice(VALUES[random.below(VALUES.len())]);
                }
            }
            let ends: [&[u8]; 3] = [b"\n", b"\r\n", b"\r"];
            stream.extend_from_slice(ends[random.below(3)]);
        }
        let limit = random.below(25);
        for oversize in [Oversize::Fail, Oversize::Skip] {
            let (mut whole, _) = decode(limit, oversize, &stream);
            for turn in 0..10 {
                let mut limited = Limited::new(limit, oversize);
                if turn >= 5 {
                    // Ignoring comments doesn't change the verdict either.
                    limited.decoder.set_ignore_comments(true);
                    whole.retain(|seen| !matches!(seen, Seen::Comment(_)));
                }
                let (mut rest, mut cuts) = (&stream[..], Vec::new());
                while !rest.is_empty() {
                    let (chunk, tail) = rest.split_at(1 + random.below(rest.len()));
                    cuts.push(chunk.len());
                    limited.feed(chunk);
                    rest = tail;
                }
                assert_eq!(
                    limited.seen,
                    whole,
                    "seed {seed}: \"{}\" cut into {cuts:?}, limit {limit}",
                    stream.escape_ascii()
                );
            }
        }
    }
}
