//! What is asked for, and how: the letters of curl.

use std::io::{Read, Write};
use std::process::Stdio;

use everstream_testing::{Reply, Request, Server};

use crate::common::{Folder, Running, everstream};

/// What a server is asked with these options.
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
    let news = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(4), "{news}");
    server.requests().remove(0)
}

/// The code and the error of a command line that can't be used.
pub(crate) fn refused(options: &[&str]) -> String {
    let url = "http://localhost/";
    let (code, news) = Running::follow([url].into_iter().chain(options.iter().copied())).end();
    assert_eq!(code, 2, "{news}");
    news
}

#[test]
fn a_body_makes_it_a_post_with_the_type_that_curl_sends() {
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
fn a_body_comes_from_a_file_or_from_standard_input() {
    let folder = Folder::new("body");
    let file = folder.file("body", "one\r\ntwo\n");
    let file = format!("@{}", file.display());
    assert_eq!(asked(&["-d", &file]).body, b"onetwo");
    assert_eq!(asked(&["--data-binary", &file]).body, b"one\r\ntwo\n");
    assert_eq!(asked(&["--json", &file]).body, b"one\r\ntwo\n");
    assert_eq!(asked_with(&["-d", "@-"], &[], "in\n").body, b"in");
    let news = refused(&["-d", "@/no/such/file"]);
    assert!(
        news.contains("/no/such/file can't be read: No such"),
        "{news}"
    );
}

#[test]
fn headers_come_from_a_file_too() {
    let folder = Folder::new("headers");
    let file = folder.file("headers", "X-One: 1\n\n  X-Two:2\r\n");
    let request = asked(&["-H", &format!("@{}", file.display()), "-A", "me/1"]);
    assert_eq!(request.header("x-one"), Some("1"));
    assert_eq!(request.header("x-two"), Some("2"));
    assert_eq!(request.header("user-agent"), Some("me/1"));
    let file = folder.file("bad", "X-One: 1\nsecret\n");
    let news = refused(&["-H", &format!("@{}", file.display())]);
    assert!(news.contains("line 2 of"), "{news}");
    assert!(!news.contains("secret"), "{news}");
}

#[test]
fn credentials_come_from_the_command_line_or_from_the_environment() {
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
    // A password that is missing is asked for, where there is a terminal.
    let news = refused(&["--bearer-env", "NOT_SET"]);
    assert!(news.contains("isn't set"), "{news}");
    assert!(
        news.contains("hint: it takes the variable's name"),
        "{news}"
    );
}

#[test]
fn a_host_is_looked_for_where_it_is_said_to_be() {
    let server = Server::start();
    server.otherwise(Reply::status(204));
    let port = server.addr().port();
    let url = format!("http://feed.invalid:{port}/");
    let resolve = format!("feed.invalid:{port}:127.0.0.1");
    let follower = Running::follow([&*url, "-x", "", "--resolve", &resolve]);
    assert_eq!(follower.end().0, 4);
    let news = refused(&["--resolve", "feed.invalid:127.0.0.1"]);
    assert!(
        news.contains("--resolve example.com:443:127.0.0.1"),
        "{news}"
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
fn redirects_are_followed_as_often_as_is_said() {
    let server = Server::start();
    server.enqueue(Reply::redirect(307, "/b"));
    server.otherwise(Reply::status(204));
    assert_eq!(Running::follow([&*server.url("/"), "-L"]).end().0, 4);
    server.enqueue(Reply::redirect(307, "/b"));
    let (code, news) = Running::follow([&*server.url("/"), "--max-redirs", "0"]).end();
    assert_eq!(code, 3);
    assert!(news.contains("redirects once more, after 0"), "{news}");
}

#[test]
fn a_proxy_is_asked() {
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
fn credentials_of_a_proxy_are_its_own() {
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
    // They replace those of the URL, and are for the proxy of the environment too.
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
fn hosts_are_reached_without_the_proxy_if_that_is_said() {
    let (server, proxy) = (Server::start(), Server::start());
    server.otherwise(Reply::status(204));
    proxy.otherwise(Reply::status(204));
    let url = format!("http://feed.invalid:{}/", server.addr().port());
    let resolve = "feed.invalid:1:127.0.0.1";
    let end = |list: &str| {
        let mut command = everstream([&*url, "--resolve", resolve, "--noproxy", list]);
        // What the environment says doesn't count any more.
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
fn a_family_of_addresses_is_chosen() {
    let server = Server::start();
    server.otherwise(Reply::status(204));
    let url = server.url("/");
    assert_eq!(Running::follow([&*url, "-6", "-4"]).end().0, 4);
    for option in ["-6", "--ipv6"] {
        let (code, news) = Running::follow([&*url, option, "--no-reconnect"]).end();
        assert_eq!(code, 5, "{news}");
        assert!(news.contains("127.0.0.1: it has no IPv6 address"), "{news}");
    }
    assert_eq!(server.request_count(), 1);
}

/// What a SOCKS proxy is asked for, after a greeting of version 5.
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
fn a_socks_proxy_is_asked_in_its_version() {
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
    // The last one counts.
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
fn any_content_type_is_read_if_that_is_said() {
    let server = Server::start();
    let plain = Reply::stream().header("Content-Type", "text/plain");
    server.otherwise(plain.event("x").stall());
    let url = server.url("/");
    assert_eq!(Running::follow([&*url, "--no-reconnect"]).end().0, 3);
    let args = [&*url, "--any-content-type", "--count", "1"];
    assert_eq!(Running::follow(args).end().0, 0);
}

#[test]
fn the_version_of_http_is_chosen() {
    assert_eq!(asked(&["--http1.1"]).version, "HTTP/1.1");
    let server = Server::start();
    // It begins with "PRI * HTTP/2.0", which this server doesn't understand.
    let follower = Running::follow([
        &*server.url("/"),
        "--http2-prior-knowledge",
        "--no-reconnect",
    ]);
    assert_ne!(follower.end().0, 4);
    assert_eq!(server.request_count(), 0);
    // The last one counts, as in curl.
    let options = ["--http2-prior-knowledge", "--http2", "--http1.1"];
    assert_eq!(asked(&options).version, "HTTP/1.1");
}

#[test]
fn a_silent_stream_is_given_up_after_read_timeout() {
    let server = Server::start();
    server.otherwise(Reply::stream().event("x").stall());
    let options = ["--read-timeout", "300ms", "--no-reconnect"];
    let url = server.url("/");
    let (code, news) = Running::follow([&*url].into_iter().chain(options)).end();
    assert_eq!(code, 7, "{news}");
    assert!(news.contains("no data received for 300ms"), "{news}");
}

#[test]
fn a_connection_that_takes_too_long_is_given_up() {
    // Accepts by its backlog, and says nothing, as TLS would have to.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let args = [&*url, "--connect-timeout", "0.3", "--max-attempts", "1"];
    let (code, news) = Running::follow(args).end();
    assert_eq!(code, 5, "{news}");
    assert!(news.contains("could not connect within 300ms"), "{news}");
    assert!(news.contains("--connect-timeout waits longer"), "{news}");
}
