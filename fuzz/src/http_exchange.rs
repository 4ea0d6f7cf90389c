//! An attempt under arbitrary calls in any order, checked against its guarantees.

use std::time::{Duration, SystemTime};

use arbitrary::{Arbitrary, Unstructured};
use everstream_core::{Fault, RedirectProblem, Timestamp};
use everstream_http::exchange::{Config, ERROR_BODY, Exchange, Output, Request};
use everstream_http::policy::{self, ContentCoding, HeaderScope};
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, COOKIE, HOST, LOCATION, PROXY_AUTHORIZATION,
    RETRY_AFTER,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

#[derive(Arbitrary)]
struct Input<'a> {
    /// Bits: which headers the user sets, whether all headers stay with their origin, and whether there
    /// is a body.
    given: u8,
    method: u8,
    url: u8,
    redirect_limit: u8,
    connect_timeout: Option<u8>,
    read_timeout: Option<u8>,
    steps: Vec<Step<'a>>,
}

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Connected,
    ConnectFailure,
    Unreachable,
    SendFailure,
    Unprocessed,
    Failure,
    Head {
        status: u8,
        location: Location<'a>,
        content: u8,
        retry_after: Option<&'a [u8]>,
    },
    /// A redirect right after connecting.
    Redirect {
        status: u8,
        location: Location<'a>,
    },
    Body {
        length: u16,
    },
    BodyEnd,
    Timeout,
    Wait(u16),
}

#[derive(Arbitrary, Debug)]
enum Location<'a> {
    None,
    Known(u8),
    Text(&'a [u8]),
}

/// Origins that differ in one part each, with and without user info.
const URLS: [&str; 16] = [
    "http://a.test/",
    "https://a.test/feed",
    "http://a.test:8080/feed?a=b",
    "https://a.test:444/",
    "https://b.test/",
    "http://b.test/#part",
    "https://user:one@a.test/",
    "https://user:two@b.test/",
    "http://user:three@a.test:8080/",
    "http://four@a.test/",
    "//b.test/",
    "//user:five@c.test/",
    "/elsewhere",
    "../?q",
    "ftp://a.test/",
    "http://[::1]:99999/",
];

const STATUSES: [u16; 16] = [
    301, 302, 303, 307, 308, 200, 201, 204, 206, 300, 304, 401, 404, 429, 500, 999,
];

const METHODS: [Method; 5] = [
    Method::GET,
    Method::POST,
    Method::HEAD,
    Method::PUT,
    Method::DELETE,
];

/// A header that is a secret only because the user marks it, and one that isn't a secret.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const TEAM: HeaderName = HeaderName::from_static("x-team");

/// Plays a script, and panics if the attempt violates a guarantee.
///
/// ```
/// everstream_fuzz::http_exchange(b"connect, redirect, fail");
/// ```
pub fn http_exchange(input: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(input)) else {
        return;
    };
    let mut attempt = Attempt::new(&input);
    for step in &input.steps {
        attempt.step(step);
        attempt.check();
    }
}

struct Attempt {
    exchange: Exchange,
    config: Config,
    now: Timestamp,
    /// Values that must not leave their origins. Each value is unique.
    secrets: Vec<Secret>,
    /// The names of the user's secrets.
    names: Vec<HeaderName>,
    /// The number of redirects followed.
    redirects: usize,
    has_failed: bool,
}

struct Secret {
    value: HeaderValue,
    origin_url: Url,
}

impl Attempt {
    fn new(input: &Input<'_>) -> Self {
        let given = |bit: u8| input.given & 1 << bit != 0;
        // The first ten URLs are absolute.
        let url = Url::parse(URLS[usize::from(input.url % 10)]).unwrap();
        let mut headers = HeaderMap::new();
        for (bit, name, value) in [
            (0, AUTHORIZATION, "Bearer mine"),
            (1, COOKIE, "session=mine"),
            (2, PROXY_AUTHORIZATION, "Basic mine"),
            (3, API_KEY, "key"),
            (4, TEAM, "team"),
        ] {
            if given(bit) {
                let mut value = HeaderValue::from_static(value);
                value.set_sensitive(name == API_KEY);
                headers.insert(name, value);
            }
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        if given(5) {
            headers.insert(HOST, HeaderValue::from_static("mine"));
        }
        let config = Config {
            redirect_limit: usize::from(input.redirect_limit % 6),
            header_scope: match given(6) {
                true => HeaderScope::All,
                false => HeaderScope::Sensitive,
            },
            any_content_type: false,
            codings: &[ContentCoding::Gzip],
            connect_timeout: input.connect_timeout.map(|it| seconds(it.into())),
            read_timeout: input.read_timeout.map(|it| seconds(it.into())),
        };
        let is_secret = |name: &HeaderName| {
            [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, API_KEY].contains(name)
        };
        let stays = |name: &&HeaderName| {
            is_secret(name) || (config.header_scope == HeaderScope::All && **name == TEAM)
        };
        let names: Vec<HeaderName> = headers.keys().filter(stays).cloned().collect();
        let secret = |name: &HeaderName| Secret {
            value: headers[name].clone(),
            origin_url: url.clone(),
        };
        let mut secrets: Vec<Secret> = names.iter().map(secret).collect();
        secrets.extend(user_info(&url));
        let request = Request {
            method: METHODS[usize::from(input.method) % METHODS.len()].clone(),
            url,
            headers,
            has_body: given(7),
        };
        let now = Timestamp::default();
        Attempt {
            exchange: Exchange::new(request, config, now),
            config,
            now,
            secrets,
            names,
            redirects: 0,
            has_failed: false,
        }
    }

    fn step(&mut self, step: &Step<'_>) {
        let exchange = &mut self.exchange;
        match step {
            Step::Connected => exchange.handle_connected(self.now),
            Step::ConnectFailure => exchange.handle_connect_failure("no connection"),
            Step::Unreachable => exchange.handle_unreachable("not allowed"),
            Step::SendFailure => exchange.handle_send_failure("not sent"),
            Step::Unprocessed => exchange.handle_unprocessed("not processed"),
            Step::Failure => exchange.handle_failure("no head"),
            Step::Head {
                status,
                location,
                content,
                retry_after,
            } => {
                let mut headers = HeaderMap::new();
                let content_type = ["text/event-stream", "text/html"][usize::from(content & 1)];
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
                let coding = match content >> 1 & 3 {
                    0 | 1 => None,
                    2 => Some("gzip"),
                    _ => Some("br"),
                };
                if let Some(coding) = coding {
                    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
                }
                if let Some(Ok(value)) = retry_after.map(HeaderValue::from_bytes) {
                    headers.insert(RETRY_AFTER, value);
                }
                self.head(STATUSES[usize::from(*status % 16)], headers, location);
            }
            Step::Redirect { status, location } => {
                exchange.handle_connected(self.now);
                self.head(
                    STATUSES[usize::from(*status % 5)],
                    HeaderMap::new(),
                    location,
                );
            }
            Step::Body { length } => exchange.handle_body(&vec![b'x'; (*length).into()]),
            Step::BodyEnd => exchange.handle_body_end(),
            Step::Timeout => self.timeout(),
            Step::Wait(millis) => self.now = self.now + Duration::from_millis((*millis).into()),
        }
    }

    fn head(&mut self, status: u16, mut headers: HeaderMap, location: &Location<'_>) {
        let text = match location {
            Location::None => None,
            Location::Known(number) => Some(URLS[usize::from(number % 16)].as_bytes()),
            Location::Text(text) => Some(*text),
        };
        if let Some(Ok(value)) = text.map(HeaderValue::from_bytes) {
            headers.insert(LOCATION, value);
        }
        let before = self.exchange.request().url.clone();
        let followed = self.exchange.followed();
        let (now, wall_clock) = (self.now, SystemTime::UNIX_EPOCH);
        self.exchange.handle_head(status, headers, now, wall_clock);
        if self.exchange.followed() == followed {
            assert_eq!(self.exchange.request().url, before, "not a redirect");
            return;
        }
        assert!(policy::is_redirect(status), "{status}");
        self.redirects += 1;
        // User info in the target URL is a secret of the target's origin.
        let text = text.and_then(|text| std::str::from_utf8(text).ok());
        let target = before.join(text.unwrap()).unwrap();
        self.secrets.extend(user_info(&target));
    }

    /// A deadline has an effect once it has passed, and not before.
    fn timeout(&mut self) {
        let deadline = match self.poll() {
            Output::Connect { deadline } | Output::Receive { deadline } => deadline,
            Output::ReadError { deadline, .. } => Some(deadline),
            _ => return self.exchange.handle_timeout(self.now),
        };
        self.exchange.handle_timeout(self.now);
        let has_passed = deadline.is_some_and(|it| it <= self.now);
        let has_failed = matches!(self.poll(), Output::Failed(_));
        assert_eq!(has_failed, has_passed, "{deadline:?} at {:?}", self.now);
    }

    fn poll(&mut self) -> Output {
        let output = self.exchange.poll_output();
        if let Output::Failed(fault) = &output {
            let again = "this attempt has failed already";
            match (self.has_failed, fault) {
                (true, Fault::Source(error)) => assert_eq!(error.to_string(), again),
                (true, fault) => panic!("a second fault: {fault:?}"),
                (false, fault) => self.check_fault(fault),
            }
            self.has_failed = true;
        } else {
            assert!(!self.has_failed, "{output:?} after a failure");
        }
        output
    }

    fn check_fault(&self, fault: &Fault) {
        match fault {
            Fault::Connect(_) | Fault::ConnectTimeout(_) | Fault::Setup(_) => {
                assert_eq!(self.redirects, 0, "{fault:?}");
            }
            // The response that redirected to a URL that the settings don't allow.
            Fault::Redirect(response, RedirectProblem::Unreachable) => {
                assert!(self.redirects > 0 && response.body.is_empty(), "{fault:?}");
            }
            Fault::Status(response)
            | Fault::ContentType(response)
            | Fault::ContentEncoding(response)
            | Fault::Redirect(response, _) => {
                assert!(response.body.len() <= ERROR_BODY, "{fault:?}");
                let withheld = self.exchange.withheld();
                assert!(
                    withheld
                        .iter()
                        .eq(response.withheld_headers.iter().map(|it| it.as_str()))
                );
            }
            Fault::Request(_) | Fault::ResponseTimeout(_) => {}
            other => panic!("not a fault of an attempt: {other:?}"),
        }
    }

    fn check(&mut self) {
        let is_stream = matches!(self.poll(), Output::Stream(_));
        let exchange = &self.exchange;
        assert_eq!(exchange.followed(), self.redirects);
        assert!(self.redirects <= self.config.redirect_limit);
        let has_redirect = exchange.redirect().is_some();
        // A redirect to a URL that the settings don't allow becomes the fault.
        assert!(has_redirect == (self.redirects > 0) || self.has_failed);
        let start = exchange.start();
        assert_eq!(start.status.is_some(), is_stream);

        let request = exchange.request();
        let url = &request.url;
        assert!(matches!(url.scheme(), "http" | "https"), "{url}");
        assert!(
            url.username().is_empty() && url.password().is_none(),
            "{url}"
        );
        for (name, value) in &request.headers {
            let mut secrets = self.secrets.iter().filter(|it| it.value == value);
            let mut found = secrets.clone().peekable();
            assert!(name != AUTHORIZATION || found.peek().is_some(), "{value:?}");
            assert!(
                found.peek().is_none()
                    || secrets.any(|it| self.may_be_sent_to(&it.origin_url, url)),
                "{name}: {value:?} must not be sent to {url}"
            );
        }
        for name in &self.names {
            let is_told = exchange.withheld().contains(name);
            let is_sent = request.headers.contains_key(name);
            assert!(is_sent || is_told, "{name} is missing at {url}");
        }
    }

    fn may_be_sent_to(&self, origin_url: &Url, url: &Url) -> bool {
        let is_upgrade = self.config.header_scope == HeaderScope::All
            && (origin_url.scheme(), url.scheme()) == ("http", "https")
            && origin_url.host_str() == url.host_str()
            && origin_url.port().is_none()
            && url.port().is_none();
        origin_url.origin() == url.origin() || is_upgrade
    }
}

/// The `Authorization` that results from this URL's user info.
fn user_info(url: &Url) -> Option<Secret> {
    let mut headers = HeaderMap::new();
    policy::user_info_to_authorization(&mut url.clone(), &mut headers);
    Some(Secret {
        value: headers.remove(AUTHORIZATION)?,
        origin_url: url.clone(),
    })
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}
