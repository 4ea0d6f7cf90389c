//! Memory, counted by the allocator for this thread only.

use std::hint::black_box;

use allocation_counter::{AllocationInfo, measure};
use everstream_core::{Action, Decoder, Event, Item, ItemRef, Oversize};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Decodes chunks and drops the items. Continues after `TooLarge`.
fn decode_all<'a>(decoder: &mut Decoder, chunks: impl IntoIterator<Item = &'a [u8]>) -> usize {
    let mut items = 0;
    for mut chunk in chunks {
        while let Some(item) = decoder.decode_owned(&mut chunk).transpose() {
            black_box(item.is_ok());
            items += 1;
        }
    }
    items
}

fn peak(info: AllocationInfo) -> usize {
    usize::try_from(info.bytes_max).unwrap()
}

#[test]
fn event_and_item_types_are_small() {
    assert_eq!(size_of::<Event>(), 32);
    assert_eq!(size_of::<Option<Event>>(), 32);
    assert!(size_of::<Action>() <= 40, "{}", size_of::<Action>());
    assert!(size_of::<Item>() <= 40, "{}", size_of::<Item>());
}

const TYPICAL: &[u8] = b"id: 17\nevent: put\ndata: {\"a\":1}\n\n";

#[test]
fn an_owned_event_is_one_allocation() {
    let mut decoder = Decoder::new();
    // The first event allocates the buffers for type and id.
    for _ in 0..2 {
        decode_all(&mut decoder, [TYPICAL]);
    }
    let info = measure(|| {
        let Ok(Some(Item::Event(event))) = decoder.decode_owned(&mut &*TYPICAL) else {
            panic!("an event was sent");
        };
        // The allocation is exactly as large as its contents.
        let text = event.event().len() + event.data().len() + event.id().unwrap().len();
        assert_eq!(text, 3 + 7 + 2);
        black_box(event);
    });
    assert_eq!((info.count_total, info.bytes_total), (1, 12));
}

#[test]
fn an_owned_event_of_several_lines_and_chunks_is_one_allocation() {
    let stream = b"data: first\ndata: second\r\ndata: third\n\n";
    for size in [1, 7, stream.len()] {
        let mut decoder = Decoder::new();
        decode_all(&mut decoder, stream.chunks(size));
        let info = measure(|| {
            assert_eq!(decode_all(&mut decoder, stream.chunks(size)), 1);
        });
        assert_eq!(info.count_total, 1, "in chunks of {size}");
    }
}

#[test]
fn a_borrowed_event_needs_no_allocation() {
    for stream in [
        TYPICAL,
        b"data: 1\n\n",
        b"data: 1\ndata: 2\n\n",
        b": comment\ndata: \xFF\n\n",
    ] {
        for size in [1, 5, stream.len()] {
            let mut decoder = Decoder::new();
            let mut events = 0;
            let mut decode = || {
                for mut chunk in stream.chunks(size) {
                    while let Some(item) = decoder.decode(&mut chunk).unwrap() {
                        events += usize::from(matches!(item, ItemRef::Event(_)));
                    }
                }
            };
            decode();
            decode();
            assert_eq!(measure(&mut decode).count_total, 0, "in chunks of {size}");
            assert_eq!(events, 3);
        }
    }
}

#[test]
fn into_data_does_not_copy_the_data() {
    let event = Event::new("put", &"x".repeat(MIB), Some("1"));
    let info = measure(|| {
        black_box(event.into_data());
    });
    assert_eq!(info.bytes_total, 0);
}

#[test]
fn large_buffered_data_is_moved_into_its_event() {
    let mut decoder = Decoder::new();
    let large = [b"data: ", &vec![b'x'; MIB][..], b"\n"].concat();
    decode_all(&mut decoder, large.chunks(4 * KIB));
    let mut event = None;
    let info = measure(|| event = decoder.decode_owned(&mut &b"\n"[..]).unwrap());
    assert!(matches!(event, Some(Item::Event(event)) if event.data().len() == MIB));
    // The buffer shrinks to its contents; a copy would be a second allocation.
    assert!(info.bytes_current <= 0, "{info:?}");
}

#[test]
fn an_event_after_a_large_one_allocates_only_its_own_size() {
    let mut decoder = Decoder::new();
    let large = [b"data: ", &vec![b'x'; MIB][..], b"\n\n"].concat();
    decode_all(&mut decoder, large.chunks(4 * KIB));
    let info = measure(|| {
        decode_all(&mut decoder, [TYPICAL]);
    });
    assert!(info.bytes_total < 100, "{info:?}");
}

/// The memory that a decoder retains after one large item and a small event.
fn kept_after(large: &[u8], chunk: usize) -> i64 {
    let mut decoder = Decoder::new();
    let info = measure(|| {
        decode_all(&mut decoder, large.chunks(chunk));
        decode_all(&mut decoder, [&b"data: x\n\n"[..]]);
    });
    info.bytes_current
}

#[test]
fn memory_of_a_large_event_is_freed_by_the_next_event() {
    let long = vec![b'x'; MIB];
    for (before, after) in [
        ("data: ", "\n\n"),
        ("data: x\ndata: ", "\n\n"),
        ("event: ", "\ndata: x\n\n"),
        ("event: ", "\n\n"),
        (": ", "\n"),
        ("unknown: ", "\n"),
        ("", "\n"),
    ] {
        let stream = [before.as_bytes(), &long, after.as_bytes()].concat();
        for chunk in [4 * KIB, stream.len() - 1, stream.len()] {
            let kept = kept_after(&stream, chunk);
            assert!(
                kept <= 64 * KIB as i64,
                "{kept} bytes after {before:?} in chunks of {chunk}"
            );
        }
    }
}

#[test]
fn a_large_id_is_kept_until_a_newer_one_arrives() {
    let long = vec![b'x'; MIB];
    let stream = [b"id: ", &long[..], b"\n\n"].concat();
    assert!(kept_after(&stream, 4 * KIB) >= MIB as i64);
    let stream = [&stream[..], b"id: 1\n\n"].concat();
    assert!(kept_after(&stream, 4 * KIB) <= 64 * KIB as i64);
}

const LIMIT: usize = 64 * KIB;

/// The peak memory for a stream of 1 MiB in chunks of 4 KiB.
fn peak_of_endless(start: &[u8], repeated: &[u8], oversize: Oversize) -> usize {
    let mut chunk = Vec::new();
    while chunk.len() < 4 * KIB {
        chunk.extend_from_slice(repeated);
    }
    let info = measure(|| {
        let mut decoder = Decoder::with_limit(LIMIT, oversize);
        decode_all(&mut decoder, [start]);
        for _ in 0..MIB / chunk.len() {
            decode_all(&mut decoder, [&chunk[..]]);
        }
    });
    peak(info)
}

#[test]
fn memory_for_endless_input_is_bounded_by_the_limit() {
    for (start, repeated) in [
        ("", "x"),
        ("data: ", "x"),
        ("data: ", "\u{FFFD}"),
        ("event: ", "x"),
        ("id: ", "x"),
        ("retry: ", "1"),
        ("", ":"),
        ("unknown: ", "x"),
        ("", "data: x\n"),
        ("", "data\n"),
        ("", "data: x\r"),
        ("", "event: x\n"),
        ("", "id: x\n"),
        ("", "retry: 1\n"),
        ("", ": x\n"),
        ("", "unknown: x\n"),
        ("", "\n"),
    ] {
        for oversize in [Oversize::Fail, Oversize::Skip] {
            let peak = peak_of_endless(start.as_bytes(), repeated.as_bytes(), oversize);
            assert!(
                peak <= 3 * LIMIT,
                "{peak} bytes for {start:?} and endless {repeated:?}, {oversize:?}"
            );
        }
    }
}

/// Invalid bytes triple in size when decoded.
#[test]
fn memory_for_endless_invalid_bytes_is_bounded_by_the_limit() {
    for start in ["data: ", "event: ", ": "] {
        let peak = peak_of_endless(start.as_bytes(), b"\xFF", Oversize::Skip);
        assert!(peak <= 4 * LIMIT, "{peak} bytes for {start:?}");
    }
}

/// Regression test: a large chunk was decoded far beyond the limit before the limit was checked.
#[test]
fn memory_for_large_invalid_chunks_is_at_most_three_times_the_limit() {
    const LIMIT: usize = 4 * MIB;
    for size in (1..=20).map(|n| n * 50 * KIB) {
        let chunk = vec![0xFF; size];
        let mut decoder = Decoder::with_limit(LIMIT, Oversize::Skip);
        let info = measure(|| {
            decode_all(&mut decoder, [&b"data: "[..]]);
            decode_all(
                &mut decoder,
                std::iter::repeat_n(&chunk[..], 6 * LIMIT / size),
            );
        });
        let peak = peak(info);
        assert!(peak <= 3 * LIMIT, "{peak} bytes in chunks of {size}");
    }
}

/// A decoder that reassembles a long line for every chunk would allocate and copy quadratically.
#[test]
fn allocations_for_a_long_line_are_linear_in_its_length() {
    for before in ["data: ", "event: ", ": ", "unknown: "] {
        let total = |length: usize| {
            let stream = [before.as_bytes(), &vec![b'x'; length][..], b"\n\n"].concat();
            let info = measure(|| {
                decode_all(&mut Decoder::new(), stream.chunks(100));
            });
            usize::try_from(info.bytes_total).unwrap()
        };
        for length in [MIB / 8, MIB] {
            let total = total(length);
            assert!(
                total <= 8 * length,
                "{total} bytes were allocated for {before:?} and {length} bytes"
            );
        }
    }
}
