//! The method and the headers of a request. `http::HeaderMap` knows the names of all common headers, which
//! would be a large part of a small program; so here they are strings, checked when they are set.

use std::sync::Arc;

use ::http::{HeaderValue, Method};
use everstream_http::policy::{
    is_header_name, is_refused_by_browser, is_set_by_browser, method_sent_by_browser,
};

use crate::error::{Error, message};

/// Headers in the order in which they were set. Names are in lower case.
#[derive(Clone, Default)]
pub(in crate::connect) struct HeaderMap(Vec<(String, HeaderValue)>);

impl HeaderMap {
    /// Adds a header.
    pub(in crate::connect) fn append(&mut self, name: String, value: HeaderValue) {
        self.0.push((name, value));
    }

    /// Sets a header, replacing all earlier ones of the same name.
    pub(in crate::connect) fn insert(&mut self, name: String, value: HeaderValue) {
        self.retain(|other| other != name);
        self.append(name, value);
    }

    pub(super) fn retain(&mut self, keeps: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| keeps(name));
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other == name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(String, HeaderValue)> {
        self.0.iter()
    }
}

/// A header of the user's settings.
#[derive(Clone)]
pub(in crate::connect) struct Header {
    pub(in crate::connect) name: String,
    /// Or why the header is invalid.
    pub(super) value: Result<HeaderValue, Arc<str>>,
}

impl Header {
    /// `value` is `None` if it isn't valid as a header value.
    pub(in crate::connect) fn new(name: &str, value: Option<HeaderValue>, _: bool) -> Self {
        let value = check_header(name, value);
        Header {
            name: name.to_ascii_lowercase(),
            value: value.map_err(Into::into),
        }
    }
}

pub(in crate::connect) fn parse_header(
    name: &str,
    value: Option<HeaderValue>,
    _: bool,
) -> Result<(String, HeaderValue), Error> {
    match check_header(name, value) {
        Ok(value) => Ok((name.to_ascii_lowercase(), value)),
        Err(problem) => Err(Error::config("header", message(&problem))),
    }
}

pub(in crate::connect) fn parse_method(method: &str) -> Result<Method, Error> {
    check_method(method).map_err(|problem| Error::config("method", message(&problem)))
}

fn check_header(name: &str, value: Option<HeaderValue>) -> Result<HeaderValue, String> {
    if !is_header_name(name) {
        return Err(format!("{name:?} isn't a valid header name"));
    }
    if is_set_by_browser(&name.to_ascii_lowercase()) {
        return Err(format!("{name:?} is set by the browser"));
    }
    // The message doesn't quote the value, which may be a secret.
    value.ok_or_else(|| format!("the value of {name:?} contains control characters"))
}

pub(super) fn check_method(method: &str) -> Result<Method, String> {
    match Method::from_bytes(method.as_bytes()) {
        Ok(parsed) if is_refused_by_browser(&parsed) => {
            Err(format!("browsers don't send {method:?} requests"))
        }
        Ok(parsed) => Ok(method_sent_by_browser(parsed)),
        Err(_) => Err(format!("{method:?} isn't a method")),
    }
}
