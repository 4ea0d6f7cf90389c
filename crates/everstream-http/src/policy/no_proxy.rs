//! `NO_PROXY`: the hosts that are reached without a proxy.

use std::net::IpAddr;

use url::Host;

/// A list of hosts that are reached without a proxy, in the format of `NO_PROXY` as curl reads it.
///
/// Entries are separated by commas or white space. Case is ignored.
///
/// | entry | matches |
/// |---|---|
/// | `*` | every host, addresses included |
/// | `example.com`, `.example.com`, `*.example.com` | the host and its subdomains |
/// | `192.0.2.1`, `[2001:db8::1]`, `2001:db8::1` | this address |
/// | `192.0.2.0/24`, `2001:db8::/32` | addresses of this network |
/// | any of these with `:8080` after it (IPv6 in brackets) | the same, on this port only |
///
/// ```
/// use everstream_http::policy::NoProxy;
///
/// let direct = NoProxy::parse("localhost, .internal:8080, 10.0.0.0/8");
/// let matches = |host, port| direct.matches(&url::Host::parse(host).unwrap(), port);
/// assert!(matches("api.internal", 8080));
/// assert!(!matches("api.internal", 443));
/// assert!(matches("10.1.2.3", 443));
/// assert!(!matches("example.com", 443));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoProxy(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hosts {
    All,
    Domain(String),
    Network { address: IpAddr, prefix: u8 },
}

impl NoProxy {
    /// Parses a list. Invalid entries match nothing.
    ///
    /// ```
    /// use everstream_http::policy::NoProxy;
    ///
    /// assert_eq!(NoProxy::parse(" , :80, 10.0.0.0/99"), NoProxy::default());
    /// ```
    pub fn parse(list: &str) -> Self {
        let entries = list.split(|c: char| c == ',' || c.is_whitespace());
        NoProxy(entries.filter_map(Entry::parse).collect())
    }

    /// Whether this host is reached without a proxy on this port.
    ///
    /// ```
    /// use everstream_http::policy::NoProxy;
    ///
    /// let host = url::Host::parse("[::1]")?;
    /// assert!(NoProxy::parse("*").matches(&host, 443));
    /// assert!(!NoProxy::default().matches(&host, 443));
    /// # Ok::<(), url::ParseError>(())
    /// ```
    pub fn matches<S: AsRef<str>>(&self, host: &Host<S>, port: u16) -> bool {
        self.0
            .iter()
            .any(|entry| entry.port.is_none_or(|own| own == port) && entry.hosts.contains(host))
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Entry> {
        let (text, port) = split_port(text)?;
        Some(Entry {
            hosts: Hosts::parse(text)?,
            port,
        })
    }
}

/// Splits off the port, if there is one. The colons of a bare IPv6 address don't begin a port.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, after) = rest.split_once(']')?;
        // Some people write `[2001:db8::]/32`.
        if after.is_empty() || after.starts_with('/') {
            return Some((text, None));
        }
        return Some((address, Some(after.strip_prefix(':')?.parse().ok()?)));
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => Some((host, Some(port.parse().ok()?))),
        _ => Some((text, None)),
    }
}

impl Hosts {
    fn parse(text: &str) -> Option<Hosts> {
        if text == "*" {
            return Some(Hosts::All);
        }
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
            None => (text, None),
        };
        if let Ok(address) = address.trim_matches(['[', ']']).parse::<IpAddr>() {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.unwrap_or(bits);
            return (prefix <= bits).then_some(Hosts::Network { address, prefix });
        }
        let domain = text.strip_prefix('*').unwrap_or(text);
        let domain = domain.trim_matches('.');
        // Parsed like the host of a URL, for internationalized names.
        match Host::parse(domain) {
            Ok(Host::Domain(domain)) => Some(Hosts::Domain(domain)),
            _ => None,
        }
    }

    fn contains<S: AsRef<str>>(&self, host: &Host<S>) -> bool {
        match (self, host) {
            (Hosts::All, _) => true,
            (Hosts::Domain(own), Host::Domain(domain)) => {
                let domain = domain.as_ref();
                let domain = domain.strip_suffix('.').unwrap_or(domain);
                domain
                    .strip_suffix(own.as_str())
                    .is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }
            (Hosts::Network { address, prefix }, Host::Ipv4(host)) => {
                is_within(IpAddr::V4(*host), *address, *prefix)
            }
            (Hosts::Network { address, prefix }, Host::Ipv6(host)) => {
                is_within(IpAddr::V6(*host), *address, *prefix)
            }
            _ => false,
        }
    }
}

/// Whether two addresses are of the same family and have the same first `prefix` bits.
fn is_within(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let shared = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        _ => return false,
    };
    shared >= u32::from(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(list: &str, host: &str, port: u16) -> bool {
        NoProxy::parse(list).matches(&Host::parse(host).unwrap(), port)
    }

    #[test]
    fn every_notation_matches_its_hosts() {
        for (list, host, port) in [
            ("*", "example.com", 80),
            ("*", "127.0.0.1", 80),
            ("*", "[::1]", 443),
            ("a.test", "a.test", 80),
            ("a.test", "x.a.test", 80),
            ("a.test", "a.test.", 80),
            (".a.test", "x.y.a.test", 80),
            (".a.test", "a.test", 80),
            ("*.a.test", "x.a.test", 80),
            ("A.TEST", "a.test", 80),
            ("a.test", "A.Test", 80),
            ("b.test,a.test", "a.test", 80),
            (" b.test \t a.test ", "a.test", 80),
            ("a.test:80", "a.test", 80),
            ("bücher.test", "xn--bcher-kva.test", 80),
            ("192.0.2.1", "192.0.2.1", 80),
            ("192.0.2.1:80", "192.0.2.1", 80),
            ("192.0.2.0/24", "192.0.2.200", 80),
            ("0.0.0.0/0", "192.0.2.200", 80),
            ("::1", "[::1]", 80),
            ("[::1]", "[::1]", 80),
            ("[::1]:80", "[::1]", 80),
            ("2001:db8::/32", "[2001:db8:1::2]", 80),
            ("[2001:db8::]/32", "[2001:db8:1::2]", 80),
        ] {
            assert!(matches(list, host, port), "{list} {host}:{port}");
        }
    }

    #[test]
    fn nothing_else_matches() {
        for (list, host, port) in [
            ("", "a.test", 80),
            (",,", "a.test", 80),
            ("a.test", "b.test", 80),
            ("a.test", "xa.test", 80),
            ("x.a.test", "a.test", 80),
            ("a.test:81", "a.test", 80),
            ("a.test:x", "a.test", 80),
            ("192.0.2.1", "192.0.2.10", 80),
            ("192.0.2.0/24", "192.0.3.0", 80),
            ("192.0.2.0/33", "192.0.2.0", 80),
            ("192.0.2.0/24", "[::c000:200]", 80),
            ("::1", "[::2]", 80),
            ("[::1]:81", "[::1]", 80),
            ("2001:db8::/32", "[2001:db9::]", 80),
            ("1", "127.0.0.1", 80),
            ("*a.test", "b.test", 80),
            (".", "a.test", 80),
        ] {
            assert!(!matches(list, host, port), "{list} {host}:{port}");
        }
    }
}
