//! An event, owned and borrowed.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

/// The type of an event without an `event:` field (WHATWG HTML 9.2.6, dispatch step 5).
const DEFAULT_TYPE: &str = "message";

/// The default type is stored as an empty string.
#[inline]
fn without_default(event: &str) -> &str {
    match event {
        DEFAULT_TYPE => "",
        event => event,
    }
}

/// One event of a stream.
///
/// An event is 32 bytes and owns a single allocation with its data, type and id. It keeps no network
/// buffer alive.
///
/// ```
/// use everstream_core::Event;
///
/// let event = Event::new("price", "{\"eur\":7}", Some("41"));
/// assert_eq!(event.event(), "price");
/// assert_eq!(event.data(), "{\"eur\":7}");
/// assert_eq!(event.id(), Some("41"));
/// assert_eq!(event.last_event_id(), Some("41"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Event {
    /// `data | type | last event id`. An empty type means "message".
    text: Box<str>,
    /// `data_len <= text.len()`, on a character boundary.
    data_len: usize,
    /// Twice the length of the type, plus one if the event has its own id. Lengths never use the top
    /// bit, because no allocation is larger than `isize::MAX`.
    /// `data_len + (packed >> 1) <= text.len()`, on a character boundary.
    packed: usize,
}

impl Event {
    /// Creates an event, for a test or a custom source.
    ///
    /// An empty `event` means "message". If `id` is `None`, the event has neither its own id nor a last
    /// event id.
    ///
    /// ```
    /// # use everstream_core::Event;
    /// assert_eq!(Event::new("", "hello", None).event(), "message");
    /// ```
    pub fn new(event: &str, data: &str, id: Option<&str>) -> Self {
        EventRef::new(event, data, id.unwrap_or(""), id.is_some()).to_event()
    }

    /// Builds an event from a data buffer that is moved, not copied.
    pub(crate) fn from_parts(mut data: String, event: &str, last_id: &str, own_id: bool) -> Self {
        let event = without_default(event);
        let data_len = data.len();
        data.reserve_exact(event.len() + last_id.len());
        data.push_str(event);
        data.push_str(last_id);
        Event {
            text: data.into_boxed_str(),
            data_len,
            packed: event.len() << 1 | usize::from(own_id),
        }
    }

    /// The event's type: its `event:` field, or "message" if it had none.
    ///
    /// ```
    /// # use everstream_core::Event;
    /// assert_eq!(Event::new("put", "x", None).event(), "put");
    /// ```
    pub fn event(&self) -> &str {
        self.as_event_ref().event()
    }

    /// The event's data: its `data:` lines joined with `\n`.
    ///
    /// ```
    /// # use everstream_core::Event;
    /// assert_eq!(Event::new("", "two\nlines", None).data(), "two\nlines");
    /// ```
    pub fn data(&self) -> &str {
        self.text.get(..self.data_len).unwrap_or_default()
    }

    /// This event's own `id:` field; `None` if it had none. An empty `id:` is `Some("")`.
    ///
    /// ```
    /// # use everstream_core::Event;
    /// assert_eq!(Event::new("", "x", Some("7")).id(), Some("7"));
    /// assert_eq!(Event::new("", "x", None).id(), None);
    /// ```
    #[inline]
    pub fn id(&self) -> Option<&str> {
        match self.has_own_id() {
            true => self.as_event_ref().id(),
            false => None,
        }
    }

    #[inline(always)]
    pub(crate) fn has_own_id(&self) -> bool {
        self.packed & 1 == 1
    }

    /// The stream's newest id when this event arrived: its own id or an earlier one. `None` if there was
    /// none yet, or if an empty `id:` cleared it.
    ///
    /// To resume later, store this.
    ///
    /// ```
    /// # use everstream_core::Decoder;
    /// let mut decoder = Decoder::new();
    /// let mut input: &[u8] = b"id: 7\ndata: a\n\ndata: b\n\n";
    /// decoder.decode(&mut input)?;
    /// # use everstream_core::ItemRef;
    /// let Some(ItemRef::Event(second)) = decoder.decode(&mut input)? else { unreachable!() };
    /// assert_eq!((second.id(), second.last_event_id()), (None, Some("7")));
    /// # Ok::<(), everstream_core::TooLarge>(())
    /// ```
    pub fn last_event_id(&self) -> Option<&str> {
        self.as_event_ref().last_event_id()
    }

    /// Returns the data without copying it.
    ///
    /// ```
    /// # use everstream_core::Event;
    /// let data: String = Event::new("", "hello", None).into_data();
    /// assert_eq!(data, "hello");
    /// ```
    pub fn into_data(self) -> String {
        let mut text = String::from(self.text);
        text.truncate(self.data_len);
        text
    }

    /// The same event, borrowed.
    ///
    /// ```
    /// # use everstream_core::Event;
    /// assert_eq!(Event::new("", "hello", None).as_event_ref().data(), "hello");
    /// ```
    pub fn as_event_ref(&self) -> EventRef<'_> {
        // The lengths are those of the parts, so nothing fails.
        let parts = self.text.split_at_checked(self.data_len);
        let (data, rest) = parts.unwrap_or_default();
        let parts = rest.split_at_checked(self.packed >> 1);
        let (event, last_id) = parts.unwrap_or_default();
        EventRef::new(event, data, last_id, self.has_own_id())
    }
}

impl<'a> From<&'a Event> for EventRef<'a> {
    fn from(event: &'a Event) -> Self {
        event.as_event_ref()
    }
}

/// The event's data, without copying it: [`Event::into_data`].
///
/// ```
/// # use everstream_core::Event;
/// let data: String = Event::new("", "hello", None).into();
/// assert_eq!(data, "hello");
/// ```
impl From<Event> for String {
    fn from(event: Event) -> Self {
        event.into_data()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_event_ref().debug(f, "Event")
    }
}

/// An event that borrows from its decoder and from the input.
///
/// ```
/// use everstream_core::{Decoder, ItemRef};
///
/// let mut decoder = Decoder::new();
/// let mut input: &[u8] = b"event: tick\ndata: 1\n\n";
/// if let Some(ItemRef::Event(event)) = decoder.decode(&mut input)? {
///     assert_eq!((event.event(), event.data()), ("tick", "1"));
/// }
/// # Ok::<(), everstream_core::TooLarge>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventRef<'a> {
    /// Empty for the default type.
    event: &'a str,
    data: &'a str,
    last_id: &'a str,
    own_id: bool,
}

impl<'a> EventRef<'a> {
    #[inline]
    pub(crate) fn new(event: &'a str, data: &'a str, last_id: &'a str, own_id: bool) -> Self {
        EventRef {
            event: without_default(event),
            data,
            last_id,
            own_id,
        }
    }

    /// See [`Event::event`].
    ///
    /// ```
    /// # use everstream_core::Event;
    /// assert_eq!(Event::new("put", "x", None).as_event_ref().event(), "put");
    /// ```
    pub fn event(&self) -> &'a str {
        match self.event {
            "" => DEFAULT_TYPE,
            event => event,
        }
    }

    /// See [`Event::data`].
    ///
    /// ```
    /// # use everstream_core::Event;
    /// assert_eq!(Event::new("put", "x", None).as_event_ref().data(), "x");
    /// ```
    pub fn data(&self) -> &'a str {
        self.data
    }

    /// See [`Event::id`].
    ///
    /// ```
    /// # use everstream_core::Event;
    /// assert_eq!(Event::new("put", "x", Some("1")).as_event_ref().id(), Some("1"));
    /// ```
    pub fn id(&self) -> Option<&'a str> {
        self.own_id.then_some(self.last_id)
    }

    /// See [`Event::last_event_id`].
    ///
    /// ```
    /// # use everstream_core::Event;
    /// assert_eq!(Event::new("put", "x", Some("1")).as_event_ref().last_event_id(), Some("1"));
    /// ```
    pub fn last_event_id(&self) -> Option<&'a str> {
        (!self.last_id.is_empty()).then_some(self.last_id)
    }

    /// Copies the event into one allocation of exactly its size.
    ///
    /// ```
    /// # use everstream_core::Event;
    /// let event = Event::new("put", "x", Some("1"));
    /// assert_eq!(event.as_event_ref().to_event(), event);
    /// ```
    #[inline(always)]
    pub fn to_event(&self) -> Event {
        let text = match (self.event, self.last_id) {
            ("", "") => self.data.into(),
            _ => joined(self.data, self.event, self.last_id),
        };
        Event {
            text,
            data_len: self.data.len(),
            packed: self.event.len() << 1 | usize::from(self.own_id),
        }
    }

    fn debug(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        f.debug_struct(name)
            .field("event", &self.event())
            .field("data", &self.data)
            .field("id", &self.id())
            .field("last_event_id", &self.last_event_id())
            .finish()
    }
}

impl fmt::Debug for EventRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.debug(f, "EventRef")
    }
}

#[inline(never)]
fn joined(data: &str, event: &str, last_id: &str) -> Box<str> {
    let mut text = String::with_capacity(data.len() + event.len() + last_id.len());
    text.push_str(data);
    text.push_str(event);
    text.push_str(last_id);
    text.into_boxed_str()
}

#[cfg(feature = "serde")]
mod serde_impl {
    use super::{Event, EventRef};
    use alloc::borrow::Cow;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// The serialized form of an event.
    #[derive(Serialize, Deserialize)]
    #[serde(rename = "Event")]
    struct Fields<'a> {
        #[serde(borrow, default)]
        event: Cow<'a, str>,
        #[serde(borrow, default)]
        data: Cow<'a, str>,
        #[serde(borrow, default)]
        id: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        last_event_id: Option<Cow<'a, str>>,
    }

    impl Serialize for EventRef<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            Fields {
                event: self.event().into(),
                data: self.data().into(),
                id: self.id().map(Cow::from),
                last_event_id: self.last_event_id().map(Cow::from),
            }
            .serialize(serializer)
        }
    }

    impl Serialize for Event {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.as_event_ref().serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for Event {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let fields = Fields::deserialize(deserializer)?;
            // An event's own id is always the newest one, so `last_event_id` is then redundant.
            let (last_id, own_id) = match (&fields.id, &fields.last_event_id) {
                (Some(id), _) => (&**id, true),
                (None, Some(last)) => (&**last, false),
                (None, None) => ("", false),
            };
            Ok(EventRef::new(&fields.event, &fields.data, last_id, own_id).to_event())
        }
    }
}
