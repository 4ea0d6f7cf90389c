//! The block being received: the lines up to a blank one.

use alloc::string::String;
use alloc::vec::Vec;

use crate::utf8;

/// Parts of the block that are contained in the chunk and needn't be copied.
#[derive(Default)]
pub(crate) struct Borrowed<'i> {
    /// The data, as long as it is a single line. Not decoded yet.
    pub(crate) data: Option<&'i [u8]>,
    pub(crate) comment: Option<&'i str>,
}

/// The standard's buffers. If the block is `skipped`, only its id counts.
///
/// The data buffer, without its last LF, is `text`, then `raw`, then the borrowed data. Decoding it once
/// at the end is much cheaper than line by line.
#[derive(Debug)]
pub(crate) struct Block {
    /// The maximum size of data, type and id together.
    limit: usize,
    pub(crate) has_data: bool,
    text: String,
    /// Not decoded yet.
    raw: Vec<u8>,
    /// `raw` is decoded when it reaches this size. 0 while the block is skipped: nothing is stored.
    decode_threshold: usize,
    has_event: bool,
    /// The event type buffer if `has_event`, otherwise the type of an earlier event.
    event: String,
    pub(crate) has_id: bool,
    /// The last event ID buffer; empty unless `has_id`.
    pub(crate) id: String,
    /// The block is too large.
    pub(crate) skipped: bool,
    /// The size of the block's data, event and id lines as received, stored or not. A cut line counts
    /// once its field is known. It is counted per piece: counting per line took 1,426
    /// instructions instead of 1,343.
    pub(crate) received: u64,
    /// The value of `received` at the start of the open data line, or of a BOM before it.
    line_start: u64,
    /// Up to this many received bytes, nothing can exceed the limit.
    always_fits: u64,
}

/// Data of at least this size is decoded as it arrives, into a buffer that is moved into an owned event
/// instead of copied.
const MIN_MOVED_SIZE: usize = 8 << 10;

/// Large data is decoded in batches of at least this size, because small batches cost more per byte.
const DECODE_BATCH: usize = 1 << 10;

/// Data up to the limit divided by this gets a buffer whose size is a power of two.
const POW2_LIMIT_FRACTION: usize = 4;

/// The limit is checked after this many bytes of a piece. A larger interval isn't faster: from a few KiB
/// on the C library copies with `rep movsb`, which on some processors runs at half speed when source and
/// destination are badly aligned: 1 MiB took 77 µs instead of 41.
const LIMIT_CHECK_INTERVAL: usize = 2 << 10;

impl Block {
    pub(crate) fn with_limit(limit: usize) -> Self {
        Block {
            limit,
            has_data: false,
            text: String::new(),
            raw: Vec::new(),
            decode_threshold: MIN_MOVED_SIZE,
            has_event: false,
            event: String::new(),
            has_id: false,
            id: String::new(),
            skipped: false,
            received: 0,
            line_start: 0,
            always_fits: (limit / utf8::MAX_GROWTH) as u64,
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

    /// Begins a data line that continues in another chunk, and counts the bytes in this one.
    #[inline(always)]
    pub(crate) fn begin_open_data_line(&mut self, bom: usize, received: usize) {
        self.line_start = self.received.wrapping_sub(bom as u64);
        self.count(received);
        if !self.begin_data_line() {
            self.push_data(b"\n");
        }
    }

    /// Adds a data line that is contained in the chunk.
    #[inline]
    pub(crate) fn add_data_line<'i>(&mut self, value: &'i [u8], borrowed: &mut Borrowed<'i>) {
        if self.begin_data_line() {
            borrowed.data = Some(value);
        } else {
            if let Some(first) = borrowed.data.take() {
                self.push_data(first);
            }
            self.push_line(value);
        }
    }

    /// Adds a data line that isn't the first.
    #[inline]
    fn push_line(&mut self, value: &[u8]) {
        if self.raw.len() + value.len() + 1 < self.decode_threshold {
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
        if self.raw.len() + piece.len() < self.decode_threshold {
            self.raw.extend_from_slice(piece);
        } else {
            self.decode_batch(piece);
        }
    }

    /// Adds a piece of the open data line, which is already counted. `false` if the line or the block now
    /// exceeds the limit.
    #[inline(always)]
    pub(crate) fn push_piece(&mut self, piece: &[u8]) -> bool {
        if piece.len() > LIMIT_CHECK_INTERVAL {
            return self.push_large_piece(piece);
        }
        self.push_data(piece);
        self.received <= self.always_fits || self.may_fit()
    }

    /// Invalid UTF-8 grows when decoded, so a large chunk could go far beyond the limit.
    #[inline(never)]
    fn push_large_piece(&mut self, piece: &[u8]) -> bool {
        if self.line_too_long() {
            return false;
        }
        if !self.skipped {
            // Once, instead of in each batch. Nothing beyond the limit is stored.
            let room = self.limit.saturating_sub(self.text.len());
            self.reserve_text(room.min(piece.len()));
        }
        piece.chunks(LIMIT_CHECK_INTERVAL).all(|batch| {
            self.push_data(batch);
            self.may_fit()
        })
    }

    #[cold]
    fn decode_batch(&mut self, piece: &[u8]) {
        if self.skipped {
            return;
        }
        self.decode_threshold = DECODE_BATCH;
        self.reserve_text(self.raw.len() + piece.len());
        if self.raw.is_empty() {
            let unfinished = utf8::push_lossy(&mut self.text, piece);
            self.raw.extend_from_slice(unfinished);
        } else {
            self.raw.extend_from_slice(piece);
            let unfinished = utf8::push_lossy(&mut self.text, &self.raw).len();
            self.raw.drain(..self.raw.len() - unfinished);
        }
    }

    /// Reserves space in `text`. Far from the limit, the capacity is the next power of two: `text` is
    /// copied less often (growing by half took 10 to 20 µs longer for 1 MiB), and data whose size is a power
    /// of two, which is common, isn't copied again when it is complete.
    fn reserve_text(&mut self, more: usize) {
        let length = self.text.len();
        if self.text.capacity() - length >= more {
            return;
        }
        let rounded = (length + more).checked_next_power_of_two();
        match rounded.filter(|rounded| *rounded <= self.limit / POW2_LIMIT_FRACTION) {
            Some(rounded) => self.text.reserve_exact(rounded - length),
            None => utf8::reserve(&mut self.text, more),
        }
    }

    /// Most streams have few event types, and comparing is much cheaper than decoding.
    #[inline]
    pub(crate) fn set_event(&mut self, value: &[u8]) {
        self.has_event = true;
        if self.event.as_bytes() != value {
            self.event.clear();
            utf8::push_complete(&mut self.event, value);
        }
    }

    /// Sets fields that are already decoded. Parsing the fields of a cut event a second time took 1,618
    /// instructions instead of 1,340.
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
        utf8::push_complete(&mut self.id, value);
    }

    /// Copies borrowed data, because the chunk ends.
    #[inline]
    pub(crate) fn store_borrowed(&mut self, borrowed: &mut Borrowed<'_>) {
        if let Some(data) = borrowed.data.take() {
            self.push_data(data);
        }
    }

    /// Whether the stored part of the block, once decoded, is within the limit. For the end of a line.
    #[inline]
    pub(crate) fn fits(&mut self, borrowed: &mut Borrowed<'_>) -> bool {
        self.received <= self.always_fits || self.fits_by_upper_bound(borrowed)
    }

    #[inline(never)]
    fn fits_by_upper_bound(&mut self, borrowed: &mut Borrowed<'_>) -> bool {
        let raw = borrowed.data.map_or(self.raw.len(), <[u8]>::len);
        let upper_bound = self.text.len()
            + self.event().len()
            + self.id.len()
            + raw.saturating_mul(utf8::MAX_GROWTH);
        upper_bound <= self.limit || self.fits_exactly(borrowed)
    }

    #[cold]
    fn fits_exactly(&mut self, borrowed: &mut Borrowed<'_>) -> bool {
        self.store_borrowed(borrowed);
        self.decode_remaining();
        self.text.len() + self.event().len() + self.id.len() <= self.limit
    }

    /// Whether the block can still be within the limit. For the middle of a data line, where only a lower
    /// bound is known: decoding makes nothing shorter.
    #[inline(never)]
    fn may_fit(&self) -> bool {
        let lower_bound = self.text.len() + self.raw.len() + self.event().len() + self.id.len();
        lower_bound <= self.limit && !self.line_too_long()
    }

    fn line_too_long(&self) -> bool {
        self.received.wrapping_sub(self.line_start) > self.limit as u64
    }

    fn decode_remaining(&mut self) {
        self.decode_threshold = DECODE_BATCH;
        utf8::push_complete(&mut self.text, &self.raw);
        self.raw.clear();
    }

    /// The type, empty for the default, and the data.
    #[inline]
    pub(crate) fn event_and_data<'a>(&'a mut self, borrowed: &Borrowed<'a>) -> (&'a str, &'a str) {
        let raw = borrowed.data.unwrap_or(&self.raw);
        let whole = match self.text.is_empty() {
            true => utf8::valid(raw),
            false => None,
        };
        let data = match whole {
            Some(data) => data,
            None => {
                utf8::push_complete(&mut self.text, raw);
                &self.text
            }
        };
        let event = if self.has_event { &*self.event } else { "" };
        (event, data)
    }

    /// The data, if it is large and in its own buffer.
    #[inline]
    pub(crate) fn take_large(&mut self, borrowed: &Borrowed<'_>) -> Option<String> {
        if self.text.len() < MIN_MOVED_SIZE || borrowed.data.is_some() {
            return None;
        }
        self.decode_remaining();
        Some(core::mem::take(&mut self.text))
    }

    /// Discards the block because it is too large.
    pub(crate) fn skip(&mut self) {
        self.skipped = true;
        self.decode_threshold = 0;
        // An id as large as the limit isn't worth resuming from.
        if self.id.len() > self.limit {
            self.has_id = false;
            clear(&mut self.id);
        }
        self.reset_event();
    }

    pub(crate) fn reset(&mut self) {
        self.skipped = false;
        self.received = 0;
        self.decode_threshold = MIN_MOVED_SIZE;
        self.has_data = false;
        self.has_id = false;
        clear(&mut self.id);
        self.reset_event();
    }

    fn reset_event(&mut self) {
        clear(&mut self.text);
        clear_bytes(&mut self.raw);
        self.has_event = false;
        if self.event.capacity() > MAX_RETAINED_CAPACITY {
            self.event = String::new();
        }
    }
}

/// Buffers keep at most this much capacity for the next event.
const MAX_RETAINED_CAPACITY: usize = 16 << 10;

/// Empties a buffer, and frees it if it had to grow large.
#[inline]
pub(crate) fn clear(buffer: &mut String) {
    buffer.clear();
    if buffer.capacity() > MAX_RETAINED_CAPACITY {
        *buffer = String::new();
    }
}

/// [`clear`], for bytes.
#[inline]
pub(crate) fn clear_bytes(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > MAX_RETAINED_CAPACITY {
        *buffer = Vec::new();
    }
}
