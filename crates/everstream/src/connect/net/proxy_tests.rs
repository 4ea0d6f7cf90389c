use super::*;

fn parsed(text: &str) -> Proxy {
    Proxy::parse(text).unwrap()
}

#[test]
fn proxy_urls_are_parsed_with_default_schemes_and_ports() {
    for (text, kind, shown) in [
        ("http://proxy.test:3128", ProxyKind::Http, "proxy.test:3128"),
        ("HTTP://Proxy.test", ProxyKind::Http, "proxy.test:80"),
        (
            "http://proxy.test:80/path?x",
            ProxyKind::Http,
            "proxy.test:80",
        ),
        ("proxy.test:3128", ProxyKind::Http, "proxy.test:3128"),
        ("localhost", ProxyKind::Http, "localhost:80"),
        ("https://proxy.test", ProxyKind::Https, "proxy.test:443"),
        ("https://[::1]:80", ProxyKind::Https, "[::1]:80"),
    ] {
        let proxy = parsed(text);
        assert_eq!((proxy.kind, &*proxy.to_string()), (kind, shown), "{text}");
        assert!(proxy.authorization.is_none(), "{text}");
    }
}

#[cfg(feature = "socks")]
#[test]
fn socks_urls_have_their_own_default_port_and_normalized_hosts() {
    use super::super::socks::Version;

    for (text, version, host, port) in [
        ("socks4://127.0.0.1", Version::V4, "127.0.0.1", 1080),
        (
            "socks4a://Bücher.test",
            Version::V4a,
            "xn--bcher-kva.test",
            1080,
        ),
        ("socks5://[::1]:80", Version::V5, "[::1]", 80),
        ("SOCKS5H://a.test:443", Version::V5h, "a.test", 443),
    ] {
        let proxy = parsed(text);
        assert_eq!(proxy.kind, ProxyKind::Socks(version), "{text}");
        assert_eq!(proxy.host, Host::parse(host).unwrap(), "{text}");
        assert_eq!(proxy.port, port, "{text}");
    }
}

#[test]
fn credentials_are_decoded_and_never_printed() {
    for (text, user, password, header) in [
        (
            "http://me:p%40ss@a.test",
            "me",
            "p@ss",
            "Basic bWU6cEBzcw==",
        ),
        ("http://me@a.test", "me", "", "Basic bWU6"),
        ("http://:x@a.test", "", "x", "Basic Ong="),
    ] {
        let proxy = parsed(text);
        let credentials = Some((user.to_owned(), password.to_owned()));
        assert_eq!(proxy.credentials, credentials, "{text}");
        let authorization = proxy.authorization.clone().unwrap();
        assert_eq!(authorization, header);
        assert!(authorization.is_sensitive());
        let shown = format!("{proxy} {proxy:?}");
        assert!(
            !shown.contains(header) && !shown.contains("p@ss"),
            "{shown}"
        );
    }
}

#[test]
fn invalid_proxy_urls_are_config_errors_that_do_not_reveal_the_password() {
    for bad in [
        "",
        "http://",
        "http://user:hunter2@",
        "http://user:hunter2@a b/",
        "http://user:hunter2@proxy.test:99999",
        "ftp://user:hunter2@proxy.test",
        "user:hunter2",
        "socks6://user:hunter2@proxy.test",
        "socks5://user:hunter2@",
        "socks5://user:hunter2@a%20b",
    ] {
        let error = Proxies::new(Some(Some(bad)), None).err();
        let Some(
            error @ Error::Config {
                setting: "proxy", ..
            },
        ) = error
        else {
            panic!("{bad}: {error:?}");
        };
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[cfg(not(feature = "socks"))]
#[test]
fn without_the_socks_feature_socks_is_an_unknown_scheme() {
    let problem = Proxy::parse("socks5://proxy.test").unwrap_err();
    assert_eq!(problem, "the scheme isn't one of http, https");
}

#[test]
fn user_names_with_a_colon_are_refused() {
    let colon = ("a:b".to_owned(), String::new());
    let proxies = Proxies::new(Some(None), None).unwrap();
    let error = proxies.with_credentials(Some(&colon)).err().unwrap();
    assert!(error.to_string().contains("colon"), "{error}");
}

#[test]
fn an_explicit_proxy_applies_to_every_url_and_no_proxy_to_none() {
    let one = Proxies::new(Some(Some("http://proxy.test")), None).unwrap();
    let none = Proxies::new(Some(None), None).unwrap();
    for url in ["http://localhost/", "https://192.0.2.1/"] {
        let url = Url::parse(url).unwrap();
        let chosen = one.choose(&url).unwrap().unwrap();
        assert_eq!(chosen.to_string(), "proxy.test:80");
        assert!(none.choose(&url).unwrap().is_none());
    }
}

#[test]
fn an_explicit_proxy_is_bypassed_for_listed_hosts() {
    let list = "feed.test, 192.0.2.0/24";
    let one = Proxies::new(Some(Some("http://proxy.test")), Some(list)).unwrap();
    for (url, direct) in [
        ("http://feed.test/", true),
        ("https://a.feed.test/", true),
        ("http://192.0.2.9/", true),
        ("http://other.test/", false),
    ] {
        let chosen = one.choose(&Url::parse(url).unwrap()).unwrap();
        assert_eq!(chosen.is_none(), direct, "{url}");
    }
}

#[cfg(feature = "system-proxy")]
mod environment {
    use super::super::super::tests::in_child;
    use super::*;

    /// Returns the proxies that a process with these variables chooses for the URLs.
    fn chosen_by_child(variables: &[(&str, &str)], urls: &[&str]) -> Vec<String> {
        let list = urls.join(" ");
        let variables = [variables, &[("EVERSTREAM_TEST_URLS", &*list)]].concat();
        let child = concat!(module_path!(), "::child_chooses");
        let output = in_child(child, &variables);
        let lines = output
            .lines()
            .filter_map(|line| line.strip_prefix("CHOSE "));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        assert_eq!(lines.len(), urls.len(), "{output}");
        lines
    }

    #[test]
    #[ignore = "for a child process"]
    fn child_chooses() {
        let direct = std::env::var("EVERSTREAM_TEST_DIRECT").ok();
        let user = std::env::var("EVERSTREAM_TEST_USER").ok();
        let credentials = user.map(|user| (user, "secret".to_owned()));
        let proxies = Proxies::new(None, direct.as_deref()).unwrap();
        let proxies = proxies.with_credentials(credentials.as_ref()).unwrap();
        println!();
        for url in std::env::var("EVERSTREAM_TEST_URLS").unwrap().split(' ') {
            match proxies.choose(&Url::parse(url).unwrap()) {
                Ok(None) => println!("CHOSE -"),
                Ok(Some(proxy)) => {
                    let authorization = proxy.authorization.as_ref();
                    let shown = authorization.map_or("-", |value| value.to_str().unwrap());
                    println!("CHOSE {proxy} {shown}");
                }
                Err(error) => println!("CHOSE error: {error}"),
            }
        }
    }

    #[test]
    fn environment_proxies_get_the_configured_credentials() {
        let variables = [
            ("http_proxy", "http://me:p%40ss@a.test:1"),
            ("HTTPS_PROXY", "b.test:2"),
            ("EVERSTREAM_TEST_USER", "you"),
        ];
        assert_eq!(
            chosen_by_child(&variables, &["http://x.test/", "https://x.test/"]),
            [
                "a.test:1 Basic eW91OnNlY3JldA==",
                "b.test:2 Basic eW91OnNlY3JldA==",
            ]
        );
    }

    #[test]
    fn environment_proxies_depend_on_the_scheme() {
        let variables = [
            ("http_proxy", "http://me:p%40ss@a.test:1"),
            ("HTTPS_PROXY", "b.test:2"),
        ];
        assert_eq!(
            chosen_by_child(
                &variables,
                &["http://x.test/", "https://x.test/", "http://a{b/"]
            ),
            [
                "a.test:1 Basic bWU6cEBzcw==",
                "b.test:2 -",
                "a.test:1 Basic bWU6cEBzcw==",
            ]
        );
    }

    #[test]
    fn no_proxy_is_applied_to_names_addresses_and_ports() {
        let variables = |list| [("all_proxy", "http://p.test"), ("no_proxy", list)];
        let through = "p.test:80 -";
        assert_eq!(
            chosen_by_child(&variables("*"), &["http://127.0.0.1/", "https://x.test/"]),
            ["-", "-"]
        );
        assert_eq!(
            chosen_by_child(
                &variables("x.test, 10.0.0.0/8, y.test:8080"),
                &[
                    "http://sub.x.test/",
                    "http://10.1.2.3/",
                    "http://y.test:8080/",
                    "http://y.test/",
                    "http://[::1]/",
                ]
            ),
            ["-", "-", "-", through, through]
        );
    }

    #[test]
    fn no_proxy_for_replaces_no_proxy_of_the_environment() {
        let variables = |direct| {
            [
                ("all_proxy", "http://p.test"),
                ("no_proxy", "x.test"),
                ("EVERSTREAM_TEST_DIRECT", direct),
            ]
        };
        let (through, urls) = ("p.test:80 -", ["http://x.test/", "http://y.test/"]);
        assert_eq!(chosen_by_child(&variables("y.test"), &urls), [through, "-"]);
        assert_eq!(chosen_by_child(&variables(""), &urls), [through, through]);
    }

    /// In CGI, `HTTP_PROXY` is a header chosen by the client (CVE-2016-5385).
    #[test]
    fn cgi_programs_ignore_environment_proxies() {
        let variables = [
            ("HTTP_PROXY", "http://evil.test"),
            ("REQUEST_METHOD", "GET"),
        ];
        assert_eq!(chosen_by_child(&variables, &["http://x.test/"]), ["-"]);
        assert_eq!(
            chosen_by_child(&variables[..1], &["http://x.test/"]),
            ["evil.test:80 -"]
        );
    }

    #[test]
    fn a_socks_proxy_is_used_or_reported_as_unsupported() {
        let variables = [("ALL_PROXY", "socks5h://me:pw@p.test")];
        let expected = match cfg!(feature = "socks") {
            true => "p.test:1080 Basic bWU6cHc=".to_owned(),
            false => "error: the setting proxy can't be used: the proxy of the environment \
                 or the system: the scheme isn't one of http, https"
                .to_owned(),
        };
        assert_eq!(chosen_by_child(&variables, &["http://x.test/"]), [expected]);
    }

    #[test]
    fn without_variables_there_is_no_proxy() {
        assert_eq!(chosen_by_child(&[], &["http://x.test/"]), ["-"]);
    }
}
