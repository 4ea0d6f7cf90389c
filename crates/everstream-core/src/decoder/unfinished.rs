//! How a stream ended: with an event without its blank line, or without ever having had a field.

use alloc::string::String;
use alloc::vec::Vec;

use super::Decoder;
use super::open_line::{OpenLine, without_bom};
use crate::block::{self, Borrowed};
use crate::field::{Field, is_recognized, may_be_event_field, split_field};
use crate::item::{Item, TooLarge};
use crate::line::LateLf;
use crate::utf8;

/// How many bytes of a stream without any field are reported.
const MAX_IGNORED_TEXT: usize = 200;

/// What the lines of this stream have contained so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StreamContent {
    /// No line is complete yet, so a BOM may still arrive.
    Nothing,
    /// Only blank lines.
    Blank,
    /// Text, but no field of the standard and no comment. `at_block_start` is false then, so that no line
    /// takes a fast path.
    Unrecognized,
    /// At least one field or comment.
    Recognized,
}

impl Decoder {
    /// The size of the unfinished event, as received: its complete `data`, `event` and `id` lines with
    /// their line ends, and a cut last line that is, or may become, one of these. 0 if the stream could
    /// end here without losing part of an event.
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
        let line = without_bom(&self.raw, self.content);
        let cut = if may_be_event_field(line) {
            line.len()
        } else {
            0
        };
        let bytes = self.block.received.saturating_add(cut as u64);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// The first 200 bytes of a stream that has had neither a field nor a comment so far, such as an
    /// error in JSON or HTML. `None` if there was a field or a comment, or nothing but blank lines.
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
        let cut = without_bom(&self.raw, self.content);
        if self.content == StreamContent::Recognized || is_recognized(cut) {
            return None;
        }
        let bytes = self
            .ignored
            .iter()
            .chain(cut)
            .take(MAX_IGNORED_TEXT + 1)
            .copied();
        let bytes: Vec<u8> = bytes.collect();
        let shown = bytes.get(..MAX_IGNORED_TEXT).unwrap_or(&bytes);
        let mut text = String::new();
        let unfinished = utf8::push_lossy(&mut text, shown);
        if !unfinished.is_empty() && shown.len() == bytes.len() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
        while let Some(b'\r' | b'\n') = text.as_bytes().last() {
            text.pop();
        }
        (!text.is_empty()).then_some(text)
    }

    /// Dispatches the last event of a complete stream although its blank line, or the end of its last
    /// line, is missing. The standard discards such an event, because it may be incomplete. Call
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
        self.clear_last_item();
        let (field, _) = split_field(without_bom(&self.raw, self.content));
        let step = if matches!(field, Field::Comment | Field::Retry) {
            // The delay may be incomplete: "retry: 10" of "retry: 1000".
            self.open = OpenLine::Empty;
            block::clear_bytes(&mut self.raw);
            self.set_recognized();
            Ok(None)
        } else if self.open != OpenLine::Empty {
            self.end_other_line(b"", b"")
        } else {
            Ok(None)
        };
        let step = step.map(|_| self.dispatch());
        self.item(step, &Borrowed::default())
    }

    /// Whether the block that was just skipped had an id.
    pub(crate) fn has_skipped_id(&self) -> bool {
        self.dispatched && self.block.skipped && self.block.has_id
    }

    /// Processes a line before the first field or comment. Returns it without a BOM.
    #[cold]
    pub(super) fn classify_line<'i>(&mut self, line: &'i [u8], end: &[u8]) -> &'i [u8] {
        let line = without_bom(line, self.content);
        if line.is_empty() {
            self.content = self.content.max(StreamContent::Blank);
            self.store_ignored(end);
        } else if is_recognized(line) {
            self.set_recognized();
        } else {
            self.content = StreamContent::Unrecognized;
            self.at_block_start = false;
            self.store_ignored(line);
            self.store_ignored(end);
        }
        line
    }

    /// The stream has a field or a comment.
    #[cold]
    pub(super) fn set_recognized(&mut self) {
        if self.content == StreamContent::Unrecognized {
            // No block has begun yet.
            self.at_block_start = true;
            self.ignored = Default::default();
        }
        self.content = StreamContent::Recognized;
    }

    /// Stores one byte more than is reported, to know whether the text was cut.
    pub(super) fn store_ignored(&mut self, bytes: &[u8]) {
        if self.content == StreamContent::Unrecognized {
            let room = (MAX_IGNORED_TEXT + 1).saturating_sub(self.ignored.len());
            self.ignored
                .extend_from_slice(&bytes[..room.min(bytes.len())]);
        }
    }

    /// The last line ended in CR, and its LF has just arrived.
    pub(super) fn handle_late_lf(&mut self, late_lf: LateLf) {
        if late_lf == LateLf::Counted
            && !self.at_block_start
            && self.content == StreamContent::Recognized
        {
            self.block.count(b"\n".len());
        }
        self.store_ignored(b"\n");
    }
}
