//! Runs the programs of the guide and the Leptos example in the browser, and checks what they do.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use browser_common::Outcome;
use everstream_testing::{Gate, Reply, Request, Server};

use crate::{Programs, files};

/// Generous: it is only waited for if something is wrong.
const LIMIT: Duration = Duration::from_secs(60);

/// The programs of the guide.
pub(crate) fn run_guide(programs: &Programs) -> Outcome {
    for name in ["guide", "guide_reload"] {
        programs.bind(name, "release", name)?;
    }
    guide(programs)?;
    println!("the guide's first program: ok");
    reload(programs)?;
    println!("the guide's program that resumes after a reload: ok");
    event_source(programs)?;
    println!("what the guide says of EventSource: ok");
    Ok(())
}

pub(crate) fn run_leptos(programs: &Programs) -> Outcome {
    programs.bind("browser-leptos", "release", "leptos")?;
    leptos(programs)?;
    println!("the Leptos example: ok");
    let size = browser_common::size(&programs.served.join("leptos_bg.wasm"))?;
    println!(
        "the Leptos example: {} bytes, {} compressed",
        size.raw, size.compressed
    );
    Ok(())
}

/// Reports what the program prints on the console, in order.
const REPORT_CONSOLE: &str = "
let reported = Promise.resolve();
const report = (text) => {
  reported = reported.then(() => fetch('/report', { method: 'POST', body: text }));
};
console.log = report;
console.error = (text) => report('error: ' + text);
";

fn guide(programs: &Programs) -> Outcome {
    let page = "<!doctype html><script type=module src=start.js></script>";
    let start = format!("{REPORT_CONSOLE}\nimport init from './guide.js'; init();");
    let feed = |_: &Request| Reply::stream().event("one").event("two").stall();
    let (server, reports) = serve(programs, page, &start, "/feed", feed);
    let _browser = programs.open(&server.url("/"))?;
    expect(&reports, &["one", "two"])
}

fn reload(programs: &Programs) -> Outcome {
    let page = "<!doctype html><script type=module src=start.js></script>";
    // Reloads once, when the second event has arrived and its id is stored.
    let start = format!(
        "{REPORT_CONSOLE}
console.log = (text) => {{
  report(text);
  if (text === 'two') reported.then(() => location.reload());
}};
import init from './guide_reload.js'; init();"
    );
    let feed = |request: &Request| match request.header("last-event-id") {
        None => Reply::stream()
            .event_with_id("1", "one")
            .event_with_id("2", "two")
            .stall(),
        Some("2") => Reply::stream().event_with_id("3", "three").stall(),
        Some(_) => Reply::status(400),
    };
    let (server, reports) = serve(programs, page, &start, "/feed", feed);
    let _browser = programs.open(&server.url("/"))?;
    expect(&reports, &["one", "two", "three"])
}

/// The browser's EventSource resumes a stream of another origin without a preflight request.
fn event_source(programs: &Programs) -> Outcome {
    let feed = Server::start();
    let reply = Reply::stream().retry(100).event_with_id("1", "one");
    feed.otherwise(allowed(reply.drop_connection()));
    let start = format!("new EventSource('{}');", feed.url("/feed"));
    let page = "<!doctype html><script src=start.js></script>";
    let (server, _reports) = serve(programs, page, &start, "/feed", |_| Reply::status(404));
    let _browser = programs.open(&server.url("/"))?;
    if !feed.wait_for_requests(2, LIMIT) {
        return Err("EventSource didn't reconnect".into());
    }
    let requests = feed.requests();
    let seen = (
        requests[1].method.as_str(),
        requests[1].header("last-event-id"),
    );
    match seen {
        ("GET", Some("1")) => Ok(()),
        other => Err(format!("expected a GET with an id, received {other:?}").into()),
    }
}

/// `drive.js` uses the page, and reports what it shows. The feed is that of another origin.
fn leptos(programs: &Programs) -> Outcome {
    let feed = Server::start();
    let (drop, closed) = (Gate::new(), Gate::new());
    let gate = drop.clone();
    feed.otherwise_with(move |request: &Request| {
        if request.method == "OPTIONS" {
            return preflight();
        }
        let reply = Reply::stream().retry(100);
        allowed(match request.header("last-event-id") {
            None => reply
                .event_with_id("1", "one")
                .event_with_id("2", "two")
                .wait_for(&gate)
                .drop_connection(),
            Some("2") => reply.event_with_id("3", "three").stall(),
            Some("3") => reply.event_with_id("4", "four").stall(),
            Some("4") => reply.event_with_id("5", "five").stall(),
            Some(_) => Reply::status(400),
        })
    });
    let page = include_str!("../../leptos/index.html").replace("/feed", &feed.url("/feed"));
    let page = page.replace(
        "</body>",
        "<script type=module src=start.js></script></body>",
    );
    let gate = closed.clone();
    let wait = move |_: &Request| Reply::status(204).head_after(&gate);
    let drive = include_str!("drive.js");
    let (server, reports) = serve(programs, &page, drive, "/unmounted", wait);
    let _browser = programs.open(&server.url("/"))?;
    expect(&reports, &["connected: one, two"])?;
    drop.open();
    let Ok(fault) = reports.recv_timeout(LIMIT) else {
        return Err("the fault wasn't shown".into());
    };
    if !fault.contains("; retrying in 0.") || !fault.ends_with(": one, two") {
        return Err(format!("a fault was expected, and this was shown: {fault}").into());
    }
    expect(&reports, &["connected: one, two, three", "unmounted"])?;
    if !feed.wait_for_open_connections(0, LIMIT) {
        return Err("the unmounted component kept its connection".into());
    }
    closed.open();
    expect(&reports, &["connected: four", "connected: five"])
}

fn expect(reports: &Receiver<String>, expected: &[&str]) -> Outcome {
    for expected in expected {
        let report = reports.recv_timeout(LIMIT);
        let report = report.map_err(|_| format!("no report; expected {expected:?}"))?;
        if report != *expected {
            return Err(format!("expected {expected:?}, received {report:?}").into());
        }
    }
    Ok(())
}

/// Serves a page, its script `start.js` and one more path; receives the reports.
fn serve(
    programs: &Programs,
    page: &str,
    start: &str,
    path: &'static str,
    reply: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> (Server, Receiver<String>) {
    let (sender, reports) = channel();
    let sender = Mutex::new(sender);
    let (page, start) = (page.to_owned(), start.to_owned());
    let folders = [("/", programs.served.clone())];
    let server = Server::with_handler(move |request: &Request| match request.path() {
        it if it == path => reply(request),
        "/report" => {
            let report = String::from_utf8_lossy(&request.body).into_owned();
            if let Ok(sender) = sender.lock() {
                let _ = sender.send(report);
            }
            Reply::status(204)
        }
        file => files::reply(file, &[("/", &page), ("/start.js", &start)], &folders),
    });
    (server, reports)
}

/// Allows pages of other origins to read the response.
fn allowed(reply: Reply) -> Reply {
    reply.header("Access-Control-Allow-Origin", "*")
}

fn preflight() -> Reply {
    allowed(Reply::status(204)).header("Access-Control-Allow-Headers", "Last-Event-ID")
}
