//! Decoding line by line, as the standard describes it (WHATWG HTML 9.2.6).

use super::unfinished::StreamContent;
use super::{Decoder, LimitExceeded, Step};
use crate::block::Borrowed;
use crate::field::{Field, parse_retry, split_field, without_space};
use crate::item::Oversize;
use crate::line::{LateLf, Piece, after_lf};
use crate::utf8;

impl Decoder {
    /// Continues to the next item, from between two lines.
    #[inline(always)]
    pub(super) fn continue_between_lines<'i>(
        &mut self,
        input: &mut &'i [u8],
        borrowed: &mut Borrowed<'i>,
    ) -> Result<Option<Step>, LimitExceeded> {
        let late_lf = self.line_ends.take_late_lf(input);
        if late_lf != LateLf::None {
            self.handle_late_lf(late_lf);
        }
        self.next_step(input, borrowed)
    }

    /// Continues to the next item, from within a data line.
    #[inline(always)]
    pub(super) fn continue_data_line<'i>(
        &mut self,
        rest: &[u8],
        end: &[u8],
        input: &mut &'i [u8],
        borrowed: &mut Borrowed<'i>,
    ) -> Result<Option<Step>, LimitExceeded> {
        let step = self.end_data_line(rest, end);
        if !matches!(step, Ok(None)) {
            return step;
        }
        // Usually a blank line follows.
        if let Some(rest) = after_lf(input) {
            *input = rest;
            if let Some(step) = self.dispatch() {
                return Ok(Some(step));
            }
        }
        self.next_step(input, borrowed)
    }

    /// Continues to the next item. Repeats the first search for a line end: passing its result on would take 65
    /// to 447 instructions more, because that value would then live in memory.
    #[inline(never)]
    pub(super) fn next_step<'i>(
        &mut self,
        input: &mut &'i [u8],
        borrowed: &mut Borrowed<'i>,
    ) -> Result<Option<Step>, LimitExceeded> {
        let mut rest = *input;
        let step = loop {
            match self.line_ends.take(&mut rest) {
                Some(Piece::End(line, end)) => match self.process_line(line, end, borrowed) {
                    Ok(None) => {}
                    step => break step,
                },
                Some(Piece::Open(bytes)) => {
                    // The line continues in another chunk, and so does the block.
                    *input = rest;
                    self.block.store_borrowed(borrowed);
                    return self.open_line(bytes).map(|()| None);
                }
                None => break Ok(None),
            }
        };
        *input = rest;
        if !matches!(step, Ok(Some(Step::Event))) {
            // The chunk has ended; or this is a comment, a retry or a line that is too long, within a
            // block that continues at the next call.
            self.block.store_borrowed(borrowed);
        }
        step
    }

    /// Processes a complete line.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(super) fn process_line<'i>(
        &mut self,
        mut line: &'i [u8],
        end: &[u8],
        borrowed: &mut Borrowed<'i>,
    ) -> Result<Option<Step>, LimitExceeded> {
        let too_long = line.len() > self.limit;
        if self.content != StreamContent::Recognized {
            line = self.classify_line(line, end);
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
                self.line_ends.uncount_line();
                return Ok(None);
            }
            Field::Comment => {
                self.line_ends.uncount_line();
                match utf8::valid(value) {
                    Some(text) => borrowed.comment = Some(text),
                    None => self.set_comment(value),
                }
                return Ok(Some(Step::Comment));
            }
            Field::Retry => {
                self.line_ends.uncount_line();
                return Ok(parse_retry(without_space(value)).map(|delay| {
                    self.retry = delay;
                    Step::Retry
                }));
            }
            // "If the field value does not contain U+0000 NULL".
            Field::Id if !value.contains(&0) => self.block.set_id(without_space(value)),
            Field::Id => {}
            Field::Other => {
                self.line_ends.uncount_line();
                return Ok(None);
            }
            Field::Data | Field::Event if self.block.skipped => {
                self.block.count(received);
                return Ok(None);
            }
            Field::Data => self.block.add_data_line(without_space(value), borrowed),
            Field::Event => self.block.set_event(without_space(value)),
        }
        self.at_block_start = false;
        self.block.count(received);
        if self.block.fits(borrowed) {
            Ok(None)
        } else {
            self.too_large(field)
        }
    }

    /// Processes a blank line (WHATWG HTML 9.2.6, "dispatch the event").
    #[inline]
    pub(super) fn dispatch(&mut self) -> Option<Step> {
        if self.at_block_start {
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
            self.block.reset();
            self.at_block_start = self.content != StreamContent::Unrecognized;
            None
        }
    }

    pub(super) fn set_comment(&mut self, text: &[u8]) {
        utf8::push_complete(&mut self.comment, text);
    }

    #[cold]
    fn line_too_long(
        &mut self,
        field: Field,
        received: usize,
    ) -> Result<Option<Step>, LimitExceeded> {
        match field.is_event_field() {
            true => self.block.count(received),
            false => self.line_ends.uncount_line(),
        }
        self.too_large(field)
    }

    /// A line of this field exceeds the limit. If it belongs to an event, the rest of the block is
    /// skipped.
    #[cold]
    pub(super) fn too_large(&mut self, field: Field) -> Result<Option<Step>, LimitExceeded> {
        if field.is_event_field() {
            self.at_block_start = false;
            self.block.skip();
        }
        match self.oversize {
            Oversize::Fail => Err(LimitExceeded),
            Oversize::Skip => Ok(None),
        }
    }
}
