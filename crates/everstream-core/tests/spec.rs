//! Every case of `spec/cases.txt`, cut into chunks in every way.

mod cases;

use cases::Case;
use everstream_core::{Decoder, ItemRef};

use crate::support::reference::Reference;
use crate::support::{self, Due, FORMS, Form, Seen, compare, decode};

/// Cases up to this length are cut at every position; longer ones where `interesting` says.
const EVERY_SPLIT: usize = 1000;
/// The same for two cuts at once, whose number is half the square of the length.
const EVERY_DOUBLE_SPLIT: usize = 300;

fn all() -> Vec<Case> {
    cases::read(include_str!("spec/cases.txt")).expect("the case file can be read")
}

/// Decodes a case that is cut at these positions, and panics if anything differs.
fn check(case: &Case, cuts: &[usize], form: Form) {
    let streams: Vec<&[u8]> = case
        .streams
        .iter()
        .map(|stream| &stream.bytes[..])
        .collect();
    let outcome = decode(case.resume.as_deref(), &streams, cuts, form).and_then(|decoded| {
        let lasts = case.last_of_each_stream();
        for ((stream, decoded), last) in case.streams.iter().zip(&decoded).zip(&lasts) {
            compare(&stream.bytes, &stream.due, last.as_deref(), decoded)?;
        }
        let last = decoded.last().and_then(|decoded| decoded.last.as_deref());
        if last != case.last.as_deref() {
            return Err(format!(
                "at the end, the last event id is {last:?}, not {:?}",
                case.last
            ));
        }
        Ok(())
    });
    if let Err(why) = outcome {
        let Case { name, clause, .. } = case;
        let sent: String = streams.iter().map(|stream| shown(stream)).collect();
        let cuts = match cuts {
            [] => "whole".to_owned(),
            _ if cuts.len() > 10 => format!("cut at {} positions", cuts.len()),
            _ => format!("cut at {cuts:?}"),
        };
        panic!("\n{name}\n({clause})\n{sent}{cuts}, {form:?}: {why}");
    }
}

fn shown(stream: &[u8]) -> String {
    match stream.get(..600) {
        Some(head) => format!("  {}... ({} bytes)\n", head.escape_ascii(), stream.len()),
        None => format!("  {}\n", stream.escape_ascii()),
    }
}

/// All positions of a short case. For a long one: those near its start and end, near each item, and
/// near each power of two, where buffers end.
fn interesting(case: &Case, every: usize) -> Vec<usize> {
    let len = case.len();
    if len <= every {
        return (0..=len).collect();
    }
    let powers = (0..usize::BITS)
        .map(|power| 1 << power)
        .take_while(|power| *power < len);
    let items = case
        .streams
        .iter()
        .flat_map(|stream| stream.due.iter().map(|due| due.at));
    let mut near: Vec<usize> = powers
        .chain(items)
        .chain([0, len])
        .flat_map(|position: usize| position.saturating_sub(4)..=position + 4)
        .filter(|position| *position <= len)
        .collect();
    near.sort_unstable();
    near.dedup();
    near
}

#[test]
fn a_stream_in_one_chunk_decodes_as_the_standard_requires() {
    for case in all() {
        for form in FORMS {
            check(&case, &[], form);
        }
    }
}

/// Each byte is its own chunk, so `check` proves that each item is returned with its last byte and not
/// one byte later.
#[test]
fn every_item_is_returned_with_its_last_byte() {
    for case in all() {
        let cuts: Vec<usize> = (1..case.len()).collect();
        for form in FORMS {
            check(&case, &cuts, form);
        }
    }
}

#[test]
fn empty_chunks_between_all_bytes_change_nothing() {
    for case in all() {
        let cuts: Vec<usize> = (0..=case.len()).flat_map(|cut| [cut, cut]).collect();
        check(&case, &cuts, Form::Alternating);
    }
}

#[test]
fn the_chunk_size_changes_nothing() {
    for case in all() {
        for size in [2, 3, 5, 7, 16, 31, 64, 1024] {
            let cuts: Vec<usize> = (0..case.len()).step_by(size).collect();
            check(&case, &cuts, Form::Alternating);
        }
    }
}

#[test]
fn a_cut_at_any_position_changes_nothing() {
    for case in all() {
        for cut in interesting(&case, EVERY_SPLIT) {
            for form in FORMS {
                check(&case, &[cut], form);
            }
        }
    }
}

#[test]
fn two_cuts_at_any_positions_change_nothing() {
    for case in all() {
        let cuts = interesting(&case, EVERY_DOUBLE_SPLIT);
        // Each pair of cuts decodes the whole case, so long ones get one form and fewer cuts.
        let long = case.len() > EVERY_DOUBLE_SPLIT;
        let (forms, step) = if long {
            (&[Form::Alternating][..], 3)
        } else {
            (&FORMS[..2], 1)
        };
        for (number, first) in cuts.iter().enumerate().step_by(step) {
            for second in cuts[number..].iter().step_by(step) {
                for form in forms {
                    check(&case, &[*first, *second], *form);
                }
            }
        }
    }
}

/// The random streams are compared with the reference only, so the reference itself must be right.
#[test]
fn the_reference_agrees_with_every_case() {
    for case in all() {
        let mut reference = Reference::resuming(case.resume.as_deref());
        for stream in &case.streams {
            let got = reference.clone().interpret(&stream.bytes);
            let items: Vec<Seen> = stream.due.iter().map(|due| due.item.clone()).collect();
            assert_eq!(got, items, "{}", case.name);
            assert_eq!(
                reference.interpret_timed(&stream.bytes),
                stream.due,
                "{}",
                case.name
            );
        }
        assert_eq!(
            reference.last_event_id(),
            case.last.as_deref(),
            "{}",
            case.name
        );
    }
}

#[test]
fn every_case_is_read_and_cites_a_clause() {
    let cases = all();
    assert_eq!(cases.len(), cases::COUNT);
    for case in cases {
        assert!(
            case.clause.starts_with("9.2."),
            "{}: {:?}",
            case.name,
            case.clause
        );
    }
}

/// Items before the last line end of a prefix are final; the rest of the prefix must have no effect.
#[test]
fn a_prefix_of_a_stream_decodes_like_a_complete_stream() {
    for case in all().iter().filter(|case| case.len() <= EVERY_SPLIT) {
        let mut reference = Reference::resuming(case.resume.as_deref());
        let mut before: Vec<&[u8]> = Vec::new();
        for stream in &case.streams {
            for end in 0..=stream.bytes.len() {
                let prefix = &stream.bytes[..end];
                let due: Vec<Due> = stream
                    .due
                    .iter()
                    .filter(|due| due.at <= end)
                    .cloned()
                    .collect();
                let mut after = reference.clone();
                after.interpret(prefix);
                let streams: Vec<&[u8]> = before.iter().copied().chain([prefix]).collect();
                let outcome = decode(case.resume.as_deref(), &streams, &[], Form::Borrowed)
                    .and_then(|decoded| {
                        let decoded = decoded.last().ok_or("no stream")?;
                        compare(prefix, &due, after.last_event_id(), decoded)
                    });
                if let Err(why) = outcome {
                    panic!("\n{}\n{}{why}", case.name, shown(prefix));
                }
            }
            reference.interpret(&stream.bytes);
            before.push(&stream.bytes);
        }
    }
}

/// Rescanning or copying the line for each chunk would take minutes.
#[test]
fn a_long_line_in_small_chunks_is_decoded_in_linear_time() {
    const LEN: usize = 8 << 20;
    let mut stream = b"data: ".to_vec();
    stream.resize(stream.len() + LEN, b'x');
    stream.extend(b"\n\n");
    let mut decoder = Decoder::new();
    let mut events = 0;
    for mut chunk in stream.chunks(500) {
        while let Ok(Some(item)) = decoder.decode(&mut chunk) {
            let ItemRef::Event(event) = item else {
                panic!("not an event")
            };
            assert_eq!(event.data().len(), LEN);
            assert!(event.data().bytes().all(|byte| byte == b'x'));
            events += 1;
        }
        assert!(chunk.is_empty());
    }
    assert_eq!(events, 1);
}

#[test]
fn the_last_event_id_can_be_set_and_cleared_between_streams() {
    let mut decoder = Decoder::new();
    assert_eq!(decoder.last_event_id(), None);
    decoder.set_last_event_id(Some("a"));
    assert_eq!(decoder.last_event_id(), Some("a"));
    decoder.end();
    assert_eq!(decoder.last_event_id(), Some("a"));
    decoder.set_last_event_id(None);
    assert_eq!(decoder.last_event_id(), None);
    let mut input = &b"data: b\n\n"[..];
    let item = decoder.decode(&mut input).ok().flatten();
    let Some(ItemRef::Event(event)) = item else {
        panic!("not an event")
    };
    assert_eq!(event.last_event_id(), None);
}
