//! TLS by rustls over any connection.

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

/// How many servers' sessions are kept, as by rustls itself.
const SESSIONS: usize = 256;

pub(in super::super) struct Tls {
    settings: Settings,
    configs: Lazy<Configs>,
}

struct Configs {
    of: PerVersions<Arc<ClientConfig>>,
    /// All of them use these sessions, so that a reconnect resumes one.
    sessions: Arc<ClientSessionMemoryCache>,
}

impl Tls {
    /// Checks the settings without reading the system's certificates.
    pub(in super::super) fn new(settings: &Settings) -> Result<Self, Error> {
        settings.client_config(Roots::OnlyOwn, &[])?;
        Ok(Tls {
            settings: settings.clone(),
            configs: Lazy::new(),
        })
    }

    /// Reads the system's certificates unless that is done.
    pub(in super::super) fn prepare(&self) -> Result<(), Error> {
        self.configs().map(drop)
    }

    fn configs(&self) -> Result<&Configs, Error> {
        self.configs.get(|| {
            let shared = self.settings.client_config(Roots::WithSystem, &[])?;
            let sessions = Arc::new(ClientSessionMemoryCache::new(SESSIONS));
            let of = PerVersions::try_new(|protocols| {
                let mut config = ClientConfig::clone(&shared);
                let names = protocols.iter().map(|name| name.as_bytes().to_vec());
                config.alpn_protocols = names.collect();
                config.resumption = Resumption::store(sessions.clone());
                Ok(Arc::new(config))
            });
            of.map(|of| Configs { of, sessions })
        })
    }

    /// Begins TLS, and returns whether HTTP/2 follows.
    pub(in super::super) async fn begin(
        &self,
        io: Io,
        peer: Peer<'_>,
        versions: Versions,
    ) -> Result<(Io, bool), ConnectError> {
        let configs = self.configs().map_err(ConnectError::Unreachable)?;
        let name = server_name(peer.host).ok_or_else(|| peer.has_no_valid_name())?;
        let stream = TlsStream::connect(configs.of.get(versions).clone(), name.clone(), io).await;
        let stream = stream.map_err(|error| {
            configs.forget_bad_session(&name, &error);
            peer.handshake_failed(&error)
        })?;
        let is_http2 = super::is_http2(versions, stream.alpn_protocol());
        Ok((Io::Rustls(Box::new(stream)), is_http2))
    }
}

impl Configs {
    /// A server may resume a session of TLS 1.2 with other keys than ours. The next connection must not
    /// try to resume it again. rustls takes care of that, but not in its unbuffered API.
    fn forget_bad_session(&self, name: &ServerName<'static>, error: &io::Error) {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        if let Some(rustls::Error::DecryptError) = inner {
            self.sessions.remove_tls12_session(name);
        }
    }
}

/// A name in a certificate has no dot at its end.
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
