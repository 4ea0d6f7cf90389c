//! Read buffers, pooled per thread: a stream that waits for data holds none.

use std::cell::RefCell;
use std::ops::Range;

use bytes::Bytes;

/// The size of a buffer: large enough to read a busy socket at full speed.
pub(super) const SIZE: usize = 64 << 10;

/// How many buffers a thread keeps. One is enough for a reader that finishes each chunk before it
/// reads the next one; the others are for chunks that are kept longer.
const MAX_POOLED: usize = 4;

/// Pieces up to this size are copied out of the buffer. A larger piece takes over the whole buffer, which
/// is then at most eight times as large as the piece.
const MAX_COPIED: usize = SIZE / 8;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn take_from_pool() -> Vec<u8> {
    // While the thread ends, its pool no longer exists.
    let pooled = POOL.try_with(|pool| pool.borrow_mut().pop());
    pooled.ok().flatten().unwrap_or_else(|| vec![0; SIZE])
}

fn give_back(buffer: Vec<u8>) {
    if buffer.len() == SIZE {
        _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < MAX_POOLED {
                pool.push(buffer);
            }
        });
    }
}

/// Bytes that were received and not consumed yet: the range `filled` of `bytes`.
///
/// `bytes` is empty while the buffer is in the pool. Otherwise its length is the capacity.
#[derive(Debug, Default)]
pub(super) struct ReadBuffer {
    bytes: Vec<u8>,
    filled: Range<usize>,
}

impl ReadBuffer {
    /// The received bytes, mutable because they are decoded in place.
    #[inline]
    pub(super) fn filled(&mut self) -> &mut [u8] {
        &mut self.bytes[self.filled.clone()]
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.filled.is_empty()
    }

    /// Space to read into, never empty. A full buffer grows, for response heads larger than the buffer.
    pub(super) fn unfilled(&mut self) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes = take_from_pool();
            self.filled = 0..0;
        } else if self.filled.is_empty() {
            self.filled = 0..0;
        } else if self.filled.end == self.bytes.len() {
            if self.filled.start > 0 {
                self.bytes.copy_within(self.filled.clone(), 0);
                self.filled = 0..self.filled.len();
            } else {
                self.bytes.resize(2 * self.bytes.len(), 0);
            }
        }
        &mut self.bytes[self.filled.end..]
    }

    /// Marks this many bytes of [`unfilled`](Self::unfilled) as received.
    #[inline]
    pub(super) fn received(&mut self, length: usize) {
        self.filled.end = (self.filled.end + length).min(self.bytes.len());
    }

    /// Removes this many bytes from the front.
    #[inline]
    pub(super) fn consume(&mut self, length: usize) {
        self.filled.start = (self.filled.start + length).min(self.filled.end);
    }

    /// Removes `consumed` bytes from the front, and returns the `part` of them.
    #[inline]
    pub(super) fn take(&mut self, part: Range<usize>, consumed: usize) -> Bytes {
        let start = self.filled.start;
        let part = start + part.start..start + part.end;
        self.consume(consumed);
        if part.len() <= MAX_COPIED || !self.is_empty() {
            let copy = Bytes::copy_from_slice(&self.bytes[part]);
            // It may be long until the caller reads again.
            self.release_if_empty();
            return copy;
        }
        self.filled = 0..0;
        let whole = DetachedBuffer(std::mem::take(&mut self.bytes));
        Bytes::from_owner(whole).slice(part)
    }

    /// Returns the buffer to the pool if it has no data.
    #[inline]
    pub(super) fn release_if_empty(&mut self) {
        if self.is_empty() && !self.bytes.is_empty() {
            self.filled = 0..0;
            give_back(std::mem::take(&mut self.bytes));
        }
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        give_back(std::mem::take(&mut self.bytes));
    }
}

/// A buffer taken over by a piece. It goes to the pool of the thread that drops the piece.
struct DetachedBuffer(Vec<u8>);

impl AsRef<[u8]> for DetachedBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for DetachedBuffer {
    fn drop(&mut self) {
        give_back(std::mem::take(&mut self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pooled() -> usize {
        POOL.with_borrow(Vec::len)
    }

    fn receive(buffer: &mut ReadBuffer, bytes: &[u8]) {
        buffer.unfilled()[..bytes.len()].copy_from_slice(bytes);
        buffer.received(bytes.len());
    }

    #[test]
    fn an_empty_buffer_returns_to_the_pool() {
        std::thread::spawn(|| {
            let mut buffer = ReadBuffer::default();
            buffer.release_if_empty();
            assert_eq!(pooled(), 0, "nothing was allocated yet");
            receive(&mut buffer, b"abc");
            buffer.release_if_empty();
            assert_eq!(
                (buffer.filled().len(), pooled()),
                (3, 0),
                "the buffer isn't empty"
            );
            buffer.consume(3);
            buffer.release_if_empty();
            assert_eq!((buffer.bytes.capacity(), pooled()), (0, 1));
            receive(&mut buffer, b"d");
            assert_eq!((buffer.filled(), pooled()), (&mut [b'd'][..], 0));
            drop(buffer);
            assert_eq!(pooled(), 1);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn small_pieces_are_copied_and_large_ones_take_over_the_buffer() {
        std::thread::spawn(|| {
            let mut buffer = ReadBuffer::default();
            receive(&mut buffer, &[7; MAX_COPIED]);
            let small = buffer.take(0..MAX_COPIED, MAX_COPIED);
            assert_eq!(small, vec![7; MAX_COPIED]);
            buffer.release_if_empty();
            assert_eq!(pooled(), 1, "the small piece doesn't keep the buffer");

            receive(&mut buffer, &[8; MAX_COPIED + 1]);
            let large = buffer.take(0..MAX_COPIED + 1, MAX_COPIED + 1);
            buffer.release_if_empty();
            assert_eq!(pooled(), 0);
            assert_eq!(large, vec![8; MAX_COPIED + 1]);
            drop(large);
            assert_eq!(pooled(), 1);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn bytes_after_a_large_piece_are_kept() {
        let mut buffer = ReadBuffer::default();
        receive(&mut buffer, &[1; 2 * MAX_COPIED]);
        let piece = buffer.take(0..2 * MAX_COPIED - 1, 2 * MAX_COPIED - 1);
        assert_eq!(
            (piece.len(), buffer.filled()),
            (2 * MAX_COPIED - 1, &mut [1][..])
        );
    }

    #[test]
    fn a_full_buffer_compacts_then_grows() {
        let mut buffer = ReadBuffer::default();
        receive(&mut buffer, &[1; SIZE]);
        buffer.consume(1);
        assert_eq!(buffer.unfilled().len(), 1, "data moves to the front");
        assert_eq!(buffer.filled().len(), SIZE - 1);
        buffer.received(1);
        assert_eq!(buffer.unfilled().len(), SIZE, "the buffer grows");
        assert_eq!(buffer.filled().len(), SIZE);
    }

    #[test]
    fn the_pool_is_bounded_in_any_thread_that_drops_pieces() {
        let pieces: Vec<Bytes> = (0..100)
            .map(|_| {
                let mut buffer = ReadBuffer::default();
                receive(&mut buffer, &[1; SIZE]);
                buffer.take(0..SIZE, SIZE)
            })
            .collect();
        std::thread::spawn(move || {
            drop(pieces);
            assert_eq!(pooled(), MAX_POOLED);
        })
        .join()
        .unwrap();
    }
}
