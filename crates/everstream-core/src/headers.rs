//! Response headers, without depending on an HTTP library.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::iter::FusedIterator;
use core::slice;

use crate::url::RedactedUrl;

/// Response headers: names and values, in the order of arrival.
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
    /// The first value of this name. Case is ignored.
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

    /// All values of this name. Case is ignored.
    ///
    /// ```
    /// # use everstream_core::Headers;
    /// assert_eq!(Headers::default().get_all("server").count(), 0);
    /// ```
    pub fn get_all<'a, 'n>(&'a self, name: &'n str) -> HeaderValues<'a, 'n> {
        HeaderValues {
            headers: self.iter(),
            name,
        }
    }

    /// All names and values. Bytes of a value that aren't UTF-8 appear as U+FFFD.
    ///
    /// ```
    /// # use everstream_core::Headers;
    /// let headers: Headers = [("a", "1")].into_iter().collect();
    /// assert_eq!(headers.iter().collect::<Vec<_>>(), [("a", "1")]);
    /// ```
    pub fn iter(&self) -> HeadersIter<'_> {
        HeadersIter(self.0.iter())
    }

    /// The number of headers; a name with several values counts once per value.
    ///
    /// ```
    /// # use everstream_core::Headers;
    /// assert_eq!(Headers::from_iter([("via", "a"), ("via", "b")]).len(), 2);
    /// ```
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no headers.
    ///
    /// ```
    /// assert!(everstream_core::Headers::default().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The iterator of [`Headers::iter`]: names and values.
///
/// ```
/// use everstream_core::{Headers, HeadersIter};
///
/// let headers = Headers::from_iter([("server", "mine")]);
/// let mut all: HeadersIter<'_> = headers.iter();
/// assert_eq!(all.next(), Some(("server", "mine")));
/// ```
#[derive(Clone)]
pub struct HeadersIter<'a>(slice::Iter<'a, (String, String)>);

/// Doesn't print the headers, because some are secrets.
impl fmt::Debug for HeadersIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadersIter").finish_non_exhaustive()
    }
}

impl<'a> Iterator for HeadersIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (&**name, &**value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for HeadersIter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(name, value)| (&**name, &**value))
    }
}

impl ExactSizeIterator for HeadersIter<'_> {}

impl FusedIterator for HeadersIter<'_> {}

/// The iterator of [`Headers::get_all`]: the values of one name.
///
/// ```
/// use everstream_core::{HeaderValues, Headers};
///
/// let headers = Headers::from_iter([("via", "a"), ("Via", "b")]);
/// let last = {
///     let name = String::from("via"); // it needn't live as long as the headers
///     let values: HeaderValues<'_, '_> = headers.get_all(&name);
///     values.last()
/// };
/// assert_eq!(last, Some("b"));
/// ```
#[derive(Clone)]
pub struct HeaderValues<'a, 'n> {
    headers: HeadersIter<'a>,
    name: &'n str,
}

/// Doesn't print the values, because some are secrets.
impl fmt::Debug for HeaderValues<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeaderValues")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<'a> Iterator for HeaderValues<'a, '_> {
    type Item = &'a str;

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.name;
        self.headers
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }
}

impl FusedIterator for HeaderValues<'_, '_> {}

/// ```
/// use everstream_core::Headers;
///
/// for (name, value) in &Headers::from_iter([("server", "mine")]) {
///     assert_eq!((name, value), ("server", "mine"));
/// }
/// ```
impl<'a> IntoIterator for &'a Headers {
    type Item = (&'a str, &'a str);
    type IntoIter = HeadersIter<'a>;

    fn into_iter(self) -> HeadersIter<'a> {
        self.iter()
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

/// Prints neither cookies nor the parts of a redirect target that may contain secrets.
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
    fn debug_output_redacts_secrets_in_headers() {
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
        let iterators = alloc::format!("{:?} {:?}", headers.iter(), headers.get_all("location"));
        assert!(!iterators.contains("hidden"), "{iterators}");
    }

    #[test]
    fn iterators_are_double_ended_and_exact_size() {
        let headers = Headers::from_iter([("a", "1"), ("b", "2"), ("A", "3")]);
        assert_eq!((headers.len(), headers.iter().len()), (3, 3));
        assert!(!headers.is_empty());
        let backwards: Vec<_> = headers.iter().rev().map(|(_, value)| value).collect();
        assert_eq!(backwards, ["3", "2", "1"]);
        let forwards: Vec<_> = (&headers).into_iter().collect();
        assert_eq!(forwards, [("a", "1"), ("b", "2"), ("A", "3")]);
        assert_eq!(headers.get_all("a").collect::<Vec<_>>(), ["1", "3"]);
    }
}
