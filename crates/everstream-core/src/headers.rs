//! Response headers, without a dependency on an HTTP library.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::url::RedactedUrl;

/// Response headers: names and values in the order in which they came.
///
/// ```
/// use everstream_core::Headers;
///
/// let headers: Headers = [("Content-Type", "text/event-stream"), ("via", "a"), ("Via", "b")]
///     .into_iter()
///     .collect();
/// assert_eq!(headers.get("content-type"), Some("text/event-stream"));
/// assert_eq!(headers.get_all("VIA").collect::<Vec<_>>(), ["a", "b"]);
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first value of this name, in any case.
    ///
    /// ```
    /// # use everstream_core::Headers;
    /// assert_eq!(Headers::default().get("server"), None);
    /// ```
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// All values of this name, in any case.
    ///
    /// ```
    /// # use everstream_core::Headers;
    /// assert_eq!(Headers::default().get_all("server").count(), 0);
    /// ```
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter()
            .filter(move |(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// All names and values. Bytes of a value that aren't UTF-8 are shown as U+FFFD.
    ///
    /// ```
    /// # use everstream_core::Headers;
    /// let headers: Headers = [("a", "1")].into_iter().collect();
    /// assert_eq!(headers.iter().collect::<Vec<_>>(), [("a", "1")]);
    /// ```
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Whether there are none.
    ///
    /// ```
    /// assert!(everstream_core::Headers::default().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(headers: I) -> Self {
        Headers(
            headers
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// Cookies aren't shown, nor the parts of a redirect's target where secrets are.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in self.iter() {
            if name.eq_ignore_ascii_case("set-cookie") {
                map.entry(&name, &"(secret)");
            } else if name.eq_ignore_ascii_case("location") {
                map.entry(&name, &RedactedUrl(value));
            } else {
                map.entry(&name, &value);
            }
        }
        map.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_headers_are_not_printed() {
        let headers: Headers = [
            ("Set-Cookie", "session=hidden"),
            (
                "Location",
                "https://user:hidden@example.com/feed?token=hidden",
            ),
            ("Server", "shown"),
        ]
        .into_iter()
        .collect();
        let printed = alloc::format!("{headers:?}");
        assert!(!printed.contains("hidden"), "{printed}");
        assert!(
            printed.contains("shown") && printed.contains("example.com/feed"),
            "{printed}"
        );
    }
}
