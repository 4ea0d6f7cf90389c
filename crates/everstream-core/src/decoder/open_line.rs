//! A line that goes on in the next chunk.

use super::unfinished::Opening;
use super::{BOM, Decoder, Exceeded, Step};
use crate::block::{self, Lent};
use crate::field::{Field, split_field, without_space};
use crate::item::TooLarge;
use crate::line::LineEnd;

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
    /// All of the input is a piece of a line.
    #[inline(never)]
    pub(super) fn take_piece(&mut self, input: &mut &[u8]) -> Result<(), TooLarge> {
        let within_limit = match self.open {
            OpenLine::Empty => {
                self.ends.drop_lf(input);
                self.open_line(core::mem::take(input))
            }
            _ => self.extend_open_line(core::mem::take(input)),
        };
        within_limit.map_err(|Exceeded| TooLarge { limit: self.limit })
    }

    /// The chunk ends within a line that began in it.
    #[inline(always)]
    pub(super) fn open_line(&mut self, bytes: &[u8]) -> Result<(), Exceeded> {
        self.open_len = bytes.len();
        match bytes {
            [b'd', b'a', b't', b'a', b':', value @ ..] if !value.is_empty() => {
                self.open_data_line();
                self.extend_data_line(without_space(value))
            }
            // Neither a data line nor a BOM, and `raw` is empty.
            [b':' | b'e' | b'i', ..] if bytes.len() <= self.limit => {
                self.open = OpenLine::Raw;
                self.raw.extend_from_slice(bytes);
                Ok(())
            }
            _ => self.extend_raw_line(bytes),
        }
    }

    /// The line goes on.
    #[inline]
    fn extend_open_line(&mut self, bytes: &[u8]) -> Result<(), Exceeded> {
        self.open_len = self.open_len.saturating_add(bytes.len());
        match self.open {
            OpenLine::Data => self.extend_data_line(bytes),
            OpenLine::Empty | OpenLine::Raw => self.extend_raw_line(bytes),
            OpenLine::Discarded => Ok(()),
            OpenLine::Passed => {
                self.keep_ignored(bytes);
                Ok(())
            }
        }
    }

    #[inline]
    fn open_data_line(&mut self) {
        self.open = OpenLine::Data;
        if self.opening != Opening::Known {
            self.set_known();
        }
        self.fresh = false;
        self.block.begin_open_data_line();
    }

    #[inline]
    fn extend_data_line(&mut self, value: &[u8]) -> Result<(), Exceeded> {
        if self.open_len <= self.limit && self.block.push_piece(value) {
            Ok(())
        } else {
            self.discard_line();
            self.too_large(Field::Data).map(drop)
        }
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
            let value = self.raw.len() - without_space(value).len();
            self.block.uncount(self.raw.len() - line.len());
            self.open_data_line();
            self.block.push_data(&self.raw[value..]);
            self.raw.clear();
            return self.extend_data_line(tail);
        }
        // What its field is must be known, or the verdict would depend on where the line is cut.
        if self.raw.len() < FIELD_START {
            return Ok(());
        }
        if self.open_len <= self.limit {
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
            self.block.uncount(raw.len() - line.len());
            self.set_known();
        } else {
            self.open = OpenLine::Passed;
            if self.opening != Opening::Known {
                self.open_with(&raw, LineEnd::None);
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

    /// The end of a line that began in an earlier chunk.
    #[inline]
    pub(super) fn end_open_line(
        &mut self,
        rest: &[u8],
        end: LineEnd,
    ) -> Result<Option<Step>, Exceeded> {
        let within_limit = self.extend_open_line(rest);
        let len = core::mem::take(&mut self.open_len);
        let open = core::mem::replace(&mut self.open, OpenLine::Empty);
        match open {
            OpenLine::Data | OpenLine::Discarded => self.block.count(len + end.len()),
            OpenLine::Passed => {
                self.keep_ignored(end.bytes());
                self.ends.uncount_line();
            }
            OpenLine::Empty | OpenLine::Raw => {}
        }
        within_limit?;
        match open {
            OpenLine::Empty | OpenLine::Discarded | OpenLine::Passed => Ok(None),
            OpenLine::Data => {
                if self.block.fits(&mut Lent::default()) {
                    Ok(None)
                } else {
                    self.too_large(Field::Data)
                }
            }
            OpenLine::Raw => self.end_raw_line(end),
        }
    }

    #[inline(never)]
    fn end_raw_line(&mut self, end: LineEnd) -> Result<Option<Step>, Exceeded> {
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
