//! What an [`Http`](super::Http) holds, and the request that it makes.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use ::http::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, USER_AGENT};
use ::http::{HeaderMap, HeaderValue, Method};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
#[cfg(feature = "cookies")]
use everstream_http::policy::CookieJar;
use everstream_http::policy::{HeaderScope, MAX_REDIRECTS, accept_encoding};

use super::ClientContext;
use super::attempt::{Attempt, Hook, parse_header, parse_url};
use super::connections::Connections;
use super::decode::CODINGS;
use super::transport::Transport;
use crate::error::Error;

/// The default `User-Agent`.
const AGENT: &str = concat!("everstream/", env!("CARGO_PKG_VERSION"));

/// Everything but the URL, so that clients of different URLs share it. A client keeps it, and makes
/// each of its requests of it: it is smaller than a request.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) query: Vec<(String, String)>,
    pub(super) basic_auth: Option<(String, String)>,
    pub(super) method: Cow<'static, str>,
    pub(super) headers: Vec<Header>,
    pub(super) body: Option<Bytes>,
    pub(super) body_problem: Option<Arc<str>>,
    pub(super) hook: Option<Arc<Hook>>,
    pub(super) redirect_limit: usize,
    pub(super) header_scope: HeaderScope,
    pub(super) any_content_type: bool,
    #[cfg(feature = "cookies")]
    pub(super) cookies: Option<CookieJar>,
    pub(super) transport: Arc<Transport>,
    /// Made by the first async client.
    pub(super) shared: Arc<Mutex<Option<Connections>>>,
    #[cfg(feature = "reqwest")]
    pub(super) own: Option<reqwest::Client>,
}

#[derive(Clone)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) value: Vec<u8>,
    pub(super) sensitive: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            query: Vec::new(),
            basic_auth: None,
            method: "GET".into(),
            headers: Vec::new(),
            body: None,
            body_problem: None,
            hook: None,
            redirect_limit: MAX_REDIRECTS,
            header_scope: HeaderScope::default(),
            any_content_type: false,
            #[cfg(feature = "cookies")]
            cookies: None,
            transport: Arc::default(),
            shared: Arc::default(),
            #[cfg(feature = "reqwest")]
            own: None,
        }
    }
}

impl Settings {
    pub(super) fn connections(&self, context: ClientContext) -> Result<Connections, Error> {
        #[cfg(feature = "reqwest")]
        if let Some(own) = &self.own {
            return Ok(Connections::Reqwest(own.clone()));
        }
        // A connection lives in the runtime that made it, and a blocking client has its own.
        if context.blocking {
            return Connections::new(&self.transport, true);
        }
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = &*shared {
            return Ok(shared.clone());
        }
        let made = Connections::new(&self.transport, false)?;
        Ok(shared.insert(made).clone())
    }

    /// Whether a client of the user's makes the requests.
    pub(super) fn brings_client(&self) -> bool {
        #[cfg(feature = "reqwest")]
        return self.own.is_some();
        #[cfg(not(feature = "reqwest"))]
        return false;
    }

    /// The request for this URL, with what is wrong with it.
    pub(super) fn attempt(&self, url: &str) -> Result<Attempt, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Some(codings) = accept_encoding(CODINGS) {
            headers.insert(ACCEPT_ENCODING, codings);
        }
        if !self.brings_client() {
            headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        }
        let mut attempt = Attempt {
            method: Method::GET,
            url: parse_url(url)?,
            headers,
            number: 0,
            last_event_id: None,
            problem: None,
        };
        if let Some((user, password)) = &self.basic_auth {
            if user.contains(':') {
                return Err(Error::config("basic_auth", "a user can't have a colon"));
            }
            // A header rather than the URL's user info: a hook may choose another URL.
            let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
            let (name, value) = parse_header(
                "authorization",
                format!("Basic {encoded}").as_bytes(),
                false,
            )?;
            attempt.headers.insert(name, value);
        }
        if !self.query.is_empty() {
            attempt.url.query_pairs_mut().extend_pairs(&self.query);
        }
        for (index, header) in self.headers.iter().enumerate() {
            let (name, value) = parse_header(&header.name, &header.value, header.sensitive)?;
            // The first of a name replaces a default; more of it are added.
            if self.headers[..index]
                .iter()
                .any(|earlier| name == earlier.name.as_str())
            {
                attempt.headers.append(name, value);
            } else {
                attempt.headers.insert(name, value);
            }
        }
        Ok(attempt)
    }
}
