//! From what was found to what is handed out, lent or owned.
//!
//! An event that is whole is inlined into the caller's loop. What goes another way is inlined nowhere, so
//! that `decode` stays small.

use super::whole::{Fields, First, Plain};
use super::{Decoder, Exceeded, Step};
use crate::block::Lent;
use crate::event::{Event, EventRef};
use crate::item::{Item, ItemRef, TooLarge};

/// [`ItemRef`] or [`Item`].
pub(super) trait Form<'a>: Sized {
    fn from_ref(item: ItemRef<'a>) -> Self;

    /// The event that the block holds.
    fn event(decoder: &'a mut Decoder, lent: &Lent<'a>) -> Self;
}

impl<'a> Form<'a> for ItemRef<'a> {
    #[inline(always)]
    fn from_ref(item: ItemRef<'a>) -> Self {
        item
    }

    #[inline(always)]
    fn event(decoder: &'a mut Decoder, lent: &Lent<'a>) -> Self {
        ItemRef::Event(decoder.event_ref(lent))
    }
}

impl Form<'_> for Item {
    #[inline(always)]
    fn from_ref(item: ItemRef<'_>) -> Self {
        match item {
            ItemRef::Event(event) => Item::Event(event.to_event()),
            ItemRef::Comment(text) => Item::Comment(text.into()),
            ItemRef::Retry(delay) => Item::Retry(delay),
            ItemRef::Id => Item::Id,
            ItemRef::Skipped => Item::Skipped,
        }
    }

    #[inline(always)]
    fn event(decoder: &mut Decoder, lent: &Lent<'_>) -> Self {
        Item::Event(match decoder.block.take_large(lent) {
            Some(data) => {
                let (block, last_id) = (&decoder.block, &decoder.last_id);
                Event::from_parts(data, block.event(), last_id, block.has_id)
            }
            None => decoder.event_ref(lent).to_event(),
        })
    }
}

impl Decoder {
    #[inline(always)]
    pub(super) fn decode_as<'a, 'i: 'a, T: Form<'a>>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<T>, TooLarge> {
        match self.plain(input) {
            Plain::Event(data) => {
                let event = self.whole(data, Fields::default());
                Ok(Some(T::from_ref(ItemRef::Event(event))))
            }
            Plain::Open => self.open_in(input),
            Plain::DataPiece => {
                let within_limit = self.extend_data_line(core::mem::take(input));
                self.no_item(within_limit)
            }
            Plain::DataEnd(end) => self.decode_data_end(end, input),
            Plain::Piece => {
                let within_limit = self.extend_other_line(core::mem::take(input));
                self.no_item(within_limit)
            }
            Plain::End(end) => self.decode_end(end, input),
            Plain::Fields => {
                let first = self.fields(input);
                self.decode_first(first, input)
            }
            Plain::Other => self.decode_other(input),
        }
    }

    /// The next event, if it lies whole in `input`. Otherwise some of it may have been taken.
    #[inline(always)]
    pub(crate) fn whole_event(&mut self, input: &mut &[u8]) -> Option<Event> {
        match self.plain(input) {
            Plain::Event(data) => Some(self.whole(data, Fields::default()).to_event()),
            Plain::Fields => match self.fields(input) {
                First::Event(data, fields) => Some(self.whole(data, fields).to_event()),
                _ => None,
            },
            _ => None,
        }
    }

    #[inline(always)]
    fn whole<'a>(&'a self, data: &'a str, fields: Fields<'a>) -> EventRef<'a> {
        let event = fields.event.unwrap_or("");
        EventRef::new(event, data, &self.last_id, fields.id.is_some())
    }

    #[inline(never)]
    fn decode_data_end<'a, 'i: 'a, T: Form<'a>>(
        &'a mut self,
        end: usize,
        input: &mut &'i [u8],
    ) -> Result<Option<T>, TooLarge> {
        let (rest, end) = self.ends.take_line(input, end);
        let mut lent = Lent::default();
        let step = self.resume(rest, end, input, &mut lent);
        self.item(step, &lent)
    }

    #[inline(never)]
    fn decode_end<'a, 'i: 'a, T: Form<'a>>(
        &'a mut self,
        end: usize,
        input: &mut &'i [u8],
    ) -> Result<Option<T>, TooLarge> {
        let (rest, end) = self.ends.take_line(input, end);
        if self.ends_ignored_comment(rest) {
            let first = self.first(input);
            return self.decode_first(first, input);
        }
        let mut lent = Lent::default();
        let step = match self.end_other_line(rest, end) {
            Ok(None) => self.step(input, &mut lent),
            step => step,
        };
        self.item(step, &lent)
    }

    #[inline(never)]
    fn decode_other<'a, 'i: 'a, T: Form<'a>>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<T>, TooLarge> {
        let first = self.first(input);
        self.decode_first(first, input)
    }

    #[inline(always)]
    fn decode_first<'a, 'i: 'a, T: Form<'a>>(
        &'a mut self,
        first: First<'i>,
        input: &mut &'i [u8],
    ) -> Result<Option<T>, TooLarge> {
        let item = match first {
            First::Event(data, fields) => ItemRef::Event(self.whole(data, fields)),
            First::Comment(text) => ItemRef::Comment(text),
            First::Open => return self.open_in(input),
            First::Lines => return self.decode_lines(input),
        };
        Ok(Some(T::from_ref(item)))
    }

    /// All of the input is the beginning of a line.
    #[inline(always)]
    fn open_in<T>(&mut self, input: &mut &[u8]) -> Result<Option<T>, TooLarge> {
        let within_limit = self.open_line(core::mem::take(input));
        self.no_item(within_limit)
    }

    #[inline(always)]
    fn no_item<T>(&self, within_limit: Result<(), Exceeded>) -> Result<Option<T>, TooLarge> {
        match within_limit {
            Ok(()) => Ok(None),
            Err(Exceeded) => Err(TooLarge { limit: self.limit }),
        }
    }

    #[inline(never)]
    fn decode_lines<'a, 'i: 'a, T: Form<'a>>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<T>, TooLarge> {
        let mut lent = Lent::default();
        let step = self.lines(input, &mut lent);
        self.item(step, &lent)
    }

    #[inline(always)]
    pub(super) fn item<'a, T: Form<'a>>(
        &'a mut self,
        step: Result<Option<Step>, Exceeded>,
        lent: &Lent<'a>,
    ) -> Result<Option<T>, TooLarge> {
        let item = match step {
            Ok(None) => return Ok(None),
            Ok(Some(Step::Event)) => return Ok(Some(T::event(self, lent))),
            Ok(Some(Step::Comment)) => ItemRef::Comment(lent.comment.unwrap_or(&self.comment)),
            Ok(Some(Step::Retry)) => ItemRef::Retry(self.retry),
            Ok(Some(Step::Id)) => ItemRef::Id,
            Ok(Some(Step::Skipped)) => ItemRef::Skipped,
            Err(Exceeded) => return Err(TooLarge { limit: self.limit }),
        };
        Ok(Some(T::from_ref(item)))
    }

    #[inline(always)]
    fn event_ref<'a>(&'a mut self, lent: &Lent<'a>) -> EventRef<'a> {
        let own_id = self.block.has_id;
        let (event, data) = self.block.event_and_data(lent);
        EventRef::new(event, data, &self.last_id, own_id)
    }
}
