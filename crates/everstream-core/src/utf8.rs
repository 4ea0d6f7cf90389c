//! UTF-8 decoding as in the Encoding standard: every maximal invalid part becomes U+FFFD.
//!
//! Decoding line by line, or all data at once, has the same result as decoding the whole stream, because
//! line ends are ASCII, and an ASCII byte always ends an unfinished sequence.

use alloc::string::String;

/// How many bytes one input byte can become: U+FFFD has three bytes and replaces at least one.
pub(crate) const MAX_GROWTH: usize = char::REPLACEMENT_CHARACTER.len_utf8();

/// How many bytes the validation processes at a time.
const VALIDATION_BLOCK: usize = 64;

/// The text, if all of it is valid.
#[inline]
pub(crate) fn valid(bytes: &[u8]) -> Option<&str> {
    simdutf8::basic::from_utf8(bytes).ok()
}

/// The first `len` bytes as text, if all of them are valid.
///
/// The bytes after them are validated too, up to a whole number of blocks, because a partial block costs
/// as much as four full ones: 227 bytes take 11.8 ns, 256 bytes 8.8 ns.
#[inline]
pub(crate) fn valid_prefix(bytes: &[u8], len: usize) -> Option<&str> {
    // A browser has no vector instructions unless they are enabled.
    if cfg!(target_family = "wasm") {
        return valid(bytes.get(..len)?);
    }
    match bytes.get(..len.next_multiple_of(VALIDATION_BLOCK)) {
        // If the last byte isn't ASCII, a character may be cut there, and validation would mostly fail.
        Some(blocks @ [.., last]) if last.is_ascii() => {
            if let Some(text) = valid(blocks).and_then(|text| text.get(..len)) {
                return Some(text);
            }
        }
        _ => {}
    }
    valid(bytes.get(..len)?)
}

/// Reserves space. Capacity grows by half: doubling would need up to three times the limit while the
/// buffer is copied.
pub(crate) fn reserve(out: &mut String, more: usize) {
    if out.capacity() - out.len() < more {
        out.reserve_exact(more.max(out.capacity() / 2));
    }
}

/// Appends a complete text.
pub(crate) fn push_complete(out: &mut String, text: &[u8]) {
    if !push_lossy(out, text).is_empty() {
        out.push(char::REPLACEMENT_CHARACTER);
    }
}

/// Appends everything but an unfinished sequence at the end (at most three bytes), and returns that.
pub(crate) fn push_lossy<'i>(out: &mut String, mut bytes: &'i [u8]) -> &'i [u8] {
    if let Some(text) = valid(bytes) {
        out.push_str(text);
        return &[];
    }
    reserve(out, bytes.len().saturating_mul(MAX_GROWTH));
    loop {
        match core::str::from_utf8(bytes) {
            Ok(text) => {
                out.push_str(text);
                return &[];
            }
            Err(error) => {
                let (valid, rest) = bytes.split_at(error.valid_up_to());
                // Already validated: this never fails.
                out.push_str(core::str::from_utf8(valid).unwrap_or_default());
                let Some(invalid) = error.error_len() else {
                    return rest;
                };
                out.push(char::REPLACEMENT_CHARACTER);
                bytes = &rest[invalid..];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn bytes_after_a_prefix_do_not_affect_its_validity() {
        let whole = ["", "x", "\u{e9}", "\u{20ac}", "\u{1d11e}"];
        let broken: [&[u8]; 5] = [b"\xFF", b"\x80", b"\xC3", b"\xE2\x82", b"\xF0\x9D\x84"];
        let after: [&[u8]; 5] = [b"", b"\n", b"\n\xFFdata", b"\n\xE2\x82\xAC", b"\n\xC3"];
        for len in 0..150 {
            for (after, fill) in after.iter().zip([0, 1, 63, 64, 200]) {
                let rest = [after, &[b'a'].repeat(fill)[..], after].concat();
                let with = |end: &[u8]| {
                    let prefix = [&[b'a'].repeat(len)[..], end].concat();
                    let bytes = [&prefix[..], &rest].concat();
                    (bytes, prefix.len())
                };
                for end in whole {
                    let (bytes, len) = with(end.as_bytes());
                    let expected = core::str::from_utf8(&bytes[..len]).ok();
                    assert!(expected.is_some());
                    assert_eq!(valid_prefix(&bytes, len), expected);
                }
                for end in broken {
                    let (bytes, len) = with(end);
                    assert_eq!(valid_prefix(&bytes, len), None);
                }
            }
        }
    }

    #[test]
    fn a_prefix_that_ends_within_a_character_is_invalid() {
        let text: Vec<u8> = "\u{e9}".repeat(64).into_bytes();
        assert_eq!(valid_prefix(&text, 63), None);
        assert!(valid_prefix(&text, 64).is_some());
        assert_eq!(valid_prefix(&text, 129), None, "longer than there is");
    }
}
