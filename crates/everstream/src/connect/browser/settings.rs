//! The settings of an [`Http`] in the browser.

use std::sync::Arc;

use ::http::{HeaderValue, Method};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use everstream_http::exchange::ERROR_BODY;

use super::head::{Header, HeaderMap, check_method};
use super::url::{append_query, parse_url};
use crate::connect::Http;
use crate::connect::attempt::{Attempt, Hook};
use crate::error::{Error, message};

/// Whether the browser sends cookies and other credentials of its own, for [`Http::credentials`].
// Exhaustive: these are the values of `fetch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Credentials {
    /// Never.
    Omit,
    /// To the origin of the page only.
    #[default]
    SameOrigin,
    /// To every origin. Another origin must allow it with `Access-Control-Allow-Credentials`.
    Include,
}

impl Http {
    /// Sets whether the browser sends its cookies and other credentials of its own. Default:
    /// [`Credentials::SameOrigin`]. An `Authorization` header that you set is always sent.
    #[must_use]
    pub fn credentials(self, credentials: Credentials) -> Self {
        self.with(|settings| settings.credentials = credentials)
    }
}

/// All settings but the URL. They are checked when they are set, so that a program contains only the checks
/// of what it sets.
#[derive(Clone)]
pub(in crate::connect) struct Settings {
    pub(in crate::connect) query: Vec<(String, String)>,
    /// The value of the header, or why there is none.
    basic_auth: Option<Result<HeaderValue, &'static str>>,
    pub(in crate::connect) method: Method,
    method_problem: Option<Arc<str>>,
    pub(in crate::connect) headers: Vec<Header>,
    pub(in crate::connect) body: Option<Bytes>,
    pub(in crate::connect) body_problem: Option<Arc<str>>,
    /// Adds a `Content-Type` of JSON by default.
    pub(in crate::connect) body_is_json: bool,
    pub(in crate::connect) hook: Option<Arc<Hook>>,
    pub(in crate::connect) any_content_type: bool,
    /// How many bytes of the body of an error response are kept.
    pub(in crate::connect) error_body: usize,
    pub(super) credentials: Credentials,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            query: Vec::new(),
            basic_auth: None,
            method: Method::GET,
            method_problem: None,
            headers: Vec::new(),
            body: None,
            body_problem: None,
            body_is_json: false,
            hook: None,
            any_content_type: false,
            error_body: ERROR_BODY,
            credentials: Credentials::default(),
        }
    }
}

impl Settings {
    pub(in crate::connect) fn set_method(&mut self, method: &str) {
        match check_method(method) {
            Ok(method) => {
                self.method = method;
                self.method_problem = None;
            }
            Err(problem) => self.method_problem = Some(problem.into()),
        }
    }

    pub(in crate::connect) fn set_basic_auth(&mut self, user: String, password: String) {
        let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
        self.basic_auth = Some(match user.contains(':') {
            true => Err("a user can't have a colon"),
            // Base64 is a valid value.
            false => HeaderValue::try_from(format!("Basic {encoded}")).map_err(|_| "invalid"),
        });
    }

    /// Returns the request for this URL, or what is wrong with the settings. Its headers are those that the
    /// user set.
    pub(super) fn attempt(&self, url: &str) -> Result<Attempt, Error> {
        if let Some(problem) = &self.body_problem {
            return Err(Error::config("body", message(problem)));
        }
        if let Some(Err(problem)) = self.basic_auth {
            return Err(Error::config("basic_auth", message(problem)));
        }
        let mut url = parse_url(url)?;
        if !self.query.is_empty() {
            append_query(&mut url, &self.query);
        }
        let mut headers = HeaderMap::default();
        for header in &self.headers {
            match &header.value {
                Ok(value) => headers.append(header.name.clone(), value.clone()),
                Err(problem) => return Err(Error::config("header", message(problem))),
            }
        }
        if let Some(problem) = &self.method_problem {
            return Err(Error::config("method", message(problem)));
        }
        let attempt = Attempt {
            method: self.method.clone(),
            url,
            headers,
            body: self.body.clone(),
            number: 0,
            last_event_id: None,
            problem: None,
        };
        match body_problem(&attempt) {
            Some(problem) => Err(Error::config("body", message(problem))),
            None => Ok(attempt),
        }
    }

    /// Adds the default headers, except where the user set the same name. `Cache-Control` is a mode of
    /// `fetch` instead, because as a header it would cause a preflight request to another origin.
    pub(super) fn add_defaults(&self, headers: &mut HeaderMap) {
        let mut add = |name: &str, value: &HeaderValue| {
            if !headers.contains(name) {
                headers.append(name.to_owned(), value.clone());
            }
        };
        add("accept", &HeaderValue::from_static("text/event-stream"));
        if let Some(Ok(value)) = &self.basic_auth {
            add("authorization", value);
        }
        if self.body_is_json {
            add(
                "content-type",
                &HeaderValue::from_static("application/json"),
            );
        }
    }
}

/// Why `fetch` would refuse the request, if it would.
pub(super) fn body_problem(attempt: &Attempt) -> Option<&'static str> {
    let refuses = [Method::GET, Method::HEAD].contains(&attempt.method);
    (refuses && attempt.body.is_some())
        .then_some("browsers don't send a GET or HEAD request with a body")
}
