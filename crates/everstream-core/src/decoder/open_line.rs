//! A line that continues in the next chunk.

use super::unfinished::StreamContent;
use super::{BOM, Decoder, LimitExceeded, Step};
use crate::block::{self, Borrowed};
use crate::field::{Field, split_field, without_space};

/// This many bytes of a line are enough to tell whether its field belongs to an event, and whether the
/// value of a data line begins with a space.
const FIELD_START: usize = BOM.len() + b"event:".len();

/// What is known about the line that the last chunk ended in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenLine {
    /// The chunk ended between two lines.
    Empty,
    /// The line is in `raw`.
    Raw,
    /// A `data:` line: its value is added to the block piece by piece.
    Data,
    /// A line of an event that is too long: the rest is only counted.
    Discarded,
    /// A line that is too long and doesn't belong to an event.
    Ignored,
}

impl Decoder {
    /// The chunk ends within a line that began in it.
    #[inline(never)]
    pub(super) fn open_line(&mut self, bytes: &[u8]) -> Result<(), LimitExceeded> {
        self.line_ends.clear_late_lf();
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

    /// The whole chunk continues the open data line.
    #[inline(never)]
    pub(super) fn extend_data_line(&mut self, bytes: &[u8]) -> Result<(), LimitExceeded> {
        self.block.count(bytes.len());
        self.push_piece(bytes)
    }

    /// The whole chunk continues another open line.
    #[inline(never)]
    pub(super) fn extend_other_line(&mut self, bytes: &[u8]) -> Result<(), LimitExceeded> {
        match self.open {
            OpenLine::Data => return self.extend_data_line(bytes),
            OpenLine::Empty | OpenLine::Raw => return self.extend_raw_line(bytes),
            OpenLine::Discarded => self.block.count(bytes.len()),
            OpenLine::Ignored => self.store_ignored(bytes),
        }
        Ok(())
    }

    #[inline(always)]
    fn open_data_line(&mut self, bom: usize, received: usize) {
        self.open = OpenLine::Data;
        if self.content != StreamContent::Recognized {
            self.set_recognized();
        }
        self.at_block_start = false;
        self.block.begin_open_data_line(bom, received);
    }

    #[inline(always)]
    fn push_piece(&mut self, value: &[u8]) -> Result<(), LimitExceeded> {
        match self.block.push_piece(value) {
            true => Ok(()),
            false => self.discard_data_line(),
        }
    }

    #[cold]
    fn discard_data_line(&mut self) -> Result<(), LimitExceeded> {
        self.discard_line();
        self.too_large(Field::Data).map(drop)
    }

    #[inline(never)]
    fn extend_raw_line(&mut self, bytes: &[u8]) -> Result<(), LimitExceeded> {
        // First only enough of the line to tell whether it is a data line. The value of a data line then
        // goes straight to the block, so a long line is neither stored nor scanned twice: LLM events in
        // chunks of 64 B take 1,231 instructions instead of 1,848. Searching a line in windows of 16 KiB made no
        // difference.
        self.open = OpenLine::Raw;
        let wanted = FIELD_START.saturating_sub(self.raw.len());
        let (head, tail) = bytes.split_at(wanted.min(bytes.len()));
        self.raw.extend_from_slice(head);
        let line = without_bom(&self.raw, self.content);
        if let Some(value @ [_, ..]) = line.strip_prefix(b"data:") {
            let start = self.raw.len() - without_space(value).len();
            let (bom, received) = (self.raw.len() - line.len(), line.len() + tail.len());
            self.open_data_line(bom, received);
            self.block.push_data(&self.raw[start..]);
            self.raw.clear();
            return self.push_piece(tail);
        }
        // The field must be known, or the verdict would depend on where the line is cut.
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
    fn discard_raw_line(&mut self, tail: &[u8]) -> Result<Option<Step>, LimitExceeded> {
        let raw = core::mem::take(&mut self.raw);
        let line = without_bom(&raw, self.content);
        let field = split_field(line).0;
        self.discard_line();
        if field.is_event_field() {
            self.block.count(line.len() + tail.len());
            self.set_recognized();
        } else {
            self.open = OpenLine::Ignored;
            if self.content != StreamContent::Recognized {
                self.classify_line(&raw, b"");
                self.store_ignored(tail);
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
    ) -> Result<Option<Step>, LimitExceeded> {
        self.open = OpenLine::Empty;
        self.block.count(rest.len());
        let within_limit = self.block.push_piece(rest);
        self.block.count(end.len());
        if within_limit && self.block.fits(&mut Borrowed::default()) {
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
    ) -> Result<Option<Step>, LimitExceeded> {
        let within_limit = self.extend_other_line(rest);
        match core::mem::replace(&mut self.open, OpenLine::Empty) {
            OpenLine::Data => return self.end_data_line(b"", end),
            OpenLine::Discarded => self.block.count(end.len()),
            OpenLine::Ignored => {
                self.store_ignored(end);
                self.line_ends.uncount_line();
            }
            OpenLine::Empty => {}
            OpenLine::Raw => return self.end_raw_line(end),
        }
        within_limit.map(|()| None)
    }

    #[inline(never)]
    fn end_raw_line(&mut self, end: &[u8]) -> Result<Option<Step>, LimitExceeded> {
        let mut raw = core::mem::take(&mut self.raw);
        let mut borrowed = Borrowed::default();
        let step = self.process_line(&raw, end, &mut borrowed);
        self.block.store_borrowed(&mut borrowed);
        if let Some(text) = borrowed.comment {
            self.set_comment(text.as_bytes());
        }
        block::clear_bytes(&mut raw);
        self.raw = raw;
        step
    }
}

/// The line, or the start of one, without a BOM at the start of the stream.
#[inline]
pub(super) fn without_bom(line: &[u8], content: StreamContent) -> &[u8] {
    match line.strip_prefix(BOM) {
        Some(rest) if content == StreamContent::Nothing => rest,
        _ => line,
    }
}
