//! Line ends over chunk edges: CR, LF and CRLF (WHATWG HTML 9.2.5).
//!
//! A line that ends in CR ends there: waiting for the byte after it, which may be an LF, could
//! last for ever. The LF is dropped when it comes.

use memchr::memchr2;

/// The bytes of a line that a chunk holds.
pub(crate) enum Piece<'i> {
    /// A line, and the LF, CRLF or CR that ends it.
    End(&'i [u8], &'i [u8]),
    /// All the rest of the chunk: the line goes on in the next one.
    Open(&'i [u8]),
}

/// Finds line ends. It looks at every byte once, however the stream is cut into chunks.
#[derive(Debug, Default)]
pub(crate) struct LineEnds {
    late_lf: LateLf,
}

/// Whether the last chunk ended in CR: an LF at the start of the next one belongs to it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LateLf {
    #[default]
    None,
    /// To a line of an event.
    Counted,
    /// To a line that isn't part of an event.
    Uncounted,
}

impl LineEnds {
    /// Takes an LF off a new chunk if it belongs to the last one, and says which one it took.
    #[inline]
    pub(crate) fn drop_lf(&mut self, input: &mut &[u8]) -> LateLf {
        if self.late_lf != LateLf::None && !input.is_empty() {
            let late_lf = core::mem::take(&mut self.late_lf);
            if let [b'\n', rest @ ..] = *input {
                *input = rest;
                return late_lf;
            }
        }
        LateLf::None
    }

    /// A line begins with something else than a late LF.
    #[inline]
    pub(crate) fn forget_lf(&mut self) {
        self.late_lf = LateLf::None;
    }

    /// The line whose end was just taken isn't part of an event.
    #[inline]
    pub(crate) fn uncount_line(&mut self) {
        if self.late_lf == LateLf::Counted {
            self.late_lf = LateLf::Uncounted;
        }
    }

    /// Takes bytes off the front of `input`, after [`drop_lf`](Self::drop_lf). `None` if it is
    /// empty.
    #[inline]
    pub(crate) fn take<'i>(&mut self, input: &mut &'i [u8]) -> Option<Piece<'i>> {
        let end = match *input {
            [] => return None,
            // Every second line of most streams is empty: not worth a vector search.
            [b'\n' | b'\r', ..] => 0,
            bytes => match memchr2(b'\n', b'\r', bytes) {
                Some(end) => end,
                None => return Some(Piece::Open(core::mem::take(input))),
            },
        };
        let (line, end) = self.take_line(input, end);
        Some(Piece::End(line, end))
    }

    /// Takes a line whose end was found, and its end.
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

/// Where a line ends that is likely to be short: for what ends within 16 bytes, this takes half the
/// time of the vector search, which has more to set up. Both words are always looked at: where a short
/// line ends is hard to predict.
#[inline(always)]
pub(crate) fn find_near_end(bytes: &[u8]) -> Option<usize> {
    const NEAR: usize = size_of::<u128>();
    let Some(near) = bytes.first_chunk::<NEAR>() else {
        return find_end(bytes);
    };
    let [low, high] = [0, 64].map(|shift| marks((u128::from_le_bytes(*near) >> shift) as u64));
    let ends = u128::from(high) << 64 | u128::from(low);
    if ends != 0 {
        return Some(ends.trailing_zeros() as usize / 8);
    }
    find_end(&bytes[NEAR..]).map(|end| NEAR + end)
}

#[inline(always)]
fn find_end(bytes: &[u8]) -> Option<usize> {
    memchr2(b'\n', b'\r', bytes)
}

/// The top bit of each byte that is LF or CR; what is above the lowest of them may be wrong.
#[inline(always)]
fn marks(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xFF;
    let each = |byte: u8| ONES * u64::from(byte);
    // A byte that is zero borrows from the one above it.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word;
    (zeros(word ^ each(b'\n')) | zeros(word ^ each(b'\r'))) & each(0x80)
}

/// What follows a line's LF or CRLF. After a CR alone an LF may still come in the next chunk.
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
            ends.drop_lf(&mut input);
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
    fn a_near_end_is_found_wherever_it_is() {
        let others = [0, b'\t', 0x0B, 0x0C, 0x0E, b'a', 0x8A, 0x8D, 0xFF];
        for len in 0..40 {
            for (other, end) in others
                .iter()
                .flat_map(|other| [(*other, b'\n'), (*other, b'\r')])
            {
                let mut bytes = [other].repeat(len);
                assert_eq!(find_near_end(&bytes), None, "{bytes:?}");
                for at in 0..len {
                    // An end, and after it more of them.
                    bytes[at] = end;
                    for next in [other, b'\n', b'\r'] {
                        bytes.extend([next]);
                        assert_eq!(find_near_end(&bytes), Some(at), "{bytes:?}");
                        bytes.truncate(len);
                    }
                    if let Some(next) = bytes.get_mut(at + 1) {
                        *next = end ^ b'\n' ^ b'\r';
                        assert_eq!(find_near_end(&bytes), Some(at), "{bytes:?}");
                        bytes[at + 1] = other;
                    }
                    bytes[at] = other;
                }
            }
        }
    }

    #[test]
    fn each_of_the_three_line_ends_ends_one_line() {
        assert_eq!(
            lines(&["a\nb\rc\r\n\n\r\r\n"]),
            [&b"a"[..], b"b", b"c", b"", b"", b""]
        );
    }

    #[test]
    fn crlf_cut_in_two_is_one_end() {
        assert_eq!(lines(&["a\r", "\nb\n"]), [&b"a"[..], b"b"]);
        assert_eq!(lines(&["a\r", "", "\nb\n"]), [&b"a"[..], b"b"]);
    }

    #[test]
    fn cr_ends_a_line_before_the_next_byte_is_known() {
        assert_eq!(lines(&["a\r"]), [b"a"]);
        assert_eq!(lines(&["a\r", "\r"]), [&b"a"[..], b""]);
    }
}
