//! Joins the connections of a recording into one stream.
//!
//! The partial event before a lost connection is dropped, as clients drop it. Only the last
//! connection keeps it.

use std::io;
use std::time::Duration;

use super::spool::{Pairs, Spool};
use crate::recording::Entry;

pub(super) const BOM: &[u8] = b"\xef\xbb\xbf";

pub(super) struct JoinedStream {
    pub(super) bytes: Spool,
    /// The arrival time of the bytes up to a position, in nanoseconds, and the position.
    pub(super) chunks: Pairs,
    /// Where complete blocks and comments end.
    blocks: Blocks,
    /// The first bytes of the current connection, while they may be a byte order mark.
    head: Option<Vec<u8>>,
    /// When the current recording began; recordings in one file follow each other.
    base: Duration,
    /// When the first connection was made.
    first: Option<Duration>,
    /// The latest time so far, since the first connection.
    pub(super) latest: Duration,
}

impl JoinedStream {
    pub(super) fn new() -> io::Result<JoinedStream> {
        Ok(JoinedStream {
            bytes: Spool::new()?,
            chunks: Pairs::new()?,
            blocks: Blocks::default(),
            head: Some(Vec::new()),
            base: Duration::ZERO,
            first: None,
            latest: Duration::ZERO,
        })
    }

    pub(super) fn add(&mut self, entry: Entry) -> io::Result<()> {
        match entry {
            Entry::Begin => self.base = self.first.unwrap_or_default() + self.latest,
            Entry::Connected(time) => {
                self.passed(time);
                self.close()?;
            }
            Entry::Bytes(time, bytes) => {
                self.passed(time);
                self.take(bytes)?;
            }
            // Attempts before the first connection aren't part of the stream.
            Entry::Over(time) if self.first.is_some() => self.passed(time),
            Entry::Over(_) | Entry::Cut(_) => {}
        }
        Ok(())
    }

    /// Everything has been added. Returns where complete blocks and comments end.
    pub(super) fn finish(&mut self) -> io::Result<u64> {
        self.release_head()?;
        self.bytes.flush()?;
        self.chunks.flush()?;
        Ok(self.blocks.whole)
    }

    /// Times in an edited file don't go backwards.
    fn passed(&mut self, time: Duration) {
        let time = self.base.saturating_add(time);
        let first = *self.first.get_or_insert(time);
        self.latest = self.latest.max(time.saturating_sub(first));
    }

    fn take(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let Some(head) = &mut self.head else {
            return self.write(&bytes);
        };
        head.extend(bytes);
        // A partial mark may still be completed.
        match BOM.starts_with(head) && head.len() < BOM.len() {
            true => Ok(()),
            false => self.release_head(),
        }
    }

    /// Later connections contribute no byte order mark.
    fn release_head(&mut self) -> io::Result<()> {
        let head = self.head.take().unwrap_or_default();
        match head.strip_prefix(BOM) {
            Some(rest) if self.bytes.len() > 0 => self.write(rest),
            Some(rest) => {
                self.bytes.write(BOM)?;
                self.blocks.skip(BOM.len() as u64);
                match rest.is_empty() {
                    true => self.chunks.push((nanos(self.latest), self.bytes.len())),
                    false => self.write(rest),
                }
            }
            None => self.write(&head),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.bytes.write(bytes)?;
        self.blocks.read(bytes);
        self.chunks.push((nanos(self.latest), self.bytes.len()))
    }

    /// A connection is lost: the partial event at its end is dropped before another one.
    fn close(&mut self) -> io::Result<()> {
        self.release_head()?;
        self.head = Some(Vec::new());
        let whole = self.blocks.forget_rest();
        if whole == self.bytes.len() {
            return Ok(());
        }
        self.bytes.truncate(whole)?;
        self.chunks.flush()?;
        let kept = self.chunks.partition_point(|(_, end)| end < whole)?;
        let cut = self.chunks.get(kept)?;
        self.chunks.truncate(kept)?;
        match cut {
            // All of it was dropped.
            Some(_) if whole == 0 => Ok(()),
            Some((time, _)) => self.chunks.push((time, whole)),
            None => Ok(()),
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Finds where blocks and comments end in bytes that arrive in pieces.
#[derive(Default)]
struct Blocks {
    place: u64,
    /// The end of the last complete one.
    whole: u64,
    /// Whether a CR is before that.
    whole_at_cr: bool,
    in_block: bool,
    /// The first byte of the line.
    first: Option<u8>,
    /// The last byte was a CR: an LF belongs to it.
    after_cr: bool,
}

impl Blocks {
    fn skip(&mut self, bytes: u64) {
        self.place += bytes;
        self.whole = self.place;
    }

    fn read(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.place += 1;
            match byte {
                b'\n' if self.after_cr => {
                    self.after_cr = false;
                    if self.whole + 1 == self.place {
                        self.whole = self.place;
                        self.whole_at_cr = false;
                    }
                }
                b'\r' | b'\n' => {
                    self.after_cr = byte == b'\r';
                    self.end_line();
                }
                _ => {
                    self.after_cr = false;
                    self.first.get_or_insert(byte);
                }
            }
        }
    }

    fn end_line(&mut self) {
        match self.first.take() {
            None => self.in_block = false,
            Some(b':') => {}
            Some(_) => self.in_block = true,
        }
        if !self.in_block {
            self.whole = self.place;
            self.whole_at_cr = self.after_cr;
        }
    }

    /// Returns to the end of the last complete one.
    fn forget_rest(&mut self) -> u64 {
        *self = Blocks {
            place: self.whole,
            whole: self.whole,
            whole_at_cr: self.whole_at_cr,
            after_cr: self.whole_at_cr,
            in_block: false,
            first: None,
        };
        self.whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_comments_end_at_any_line_ending() {
        for (text, whole) in [
            ("", 0),
            ("data: a", 0),
            ("data: a\n", 0),
            ("data: a\n\n", 9),
            ("data: a\r\r", 9),
            ("data: a\r\n\r\n", 11),
            ("data: a\r\ndata: b\r\n", 0),
            ("data: a\n: c\n", 0),
            (": c\ndata: a\n", 4),
            (": c\n: d", 4),
        ] {
            // In pieces of any size.
            for size in 1..=text.len().max(1) {
                let mut blocks = Blocks::default();
                for piece in text.as_bytes().chunks(size) {
                    blocks.read(piece);
                }
                assert_eq!(blocks.whole, whole, "{text:?} {size}");
            }
        }
    }

    /// The mark may be split. The first connection keeps it.
    #[test]
    fn only_the_first_connection_has_a_byte_order_mark() {
        let bom = |size: usize, text: &str| -> Vec<Entry> {
            let text = [BOM, text.as_bytes()].concat();
            let pieces = text
                .chunks(size)
                .map(|piece| Entry::Bytes(Duration::ZERO, piece.into()));
            let begin = Entry::Connected(Duration::ZERO);
            std::iter::once(begin).chain(pieces).collect()
        };
        for size in 1..9 {
            let mut joined = JoinedStream::new().unwrap();
            for entry in bom(size, ": c\nda").into_iter().chain(bom(size, ": d\n")) {
                joined.add(entry).unwrap();
            }
            assert_eq!(joined.finish().unwrap(), 11);
            let mut bytes = vec![0; joined.bytes.len() as usize];
            joined.bytes.read(0, &mut bytes).unwrap();
            assert_eq!(bytes, [BOM, b": c\n: d\n"].concat());
        }
        // Half a mark isn't a mark.
        let mut joined = JoinedStream::new().unwrap();
        joined
            .add(Entry::Bytes(Duration::ZERO, BOM[..2].into()))
            .unwrap();
        joined.finish().unwrap();
        assert_eq!((joined.bytes.len(), joined.chunks.len()), (2, 1));
    }
}
