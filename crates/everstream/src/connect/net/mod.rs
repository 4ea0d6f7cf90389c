//! Opens connections: DNS, TCP, proxies, TLS.
//!
//! Everything runs in the caller's task, and dropping the future cancels it. Timeouts are up to the
//! caller.

mod io;
mod proxy;
mod resolve;
#[cfg(feature = "socks")]
mod socks;
mod tcp;
#[cfg(feature = "__tls")]
mod tls;
mod tunnel;

use std::fmt;
#[cfg(unix)]
use std::path::PathBuf;

#[cfg(unix)]
use everstream_http::SocketFailure as _;
use everstream_http::{Failure, FailureKind};
use http::HeaderValue;
use url::{Host, Url};

pub(crate) use self::io::Io;
#[cfg(feature = "http2")]
pub(crate) use self::io::RUNTIME_ENDED;
use self::proxy::{Proxies, Proxy, ProxyKind};
use self::resolve::Resolver;
#[cfg(feature = "__tls")]
use self::tls::Tls;
use super::transport::Transport;
use crate::error::Error;

/// Opens connections according to the settings.
pub(crate) struct Connector {
    resolver: Resolver,
    proxies: Proxies,
    #[cfg(unix)]
    unix_socket: Option<PathBuf>,
    #[cfg(feature = "__tls")]
    tls: Tls,
}

/// A connection that is ready for a request.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) io: Io,
    pub(crate) is_http2: bool,
    /// `Some` if the request is sent to an HTTP proxy rather than to the server: in absolute-form, with
    /// this `Proxy-Authorization`.
    pub(crate) through_proxy: Option<Option<HeaderValue>>,
}

#[derive(Debug)]
pub(crate) enum ConnectError {
    /// The attempt failed.
    Failed(Failure),
    /// The settings or the enabled features don't allow this URL.
    Unreachable(Error),
}

impl From<Failure> for ConnectError {
    fn from(failure: Failure) -> Self {
        ConnectError::Failed(failure)
    }
}

/// The versions of HTTP that a request may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Versions {
    Http1,
    #[cfg_attr(not(feature = "http2"), allow(dead_code))]
    Http2PriorKnowledge,
    /// The version that TLS negotiates; HTTP/1.1 without TLS.
    #[cfg_attr(not(feature = "http2"), allow(dead_code))]
    Negotiate,
}

/// The other end of a TLS connection.
#[cfg_attr(not(feature = "__tls"), allow(dead_code))]
struct Peer<'a> {
    /// Precedes the host in messages: empty, or "the proxy ".
    role: &'static str,
    host: &'a Host<&'a str>,
    port: u16,
}

impl fmt::Display for Peer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.role, self.host)
    }
}

impl Connector {
    /// Checks the settings, and reads the proxies from the environment. The system's certificates are
    /// read by the first TLS connection.
    pub(crate) fn new(transport: &Transport) -> Result<Self, Error> {
        Ok(Connector {
            resolver: Resolver::new(&transport.resolve)?.only(transport.address_family),
            proxies: Proxies::new(
                transport.proxy.as_ref().map(Option::as_deref),
                transport.no_proxy_for.as_deref(),
            )?
            .with_credentials(transport.proxy_auth.as_ref())?,
            #[cfg(unix)]
            unix_socket: transport.unix_socket.clone(),
            #[cfg(feature = "__tls")]
            tls: Tls::new(&transport.tls)?,
        })
    }

    /// Connects for a request to this URL. Futures that a plain connection doesn't need are boxed, because
    /// hundreds of clients may connect at the same time.
    pub(crate) async fn connect(
        &self,
        url: &Url,
        versions: Versions,
    ) -> Result<Connected, ConnectError> {
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
            let error = Error::config("url", "it has no host");
            return Err(ConnectError::Unreachable(error));
        };
        let with_tls = url.scheme() == "https";
        if with_tls {
            // Fail before anything is sent.
            self.prepare_tls()?;
        }
        let prior_knowledge = versions == Versions::Http2PriorKnowledge;
        let proxy = match self.goes_to_unix_socket() {
            true => None,
            false => self
                .proxies
                .choose(url)
                .map_err(ConnectError::Unreachable)?,
        };
        let io = match &proxy {
            None => self.dial_server(&host, port).await?,
            Some(proxy) => {
                let io = Box::pin(self.dial_proxy(proxy)).await?;
                let is_http = matches!(proxy.kind, ProxyKind::Http | ProxyKind::Https);
                // Proxies accept requests only over HTTP/1.1; HTTP/2 needs a tunnel.
                if is_http && !with_tls && !prior_knowledge {
                    return Ok(Connected {
                        io,
                        is_http2: false,
                        through_proxy: Some(proxy.authorization.clone()),
                    });
                }
                Box::pin(self.open_tunnel(proxy, io, url, &host, port)).await?
            }
        };
        let (io, is_http2) = match with_tls {
            true => {
                let (role, host) = ("", &host);
                let peer = Peer { role, host, port };
                Box::pin(self.begin_tls(io, peer, versions)).await?
            }
            false => (io, prior_knowledge),
        };
        Ok(Connected {
            io,
            is_http2,
            through_proxy: None,
        })
    }

    #[cfg(unix)]
    fn goes_to_unix_socket(&self) -> bool {
        self.unix_socket.is_some()
    }

    #[cfg(not(unix))]
    fn goes_to_unix_socket(&self) -> bool {
        false
    }

    /// Connects to the server, or to the Unix socket that replaces it.
    async fn dial_server(&self, host: &Host<&str>, port: u16) -> Result<Io, Failure> {
        #[cfg(unix)]
        if let Some(path) = &self.unix_socket {
            let connected = tokio::net::UnixStream::connect(path).await;
            return connected
                .map(Io::Unix)
                .map_err(|error| Failure::connecting(&error, path.display()));
        }
        let addresses = self.resolver.resolve(host, port).await?;
        Ok(Io::Tcp(tcp::connect(&addresses, "").await?))
    }

    /// Connects to the proxy, over TLS if it is an `https` proxy.
    async fn dial_proxy(&self, proxy: &Proxy) -> Result<Io, ConnectError> {
        if proxy.kind == ProxyKind::Https {
            self.prepare_tls()?;
        }
        let host = borrowed(&proxy.host);
        let addresses = self.resolver.resolve(&host, proxy.port).await?;
        let io = Io::Tcp(tcp::connect(&addresses, "the proxy at ").await?);
        if proxy.kind != ProxyKind::Https {
            return Ok(io);
        }
        let peer = Peer {
            role: "the proxy ",
            host: &host,
            port: proxy.port,
        };
        let (io, _) = self.begin_tls(io, peer, Versions::Http1).await?;
        Ok(io)
    }

    /// Asks the proxy for a connection to the server.
    async fn open_tunnel(
        &self,
        proxy: &Proxy,
        mut io: Io,
        url: &Url,
        host: &Host<&str>,
        port: u16,
    ) -> Result<Io, Failure> {
        #[cfg(feature = "socks")]
        if let ProxyKind::Socks(version) = proxy.kind {
            let target = match version.resolves_locally() {
                false => socks::Target::new(host, port),
                true => {
                    let addresses = self.resolver.resolve(host, port).await?;
                    socks::Target::among(&addresses, version).ok_or_else(|| {
                        let message =
                            format!("{host} has no IPv4 address, and SOCKS 4 has no IPv6");
                        Failure::new(FailureKind::Proxy, message)
                    })?
                }
            };
            socks::open(&mut io, version, &target, proxy).await?;
            return Ok(io);
        }
        #[cfg(not(feature = "socks"))]
        let _ = (host, port, FailureKind::Proxy);
        tunnel::open(&mut io, url, proxy).await?;
        Ok(io)
    }

    #[cfg(feature = "__tls")]
    fn prepare_tls(&self) -> Result<(), ConnectError> {
        self.tls.prepare().map_err(ConnectError::Unreachable)
    }

    #[cfg(not(feature = "__tls"))]
    fn prepare_tls(&self) -> Result<(), ConnectError> {
        Err(ConnectError::Unreachable(without_tls()))
    }

    /// Begins TLS, and returns whether HTTP/2 was negotiated.
    #[cfg(feature = "__tls")]
    async fn begin_tls(
        &self,
        io: Io,
        peer: Peer<'_>,
        versions: Versions,
    ) -> Result<(Io, bool), ConnectError> {
        self.tls.begin(io, peer, versions).await
    }

    #[cfg(not(feature = "__tls"))]
    async fn begin_tls(&self, _: Io, _: Peer<'_>, _: Versions) -> Result<(Io, bool), ConnectError> {
        Err(ConnectError::Unreachable(without_tls()))
    }
}

#[cfg(not(feature = "__tls"))]
fn without_tls() -> Error {
    let problem = "https needs one of the features rustls, rustls-no-provider and native-tls";
    Error::config("url", problem)
}

fn borrowed(host: &Host<String>) -> Host<&str> {
    match host {
        Host::Domain(name) => Host::Domain(name),
        Host::Ipv4(ip) => Host::Ipv4(*ip),
        Host::Ipv6(ip) => Host::Ipv6(*ip),
    }
}

#[cfg(test)]
mod tests;
