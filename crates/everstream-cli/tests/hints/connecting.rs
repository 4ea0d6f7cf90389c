//! Hints about connections: limits, silence, host and port, protocols, proxies.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use everstream_testing::{Reply, Request, Server};

use super::{answers, end, fails, has, works};
use crate::certs::{Authority, Validity};
use crate::tls_server::TlsServer;

#[test]
fn raising_the_reached_limit_helps() {
    let server = Server::start();
    let fail = || server.enqueue(Reply::on_accept().drop_connection());
    server.otherwise(Reply::stream().event("x").stall());
    let quick = ["--retry-delay", "1ms"];
    fail();
    fail();
    let hint = "to retry for longer, raise --max-attempts; everstream check examines the server";
    let options = [&quick[..], &["--max-attempts", "2"]].concat();
    let stderr = fails(&server.url("/"), &options, 8, hint);
    let error = "error: gave up because of --max-attempts: the server closed the connection before \
                 responding\n";
    assert!(stderr.contains(error), "{stderr}");
    fail();
    fail();
    works(
        &server.url("/"),
        &[&quick[..], &["--max-attempts", "3"]].concat(),
    );
    // The hint names the option that was used.
    fail();
    fail();
    let hint = "to retry for longer, raise --retry; everstream check examines the server";
    let options = [&quick[..], &["--retry", "1"]].concat();
    let stderr = fails(&server.url("/"), &options, 8, hint);
    assert!(stderr.contains("gave up because of --retry: "), "{stderr}");
    fail();
    fail();
    works(&server.url("/"), &[&quick[..], &["--retry", "2"]].concat());
    fail();
    fails(
        &server.url("/"),
        &["--retry", "0"],
        8,
        "--retry 0 prevents reconnecting",
    );
    fail();
    works(&server.url("/"), &quick);
    // A permanent error isn't blamed on the limit.
    let refused = answers(|_| false, Reply::status(404));
    let (_, stderr) = end(&refused.url("/"), &["--max-attempts", "1"]);
    assert!(!stderr.contains("larger"), "{stderr}");
}

#[test]
fn hints_about_silence_and_broken_connections_help() {
    let server = Server::start();
    server.otherwise(
        Reply::stream()
            .event("x")
            .pause(std::time::Duration::from_secs(3))
            .event("y")
            .stall(),
    );
    let hint = "the server sent nothing for longer than --read-timeout, or the connection is dead: try a \
                longer --read-timeout";
    let once = |timeout| ["--no-reconnect", "--read-timeout", timeout, "--count", "2"];
    fails(&server.url("/"), &once("1s"), 7, hint);
    assert_eq!(end(&server.url("/"), &once("30s")).0, 0);

    let server = Server::start();
    server.enqueue(Reply::stream().retry(1).event("x").drop_connection());
    server.enqueue(Reply::stream().retry(1).event("x").drop_connection());
    server.otherwise(Reply::stream().event("y").stall());
    let hint = "--no-reconnect prevents reconnecting";
    fails(&server.url("/"), &["--no-reconnect"], 8, hint);
    assert_eq!(end(&server.url("/"), &["--count", "2"]).0, 0);
}

#[test]
fn hints_about_content_coding_and_redirects_help() {
    let is_plain = |request: &Request| has(request, "accept-encoding", "identity");
    let server = answers(
        is_plain,
        Reply::stream().header("Content-Encoding", "compress").end(),
    );
    let hint = "request an uncompressed response: -H 'Accept-Encoding: identity'";
    fails(&server.url("/"), &[], 3, hint);
    works(&server.url("/"), &["-H", "Accept-Encoding: identity"]);

    let target = answers(|_| true, Reply::status(404));
    let gate = Server::start();
    gate.otherwise(Reply::redirect(307, target.url("/")));
    let hint = "use the URL that the redirects lead to, or raise --max-redirs; if they form a loop, check \
                the URL and the server";
    fails(&gate.url("/"), &["--max-redirs", "0"], 3, hint);
    works(&target.url("/"), &["--max-redirs", "0"]);
    works(&gate.url("/"), &["--max-redirs", "1"]);

    let hint = "the server's redirect is wrong: check the URL, and the Location header that the server sends";
    for location in ["ftp://localhost/", "http://"] {
        let wrong = Server::start();
        wrong.otherwise(Reply::redirect(307, location));
        let stderr = fails(&wrong.url("/"), &[], 3, hint);
        assert!(stderr.contains("redirects (307)"), "{stderr}");
        wrong.otherwise(Reply::redirect(307, target.url("/")));
        works(&wrong.url("/"), &[]);
    }
}

#[test]
fn hints_about_host_port_and_scheme_help() {
    let server = answers(|_| true, Reply::status(404));
    let port = server.addr().port();
    let once = ["-x", "", "--max-attempts", "1"];
    let hint = "check the host name; --resolve HOST:PORT:ADDRESS skips the DNS lookup";
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
    let hint = "nothing listens there: check the host and port, and that the server is running";
    fails(&server.url("/"), &once, 5, hint);
    server.restart().unwrap();
    works(&server.url("/"), &[]);
}

#[test]
fn a_server_without_http2_is_used_without_it() {
    let server = answers(|_| true, Reply::status(404));
    let hint = "try HTTP/1.1, without --http2-prior-knowledge";
    let once = ["--http2-prior-knowledge", "--max-attempts", "1"];
    let (code, stderr) = end(&server.url("/"), &once);
    assert!([5, 8].contains(&code), "{stderr}");
    assert!(
        stderr.contains(hint) && stderr.contains("doesn't speak HTTP/2"),
        "{stderr}"
    );
    works(&server.url("/"), &[]);
    // Over TLS, with a server that negotiates its protocol, and one that doesn't.
    let authority = Authority::new();
    for protocols in [&["http/1.1"][..], &[]] {
        let leaf = authority.server(&["localhost"], Validity::Now);
        let tls = TlsServer::start(leaf.config(protocols), &server);
        let (_, stderr) = end(&tls.url("/"), &[&once[..], &["-k"]].concat());
        assert!(stderr.contains(hint), "{stderr}");
        works(&tls.url("/"), &["-k"]);
    }
}

/// A proxy that requires these credentials, and otherwise offers `scheme`. `None`: no credentials.
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
        // The server accepts the absolute URL like a path.
        _ = server.write_all(head.as_bytes());
    }
    let (mut from, mut back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut from, &mut server));
    _ = std::io::copy(&mut back, &mut client);
}

#[test]
fn hints_about_proxy_credentials_help() {
    let server = answers(|_| true, Reply::status(404));
    let leaf = Authority::new().server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["http/1.1"]), &server);
    let missing = "send credentials to the proxy: -U USER:PASSWORD (--proxy-user)";
    let rejected = "check the user and password in -x; special characters must be percent-encoded (@ is \
                    %40)";
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
        let stderr = fails(&url, &["-k", "-x", &plain], code, missing);
        assert!(stderr.contains("407"), "{stderr}");
        let stderr = fails(&url, &["-k", "-x", &wrong], code, rejected);
        assert!(
            stderr.contains("407") && !stderr.contains("me:p"),
            "{stderr}"
        );
        works(&url, &["-k", "-x", &right]);
        works(&url, &["-k", "-x", &plain, "-U", "me:p@w"]);
        let with = |user| ["-k", "-x", &*plain, "--proxy-user", user];
        let rejected = "check the user and password of --proxy-user";
        fails(&url, &with("me:p"), code, rejected);
        works(&url, &with("me:p@w"));
    }
    let hint = "use a local proxy that supports this, such as cntlm, with -x";
    let windows = format!("http://{}", proxy(secret, "Negotiate", tls_addr));
    let stderr = fails(&tls.url("/"), &["-k", "-x", &windows], 5, hint);
    assert!(
        stderr.contains("requires Negotiate authentication, which is not supported"),
        "{stderr}"
    );
    let local = format!("http://{}", proxy(None, "", tls_addr));
    works(&tls.url("/"), &["-k", "-x", &local]);
}

#[test]
fn hints_about_unusable_proxies_help() {
    let server = answers(|_| true, Reply::status(404));
    let once = ["--max-attempts", "1"];
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let hint = "nothing listens at the proxy's address: check -x, http_proxy and https_proxy; \
                -x \"\" connects without a proxy";
    let options = [&once[..], &["-x", &nobody]].concat();
    fails(&server.url("/"), &options, 5, hint);
    works(&server.url("/"), &["-x", ""]);

    let leaf = Authority::new().server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["http/1.1"]), &server);
    let refusing = answers(|_| false, Reply::status(403));
    let refusing = format!("http://{}", refusing.addr());
    let hint =
        "check the proxy, and that it allows connections to this host; -x \"\" connects without it";
    let options = [&once[..], &["-k", "-x", &refusing]].concat();
    fails(&tls.url("/"), &options, 5, hint);
    works(&tls.url("/"), &["-k", "-x", ""]);
}

/// The first connection is never answered.
#[test]
fn a_longer_connect_timeout_helps_with_a_slow_server() {
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
        // Until the client gives up.
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
    let hint = "check the host, the port and firewalls in between; a longer --connect-timeout waits longer";
    let stderr = fails(&url, &[&options[..], &["300ms"]].concat(), 5, hint);
    assert!(
        stderr.contains("could not connect within 300 ms"),
        "{stderr}"
    );
    waits.recv().unwrap();
    works(&url, &[&options[..], &["60s"]].concat());
}

#[cfg(unix)]
#[test]
fn the_hint_about_a_unix_socket_helps() {
    let folder = crate::common::Folder::new("hint-socket");
    let path = folder.path("socket");
    let path = path.to_str().unwrap();
    let options = ["--unix-socket", path, "--max-attempts", "1"];
    let hint = "no server listens on this socket: check the path of --unix-socket, and that the server \
                is running";
    let stderr = fails("http://localhost/", &options, 5, hint);
    assert!(stderr.contains("doesn't exist"), "{stderr}");
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
        // The client closes first.
        _ = std::io::copy(&mut client, &mut std::io::sink());
    });
    works("http://localhost/", &options);
}
