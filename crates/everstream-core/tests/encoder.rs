//! Encoded events decode to the same events; values that can't be encoded are rejected.

use std::time::Duration;

use everstream_core::{Decoder, EncodeError, Encoder, Event, Item};

use crate::numbers::Random;

fn decode(wire: &str) -> (Vec<Item>, Option<String>) {
    let mut decoder = Decoder::new();
    let (mut input, mut items) = (wire.as_bytes(), Vec::new());
    while let Some(item) = decoder.decode_owned(&mut input).unwrap() {
        items.push(item);
    }
    (items, decoder.last_event_id().map(String::from))
}

#[track_caller]
fn round_trip(event: &Event) {
    let mut encoder = Encoder::new();
    encoder.event(event).unwrap();
    let wire = encoder.take();
    let data = event.data().replace("\r\n", "\n").replace('\r', "\n");
    let due = Event::new(event.event(), &data, event.id());
    let (items, _) = decode(&wire);
    assert_eq!(items, [Item::Event(due)], "{wire:?}");
}

#[test]
fn special_characters_survive_a_round_trip() {
    for text in [
        "",
        " ",
        "  two spaces",
        "\t",
        ":",
        ": no comment",
        "data: x",
        "\u{FEFF}",
        "\u{FEFF}text",
        "trailing ",
        "NUL\0inside",
        "\u{2028}\u{85}\u{B}\u{C}",
        "äöü 日本 \u{1F600}",
        "\u{FFFD}",
    ] {
        round_trip(&Event::new("", text, None));
        round_trip(&Event::new(text, "x", None));
        if !text.contains('\0') {
            round_trip(&Event::new("", "x", Some(text)));
        }
    }
}

#[test]
fn every_line_end_in_data_decodes_as_lf() {
    for data in [
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\r\r",
        "\n\r",
        "\r\n\r\n",
        "a\nb",
        "a\r\n\rb",
        "\na",
        "a\n",
        "a\r\n",
        " a\n b",
        "a\n\nevent: x",
    ] {
        round_trip(&Event::new("put", data, Some("1")));
    }
}

impl Random {
    /// Any Unicode, with extra weight on characters that are special in a stream.
    fn text(&mut self, longest: usize, without: &[char]) -> String {
        const SPECIAL: [char; 10] = [
            '\n', '\r', ' ', ':', '\0', '\u{FEFF}', 'd', '\u{2028}', '\u{85}', '\u{FFFD}',
        ];
        (0..self.below(longest))
            .filter_map(|_| match self.below(3) {
                0 => Some(SPECIAL[self.below(SPECIAL.len())]),
                1 => char::from_u32(u32::try_from(self.below(0x11_0000)).unwrap()),
                _ => char::from_u32(u32::try_from(0x20 + self.below(0x60)).unwrap()),
            })
            .filter(|character| !without.contains(character))
            .collect()
    }
}

#[test]
fn random_events_survive_a_round_trip() {
    for seed in 0..5000 {
        let mut random = Random(seed);
        let (mut encoder, mut due) = (Encoder::new(), Vec::new());
        for _ in 0..3 {
            let event = random.text(8, &['\r', '\n']);
            let data = random.text(30, &[]);
            let id = random.text(8, &['\r', '\n', '\0']);
            let event = Event::new(&event, &data, Some(&id));
            round_trip(&event);
            encoder.event(&event).unwrap();
            due.push((
                event.event().to_owned(),
                data.replace("\r\n", "\n").replace('\r', "\n"),
                id,
            ));
        }
        let (items, last) = decode(encoder.as_str());
        let got: Vec<_> = items
            .iter()
            .map(|item| match item {
                Item::Event(event) => (
                    event.event().to_owned(),
                    event.data().to_owned(),
                    event.id().unwrap().to_owned(),
                ),
                other => panic!("seed {seed}: {other:?}"),
            })
            .collect();
        assert_eq!(got, due, "seed {seed}");
        assert_eq!(last.unwrap_or_default(), due[2].2, "seed {seed}");
    }
}

#[test]
fn an_id_from_an_earlier_event_is_not_written_again() {
    let (items, _) = decode("id: 1\ndata: a\n\ndata: b\n\n");
    let mut encoder = Encoder::new();
    for item in items {
        let Item::Event(event) = item else { panic!() };
        encoder.event(&event).unwrap();
    }
    assert_eq!(encoder.take(), "id: 1\ndata: a\n\ndata: b\n\n");
}

#[test]
fn the_default_type_is_not_written() {
    let mut encoder = Encoder::new();
    for event in ["", "message"] {
        encoder.event(&Event::new(event, "x", None)).unwrap();
    }
    assert_eq!(encoder.take(), "data: x\n\ndata: x\n\n");
}

#[test]
fn an_empty_id_is_written_and_clears_the_last_event_id() {
    let mut encoder = Encoder::new();
    encoder.id("1").unwrap();
    encoder.event(&Event::new("", "x", Some(""))).unwrap();
    let (items, last) = decode(encoder.as_str());
    assert!(matches!(&items[1], Item::Event(event) if event.id() == Some("")));
    assert_eq!(last, None);
}

#[test]
fn types_and_ids_with_line_ends_are_rejected_and_nothing_is_written() {
    for bad in ["\n", "\r", "a\nb", "a\r", "1\ndata: injected", "\r\n"] {
        let mut encoder = Encoder::new();
        let event = Event::new(bad, "x", None);
        assert_eq!(encoder.event(&event), Err(EncodeError::Event));
        let event = Event::new("put", "x", Some(bad));
        assert_eq!(encoder.event(&event), Err(EncodeError::Id));
        assert_eq!(encoder.id(bad), Err(EncodeError::Id));
        assert_eq!(encoder.as_str(), "");
    }
}

/// Receivers ignore such an id.
#[test]
fn an_id_with_nul_is_rejected() {
    let mut encoder = Encoder::new();
    let event = Event::new("", "x", Some("a\0"));
    assert_eq!(encoder.event(&event), Err(EncodeError::Id));
    assert_eq!(encoder.id("\0"), Err(EncodeError::Id));
    assert_eq!(encoder.as_str(), "");
}

#[test]
fn earlier_output_survives_a_rejected_event() {
    let mut encoder = Encoder::new();
    encoder.comment("x");
    assert!(encoder.id("\n").is_err());
    assert_eq!(encoder.take(), ": x\n");
}

#[test]
fn a_comment_decodes_only_to_comments() {
    for seed in 0..2000 {
        let text = Random(seed).text(20, &[]);
        let mut encoder = Encoder::new();
        encoder.comment(&text);
        encoder.comment(&format!("x\n\ndata: {text}\n\n"));
        let (items, _) = decode(&format!("{}\n", encoder.as_str()));
        assert!(
            items.iter().all(|item| matches!(item, Item::Comment(_))),
            "seed {seed}: {items:?}"
        );
    }
}

#[test]
fn a_decoded_comment_includes_the_space_after_the_colon() {
    let mut encoder = Encoder::new();
    encoder.comment("still here");
    let (items, _) = decode(encoder.as_str());
    assert_eq!(items, [Item::Comment(" still here".into())]);
}

#[test]
fn retry_is_rounded_down_to_milliseconds() {
    for (written, read) in [
        (Duration::ZERO, Duration::ZERO),
        (Duration::from_micros(1999), Duration::from_millis(1)),
        (Duration::from_secs(5), Duration::from_secs(5)),
    ] {
        let mut encoder = Encoder::new();
        encoder.retry(written);
        assert_eq!(decode(encoder.as_str()).0, [Item::Retry(read)]);
    }
    let mut encoder = Encoder::new();
    encoder.retry(Duration::MAX);
    assert!(matches!(
        decode(encoder.as_str()).0[..],
        [Item::Retry(delay)] if delay >= Duration::from_secs(1 << 50)
    ));
}

/// Otherwise they would end or join an event that a relay is still writing.
#[test]
fn retries_comments_and_ids_between_events_do_not_affect_the_events() {
    let mut encoder = Encoder::new();
    encoder.retry(Duration::from_secs(1));
    encoder.event(&Event::new("put", "a", None)).unwrap();
    encoder.comment("c");
    encoder.id("7").unwrap();
    encoder.event(&Event::new("", "b", None)).unwrap();
    let (items, last) = decode(encoder.as_str());
    let kinds: Vec<String> = items
        .iter()
        .map(|item| match item {
            Item::Event(event) => format!("{} {}", event.event(), event.data()),
            Item::Comment(text) => format!(":{text}"),
            Item::Retry(_) => "retry".into(),
            Item::Id => "id".into(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(kinds, ["retry", "put a", ": c", "id", "message b"]);
    assert_eq!(last.as_deref(), Some("7"));
}
