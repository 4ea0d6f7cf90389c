//! Servers that do anything but serve a stream: there is a report in time, and nothing is called broken that
//! isn't.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use everstream_check::{Check, Level, Options, Report};

use crate::run;

/// The most that these checks may take, and how much later than that a slow machine may be.
const TIME: Duration = Duration::from_secs(2);
const SLACK: Duration = Duration::from_secs(30);

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Cache-Control: no-store, no-transform\r\nConnection: close\r\n\r\n";

/// Calls this with each connection, once its request has arrived.
fn serve(address: IpAddr, answer: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    // Both end with the process.
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || {
                let mut request = [0; 4096];
                if (&connection).read(&mut request).is_ok_and(|read| read > 0) {
                    answer(connection);
                }
            });
        }
    });
    port
}

/// What the check says, and that it doesn't take too long.
#[track_caller]
fn checked(url: &str, options: Options) -> Report {
    let began = Instant::now();
    let report = run(url, options.max_time(TIME));
    assert!(began.elapsed() < TIME + SLACK, "{:?}", began.elapsed());
    report
}

#[track_caller]
fn attacked(answer: impl Fn(TcpStream) + Send + Sync + 'static) -> Report {
    let port = serve(Ipv4Addr::LOCALHOST.into(), answer);
    checked(&format!("http://127.0.0.1:{port}/"), Options::new())
}

/// The ids of the problems.
fn problems(report: &Report) -> Vec<&str> {
    report.problems().map(|finding| finding.id).collect()
}

/// Writes this until the other side has had enough.
fn repeat(mut connection: TcpStream, text: impl AsRef<[u8]>) {
    while connection.write_all(text.as_ref()).is_ok() {}
}

#[test]
fn garbage_is_no_response() {
    let report = attacked(|mut connection| {
        let garbage: Vec<u8> = (0..65_536_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        _ = connection.write_all(&garbage);
    });
    assert_eq!(problems(&report), ["reachable"]);
    // The first bytes of a TLS alert: it is an HTTPS port.
    let report =
        attacked(|mut connection| _ = connection.write_all(b"\x15\x03\x03\x00\x02\x02\x46"));
    assert_eq!(problems(&report), ["reachable"]);
}

#[test]
fn a_server_that_closes_at_once_gives_no_response() {
    let report = attacked(drop);
    assert_eq!(problems(&report), ["reachable"]);
    let finding = report.finding(Check::Reachable).unwrap();
    assert!(
        finding.observed.contains("closed the connection"),
        "{}",
        finding.observed
    );
}

#[test]
fn a_server_that_hangs_gives_no_response_in_time() {
    let report = attacked(|mut connection| _ = connection.read(&mut [0]));
    assert_eq!(problems(&report), ["reachable"]);
    let finding = report.finding(Check::Reachable).unwrap();
    assert_eq!(
        finding.observed,
        "no response within the time limit of 2.00 s"
    );
}

#[test]
fn a_head_that_never_ends_is_no_response() {
    let line = format!("X-Large: {}\r\n", "x".repeat(8000));
    let report = attacked(move |mut connection| {
        _ = connection.write_all(b"HTTP/1.1 200 OK\r\n");
        repeat(connection, &line);
    });
    assert_eq!(problems(&report), ["reachable"]);
    let report = attacked(|connection| repeat(connection, [b'x'; 8192]));
    assert_eq!(problems(&report), ["reachable"]);
    let report = attacked(|connection| repeat(connection, "HTTP/1.1 102 Processing\r\n\r\n"));
    assert_eq!(problems(&report), ["reachable"]);
}

#[test]
fn a_head_that_arrives_byte_by_byte_takes_no_longer_than_the_limit() {
    let report = attacked(|mut connection| {
        for byte in HEAD.bytes().cycle() {
            if connection.write_all(&[byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
    });
    assert_eq!(problems(&report), ["reachable"]);
}

#[test]
fn redirects_in_a_circle_are_a_redirect_problem() {
    let report = attacked(|mut connection| {
        let head =
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n";
        _ = connection.write_all(head.as_bytes());
    });
    assert_eq!(problems(&report), ["redirects"]);
    assert_eq!(report.observations.redirects, 10);
    assert_eq!(report.level(Check::Reachable), Level::Pass);
}

#[test]
fn a_stream_that_never_pauses_is_left_at_the_limit() {
    for text in ["data: x\n\n", ": x\n", "x", "data: x", "\r"] {
        let block = text.repeat(1000);
        let report = attacked(move |mut connection| {
            _ = connection.write_all(HEAD.as_bytes());
            repeat(connection, &block);
        });
        assert_eq!(problems(&report), [""; 0], "{text:?}: {}", report.verdict());
        assert_eq!(report.observations.ended, Some(false), "{text:?}");
    }
}

#[test]
fn a_small_body_that_expands_to_a_huge_one_is_left_at_the_limit() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&vec![b' '; 1 << 20]).unwrap();
    let member = encoder.finish().unwrap();
    let head = HEAD.replace("Connection", "Content-Encoding: gzip\r\nConnection");
    let report = attacked(move |mut connection| {
        _ = connection.write_all(head.as_bytes());
        repeat(connection, &member);
    });
    assert_eq!(problems(&report), [""; 0], "{}", report.verdict());
    assert_eq!(report.level(Check::Compression), Level::Warn);
    // 64 MiB are enough, and a last chunk.
    assert!(report.observations.bytes.unwrap() <= 65 << 20);
}

#[test]
fn a_broken_coding_breaks_the_stream() {
    for (header, body) in [
        ("Transfer-Encoding: chunked", "nonsense\r\n\r\n"),
        ("Content-Encoding: gzip", "data: this is not gzip\n\n"),
    ] {
        let head = HEAD.replace("Connection: close", header);
        let report = attacked(move |mut connection| {
            _ = connection.write_all(head.as_bytes());
            _ = connection.write_all(body.as_bytes());
            _ = connection.read(&mut [0]);
        });
        assert_eq!(
            problems(&report)[0],
            "end",
            "{header}: {}",
            report.verdict()
        );
    }
}

#[test]
fn plain_http_behind_https_can_not_be_reached() {
    let port = serve(Ipv4Addr::LOCALHOST.into(), |mut connection| {
        _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let report = checked(&format!("https://127.0.0.1:{port}/"), Options::new());
    assert_eq!(problems(&report), ["reachable"]);
    assert_eq!(report.findings.len(), Check::ALL.len());
}

#[test]
fn ipv6_is_reached_and_is_this_machine() {
    let port = serve(Ipv6Addr::LOCALHOST.into(), |mut connection| {
        let text = format!("{HEAD}retry: 100\n\ndata: x\n\n");
        _ = connection.write_all(text.as_bytes());
        _ = connection.read(&mut [0]);
    });
    let url = format!("http://[::1]:{port}/");
    let report = checked(&url, Options::new().events(1));
    assert_eq!(problems(&report), [""; 0], "{}", report.verdict());
    assert_eq!(report.level(Check::Tls), Level::Skip);
}
