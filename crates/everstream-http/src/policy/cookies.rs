//! Cookies: which ones are stored, and which ones are sent.

use std::cmp::Reverse;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use cookie_store::{Cookie, CookieDomain, CookieExpiration};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use url::{Host, Url};

/// The maximum number of cookies per domain. Clients should support at least this many (RFC 6265,
/// section 6.1).
const MAX_PER_DOMAIN: usize = 50;

/// The maximum number of cookies in total. The 3000 of RFC 6265 are for browsers; a stream's requests go
/// to one service and the few hosts it redirects to. Together with `MAX_SIZE` this limits a jar to
/// 1.2 MB.
const MAX_COOKIES: usize = 300;

/// The maximum size of a `Set-Cookie` value in bytes: name, value and attributes. Clients should accept
/// 4096 (RFC 6265, section 6.1).
const MAX_SIZE: usize = 4096;

/// The maximum size of the cookies in a request, in bytes. Servers reject larger headers, so a few large
/// cookies would break every later request.
const MAX_SENT: usize = 8192;

/// The cookies of one client, in memory. Clones share them.
///
/// The rules are those of RFC 6265, and in addition:
///
/// - There is no public suffix list. A `Domain` without a dot (`com`, `localhost`) is rejected unless it
///   is the host itself; a public suffix with a dot (`co.uk`) is accepted.
/// - `Secure` cookies are sent only over `https`, and to `localhost` and loopback addresses. Other plain
///   HTTP responses can neither set nor replace them.
/// - At most 50 cookies per domain and 300 in total are kept; beyond that, the least recently used one is
///   dropped. A `Set-Cookie` header of more than 4 KiB is ignored. A request gets at most 8 KiB of
///   cookies.
///
/// `Debug` output doesn't contain the values.
///
/// ```
/// use std::time::SystemTime;
/// use everstream_http::policy::CookieJar;
/// use http::{HeaderMap, HeaderValue, header::SET_COOKIE};
/// use url::Url;
///
/// let (jar, now) = (CookieJar::default(), SystemTime::now());
/// let mut headers = HeaderMap::new();
/// headers.insert(SET_COOKIE, HeaderValue::from_static("node=7; Path=/"));
/// jar.store(&Url::parse("https://a.example/login")?, &headers, now);
///
/// let cookies = |url| Ok::<_, url::ParseError>(jar.header(&Url::parse(url)?, &[], now));
/// assert_eq!(cookies("https://a.example/feed")?.unwrap(), "node=7");
/// assert_eq!(cookies("https://b.example/feed")?, None);
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Clone, Default)]
pub struct CookieJar(Arc<Mutex<Stored>>);

impl CookieJar {
    /// Stores the cookies of a response from this URL. Those that can't be stored are ignored.
    pub fn store(&self, url: &Url, headers: &HeaderMap, wall_clock: SystemTime) {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for value in headers.get_all(SET_COOKIE) {
            if let Some(cookie) = parse(value, url) {
                stored.insert(cookie, is_secure(url), wall_clock);
            }
        }
    }

    /// The `Cookie` header of a request: first the user's `own` cookies, then the stored cookies for this
    /// URL with other names. `None`: nothing to add to the user's.
    pub fn header(
        &self,
        url: &Url,
        own: &[HeaderValue],
        wall_clock: SystemTime,
    ) -> Option<HeaderValue> {
        let mut stored = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = stored.pairs(url, own, wall_clock);
        if pairs.is_empty() {
            return None;
        }
        let own = own.iter().map(HeaderValue::as_bytes);
        let all: Vec<&[u8]> = own.chain(pairs.iter().map(String::as_bytes)).collect();
        // Each part is already a valid value.
        let mut value = HeaderValue::from_bytes(&all.join(&b"; "[..])).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieJar").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Stored {
    entries: Vec<Entry>,
    /// Counts stored and sent cookies, to order them.
    clock: u64,
}

struct Entry {
    cookie: Cookie<'static>,
    /// `None`: when the jar is dropped.
    expires: Option<SystemTime>,
    created: u64,
    used: u64,
}

impl Entry {
    fn is_expired(&self, wall_clock: SystemTime) -> bool {
        self.expires.is_some_and(|at| at <= wall_clock)
    }

    fn domain(&self) -> &str {
        match &self.cookie.domain {
            CookieDomain::HostOnly(domain) | CookieDomain::Suffix(domain) => domain,
            CookieDomain::NotPresent | CookieDomain::Empty => "",
        }
    }

    /// Whether this cookie replaces the other one (RFC 6265, section 5.3, step 11).
    fn replaces(&self, other: &Entry) -> bool {
        self.cookie.name() == other.cookie.name()
            && self.domain() == other.domain()
            && *self.cookie.path == *other.cookie.path
    }
}

impl Stored {
    fn insert(&mut self, cookie: Cookie<'static>, over_secure: bool, wall_clock: SystemTime) {
        self.clock += 1;
        let mut entry = Entry {
            expires: expiry(&cookie, wall_clock),
            cookie,
            created: self.clock,
            used: self.clock,
        };
        self.entries.retain(|it| !it.is_expired(wall_clock));
        if let Some(index) = self.entries.iter().position(|it| entry.replaces(it)) {
            if self.entries[index].cookie.secure() == Some(true) && !over_secure {
                return;
            }
            entry.created = self.entries.swap_remove(index).created;
        }
        if entry.is_expired(wall_clock) {
            return;
        }
        let of_domain = |it: &Entry| it.domain() == entry.domain();
        if self.entries.iter().filter(|it| of_domain(it)).count() >= MAX_PER_DOMAIN {
            self.drop_least_recent(of_domain);
        }
        if self.entries.len() >= MAX_COOKIES {
            self.drop_least_recent(|_| true);
        }
        self.entries.push(entry);
    }

    fn drop_least_recent(&mut self, among: impl Fn(&Entry) -> bool) {
        let entries = self.entries.iter().enumerate();
        let oldest = entries
            .filter(|(_, it)| among(it))
            .min_by_key(|(_, it)| it.used);
        if let Some((index, _)) = oldest {
            self.entries.swap_remove(index);
        }
    }

    /// `name=value` of the cookies for a request to this URL, in the order of RFC 6265, section 5.4:
    /// longer paths first, then earlier creation.
    fn pairs(&mut self, url: &Url, own: &[HeaderValue], wall_clock: SystemTime) -> Vec<String> {
        self.clock += 1;
        let clock = self.clock;
        let mut matching: Vec<&mut Entry> = self
            .entries
            .iter_mut()
            .filter(|it| !it.is_expired(wall_clock) && it.cookie.matches(url))
            .filter(|it| {
                !own.iter()
                    .any(|own| has_cookie_named(own, it.cookie.name()))
            })
            .collect();
        matching.sort_by_key(|it| (Reverse(it.cookie.path.len()), it.created));
        let mut left = MAX_SENT;
        let mut pairs = Vec::new();
        for entry in matching {
            let (name, value) = entry.cookie.name_value();
            let pair = format!("{name}={value}");
            if let Some(rest) = left.checked_sub(pair.len() + "; ".len()) {
                left = rest;
                entry.used = clock;
                pairs.push(pair);
            }
        }
        pairs
    }
}

/// The cookie of a `Set-Cookie` header, unless this URL can't set it.
///
/// `CookieStore` isn't used, because it logs values, reads the system clock and grows without limit.
fn parse(value: &HeaderValue, url: &Url) -> Option<Cookie<'static>> {
    let text = std::str::from_utf8(value.as_bytes()).ok()?;
    if text.len() > MAX_SIZE {
        return None;
    }
    let mut cookie = Cookie::parse(text.to_owned(), url).ok()?;
    if cookie.secure() == Some(true) && !is_secure(url) {
        return None;
    }
    if let CookieDomain::Suffix(domain) = &cookie.domain {
        // Without a public suffix list, at least domains without a dot are known to be suffixes.
        if !domain.trim_end_matches('.').contains('.') {
            if url.host_str() != Some(domain) {
                return None;
            }
            cookie.domain = CookieDomain::host_only(url).ok()?;
        }
    }
    Some(cookie)
}

/// `Max-Age` takes precedence over `Expires` (RFC 6265, section 5.3, step 3). A time beyond the range of
/// the clock means no expiry.
fn expiry(cookie: &Cookie<'_>, wall_clock: SystemTime) -> Option<SystemTime> {
    let seconds = |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    if let Some(max_age) = cookie.max_age() {
        return wall_clock.checked_add(seconds(max_age.whole_seconds()));
    }
    match cookie.expires {
        CookieExpiration::AtUtc(at) => {
            SystemTime::UNIX_EPOCH.checked_add(seconds(at.unix_timestamp()))
        }
        CookieExpiration::SessionEnd => None,
    }
}

/// The same rule as in [`Cookie::matches`].
fn is_secure(url: &Url) -> bool {
    match url.host() {
        _ if url.scheme() == "https" => true,
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether a `Cookie` header contains a cookie of this name.
fn has_cookie_named(header: &HeaderValue, name: &str) -> bool {
    let mut pairs = header.as_bytes().split(|byte| *byte == b';');
    pairs.any(|pair| {
        let own = pair.split(|byte| *byte == b'=').next().unwrap_or_default();
        own.trim_ascii() == name.as_bytes()
    })
}

#[cfg(test)]
#[path = "cookies_tests.rs"]
mod tests;
