//! A line that goes on in the next chunk.

use super::unfinished::Opening;
use super::{BOM, Decoder, Exceeded, Step};
use crate::block::{self, Lent};
use crate::field::{Field, split_field, without_space};

/// So much of a line tells whether its field is one of those that make an event, and whether the
/// value of a data line begins with a space.
const FIELD_START: usize = BOM.len() + b"event:".len();

/// What is known of the line that the last chunk ended in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenLine {
    /// Nothing came yet.
    Empty,
    /// It is in `raw`.
    Raw,
    /// It is a `data:` line: its value goes to the block piece by piece.
    Data,
    /// It is too long, a line of an event, and its rest is only counted.
    Discarded,
    /// It is too long, and no line of an event.
    Passed,
}

impl Decoder {
    /// The chunk ends within a line that began in it.
    #[inline(never)]
    pub(super) fn open_line(&mut self, bytes: &[u8]) -> Result<(), Exceeded> {
        self.ends.forget_lf();
        if let Some(value @ [_, ..]) = bytes.strip_prefix(b"data:") {
            self.open_data_line(0, bytes.len());
            return self.push_piece(without_space(value));
        }
        match bytes {
            // Neither a data line nor a BOM, and `raw` is empty.
            [b':' | b'e' | b'i', ..] if bytes.len() <= self.limit => {
                self.open = OpenLine::Raw;
                self.raw.extend_from_slice(bytes);
                Ok(())
            }
            _ => self.extend_raw_line(bytes),
        }
    }

    /// All of the chunk is a piece of the open data line.
    #[inline(never)]
    pub(super) fn extend_data_line(&mut self, bytes: &[u8]) -> Result<(), Exceeded> {
        self.block.count(bytes.len());
        self.push_piece(bytes)
    }

    /// A line that isn't known to be data goes on.
    #[inline(never)]
    pub(super) fn extend_other_line(&mut self, bytes: &[u8]) -> Result<(), Exceeded> {
        match self.open {
            OpenLine::Data => return self.extend_data_line(bytes),
            OpenLine::Empty | OpenLine::Raw => return self.extend_raw_line(bytes),
            OpenLine::Discarded => self.block.count(bytes.len()),
            OpenLine::Passed => self.keep_ignored(bytes),
        }
        Ok(())
    }

    #[inline(always)]
    fn open_data_line(&mut self, bom: usize, received: usize) {
        self.open = OpenLine::Data;
        if self.opening != Opening::Known {
            self.set_known();
        }
        self.fresh = false;
        self.block.begin_open_data_line(bom, received);
    }

    #[inline(always)]
    fn push_piece(&mut self, value: &[u8]) -> Result<(), Exceeded> {
        match self.block.push_piece(value) {
            true => Ok(()),
            false => self.discard_data_line(),
        }
    }

    #[cold]
    fn discard_data_line(&mut self) -> Result<(), Exceeded> {
        self.discard_line();
        self.too_large(Field::Data).map(drop)
    }

    #[inline(never)]
    fn extend_raw_line(&mut self, bytes: &[u8]) -> Result<(), Exceeded> {
        // Enough of the line to tell whether it is a data line, then its value may go where it
        // belongs: a long line isn't kept twice, nor looked at twice.
        self.open = OpenLine::Raw;
        let wanted = FIELD_START.saturating_sub(self.raw.len());
        let (head, tail) = bytes.split_at(wanted.min(bytes.len()));
        self.raw.extend_from_slice(head);
        let line = without_bom(&self.raw, self.opening);
        if let Some(value @ [_, ..]) = line.strip_prefix(b"data:") {
            let start = self.raw.len() - without_space(value).len();
            let (bom, received) = (self.raw.len() - line.len(), line.len() + tail.len());
            self.open_data_line(bom, received);
            self.block.push_data(&self.raw[start..]);
            self.raw.clear();
            return self.push_piece(tail);
        }
        // What its field is must be known, or the verdict would depend on where the line is cut.
        if self.raw.len() < FIELD_START {
            return Ok(());
        }
        if self.raw.len() + tail.len() <= self.limit {
            self.raw.extend_from_slice(tail);
            return Ok(());
        }
        self.discard_raw_line(tail).map(drop)
    }

    #[cold]
    fn discard_raw_line(&mut self, tail: &[u8]) -> Result<Option<Step>, Exceeded> {
        let raw = core::mem::take(&mut self.raw);
        let line = without_bom(&raw, self.opening);
        let field = split_field(line).0;
        self.discard_line();
        if field.is_of_event() {
            self.block.count(line.len() + tail.len());
            self.set_known();
        } else {
            self.open = OpenLine::Passed;
            if self.opening != Opening::Known {
                self.open_with(&raw, b"");
                self.keep_ignored(tail);
            }
        }
        self.too_large(field)
    }

    #[cold]
    fn discard_line(&mut self) {
        block::clear_bytes(&mut self.raw);
        self.open = OpenLine::Discarded;
    }

    /// The end of a data line that began in an earlier chunk.
    #[inline(always)]
    pub(super) fn end_data_line(
        &mut self,
        rest: &[u8],
        end: &[u8],
    ) -> Result<Option<Step>, Exceeded> {
        self.open = OpenLine::Empty;
        self.block.count(rest.len());
        let within_limit = self.block.push_piece(rest);
        self.block.count(end.len());
        if within_limit && self.block.fits(&mut Lent::default()) {
            Ok(None)
        } else {
            self.too_large(Field::Data)
        }
    }

    /// The end of a line that began in an earlier chunk.
    #[inline(never)]
    pub(super) fn end_other_line(
        &mut self,
        rest: &[u8],
        end: &[u8],
    ) -> Result<Option<Step>, Exceeded> {
        let within_limit = self.extend_other_line(rest);
        match core::mem::replace(&mut self.open, OpenLine::Empty) {
            OpenLine::Data => return self.end_data_line(b"", end),
            OpenLine::Discarded => self.block.count(end.len()),
            OpenLine::Passed => {
                self.keep_ignored(end);
                self.ends.uncount_line();
            }
            OpenLine::Empty => {}
            OpenLine::Raw => return self.end_raw_line(end),
        }
        within_limit.map(|()| None)
    }

    #[inline(never)]
    fn end_raw_line(&mut self, end: &[u8]) -> Result<Option<Step>, Exceeded> {
        let mut raw = core::mem::take(&mut self.raw);
        let mut lent = Lent::default();
        let step = self.line(&raw, end, &mut lent);
        self.block.keep(&mut lent);
        if let Some(text) = lent.comment {
            self.set_comment(text.as_bytes());
        }
        block::clear_bytes(&mut raw);
        self.raw = raw;
        step
    }
}

/// A line, or the beginning of one.
#[inline]
pub(super) fn without_bom(line: &[u8], opening: Opening) -> &[u8] {
    match line.strip_prefix(BOM) {
        Some(rest) if opening == Opening::Start => rest,
        _ => line,
    }
}
