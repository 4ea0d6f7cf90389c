//! URLs, parsed by the browser: the crate `url` would be the largest part of a small program.

use everstream_core::RedactedUrl;
use js_sys::Reflect;

use crate::error::{Error, message};

/// An absolute URL. A string, because values of JavaScript aren't `Send`.
#[derive(Clone)]
pub(in crate::connect) struct Url(String);

impl Url {
    pub(in crate::connect) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a request to this URL is one to another origin.
    pub(super) fn is_cross_origin(&self) -> bool {
        let origin = location("origin").unwrap_or_default();
        // A URL that the browser has parsed has a path.
        let path = self.0.strip_prefix(&*origin);
        !path.is_some_and(|path| path.starts_with('/'))
    }

    fn change(&mut self, change: impl FnOnce(&web_sys::UrlSearchParams)) {
        if let Ok(url) = web_sys::Url::new(&self.0) {
            change(&url.search_params());
            self.0 = url.href();
        }
    }
}

/// Parses a URL. One without a scheme and host is relative to the page or the worker's script.
pub(in crate::connect) fn parse_url(url: &str) -> Result<Url, Error> {
    let parsed = match location("href") {
        Some(base) => web_sys::Url::new_with_base(url, &base),
        None => web_sys::Url::new(url),
    };
    let problem = match parsed {
        Err(_) => "invalid URL",
        Ok(parsed) => {
            let parsed = parsed.href();
            // The browser has written it as `scheme://authority/`, if the scheme is one of these.
            let mut parts = parsed.as_bytes().split(|byte| *byte == b'/');
            let is_http = matches!(parts.next(), Some(b"http:" | b"https:"));
            if !is_http {
                "the scheme isn't http or https"
            } else if parts.nth(1).is_some_and(|it| it.contains(&b'@')) {
                let problem = "browsers don't send requests to a URL with user info";
                return Err(Error::config("url", message(problem)));
            } else {
                return Ok(Url(parsed));
            }
        }
    };
    let problem = format!("\"{}\": {problem}", RedactedUrl(url));
    Err(Error::config("url", message(&problem)))
}

pub(in crate::connect) fn append_query(
    url: &mut Url,
    pairs: &[(impl AsRef<str>, impl AsRef<str>)],
) {
    url.change(|query| {
        for (name, value) in pairs {
            query.append(name.as_ref(), value.as_ref());
        }
    });
}

/// Replaces all parameters of this name.
pub(in crate::connect) fn set_query(url: &mut Url, name: &str, value: &str) {
    url.change(|query| {
        // `set` would keep the place of the first one; elsewhere it is the last.
        query.delete(name);
        query.append(name, value);
    });
}

/// A part of the URL of the page or of the worker's script.
fn location(part: &str) -> Option<String> {
    let location = Reflect::get(&js_sys::global(), &"location".into()).ok()?;
    Reflect::get(&location, &part.into()).ok()?.as_string()
}
