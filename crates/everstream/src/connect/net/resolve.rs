//! Resolves host names, by the settings or by the system.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::thread;

use everstream_http::{Failure, FailureKind};
use tokio::sync::{Semaphore, oneshot};
use url::{Host, Url};

use crate::connect::transport::AddressFamily;
use crate::error::Error;

/// How many lookups run concurrently. The system's lookup blocks a thread, for many seconds if no name
/// server answers, and without a limit there could be any number of such threads.
const MAX_LOOKUPS: usize = 8;

/// For the whole process.
static LOOKUPS: Semaphore = Semaphore::const_new(MAX_LOOKUPS);

/// The prefix of all messages of the standard library's lookup.
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

    /// Restricts the results to addresses of this family.
    pub(super) fn only(mut self, family: Option<AddressFamily>) -> Self {
        self.family = family;
        self
    }

    /// Returns the addresses of a host in order of preference. Nothing is cached.
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
        // The URL parser has already converted the name to lower case and Punycode.
        if let Some(fixed) = self.fixed.get(name.strip_suffix('.').unwrap_or(name)) {
            return Ok(fixed.iter().map(|ip| (*ip, port).into()).collect());
        }
        look_up(&LOOKUPS, name, port, |name, port| {
            Ok((name, port).to_socket_addrs()?.collect())
        })
        .await
    }
}

/// Dropping the future leaves the queue. A lookup that has begun keeps its permit until it ends, because
/// it also keeps its thread. The thread isn't one of tokio's blocking threads: a runtime that is dropped
/// waits for those, so a program couldn't exit while a lookup hangs.
async fn look_up<F>(
    permits: &'static Semaphore,
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
    let Ok(permit) = permits.acquire().await else {
        return Err(failure("the queue is closed"));
    };
    let owned = name.to_owned();
    let (sender, receiver) = oneshot::channel();
    let lookup = move || {
        let found = system(&owned, port);
        drop(permit);
        _ = sender.send(found);
    };
    let builder = thread::Builder::new().name("everstream-dns".to_owned());
    if let Err(error) = builder.spawn(lookup) {
        return Err(failure(&format!("can't start a thread: {error}")));
    }
    match receiver.await {
        Ok(Ok(addresses)) if addresses.is_empty() => Err(failure("it has no address")),
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => {
            let text = error.to_string();
            Err(failure(text.strip_prefix(LOOKUP_PREFIX).unwrap_or(&text)))
        }
        Err(_) => Err(failure("the lookup panicked")),
    }
}

/// Normalizes a host like the URL parser does, to lower case and Punycode, and removes a trailing dot.
/// Fails for hosts that are never looked up, because their setting would have no effect.
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
