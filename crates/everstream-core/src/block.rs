//! The block that is being received: the lines up to a blank one.

use alloc::string::String;

use crate::utf8::{self, Unfinished};

/// The standard's buffers. While it is `skipped`, only its id counts.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) has_data: bool,
    /// The data buffer, without its last LF. What the decoder has lent isn't in it.
    pub(crate) data: String,
    /// A character that the last piece of data ended within.
    unfinished: Unfinished,
    /// The event type buffer.
    pub(crate) event: String,
    pub(crate) has_id: bool,
    /// The last event ID buffer, if `has_id`.
    pub(crate) id: String,
    /// It is too large, and is being left out.
    pub(crate) skipped: bool,
}

impl Block {
    /// Begins a data line. `true` if it is the block's first.
    pub(crate) fn begin_data_line(&mut self) -> bool {
        let first = !core::mem::replace(&mut self.has_data, true);
        if !first && !self.skipped {
            self.data.push('\n');
        }
        first
    }

    /// Adds a piece of the data line's value.
    pub(crate) fn push_data(&mut self, piece: &[u8]) {
        if !self.skipped {
            self.unfinished.push(&mut self.data, piece);
        }
    }

    /// Adds a whole value.
    pub(crate) fn push_str(&mut self, value: &str) {
        if !self.skipped {
            self.data.push_str(value);
        }
    }

    pub(crate) fn end_data_line(&mut self) {
        self.unfinished.end(&mut self.data);
    }

    pub(crate) fn set_event(&mut self, value: &[u8]) {
        self.event.clear();
        if !self.skipped {
            utf8::push_whole(&mut self.event, value);
        }
    }

    pub(crate) fn set_id(&mut self, value: &[u8]) {
        self.has_id = true;
        self.id.clear();
        utf8::push_whole(&mut self.id, value);
    }

    /// Whether what is kept of it is within the limit, with this much lent data.
    pub(crate) fn fits(&self, lent: usize, limit: usize) -> bool {
        let id = if self.has_id { self.id.len() } else { 0 };
        match self.skipped {
            true => id <= limit,
            false => self.data.len() + lent + self.event.len() + id <= limit,
        }
    }

    /// Leaves it out.
    pub(crate) fn skip(&mut self, limit: usize) {
        self.skipped = true;
        // An id as large as the limit isn't worth resuming from.
        if self.id.len() > limit {
            self.has_id = false;
            clear(&mut self.id);
        }
        clear(&mut self.data);
        clear(&mut self.event);
        self.unfinished = Unfinished::default();
    }

    pub(crate) fn forget(&mut self) {
        self.skipped = false;
        self.has_data = false;
        self.has_id = false;
        clear(&mut self.data);
        clear(&mut self.event);
        clear(&mut self.id);
    }
}

/// Buffers keep at most this much for what comes next.
pub(crate) const KEEP: usize = 16 << 10;

/// Empties a buffer; one that had to grow large is given back.
pub(crate) fn clear(buffer: &mut String) {
    buffer.clear();
    if buffer.capacity() > KEEP {
        *buffer = String::new();
    }
}
