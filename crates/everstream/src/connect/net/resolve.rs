//! Names to addresses, by the settings or by the system.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use everstream_http::{Failure, FailureKind};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use url::{Host, Url};

use crate::connect::transport::AddressFamily;
use crate::error::Error;

/// The system's look-up blocks a thread, for many seconds if no name server answers. More look-ups
/// at a time would take all threads that tokio has for blocking work.
const MAX_LOOKUPS: usize = 8;

/// Of the whole process, as the threads are.
static LOOKUPS: Semaphore = Semaphore::const_new(MAX_LOOKUPS);

/// How the standard library begins all messages of the system's look-up.
const LOOKUP_PREFIX: &str = "failed to lookup address information: ";

pub(super) struct Resolver {
    fixed: BTreeMap<String, Vec<IpAddr>>,
    family: Option<AddressFamily>,
}

impl Resolver {
    pub(super) fn new(settings: &[(String, IpAddr)]) -> Result<Self, Error> {
        let mut fixed: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
        for (host, address) in settings {
            fixed.entry(normalized(host)?).or_default().push(*address);
        }
        Ok(Resolver {
            fixed,
            family: None,
        })
    }

    /// Addresses of this family only.
    pub(super) fn only(mut self, family: Option<AddressFamily>) -> Self {
        self.family = family;
        self
    }

    /// The addresses of a host, in the order of preference. The system is asked each time.
    pub(super) async fn resolve(
        &self,
        host: &Host<&str>,
        port: u16,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let mut addresses = self.resolve_all(host, port).await?;
        let Some(family) = self.family else {
            return Ok(addresses);
        };
        let (name, has_family): (_, fn(&SocketAddr) -> bool) = match family {
            AddressFamily::Ipv4 => ("IPv4", SocketAddr::is_ipv4),
            AddressFamily::Ipv6 => ("IPv6", SocketAddr::is_ipv6),
        };
        addresses.retain(has_family);
        match addresses.is_empty() {
            false => Ok(addresses),
            true => {
                let message = format!("can't resolve {host}: it has no {name} address");
                Err(Failure::new(FailureKind::Resolve, message))
            }
        }
    }

    async fn resolve_all(&self, host: &Host<&str>, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        let name = match *host {
            Host::Ipv4(ip) => return Ok(vec![(ip, port).into()]),
            Host::Ipv6(ip) => return Ok(vec![(ip, port).into()]),
            Host::Domain(name) => name,
        };
        // A URL's parser has already put it into lower case and Punycode.
        if let Some(fixed) = self.fixed.get(name.strip_suffix('.').unwrap_or(name)) {
            return Ok(fixed.iter().map(|ip| (*ip, port).into()).collect());
        }
        look_up(&LOOKUPS, name, port, |name, port| {
            Ok((name, port).to_socket_addrs()?.collect())
        })
        .await
    }
}

/// Dropping the future gives up its place in the queue. A look-up that has begun keeps its place
/// until it ends, because it keeps its thread too.
async fn look_up<F>(
    places: &'static Semaphore,
    name: &str,
    port: u16,
    system: F,
) -> Result<Vec<SocketAddr>, Failure>
where
    F: FnOnce(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + 'static,
{
    let failure = |problem: &str| {
        let message = format!("can't resolve {name}: {problem}");
        Failure::new(FailureKind::Resolve, message)
    };
    let Ok(place) = places.acquire().await else {
        return Err(failure("the queue is closed"));
    };
    let owned = name.to_owned();
    let found = spawn_blocking(move || {
        let found = system(&owned, port);
        drop(place);
        found
    });
    match found.await {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(failure("it has no address")),
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => {
            let text = error.to_string();
            Err(failure(text.strip_prefix(LOOKUP_PREFIX).unwrap_or(&text)))
        }
        Err(_) => Err(failure("the runtime is shutting down")),
    }
}

/// A host as a URL's parser leaves it, in lower case and Punycode, without a dot at its end. A host
/// that is never looked up is refused, because its setting would do nothing.
fn normalized(host: &str) -> Result<String, Error> {
    let bad = |problem: &str| Err(Error::config("resolve", format!("{host:?} {problem}")));
    if host.contains(['/', '\\', '?', '#', '@', ':']) {
        return bad("isn't a host name alone, without a port and without a URL around it");
    }
    if host.contains('*') {
        return bad("contains a *, but wildcards aren't supported here");
    }
    let Ok(url) = Url::parse(&format!("http://{host}/")) else {
        return bad("can't be the host of a URL");
    };
    match url.domain() {
        Some(name) => Ok(name.strip_suffix('.').unwrap_or(name).to_owned()),
        None => bad("is an IP address, which isn't looked up"),
    }
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
