//! What is asked for, and how: the letters of curl.

use std::io::Write;
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
    assert!(news.contains("no byte came for 300ms"), "{news}");
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
