//! What an [`Http`](super::Http) holds, and the request that it makes.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use ::http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, USER_AGENT,
};
use ::http::{HeaderMap, HeaderValue};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;
use everstream_http::exchange::ERROR_BODY;
#[cfg(feature = "cookies")]
use everstream_http::policy::CookieJar;
use everstream_http::policy::{HeaderScope, MAX_REDIRECTS, accept_encoding};

use super::ClientContext;
use super::attempt::{Attempt, Hook, parse_header, parse_method, parse_url};
use super::connections::Connections;
use super::decode::CODINGS;
use super::response::OnRedirect;
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
    /// Defaults that aren't sent.
    pub(super) omitted: Vec<String>,
    pub(super) body: Option<Bytes>,
    pub(super) body_problem: Option<Arc<str>>,
    /// Its type is JSON, unless a header says otherwise.
    pub(super) body_is_json: bool,
    pub(super) hook: Option<Arc<Hook>>,
    pub(super) redirect_limit: usize,
    pub(super) on_redirect: Option<Arc<OnRedirect>>,
    pub(super) header_scope: HeaderScope,
    pub(super) any_content_type: bool,
    /// How many bytes of the body of an error are kept.
    pub(super) error_body: usize,
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
    /// `None`: it can't be a header's value.
    pub(super) value: Option<HeaderValue>,
    pub(super) sensitive: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            query: Vec::new(),
            basic_auth: None,
            method: "GET".into(),
            headers: Vec::new(),
            omitted: Vec::new(),
            body: None,
            body_problem: None,
            body_is_json: false,
            hook: None,
            redirect_limit: MAX_REDIRECTS,
            on_redirect: None,
            header_scope: HeaderScope::default(),
            any_content_type: false,
            error_body: ERROR_BODY,
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

    /// The request for this URL, with what is wrong with it. Its headers are those that the user set.
    pub(super) fn attempt(&self, url: &str) -> Result<Attempt, Error> {
        if matches!(&self.basic_auth, Some((user, _)) if user.contains(':')) {
            return Err(Error::config("basic_auth", "a user can't have a colon"));
        }
        let mut url = parse_url(url)?;
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        let mut headers = HeaderMap::new();
        for header in &self.headers {
            let (name, value) = parse_header(&header.name, header.value.clone(), header.sensitive)?;
            headers.append(name, value);
        }
        Ok(Attempt {
            method: parse_method(&self.method)?,
            url,
            headers,
            body: self.body.clone(),
            number: 0,
            last_event_id: None,
            problem: None,
        })
    }

    /// The headers that are sent: a name that the user set replaces the default.
    pub(super) fn with_defaults(&self, own: HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Some(codings) = accept_encoding(CODINGS) {
            headers.insert(ACCEPT_ENCODING, codings);
        }
        if !self.brings_client() {
            headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        }
        if let Some((user, password)) = &self.basic_auth {
            // A header rather than the URL's user info: a hook may choose another URL.
            let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
            if let Ok(value) = HeaderValue::try_from(format!("Basic {encoded}")) {
                headers.insert(AUTHORIZATION, value);
            }
        }
        if self.body_is_json {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for name in &self.omitted {
            headers.remove(name.as_str());
        }
        headers.extend(own);
        headers
    }
}
