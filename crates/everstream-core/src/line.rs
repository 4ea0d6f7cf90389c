//! Line ends across chunk boundaries: CR, LF and CRLF (WHATWG HTML 9.2.5).
//!
//! A CR ends its line at once: the next byte, which may be an LF, might never arrive. The LF is dropped
//! when it does.

use memchr::memchr2;

/// The part of a line that is in a chunk.
pub(crate) enum Piece<'i> {
    /// A line or the rest of one, and the LF, CRLF or CR that ends it.
    End(&'i [u8], &'i [u8]),
    /// The rest of the chunk: the line continues in the next one.
    Open(&'i [u8]),
}

/// Finds line ends. Each byte is scanned once, however the stream is cut into chunks.
#[derive(Debug, Default)]
pub(crate) struct LineEnds {
    late_lf: LateLf,
}

/// Whether the last chunk ended in CR: an LF at the start of the next one belongs to it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LateLf {
    #[default]
    None,
    /// The LF belongs to a line of an event.
    Counted,
    /// The LF belongs to a line that isn't part of an event.
    Uncounted,
}

impl LineEnds {
    /// Takes an LF off a new chunk if it belongs to the last one. Returns what it took.
    #[inline]
    pub(crate) fn take_late_lf(&mut self, input: &mut &[u8]) -> LateLf {
        if self.late_lf != LateLf::None && !input.is_empty() {
            let late_lf = core::mem::take(&mut self.late_lf);
            if let [b'\n', rest @ ..] = *input {
                *input = rest;
                return late_lf;
            }
        }
        LateLf::None
    }

    /// The chunk doesn't begin with a late LF.
    #[inline]
    pub(crate) fn clear_late_lf(&mut self) {
        self.late_lf = LateLf::None;
    }

    /// The line whose end was just taken isn't part of an event.
    #[inline]
    pub(crate) fn uncount_line(&mut self) {
        if self.late_lf == LateLf::Counted {
            self.late_lf = LateLf::Uncounted;
        }
    }

    /// Takes bytes off the front of `input`, after [`take_late_lf`](Self::take_late_lf). `None` if it is
    /// empty.
    #[inline]
    pub(crate) fn take<'i>(&mut self, input: &mut &'i [u8]) -> Option<Piece<'i>> {
        let end = match *input {
            [] => return None,
            // In most streams every second line is empty: not worth a vector search.
            [b'\n' | b'\r', ..] => 0,
            bytes => match memchr2(b'\n', b'\r', bytes) {
                Some(end) => end,
                None => return Some(Piece::Open(core::mem::take(input))),
            },
        };
        let (line, end) = self.take_line(input, end);
        Some(Piece::End(line, end))
    }

    /// Takes a line that ends at `end`, and its line end.
    #[inline]
    pub(crate) fn take_line<'i>(
        &mut self,
        input: &mut &'i [u8],
        end: usize,
    ) -> (&'i [u8], &'i [u8]) {
        let (line, rest) = input.split_at(end);
        let len = match rest {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            [_] => {
                self.late_lf = LateLf::Counted;
                1
            }
            [_, ..] => 1,
            [] => 0,
        };
        let (end, rest) = rest.split_at(len);
        *input = rest;
        (line, end)
    }
}

/// Finds the end of a line that is probably short. Within 16 bytes this takes 4.3 ns, and the vector search,
/// which has more to set up, 6.7 ns. For longer lines the vector search is up to 5 ns faster, so it is used for data.
/// Both words are always examined, because a branch on where a short line ends is hard to predict. A bit mask
/// of 16 or 32 comparisons was slower.
#[inline(always)]
pub(crate) fn find_short_line_end(bytes: &[u8]) -> Option<usize> {
    // In a browser, `u128` is slow and takes much code.
    if cfg!(target_family = "wasm") {
        return find_line_end(bytes);
    }
    const NEAR: usize = size_of::<u128>();
    let Some(near) = bytes.first_chunk::<NEAR>() else {
        return find_line_end(bytes);
    };
    let [low, high] =
        [0, 64].map(|shift| line_end_bits((u128::from_le_bytes(*near) >> shift) as u64));
    let ends = u128::from(high) << 64 | u128::from(low);
    if ends != 0 {
        return Some(ends.trailing_zeros() as usize / 8);
    }
    find_line_end(&bytes[NEAR..]).map(|end| NEAR + end)
}

#[inline(always)]
fn find_line_end(bytes: &[u8]) -> Option<usize> {
    memchr2(b'\n', b'\r', bytes)
}

/// Sets the top bit of each byte that is LF or CR. Only the lowest set bit is reliable.
#[inline(always)]
fn line_end_bits(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xFF;
    let each = |byte: u8| ONES * u64::from(byte);
    // A zero byte borrows from the byte above it.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    (zeros(word ^ each(b'\n')) | zeros(word ^ each(b'\r'))) & each(0x80)
}

/// The bytes after an LF or CRLF. After a CR alone, an LF may still arrive in the next chunk.
#[inline]
pub(crate) fn after_lf(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] => Some(rest),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn lines(chunks: &[&str]) -> Vec<Vec<u8>> {
        let (mut ends, mut lines, mut open) = (LineEnds::default(), Vec::new(), Vec::new());
        for chunk in chunks {
            let mut input = chunk.as_bytes();
            ends.take_late_lf(&mut input);
            while let Some(piece) = ends.take(&mut input) {
                match piece {
                    Piece::Open(bytes) => open.extend_from_slice(bytes),
                    Piece::End(bytes, _) => {
                        open.extend_from_slice(bytes);
                        lines.push(core::mem::take(&mut open));
                    }
                }
            }
        }
        lines
    }

    #[test]
    fn a_short_line_end_is_found_at_any_position() {
        let others = [0, b'\t', 0x0B, 0x0C, 0x0E, b'a', 0x8A, 0x8D, 0xFF];
        for len in 0..40 {
            for (other, end) in others
                .iter()
                .flat_map(|other| [(*other, b'\n'), (*other, b'\r')])
            {
                let mut bytes = [other].repeat(len);
                assert_eq!(find_short_line_end(&bytes), None, "{bytes:?}");
                for at in 0..len {
                    // A line end followed by more line ends.
                    bytes[at] = end;
                    for next in [other, b'\n', b'\r'] {
                        bytes.extend([next]);
                        assert_eq!(find_short_line_end(&bytes), Some(at), "{bytes:?}");
                        bytes.truncate(len);
                    }
                    if let Some(next) = bytes.get_mut(at + 1) {
                        *next = end ^ b'\n' ^ b'\r';
                        assert_eq!(find_short_line_end(&bytes), Some(at), "{bytes:?}");
                        bytes[at + 1] = other;
                    }
                    bytes[at] = other;
                }
            }
        }
    }

    #[test]
    fn lf_cr_and_crlf_each_end_one_line() {
        assert_eq!(
            lines(&["a\nb\rc\r\n\n\r\r\n"]),
            [&b"a"[..], b"b", b"c", b"", b"", b""]
        );
    }

    #[test]
    fn a_crlf_split_over_chunks_is_one_line_end() {
        assert_eq!(lines(&["a\r", "\nb\n"]), [&b"a"[..], b"b"]);
        assert_eq!(lines(&["a\r", "", "\nb\n"]), [&b"a"[..], b"b"]);
    }

    #[test]
    fn cr_ends_a_line_before_the_next_byte_is_known() {
        assert_eq!(lines(&["a\r"]), [b"a"]);
        assert_eq!(lines(&["a\r", "\r"]), [&b"a"[..], b""]);
    }
}
