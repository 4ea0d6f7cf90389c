//! Bytes to items: interpreting an event stream (WHATWG HTML 9.2.6).
//!
//! An event that is contained in the chunk takes a fast path (`whole`). Everything else is decoded line
//! by line (`lines`); a cut line continues in the next chunk (`open_line`). All paths end in `items`.
//! Which functions are inlined follows from measurements; in a browser fewer are, because the size of a
//! program counts for more there.
//!
//! Each path recognizes a `data:` line itself. If they shared one classification, a whole event would cost 582
//! instructions instead of 488 (LLM events in chunks of 16 KiB) or, within the loop over lines, 449 instead of 295
//! (tiny events), and a cut line 150 more than its 1,231 (chunks of 64 B).
//!
//! All counts of instructions, here and in the other files, are per event. callgrind counted them when the decision
//! was made.

mod items;
mod lines;
mod open_line;
mod unfinished;
mod whole;

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use self::open_line::OpenLine;
use self::unfinished::StreamContent;
use crate::block::{self, Block};
use crate::item::{Item, ItemRef, Oversize, TooLarge};
use crate::line::LineEnds;

/// The default of [`Decoder::with_limit`]: 64 MiB.
///
/// ```
/// use everstream_core::{DEFAULT_MAX_EVENT_SIZE, SessionConfig};
///
/// assert_eq!(DEFAULT_MAX_EVENT_SIZE, 64 * 1024 * 1024);
/// assert_eq!(SessionConfig::default().max_event_size, DEFAULT_MAX_EVENT_SIZE);
/// ```
pub const DEFAULT_MAX_EVENT_SIZE: usize = 64 << 20;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Turns the bytes of a stream, in chunks of any size, into items.
///
/// Decoding takes time linear in the input, however the input is cut into chunks. Memory is bounded by
/// the limit, and the memory of a large event is freed after that event.
///
/// ```
/// use everstream_core::{Decoder, ItemRef};
///
/// let mut decoder = Decoder::new();
/// let mut seen = Vec::new();
/// for chunk in ["data: hel", "lo\n\nda", "ta: again\n\n"] {
///     let mut input = chunk.as_bytes();
///     while let Some(item) = decoder.decode(&mut input)? {
///         if let ItemRef::Event(event) = item {
///             seen.push(event.data().to_owned());
///         }
///     }
/// }
/// assert_eq!(seen, ["hello", "again"]);
/// # Ok::<(), everstream_core::TooLarge>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    oversize: Oversize,
    ignore_comments: bool,
    line_ends: LineEnds,
    content: StreamContent,
    open: OpenLine,
    /// The bytes of the open line if it is `Raw`; otherwise empty.
    raw: Vec<u8>,
    block: Block,
    /// Nothing of the block has arrived yet, and `ignored` is empty.
    at_block_start: bool,
    /// The block was returned; the next call clears it.
    dispatched: bool,

    /// The standard's last event ID string.
    last_id: String,
    /// Holds a comment that can't be borrowed from the chunk.
    comment: String,
    /// The value of the last `retry:` line.
    retry: Duration,
    /// The first bytes of a stream without any field. Empty unless `content` is `Unrecognized`.
    ignored: Vec<u8>,
}

/// What a line completed. It is one byte, and so are the results that wrap it: returning them is most of
/// the cost of a short line.
#[derive(Clone, Copy)]
enum Step {
    Event,
    Comment,
    /// The value is in `retry`.
    Retry,
    Id,
    Skipped,
}

/// Something exceeds the limit.
#[derive(Clone, Copy)]
struct LimitExceeded;

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder that fails on events larger than [`DEFAULT_MAX_EVENT_SIZE`].
    ///
    /// ```
    /// let decoder = everstream_core::Decoder::new();
    /// assert_eq!(decoder.last_event_id(), None);
    /// ```
    pub fn new() -> Self {
        Self::with_limit(DEFAULT_MAX_EVENT_SIZE, Oversize::Fail)
    }

    /// A decoder with a limit in bytes, which applies to a line, and to the data, type and id of
    /// an event taken together.
    ///
    /// ```
    /// use everstream_core::{Decoder, Oversize, TooLarge};
    ///
    /// let mut decoder = Decoder::with_limit(10, Oversize::Fail);
    /// let mut input: &[u8] = b"data: a long line\n\n";
    /// assert_eq!(decoder.decode(&mut input), Err(TooLarge { limit: 10 }));
    /// ```
    pub fn with_limit(limit: usize, oversize: Oversize) -> Self {
        Decoder {
            limit,
            oversize,
            ignore_comments: false,
            line_ends: LineEnds::default(),
            content: StreamContent::Nothing,
            open: OpenLine::Empty,
            raw: Vec::new(),
            block: Block::with_limit(limit),
            at_block_start: true,
            dispatched: false,
            last_id: String::new(),
            comment: String::new(),
            retry: Duration::ZERO,
            ignored: Vec::new(),
        }
    }

    /// Sets whether comments are ignored. By default they are returned. A comment longer than the limit
    /// is too large either way.
    ///
    /// ```
    /// use everstream_core::{Decoder, ItemRef};
    ///
    /// let mut decoder = Decoder::new();
    /// decoder.set_ignore_comments(true);
    /// let mut input: &[u8] = b": keep-alive\n\ndata: hello\n\n";
    /// let item = decoder.decode(&mut input)?;
    /// assert!(matches!(item, Some(ItemRef::Event(event)) if event.data() == "hello"));
    /// # Ok::<(), everstream_core::TooLarge>(())
    /// ```
    pub fn set_ignore_comments(&mut self, ignore: bool) {
        self.ignore_comments = ignore;
    }

    /// Takes bytes off the front of `input`, up to the end of the next item. `None`: all of `input` was
    /// taken, and the decoder needs the next chunk.
    ///
    /// An event with one `data:` line that is contained in `input` is neither copied nor allocated.
    ///
    /// # Errors
    ///
    /// [`TooLarge`], with [`Oversize::Fail`]. You can continue decoding after it: the rest of the event
    /// is skipped, as with [`Oversize::Skip`].
    ///
    /// ```
    /// use everstream_core::{Decoder, ItemRef};
    ///
    /// let mut decoder = Decoder::new();
    /// let mut input: &[u8] = b": hi\nretry: 500\n";
    /// assert_eq!(decoder.decode(&mut input)?, Some(ItemRef::Comment(" hi")));
    /// let half_a_second = std::time::Duration::from_millis(500);
    /// assert_eq!(decoder.decode(&mut input)?, Some(ItemRef::Retry(half_a_second)));
    /// assert_eq!(decoder.decode(&mut input)?, None);
    /// # Ok::<(), everstream_core::TooLarge>(())
    /// ```
    #[inline(always)]
    pub fn decode<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<ItemRef<'a>>, TooLarge> {
        self.decode_as(input)
    }

    /// [`decode`](Self::decode) with owned items: one allocation per event.
    ///
    /// # Errors
    ///
    /// As for [`decode`](Self::decode).
    ///
    /// ```
    /// use everstream_core::{Decoder, Event, Item};
    ///
    /// let mut decoder = Decoder::new();
    /// let item = decoder.decode_owned(&mut &b"data: hello\n\n"[..])?;
    /// assert_eq!(item, Some(Item::Event(Event::new("message", "hello", None))));
    /// # Ok::<(), everstream_core::TooLarge>(())
    /// ```
    #[inline(always)]
    pub fn decode_owned(&mut self, input: &mut &[u8]) -> Result<Option<Item>, TooLarge> {
        self.decode_as(input)
    }

    /// Ends the stream: discards an unfinished event (WHATWG HTML 9.2.6: an event without its blank line
    /// is not dispatched), keeps the last event id, and is ready for the next stream.
    ///
    /// ```
    /// use everstream_core::{Decoder, Item, Event};
    ///
    /// let mut decoder = Decoder::new();
    /// decoder.decode(&mut &b"data: cut of"[..])?;
    /// decoder.end();
    /// let item = decoder.decode_owned(&mut &b"data: whole\n\n"[..])?;
    /// assert_eq!(item, Some(Item::Event(Event::new("", "whole", None))));
    /// # Ok::<(), everstream_core::TooLarge>(())
    /// ```
    pub fn end(&mut self) {
        *self = Decoder {
            ignore_comments: self.ignore_comments,
            last_id: core::mem::take(&mut self.last_id),
            ..Self::with_limit(self.limit, self.oversize)
        };
    }

    /// The newest id of the stream, earlier connections included; `None` if there was none or if an empty
    /// `id:` cleared it.
    ///
    /// ```
    /// # use everstream_core::Decoder;
    /// let mut decoder = Decoder::new();
    /// decoder.decode(&mut &b"id: 7\n\n"[..])?;
    /// assert_eq!(decoder.last_event_id(), Some("7"));
    /// # Ok::<(), everstream_core::TooLarge>(())
    /// ```
    pub fn last_event_id(&self) -> Option<&str> {
        (!self.last_id.is_empty()).then_some(&*self.last_id)
    }

    /// Sets the last event id, to resume where an earlier run stopped.
    ///
    /// ```
    /// # use everstream_core::Decoder;
    /// let mut decoder = Decoder::new();
    /// decoder.set_last_event_id(Some("41"));
    /// assert_eq!(decoder.last_event_id(), Some("41"));
    /// ```
    pub fn set_last_event_id(&mut self, id: Option<&str>) {
        self.last_id = id.unwrap_or_default().into();
    }

    /// Clears what the last call returned.
    #[inline]
    fn clear_last_item(&mut self) {
        if core::mem::take(&mut self.dispatched) {
            self.block.reset();
            self.at_block_start = true;
        }
        if !self.comment.is_empty() {
            block::clear(&mut self.comment);
        }
    }
}
