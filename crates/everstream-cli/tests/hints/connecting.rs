//! Hints about connections: limits, silence, host and port, protocols, proxies.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use everstream_testing::{Reply, Request, Server};

use super::{answers, end, fails, has, works};
use crate::certs::{Authority, Validity};
use crate::tls_server::TlsServer;

#[test]
fn a_limit_of_attempts_that_was_reached_is_raised() {
    let server = Server::start();
    let fail = || server.enqueue(Reply::on_accept().drop_connection());
    server.otherwise(Reply::stream().event("x").stall());
    let quick = ["--retry-delay", "1ms"];
    fail();
    fail();
    let hint = "a larger --max-attempts tries for longer; everstream check examines the server";
    let options = [&quick[..], &["--max-attempts", "2"]].concat();
    let news = fails(&server.url("/"), &options, 8, hint);
    let error = "error: gave up because of --max-attempts: the server closed the connection before \
                 responding\n";
    assert!(news.contains(error), "{news}");
    fail();
    fail();
    works(
        &server.url("/"),
        &[&quick[..], &["--max-attempts", "3"]].concat(),
    );
    // The option is the one that was used.
    fail();
    fail();
    let hint = "a larger --retry tries for longer; everstream check examines the server";
    let options = [&quick[..], &["--retry", "1"]].concat();
    let news = fails(&server.url("/"), &options, 8, hint);
    assert!(news.contains("gave up because of --retry: "), "{news}");
    fail();
    fail();
    works(&server.url("/"), &[&quick[..], &["--retry", "2"]].concat());
    fail();
    fails(
        &server.url("/"),
        &["--retry", "0"],
        8,
        "--retry 0 keeps it from connecting again",
    );
    fail();
    works(&server.url("/"), &quick);
    // A setting that can't be right isn't blamed on the limit.
    let refused = answers(|_| false, Reply::status(404));
    let (_, news) = end(&refused.url("/"), &["--max-attempts", "1"]);
    assert!(!news.contains("larger"), "{news}");
}

#[test]
fn silence_and_a_broken_connection_are_survived() {
    let server = Server::start();
    server.otherwise(
        Reply::stream()
            .event("x")
            .pause(std::time::Duration::from_millis(300))
            .event("y")
            .stall(),
    );
    let hint = "the server was silent for longer than --read-timeout, or the connection is dead: a \
                longer --read-timeout waits longer";
    let once = |timeout| ["--no-reconnect", "--read-timeout", timeout, "--count", "2"];
    fails(&server.url("/"), &once("50ms"), 7, hint);
    assert_eq!(end(&server.url("/"), &once("30s")).0, 0);

    let server = Server::start();
    server.enqueue(Reply::stream().retry(1).event("x").drop_connection());
    server.enqueue(Reply::stream().retry(1).event("x").drop_connection());
    server.otherwise(Reply::stream().event("y").stall());
    let hint = "--no-reconnect keeps it from connecting again";
    fails(&server.url("/"), &["--no-reconnect"], 8, hint);
    assert_eq!(end(&server.url("/"), &["--count", "2"]).0, 0);
}

#[test]
fn codings_and_redirects_that_can_not_be_followed_are_avoided() {
    let is_plain = |request: &Request| has(request, "accept-encoding", "identity");
    let server = answers(
        is_plain,
        Reply::stream().header("Content-Encoding", "compress").end(),
    );
    let hint = "ask for plain bytes: -H 'Accept-Encoding: identity'";
    fails(&server.url("/"), &[], 3, hint);
    works(&server.url("/"), &["-H", "Accept-Encoding: identity"]);

    let target = answers(|_| true, Reply::status(404));
    let gate = Server::start();
    gate.otherwise(Reply::redirect(307, target.url("/")));
    let hint = "follow the stream at the URL where it is now";
    fails(&gate.url("/"), &["--max-redirs", "0"], 3, hint);
    works(&target.url("/"), &["--max-redirs", "0"]);
}

#[test]
fn a_server_is_found() {
    let server = answers(|_| true, Reply::status(404));
    let port = server.addr().port();
    let once = ["-x", "", "--max-attempts", "1"];
    let hint = "check the name of the host; --resolve HOST:PORT:ADDRESS goes without a look-up";
    let unknown = format!("http://feed.invalid:{port}/");
    fails(&unknown, &once, 5, hint);
    works(
        &unknown,
        &[
            "-x",
            "",
            "--resolve",
            &format!("feed.invalid:{port}:127.0.0.1"),
        ],
    );

    let hint = "the port may speak plain HTTP: try http:// instead of https://";
    let plain = Server::start();
    plain.otherwise(
        Reply::on_accept()
            .send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n")
            .drop_connection(),
    );
    fails(&plain.url("/").replace("http:", "https:"), &once, 5, hint);
    works(&plain.url("/"), &[]);

    server.stop();
    let hint = "nobody listens there: check host and port, and whether the server runs";
    fails(&server.url("/"), &once, 5, hint);
    server.restart().unwrap();
    works(&server.url("/"), &[]);
}

#[test]
fn a_server_without_http2_is_asked_without_it() {
    let server = answers(|_| true, Reply::status(404));
    let hint = "leave --http2-prior-knowledge out: HTTP/1.1 is used then";
    let once = ["--http2-prior-knowledge", "--max-attempts", "1"];
    let (code, news) = end(&server.url("/"), &once);
    assert!([5, 8].contains(&code), "{news}");
    assert!(
        news.contains(hint) && news.contains("doesn't speak HTTP/2"),
        "{news}"
    );
    works(&server.url("/"), &[]);
    // Over TLS, with a server that says which protocols it has, and one that doesn't.
    let authority = Authority::new();
    for protocols in [&["http/1.1"][..], &[]] {
        let leaf = authority.server(&["localhost"], Validity::Now);
        let tls = TlsServer::start(leaf.config(protocols), &server);
        let (_, news) = end(&tls.url("/"), &[&once[..], &["-k"]].concat());
        assert!(news.contains(hint), "{news}");
        works(&tls.url("/"), &["-k"]);
    }
}

/// A proxy that has to be given these credentials, and says how it is called otherwise. `None`:
/// anybody may use it.
fn proxy(credentials: Option<&'static str>, scheme: &'static str, to: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { return };
            std::thread::spawn(move || tunnel(client, credentials, scheme, to));
        }
    });
    addr
}

fn tunnel(mut client: TcpStream, credentials: Option<&str>, scheme: &str, to: SocketAddr) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match client.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let allowed = credentials.is_none_or(|it| {
        let expected = format!("proxy-authorization: Basic {it}\r\n");
        head.to_ascii_lowercase()
            .contains(&expected.to_ascii_lowercase())
    });
    if !allowed {
        let answer =
            format!("HTTP/1.1 407 No\r\nProxy-Authenticate: {scheme}\r\nContent-Length: 0\r\n\r\n");
        _ = client.write_all(answer.as_bytes());
        return;
    }
    let mut server = TcpStream::connect(to).unwrap();
    if head.starts_with("CONNECT ") {
        _ = client.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
    } else {
        // The absolute URL is as good as a path for the server.
        _ = server.write_all(head.as_bytes());
    }
    let (mut from, mut back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut from, &mut server));
    _ = std::io::copy(&mut back, &mut client);
}

#[test]
fn a_proxy_is_given_the_credentials_that_it_wants() {
    let server = answers(|_| true, Reply::status(404));
    let leaf = Authority::new().server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["http/1.1"]), &server);
    let missing = "give the proxy credentials: -x http://USER:PASSWORD@HOST:PORT";
    let rejected = "check user and password in -x: special characters in them are percent-encoded, \
                    @ is %40";
    // "me:p@w"
    let secret = Some("bWU6cEB3");
    let tls_addr = tls.addr();
    for (url, to, code) in [
        (tls.url("/"), tls_addr, 5),
        (
            format!("http://feed.test:{}/", server.addr().port()),
            server.addr(),
            6,
        ),
    ] {
        let basic = proxy(secret, "Basic realm=\"x\"", to);
        let (plain, wrong, right) = (
            format!("http://{basic}"),
            format!("http://me:p@{basic}"),
            format!("http://me:p%40w@{basic}"),
        );
        let news = fails(&url, &["-k", "-x", &plain], code, missing);
        assert!(news.contains("407"), "{news}");
        let news = fails(&url, &["-k", "-x", &wrong], code, rejected);
        assert!(news.contains("407") && !news.contains("me:p"), "{news}");
        works(&url, &["-k", "-x", &right]);
        let with = |user| ["-k", "-x", &*plain, "--proxy-user", user];
        let rejected = "check user and password of --proxy-user";
        fails(&url, &with("me:p"), code, rejected);
        works(&url, &with("me:p@w"));
    }
    let hint = "run a local proxy that can do this, such as cntlm, and name it with -x";
    let windows = format!("http://{}", proxy(secret, "Negotiate", tls_addr));
    let news = fails(&tls.url("/"), &["-k", "-x", &windows], 5, hint);
    assert!(
        news.contains("wants Negotiate authentication, which is not supported"),
        "{news}"
    );
    let local = format!("http://{}", proxy(None, "", tls_addr));
    works(&tls.url("/"), &["-k", "-x", &local]);
}

#[test]
fn a_proxy_that_is_of_no_use_is_left_out() {
    let server = answers(|_| true, Reply::status(404));
    let once = ["--max-attempts", "1"];
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let hint = "no proxy listens there: check -x, or the variables http_proxy and https_proxy; \
                -x \"\" connects without one";
    let options = [&once[..], &["-x", &nobody]].concat();
    fails(&server.url("/"), &options, 5, hint);
    works(&server.url("/"), &["-x", ""]);

    let leaf = Authority::new().server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["http/1.1"]), &server);
    let refusing = answers(|_| false, Reply::status(403));
    let refusing = format!("http://{}", refusing.addr());
    let hint =
        "check the proxy, and whether it may connect to this host; -x \"\" connects without one";
    let options = [&once[..], &["-k", "-x", &refusing]].concat();
    fails(&tls.url("/"), &options, 5, hint);
    works(&tls.url("/"), &["-k", "-x", ""]);
}

/// The first connection is never answered.
#[test]
fn a_server_that_is_slow_to_connect_gets_more_time() {
    let server = answers(|_| true, Reply::status(404));
    let leaf = Authority::new().server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["http/1.1"]), &server);
    let to = tls.addr();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!(
        "https://localhost:{}/",
        listener.local_addr().unwrap().port()
    );
    let (given_up, waits) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut silent = listener.accept().unwrap().0;
        // Until the client has had enough.
        _ = std::io::copy(&mut silent, &mut std::io::sink());
        given_up.send(()).unwrap();
        for mut client in listener.incoming().flatten() {
            let mut server = TcpStream::connect(to).unwrap();
            let (mut from, mut back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from, &mut server));
            std::thread::spawn(move || std::io::copy(&mut back, &mut client));
        }
    });
    let options = ["-k", "-x", "", "--max-attempts", "1", "--connect-timeout"];
    let hint =
        "check host and port, and that nothing is in between; --connect-timeout waits longer";
    let news = fails(&url, &[&options[..], &["300ms"]].concat(), 5, hint);
    assert!(news.contains("could not connect within 300ms"), "{news}");
    waits.recv().unwrap();
    works(&url, &[&options[..], &["60s"]].concat());
}

#[cfg(unix)]
#[test]
fn a_unix_socket_without_a_server_is_looked_at() {
    let folder = crate::common::Folder::new("hint-socket");
    let path = folder.path("socket");
    let path = path.to_str().unwrap();
    let options = ["--unix-socket", path, "--max-attempts", "1"];
    let hint = "no server listens there: check the path of --unix-socket, and whether the server \
                runs";
    let news = fails("http://localhost/", &options, 5, hint);
    assert!(news.contains("doesn't exist"), "{news}");
    let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
    drop(listener);
    fails("http://localhost/", &options, 5, hint);
    std::fs::remove_file(path).unwrap();
    let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        _ = client.read(&mut [0; 1024]);
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n";
        _ = client.write_all(answer.as_bytes());
        // The client ends first.
        _ = std::io::copy(&mut client, &mut std::io::sink());
    });
    works("http://localhost/", &options);
}
