//! What the end of a stream finds: an event without its blank line, or a stream without any field.

use alloc::string::String;
use alloc::vec::Vec;

use super::Decoder;
use super::open_line::{OpenLine, without_bom};
use crate::block::{self, Lent};
use crate::field::{Field, is_known, may_be_of_event, split_field};
use crate::item::{Item, TooLarge};
use crate::line::LateLf;
use crate::utf8;

/// How many bytes of a stream without any field are shown.
const SHOWN: usize = 200;

/// What the lines of this stream have been so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Opening {
    /// None is complete yet, so that a BOM may still come.
    Start,
    /// All of them were blank.
    Blank,
    /// None was a field of the standard or a comment. The decoder isn't `fresh` then, so that all lines
    /// are seen one by one.
    Unknown,
    /// There was a field or a comment.
    Known,
}

impl Decoder {
    /// The size of the unfinished event, as received: its complete `data`, `event` and `id` lines with
    /// their ends, and a cut last line that is one of them or may become one. 0 if the stream could end
    /// here without losing any part of an event.
    ///
    /// ```
    /// use everstream_core::Decoder;
    ///
    /// let mut decoder = Decoder::new();
    /// decoder.decode(&mut &b"id: 1\r\ndata: hel"[..])?;
    /// assert_eq!(decoder.unfinished_bytes(), 16);
    /// decoder.decode(&mut &b"lo\r\n\r\n"[..])?;
    /// assert_eq!(decoder.unfinished_bytes(), 0);
    /// # Ok::<(), everstream_core::TooLarge>(())
    /// ```
    pub fn unfinished_bytes(&self) -> usize {
        if self.dispatched {
            return 0;
        }
        let line = without_bom(&self.raw, self.opening);
        let cut = if may_be_of_event(line) { line.len() } else { 0 };
        let bytes = self.block.received.saturating_add(cut as u64);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// The first 200 bytes of a stream that has had neither a field nor a comment so far, such as an
    /// error in JSON or HTML; `None` if it has, and if there was nothing but blank lines.
    ///
    /// ```
    /// use everstream_core::Decoder;
    ///
    /// let mut decoder = Decoder::new();
    /// decoder.decode(&mut &b"{\"error\": \"overloaded\"}"[..])?;
    /// assert_eq!(decoder.ignored_text().as_deref(), Some("{\"error\": \"overloaded\"}"));
    /// # Ok::<(), everstream_core::TooLarge>(())
    /// ```
    pub fn ignored_text(&self) -> Option<String> {
        let cut = without_bom(&self.raw, self.opening);
        if self.opening == Opening::Known || is_known(cut) {
            return None;
        }
        let bytes = self.ignored.iter().chain(cut).take(SHOWN + 1).copied();
        let bytes: Vec<u8> = bytes.collect();
        let shown = bytes.get(..SHOWN).unwrap_or(&bytes);
        let mut text = String::new();
        let unfinished = utf8::push_lossy(&mut text, shown);
        if !unfinished.is_empty() && shown.len() == bytes.len() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        text.truncate(text.trim_end_matches(['\r', '\n']).len());
        (!text.is_empty()).then_some(text)
    }

    /// The stream is complete: dispatches the last event although its blank line, or the end of its last
    /// line, is missing. The standard discards such an event, because it may be a part of one. Call
    /// [`end`](Self::end) afterwards.
    ///
    /// # Errors
    ///
    /// As for [`decode`](Self::decode).
    ///
    /// ```
    /// use everstream_core::{Decoder, Event, Item};
    ///
    /// let mut decoder = Decoder::new();
    /// decoder.decode(&mut &b"data: hello"[..])?;
    /// let item = decoder.dispatch_unfinished()?;
    /// assert_eq!(item, Some(Item::Event(Event::new("message", "hello", None))));
    /// # Ok::<(), everstream_core::TooLarge>(())
    /// ```
    pub fn dispatch_unfinished(&mut self) -> Result<Option<Item>, TooLarge> {
        self.forget_last();
        let (field, _) = split_field(without_bom(&self.raw, self.opening));
        let step = if matches!(field, Field::Comment | Field::Retry) {
            // A delay may be cut: "retry: 10" of "retry: 1000".
            self.open = OpenLine::Empty;
            block::clear_bytes(&mut self.raw);
            self.set_known();
            Ok(None)
        } else if self.open != OpenLine::Empty {
            self.end_other_line(b"", b"")
        } else {
            Ok(None)
        };
        let step = step.map(|_| self.dispatch());
        self.item(step, &Lent::default())
    }

    /// Whether the block that was skipped just now had an id.
    pub(crate) fn has_skipped_id(&self) -> bool {
        self.dispatched && self.block.skipped && self.block.has_id
    }

    /// A line before which there was no field and no comment. Returns it without a BOM.
    #[cold]
    pub(super) fn open_with<'i>(&mut self, line: &'i [u8], end: &[u8]) -> &'i [u8] {
        let line = without_bom(line, self.opening);
        if line.is_empty() {
            self.opening = self.opening.max(Opening::Blank);
            self.keep_ignored(end);
        } else if is_known(line) {
            self.set_known();
        } else {
            self.opening = Opening::Unknown;
            self.fresh = false;
            self.keep_ignored(line);
            self.keep_ignored(end);
        }
        line
    }

    /// There was a field or a comment.
    #[cold]
    pub(super) fn set_known(&mut self) {
        if self.opening == Opening::Unknown {
            // There is no block yet.
            self.fresh = true;
            self.ignored = Default::default();
        }
        self.opening = Opening::Known;
    }

    /// One byte more than is shown tells that there is more.
    pub(super) fn keep_ignored(&mut self, bytes: &[u8]) {
        if self.opening == Opening::Unknown {
            let room = (SHOWN + 1).saturating_sub(self.ignored.len());
            self.ignored
                .extend_from_slice(&bytes[..room.min(bytes.len())]);
        }
    }

    /// The last line ended in CR, and its LF is here now.
    pub(super) fn end_late(&mut self, late_lf: LateLf) {
        if late_lf == LateLf::Counted && !self.fresh && self.opening == Opening::Known {
            self.block.count(b"\n".len());
        }
        self.keep_ignored(b"\n");
    }
}
