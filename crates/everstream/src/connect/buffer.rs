//! Read buffers, pooled by each thread: a stream that waits for data holds none.

use std::cell::RefCell;
use std::ops::Range;

use bytes::Bytes;

/// Large enough to read what a socket has in one call, at full speed.
pub(super) const SIZE: usize = 64 << 10;

/// How many buffers a thread keeps. One is enough for a reader that is done with a chunk before it
/// reads the next one; the others are for chunks that wait.
const POOLED: usize = 4;

/// Up to this size bytes are copied out of the buffer. A larger piece takes the buffer with it, so that
/// what it holds is at most eight times its size.
const COPIED: usize = SIZE / 8;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

fn take() -> Vec<u8> {
    // The pool is gone when its thread ends.
    let pooled = POOL.try_with(|pool| pool.borrow_mut().pop());
    pooled.ok().flatten().unwrap_or_else(|| vec![0; SIZE])
}

fn give_back(buffer: Vec<u8>) {
    if buffer.len() == SIZE {
        _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < POOLED {
                pool.push(buffer);
            }
        });
    }
}

/// Bytes that were received and not used yet: `filled` of `bytes`.
///
/// `bytes` is empty while nothing is here. Otherwise its length is what there is room for.
#[derive(Debug, Default)]
pub(super) struct ReadBuffer {
    bytes: Vec<u8>,
    filled: Range<usize>,
}

impl ReadBuffer {
    /// What is here, to be changed in place.
    #[inline]
    pub(super) fn filled(&mut self) -> &mut [u8] {
        &mut self.bytes[self.filled.clone()]
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.filled.is_empty()
    }

    /// Room to read into, never empty. A full buffer grows, for a head that is larger than it.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes = take();
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

    /// This many bytes were read into [`room`](Self::room).
    #[inline]
    pub(super) fn received(&mut self, length: usize) {
        self.filled.end = (self.filled.end + length).min(self.bytes.len());
    }

    /// This many bytes at the front are done with.
    #[inline]
    pub(super) fn consume(&mut self, length: usize) {
        self.filled.start = (self.filled.start + length).min(self.filled.end);
    }

    /// Takes a part of [`filled`](Self::filled) out; `consumed` bytes are done with, the part among
    /// them.
    #[inline]
    pub(super) fn take(&mut self, part: Range<usize>, consumed: usize) -> Bytes {
        let start = self.filled.start;
        let part = start + part.start..start + part.end;
        self.consume(consumed);
        if part.len() <= COPIED || !self.is_empty() {
            let copy = Bytes::copy_from_slice(&self.bytes[part]);
            // The caller may not read again for long.
            self.rest();
            return copy;
        }
        self.filled = 0..0;
        let whole = Whole(std::mem::take(&mut self.bytes));
        Bytes::from_owner(whole).slice(part)
    }

    /// Gives the buffer back if nothing is in it.
    #[inline]
    pub(super) fn rest(&mut self) {
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

/// A buffer that a piece took with it. It goes to the pool of the thread that drops the piece.
struct Whole(Vec<u8>);

impl AsRef<[u8]> for Whole {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Whole {
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
        buffer.room()[..bytes.len()].copy_from_slice(bytes);
        buffer.received(bytes.len());
    }

    #[test]
    fn a_buffer_at_rest_is_in_the_pool() {
        std::thread::spawn(|| {
            let mut buffer = ReadBuffer::default();
            buffer.rest();
            assert_eq!(pooled(), 0, "there was none yet");
            receive(&mut buffer, b"abc");
            buffer.rest();
            assert_eq!((buffer.filled().len(), pooled()), (3, 0), "it isn't empty");
            buffer.consume(3);
            buffer.rest();
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
    fn a_small_piece_is_a_copy_and_a_large_one_takes_the_buffer_with_it() {
        std::thread::spawn(|| {
            let mut buffer = ReadBuffer::default();
            receive(&mut buffer, &[7; COPIED]);
            let small = buffer.take(0..COPIED, COPIED);
            assert_eq!(small, vec![7; COPIED]);
            buffer.rest();
            assert_eq!(pooled(), 1, "the small piece doesn't keep it");

            receive(&mut buffer, &[8; COPIED + 1]);
            let large = buffer.take(0..COPIED + 1, COPIED + 1);
            buffer.rest();
            assert_eq!(pooled(), 0);
            assert_eq!(large, vec![8; COPIED + 1]);
            drop(large);
            assert_eq!(pooled(), 1);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn what_follows_a_large_piece_stays() {
        let mut buffer = ReadBuffer::default();
        receive(&mut buffer, &[1; 2 * COPIED]);
        let piece = buffer.take(0..2 * COPIED - 1, 2 * COPIED - 1);
        assert_eq!(
            (piece.len(), buffer.filled()),
            (2 * COPIED - 1, &mut [1][..])
        );
    }

    #[test]
    fn a_full_buffer_makes_room() {
        let mut buffer = ReadBuffer::default();
        receive(&mut buffer, &[1; SIZE]);
        buffer.consume(1);
        assert_eq!(buffer.room().len(), 1, "it moves what is here to the front");
        assert_eq!(buffer.filled().len(), SIZE - 1);
        buffer.received(1);
        assert_eq!(buffer.room().len(), SIZE, "it grows");
        assert_eq!(buffer.filled().len(), SIZE);
    }

    #[test]
    fn the_pool_of_a_thread_is_bounded_wherever_pieces_are_dropped() {
        let pieces: Vec<Bytes> = (0..100)
            .map(|_| {
                let mut buffer = ReadBuffer::default();
                receive(&mut buffer, &[1; SIZE]);
                buffer.take(0..SIZE, SIZE)
            })
            .collect();
        std::thread::spawn(move || {
            drop(pieces);
            assert_eq!(pooled(), POOLED);
        })
        .join()
        .unwrap();
    }
}
