//! Rule 8: the cookies of one attempt.

use std::time::SystemTime;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::{Exchange, Request};
use crate::policy::CookieJar;

#[derive(Debug)]
pub(super) struct RequestCookies {
    jar: CookieJar,
    /// The user's `Cookie` headers, while the request has a combined one with the jar's cookies.
    replaced: Option<Vec<HeaderValue>>,
}

impl Exchange {
    /// Sends the cookies of this jar, and stores the cookies of responses in it. Call this before the
    /// first request is sent. `wall_clock` decides which cookies have expired.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use everstream_core::Timestamp;
    /// use everstream_http::exchange::{Config, Exchange, Request};
    /// use everstream_http::policy::CookieJar;
    /// use http::{HeaderMap, HeaderValue, Method, header::{COOKIE, SET_COOKIE}};
    ///
    /// let (jar, now) = (CookieJar::default(), SystemTime::now());
    /// let request = Request {
    ///     method: Method::GET,
    ///     url: "https://example.com/feed".parse()?,
    ///     headers: HeaderMap::new(),
    ///     has_body: false,
    /// };
    /// let mut headers = HeaderMap::new();
    /// headers.insert(SET_COOKIE, HeaderValue::from_static("node=7"));
    /// jar.store(&request.url, &headers, now);
    ///
    /// let mut exchange = Exchange::new(request, Config::default(), Timestamp::default());
    /// exchange.use_cookies(jar, now);
    /// assert_eq!(exchange.request().headers[COOKIE], "node=7");
    /// # Ok::<(), url::ParseError>(())
    /// ```
    pub fn use_cookies(&mut self, jar: CookieJar, wall_clock: SystemTime) {
        self.remove_cookies();
        self.cookies = Some(RequestCookies {
            jar,
            replaced: None,
        });
        self.add_cookies(wall_clock);
    }

    /// Stops storing and sending cookies. For when an HTTP library has followed a redirect by itself, so
    /// the next response isn't from the URL of the request.
    pub fn ignore_cookies(&mut self) {
        self.remove_cookies();
        self.cookies = None;
    }

    pub(super) fn store_cookies(&mut self, headers: &HeaderMap, wall_clock: SystemTime) {
        if let Some(cookies) = &self.cookies {
            cookies.jar.store(&self.request.url, headers, wall_clock);
        }
    }

    /// Adds the cookies for the current URL.
    pub(super) fn add_cookies(&mut self, wall_clock: SystemTime) {
        let Some(cookies) = &mut self.cookies else {
            return;
        };
        let Request { url, headers, .. } = &mut self.request;
        let own: Vec<HeaderValue> = headers.get_all(COOKIE).iter().cloned().collect();
        if let Some(value) = cookies.jar.header(url, &own, wall_clock) {
            headers.insert(COOKIE, value);
            cookies.replaced = Some(own);
        }
    }

    /// Restores the user's `Cookie` headers, to which other redirect rules apply.
    pub(super) fn remove_cookies(&mut self) {
        let replaced = self.cookies.as_mut().and_then(|it| it.replaced.take());
        if let Some(own) = replaced {
            let headers = &mut self.request.headers;
            headers.remove(COOKIE);
            for value in own {
                headers.append(COOKIE, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use everstream_core::{Fault, Timestamp};
    use http::Method;
    use http::header::{LOCATION, SET_COOKIE};

    use super::*;
    use crate::exchange::{Config, Output};

    const START: &str = "https://a.test/feed";

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
    }

    /// An attempt with this `Cookie` header from the user, or none.
    fn exchange(jar: &CookieJar, own: &str) -> Exchange {
        let mut headers = HeaderMap::new();
        if !own.is_empty() {
            headers.insert(COOKIE, own.parse().unwrap());
        }
        let request = Request {
            method: Method::GET,
            url: START.parse().unwrap(),
            headers,
            has_body: false,
        };
        let mut exchange = Exchange::new(request, Config::default(), Timestamp::default());
        exchange.use_cookies(jar.clone(), now());
        exchange
    }

    fn respond(exchange: &mut Exchange, status: u16, location: &str, cookies: &[&str]) {
        let mut headers = HeaderMap::new();
        if !location.is_empty() {
            headers.insert(LOCATION, location.parse().unwrap());
        }
        for cookie in cookies {
            headers.append(SET_COOKIE, cookie.parse().unwrap());
        }
        exchange.handle_connected(Timestamp::default());
        exchange.handle_head(status, headers, Timestamp::default(), now());
    }

    fn sent(exchange: &Exchange) -> Vec<&str> {
        let lines = exchange.request().headers.get_all(COOKIE).into_iter();
        lines.map(|line| line.to_str().unwrap()).collect()
    }

    #[test]
    fn every_response_is_stored_and_every_request_gets_its_cookies() {
        let jar = CookieJar::default();
        let mut first = exchange(&jar, "");
        assert!(sent(&first).is_empty());
        respond(&mut first, 307, "/moved", &["a=1", "b=2; Path=/moved"]);
        assert_eq!(sent(&first), ["b=2; a=1"]);
        respond(&mut first, 503, "", &["a=3", "c=4"]);
        assert!(matches!(first.poll_output(), Output::ReadError { .. }));
        assert_eq!(sent(&exchange(&jar, "")), ["a=3; c=4"]);
        assert!(first.withheld().is_empty());
    }

    #[test]
    fn a_redirect_to_another_origin_sends_only_the_cookies_of_that_origin() {
        let jar = CookieJar::default();
        let mut earlier = exchange(&jar, "");
        respond(&mut earlier, 307, "https://b.test/", &["a=1"]);
        assert!(sent(&earlier).is_empty());
        respond(&mut earlier, 503, "", &["b=2", "a=no; Domain=a.test"]);

        let mut exchange = exchange(&jar, "mine=0");
        assert_eq!(sent(&exchange), ["mine=0; a=1"]);
        respond(&mut exchange, 307, "https://b.test/", &[]);
        assert_eq!(sent(&exchange), ["b=2"]);
        assert_eq!(exchange.withheld(), [COOKIE]);
        // Back at the first origin the jar's cookies are sent again, but not the user's.
        respond(&mut exchange, 307, START, &[]);
        assert_eq!(sent(&exchange), ["a=1"]);
        assert_eq!(exchange.withheld(), [COOKIE]);
    }

    #[test]
    fn the_users_cookies_stay_with_their_origin_and_the_jars_with_their_host() {
        let jar = CookieJar::default();
        let mut exchange = exchange(&jar, "mine=0");
        respond(
            &mut exchange,
            307,
            "https://a.test/next",
            &["mine=1", "a=1"],
        );
        assert_eq!(sent(&exchange), ["mine=0; a=1"]);
        respond(&mut exchange, 307, "https://a.test:8443/", &[]);
        assert_eq!(sent(&exchange), ["mine=1; a=1"]);
    }

    #[test]
    fn several_user_cookie_headers_are_merged_and_restored() {
        let jar = CookieJar::default();
        let mut exchange = exchange(&jar, "mine=0");
        let second = "more=0".parse().unwrap();
        exchange.request.headers.append(COOKIE, second);
        respond(&mut exchange, 307, "/x/", &["a=1; Path=/x"]);
        assert_eq!(sent(&exchange), ["mine=0; more=0; a=1"]);
        respond(&mut exchange, 307, "/y/", &[]);
        assert_eq!(sent(&exchange), ["mine=0", "more=0"]);
    }

    #[test]
    fn ignored_cookies_are_neither_sent_nor_stored() {
        let jar = CookieJar::default();
        respond(&mut exchange(&jar, ""), 503, "", &["a=1"]);
        let mut exchange = exchange(&jar, "mine=0");
        exchange.ignore_cookies();
        assert_eq!(sent(&exchange), ["mine=0"]);
        respond(&mut exchange, 307, "/", &["b=2"]);
        assert_eq!(sent(&exchange), ["mine=0"]);
        assert_eq!(sent(&super::tests::exchange(&jar, "")), ["a=1"]);
    }

    #[test]
    fn debug_output_and_faults_contain_no_cookies() {
        let jar = CookieJar::default();
        respond(&mut exchange(&jar, ""), 503, "", &["a=hidden"]);
        let mut exchange = exchange(&jar, "mine=hidden");
        assert_eq!(sent(&exchange), ["mine=hidden; a=hidden"]);
        let asked = format!("{exchange:?}");
        respond(&mut exchange, 503, "", &["b=hidden"]);
        exchange.handle_body_end();
        let failed = format!("{exchange:?}");
        let Output::Failed(fault @ Fault::Status(_)) = exchange.poll_output() else {
            panic!("{exchange:?}");
        };
        for shown in [asked, failed, format!("{fault} {fault:?}")] {
            assert!(!shown.contains("hidden"), "{shown}");
        }
    }
}
