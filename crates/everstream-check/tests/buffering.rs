//! A proxy that buffers, as nginx does by default.

use std::time::Duration;

use everstream_check::{Check, Level, Options};
use everstream_testing::{Reply, Server};

use super::{run, seconds};

/// Longer than headers may take.
const LATE: Duration = Duration::from_millis(5200);

/// The stream's headers are sent late, from nginx; other requests are answered at once.
fn server(stream: fn(Reply) -> Reply) -> Server {
    Server::with_handler(move |request| {
        let head = Reply::stream()
            .header("Cache-Control", "no-store, no-transform")
            .header("Server", "nginx/1.22.1");
        match &*request.method {
            "HEAD" => head.end(),
            _ => stream(head.head_delayed(LATE)),
        }
    })
}

#[test]
fn a_proxy_that_gives_up_on_a_buffered_stream_is_named() {
    let server = server(Reply::drop_connection);
    let report = run(&server.url("/"), Options::new());
    let verdict = report.verdict();
    assert_eq!(
        verdict,
        "1 problem: buffered by a proxy; no data arrived before the connection broke"
    );
    let said = &report.finding(Check::ProxyBuffering).unwrap().observed;
    let expected = "server: nginx/1.22.1: the headers arrived only after ";
    let after = said.strip_prefix(expected).expect(said);
    assert!(seconds(after) >= LATE.as_secs_f64(), "{said}");
    assert_eq!(report.level(Check::End), Level::Skip);
    let requests = server.requests();
    let sent: Vec<_> = requests.iter().map(|it| &*it.method).collect();
    assert_eq!(sent, ["GET", "HEAD"]);
}

#[test]
fn events_that_arrive_at_once_with_the_end_are_perhaps_buffered() {
    let server = server(|head| head.send("retry: 100\n\ndata: a\n\ndata: b\n\n").end());
    let verdict = run(&server.url("/"), Options::new()).verdict();
    let expected = "no problems; 3 warnings: perhaps buffered by a proxy, missing ids, \
                    doesn't stay open";
    assert_eq!(verdict, expected);
}
