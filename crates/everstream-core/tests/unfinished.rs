//! The end of a stream: the size of an unfinished event, the text of a stream without any field, and
//! events that are dispatched without their blank line.

use everstream_core::{Decoder, Event, Item, Oversize, TooLarge};

use crate::model::{pick, stream};
use crate::numbers::{Random, number_from_environment};

const STREAMS: u64 = 10_000;
const BOM: &[u8] = b"\xEF\xBB\xBF";
const MAX_IGNORED_TEXT: usize = 200;

/// Pieces of a stream without fields.
#[rustfmt::skip]
const TEXT: &[&[u8]] = &[
    b"{\"error\": \"overloaded\"}", b"error: {\"code\": 503}\n", b"<html>\r\n", b"\n", b"\r", b"\r\n", b"da",
    b"{", b"}", b"  ", b"\n\n", "\u{e9}".as_bytes(), "\u{1d11e}".as_bytes(), b"\xFF", b"\xC3", BOM, b"ret",
    b"retry", b"a: b", b"0123456789012345678901234567890123456789",
];

fn text(random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..random.below(24) {
        out.extend(pick(random, TEXT));
    }
    if random.one_in(10) {
        out.extend(pick(
            random,
            &[&b": c\n"[..], b"retry: 5\n", b"data: x", b"id"],
        ));
        out.extend(pick(random, TEXT));
    }
    out
}

fn feed(decoder: &mut Decoder, mut chunk: &[u8]) -> Result<Vec<Item>, TooLarge> {
    let mut items = Vec::new();
    while let Some(item) = decoder.decode_owned(&mut chunk)? {
        items.push(item);
    }
    Ok(items)
}

/// A line as received: its content, and the bytes that end it, if any.
fn lines(mut rest: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut lines = Vec::new();
    while !rest.is_empty() {
        let cut = rest.len();
        let at = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let (line, after) = rest.split_at(at.unwrap_or(cut));
        let end = match after {
            [b'\r', b'\n', ..] => 2,
            [_, ..] => 1,
            [] => 0,
        };
        lines.push((line, &after[..end]));
        rest = &after[end..];
    }
    lines
}

fn name(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b':').next().unwrap_or_default()
}

/// The size of the unfinished event at the end of this stream, and the stream's text if it has no field
/// and no comment.
fn model(stream: &[u8]) -> (usize, Option<String>) {
    let stream = stream.strip_prefix(BOM).unwrap_or(stream);
    let (mut size, mut known, mut start, mut at) = (0, false, None, 0);
    for (line, end) in lines(stream) {
        match name(line) {
            _ if line.is_empty() => size = 0,
            b"data" | b"event" | b"id" => {
                size += line.len() + end.len();
                known = true;
            }
            b"" | b"retry" => known = true,
            _ => {
                start.get_or_insert(at);
                let may_become = |name: &[u8]| end.is_empty() && name.starts_with(line);
                if may_become(b"data") || may_become(b"event") || may_become(b"id") {
                    size += line.len();
                }
            }
        }
        at += line.len() + end.len();
    }
    let text = start.filter(|_| !known).map(|start| {
        let text = &stream[start..];
        let shown = String::from_utf8_lossy(&text[..text.len().min(MAX_IGNORED_TEXT)]).into_owned();
        let is_cut = text.len() > MAX_IGNORED_TEXT
            && std::str::from_utf8(&text[..MAX_IGNORED_TEXT]).is_err_and(|mut error| {
                // There may be more errors after the first one.
                let mut rest = &text[..MAX_IGNORED_TEXT];
                loop {
                    let Some(len) = error.error_len() else {
                        break true;
                    };
                    rest = &rest[error.valid_up_to() + len..];
                    match std::str::from_utf8(rest) {
                        Ok(_) => break false,
                        Err(next) => error = next,
                    }
                }
            });
        let shown = match is_cut {
            true => shown
                .strip_suffix(char::REPLACEMENT_CHARACTER)
                .unwrap_or(&shown),
            false => &shown,
        };
        shown.trim_end_matches(['\r', '\n']).to_owned()
    });
    (size, text)
}

fn check(seed: u64) -> (bool, bool) {
    let mut random = Random(seed);
    let mut bytes = match random.one_in(2) {
        true => stream(&mut random),
        false => text(&mut random),
    };
    if random.one_in(4) {
        bytes.splice(..0, BOM.iter().copied());
    }
    bytes.truncate(bytes.len() - random.below(bytes.len().min(8) + 1));
    let limit = match random.one_in(3) {
        true => random.below(40),
        false => usize::MAX,
    };
    let oversize = pick(&mut random, &[Oversize::Fail, Oversize::Skip]);
    let one_cut_in = pick(&mut random, &[1, 2, 4, 10, 1000]);
    let mut decoder = Decoder::with_limit(limit, oversize);
    // The second stream checks that the first one leaves no state behind.
    for stream in [&bytes, &text(&mut random)] {
        let mut start = 0;
        decoder.set_ignore_comments(random.one_in(3));
        for end in 1..=stream.len() {
            if end == stream.len() || random.one_in(one_cut_in) {
                let mut chunk = &stream[start..end];
                while !matches!(decoder.decode_owned(&mut chunk), Ok(None)) {}
                start = end;
            }
        }
        let found = (decoder.unfinished_bytes(), decoder.ignored_text());
        assert_eq!(found, model(stream), "{}", stream.escape_ascii());
        decoder.end();
    }
    let (size, text) = model(&bytes);
    (size > 0, text.is_some())
}

#[test]
fn unfinished_bytes_and_ignored_text_do_not_depend_on_chunking() {
    let first = number_from_environment("EVERSTREAM_SEED", 1);
    let streams = number_from_environment("EVERSTREAM_STREAMS", STREAMS);
    let (mut unfinished, mut ignored) = (0, 0);
    for seed in first..first.saturating_add(streams) {
        match std::panic::catch_unwind(|| check(seed)) {
            Ok((size, text)) => {
                unfinished += u64::from(size);
                ignored += u64::from(text);
            }
            Err(panic) => {
                eprintln!("\nEVERSTREAM_SEED={seed} EVERSTREAM_STREAMS=1 reproduces this.");
                std::panic::resume_unwind(panic);
            }
        }
    }
    // Guards against streams that leave too little to prove anything.
    if streams == STREAMS {
        let enough = STREAMS / 10;
        assert!(
            unfinished > enough && ignored > enough,
            "{unfinished} {ignored}"
        );
    }
}

fn at_the_end(stream: &str) -> (usize, Option<String>) {
    let mut decoder = Decoder::new();
    feed(&mut decoder, stream.as_bytes()).unwrap();
    (decoder.unfinished_bytes(), decoder.ignored_text())
}

#[test]
fn only_data_event_and_id_lines_count_as_unfinished() {
    for (stream, size) in [
        ("", 0),
        ("data: a\n\n", 0),
        ("data: a\n", 8),
        ("data: a\r\n", 9),
        ("data: a", 7),
        ("event: e\nid: 1\ndata: a\ndata: b", 30),
        ("data: a\n: comment\nretry: 5\nother: 1\n", 8),
        ("data: a\n: comm", 8),
        ("data: a\nretry: 10", 8),
        ("dat", 3),
        ("id", 2),
        ("e", 1),
        ("dato", 0),
        ("{\"error\"", 0),
        (":x", 0),
        ("id: with\0nul\n", 13),
        ("data: a\n\ndata: b", 7),
    ] {
        assert_eq!(at_the_end(stream).0, size, "{stream:?}");
    }
}

#[test]
fn a_stream_without_any_field_or_comment_is_reported_as_text() {
    let html = "<html>\r\n\r\n<h1>Bad gateway</h1>";
    for (stream, text) in [
        ("", None),
        ("\n\r\n\r", None),
        ("error: {\"code\":503}\n\n", Some("error: {\"code\":503}")),
        ("{\n  \"error\": 1\n}\n", Some("{\n  \"error\": 1\n}")),
        ("{\"error\": 1}", Some("{\"error\": 1}")),
        (html, Some(html)),
        ("oops\n: comment\n", None),
        ("oops\nretry: x\n", None),
        ("oops\nretry", None),
        ("data: a\n\noops\n", None),
        ("oops\ndata", None),
        ("oops\nda", Some("oops\nda")),
    ] {
        assert_eq!(at_the_end(stream).1.as_deref(), text, "{stream:?}");
    }
}

#[test]
fn ignored_text_is_truncated_between_characters() {
    for (before, shown) in [(198, 198), (199, 199), (200, 200), (197, 200)] {
        let stream = "x".repeat(before) + "\u{20ac}\u{20ac}";
        let text = at_the_end(&stream).1.unwrap();
        assert_eq!(text.len(), shown, "{before}");
        assert!(stream.starts_with(&text));
    }
}

fn dispatched(stream: &[u8]) -> (Vec<Item>, Option<Item>) {
    let mut decoder = Decoder::new();
    let items = feed(&mut decoder, stream).unwrap();
    let last = decoder.dispatch_unfinished().unwrap();
    assert_eq!(decoder.unfinished_bytes(), 0, "{}", stream.escape_ascii());
    decoder.end();
    let next = feed(&mut decoder, b"data: next\n\n").unwrap();
    assert!(matches!(&next[..], [Item::Event(event)] if event.data() == "next"));
    (items, last)
}

#[test]
fn the_last_event_can_be_dispatched_without_its_blank_line() {
    let event = |data| Some(Item::Event(Event::new("message", data, None)));
    for (stream, last) in [
        (&b"data: a\n\n"[..], None),
        (b"data: a\n", event("a")),
        (b"data: a\r", event("a")),
        (b"data: a", event("a")),
        (b"data: a\ndata: b", event("a\nb")),
        (b"data: a\ndata", event("a\n")),
        (b"data: a\ndat", event("a")),
        (b"data: a\n: comm", event("a")),
        (b"data: a\nretry: 10", event("a")),
        (b"retry: 10", None),
        (b"event: e\n", None),
        (b"id: 7", Some(Item::Id)),
        (b"data: \xE2\x82", event("\u{FFFD}")),
        (b"\xEF\xBB\xBFdata: a", event("a")),
    ] {
        assert_eq!(dispatched(stream).1, last, "{}", stream.escape_ascii());
    }
}

#[test]
fn dispatch_unfinished_returns_the_same_as_a_blank_line() {
    for seed in 1..=STREAMS / 4 {
        let mut random = Random(seed);
        let mut bytes = stream(&mut random);
        while matches!(bytes.last(), Some(b'\r' | b'\n')) {
            bytes.pop();
        }
        let last_line = lines(&bytes)
            .last()
            .map(|(line, _)| *line)
            .unwrap_or_default();
        if matches!(
            name(last_line.strip_prefix(BOM).unwrap_or(last_line)),
            b"" | b"retry"
        ) {
            continue;
        }
        let (mut items, last) = dispatched(&bytes);
        items.extend(last);
        bytes.extend(b"\n\n");
        let mut decoder = Decoder::new();
        let whole = feed(&mut decoder, &bytes).unwrap();
        assert_eq!(items, whole, "{}", bytes.escape_ascii());
    }
}

#[test]
fn an_event_dispatched_at_the_end_obeys_the_limit_and_sets_the_last_event_id() {
    let mut decoder = Decoder::with_limit(10, Oversize::Fail);
    feed(&mut decoder, b"data: abc\ndata: def").unwrap();
    assert!(matches!(
        decoder.dispatch_unfinished(),
        Ok(Some(Item::Event(_)))
    ));
    decoder.end();
    feed(&mut decoder, b"data: abcd\nid:1234567").unwrap();
    assert_eq!(decoder.dispatch_unfinished(), Err(TooLarge { limit: 10 }));
    decoder.end();
    feed(&mut decoder, b"id: 7\ndata: x").unwrap();
    assert_eq!(decoder.last_event_id(), None);
    assert!(matches!(
        decoder.dispatch_unfinished(),
        Ok(Some(Item::Event(_)))
    ));
    assert_eq!(decoder.last_event_id(), Some("7"));
}
