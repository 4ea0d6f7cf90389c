//! SOCKS 4, 4a and 5 (RFC 1928, RFC 1929): asks a proxy to connect to a server.
//!
//! hyper-util's implementation isn't used because it never sends the user of SOCKS 4, offers a SOCKS 5
//! proxy only a password if there is one, and doesn't let callers distinguish its errors.

use std::io;
use std::net::{IpAddr, SocketAddr};

use everstream_http::{Failure, FailureKind};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use url::Host;

use super::proxy::Proxy;
use super::tunnel::broken;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    /// SOCKS 4 with host names, which the proxy resolves.
    V4a,
    V5,
    /// SOCKS 5 with host names, which the proxy resolves.
    V5h,
}

impl Version {
    pub(super) fn from_scheme(scheme: &str) -> Self {
        match scheme {
            "socks4" => Version::V4,
            "socks4a" => Version::V4a,
            "socks5h" => Version::V5h,
            _ => Version::V5,
        }
    }

    /// Whether the client resolves names, rather than the proxy.
    pub(super) fn resolves_locally(self) -> bool {
        matches!(self, Version::V4 | Version::V5)
    }
}

/// The server to connect to.
pub(super) enum Target {
    Address(SocketAddr),
    Name(String, u16),
}

impl Target {
    pub(super) fn new(host: &Host<&str>, port: u16) -> Self {
        match *host {
            Host::Ipv4(ip) => Target::Address((ip, port).into()),
            Host::Ipv6(ip) => Target::Address((ip, port).into()),
            Host::Domain(name) => Target::Name(name.to_owned(), port),
        }
    }

    /// Returns the first address that this version can connect to.
    pub(super) fn among(addresses: &[SocketAddr], version: Version) -> Option<Self> {
        let usable = |address: &&SocketAddr| version != Version::V4 || address.is_ipv4();
        addresses.iter().find(usable).copied().map(Target::Address)
    }
}

/// Asks the proxy at the other end of `io` to connect to `target`. Afterwards `io` leads to the target.
pub(super) async fn open<T>(
    io: &mut T,
    version: Version,
    target: &Target,
    proxy: &Proxy,
) -> Result<(), Failure>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let opened = match version {
        Version::V4 | Version::V4a => open_v4(io, target, proxy).await,
        Version::V5 | Version::V5h => open_v5(io, target, proxy).await,
    };
    opened.map_err(|problem| match problem {
        Problem::Io(error) => broken(&error, proxy),
        Problem::Refused(reason) => failure(
            FailureKind::Proxy,
            format!("the proxy at {proxy} refused the connection: {reason}"),
        ),
        Problem::Unauthorized(what) => failure(
            FailureKind::ProxyAuthentication,
            format!("the proxy at {proxy} {what}"),
        ),
        Problem::NotSocks(version) => failure(
            FailureKind::Proxy,
            format!("the proxy at {proxy} didn't answer with SOCKS {version}"),
        ),
        Problem::Unsupported(what) => failure(
            FailureKind::Proxy,
            format!("can't connect through the proxy at {proxy}: {what}"),
        ),
    })
}

fn failure(kind: FailureKind, message: String) -> Failure {
    Failure::new(kind, message)
}

enum Problem {
    Io(io::Error),
    Refused(String),
    Unauthorized(&'static str),
    NotSocks(u8),
    Unsupported(&'static str),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Problem::Io(error)
    }
}

async fn open_v4<T>(io: &mut T, target: &Target, proxy: &Proxy) -> Result<(), Problem>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    const CONNECT: u8 = 1;
    const GRANTED: u8 = 90;
    /// In place of an address, means that a host name follows.
    const NAME_FOLLOWS: [u8; 4] = [0, 0, 0, 1];

    let (ip, name, port) = match target {
        Target::Address(SocketAddr::V4(address)) => (address.ip().octets(), None, address.port()),
        Target::Address(SocketAddr::V6(_)) => {
            return Err(Problem::Unsupported("SOCKS 4 has no IPv6"));
        }
        Target::Name(name, port) => (NAME_FOLLOWS, Some(name), *port),
    };
    let user = proxy.credentials.as_ref().map_or("", |(user, _)| user);
    if user.contains('\0') {
        return Err(Problem::Unsupported("the user contains a NUL"));
    }
    let mut request = vec![4, CONNECT];
    request.extend(port.to_be_bytes());
    request.extend(ip);
    request.extend(user.as_bytes());
    request.push(0);
    if let Some(name) = name {
        request.extend(name.as_bytes());
        request.push(0);
    }
    send(io, &request).await?;
    let [version, code, ..]: [u8; 8] = receive(io).await?;
    match (version, code) {
        (0, GRANTED) => Ok(()),
        (0, 91) => Err(Problem::Refused("rejected or failed".to_owned())),
        (0, 92 | 93) => Err(Problem::Unauthorized("requires a different user")),
        (0, code) => Err(Problem::Refused(format!("code {code}"))),
        _ => Err(Problem::NotSocks(4)),
    }
}

async fn open_v5<T>(io: &mut T, target: &Target, proxy: &Proxy) -> Result<(), Problem>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    const CONNECT: u8 = 1;

    authenticate(io, proxy).await?;
    let mut request = vec![5, CONNECT, 0];
    let port = match target {
        Target::Address(address) => {
            match address.ip() {
                IpAddr::V4(ip) => {
                    request.push(1);
                    request.extend(ip.octets());
                }
                IpAddr::V6(ip) => {
                    request.push(4);
                    request.extend(ip.octets());
                }
            }
            address.port()
        }
        Target::Name(name, port) => {
            request.push(3);
            push_length_prefixed(&mut request, name, "the host name is longer than 255 bytes")?;
            *port
        }
    };
    request.extend(port.to_be_bytes());
    send(io, &request).await?;

    let [version, code, _reserved, kind]: [u8; 4] = receive(io).await?;
    if version != 5 {
        return Err(Problem::NotSocks(5));
    }
    let reason = match code {
        0 => {
            // Skip the address and port that the proxy connects from.
            let length = match kind {
                1 => 4,
                3 => usize::from(receive::<1, _>(io).await?[0]),
                4 => 16,
                _ => return Err(Problem::NotSocks(5)),
            };
            let mut rest = [0; 255 + 2];
            io.read_exact(&mut rest[..length + 2]).await?;
            return Ok(());
        }
        1 => "general failure",
        2 => "not allowed by its rules",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "timed out",
        7 => "command not supported",
        8 => "address type not supported",
        code => return Err(Problem::Refused(format!("code {code}"))),
    };
    Err(Problem::Refused(reason.to_owned()))
}

async fn authenticate<T>(io: &mut T, proxy: &Proxy) -> Result<(), Problem>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    const NONE: u8 = 0;
    const PASSWORD: u8 = 2;

    match proxy.credentials {
        None => send(io, &[5, 1, NONE]).await?,
        Some(_) => send(io, &[5, 2, NONE, PASSWORD]).await?,
    }
    let [version, method] = receive(io).await?;
    if version != 5 {
        return Err(Problem::NotSocks(5));
    }
    match (method, &proxy.credentials) {
        (NONE, _) => Ok(()),
        (PASSWORD, Some((user, password))) => {
            let mut request = vec![1];
            push_length_prefixed(&mut request, user, "the user is longer than 255 bytes")?;
            push_length_prefixed(
                &mut request,
                password,
                "the password is longer than 255 bytes",
            )?;
            send(io, &request).await?;
            match receive(io).await? {
                [_, 0] => Ok(()),
                _ => Err(Problem::Unauthorized("rejected the credentials")),
            }
        }
        (_, None) => Err(Problem::Unauthorized("requires credentials")),
        (_, Some(_)) => Err(Problem::Unauthorized(
            "requires an authentication method that is not supported",
        )),
    }
}

/// Appends the length of a text in one byte, then the text.
fn push_length_prefixed(
    out: &mut Vec<u8>,
    text: &str,
    too_long: &'static str,
) -> Result<(), Problem> {
    let length = u8::try_from(text.len()).map_err(|_| Problem::Unsupported(too_long))?;
    out.push(length);
    out.extend(text.as_bytes());
    Ok(())
}

async fn send<T: AsyncWrite + Unpin>(io: &mut T, bytes: &[u8]) -> io::Result<()> {
    io.write_all(bytes).await?;
    io.flush().await
}

/// Reads exactly N bytes: those that follow are from the server.
async fn receive<const N: usize, T: AsyncRead + Unpin>(io: &mut T) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    io.read_exact(&mut bytes).await?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "socks_tests.rs"]
mod tests;
