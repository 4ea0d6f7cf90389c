//! TLS with rustls.

use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Resumption};
use rustls::pki_types::ServerName;
use url::Host;

use super::super::{ConnectError, Io, Peer, Versions};
use super::stream::TlsStream;
use super::{Lazy, PerVersions};
use crate::connect::transport::{Roots, Tls as Settings};
use crate::error::Error;

/// How many servers' sessions are kept: rustls's default.
const SESSIONS: usize = 256;

pub(in super::super) struct Tls {
    settings: Settings,
    configs: Lazy<Configs>,
}

struct Configs {
    by_versions: PerVersions<Arc<ClientConfig>>,
    /// Shared by all configurations, so that reconnects resume a session.
    sessions: Arc<ClientSessionMemoryCache>,
}

impl Tls {
    /// Checks the settings without reading the system's certificates.
    pub(in super::super) fn new(settings: &Settings) -> Result<Self, Error> {
        settings.client_config(Roots::UserOnly, &[])?;
        Ok(Tls {
            settings: settings.clone(),
            configs: Lazy::new(),
        })
    }

    /// Reads the system's certificates, if that hasn't been done.
    pub(in super::super) fn prepare(&self) -> Result<(), Error> {
        self.configs().map(drop)
    }

    fn configs(&self) -> Result<&Configs, Error> {
        self.configs.get(|| {
            let shared = self.settings.client_config(Roots::UserAndSystem, &[])?;
            let sessions = Arc::new(ClientSessionMemoryCache::new(SESSIONS));
            let by_versions = PerVersions::try_new(|protocols| {
                let mut config = ClientConfig::clone(&shared);
                let names = protocols.iter().map(|name| name.as_bytes().to_vec());
                config.alpn_protocols = names.collect();
                config.resumption = Resumption::store(sessions.clone());
                Ok(Arc::new(config))
            });
            by_versions.map(|by_versions| Configs {
                by_versions,
                sessions,
            })
        })
    }

    /// Begins TLS, and returns whether HTTP/2 was negotiated.
    pub(in super::super) async fn begin(
        &self,
        io: Io,
        peer: Peer<'_>,
        versions: Versions,
    ) -> Result<(Io, bool), ConnectError> {
        let configs = self.configs().map_err(ConnectError::Unreachable)?;
        let name = server_name(peer.host).ok_or_else(|| peer.has_no_valid_name())?;
        let config = configs.by_versions.get(versions).clone();
        let stream = TlsStream::connect(config, name.clone(), io).await;
        let stream = stream.map_err(|error| {
            configs.forget_bad_session(&name, &error);
            peer.handshake_failed(&error)
        })?;
        let is_http2 = super::is_http2(versions, stream.alpn_protocol());
        Ok((Io::Rustls(Box::new(stream)), is_http2))
    }
}

impl Configs {
    /// Forgets a TLS 1.2 session that a server resumed with the wrong keys, so that the next connection
    /// doesn't try to resume it again. rustls does this itself, except in its unbuffered API.
    fn forget_bad_session(&self, name: &ServerName<'static>, error: &io::Error) {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        if let Some(rustls::Error::DecryptError) = inner {
            self.sessions.remove_tls12_session(name);
        }
    }
}

/// Removes a trailing dot, which names in certificates don't have.
fn server_name(host: &Host<&str>) -> Option<ServerName<'static>> {
    match *host {
        Host::Ipv4(ip) => Some(ServerName::IpAddress(std::net::IpAddr::V4(ip).into())),
        Host::Ipv6(ip) => Some(ServerName::IpAddress(std::net::IpAddr::V6(ip).into())),
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            ServerName::try_from(name.to_owned()).ok()
        }
    }
}
