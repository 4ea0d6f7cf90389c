//! UTF-8 decoding as the Encoding standard does it: every maximal invalid part becomes U+FFFD.
//!
//! Working on single lines and on pieces of them gives what decoding the whole stream would,
//! because a line end is ASCII, and an ASCII byte always ends an unfinished sequence.

use alloc::string::String;

/// A sequence that began in an earlier piece and isn't finished: at most three bytes.
#[derive(Debug, Default)]
pub(crate) struct Unfinished {
    bytes: [u8; 4],
    /// `len <= 3` between calls.
    len: usize,
}

impl Unfinished {
    /// Appends the next piece of a text that comes in pieces.
    pub(crate) fn push(&mut self, out: &mut String, mut piece: &[u8]) {
        while self.len > 0 {
            let [next, rest @ ..] = piece else { return };
            self.bytes[self.len] = *next;
            match core::str::from_utf8(&self.bytes[..=self.len]) {
                Ok(character) => {
                    out.push_str(character);
                    self.len = 0;
                    piece = rest;
                }
                // Still a beginning: go on collecting.
                Err(error) if error.error_len().is_none() => {
                    self.len += 1;
                    piece = rest;
                }
                // `next` doesn't belong to it: it starts something of its own.
                Err(_) => {
                    out.push(char::REPLACEMENT_CHARACTER);
                    self.len = 0;
                }
            }
        }
        let tail = push_lossy(out, piece);
        self.bytes[..tail.len()].copy_from_slice(tail);
        self.len = tail.len();
    }

    /// The text is over: what is unfinished will stay so.
    pub(crate) fn end(&mut self, out: &mut String) {
        if self.len > 0 {
            out.push(char::REPLACEMENT_CHARACTER);
            self.len = 0;
        }
    }
}

/// The text, if all of it is valid.
#[inline]
pub(crate) fn valid(bytes: &[u8]) -> Option<&str> {
    simdutf8::basic::from_utf8(bytes).ok()
}

/// Appends a whole text.
pub(crate) fn push_whole(out: &mut String, text: &[u8]) {
    if !push_lossy(out, text).is_empty() {
        out.push(char::REPLACEMENT_CHARACTER);
    }
}

/// Appends all but an unfinished sequence at the very end (at most three bytes), which it returns.
fn push_lossy<'i>(out: &mut String, mut bytes: &'i [u8]) -> &'i [u8] {
    if let Some(text) = valid(bytes) {
        out.push_str(text);
        return &[];
    }
    loop {
        match core::str::from_utf8(bytes) {
            Ok(text) => {
                out.push_str(text);
                return &[];
            }
            Err(error) => {
                let (valid, rest) = bytes.split_at(error.valid_up_to());
                // Validated a moment ago: the second look never fails.
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
