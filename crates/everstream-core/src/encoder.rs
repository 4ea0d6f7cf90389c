//! Events to wire format, such that decoding returns the same events.

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use crate::event::EventRef;

/// Writes a stream, for a server, a replay or a test.
///
/// Data and comments may contain line ends: they become several lines. A type or an id that contains
/// one is rejected, because the rest would be parsed as another field.
///
/// ```
/// use everstream_core::{Encoder, Event};
///
/// let mut encoder = Encoder::new();
/// encoder.event(&Event::new("greeting", "two\nlines", Some("7")))?;
/// encoder.comment("still here");
/// assert_eq!(
///     encoder.take(),
///     "event: greeting\nid: 7\ndata: two\ndata: lines\n\n: still here\n",
/// );
/// # Ok::<(), everstream_core::EncodeError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Encoder {
    wire: String,
}

/// A type or an id that can't be written to a stream.
///
/// ```
/// use everstream_core::{EncodeError, Encoder, Event};
///
/// let error = Encoder::new().event(&Event::new("a\nb", "x", None)).unwrap_err();
/// assert_eq!(error, EncodeError::Event);
/// assert_eq!(error.to_string(), "the event's type contains a line end");
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncodeError {
    /// The event's type contains a CR or an LF.
    Event,
    /// The id contains a CR, an LF or a NUL.
    Id,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EncodeError::Event => "the event's type contains a line end",
            EncodeError::Id => "the id contains a line end or a NUL",
        })
    }
}

impl core::error::Error for EncodeError {}

impl Encoder {
    /// Creates an empty encoder.
    ///
    /// ```
    /// assert_eq!(everstream_core::Encoder::new().as_str(), "");
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes an [`Event`](crate::Event) or an [`EventRef`], with its own id but not with the
    /// `last_event_id` of an earlier event.
    ///
    /// Receivers see every line end in the data (CRLF, CR, LF) as LF.
    ///
    /// # Errors
    ///
    /// If the type or the id can't be written. Nothing is written then.
    ///
    /// ```
    /// use everstream_core::{EncodeError, Encoder, Event};
    ///
    /// let mut encoder = Encoder::new();
    /// let injection = Event::new("", "x", Some("1\ndata: y"));
    /// assert_eq!(encoder.event(&injection), Err(EncodeError::Id));
    /// assert_eq!(encoder.as_str(), "");
    /// ```
    pub fn event<'a>(&mut self, event: impl Into<EventRef<'a>>) -> Result<(), EncodeError> {
        let event = event.into();
        if event.event().contains(['\r', '\n']) {
            return Err(EncodeError::Event);
        }
        if let Some(id) = event.id() {
            check_id(id)?;
        }
        if event.event() != "message" {
            self.field("event", event.event());
        }
        if let Some(id) = event.id() {
            self.field("id", id);
        }
        for line in lines(event.data()) {
            self.field("data", line);
        }
        self.wire.push('\n');
        Ok(())
    }

    /// Writes a block with only an id: receivers resume after it, but see no event.
    ///
    /// # Errors
    ///
    /// If the id can't be written. Nothing is written then.
    ///
    /// ```
    /// # use everstream_core::Encoder;
    /// let mut encoder = Encoder::new();
    /// encoder.id("7")?;
    /// assert_eq!(encoder.take(), "id: 7\n\n");
    /// # Ok::<(), everstream_core::EncodeError>(())
    /// ```
    pub fn id(&mut self, id: &str) -> Result<(), EncodeError> {
        check_id(id)?;
        self.field("id", id);
        self.wire.push('\n');
        Ok(())
    }

    /// Writes a comment. If it contains line ends, it becomes several.
    ///
    /// A space follows the colon; receivers see it as part of the comment.
    ///
    /// ```
    /// # use everstream_core::Encoder;
    /// let mut encoder = Encoder::new();
    /// encoder.comment("");
    /// encoder.comment("a\nb");
    /// assert_eq!(encoder.take(), ":\n: a\n: b\n");
    /// ```
    pub fn comment(&mut self, text: &str) {
        for line in lines(text) {
            self.field("", line);
        }
    }

    /// Writes how long receivers should wait before they reconnect, in milliseconds, rounded down.
    ///
    /// ```
    /// # use everstream_core::Encoder;
    /// let mut encoder = Encoder::new();
    /// encoder.retry(std::time::Duration::from_secs(5));
    /// assert_eq!(encoder.take(), "retry: 5000\n\n");
    /// ```
    pub fn retry(&mut self, delay: Duration) {
        self.field("retry", &alloc::format!("{}", delay.as_millis()));
        self.wire.push('\n');
    }

    /// The text that was written and not taken yet.
    ///
    /// ```
    /// # use everstream_core::Encoder;
    /// let mut encoder = Encoder::new();
    /// encoder.comment("x");
    /// assert_eq!(encoder.as_str(), ": x\n");
    /// ```
    pub fn as_str(&self) -> &str {
        &self.wire
    }

    /// Takes the text that was written.
    ///
    /// ```
    /// # use everstream_core::Encoder;
    /// let mut encoder = Encoder::new();
    /// encoder.comment("x");
    /// assert_eq!(encoder.take(), ": x\n");
    /// assert_eq!(encoder.take(), "");
    /// ```
    pub fn take(&mut self) -> String {
        core::mem::take(&mut self.wire)
    }

    /// Returns the text that was written and not taken yet.
    ///
    /// ```
    /// # use everstream_core::Encoder;
    /// let mut encoder = Encoder::new();
    /// encoder.comment("x");
    /// assert_eq!(encoder.into_string(), ": x\n");
    /// ```
    pub fn into_string(self) -> String {
        self.wire
    }

    fn field(&mut self, name: &str, value: &str) {
        self.wire.push_str(name);
        self.wire.push(':');
        if !value.is_empty() {
            // Receivers remove this space, so that a value may itself begin with one.
            self.wire.push(' ');
            self.wire.push_str(value);
        }
        self.wire.push('\n');
    }
}

fn check_id(id: &str) -> Result<(), EncodeError> {
    if id.contains(['\r', '\n', '\0']) {
        Err(EncodeError::Id)
    } else {
        Ok(())
    }
}

/// Splits a text at the stream's three line ends. "a\n" has two lines: "a" and "".
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    core::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.find(['\r', '\n']) else {
            return rest.take();
        };
        let (line, tail) = text.split_at(end);
        rest = Some(tail.strip_prefix("\r\n").unwrap_or(&tail[1..]));
        Some(line)
    })
}
