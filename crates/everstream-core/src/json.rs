//! Event data as JSON.

use alloc::string::String;
use core::error::Error;
use core::fmt;

use serde::Deserialize;

use crate::event::Event;

impl Event {
    /// Reads the data as JSON. The value may borrow from the event.
    ///
    /// ```
    /// use everstream_core::Event;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Price<'a> {
    ///     currency: &'a str,
    ///     amount: u32,
    /// }
    ///
    /// let event = Event::new("price", r#"{"currency": "eur", "amount": 7}"#, None);
    /// let price: Price<'_> = event.json()?;
    /// assert_eq!((price.currency, price.amount), ("eur", 7));
    /// # Ok::<(), everstream_core::JsonError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`JsonError`], if the data isn't JSON or doesn't match `T`.
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, JsonError> {
        serde_json::from_str(self.data()).map_err(|source| JsonError {
            event: self.event().into(),
            data: self.data().chars().take(MAX_DATA_IN_ERROR).collect(),
            source,
        })
    }
}

/// How many characters of the data an error shows.
const MAX_DATA_IN_ERROR: usize = 80;

/// An event's data isn't the JSON that was expected.
///
/// ```
/// use everstream_core::Event;
///
/// let error = Event::new("price", "[DONE]", None).json::<u32>().unwrap_err();
/// assert_eq!(error.to_string(), r#"the data of an event "price" can't be deserialized: "[DONE]""#);
/// ```
#[derive(Debug)]
pub struct JsonError {
    event: String,
    data: String,
    source: serde_json::Error,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the data of an event {:?} can't be deserialized: {:?}",
            self.event, self.data
        )
    }
}

impl Error for JsonError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
