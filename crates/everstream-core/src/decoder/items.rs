//! What the decoder returns: borrowed or owned items.
//!
//! The path of an event that is contained in the chunk is inlined into the caller's loop, so that the event
//! stays in registers until it is delivered. If it were stored as two words and then copied as 16 bytes, the
//! processor would stall: 55 ns instead of 27, which instruction counts don't show. Other paths aren't inlined,
//! so that `decode` stays small.

use super::whole::{BlockStart, FastPath, LeadingFields};
use super::{Decoder, LimitExceeded, Step};
use crate::block::Borrowed;
use crate::event::{Event, EventRef};
use crate::item::{Item, ItemRef, TooLarge};

/// [`ItemRef`] or [`Item`].
pub(super) trait ItemForm<'a>: Sized {
    fn from_ref(item: ItemRef<'a>) -> Self;

    /// The event in the block.
    fn event(decoder: &'a mut Decoder, borrowed: &Borrowed<'a>) -> Self;
}

impl<'a> ItemForm<'a> for ItemRef<'a> {
    #[inline(always)]
    fn from_ref(item: ItemRef<'a>) -> Self {
        item
    }

    #[inline(always)]
    fn event(decoder: &'a mut Decoder, borrowed: &Borrowed<'a>) -> Self {
        ItemRef::Event(decoder.event_ref(borrowed))
    }
}

impl ItemForm<'_> for Item {
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
    fn event(decoder: &mut Decoder, borrowed: &Borrowed<'_>) -> Self {
        Item::Event(match decoder.block.take_large(borrowed) {
            Some(data) => {
                let (block, last_id) = (&decoder.block, &decoder.last_id);
                Event::from_parts(data, block.event(), last_id, block.has_id)
            }
            None => decoder.event_ref(borrowed).to_event(),
        })
    }
}

impl Decoder {
    #[inline(always)]
    pub(super) fn decode_as<'a, 'i: 'a, T: ItemForm<'a>>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<T>, TooLarge> {
        match self.fast_path(input) {
            FastPath::Event(data) => {
                let event = self.event_from_chunk(data, LeadingFields::default());
                Ok(Some(T::from_ref(ItemRef::Event(event))))
            }
            FastPath::LineStart => self.open_line_with(input),
            FastPath::DataContinued => {
                let within_limit = self.extend_data_line(core::mem::take(input));
                self.no_item(within_limit)
            }
            FastPath::DataEnd(end) => self.decode_data_end(end, input),
            FastPath::LineContinued => {
                let within_limit = self.extend_other_line(core::mem::take(input));
                self.no_item(within_limit)
            }
            FastPath::LineEnd(end) => self.decode_end(end, input),
            FastPath::LeadingFields => {
                let start = self.leading_fields(input);
                self.decode_block_start(start, input)
            }
            FastPath::Other => self.decode_other(input),
        }
    }

    /// The next event, if it is contained in `input`. If not, some of `input` may have been taken.
    #[inline(always)]
    pub(crate) fn whole_event(&mut self, input: &mut &[u8]) -> Option<Event> {
        match self.fast_path(input) {
            FastPath::Event(data) => Some(
                self.event_from_chunk(data, LeadingFields::default())
                    .to_event(),
            ),
            FastPath::LeadingFields => match self.leading_fields(input) {
                BlockStart::Event(data, fields) => {
                    Some(self.event_from_chunk(data, fields).to_event())
                }
                _ => None,
            },
            _ => None,
        }
    }

    #[inline(always)]
    fn event_from_chunk<'a>(&'a self, data: &'a str, fields: LeadingFields<'a>) -> EventRef<'a> {
        let event = fields.event.unwrap_or("");
        EventRef::new(event, data, &self.last_id, fields.id.is_some())
    }

    #[inline(never)]
    fn decode_data_end<'a, 'i: 'a, T: ItemForm<'a>>(
        &'a mut self,
        end: usize,
        input: &mut &'i [u8],
    ) -> Result<Option<T>, TooLarge> {
        let (rest, end) = self.line_ends.take_line(input, end);
        let mut borrowed = Borrowed::default();
        let step = self.continue_data_line(rest, end, input, &mut borrowed);
        self.item(step, &borrowed)
    }

    #[inline(never)]
    fn decode_end<'a, 'i: 'a, T: ItemForm<'a>>(
        &'a mut self,
        end: usize,
        input: &mut &'i [u8],
    ) -> Result<Option<T>, TooLarge> {
        let (rest, end) = self.line_ends.take_line(input, end);
        if self.ends_ignored_comment(rest) {
            let start = self.block_start(input);
            return self.decode_block_start(start, input);
        }
        let mut borrowed = Borrowed::default();
        let step = match self.end_other_line(rest, end) {
            Ok(None) => self.next_step(input, &mut borrowed),
            step => step,
        };
        self.item(step, &borrowed)
    }

    #[inline(never)]
    fn decode_other<'a, 'i: 'a, T: ItemForm<'a>>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<T>, TooLarge> {
        let start = self.block_start(input);
        self.decode_block_start(start, input)
    }

    #[inline(always)]
    fn decode_block_start<'a, 'i: 'a, T: ItemForm<'a>>(
        &'a mut self,
        start: BlockStart<'i>,
        input: &mut &'i [u8],
    ) -> Result<Option<T>, TooLarge> {
        let item = match start {
            BlockStart::Event(data, fields) => ItemRef::Event(self.event_from_chunk(data, fields)),
            BlockStart::Comment(text) => ItemRef::Comment(text),
            BlockStart::LineStart => return self.open_line_with(input),
            BlockStart::LineByLine => return self.decode_lines(input),
        };
        Ok(Some(T::from_ref(item)))
    }

    /// Opens a line that starts in `input` and continues in the next chunk.
    #[inline(always)]
    fn open_line_with<T>(&mut self, input: &mut &[u8]) -> Result<Option<T>, TooLarge> {
        let within_limit = self.open_line(core::mem::take(input));
        self.no_item(within_limit)
    }

    #[inline(always)]
    fn no_item<T>(&self, within_limit: Result<(), LimitExceeded>) -> Result<Option<T>, TooLarge> {
        match within_limit {
            Ok(()) => Ok(None),
            Err(LimitExceeded) => Err(TooLarge { limit: self.limit }),
        }
    }

    #[inline(never)]
    fn decode_lines<'a, 'i: 'a, T: ItemForm<'a>>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<T>, TooLarge> {
        let mut borrowed = Borrowed::default();
        let step = self.continue_between_lines(input, &mut borrowed);
        self.item(step, &borrowed)
    }

    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(super) fn item<'a, T: ItemForm<'a>>(
        &'a mut self,
        step: Result<Option<Step>, LimitExceeded>,
        borrowed: &Borrowed<'a>,
    ) -> Result<Option<T>, TooLarge> {
        let item = match step {
            Ok(None) => return Ok(None),
            Ok(Some(Step::Event)) => return Ok(Some(T::event(self, borrowed))),
            Ok(Some(Step::Comment)) => ItemRef::Comment(borrowed.comment.unwrap_or(&self.comment)),
            Ok(Some(Step::Retry)) => ItemRef::Retry(self.retry),
            Ok(Some(Step::Id)) => ItemRef::Id,
            Ok(Some(Step::Skipped)) => ItemRef::Skipped,
            Err(LimitExceeded) => return Err(TooLarge { limit: self.limit }),
        };
        Ok(Some(T::from_ref(item)))
    }

    #[inline(always)]
    fn event_ref<'a>(&'a mut self, borrowed: &Borrowed<'a>) -> EventRef<'a> {
        let own_id = self.block.has_id;
        let (event, data) = self.block.event_and_data(borrowed);
        EventRef::new(event, data, &self.last_id, own_id)
    }
}
