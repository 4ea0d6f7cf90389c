//! `-b`: cookies as text, or from a file of Netscape's format.

use std::time::{SystemTime, UNIX_EPOCH};

use url::{Host, Url};

use super::input::{read, text};
use crate::report::Problem;

/// The `Cookie` header for this URL, and whether to keep cookies that servers set.
pub(super) fn cookies(options: &[String], url: &str) -> Result<(Option<String>, bool), Problem> {
    let (mut pairs, mut keep) = (Vec::new(), false);
    for option in options {
        if option.contains('=') {
            pairs.push(option.trim().trim_end_matches(';').to_owned());
            continue;
        }
        keep = true;
        if option.is_empty() {
            continue;
        }
        let content = text(read(option)?, option)?;
        // An invalid URL is refused later.
        if let Ok(url) = Url::parse(url) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = now.map_or(0, |time| time.as_secs());
            let found = content.lines().filter_map(|line| cookie(line, &url, now));
            pairs.extend(found);
        }
    }
    Ok(((!pairs.is_empty()).then(|| pairs.join("; ")), keep))
}

/// The cookie of this line, if it is for this URL: domain, with subdomains, path, secure, expiry,
/// name, value, separated by tabs.
fn cookie(line: &str, url: &Url, now: u64) -> Option<String> {
    let line = line.strip_prefix("#HttpOnly_").unwrap_or(line);
    let fields: Vec<&str> = line.split('\t').collect();
    let [
        domain,
        subdomains,
        path,
        secure,
        expiry,
        name,
        ref value @ ..,
    ] = fields[..]
    else {
        return None;
    };
    if line.starts_with('#') || value.len() > 1 {
        return None;
    }
    let expiry: u64 = expiry.parse().ok()?;
    let is_set = |flag: &str| flag.eq_ignore_ascii_case("TRUE");
    let fits = matches_domain(url, domain.trim_start_matches('.'), is_set(subdomains))
        && matches_path(url.path(), path)
        && (url.scheme() == "https" || !is_set(secure))
        && (expiry == 0 || expiry > now);
    fits.then(|| format!("{name}={}", value.first().unwrap_or(&"")))
}

/// RFC 6265, section 5.1.3.
fn matches_domain(url: &Url, domain: &str, subdomains: bool) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let domain = domain.to_ascii_lowercase();
    host == domain
        || subdomains
            && matches!(url.host(), Some(Host::Domain(_)))
            && host
                .strip_suffix(&domain)
                .is_some_and(|before| before.ends_with('.'))
}

/// RFC 6265, section 5.1.4.
fn matches_path(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_match_domain_path_and_expiry() {
        let sent = |line: &str, url: &str| cookie(line, &Url::parse(url).unwrap(), 1000);
        let line = "a.test\tFALSE\t/feed\tFALSE\t0\tn\tv";
        assert_eq!(sent(line, "http://a.test/feed/x").unwrap(), "n=v");
        for url in [
            "http://x.a.test/feed",
            "http://a.test/feeds",
            "http://a.test/",
            "http://b.test/feed",
        ] {
            assert_eq!(sent(line, url), None, "{url}");
        }
        let wide = "#HttpOnly_.a.test\tTRUE\t/\tTRUE\t1001\tn\tv";
        assert_eq!(sent(wide, "https://x.a.test/feed").unwrap(), "n=v");
        assert_eq!(sent(wide, "http://x.a.test/feed"), None);
        assert_eq!(sent(wide, "https://xa.test/feed"), None);
        let over = "a.test\tFALSE\t/\tFALSE\t1000\tn\tv";
        assert_eq!(sent(over, "http://a.test/"), None);
        assert_eq!(sent("# Netscape HTTP Cookie File", "http://a.test/"), None);
        assert_eq!(sent("", "http://a.test/"), None);
    }
}
