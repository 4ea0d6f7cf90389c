//! Headers, and the content of the stream.

use std::io::Write as _;

use everstream_testing::{Reply, Request};

use super::{FIVE, RETRY, events, fails, found, good, head, rest, resumed, serve, warns, with};

#[test]
fn headers_that_browsers_and_caches_object_to() {
    fails("content-type", |_| {
        head().header("Content-Type", "text/html").end()
    });
    fails("content-type", |_| {
        head().without_header("Content-Type").end()
    });
    for charset in ["utf8", "us-ascii", "windows-1252"] {
        let kind = format!("text/event-stream; charset={charset}");
        fails("charset", move |request| {
            with(head().header("Content-Type", &*kind), request, "")
        });
    }
    warns("cache-control", |request| {
        with(
            head().header("Cache-Control", "max-age=60, no-transform"),
            request,
            "",
        )
    });
    warns("no-transform", |request| {
        let head = head()
            .header("Cache-Control", "no-cache")
            .header("Via", "1.1 proxy");
        with(head, request, "")
    });
    warns("proxy-buffering", |request| {
        with(head().header("X-Accel-Buffering", "yes"), request, "")
    });
    fails("proxies", |request| {
        with(head().header("Age", "30"), request, "")
    });
    fails("proxies", |request| {
        with(head().header("X-Cache", "HIT from edge"), request, "")
    });
    warns("framing", |request| {
        with(head().content_length(9999), request, "")
    });
    warns("framing", |request| {
        with(head().close_delimited(), request, "")
    });
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.flush().unwrap();
    encoder.get_ref().clone()
}

#[test]
fn compression_is_checked() {
    // Compressed here: a compressor needs more stack than a connection's thread has.
    let bodies: Vec<Vec<u8>> = (0..=5).map(|after| gzip(&events(after))).collect();
    let compressed = move |request: &Request| {
        let after = resumed(request).unwrap_or(0) as usize;
        let head = head().header("Content-Encoding", "gzip");
        head.send(bodies[after].clone()).stall()
    };
    warns("compression", compressed.clone());
    let server = serve(move |request| match request.header("accept-encoding") {
        Some("gzip") => compressed(request),
        _ => good(request),
    });
    let outcome = found(&server.url("/feed"), FIVE, &[], &[]);
    assert!(
        outcome
            .observed("compression")
            .contains("without gzip, and after")
    );
    // A coding that can't be decoded: there is nothing more to examine.
    fails("compression", |_| {
        head()
            .header("Content-Encoding", "compress")
            .send("x")
            .end()
    });
}

#[test]
fn unsuitable_values_of_retry_are_found() {
    for bad in [
        "retry: 0\n\n",
        "retry: 3600000\n\n",
        "retry: 1000\n\nretry: 2000\n\n",
    ] {
        warns("retry", move |request| with(head(), request, bad));
    }
    fails("retry", |request| with(head(), request, "retry: 5s\n\n"));
}

#[test]
fn faults_of_ids_are_found() {
    let server = serve(|_| head().send("data: x\n\n".repeat(5)).stall());
    let outcome = found(&server.url("/feed"), FIVE, &["ids"], &[]);
    assert!(outcome.with_level("skip").contains(&"resume"));
    assert_eq!(server.request_count(), 2, "nothing to resume from");
    warns("ids", |request| match resumed(request) {
        None => {
            let rest = events(2);
            let text = format!("{RETRY}id: 2\ndata: 2\n\ndata: x\n\n{rest}");
            head().send(text).stall()
        }
        Some(_) => good(request),
    });
    fails("unique-ids", |_| {
        head().send("id: 7\ndata: x\n\n".repeat(5)).stall()
    });
    fails("usable-ids", |request| {
        with(head(), request, "id: a\0\ndata: x\n\n")
    });
    fails("usable-ids", |request| {
        with(head(), request, "id: a\x07\ndata: x\n\n")
    });
}

#[test]
fn faults_of_events_are_found() {
    warns("event-types", |request| match resumed(request) {
        None => with(head(), request, "event: error\n"),
        Some(_) => good(request),
    });
    let long = format!(":\n\ndata: {}\nid: 0\n\n", "x".repeat(70_000));
    warns("sizes", move |request| match resumed(request) {
        None => with(head(), request, &long),
        Some(_) => good(request),
    });
    // Bug: a line without an end, of 64 MiB and more, was not mentioned.
    let endless = serve(|_| head().send("data: ").send_forever("x".repeat(1 << 20)));
    let outcome = found(&endless.url("/feed"), FIVE, &["sizes"], &[]);
    let said = outcome.observed("sizes");
    let expected = "no complete event of up to 8 MiB; longest line: ";
    assert!(said.starts_with(expected), "{said}");
    let pretty = "id: 0\ndata: {\n  \"n\": 0\n}\n\n";
    let server = serve(move |request| match resumed(request) {
        None => with(head(), request, pretty),
        Some(_) => good(request),
    });
    found(
        &server.url("/feed"),
        &["--count", "6"],
        &["data"],
        &["fields"],
    );
}

#[test]
fn faults_of_the_format_are_found() {
    warns("bom", |request| with(head(), request, "\u{feff}"));
    fails("bom", |request| {
        with(head(), request, ": hi\n\u{feff}data: x\n\n")
    });
    warns("line-ends", |request| {
        head()
            .send(rest(request).replace('\n', "\r"))
            .send("\r")
            .stall()
    });
    warns("line-ends", |request| with(head(), request, ": hi\r\n\r\n"));
    let server = serve(|request| head().send(rest(request).replace('\n', "\r\n")).stall());
    found(&server.url("/feed"), FIVE, &[], &[]);
    fails("utf-8", |request| {
        head()
            .send(b": \xFF\n".to_vec())
            .send(rest(request))
            .stall()
    });
    let one = fails("fields", |request| with(head(), request, "{\"n\": 0}\n\n"));
    let said = one.observed("fields");
    assert!(said.starts_with("1 line that isn't a field"), "{said}");
    let two = fails("fields", |request| with(head(), request, "{\n{\n\n"));
    let said = two.observed("fields");
    assert!(said.starts_with("2 lines that aren't fields"), "{said}");
    warns("fields", |request| with(head(), request, "time: 12\n\n"));
}

#[test]
fn each_kind_of_end_has_its_own_finding() {
    let end = |handler: fn(&Request) -> Reply, warn: &[&str], fail: &[&str]| {
        found(&serve(handler).url("/feed"), &[], warn, fail);
    };
    end(|request| head().send(rest(request)).end(), &["end"], &[]);
    end(
        |request| head().send(rest(request)).send("id: 6\ndata: x\n").end(),
        &[],
        &["end"],
    );
    end(
        |request| head().send(rest(request)).drop_connection(),
        &[],
        &["end"],
    );
}
