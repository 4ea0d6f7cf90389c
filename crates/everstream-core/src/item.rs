//! What a decoder returns.

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use crate::event::{Event, EventRef};

/// An item of a stream, borrowed from its decoder and its bytes.
///
/// ```
/// use everstream_core::{Decoder, ItemRef};
///
/// let mut decoder = Decoder::new();
/// let mut input: &[u8] = b"id: 7\n\ndata: hello\n\n";
/// assert_eq!(decoder.decode(&mut input)?, Some(ItemRef::Id));
/// let Some(ItemRef::Event(event)) = decoder.decode(&mut input)? else { panic!() };
/// assert_eq!((event.data(), event.last_event_id()), ("hello", Some("7")));
/// # Ok::<(), everstream_core::TooLarge>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemRef<'a> {
    /// An event was dispatched.
    Event(EventRef<'a>),
    /// A line that begins with a colon: the text after the colon.
    Comment(&'a str),
    /// A valid `retry:` field.
    Retry(Duration),
    /// A block without data had a valid id.
    /// [`Decoder::last_event_id`](crate::Decoder::last_event_id) is already updated.
    Id,
    /// An event larger than the limit was skipped (only with [`Oversize::Skip`]).
    Skipped,
}

/// An item of a stream, owned. See [`ItemRef`].
///
/// ```
/// use everstream_core::{Decoder, Item};
///
/// let (mut decoder, mut items) = (Decoder::new(), Vec::new());
/// let mut input: &[u8] = b": one\n: two\n";
/// while let Some(item) = decoder.decode_owned(&mut input)? {
///     items.push(item); // an `ItemRef` can't be kept
/// }
/// assert_eq!(items, [Item::Comment(" one".into()), Item::Comment(" two".into())]);
/// # Ok::<(), everstream_core::TooLarge>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// An event was dispatched.
    Event(Event),
    /// A line that begins with a colon: the text after the colon.
    Comment(String),
    /// A valid `retry:` field.
    Retry(Duration),
    /// A block without data had a valid id.
    /// [`Decoder::last_event_id`](crate::Decoder::last_event_id) is already updated.
    Id,
    /// An event larger than the limit was skipped (only with [`Oversize::Skip`]).
    Skipped,
}

/// What to do with an event that is larger than the limit.
///
/// ```
/// use everstream_core::{Decoder, ItemRef, Oversize};
///
/// let mut decoder = Decoder::with_limit(12, Oversize::Skip);
/// let mut input: &[u8] = b"data: a long line\n\ndata: short\n\n";
/// assert_eq!(decoder.decode(&mut input)?, Some(ItemRef::Skipped));
/// assert!(matches!(decoder.decode(&mut input)?, Some(ItemRef::Event(_))));
/// # Ok::<(), everstream_core::TooLarge>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Oversize {
    /// Report [`TooLarge`].
    #[default]
    Fail,
    /// Skip it and continue with the next event.
    Skip,
}

/// An event, a line or an id was larger than the limit.
///
/// ```
/// use everstream_core::{Decoder, Oversize};
///
/// let mut decoder = Decoder::with_limit(10, Oversize::Fail);
/// let error = decoder.decode(&mut &b"data: a long line\n\n"[..]).unwrap_err();
/// assert_eq!(error.limit, 10);
/// let fault = everstream_core::Fault::from(error);
/// assert_eq!(fault.to_string(), "an event is larger than the limit of 10 bytes (max_event_size)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// The limit, in bytes.
    pub limit: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "an event is larger than the limit of {} bytes (max_event_size)",
            self.limit
        )
    }
}

impl core::error::Error for TooLarge {}
