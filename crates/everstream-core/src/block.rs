//! The block that is being received: the lines up to a blank one.

use alloc::string::String;
use alloc::vec::Vec;

use crate::utf8;

/// What lies whole in the chunk and needn't be copied.
#[derive(Default)]
pub(crate) struct Lent<'i> {
    /// The data, while it is one line and not decoded yet.
    pub(crate) data: Option<&'i [u8]>,
    pub(crate) comment: Option<&'i str>,
}

/// The standard's buffers. While it is `skipped`, only its id counts.
///
/// The data buffer, without its last LF, is `text`, then `raw`, then what is lent. Decoding it at
/// the end, all at once, costs much less than line by line.
#[derive(Debug)]
pub(crate) struct Block {
    /// For data, type and id together.
    limit: usize,
    pub(crate) has_data: bool,
    text: String,
    /// Not decoded yet.
    raw: Vec<u8>,
    /// `raw` stays shorter than this. None of it is kept while the block is skipped.
    part: usize,
    has_event: bool,
    /// The event type buffer, if `has_event`; else what it was last.
    event: String,
    pub(crate) has_id: bool,
    /// The last event ID buffer; empty unless `has_id`.
    pub(crate) id: String,
    /// It is too large, and is being left out.
    pub(crate) skipped: bool,
    /// The size of its data, event and id lines as received, kept or not. A cut line is counted from
    /// when it is known to be one of them.
    pub(crate) received: u64,
    /// Where the open data line, or a BOM before it, began in `received`.
    line_start: u64,
    /// While no more than this was received, nothing can exceed the limit.
    fitting: u64,
}

/// Data from this size on is decoded while it comes, into a buffer that is moved into an owned event
/// rather than copied.
const MOVE_FROM: usize = 8 << 10;

/// From then on it is decoded in parts of this size at least: smaller ones cost more each.
const PART: usize = 1 << 10;

/// Up to this part of the limit, data is kept in a buffer whose size is a power of two.
const ROUNDED: usize = 4;

/// After so many bytes of a piece the limit is looked at. It is no slower than more at once: from some
/// KiB on the C library copies by `rep movsb`, which some processors do at half the speed if the
/// two ends lie badly.
const LOOK_AFTER: usize = 2 << 10;

impl Block {
    pub(crate) fn with_limit(limit: usize) -> Self {
        Block {
            limit,
            has_data: false,
            text: String::new(),
            raw: Vec::new(),
            part: MOVE_FROM,
            has_event: false,
            event: String::new(),
            has_id: false,
            id: String::new(),
            skipped: false,
            received: 0,
            line_start: 0,
            fitting: (limit / utf8::GROWTH) as u64,
        }
    }

    #[inline]
    pub(crate) fn count(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// Begins a data line. `true` if it is the block's first.
    #[inline]
    fn begin_data_line(&mut self) -> bool {
        !core::mem::replace(&mut self.has_data, true)
    }

    /// Begins a data line that goes on in another chunk, and counts what is there of it.
    #[inline(always)]
    pub(crate) fn begin_open_data_line(&mut self, bom: usize, received: usize) {
        self.line_start = self.received.wrapping_sub(bom as u64);
        self.count(received);
        if !self.begin_data_line() {
            self.push_data(b"\n");
        }
    }

    /// Adds a data line that lies whole in the chunk.
    #[inline]
    pub(crate) fn add_data_line<'i>(&mut self, value: &'i [u8], lent: &mut Lent<'i>) {
        if self.begin_data_line() {
            lent.data = Some(value);
        } else {
            if let Some(first) = lent.data.take() {
                self.push_data(first);
            }
            self.push_line(value);
        }
    }

    /// Adds a data line that isn't the first.
    #[inline]
    fn push_line(&mut self, value: &[u8]) {
        if self.raw.len() + value.len() + 1 < self.part {
            self.raw.reserve(value.len() + 1);
            self.raw.push(b'\n');
            self.raw.extend_from_slice(value);
        } else {
            self.push_data(b"\n");
            self.push_data(value);
        }
    }

    /// Adds a piece of the data.
    #[inline(always)]
    pub(crate) fn push_data(&mut self, piece: &[u8]) {
        if self.raw.len() + piece.len() < self.part {
            self.raw.extend_from_slice(piece);
        } else {
            self.decode_part(piece);
        }
    }

    /// Adds a piece of the open data line, which was counted. `false` if the line or the block exceeds
    /// the limit by now.
    #[inline(always)]
    pub(crate) fn push_piece(&mut self, piece: &[u8]) -> bool {
        if piece.len() > LOOK_AFTER {
            return self.push_large_piece(piece);
        }
        self.push_data(piece);
        self.received <= self.fitting || self.may_fit()
    }

    /// What isn't UTF-8 gets longer, so that a large chunk could go far beyond the limit.
    #[inline(never)]
    fn push_large_piece(&mut self, piece: &[u8]) -> bool {
        if self.line_too_long() {
            return false;
        }
        if !self.skipped {
            // At once, rather than part by part; beyond the limit nothing is kept.
            let most = self.limit.saturating_sub(self.text.len());
            self.make_room(most.min(piece.len()));
        }
        piece.chunks(LOOK_AFTER).all(|part| {
            self.push_data(part);
            self.may_fit()
        })
    }

    #[cold]
    fn decode_part(&mut self, piece: &[u8]) {
        if self.skipped {
            return;
        }
        self.part = PART;
        self.make_room(self.raw.len() + piece.len());
        if self.raw.is_empty() {
            let unfinished = utf8::push_lossy(&mut self.text, piece);
            self.raw.extend_from_slice(unfinished);
        } else {
            self.raw.extend_from_slice(piece);
            let unfinished = utf8::push_lossy(&mut self.text, &self.raw).len();
            self.raw.drain(..self.raw.len() - unfinished);
        }
    }

    /// Makes room in `text`. Far from the limit it takes the next power of two: it is copied less
    /// often, and a text of such a size, which many are cut to, isn't copied once more for its end.
    fn make_room(&mut self, more: usize) {
        let length = self.text.len();
        if self.text.capacity() - length >= more {
            return;
        }
        let rounded = (length + more).checked_next_power_of_two();
        match rounded.filter(|rounded| *rounded <= self.limit / ROUNDED) {
            Some(rounded) => self.text.reserve_exact(rounded - length),
            None => utf8::make_room(&mut self.text, more),
        }
    }

    /// Most streams have few types: comparing costs a fraction of decoding.
    #[inline]
    pub(crate) fn set_event(&mut self, value: &[u8]) {
        self.has_event = true;
        if self.event.as_bytes() != value {
            self.event.clear();
            utf8::push_whole(&mut self.event, value);
        }
    }

    /// Sets what is known to be text.
    pub(crate) fn set_fields(&mut self, event: Option<&str>, id: Option<&str>) {
        if let Some(event) = event {
            self.has_event = true;
            self.event.clear();
            self.event.push_str(event);
        }
        if let Some(id) = id {
            self.has_id = true;
            self.id.clear();
            self.id.push_str(id);
        }
    }

    /// The type, empty for the default.
    #[inline]
    pub(crate) fn event(&self) -> &str {
        if self.has_event { &self.event } else { "" }
    }

    #[inline]
    pub(crate) fn set_id(&mut self, value: &[u8]) {
        self.has_id = true;
        self.id.clear();
        utf8::push_whole(&mut self.id, value);
    }

    /// Copies what is lent, because the chunk is left.
    #[inline]
    pub(crate) fn keep(&mut self, lent: &mut Lent<'_>) {
        if let Some(data) = lent.data.take() {
            self.push_data(data);
        }
    }

    /// Whether what is kept of it at the end of a line, decoded, is within the limit.
    #[inline]
    pub(crate) fn fits(&mut self, lent: &mut Lent<'_>) -> bool {
        self.received <= self.fitting || self.fits_by_size(lent)
    }

    #[inline(never)]
    fn fits_by_size(&mut self, lent: &mut Lent<'_>) -> bool {
        let raw = lent.data.map_or(self.raw.len(), <[u8]>::len);
        let most =
            self.text.len() + self.event().len() + self.id.len() + raw.saturating_mul(utf8::GROWTH);
        most <= self.limit || self.fits_exactly(lent)
    }

    #[cold]
    fn fits_exactly(&mut self, lent: &mut Lent<'_>) -> bool {
        self.keep(lent);
        self.decode_rest();
        self.text.len() + self.event().len() + self.id.len() <= self.limit
    }

    /// Whether it may be within the limit still, within a data line: decoding makes nothing shorter.
    #[inline(never)]
    fn may_fit(&self) -> bool {
        let least = self.text.len() + self.raw.len() + self.event().len() + self.id.len();
        least <= self.limit && !self.line_too_long()
    }

    fn line_too_long(&self) -> bool {
        self.received.wrapping_sub(self.line_start) > self.limit as u64
    }

    fn decode_rest(&mut self) {
        self.part = PART;
        utf8::push_whole(&mut self.text, &self.raw);
        self.raw.clear();
    }

    /// The type, empty for the default, and the data.
    #[inline]
    pub(crate) fn event_and_data<'a>(&'a mut self, lent: &Lent<'a>) -> (&'a str, &'a str) {
        let raw = lent.data.unwrap_or(&self.raw);
        let whole = match self.text.is_empty() {
            true => utf8::valid(raw),
            false => None,
        };
        let data = match whole {
            Some(data) => data,
            None => {
                utf8::push_whole(&mut self.text, raw);
                &self.text
            }
        };
        let event = if self.has_event { &*self.event } else { "" };
        (event, data)
    }

    /// The data, if it is large and has a buffer of its own.
    #[inline]
    pub(crate) fn take_large(&mut self, lent: &Lent<'_>) -> Option<String> {
        if self.text.len() < MOVE_FROM || lent.data.is_some() {
            return None;
        }
        self.decode_rest();
        Some(core::mem::take(&mut self.text))
    }

    /// Leaves it out.
    pub(crate) fn skip(&mut self) {
        self.skipped = true;
        self.part = 0;
        // An id as large as the limit isn't worth resuming from.
        if self.id.len() > self.limit {
            self.has_id = false;
            clear(&mut self.id);
        }
        self.forget_event();
    }

    pub(crate) fn forget(&mut self) {
        self.skipped = false;
        self.received = 0;
        self.part = MOVE_FROM;
        self.has_data = false;
        self.has_id = false;
        clear(&mut self.id);
        self.forget_event();
    }

    fn forget_event(&mut self) {
        clear(&mut self.text);
        clear_bytes(&mut self.raw);
        self.has_event = false;
        if self.event.capacity() > KEEP {
            self.event = String::new();
        }
    }
}

/// Buffers keep at most this much for what comes next.
const KEEP: usize = 16 << 10;

/// Empties a buffer; one that had to grow large is given back.
#[inline]
pub(crate) fn clear(buffer: &mut String) {
    buffer.clear();
    if buffer.capacity() > KEEP {
        *buffer = String::new();
    }
}

/// [`clear`], for bytes.
#[inline]
pub(crate) fn clear_bytes(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > KEEP {
        *buffer = Vec::new();
    }
}
