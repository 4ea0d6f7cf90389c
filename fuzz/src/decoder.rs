//! A stream, decoded without a limit and with a small one, compared with the standard's algorithm.

use std::hint::black_box;

use allocation_counter::measure;
use arbitrary::{Arbitrary, Unstructured};
use everstream_core::{Decoder, Oversize};

use crate::limits::{self, REJECTED, SKIPPED, Setting};
use crate::support::reference::Reference;
use crate::support::{FORMS, compare, decode};

#[derive(Arbitrary)]
struct Input<'a> {
    limit: u8,
    resumes: bool,
    stream: &'a [u8],
}

/// Computing when each item is due takes time quadratic in the length of the stream.
const TIMED: usize = 1000;

/// Decodes a stream, and panics unless the items are the standard's.
///
/// ```
/// everstream_fuzz::decoder(b"\x40\x00data: hello\n\n");
/// ```
pub fn decoder(input: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(input)) else {
        return;
    };
    let resume = input.resumes.then_some("resumed");
    unlimited(resume, &input.stream[..input.stream.len().min(TIMED)]);
    for oversize in [Oversize::Skip, Oversize::Fail] {
        for owned in [false, true] {
            limited(
                Setting {
                    limit: input.limit.into(),
                    oversize,
                    owned,
                    resume,
                },
                input.stream,
            );
        }
    }
}

fn unlimited(resume: Option<&str>, stream: &[u8]) {
    let mut reference = Reference::resuming(resume);
    let due = reference.interpret_timed(stream);
    for form in FORMS {
        let outcome = decode(resume, &[stream], &[], form).and_then(|decoded| {
            let [decoded] = &decoded[..] else {
                return Err("one stream was given".to_owned());
            };
            compare(stream, &due, reference.last_event_id(), decoded)
        });
        if let Err(why) = outcome {
            panic!("\n\"{}\", {form:?}: {why}", stream.escape_ascii());
        }
    }
}

fn limited(setting: Setting<'_>, stream: &[u8]) {
    let mut reference = Reference::resuming(setting.resume);
    let expected = limits::expected(setting.limit, &mut reference, stream);
    let (mut items, last) = limits::decoded(setting, [stream]);
    // Each skipped event was rejected first. Other lines may have been rejected too.
    let mut rejected = 0;
    for item in &items {
        match item {
            item if *item == REJECTED => rejected += 1,
            item if *item == SKIPPED && setting.oversize == Oversize::Fail => {
                assert!(rejected > 0, "skipped but never rejected");
                rejected = 0;
            }
            _ => {}
        }
    }
    items.retain(|item| *item != REJECTED);
    let Setting {
        limit, oversize, ..
    } = setting;
    let shown = stream.escape_ascii();
    assert_eq!(items, expected, "limit {limit}, {oversize:?}: \"{shown}\"");
    assert_eq!(
        last.as_deref(),
        reference.last_event_id(),
        "limit {limit}, {oversize:?}: \"{shown}\""
    );

    let peak = measure(|| {
        let mut decoder = Decoder::with_limit(limit, oversize);
        for mut chunk in stream.chunks(64) {
            while let Some(item) = decoder.decode_owned(&mut chunk).transpose() {
                black_box(item.is_ok());
            }
        }
    });
    // An invalid byte becomes three, and a growing buffer exists twice.
    let bound = 1000 + 24 * limit as u64;
    assert!(peak.bytes_max <= bound, "limit {limit}: {peak:?}");
}
