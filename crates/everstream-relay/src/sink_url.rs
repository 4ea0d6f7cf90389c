//! The URL that names a log.

use std::error::Error;
use std::fmt;

use percent_encoding::percent_decode_str;

/// A URL that names a log: the engine's address, and parameters, some of which are the sink's own.
///
/// ```
/// use everstream_relay::SinkUrl;
///
/// let mut url = SinkUrl::parse("redis://localhost/0?key=my%20feed&protocol=resp3", &["redis"])?;
/// assert_eq!(url.required("key", "the key of the stream")?, "my feed");
/// // The engine's client gets the rest.
/// assert_eq!(url.rest(), "redis://localhost/0?protocol=resp3");
/// # Ok::<(), everstream_relay::UrlError>(())
/// ```
#[derive(Clone)]
pub struct SinkUrl {
    /// Without its query.
    base: String,
    /// Not decoded yet.
    params: Vec<(String, String)>,
}

impl SinkUrl {
    /// Splits a URL.
    ///
    /// # Errors
    ///
    /// If its scheme isn't one of `schemes`.
    pub fn parse(url: &str, schemes: &[&str]) -> Result<SinkUrl, UrlError> {
        let Some((scheme, _)) = url.split_once("://") else {
            return Err(UrlError::new(format!(
                "a sink's URL begins with {}",
                any_of(schemes)
            )));
        };
        if !schemes.contains(&scheme) {
            return Err(UrlError::new(format!(
                "the scheme {scheme:?} isn't {}",
                any_of(schemes)
            )));
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let params = query.split('&').filter(|pair| !pair.is_empty());
        let params = params.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), value.to_owned())
        });
        Ok(SinkUrl {
            base: base.to_owned(),
            params: params.collect(),
        })
    }

    /// The URL without its parameters.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Takes a parameter out of the URL, and decodes it.
    ///
    /// # Errors
    ///
    /// If it's there twice, empty, or not UTF-8.
    pub fn take(&mut self, name: &str) -> Result<Option<String>, UrlError> {
        let is_named = |pair: &(String, String)| pair.0 == name;
        let Some(at) = self.params.iter().position(is_named) else {
            return Ok(None);
        };
        let (_, value) = self.params.remove(at);
        if self.params.iter().any(is_named) {
            return Err(UrlError::new(format!(
                "the parameter {name} is given twice"
            )));
        }
        let value = decode(&value, name)?;
        if value.is_empty() {
            return Err(UrlError::new(format!("the parameter {name} is empty")));
        }
        Ok(Some(value))
    }

    /// The same for one that has to be there. `what` says what it is.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take), and if it isn't there.
    pub fn required(&mut self, name: &str, what: &str) -> Result<String, UrlError> {
        self.take(name)?
            .ok_or_else(|| UrlError::new(format!("the URL lacks {what}: add ?{name}=NAME")))
    }

    /// The URL with the parameters that nobody has taken.
    pub fn rest(&self) -> String {
        let mut rest = self.base.clone();
        let mut separator = '?';
        for (name, value) in &self.params {
            rest.push(separator);
            rest.push_str(name);
            rest.push('=');
            rest.push_str(value);
            separator = '&';
        }
        rest
    }

    /// For sinks whose client takes no parameters.
    ///
    /// # Errors
    ///
    /// Names a parameter that nobody has taken.
    pub fn nothing_left(&self) -> Result<(), UrlError> {
        match self.params.first() {
            None => Ok(()),
            Some((name, _)) => Err(UrlError::new(format!(
                "this sink has no parameter {name:?}"
            ))),
        }
    }
}

/// Without the URL: it may contain a password.
impl fmt::Debug for SinkUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SinkUrl").finish_non_exhaustive()
    }
}

/// Why a URL doesn't name a log. The message contains no password.
///
/// ```
/// use everstream_relay::SinkUrl;
///
/// let error = SinkUrl::parse("localhost:6379", &["redis", "rediss"]).unwrap_err();
/// assert_eq!(error.to_string(), "a sink's URL begins with redis:// or rediss://");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlError {
    message: String,
}

impl UrlError {
    /// With a sentence for a person. Don't put the URL into it: it may contain a password.
    pub fn new(message: impl Into<String>) -> UrlError {
        UrlError {
            message: message.into(),
        }
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for UrlError {}

fn any_of(schemes: &[&str]) -> String {
    let schemes: Vec<String> = schemes.iter().map(|it| format!("{it}://")).collect();
    schemes.join(" or ")
}

fn decode(value: &str, name: &str) -> Result<String, UrlError> {
    match percent_decode_str(value).decode_utf8() {
        Ok(value) => Ok(value.into_owned()),
        Err(_) => Err(UrlError::new(format!("the parameter {name} isn't UTF-8"))),
    }
}
