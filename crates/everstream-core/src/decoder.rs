//! Lines to items: the standard's interpreter (WHATWG HTML 9.2.6).

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use memchr::{memchr, memchr2};

use crate::block::{self, Block};
use crate::event::{Event, EventRef};
use crate::item::{Item, ItemRef, Oversize, TooLarge};
use crate::line::{LineEnds, Piece};
use crate::utf8;

/// The default of [`Decoder::with_limit`]: 64 MiB.
///
/// ```
/// use everstream_core::{DEFAULT_MAX_EVENT_SIZE, SessionConfig};
///
/// assert_eq!(DEFAULT_MAX_EVENT_SIZE, 64 * 1024 * 1024);
/// assert_eq!(SessionConfig::default().max_event_size, DEFAULT_MAX_EVENT_SIZE);
/// ```
pub const DEFAULT_MAX_EVENT_SIZE: usize = 64 << 20;

/// Data from this size on is moved into an owned event rather than copied.
const MOVE_FROM: usize = 8 << 10;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// So much of a line tells whether its field is one of those that make an event.
const FIELD_START: usize = BOM.len() + b"event:".len();

/// Turns the bytes of a stream, in chunks of any size, into items.
///
/// It looks at every byte once. Its memory is bounded by the limit, and what a large event made
/// it take it gives back afterwards.
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
    ends: LineEnds,
    /// No line of this stream is complete yet, so a BOM may still come.
    at_start: bool,
    open: OpenLine,
    /// Bytes of the open line while it is `Raw`; empty otherwise.
    raw: Vec<u8>,
    /// How long the open line is so far, in all states of `open`.
    open_len: usize,
    block: Block,
    /// Nothing of the block has come yet.
    fresh: bool,
    /// The block was handed out, and is forgotten at the next call.
    dispatched: bool,

    /// The standard's last event ID string.
    last_id: String,
    /// Holds a comment that can't be lent from the chunk.
    comment: String,
    /// The value of the last `retry:` line.
    retry: Duration,
}

/// What is known of the line that the last chunk ended in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OpenLine {
    /// Nothing came yet.
    Empty,
    /// It is in `raw`.
    Raw,
    /// It is a `data:` line: its value goes to `data` piece by piece. `fresh` while a space that
    /// comes next would be the one that the standard removes.
    Data { fresh: bool },
    /// It is too long, and its rest doesn't matter.
    Discarded,
}

/// What a line completed. It has the size of a byte, and so has all that is made of it on the way:
/// that is most of what a short line costs.
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
struct Exceeded;

/// What lies whole in the chunk and needn't be copied.
#[derive(Default)]
struct Lent<'i> {
    /// The data of the block, while it is one line.
    data: Option<&'i str>,
    comment: Option<&'i str>,
}

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
            ends: LineEnds::default(),
            at_start: true,
            open: OpenLine::Empty,
            raw: Vec::new(),
            open_len: 0,
            block: Block::default(),
            fresh: true,
            dispatched: false,
            last_id: String::new(),
            comment: String::new(),
            retry: Duration::ZERO,
        }
    }

    /// Takes bytes off the front of `input`, up to the end of the next item. `None` means that all
    /// of it was taken, and that the next chunk is wanted.
    ///
    /// Nothing is copied or allocated for an event of one `data:` line that lies whole in `input`.
    ///
    /// # Errors
    ///
    /// [`TooLarge`], with [`Oversize::Fail`]. Decoding may go on after it, as with
    /// [`Oversize::Skip`].
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
    pub fn decode<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<ItemRef<'a>>, TooLarge> {
        let mut lent = Lent::default();
        Ok(match self.step(input, &mut lent) {
            Ok(None) => None,
            Ok(Some(Step::Event)) => Some(ItemRef::Event(self.event_ref(lent.data))),
            Ok(Some(Step::Comment)) => {
                Some(ItemRef::Comment(lent.comment.unwrap_or(&self.comment)))
            }
            Ok(Some(Step::Retry)) => Some(ItemRef::Retry(self.retry)),
            Ok(Some(Step::Id)) => Some(ItemRef::Id),
            Ok(Some(Step::Skipped)) => Some(ItemRef::Skipped),
            Err(Exceeded) => return Err(TooLarge { limit: self.limit }),
        })
    }

    /// [`decode`](Self::decode), with items that own what they hold: one allocation an event.
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
    pub fn decode_owned(&mut self, input: &mut &[u8]) -> Result<Option<Item>, TooLarge> {
        let mut lent = Lent::default();
        Ok(match self.step(input, &mut lent) {
            Ok(None) => None,
            Ok(Some(Step::Event)) if lent.data.is_none() && self.block.data.len() >= MOVE_FROM => {
                let data = core::mem::take(&mut self.block.data);
                Some(Item::Event(Event::from_parts(
                    data,
                    &self.block.event,
                    &self.last_id,
                    self.block.has_id,
                )))
            }
            Ok(Some(Step::Event)) => Some(Item::Event(self.event_ref(lent.data).to_owned())),
            Ok(Some(Step::Comment)) => {
                Some(Item::Comment(lent.comment.unwrap_or(&self.comment).into()))
            }
            Ok(Some(Step::Retry)) => Some(Item::Retry(self.retry)),
            Ok(Some(Step::Id)) => Some(Item::Id),
            Ok(Some(Step::Skipped)) => Some(Item::Skipped),
            Err(Exceeded) => return Err(TooLarge { limit: self.limit }),
        })
    }

    /// The stream is over: forgets an unfinished event, keeps the last event id, and is ready for
    /// the next stream (WHATWG HTML 9.2.6: an event without its blank line is not dispatched).
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
        let last_id = core::mem::take(&mut self.last_id);
        *self = Self::with_limit(self.limit, self.oversize);
        self.last_id = last_id;
    }

    /// The newest id that the stream gave, also in an earlier connection; `None` if there was none
    /// or if an empty `id:` cleared it.
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

    /// Presets the last event id, to go on where an earlier run stopped.
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

    fn event_ref<'a>(&'a self, lent: Option<&'a str>) -> EventRef<'a> {
        EventRef::new(
            &self.block.event,
            lent.unwrap_or(&self.block.data),
            &self.last_id,
            self.block.has_id,
        )
    }

    /// Goes on to the next item.
    #[inline]
    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        lent: &mut Lent<'i>,
    ) -> Result<Option<Step>, Exceeded> {
        if core::mem::take(&mut self.dispatched) {
            self.block.forget();
            self.fresh = true;
        }
        if !self.comment.is_empty() {
            block::clear(&mut self.comment);
        }
        match self.whole_event(input) {
            Some(data) => {
                lent.data = Some(data);
                Ok(Some(Step::Event))
            }
            None => self.step_by_line(input, lent),
        }
    }

    /// One `data:` line and the blank line after it, at the beginning of a block and whole in the
    /// chunk: most events of most streams. They leave no trace in the block, so that it needn't be
    /// cleared. (An LF that is still due after a CR would be a blank line here, which does nothing.)
    #[inline]
    fn whole_event<'i>(&mut self, input: &mut &'i [u8]) -> Option<&'i str> {
        if !self.fresh {
            return None;
        }
        let value = without_space(input.strip_prefix(b"data:")?);
        let (value, rest) = value.split_at(memchr2(b'\n', b'\r', value)?);
        let rest = match rest {
            [b'\n', b'\n', rest @ ..] | [b'\r', b'\n', b'\r', b'\n', rest @ ..] => rest,
            _ => return None,
        };
        if b"data: ".len() + value.len() > self.limit {
            return None;
        }
        let value = utf8::valid(value)?;
        self.at_start = false;
        *input = rest;
        Some(value)
    }

    fn step_by_line<'i>(
        &mut self,
        input: &mut &'i [u8],
        lent: &mut Lent<'i>,
    ) -> Result<Option<Step>, Exceeded> {
        while let Some(piece) = self.ends.take(input) {
            let step = match piece {
                Piece::End(line) if self.open == OpenLine::Empty => self.line(line, lent),
                Piece::End(rest) => self.end_open_line(rest, lent),
                Piece::Open(bytes) => {
                    // The line goes on in another chunk, and the block with it.
                    self.keep_lent(lent);
                    self.extend_open_line(bytes)?;
                    return Ok(None);
                }
            };
            match step {
                Ok(None) => {}
                Ok(Some(Step::Event)) => return step,
                // A comment, a retry or a line too long to be kept, within a block: the block goes
                // on at the next call.
                Ok(Some(_)) | Err(_) => {
                    self.keep_lent(lent);
                    return step;
                }
            }
        }
        self.keep_lent(lent);
        Ok(None)
    }

    /// A whole line.
    fn line<'i>(
        &mut self,
        mut line: &'i [u8],
        lent: &mut Lent<'i>,
    ) -> Result<Option<Step>, Exceeded> {
        let too_long = line.len() > self.limit;
        if core::mem::take(&mut self.at_start) {
            line = line.strip_prefix(BOM).unwrap_or(line);
        }
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let (field, value) = split_field(line);
        if too_long {
            return self.too_large(field);
        }
        match field {
            Field::Comment => {
                match utf8::valid(value) {
                    Some(text) => lent.comment = Some(text),
                    None => self.set_comment(value),
                }
                return Ok(Some(Step::Comment));
            }
            Field::Data => {
                self.keep_lent(lent);
                let first = self.block.begin_data_line();
                match utf8::valid(without_space(value)) {
                    Some(value) if first => lent.data = Some(value),
                    Some(value) => self.block.push_str(value),
                    None => {
                        self.block.push_data(without_space(value));
                        self.block.end_data_line();
                    }
                }
            }
            Field::Event => self.block.set_event(without_space(value)),
            // "If the field value does not contain U+0000 NULL".
            Field::Id if memchr(0, value).is_none() => self.block.set_id(without_space(value)),
            Field::Retry => {
                return Ok(parse_retry(without_space(value)).map(|delay| {
                    self.retry = delay;
                    Step::Retry
                }));
            }
            Field::Id | Field::Other => return Ok(None),
        }
        self.fresh = false;
        if self.fits(lent) {
            Ok(None)
        } else {
            self.too_large(Field::Data)
        }
    }

    /// The chunk ends within a line.
    fn extend_open_line(&mut self, mut bytes: &[u8]) -> Result<(), Exceeded> {
        self.fresh = false;
        self.open_len = self.open_len.saturating_add(bytes.len());
        if let OpenLine::Empty | OpenLine::Raw = self.open {
            // Enough of the line to tell whether it is a data line, then its value may go where
            // it belongs: a long line isn't kept twice, nor looked at twice.
            self.open = OpenLine::Raw;
            let wanted = FIELD_START.saturating_sub(self.raw.len());
            let (head, tail) = bytes.split_at(wanted.min(bytes.len()));
            self.raw.extend_from_slice(head);
            bytes = tail;
            if let Some(value) = self.raw_line().strip_prefix(b"data:") {
                let mut start = [0; FIELD_START - b"data:".len()];
                let start = &mut start[..value.len()];
                start.copy_from_slice(value);
                self.raw.clear();
                self.at_start = false;
                self.block.begin_data_line();
                self.open = OpenLine::Data { fresh: true };
                self.push_data(start);
            }
        }
        // What its field is must be known, or the verdict would depend on where the line is cut.
        let known = match self.open {
            OpenLine::Empty | OpenLine::Discarded => false,
            OpenLine::Raw => self.raw.len() >= FIELD_START,
            OpenLine::Data { .. } => true,
        };
        if known && self.open_len > self.limit {
            let field = match self.open {
                OpenLine::Raw => split_field(self.raw_line()).0,
                _ => Field::Data,
            };
            reuse_bytes(&mut self.raw);
            self.at_start = false;
            self.open = OpenLine::Discarded;
            return self.too_large(field).map(drop);
        }
        match self.open {
            OpenLine::Raw => self.raw.extend_from_slice(bytes),
            OpenLine::Data { .. } => {
                self.push_data(bytes);
                if !self.fits(&Lent::default()) {
                    self.open = OpenLine::Discarded;
                    return self.too_large(Field::Data).map(drop);
                }
            }
            OpenLine::Empty | OpenLine::Discarded => {}
        }
        Ok(())
    }

    /// `raw` without the stream's BOM.
    fn raw_line(&self) -> &[u8] {
        match self.raw.strip_prefix(BOM) {
            Some(line) if self.at_start => line,
            _ => &self.raw,
        }
    }

    /// A piece of the value of a data line that is longer than its chunk.
    fn push_data(&mut self, mut piece: &[u8]) {
        if let (OpenLine::Data { fresh: true }, [first, rest @ ..]) = (self.open, piece) {
            self.open = OpenLine::Data { fresh: false };
            if *first == b' ' {
                piece = rest;
            }
        }
        self.block.push_data(piece);
    }

    /// The end of a line that began in an earlier chunk.
    fn end_open_line(
        &mut self,
        rest: &[u8],
        lent: &mut Lent<'_>,
    ) -> Result<Option<Step>, Exceeded> {
        // A block that began in an earlier chunk, or in this one before a line that was carried
        // over: neither can be, so nothing is lent here.
        debug_assert!(lent.data.is_none());
        let within_limit = self.extend_open_line(rest);
        self.open_len = 0;
        let open = core::mem::replace(&mut self.open, OpenLine::Empty);
        within_limit?;
        match open {
            OpenLine::Empty | OpenLine::Discarded => Ok(None),
            OpenLine::Data { .. } => {
                self.block.end_data_line();
                if self.fits(lent) {
                    Ok(None)
                } else {
                    self.too_large(Field::Data)
                }
            }
            OpenLine::Raw => {
                let mut raw = core::mem::take(&mut self.raw);
                let mut lent = Lent::default();
                let step = self.line(&raw, &mut lent);
                self.keep_lent(&mut lent);
                if let Some(text) = lent.comment {
                    self.set_comment(text.as_bytes());
                }
                reuse_bytes(&mut raw);
                self.raw = raw;
                step
            }
        }
    }

    /// A blank line (WHATWG HTML 9.2.6, "dispatch the event").
    fn dispatch(&mut self) -> Option<Step> {
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
            self.fresh = true;
            None
        }
    }

    /// Copies lent data into the buffer, because the chunk that it is lent from is left, or because
    /// more data comes.
    fn keep_lent(&mut self, lent: &mut Lent<'_>) {
        if let Some(data) = lent.data.take() {
            self.block.push_str(data);
        }
    }

    fn set_comment(&mut self, text: &[u8]) {
        utf8::push_whole(&mut self.comment, text);
    }

    fn fits(&self, lent: &Lent<'_>) -> bool {
        self.block.fits(lent.data.map_or(0, str::len), self.limit)
    }

    /// A line of this field exceeds the limit. If it is one of an event, the rest of the block is
    /// left out.
    #[cold]
    fn too_large(&mut self, field: Field) -> Result<Option<Step>, Exceeded> {
        if matches!(field, Field::Data | Field::Event | Field::Id) {
            self.fresh = false;
            self.block.skip(self.limit);
        }
        match self.oversize {
            Oversize::Fail => Err(Exceeded),
            Oversize::Skip => Ok(None),
        }
    }
}

/// What a line is about.
#[derive(Clone, Copy)]
enum Field {
    /// It begins with a colon.
    Comment,
    Data,
    Event,
    Id,
    Retry,
    /// "The field is ignored."
    Other,
}

/// The standard's three kinds of line: a colon first, a colon within, and none, when the whole line
/// is the field's name.
#[inline]
fn split_field(line: &[u8]) -> (Field, &[u8]) {
    match line {
        [b'd', b'a', b't', b'a', b':', value @ ..] => (Field::Data, value),
        [b'e', b'v', b'e', b'n', b't', b':', value @ ..] => (Field::Event, value),
        [b'i', b'd', b':', value @ ..] => (Field::Id, value),
        [b'r', b'e', b't', b'r', b'y', b':', value @ ..] => (Field::Retry, value),
        [b':', value @ ..] => (Field::Comment, value),
        b"data" => (Field::Data, b""),
        b"event" => (Field::Event, b""),
        b"id" => (Field::Id, b""),
        // Without a value, `retry` has no digits and does nothing.
        _ => (Field::Other, b""),
    }
}

/// "If value starts with a U+0020 SPACE character, remove it from value."
#[inline]
fn without_space(value: &[u8]) -> &[u8] {
    value.strip_prefix(b" ").unwrap_or(value)
}

/// "If the field value consists of only ASCII digits": milliseconds, as many as fit.
fn parse_retry(value: &[u8]) -> Option<Duration> {
    if value.is_empty() {
        return None;
    }
    value
        .iter()
        .try_fold(0u64, |sum, byte| {
            byte.is_ascii_digit().then(|| {
                sum.saturating_mul(10)
                    .saturating_add(u64::from(byte - b'0'))
            })
        })
        .map(Duration::from_millis)
}

/// Empties a buffer; one that had to grow large is given back.
fn reuse_bytes(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > block::KEEP {
        *buffer = Vec::new();
    }
}
