//! Line by line, as the standard has it (WHATWG HTML 9.2.6).

use super::unfinished::Opening;
use super::{Decoder, Exceeded, Step};
use crate::block::Lent;
use crate::field::{Field, parse_retry, split_field, without_space};
use crate::item::Oversize;
use crate::line::{LateLf, Piece, after_lf};
use crate::utf8;

impl Decoder {
    /// Goes on to the next item, from between two lines.
    #[inline(always)]
    pub(super) fn lines<'i>(
        &mut self,
        input: &mut &'i [u8],
        lent: &mut Lent<'i>,
    ) -> Result<Option<Step>, Exceeded> {
        let late_lf = self.ends.drop_lf(input);
        if late_lf != LateLf::None {
            self.end_late(late_lf);
        }
        self.step(input, lent)
    }

    /// Goes on to the next item, from within a data line.
    #[inline(always)]
    pub(super) fn resume<'i>(
        &mut self,
        rest: &[u8],
        end: &[u8],
        input: &mut &'i [u8],
        lent: &mut Lent<'i>,
    ) -> Result<Option<Step>, Exceeded> {
        let step = self.end_data_line(rest, end);
        if !matches!(step, Ok(None)) {
            return step;
        }
        // Mostly a blank line comes next.
        if let Some(rest) = after_lf(input) {
            *input = rest;
            if let Some(step) = self.dispatch() {
                return Ok(Some(step));
            }
        }
        self.step(input, lent)
    }

    /// Goes on to the next item.
    #[inline(never)]
    pub(super) fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        lent: &mut Lent<'i>,
    ) -> Result<Option<Step>, Exceeded> {
        let mut rest = *input;
        let step = loop {
            match self.ends.take(&mut rest) {
                Some(Piece::End(line, end)) => match self.line(line, end, lent) {
                    Ok(None) => {}
                    step => break step,
                },
                Some(Piece::Open(bytes)) => {
                    // The line goes on in another chunk, and the block with it.
                    *input = rest;
                    self.block.keep(lent);
                    return self.open_line(bytes).map(|()| None);
                }
                None => break Ok(None),
            }
        };
        *input = rest;
        if !matches!(step, Ok(Some(Step::Event))) {
            // The chunk is left; or this is a comment, a retry or a line too long to be kept,
            // within a block that goes on at the next call.
            self.block.keep(lent);
        }
        step
    }

    /// A whole line.
    #[inline(always)]
    pub(super) fn line<'i>(
        &mut self,
        mut line: &'i [u8],
        end: &[u8],
        lent: &mut Lent<'i>,
    ) -> Result<Option<Step>, Exceeded> {
        let too_long = line.len() > self.limit;
        if self.opening != Opening::Known {
            line = self.open_with(line, end);
        }
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let (field, value) = split_field(line);
        let received = line.len() + end.len();
        if too_long {
            return self.line_too_long(field, received);
        }
        match field {
            Field::Comment if self.ignore_comments => {
                self.ends.uncount_line();
                return Ok(None);
            }
            Field::Comment => {
                self.ends.uncount_line();
                match utf8::valid(value) {
                    Some(text) => lent.comment = Some(text),
                    None => self.set_comment(value),
                }
                return Ok(Some(Step::Comment));
            }
            Field::Retry => {
                self.ends.uncount_line();
                return Ok(parse_retry(without_space(value)).map(|delay| {
                    self.retry = delay;
                    Step::Retry
                }));
            }
            // "If the field value does not contain U+0000 NULL".
            Field::Id if !value.contains(&0) => self.block.set_id(without_space(value)),
            Field::Id => {}
            Field::Other => {
                self.ends.uncount_line();
                return Ok(None);
            }
            Field::Data | Field::Event if self.block.skipped => {
                self.block.count(received);
                return Ok(None);
            }
            Field::Data => self.block.add_data_line(without_space(value), lent),
            Field::Event => self.block.set_event(without_space(value)),
        }
        self.fresh = false;
        self.block.count(received);
        if self.block.fits(lent) {
            Ok(None)
        } else {
            self.too_large(field)
        }
    }

    /// A blank line (WHATWG HTML 9.2.6, "dispatch the event").
    #[inline]
    pub(super) fn dispatch(&mut self) -> Option<Step> {
        if self.fresh {
            return None;
        }
        // 1. The last event ID string is set, whether or not there is data.
        if self.block.has_id {
            core::mem::swap(&mut self.last_id, &mut self.block.id);
        }
        self.dispatched = true;
        if self.block.skipped {
            Some(Step::Skipped)
        } else if self.block.has_data {
            // 2., 3. The data buffer isn't empty, and the LF at its end was never put there.
            Some(Step::Event)
        } else if self.block.has_id {
            Some(Step::Id)
        } else {
            self.dispatched = false;
            self.block.forget();
            self.fresh = self.opening != Opening::Unknown;
            None
        }
    }

    pub(super) fn set_comment(&mut self, text: &[u8]) {
        utf8::push_whole(&mut self.comment, text);
    }

    #[cold]
    fn line_too_long(&mut self, field: Field, received: usize) -> Result<Option<Step>, Exceeded> {
        match field.is_of_event() {
            true => self.block.count(received),
            false => self.ends.uncount_line(),
        }
        self.too_large(field)
    }

    /// A line of this field exceeds the limit. If it is one of an event, the rest of the block is
    /// left out.
    #[cold]
    pub(super) fn too_large(&mut self, field: Field) -> Result<Option<Step>, Exceeded> {
        if field.is_of_event() {
            self.fresh = false;
            self.block.skip();
        }
        match self.oversize {
            Oversize::Fail => Err(Exceeded),
            Oversize::Skip => Ok(None),
        }
    }
}
