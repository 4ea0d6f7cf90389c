//! Request options, as in curl.

use std::io::{Read, Write};
use std::process::Stdio;

use everstream_testing::{Reply, Request, Server};

use crate::common::{Folder, Running, everstream};

/// The request that these options produce.
pub(crate) fn asked(options: &[&str]) -> Request {
    asked_with(options, &[], "")
}

pub(crate) fn asked_with(options: &[&str], environment: &[(&str, &str)], stdin: &str) -> Request {
    let server = Server::start();
    server.otherwise(Reply::status(204));
    let url = server.url("/feed");
    let mut child = everstream([&*url].into_iter().chain(options.iter().copied()))
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    server.requests().remove(0)
}

/// The error of an invalid command line.
pub(crate) fn refused(options: &[&str]) -> String {
    let url = "http://localhost/";
    let (code, stderr) = Running::follow([url].into_iter().chain(options.iter().copied())).end();
    assert_eq!(code, 2, "{stderr}");
    stderr
}

#[test]
fn a_body_makes_it_a_post_with_curls_content_type() {
    let request = asked(&["-d", "a=1", "--data", "b=2"]);
    assert_eq!(request.method, "POST");
    assert_eq!(request.body, b"a=1&b=2");
    assert_eq!(
        request.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    let request = asked(&["--json", r#"{"stream": true}"#]);
    assert_eq!(request.method, "POST");
    assert_eq!(request.body, br#"{"stream": true}"#);
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("accept"), Some("text/event-stream"));
    let request = asked(&["-X", "REPORT", "-d", "x", "-H", "Content-Type: text/plain"]);
    assert_eq!(request.method, "REPORT");
    assert_eq!(request.header("content-type"), Some("text/plain"));
}

#[test]
fn a_body_is_read_from_a_file_or_standard_input() {
    let folder = Folder::new("body");
    let file = folder.file("body", "one\r\ntwo\n");
    let file = format!("@{}", file.display());
    assert_eq!(asked(&["-d", &file]).body, b"onetwo");
    assert_eq!(asked(&["--data-binary", &file]).body, b"one\r\ntwo\n");
    assert_eq!(asked(&["--json", &file]).body, b"one\r\ntwo\n");
    assert_eq!(asked_with(&["-d", "@-"], &[], "in\n").body, b"in");
    let stderr = refused(&["-d", "@/no/such/file"]);
    assert!(
        stderr.contains("/no/such/file can't be read: No such"),
        "{stderr}"
    );
}

#[test]
fn headers_are_read_from_a_file() {
    let folder = Folder::new("headers");
    let file = folder.file("headers", "X-One: 1\n\n  X-Two:2\r\n");
    let request = asked(&["-H", &format!("@{}", file.display()), "-A", "me/1"]);
    assert_eq!(request.header("x-one"), Some("1"));
    assert_eq!(request.header("x-two"), Some("2"));
    assert_eq!(request.header("user-agent"), Some("me/1"));
    let file = folder.file("bad", "X-One: 1\nsecret\n");
    let stderr = refused(&["-H", &format!("@{}", file.display())]);
    assert!(stderr.contains("line 2 of"), "{stderr}");
    let nul = folder.file("nul", "X-One: a\0b\n");
    let told = refused(&["-H", &format!("@{}", nul.display())]);
    assert!(told.contains("control characters in its value"), "{told}");
    assert!(!stderr.contains("secret"), "{stderr}");
}

#[test]
fn credentials_are_read_from_the_command_line_or_the_environment() {
    let basic = |request: Request| request.header("authorization").map(str::to_owned);
    assert_eq!(
        basic(asked(&["-u", "me:a:b"])),
        Some("Basic bWU6YTpi".to_owned())
    );
    let password = ("EVERSTREAM_PASSWORD", "a:b\n");
    assert_eq!(
        basic(asked_with(&["-u", "me"], &[password], "")),
        Some("Basic bWU6YTpi".to_owned())
    );
    let token = ("MY_TOKEN", "t0ken");
    assert_eq!(
        basic(asked_with(&["--bearer-env", "MY_TOKEN"], &[token], "")),
        Some("Bearer t0ken".to_owned())
    );
    // A missing password is asked for on a terminal.
    let stderr = refused(&["--bearer-env", "NOT_SET"]);
    assert!(stderr.contains("isn't set"), "{stderr}");
    assert!(
        stderr.contains("hint: it takes the name of a variable"),
        "{stderr}"
    );
}

#[test]
fn resolve_overrides_dns() {
    let server = Server::start();
    server.otherwise(Reply::status(204));
    let port = server.addr().port();
    let url = format!("http://feed.invalid:{port}/");
    let resolve = format!("feed.invalid:{port}:127.0.0.1");
    let follower = Running::follow([&*url, "-x", "", "--resolve", &resolve]);
    assert_eq!(follower.end().0, 4);
    let stderr = refused(&["--resolve", "feed.invalid:127.0.0.1"]);
    assert!(
        stderr.contains("--resolve example.com:443:127.0.0.1"),
        "{stderr}"
    );
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_followed() {
    use std::io::{BufRead, BufReader};
    let folder = Folder::new("socket");
    let path = folder.path("s");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let wire = Reply::stream()
        .event("hello")
        .close_delimited()
        .wire_bytes();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let head = BufReader::new(&stream).lines().map(Result::unwrap);
        let head: Vec<String> = head.take_while(|line| !line.is_empty()).collect();
        (&stream).write_all(&wire).unwrap();
        head
    });
    let path = path.to_str().unwrap();
    let args = [
        "http://localhost/x",
        "--unix-socket",
        path,
        "--no-reconnect",
    ];
    let mut follower = Running::follow(args);
    assert_eq!(follower.wait().code(), Some(0));
    assert!(follower.out.all()[0].contains("hello"));
    assert_eq!(server.join().unwrap()[0], "GET /x HTTP/1.1");
}

#[test]
fn max_redirs_limits_redirects() {
    let server = Server::start();
    server.enqueue(Reply::redirect(307, "/b"));
    server.otherwise(Reply::status(204));
    assert_eq!(Running::follow([&*server.url("/"), "-L"]).end().0, 4);
    server.enqueue(Reply::redirect(307, "/b"));
    let (code, stderr) = Running::follow([&*server.url("/"), "--max-redirs", "0"]).end();
    assert_eq!(code, 3);
    assert!(
        stderr.contains("exceeded the limit of 0 redirects"),
        "{stderr}"
    );
}

#[test]
fn the_proxy_is_used() {
    let proxy = Server::start();
    proxy.otherwise(Reply::status(204));
    let url = proxy.url("");
    assert_eq!(
        Running::follow(["http://feed.invalid/x", "-x", &url])
            .end()
            .0,
        4
    );
    assert_eq!(proxy.requests()[0].target, "http://feed.invalid/x");
}

#[test]
fn proxy_credentials_are_sent_to_the_proxy_only() {
    for (options, expected) in [
        (&["-U", "me:p@ss:w"][..], Some("Basic bWU6cEBzczp3")),
        (&["--proxy-user", "me:"], Some("Basic bWU6")),
        (&[], None),
    ] {
        let proxy = Server::start();
        proxy.otherwise(Reply::status(204));
        let args = ["http://feed.invalid/x", "-x", &proxy.url("")];
        let args = args.into_iter().chain(options.iter().copied());
        assert_eq!(Running::follow(args).end().0, 4);
        let request = &proxy.requests()[0];
        assert_eq!(request.header("proxy-authorization"), expected);
        assert_eq!(request.header("authorization"), None);
    }
    // They replace those of the URL, and also apply to the proxy of the environment.
    let proxy = Server::start();
    proxy.otherwise(Reply::status(204));
    let url = proxy.url("").replace("//", "//you:x@");
    let mut command = everstream(["http://feed.invalid/x", "--proxy-user", "me:p@ss:w"]);
    command.env("http_proxy", &url);
    assert_eq!(Running::start(command).end().0, 4);
    let args = ["http://feed.invalid/x", "-x", &*url, "-U", "me:p@ss:w"];
    assert_eq!(Running::follow(args).end().0, 4);
    for request in proxy.requests() {
        let expected = Some("Basic bWU6cEBzczp3");
        assert_eq!(request.header("proxy-authorization"), expected);
    }
}

#[test]
fn noproxy_bypasses_the_proxy() {
    let (server, proxy) = (Server::start(), Server::start());
    server.otherwise(Reply::status(204));
    proxy.otherwise(Reply::status(204));
    let url = format!("http://feed.invalid:{}/", server.addr().port());
    let resolve = "feed.invalid:1:127.0.0.1";
    let end = |list: &str| {
        let mut command = everstream([&*url, "--resolve", resolve, "--noproxy", list]);
        // The environment variable is ignored.
        command.env("http_proxy", proxy.url(""));
        command.env("no_proxy", "feed.invalid");
        Running::start(command).end().0
    };
    assert_eq!(end("other.test, feed.invalid"), 4);
    assert_eq!((server.request_count(), proxy.request_count()), (1, 0));
    assert_eq!(end("*"), 4);
    assert_eq!((server.request_count(), proxy.request_count()), (2, 0));
    assert_eq!(end("other.test"), 4);
    assert_eq!((server.request_count(), proxy.request_count()), (2, 1));
    let args = [
        &*url,
        "--resolve",
        resolve,
        "-x",
        &proxy.url(""),
        "--noproxy",
        "feed.invalid",
    ];
    assert_eq!(Running::follow(args).end().0, 4);
    assert_eq!((server.request_count(), proxy.request_count()), (3, 1));
}

#[test]
fn ipv4_and_ipv6_select_the_address_family() {
    let server = Server::start();
    server.otherwise(Reply::status(204));
    let url = server.url("/");
    assert_eq!(Running::follow([&*url, "-6", "-4"]).end().0, 4);
    for option in ["-6", "--ipv6"] {
        let (code, stderr) = Running::follow([&*url, option, "--no-reconnect"]).end();
        assert_eq!(code, 5, "{stderr}");
        assert!(
            stderr.contains("127.0.0.1: it has no IPv6 address"),
            "{stderr}"
        );
    }
    assert_eq!(server.request_count(), 1);
}

/// The request that a SOCKS proxy receives, after the greeting of version 5.
fn asked_of_socks(options: impl Fn(&str) -> Vec<String>) -> Vec<u8> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let proxy = std::thread::spawn(move || {
        let mut client = listener.accept().unwrap().0;
        let mut bytes = [0; 256];
        let mut length = client.read(&mut bytes).unwrap();
        if bytes[0] == 5 {
            client.write_all(&[5, 0]).unwrap();
            length = client.read(&mut bytes).unwrap();
        }
        bytes[..length].to_vec()
    });
    let options = options(&address);
    let args = [
        "http://feed.test/",
        "--resolve",
        "feed.test:80:10.0.0.9",
        "--no-reconnect",
    ];
    let args = args.into_iter().chain(options.iter().map(String::as_str));
    assert_eq!(Running::follow(args).end().0, 5);
    proxy.join().unwrap()
}

#[test]
fn socks_proxies_are_used_in_their_version() {
    let address = [10, 0, 0, 9];
    let asked =
        |option: &'static str| asked_of_socks(|proxy| vec![option.to_owned(), proxy.to_owned()]);
    let bytes = asked("--socks4");
    assert_eq!((bytes[0], &bytes[4..8]), (4, &address[..]));
    let bytes = asked("--socks4a");
    assert_eq!((bytes[0], &bytes[4..7]), (4, &[0, 0, 0][..]));
    assert!(bytes.windows(9).any(|part| part == b"feed.test"));
    let bytes = asked("--socks5");
    assert_eq!((bytes[0], bytes[3], &bytes[4..8]), (5, 1, &address[..]));
    let bytes = asked("--socks5-hostname");
    assert_eq!(
        (bytes[0], bytes[3], &bytes[5..14]),
        (5, 3, &b"feed.test"[..])
    );
    // The last option wins.
    let bytes = asked_of_socks(|proxy| {
        [
            "-x",
            "http://none.invalid",
            "--socks5",
            "none.invalid",
            "--socks4",
            proxy,
        ]
        .map(str::to_owned)
        .to_vec()
    });
    assert_eq!(bytes[0], 4);
}

#[test]
fn any_content_type_accepts_every_content_type() {
    let server = Server::start();
    let plain = Reply::stream().header("Content-Type", "text/plain");
    server.otherwise(plain.event("x").stall());
    let url = server.url("/");
    assert_eq!(Running::follow([&*url, "--no-reconnect"]).end().0, 3);
    let args = [&*url, "--any-content-type", "--count", "1"];
    assert_eq!(Running::follow(args).end().0, 0);
}

#[test]
fn http_version_options_select_the_version() {
    assert_eq!(asked(&["--http1.1"]).version, "HTTP/1.1");
    let server = Server::start();
    // It starts with "PRI * HTTP/2.0", which this server doesn't understand.
    let follower = Running::follow([
        &*server.url("/"),
        "--http2-prior-knowledge",
        "--no-reconnect",
    ]);
    assert_ne!(follower.end().0, 4);
    assert_eq!(server.request_count(), 0);
    // The last option wins, as in curl.
    let options = ["--http2-prior-knowledge", "--http2", "--http1.1"];
    assert_eq!(asked(&options).version, "HTTP/1.1");
}

#[test]
fn read_timeout_drops_a_silent_stream() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x").stall());
    let options = ["--read-timeout", "2s", "--no-reconnect"];
    let url = server.url("/");
    let (code, stderr) = Running::follow([&*url].into_iter().chain(options)).end();
    assert_eq!(code, 7, "{stderr}");
    let expected = "no data received for 2 s (--read-timeout)";
    assert!(stderr.contains(expected), "{stderr}");
    server.otherwise(Reply::raw("").stall());
    let (code, stderr) = Running::follow([&*url].into_iter().chain(options)).end();
    assert_eq!(code, 7, "{stderr}");
    let expected = "no response within 2 s (--read-timeout)";
    assert!(stderr.contains(expected), "{stderr}");
}

#[test]
fn connect_timeout_limits_connecting() {
    // The backlog accepts, and no TLS handshake follows.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let args = [&*url, "--connect-timeout", "0.3", "--max-attempts", "1"];
    let (code, stderr) = Running::follow(args).end();
    assert_eq!(code, 5, "{stderr}");
    assert!(
        stderr.contains("could not connect within 300 ms"),
        "{stderr}"
    );
    assert!(
        stderr.contains("--connect-timeout waits longer"),
        "{stderr}"
    );
}
