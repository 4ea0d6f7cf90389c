//! Origins: a scheme, a host and optionally a port (RFC 6454, section 6.2).

use std::net::IpAddr;

/// The hint for an invalid origin.
pub(crate) const HINT: &str =
    "an origin is a scheme, a host and optionally a port, without a path: https://app.example.com";

pub(crate) fn is_origin(text: &str) -> bool {
    let authority = text.split_once("://").map(|(_, authority)| authority);
    authority.is_some_and(|it| !it.is_empty() && !it.contains(['/', '?', '#', '@']))
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The origin of a host and optionally a port.
pub(super) fn host(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((before, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => before,
        _ => authority,
    }
}

/// Whether this host is this machine.
pub(super) fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_hosts_are_recognized() {
        for authority in [
            "localhost",
            "localhost:3000",
            "app.localhost:8443",
            "127.0.0.1:3000",
            "[::1]:3000",
            "[::1]",
        ] {
            assert!(is_local(host(authority)), "{authority}");
        }
        for authority in [
            "",
            "null",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com:80",
            "10.0.0.1",
            "notlocalhost",
        ] {
            assert!(!is_local(host(authority)), "{authority}");
        }
    }
}
