//! The reqwest clients of one [`Http`](super::Http), each built when it is first needed.

use std::sync::{Arc, OnceLock};

use reqwest::Url;

use super::transport::{Roots, Transport};
use crate::error::Error;

#[derive(Clone)]
pub(super) enum Clients {
    /// The user's.
    Own(reqwest::Client),
    Ours(Arc<Ours>),
}

/// Reading the system's certificates takes ten times as long as all else that a client does before
/// its first request. A stream without TLS does without them.
pub(super) struct Ours {
    transport: Arc<Transport>,
    blocking: bool,
    plain: OnceLock<reqwest::Client>,
    with_certificates: OnceLock<reqwest::Client>,
}

impl Clients {
    pub(super) fn ours(transport: Arc<Transport>, blocking: bool) -> Self {
        Clients::Ours(Arc::new(Ours {
            transport,
            blocking,
            plain: OnceLock::new(),
            with_certificates: OnceLock::new(),
        }))
    }

    pub(super) fn are_own(&self) -> bool {
        matches!(self, Clients::Own(_))
    }

    /// The client for requests to this URL.
    pub(super) fn get(&self, url: &Url) -> Result<reqwest::Client, Error> {
        let ours = match self {
            Clients::Own(client) => return Ok(client.clone()),
            Clients::Ours(ours) => ours,
        };
        let (client, roots) = if url.scheme() == "https" || ours.transport.needs_certificates() {
            (&ours.with_certificates, Roots::WithSystem)
        } else {
            (&ours.plain, Roots::OnlyOwn)
        };
        if let Some(client) = client.get() {
            return Ok(client.clone());
        }
        let built = ours.transport.build(ours.blocking, roots)?;
        Ok(client.get_or_init(|| built).clone())
    }
}
