//! Lines to items: the standard's interpreter (WHATWG HTML 9.2.6).

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use memchr::memchr2;

use crate::block::{self, Block, Lent};
use crate::event::{Event, EventRef};
use crate::field::{Field, parse_retry, split_field, without_space};
use crate::item::{Item, ItemRef, Oversize, TooLarge};
use crate::line::{LineEnds, Piece, whole_line};
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

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// So much of a line tells whether its field is one of those that make an event, and whether the
/// value of a data line begins with a space.
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
    ignore_comments: bool,
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
    /// It is a `data:` line: its value goes to the block piece by piece.
    Data,
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

/// What the input begins with.
enum First<'i> {
    /// All of an event that has nothing but data.
    Data(&'i str),
    /// All of another one.
    Event(&'i str, Fields<'i>),
    /// All of a comment, between blocks.
    Comment(&'i str),
    /// Nothing but a piece of a line, which was taken.
    Piece(Result<(), Exceeded>),
    Other(Other<'i>),
}

/// What comes before the data.
#[derive(Clone, Copy, Default)]
struct Fields<'i> {
    event: Option<&'i str>,
    id: Option<&'i str>,
}

impl Fields<'_> {
    #[inline]
    fn is_empty(&self) -> bool {
        self.event.is_none() && self.id.is_none()
    }
}

#[derive(Clone, Copy)]
enum Other<'i> {
    Lines,
    /// The rest of an open line, which was taken, and then lines.
    Rest(&'i [u8]),
}

/// Something exceeds the limit.
#[derive(Clone, Copy)]
struct Exceeded;

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

    /// Whether comments are passed over instead of handed out, for whoever wants nothing but events.
    /// They are handed out if this isn't called. A comment longer than the limit is too large either
    /// way.
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
    #[inline(always)]
    pub fn decode<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<ItemRef<'a>>, TooLarge> {
        let other = match self.first(input) {
            First::Data(data) => {
                let event = EventRef::new("", data, &self.last_id, false);
                return Ok(Some(ItemRef::Event(event)));
            }
            First::Event(data, fields) => {
                let event = fields.event.unwrap_or("");
                let event = EventRef::new(event, data, &self.last_id, fields.id.is_some());
                return Ok(Some(ItemRef::Event(event)));
            }
            First::Comment(text) => return Ok(Some(ItemRef::Comment(text))),
            First::Piece(Ok(())) => return Ok(None),
            First::Piece(Err(Exceeded)) => return Err(TooLarge { limit: self.limit }),
            First::Other(other) => other,
        };
        self.decode_lines(other, input)
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
    #[inline(always)]
    pub fn decode_owned(&mut self, input: &mut &[u8]) -> Result<Option<Item>, TooLarge> {
        let other = match self.first(input) {
            First::Data(data) => {
                let event = EventRef::new("", data, &self.last_id, false);
                return Ok(Some(Item::Event(event.to_owned())));
            }
            First::Event(data, fields) => {
                let event = fields.event.unwrap_or("");
                let event = EventRef::new(event, data, &self.last_id, fields.id.is_some());
                return Ok(Some(Item::Event(event.to_owned())));
            }
            First::Comment(text) => return Ok(Some(Item::Comment(text.into()))),
            First::Piece(Ok(())) => return Ok(None),
            First::Piece(Err(Exceeded)) => return Err(TooLarge { limit: self.limit }),
            First::Other(other) => other,
        };
        self.decode_lines_owned(other, input)
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
        *self = Decoder {
            ignore_comments: self.ignore_comments,
            last_id: core::mem::take(&mut self.last_id),
            ..Self::with_limit(self.limit, self.oversize)
        };
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

    #[inline]
    fn event_ref<'a>(&'a mut self, lent: &Lent<'a>) -> EventRef<'a> {
        let own_id = self.block.has_id;
        let (event, data) = self.block.event_and_data(lent);
        EventRef::new(event, data, &self.last_id, own_id)
    }

    #[inline]
    fn event(&mut self, lent: &Lent<'_>) -> Event {
        match self.block.take_large(lent) {
            Some(data) => {
                Event::from_parts(data, self.block.event(), &self.last_id, self.block.has_id)
            }
            None => self.event_ref(lent).to_owned(),
        }
    }

    /// Forgets what the last call handed out.
    #[inline]
    fn forget_last(&mut self) {
        if core::mem::take(&mut self.dispatched) {
            self.block.forget();
            self.fresh = true;
        }
        if !self.comment.is_empty() {
            block::clear(&mut self.comment);
        }
    }

    #[inline(never)]
    fn decode_lines<'a, 'i: 'a>(
        &'a mut self,
        other: Other<'i>,
        input: &mut &'i [u8],
    ) -> Result<Option<ItemRef<'a>>, TooLarge> {
        let mut lent = Lent::default();
        Ok(match self.lines(other, input, &mut lent) {
            Ok(None) => None,
            Ok(Some(Step::Event)) => Some(ItemRef::Event(self.event_ref(&lent))),
            Ok(Some(Step::Comment)) => {
                Some(ItemRef::Comment(lent.comment.unwrap_or(&self.comment)))
            }
            Ok(Some(Step::Retry)) => Some(ItemRef::Retry(self.retry)),
            Ok(Some(Step::Id)) => Some(ItemRef::Id),
            Ok(Some(Step::Skipped)) => Some(ItemRef::Skipped),
            Err(Exceeded) => return Err(TooLarge { limit: self.limit }),
        })
    }

    #[inline(never)]
    fn decode_lines_owned<'i>(
        &mut self,
        other: Other<'i>,
        input: &mut &'i [u8],
    ) -> Result<Option<Item>, TooLarge> {
        let mut lent = Lent::default();
        Ok(match self.lines(other, input, &mut lent) {
            Ok(None) => None,
            Ok(Some(Step::Event)) => Some(Item::Event(self.event(&lent))),
            Ok(Some(Step::Comment)) => {
                Some(Item::Comment(lent.comment.unwrap_or(&self.comment).into()))
            }
            Ok(Some(Step::Retry)) => Some(Item::Retry(self.retry)),
            Ok(Some(Step::Id)) => Some(Item::Id),
            Ok(Some(Step::Skipped)) => Some(Item::Skipped),
            Err(Exceeded) => return Err(TooLarge { limit: self.limit }),
        })
    }

    #[inline(always)]
    fn lines<'i>(
        &mut self,
        other: Other<'i>,
        input: &mut &'i [u8],
        lent: &mut Lent<'i>,
    ) -> Result<Option<Step>, Exceeded> {
        match other {
            Other::Rest(rest) => self.resume(rest, input, lent),
            Other::Lines => {
                self.ends.drop_lf(input);
                self.step(input, lent)
            }
        }
    }

    /// What begins here, if it lies whole in the chunk: most of most streams. It leaves no trace in
    /// the block, so that it needn't be cleared.
    #[inline(always)]
    fn first<'i>(&mut self, input: &mut &'i [u8]) -> First<'i> {
        match self.open {
            OpenLine::Empty => self.first_line(input),
            _ => match self.ends.take_rest(input) {
                Piece::Open(bytes) => First::Piece(self.go_on_open_line(bytes)),
                Piece::End(rest) if self.ends_ignored_comment(rest) => self.first_line(input),
                Piece::End(rest) => First::Other(Other::Rest(rest)),
            },
        }
    }

    /// Passes over the end of a comment, or else does nothing.
    #[inline]
    fn ends_ignored_comment(&mut self, rest: &[u8]) -> bool {
        let ignored = self.ignore_comments
            && self.raw.first() == Some(&b':')
            && self.open_len.saturating_add(rest.len()) <= self.limit;
        if ignored {
            block::clear_bytes(&mut self.raw);
            self.open = OpenLine::Empty;
            self.at_start = false;
        }
        ignored
    }

    /// Between blocks. (An LF that is still due after a CR would be a blank line here, which does
    /// nothing.)
    #[inline(never)]
    fn first_line<'i>(&mut self, input: &mut &'i [u8]) -> First<'i> {
        self.forget_last();
        if !self.fresh {
            return First::Other(Other::Lines);
        }
        loop {
            let rest = match *input {
                [b'\n', rest @ ..] | [b'\r', b'\n', rest @ ..] => rest,
                [b':', rest @ ..] => {
                    let Some((text, rest)) = whole_line(rest) else {
                        return First::Other(Other::Lines);
                    };
                    if b":".len() + text.len() > self.limit {
                        return First::Other(Other::Lines);
                    }
                    if !self.ignore_comments {
                        let Some(text) = utf8::valid(text) else {
                            return First::Other(Other::Lines);
                        };
                        self.at_start = false;
                        *input = rest;
                        return First::Comment(text);
                    }
                    rest
                }
                [b'd', ..] => return self.first_data(Fields::default(), input, input),
                [b'e' | b'i', ..] => return self.first_fields(input),
                _ => return First::Other(Other::Lines),
            };
            self.at_start = false;
            *input = rest;
        }
    }

    /// An event whose type or id comes before its data.
    #[inline(never)]
    fn first_fields<'i>(&mut self, input: &mut &'i [u8]) -> First<'i> {
        let (mut fields, mut rest) = (Fields::default(), *input);
        loop {
            let (field, value, after) = match rest {
                [b'd', ..] => return self.first_data(fields, rest, input),
                [b'e' | b'i', ..] => match whole_line(rest) {
                    Some((line, after)) => {
                        let (field, value) = split_field(line);
                        (field, utf8::valid(without_space(value)), after)
                    }
                    None => return First::Other(Other::Lines),
                },
                _ => return First::Other(Other::Lines),
            };
            match (field, value) {
                (Field::Event, Some(event)) => fields.event = Some(event),
                (Field::Id, Some(id)) if !id.contains('\0') => fields.id = Some(id),
                _ => return First::Other(Other::Lines),
            }
            rest = after;
        }
    }

    /// An event of one `data:` line, which is its last, or what of that is in the chunk.
    #[inline(always)]
    fn first_data<'i>(
        &mut self,
        fields: Fields<'i>,
        line: &'i [u8],
        input: &mut &'i [u8],
    ) -> First<'i> {
        let value = match line.strip_prefix(b"data:") {
            Some(value) if input.len() - line.len() <= self.limit => without_space(value),
            _ => return First::Other(Other::Lines),
        };
        let Some(end) = memchr2(b'\n', b'\r', value) else {
            self.keep_fields(fields);
            self.ends.drop_lf(input);
            *input = &[];
            return First::Piece(self.begin_open_line(line));
        };
        let (value, rest) = value.split_at(end);
        let rest = match rest {
            [b'\n', b'\n', rest @ ..] | [b'\r', b'\n', b'\r', b'\n', rest @ ..] => Some(rest),
            _ => None,
        };
        let whole = rest
            .filter(|rest| input.len() - rest.len() <= self.limit)
            .and_then(|rest| Some((utf8::valid(value)?, rest)));
        let Some((data, rest)) = whole else {
            self.keep_fields(fields);
            *input = line;
            return First::Other(Other::Lines);
        };
        self.at_start = false;
        *input = rest;
        if fields.is_empty() {
            return First::Data(data);
        }
        if let Some(id) = fields.id {
            block::clear(&mut self.last_id);
            self.last_id.push_str(id);
        }
        First::Event(data, fields)
    }

    #[inline]
    fn keep_fields(&mut self, fields: Fields<'_>) {
        if fields.is_empty() {
            return;
        }
        self.at_start = false;
        self.fresh = false;
        if let Some(event) = fields.event {
            self.block.set_event(event.as_bytes());
        }
        if let Some(id) = fields.id {
            self.block.set_id(id.as_bytes());
        }
    }

    /// Goes on to the next item, from within a line.
    #[inline(always)]
    fn resume<'i>(
        &mut self,
        rest: &[u8],
        input: &mut &'i [u8],
        lent: &mut Lent<'i>,
    ) -> Result<Option<Step>, Exceeded> {
        let step = self.end_open_line(rest);
        if !matches!(step, Ok(None)) {
            return step;
        }
        // Mostly a blank line comes next.
        if let [b'\n', rest @ ..] = *input {
            *input = rest;
            if let Some(step) = self.dispatch() {
                return Ok(Some(step));
            }
        }
        self.step(input, lent)
    }

    /// Goes on to the next item.
    #[inline(never)]
    fn step<'i>(
        &mut self,
        input: &mut &'i [u8],
        lent: &mut Lent<'i>,
    ) -> Result<Option<Step>, Exceeded> {
        let mut rest = *input;
        let step = loop {
            match self.ends.take(&mut rest) {
                Some(Piece::End(line)) => match self.line(line, lent) {
                    Ok(None) => {}
                    step => break step,
                },
                Some(Piece::Open(bytes)) => {
                    // The line goes on in another chunk, and the block with it.
                    self.block.keep(lent);
                    break self.open_line(bytes).map(|()| None);
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
            Field::Comment if self.ignore_comments => return Ok(None),
            Field::Comment => {
                match utf8::valid(value) {
                    Some(text) => lent.comment = Some(text),
                    None => self.set_comment(value),
                }
                return Ok(Some(Step::Comment));
            }
            Field::Retry => {
                return Ok(parse_retry(without_space(value)).map(|delay| {
                    self.retry = delay;
                    Step::Retry
                }));
            }
            // "If the field value does not contain U+0000 NULL".
            Field::Id if !value.contains(&0) => self.block.set_id(without_space(value)),
            Field::Id | Field::Other => return Ok(None),
            Field::Data | Field::Event if self.block.skipped => return Ok(None),
            Field::Data => self.block.add_data_line(without_space(value), lent),
            Field::Event => self.block.set_event(without_space(value)),
        }
        self.fresh = false;
        if self.block.fits(lent, self.limit) {
            Ok(None)
        } else {
            self.too_large(field)
        }
    }

    #[inline(never)]
    fn begin_open_line(&mut self, bytes: &[u8]) -> Result<(), Exceeded> {
        self.open_line(bytes)
    }

    #[inline(never)]
    fn go_on_open_line(&mut self, bytes: &[u8]) -> Result<(), Exceeded> {
        self.extend_open_line(bytes)
    }

    /// The chunk ends within a line that began in it.
    #[inline(always)]
    fn open_line(&mut self, bytes: &[u8]) -> Result<(), Exceeded> {
        self.open_len = bytes.len();
        match bytes.strip_prefix(b"data:") {
            Some(value @ [_, ..]) => {
                self.open_data_line();
                self.extend_data_line(without_space(value))
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
        }
    }

    #[inline]
    fn open_data_line(&mut self) {
        self.open = OpenLine::Data;
        self.at_start = false;
        self.fresh = false;
        self.block.begin_open_data_line();
    }

    #[inline]
    fn extend_data_line(&mut self, value: &[u8]) -> Result<(), Exceeded> {
        if self.open_len <= self.limit && self.block.push_piece(value, self.limit) {
            Ok(())
        } else {
            self.discard_line(Field::Data)
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
        let line = without_bom(&self.raw, self.at_start);
        if let Some(value @ [_, ..]) = line.strip_prefix(b"data:") {
            let value = self.raw.len() - without_space(value).len();
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
        self.discard_line(split_field(line).0)
    }

    #[cold]
    fn discard_line(&mut self, field: Field) -> Result<(), Exceeded> {
        block::clear_bytes(&mut self.raw);
        self.at_start = false;
        self.open = OpenLine::Discarded;
        self.too_large(field).map(drop)
    }

    /// The end of a line that began in an earlier chunk.
    #[inline]
    fn end_open_line(&mut self, rest: &[u8]) -> Result<Option<Step>, Exceeded> {
        let within_limit = self.extend_open_line(rest);
        self.open_len = 0;
        let open = core::mem::replace(&mut self.open, OpenLine::Empty);
        within_limit?;
        match open {
            OpenLine::Empty | OpenLine::Discarded => Ok(None),
            OpenLine::Data => {
                if self.block.fits(&mut Lent::default(), self.limit) {
                    Ok(None)
                } else {
                    self.too_large(Field::Data)
                }
            }
            OpenLine::Raw => self.end_raw_line(),
        }
    }

    #[inline(never)]
    fn end_raw_line(&mut self) -> Result<Option<Step>, Exceeded> {
        let mut raw = core::mem::take(&mut self.raw);
        let mut lent = Lent::default();
        let step = self.line(&raw, &mut lent);
        self.block.keep(&mut lent);
        if let Some(text) = lent.comment {
            self.set_comment(text.as_bytes());
        }
        block::clear_bytes(&mut raw);
        self.raw = raw;
        step
    }

    /// A blank line (WHATWG HTML 9.2.6, "dispatch the event").
    fn dispatch(&mut self) -> Option<Step> {
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
            self.fresh = true;
            None
        }
    }

    fn set_comment(&mut self, text: &[u8]) {
        utf8::push_whole(&mut self.comment, text);
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

/// A line, or the beginning of one.
#[inline]
fn without_bom(line: &[u8], at_start: bool) -> &[u8] {
    match line.strip_prefix(BOM) {
        Some(rest) if at_start => rest,
        _ => line,
    }
}
