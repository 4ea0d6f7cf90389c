//! The settings of connections, as opposed to requests.

use std::net::IpAddr;
#[cfg(unix)]
use std::path::PathBuf;
use std::time::Duration;

use super::Http;

/// Which version of HTTP to use, for [`Http::version`].
///
/// ```
/// assert_eq!(everstream::HttpVersion::default(), everstream::HttpVersion::Auto);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpVersion {
    /// The version that TLS negotiates; HTTP/1.1 without TLS and in the blocking client. The blocking
    /// client's runtime runs only during reads, so it couldn't answer an HTTP/2 server's pings.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, with or without TLS.
    #[cfg(feature = "http2")]
    Http2,
}

/// IPv4 or IPv6, for [`Http::address_family`].
///
/// ```
/// use everstream::{AddressFamily, Http};
///
/// let http = Http::new("https://example.com/feed").address_family(AddressFamily::Ipv4);
/// # drop(http);
/// ```
// Exhaustive: there are no other families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressFamily {
    /// Addresses such as `192.0.2.1`.
    Ipv4,
    /// Addresses such as `2001:db8::1`.
    Ipv6,
}

#[derive(Clone)]
pub(super) struct Transport {
    pub(super) connect_timeout: Option<Duration>,
    pub(super) version: HttpVersion,
    /// `None`: the system's proxies. `Some(None)`: no proxy.
    pub(super) proxy: Option<Option<String>>,
    /// `None`: `NO_PROXY` from the environment, which applies only to the system's proxies.
    pub(super) no_proxy_for: Option<String>,
    /// User and password.
    pub(super) proxy_auth: Option<(String, String)>,
    pub(super) resolve: Vec<(String, IpAddr)>,
    pub(super) address_family: Option<AddressFamily>,
    #[cfg(unix)]
    pub(super) unix_socket: Option<PathBuf>,
    #[cfg(feature = "__tls")]
    pub(super) tls: Tls,
}

/// The settings of TLS. Certificates and keys are PEM.
#[cfg(feature = "__tls")]
#[derive(Clone, Default)]
pub(super) struct Tls {
    pub(super) roots: Vec<Vec<u8>>,
    /// Certificate chain and key.
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
    pub(super) accept_invalid_certs: bool,
}

impl Default for Transport {
    fn default() -> Self {
        Transport {
            connect_timeout: Some(Duration::from_secs(10)),
            version: HttpVersion::Auto,
            proxy: None,
            no_proxy_for: None,
            proxy_auth: None,
            resolve: Vec::new(),
            address_family: None,
            #[cfg(unix)]
            unix_socket: None,
            #[cfg(feature = "__tls")]
            tls: Tls::default(),
        }
    }
}

/// Which root certificates are trusted.
#[cfg(feature = "__rustls")]
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Roots {
    UserAndSystem,
    UserOnly,
}

impl Http {
    /// Sets how long DNS, the connection and TLS may take together. `None`: as long as the system allows.
    /// Default: 10 s.
    ///
    /// ```
    /// # use std::time::Duration;
    /// let http = everstream::Http::new("https://example.com/feed")
    ///     .connect_timeout(Duration::from_secs(3));
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn connect_timeout(self, limit: impl Into<Option<Duration>>) -> Self {
        self.with_transport(|transport| transport.connect_timeout = limit.into())
    }

    /// Sets the version of HTTP. Default: [`HttpVersion::Auto`], what the server offers; HTTP/1.1 in the
    /// blocking client.
    ///
    /// ```
    /// use everstream::{Http, HttpVersion};
    ///
    /// let http = Http::new("https://example.com/feed").version(HttpVersion::Http1);
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn version(self, version: HttpVersion) -> Self {
        self.with_transport(|transport| transport.version = version)
    }

    /// Uses this proxy instead of the system's: `http://`, `https://`, or, with the feature `socks`,
    /// `socks4://`, `socks4a://`, `socks5://` and `socks5h://`.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").proxy("http://localhost:3128");
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn proxy(self, url: impl Into<String>) -> Self {
        self.with_transport(|transport| transport.proxy = Some(Some(url.into())))
    }

    /// Connects without a proxy, ignoring those of the environment and the system.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").no_proxy();
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn no_proxy(self) -> Self {
        self.with_transport(|transport| transport.proxy = Some(None))
    }

    /// Sends these credentials to the proxy, whether it is the system's or was set with
    /// [`proxy`](Self::proxy). They replace those in the proxy's URL. A user name with a colon makes
    /// `build` fail.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed").proxy_auth("me", "secret");
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn proxy_auth(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        let credentials = (user.into(), password.into());
        self.with_transport(|transport| transport.proxy_auth = Some(credentials))
    }

    /// Connects to these hosts directly, whether the proxy is the system's or was set with
    /// [`proxy`](Self::proxy).
    ///
    /// The list has the format of `NO_PROXY`, which it replaces: names (which include their subdomains),
    /// addresses and networks, separated by commas; `*` means every host, and an empty list none. Default:
    /// `NO_PROXY` from the environment, for the proxies of the environment and the system.
    ///
    /// ```
    /// let http = everstream::Http::new("http://feed.internal/")
    ///     .proxy("http://localhost:3128")
    ///     .no_proxy_for("localhost, .internal, 10.0.0.0/8");
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn no_proxy_for(self, hosts: impl Into<String>) -> Self {
        self.with_transport(|transport| transport.no_proxy_for = Some(hosts.into()))
    }

    /// Connects only to addresses of this family, to the server or to its proxy. A host without one can't
    /// be resolved. Default: `None`, both families.
    ///
    /// ```
    /// use everstream::{AddressFamily, Http};
    ///
    /// let http = Http::new("https://example.com/feed").address_family(AddressFamily::Ipv6);
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn address_family(self, family: impl Into<Option<AddressFamily>>) -> Self {
        self.with_transport(|transport| transport.address_family = family.into())
    }

    /// Connects to this address for requests to this host, instead of resolving its name. The port is that
    /// of the URL. To set several addresses for a host, call this for each; they are tried in turn.
    ///
    /// This has no effect behind a proxy that resolves names itself. `host` is a host name as in a URL:
    /// case, Punycode and a trailing dot make no difference. A host with a port, or an IP address, makes
    /// `build` fail.
    ///
    /// ```
    /// let http = everstream::Http::new("https://example.com/feed")
    ///     .resolve("example.com", [127, 0, 0, 1]);
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn resolve(self, host: impl Into<String>, address: impl Into<IpAddr>) -> Self {
        self.with_transport(|transport| transport.resolve.push((host.into(), address.into())))
    }

    /// Connects to this Unix socket, whatever host and port the URL has. Proxies are ignored.
    ///
    /// ```
    /// let http = everstream::Http::new("http://localhost/feed").unix_socket("/run/feed.sock");
    /// # drop(http);
    /// ```
    #[cfg(unix)]
    #[must_use]
    pub fn unix_socket(self, path: impl Into<PathBuf>) -> Self {
        self.with_transport(|transport| transport.unix_socket = Some(path.into()))
    }

    /// Trusts these certificates (PEM, one or more) in addition to the system's.
    ///
    /// ```
    /// use everstream::{Http, SseClient};
    ///
    /// # let ca = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap().cert.pem();
    /// let feed = || Http::new("https://localhost/feed");
    /// let client = SseClient::new(feed().root_certificates(ca))?; // as read from a .pem file
    /// let error = SseClient::new(feed().root_certificates("")).unwrap_err();
    /// assert!(error.to_string().contains("root_certificates"));
    /// # Ok::<(), everstream::Error>(())
    /// ```
    #[cfg(any(
        feature = "rustls",
        feature = "rustls-no-provider",
        feature = "native-tls"
    ))]
    #[must_use]
    pub fn root_certificates(self, pem: impl Into<Vec<u8>>) -> Self {
        self.with_transport(|transport| transport.tls.roots.push(pem.into()))
    }

    /// Sends this client certificate (chain) to servers that ask for one. Both arguments are PEM; the key
    /// is PKCS#8.
    ///
    /// ```
    /// use everstream::{Http, SseClient};
    ///
    /// # let generated = rcgen::generate_simple_self_signed(["me".into()]).unwrap();
    /// # let (certificate, key) = (generated.cert.pem(), generated.signing_key.serialize_pem());
    /// let feed = || Http::new("https://localhost/feed");
    /// let client = SseClient::new(feed().client_certificate(certificate, key))?; // from files
    /// let error = SseClient::new(feed().client_certificate("", "")).unwrap_err();
    /// assert!(error.to_string().contains("client_certificate"));
    /// # Ok::<(), everstream::Error>(())
    /// ```
    #[cfg(any(
        feature = "rustls",
        feature = "rustls-no-provider",
        feature = "native-tls"
    ))]
    #[must_use]
    pub fn client_certificate(self, pem: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.with_transport(|transport| transport.tls.identity = Some((pem.into(), key.into())))
    }

    /// Accepts any server certificate. Anyone on the network path can then read and modify the stream.
    /// Default: false.
    ///
    /// ```
    /// let http = everstream::Http::new("https://localhost/feed").danger_accept_invalid_certs(true);
    /// # drop(http);
    /// ```
    #[cfg(any(
        feature = "rustls",
        feature = "rustls-no-provider",
        feature = "native-tls"
    ))]
    #[must_use]
    pub fn danger_accept_invalid_certs(self, accept: bool) -> Self {
        self.with_transport(|transport| transport.tls.accept_invalid_certs = accept)
    }

    /// Sends requests with your own `reqwest::Client`, with its timeouts, proxies, TLS and HTTP version.
    /// The corresponding settings of this `Http` are ignored.
    ///
    /// Build it with `redirect(Policy::none())`. Everstream then follows redirects, and withholds all
    /// [sensitive](Self::sensitive_header) headers. A client that follows them itself withholds only the
    /// standard ones. With the blocking client, the `reqwest::Client` must not have been used in another
    /// runtime.
    ///
    /// A request with a method that isn't safe is not repeated, even after a refused connection: the client
    /// may have followed a redirect before, which Everstream can't see.
    ///
    /// Everstream enables no features of reqwest: choose those for TLS and HTTP/2 in your `Cargo.toml`.
    /// With reqwest's `rustls-no-provider`, your program has to install a provider before it builds the
    /// client.
    ///
    /// ```
    /// use everstream::Http;
    ///
    /// _ = rustls::crypto::ring::default_provider().install_default(); // once, in main
    /// let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    /// let http = Http::new("https://example.com/feed").client(client);
    /// # Ok::<(), reqwest::Error>(())
    /// ```
    #[cfg(feature = "reqwest")]
    #[cfg_attr(docsrs, doc(cfg(feature = "reqwest")))]
    #[must_use]
    pub fn client(self, client: reqwest::Client) -> Self {
        self.with(|settings| settings.custom_client = Some(client))
    }
}
