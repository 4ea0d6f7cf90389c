//! URLs, parsed by the browser: the crate `url` would be the largest part of a small program.

use everstream_core::RedactedUrl;
use js_sys::Reflect;

use crate::error::Error;

/// An absolute URL. A string, because values of JavaScript aren't `Send`.
#[derive(Clone)]
pub(in crate::connect) struct Url(String);

impl Url {
    pub(in crate::connect) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a request to this URL is one to another origin.
    pub(super) fn is_cross_origin(&self) -> bool {
        let origin = |url: &str| web_sys::Url::new(url).ok().map(|url| url.origin());
        origin(&self.0) != location().as_deref().and_then(origin)
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
    let shown = RedactedUrl(url);
    let parsed = match location() {
        Some(base) => web_sys::Url::new_with_base(url, &base),
        None => web_sys::Url::new(url),
    };
    let parsed = parsed.map_err(|_| Error::config("url", format!("{shown:?}: invalid URL")))?;
    if !parsed.username().is_empty() || !parsed.password().is_empty() {
        let problem = "browsers don't send requests to a URL with user info";
        return Err(Error::config("url", problem));
    }
    match parsed.protocol().as_str() {
        "http:" | "https:" => Ok(Url(parsed.href())),
        other => {
            let scheme = other.trim_end_matches(':');
            let problem = format!("{shown:?}: the scheme {scheme} isn't http or https");
            Err(Error::config("url", problem))
        }
    }
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

/// The URL of the page or of the worker's script.
fn location() -> Option<String> {
    let location = Reflect::get(&js_sys::global(), &"location".into()).ok()?;
    Reflect::get(&location, &"href".into()).ok()?.as_string()
}
