//! Data that is JSON.

use std::fmt;

use everstream_core::Event;
use serde::de::DeserializeOwned;

/// Reads an event's data as JSON.
///
/// ```
/// use everstream::{Event, JsonExt};
///
/// #[derive(serde::Deserialize)]
/// struct Price {
///     eur: u32,
/// }
///
/// let event = Event::new("price", r#"{"eur": 7}"#, None);
/// let price: Price = event.json()?;
/// assert_eq!(price.eur, 7);
/// # Ok::<(), everstream::JsonError>(())
/// ```
pub trait JsonExt {
    /// The data as a value.
    ///
    /// ```
    /// use everstream::{Event, JsonExt};
    ///
    /// let event = Event::new("", "[1, 2]", None);
    /// assert_eq!(event.json::<Vec<u32>>()?, [1, 2]);
    /// # Ok::<(), everstream::JsonError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`JsonError`], if it isn't JSON or not that of a `T`.
    fn json<T: DeserializeOwned>(&self) -> Result<T, JsonError>;
}

impl JsonExt for Event {
    fn json<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        serde_json::from_str(self.data()).map_err(|source| JsonError {
            event: self.event().into(),
            data: self.data().chars().take(SHOWN).collect(),
            source,
        })
    }
}

/// How many characters of the data an error shows.
const SHOWN: usize = 80;

/// An event's data isn't the JSON that was expected.
///
/// ```
/// use everstream::{Event, JsonExt};
///
/// let error = Event::new("price", "[DONE]", None).json::<u32>().unwrap_err();
/// assert_eq!(error.to_string(), r#"the data of an event "price" isn't what was expected: "[DONE]""#);
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
            "the data of an event {:?} isn't what was expected: {:?}",
            self.event, self.data
        )
    }
}

impl std::error::Error for JsonError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
