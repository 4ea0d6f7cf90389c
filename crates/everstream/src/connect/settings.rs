//! The settings of an [`Http`](super::Http), and the requests built from them.

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
use super::attempt::{Attempt, Header, Hook};
use super::connections::Connections;
use super::decode::CODINGS;
use super::response::OnRedirect;
use super::transport::Transport;
use crate::error::Error;

const DEFAULT_USER_AGENT: &str = concat!("everstream/", env!("CARGO_PKG_VERSION"));

/// All settings but the URL, so that clients of different URLs can share them. A client keeps these
/// rather than a request, which would be larger.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) query: Vec<(String, String)>,
    pub(super) basic_auth: Option<(String, String)>,
    pub(super) method: Cow<'static, str>,
    pub(super) headers: Vec<Header>,
    /// The default headers that aren't sent.
    pub(super) omitted: Vec<String>,
    pub(super) body: Option<Bytes>,
    pub(super) body_problem: Option<Arc<str>>,
    /// Adds a `Content-Type` of JSON by default.
    pub(super) body_is_json: bool,
    pub(super) hook: Option<Arc<Hook>>,
    pub(super) redirect_limit: usize,
    pub(super) on_redirect: Option<Arc<OnRedirect>>,
    pub(super) on_connected: Option<Arc<dyn Fn() + Send + Sync>>,
    pub(super) header_scope: HeaderScope,
    pub(super) any_content_type: bool,
    /// How many bytes of the body of an error response are kept.
    pub(super) error_body: usize,
    #[cfg(feature = "cookies")]
    pub(super) cookies: Option<CookieJar>,
    pub(super) transport: Arc<Transport>,
    /// Created by the first async client.
    pub(super) shared: Arc<Mutex<Option<Connections>>>,
    #[cfg(feature = "reqwest")]
    pub(super) custom_client: Option<reqwest::Client>,
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
            on_connected: None,
            header_scope: HeaderScope::default(),
            any_content_type: false,
            error_body: ERROR_BODY,
            #[cfg(feature = "cookies")]
            cookies: None,
            transport: Arc::default(),
            shared: Arc::default(),
            #[cfg(feature = "reqwest")]
            custom_client: None,
        }
    }
}

impl Settings {
    pub(super) fn set_method(&mut self, method: &str) {
        self.method = method.to_owned().into();
    }

    pub(super) fn set_basic_auth(&mut self, user: String, password: String) {
        self.basic_auth = Some((user, password));
    }

    pub(super) fn connections(&self, context: ClientContext) -> Result<Connections, Error> {
        #[cfg(feature = "reqwest")]
        if let Some(client) = &self.custom_client {
            return Ok(Connections::Reqwest(client.clone()));
        }
        // A connection belongs to the runtime in which it was opened, and each blocking client has its own
        // runtime.
        if context.blocking {
            return Connections::new(&self.transport, true);
        }
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = &*shared {
            return Ok(shared.clone());
        }
        let connections = Connections::new(&self.transport, false)?;
        Ok(shared.insert(connections).clone())
    }

    /// Whether requests are sent with the user's client.
    pub(super) fn has_custom_client(&self) -> bool {
        #[cfg(feature = "reqwest")]
        return self.custom_client.is_some();
        #[cfg(not(feature = "reqwest"))]
        return false;
    }

    /// Builds a request for this URL, or returns what is wrong with the settings. Its headers are those
    /// that the user set.
    pub(super) fn attempt(&self, url: &str) -> Result<Attempt, Error> {
        if matches!(&self.basic_auth, Some((user, _)) if user.contains(':')) {
            return Err(Error::config("basic_auth", "a user can't have a colon"));
        }
        let body = self.body.clone();
        Attempt::new(url, &self.query, &self.method, &self.headers, body)
    }

    /// Adds the default headers, except where the user set the same name.
    pub(super) fn with_defaults(&self, user_headers: HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Some(codings) = accept_encoding(CODINGS) {
            headers.insert(ACCEPT_ENCODING, codings);
        }
        if !self.has_custom_client() {
            headers.insert(USER_AGENT, HeaderValue::from_static(DEFAULT_USER_AGENT));
        }
        if let Some((user, password)) = &self.basic_auth {
            // Set as a header rather than in the URL, because a hook may set another URL.
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
        headers.extend(user_headers);
        headers
    }
}
