//! A stream cut into chunks, compared with the same stream in one chunk.

use arbitrary::{Arbitrary, Unstructured};
use everstream_core::Oversize;

use crate::limits::{self, Setting};
use crate::support::{Decoded, FORMS, Form, Seen, decode};

#[derive(Arbitrary)]
struct Input<'a> {
    limit: u8,
    /// Where the first stream ends. The rest is a second stream for the same decoder.
    end: u16,
    /// The sizes of the chunks, repeated.
    sizes: [u8; 6],
    bytes: &'a [u8],
}

/// Cuts a stream into chunks, and panics if that makes a difference.
///
/// ```
/// everstream_fuzz::chunking(b"\x40\xFF\x00\x01\x02\x03\x04\x05\x06data: hello\n\n");
/// ```
pub fn chunking(input: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(input)) else {
        return;
    };
    let bytes = input.bytes;
    let cuts = cuts(&input.sizes, bytes.len());

    let (first, second) = bytes.split_at(bytes.len().min(input.end.into()));
    for form in FORMS {
        let uncut = match form {
            Form::WithoutComments => form,
            _ => Form::Borrowed,
        };
        let whole = items(decode(None, &[first, second], &[], uncut));
        let cut = items(decode(None, &[first, second], &cuts, form));
        assert_eq!(
            cut,
            whole,
            "{cuts:?}, {form:?}: \"{}\"",
            bytes.escape_ascii()
        );
    }

    for oversize in [Oversize::Fail, Oversize::Skip] {
        let setting = |owned| Setting {
            limit: input.limit.into(),
            oversize,
            owned,
            resume: None,
        };
        let whole = limits::decoded(setting(false), [bytes]);
        for owned in [false, true] {
            let chunks = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]);
            assert_eq!(
                limits::decoded(setting(owned), chunks),
                whole,
                "limit {}, {oversize:?}, {cuts:?}: \"{}\"",
                input.limit,
                bytes.escape_ascii()
            );
        }
    }
}

/// Ascending positions, from the start to the end.
pub(crate) fn cuts(sizes: &[u8], len: usize) -> Vec<usize> {
    let mut cuts = vec![0];
    if sizes.iter().any(|size| *size > 0) {
        let mut at = 0;
        for size in sizes.iter().cycle() {
            at += usize::from(*size);
            if at >= len {
                break;
            }
            cuts.push(at);
        }
    }
    cuts.push(len);
    cuts
}

/// The items of each stream, and the last event id at its end.
fn items(decoded: Result<Vec<Decoded>, String>) -> Vec<(Vec<Seen>, Option<String>)> {
    let decoded = decoded.expect("nothing is too large");
    let of_one = |stream: Decoded| {
        let items = stream
            .arrivals
            .into_iter()
            .map(|arrival| match arrival.item {
                Seen::Id(_) => Seen::Id(arrival.last),
                item => item,
            });
        (items.collect(), stream.last)
    };
    decoded.into_iter().map(of_one).collect()
}
