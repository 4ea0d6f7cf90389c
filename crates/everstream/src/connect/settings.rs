//! What an [`Http`](super::Http) holds, and the request that it makes.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use ::http::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL};
use ::http::{HeaderMap, HeaderValue};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use bytes::Bytes;

use super::ClientContext;
use super::attempt::{Attempt, Hook, parse_header, parse_url};
use super::clients::Clients;
use super::decode;
use super::kept::Kept;
use super::transport::Transport;
use crate::error::Error;

/// The default of [`Http::redirect_limit`](super::Http::redirect_limit).
const REDIRECT_LIMIT: usize = 10;

/// A client keeps them, and makes each of its requests of them: they are smaller than a request.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) url: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) basic_auth: Option<(String, String)>,
    pub(super) method: Cow<'static, str>,
    pub(super) headers: Vec<Header>,
    pub(super) body: Option<Bytes>,
    pub(super) body_problem: Option<Arc<str>>,
    pub(super) hook: Option<Arc<Hook>>,
    pub(super) redirect_limit: usize,
    pub(super) transport: Arc<Transport>,
    /// Made by the first async client.
    pub(super) shared: Arc<OnceLock<Clients>>,
    /// The connections of `shared`, or of `own`.
    pub(super) kept: Kept,
    pub(super) own: Option<reqwest::Client>,
}

#[derive(Clone)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) value: Vec<u8>,
    pub(super) sensitive: bool,
}

impl Settings {
    pub(super) fn new(url: String) -> Self {
        Settings {
            url,
            query: Vec::new(),
            basic_auth: None,
            method: "GET".into(),
            headers: Vec::new(),
            body: None,
            body_problem: None,
            hook: None,
            redirect_limit: REDIRECT_LIMIT,
            transport: Arc::default(),
            shared: Arc::default(),
            kept: Kept::default(),
            own: None,
        }
    }

    pub(super) fn clients(&self, context: ClientContext) -> Clients {
        match &self.own {
            Some(own) => Clients::Own(own.clone()),
            // A connection lives in the runtime that made it, and a blocking client has its own.
            None if context.blocking => Clients::ours(self.transport.clone(), true),
            None => self
                .shared
                .get_or_init(|| Clients::ours(self.transport.clone(), false))
                .clone(),
        }
    }

    /// The request, with what is wrong with it.
    pub(super) fn attempt(&self) -> Result<Attempt, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Some(codings) = decode::accepted() {
            headers.insert(ACCEPT_ENCODING, codings);
        }
        let mut attempt = Attempt {
            url: parse_url(&self.url)?,
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
            let (name, value) =
                parse_header("authorization", format!("Basic {encoded}").as_bytes(), true)?;
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
