use super::*;

/// Friday, 15 January 2027, 08:00 UTC.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn after(seconds: u64) -> SystemTime {
    now() + Duration::from_secs(seconds)
}

impl CookieJar {
    fn set(&self, from: &str, lines: &[&str]) {
        let mut headers = HeaderMap::new();
        for line in lines {
            let line = HeaderValue::from_bytes(line.as_bytes()).unwrap();
            headers.append(SET_COOKIE, line);
        }
        self.store(&url(from), &headers, now());
    }

    fn sent_at(&self, to: &str, at: SystemTime) -> String {
        let header = self.header(&url(to), &[], at);
        header.map_or(String::new(), |it| {
            String::from_utf8(it.as_bytes().to_vec()).unwrap()
        })
    }

    fn sent(&self, to: &str) -> String {
        self.sent_at(to, now())
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().entries.len()
    }
}

/// Each line: the URL that sets a cookie, the cookie, the URL of a request, and the cookies sent.
fn check(table: &str) {
    for line in table.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [from, cookie, to, expected] = columns[..] else {
            panic!("{line}");
        };
        let jar = CookieJar::default();
        jar.set(from, &[cookie]);
        assert_eq!(jar.sent(to), expected, "{line}");
    }
}

#[test]
fn a_cookie_is_sent_to_its_host_or_domain() {
    check(
        "
        http://a.test/ | n=1 | http://a.test/ | n=1
        http://A.test/ | n=1 | http://a.TEST/ | n=1
        http://a.test/ | n=1 | http://b.test/ |
        http://a.test/ | n=1 | http://x.a.test/ |
        http://a.test/ | n=1 | http://a.test./ |
        http://a.test/ | n=1 | http://nota.test/ |
        # Neither the port nor the scheme matters.
        http://a.test:81/ | n=1 | http://a.test:82/ | n=1
        http://a.test/ | n=1 | https://a.test/ | n=1
        https://a.test/ | n=1 | http://a.test/ | n=1
        http://x.a.test/ | n=1; Domain=a.test | http://a.test/ | n=1
        http://x.a.test/ | n=1; Domain=.a.test | http://y.a.test/ | n=1
        http://x.a.test/ | n=1; domain=A.TEST | http://y.a.test/ | n=1
        http://x.a.test/ | n=1; Domain=a.test | http://nota.test/ |
        http://x.a.test/ | n=1; Domain= | http://x.a.test/ | n=1
        http://x.a.test/ | n=1; Domain= | http://y.x.a.test/ |
        http://a.test/ | n=1; Domain=b.test | http://b.test/ |
        http://a.test/ | n=1; Domain=b.test | http://a.test/ |
        http://a.test/ | n=1; Domain=x.a.test | http://x.a.test/ |
        http://nota.test/ | n=1; Domain=a.test | http://a.test/ |
        http://127.0.0.1/ | n=1 | http://127.0.0.1:81/ | n=1
        http://127.0.0.1/ | n=1 | http://localhost/ |
        http://127.0.0.1/ | n=1; Domain=0.0.1 | http://127.0.0.1/ |
        http://127.0.0.1/ | n=1; Domain=127.0.0.1 | http://127.0.0.1/ | n=1
        http://[::1]/ | n=1 | http://[0::1]:81/ | n=1
        http://[::1]/ | n=1 | http://[::2]/ |
        ",
    );
}

#[test]
fn a_domain_without_a_dot_matches_only_the_host_itself() {
    check(
        "
        http://a.com/ | n=1; Domain=com | http://a.com/ |
        http://a.com/ | n=1; Domain=com | http://b.com/ |
        http://a.com/ | n=1; Domain=.com | http://b.com/ |
        http://a.com./ | n=1; Domain=com. | http://b.com./ |
        http://a.com./ | n=1; Domain=. | http://b.com./ |
        http://x.localhost/ | n=1; Domain=localhost | http://localhost/ |
        http://localhost/ | n=1; Domain=localhost | http://localhost/ | n=1
        http://localhost/ | n=1; Domain=localhost | http://x.localhost/ |
        http://com/ | n=1; Domain=com | http://a.com/ |
        # Only a public suffix list could prevent this.
        http://a.co.uk/ | n=1; Domain=co.uk | http://b.co.uk/ | n=1
        ",
    );
}

#[test]
fn a_cookie_is_sent_to_its_path_and_below() {
    check(
        "
        http://a.test/x/y | n=1 | http://a.test/x/z | n=1
        http://a.test/x/y | n=1 | http://a.test/x | n=1
        http://a.test/x/y | n=1 | http://a.test/xy |
        http://a.test/x/y | n=1 | http://a.test/ |
        http://a.test/x | n=1 | http://a.test/z | n=1
        http://a.test/x/y | n=1; Path=/ | http://a.test/z?q | n=1
        http://a.test/x/y | n=1; Path=z | http://a.test/x/ | n=1
        http://a.test/x/y | n=1; Path=/z | http://a.test/z | n=1
        http://a.test/x/y | n=1; Path=/z/ | http://a.test/z |
        http://a.test/x/y | n=1; Path=/z | http://a.test/x/y |
        ",
    );
}

#[test]
fn a_secure_cookie_is_neither_set_nor_sent_over_plain_http() {
    check(
        "
        https://a.test/ | n=1; Secure | https://a.test/ | n=1
        https://a.test/ | n=1; Secure | http://a.test/ |
        http://a.test/ | n=1; Secure | https://a.test/ |
        http://localhost/ | n=1; Secure | http://localhost/ | n=1
        http://127.0.0.2/ | n=1; Secure | http://127.0.0.2/ | n=1
        http://[::1]/ | n=1; Secure | http://[::1]/ | n=1
        http://10.0.0.1/ | n=1; Secure | http://10.0.0.1/ |
        http://x.localhost/ | n=1; Secure | http://x.localhost/ |
        http://a.test/ | n=1; HttpOnly | http://a.test/ | n=1
        ",
    );
    let jar = CookieJar::default();
    jar.set("https://a.test/", &["n=1; Secure"]);
    jar.set("http://a.test/", &["n=2"]);
    jar.set("http://a.test/", &["n=3; Max-Age=0"]);
    assert_eq!(jar.sent("https://a.test/"), "n=1");
    jar.set("https://a.test/", &["n=4"]);
    assert_eq!(jar.sent("http://a.test/"), "n=4");
}

#[test]
fn a_cookie_expires_by_the_given_clock() {
    let table: &[(&str, Option<u64>)] = &[
        ("n=1", None),
        ("n=1; Max-Age=10", Some(10)),
        ("n=1; max-age=010", Some(10)),
        ("n=1; Max-Age=0", Some(0)),
        ("n=1; Max-Age=-5", Some(0)),
        ("n=1; Max-Age=ten", None),
        ("n=1; Max-Age=99999999999999999999", None),
        ("n=1; Expires=Fri, 15 Jan 2027 08:00:10 GMT", Some(10)),
        ("n=1; Expires=Fri, 15-Jan-2027 08:00:10 GMT", Some(10)),
        ("n=1; Expires=Friday, 15-Jan-27 08:00:10 GMT", Some(10)),
        ("n=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        ("n=1; Expires=Thu, 01 Jan 1601 00:00:00 GMT", Some(0)),
        ("n=1; Expires=tomorrow", None),
        (
            "n=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=10",
            Some(10),
        ),
        (
            "n=1; Max-Age=0; Expires=Fri, 15 Jan 2027 08:00:10 GMT",
            Some(0),
        ),
    ];
    for (line, life) in table {
        let jar = CookieJar::default();
        jar.set("http://a.test/", &[line]);
        match life {
            Some(0) => assert_eq!(jar.len(), 0, "{line}"),
            Some(life) => {
                assert_eq!(
                    jar.sent_at("http://a.test/", after(life - 1)),
                    "n=1",
                    "{line}"
                );
                assert_eq!(jar.sent_at("http://a.test/", after(*life)), "", "{line}");
            }
            None => assert_eq!(
                jar.sent_at("http://a.test/", after(1 << 32)),
                "n=1",
                "{line}"
            ),
        }
    }
}

#[test]
fn a_later_cookie_replaces_or_removes_an_earlier_one() {
    let jar = CookieJar::default();
    jar.set("http://x.a.test/p/", &["n=1; Path=/", "m=1; Path=/"]);
    jar.set("http://x.a.test/q", &["n=2; Path=/"]);
    assert_eq!(
        jar.sent("http://x.a.test/"),
        "n=2; m=1",
        "in the order of creation"
    );
    // Another path, domain or name is another cookie.
    jar.set(
        "http://x.a.test/",
        &["n=3; Path=/p", "n=4; Domain=a.test", "N=5"],
    );
    assert_eq!(jar.sent("http://x.a.test/p"), "n=3; n=2; m=1; n=4; N=5");
    jar.set(
        "http://x.a.test/",
        &["n=; Path=/; Max-Age=0", "N=; Path=/; Max-Age=0"],
    );
    assert_eq!(jar.sent("http://x.a.test/p"), "n=3; m=1; n=4");
}

#[test]
fn the_users_cookies_take_precedence() {
    let table: &[(&[&str], Option<&str>)] = &[
        (&[], Some("a=1; b=2")),
        (&["c=mine"], Some("c=mine; a=1; b=2")),
        (&["a=mine"], Some("a=mine; b=2")),
        (&["x=0;  a = mine;y"], Some("x=0;  a = mine;y; b=2")),
        (&["A=mine"], Some("A=mine; a=1; b=2")),
        (&["xa=mine"], Some("xa=mine; a=1; b=2")),
        (&["c=mine", "b=mine"], Some("c=mine; b=mine; a=1")),
        (&["b=mine; a=mine"], None),
    ];
    let jar = CookieJar::default();
    jar.set("http://a.test/", &["a=1", "b=2"]);
    for (own, expected) in table {
        let own: Vec<HeaderValue> = own.iter().map(|it| it.parse().unwrap()).collect();
        let header = jar.header(&url("http://a.test/"), &own, now());
        let header = header.as_ref().map(|it| it.to_str().unwrap());
        assert_eq!(header, *expected, "{own:?}");
    }
}

#[test]
fn invalid_cookies_are_ignored() {
    let jar = CookieJar::default();
    jar.set("http://a.test/", &["", "n", "=1", ";", "; n=1", " =1"]);
    let mut headers = HeaderMap::new();
    headers.append(SET_COOKIE, HeaderValue::from_bytes(b"n=\xff").unwrap());
    jar.store(&url("http://a.test/"), &headers, now());
    assert_eq!(jar.len(), 0);
    let lines = [
        "a=",
        " b = \"x y\" ",
        "c==;=",
        "d=é",
        "é=1",
        "e=1; Unknown=2; Priority",
    ];
    jar.set("http://a.test/", &lines);
    assert_eq!(
        jar.sent("http://a.test/"),
        "a=; b=\"x y\"; c==; d=é; é=1; e=1"
    );
}

#[test]
fn the_size_of_the_jar_is_limited() {
    let jar = CookieJar::default();
    let numbered = |range: std::ops::Range<usize>| -> Vec<String> {
        range.map(|number| format!("n{number}=1")).collect()
    };
    let set = |from: &str, lines: &[String]| {
        jar.set(from, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    };
    set("http://a.test/", &numbered(0..MAX_PER_DOMAIN));
    // The first one has been used, so the second one is evicted.
    jar.set("http://a.test/p/", &["n0=1; Path=/p"]);
    assert_eq!(jar.len(), MAX_PER_DOMAIN);
    let sent = jar.sent("http://a.test/p/");
    assert!(sent.starts_with("n0=1; n1=1; n2=1"), "{sent}");

    for host in 0..20 {
        set(
            &format!("http://h{host}.test/"),
            &numbered(0..MAX_PER_DOMAIN + 10),
        );
        assert!(jar.len() <= MAX_COOKIES, "{host}");
    }
    assert_eq!(jar.len(), MAX_COOKIES);
    assert_eq!(jar.sent("http://h0.test/"), "", "the oldest was evicted");
    let last = jar.sent("http://h19.test/");
    assert_eq!(last.matches("=1").count(), MAX_PER_DOMAIN);
    assert!(last.starts_with("n10=1"), "{last}");
}

#[test]
fn the_least_recently_used_cookie_is_evicted() {
    let jar = CookieJar::default();
    jar.set(
        "http://a.test/",
        &["used=1; Path=/used", "unused=1; Path=/unused"],
    );
    for number in 2..MAX_PER_DOMAIN {
        jar.set("http://a.test/", &[&format!("n{number}=1")]);
    }
    assert!(jar.sent("http://a.test/used").starts_with("used=1"));
    jar.set("http://a.test/", &["new=1"]);
    assert_eq!(jar.len(), MAX_PER_DOMAIN);
    assert!(jar.sent("http://a.test/used").contains("used=1"));
    assert!(!jar.sent("http://a.test/unused").contains("unused=1"));
    // Expired cookies are evicted first.
    jar.set("http://a.test/", &["short=1; Max-Age=1"]);
    let mut headers = HeaderMap::new();
    headers.insert(SET_COOKIE, HeaderValue::from_static("late=1"));
    let before = jar.sent("http://a.test/used").replace("; short=1", "");
    jar.store(&url("http://a.test/"), &headers, after(1));
    assert_eq!(
        jar.sent_at("http://a.test/used", after(1)),
        before + "; late=1"
    );
}

#[test]
fn cookie_and_header_sizes_are_limited() {
    let jar = CookieJar::default();
    let fits = format!("n={}", "x".repeat(MAX_SIZE - 2));
    jar.set(
        "http://a.test/",
        &[&format!("{fits}x"), &format!("m=1; Path=/{fits}")],
    );
    assert_eq!(jar.len(), 0);
    for number in 0..5 {
        let line = format!("{number}={}", "x".repeat(MAX_SIZE - 2));
        jar.set("http://a.test/", &[&line]);
    }
    jar.set("http://a.test/", &["small=1"]);
    let sent = jar.sent("http://a.test/");
    assert_eq!(jar.len(), 6);
    assert!(sent.len() <= MAX_SENT, "{}", sent.len());
    assert!(sent.starts_with("0=xxx") && sent.ends_with("; small=1"));
}

#[test]
fn clones_share_cookies_and_debug_output_has_none() {
    let jar = CookieJar::default();
    jar.clone()
        .set("http://a.test/", &["n=secret; Path=/secret"]);
    let header = jar
        .header(&url("http://a.test/secret"), &[], now())
        .unwrap();
    assert_eq!(header, "n=secret");
    assert!(header.is_sensitive());
    let shown = format!("{jar:?} {jar:#?} {header:?}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn arbitrary_cookies_do_not_panic() {
    let words = "n=1|;|=|Domain=|Path=|Max-Age=|Expires=|Secure|.|..|a.test|xn--|99999999999999999999|-|\
                 Fri, |15 Jan |0000|99999| 08:00:10 GMT|\u{1F36A}|é|\t| |/|\"|%|[|]|::1|31-Dec-99|Feb 30";
    let words: Vec<&str> = words.split('|').collect();
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    let hosts = [
        "http://a.test/é",
        "http://[::1]/",
        "http://a../",
        "https://127.0.0.1/x/",
    ];
    let jar = CookieJar::default();
    for _ in 0..5_000 {
        let line: String = (0..random(12))
            .map(|_| words[random(words.len())])
            .collect();
        let (from, to) = (hosts[random(4)], hosts[random(4)]);
        jar.set(from, &["n=1; ", &line, &format!("m=2; {line}")]);
        jar.sent(to);
    }
    assert!(jar.len() > 0);
}
