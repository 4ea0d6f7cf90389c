//! Runs the tests of `guest` in headless Chromium, on a page and in a worker, and measures the minimal
//! client. Arguments: the folder of the compiled guests, an empty folder, and Chromium.

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use everstream_testing::{Gate, Reply, Request, Server};
use flate2::{Compression, write::GzEncoder};
use wasm_bindgen_cli_support::Bindgen;

/// The most bytes that a minimal client may have, compressed.
const MAX_SIZE: usize = 50_000;

/// Generous: it is only waited for if something is wrong.
const LIMIT: Duration = Duration::from_secs(60);

const PAGE: &str = "<!doctype html><script type=module src=tests_start.js></script>";
const START: &str = "import init from './tests.js'; init();";
const WORKER_PAGE: &str = "<!doctype html><script>
new Worker('tests_start.js' + location.search, { type: 'module' });
</script>";

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// What a server does, and what it must have seen afterwards.
struct Test {
    name: &'static str,
    /// The gate opens once the guest has received an event.
    prepare: fn(&Server, &Gate),
    check: fn(&Server),
}

const TESTS: &[Test] = &[
    Test {
        name: "connect",
        prepare: |_, _| {},
        check: |_| {},
    },
    Test {
        name: "drop",
        prepare: |server, received| {
            let first = Reply::stream().event_with_id("1", "one");
            server.enqueue(allowed(
                first
                    .send("id: 2\ndata: tw")
                    .wait_for(received)
                    .drop_connection(),
            ));
            server.enqueue(preflight());
            let second = Reply::stream().event_with_id("2", "two");
            server.enqueue(allowed(second.event_with_id("3", "three").stall()));
        },
        check: |server| {
            let requests = server.requests();
            let ids: Vec<_> = requests
                .iter()
                .map(|it| it.header("last-event-id"))
                .collect();
            // The preflight request names the header and doesn't carry it.
            assert_eq!(ids, [None, None, Some("1")]);
            assert_eq!(requests[1].method, "OPTIONS");
            assert_eq!(requests[0].header("accept"), Some("text/event-stream"));
        },
    },
    Test {
        name: "post",
        prepare: |server, received| {
            server.enqueue(preflight());
            let answer = Reply::stream().event("answer").send("data: cut");
            server.enqueue(allowed(answer.wait_for(received).drop_connection()));
        },
        check: |server| {
            let requests = server.requests();
            let posts: Vec<_> = requests.iter().filter(|it| it.method == "POST").collect();
            assert_eq!(posts.len(), 1);
            assert_eq!(posts[0].header("authorization"), Some("Bearer secret"));
            assert_eq!(posts[0].body, b"{}");
        },
    },
    Test {
        name: "close",
        prepare: |server, _| {
            server.enqueue(allowed(Reply::stream().event("hello").stall()));
        },
        check: |server| assert!(server.wait_for_open_connections(0, LIMIT)),
    },
    Test {
        name: "timeout",
        prepare: |server, _| {
            let mut reply = Reply::stream();
            for number in ["1", "2", "3", "4"] {
                reply = reply.event(number).pause(Duration::from_millis(600));
            }
            server.enqueue(allowed(reply.stall()));
        },
        check: |server| assert!(server.wait_for_open_connections(0, LIMIT)),
    },
    Test {
        name: "status",
        prepare: |server, _| {
            let reply = Reply::status(503)
                .header("Retry-After", "7")
                .send("maintenance")
                .end();
            server.enqueue(allowed(reply));
        },
        check: |server| assert_eq!(server.request_count(), 1),
    },
    Test {
        name: "delays",
        prepare: |server, _| server.stop(),
        check: |_| {},
    },
    Test {
        name: "document",
        prepare: |server, _| {
            server.enqueue(preflight());
            let document = Reply::status(200).header("Content-Type", "application/json");
            server.enqueue(allowed(document.send("{\"result\":7}").end()));
            server.enqueue(preflight());
            server.enqueue(allowed(Reply::stream().event("hello").stall()));
        },
        check: |server| {
            let requests = server.requests();
            let posts: Vec<_> = requests.iter().filter(|it| it.method == "POST").collect();
            let sent = |name| posts.iter().map(|it| it.header(name)).collect::<Vec<_>>();
            let basic = Some("Basic bcOpOnNlY3JldA==");
            assert_eq!(sent("authorization"), [basic, Some("Bearer own")]);
            assert_eq!(sent("last-event-id"), [None, Some("41")]);
        },
    },
    Test {
        name: "errors",
        prepare: |server, _| {
            let [fixdate, rfc850, asctime] = ["%a, %d %b %Y", "%A, %d-%b-%y", "%a %b %e"]
                .map(|date| in_an_hour(date).unwrap_or_default());
            for (retry_after, text) in [
                (&*fixdate, "naïve".as_bytes()),
                (&*rfc850, b"caf\xe9"),
                (&*asctime, b""),
                ("Sun, 06 Nov 1994 08:49:37 GMT", b""),
                ("5 s", b""),
                ("-5", b""),
                ("soon", b""),
            ] {
                let reply = Reply::status(503).header("Retry-After", retry_after);
                let reply = match text {
                    b"" => reply,
                    text => reply.header("X-Text", text),
                };
                server.enqueue(allowed(reply.send("0123456789").end()));
            }
        },
        check: |server| assert_eq!(server.requests()[0].target, "/feed?a=1"),
    },
    Test {
        name: "settings",
        prepare: |_, _| {},
        check: |_| {},
    },
];

/// The time in an hour, with the date in this format.
fn in_an_hour(date: &str) -> Outcome<String> {
    let rest = if date.contains(',') {
        " %H:%M:%S GMT"
    } else {
        " %H:%M:%S %Y"
    };
    let mut command = Command::new("date");
    let arguments = ["--utc", "--date=+1 hour", &format!("+{date}{rest}")].map(String::from);
    let output = command.env("LC_ALL", "C").args(arguments).output()?;
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

/// Allows pages of other origins to read the response.
fn allowed(reply: Reply) -> Reply {
    reply
        .header("Access-Control-Allow-Origin", "*")
        .header("Access-Control-Expose-Headers", "Retry-After, X-Text")
}

fn preflight() -> Reply {
    let headers = "Authorization, Content-Type, Last-Event-ID";
    allowed(Reply::status(204)).header("Access-Control-Allow-Headers", headers)
}

fn main() -> Outcome {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(guests), Some(folder), Some(chromium)) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("expected: the folder of the guests, an empty folder, Chromium".into());
    };
    for guest in ["minimal", "tests"] {
        let mut bindgen = Bindgen::new();
        bindgen.input_path(guests.join(guest).with_extension("wasm"));
        bindgen
            .web(true)?
            .typescript(false)
            .omit_default_module_path(false);
        bindgen.remove_name_section(true);
        bindgen.generate(&folder)?;
    }
    let (raw, compressed) = size(&folder.join("minimal_bg.wasm"))?;
    println!("the minimal client: {raw} bytes, {compressed} compressed");
    let gate = Arc::new(Mutex::new(Gate::new()));
    let (pages, reports) = serve(&folder, gate.clone());
    let mut failed = 0;
    for (place, page) in [("page", "/page.html"), ("worker", "/worker.html")] {
        for test in TESTS {
            let server = Server::start();
            let received = Gate::new();
            (test.prepare)(&server, &received);
            if let Ok(mut current) = gate.lock() {
                *current = received;
            }
            let url = format!(
                "{}?{}&{}",
                pages.url(page),
                test.name,
                server.url("").trim_end_matches('/')
            );
            let begin = Instant::now();
            let browser = Browser::open(&chromium, &folder.join("profile"), &url)?;
            let report = reports
                .recv_timeout(LIMIT)
                .unwrap_or_else(|_| "no report".into());
            let checked = match report.as_str() {
                "ok" => std::panic::catch_unwind(|| (test.check)(&server)).is_ok(),
                problem => {
                    eprintln!("{problem}");
                    false
                }
            };
            drop(browser);
            failed += u32::from(!checked);
            let (verdict, time) = (if checked { "ok" } else { "FAILED" }, begin.elapsed());
            println!(
                "{} on a {place}: {verdict}, {:.1} s",
                test.name,
                time.as_secs_f64()
            );
        }
    }
    if compressed >= MAX_SIZE {
        return Err(format!("the minimal client has more than {MAX_SIZE} bytes").into());
    }
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} tests failed").into()),
    }
}

/// Raw and compressed.
fn size(file: &Path) -> Outcome<(usize, usize)> {
    let bytes = std::fs::read(file)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&bytes)?;
    Ok((bytes.len(), gzip.finish()?.len()))
}

/// Serves the pages, the programs and a feed of the same origin, and receives the reports.
fn serve(folder: &Path, gate: Arc<Mutex<Gate>>) -> (Server, Receiver<String>) {
    let (sender, reports) = channel();
    let sender = Arc::new(Mutex::new(sender));
    let folder = folder.to_path_buf();
    let server = Server::with_handler(move |request: &Request| {
        let document = |kind: &str, content: Vec<u8>| {
            let length = content.len() as u64;
            let reply = Reply::status(200).header("Content-Type", kind);
            reply.content_length(length).send(content).end()
        };
        match request.path() {
            "/page.html" => document("text/html", PAGE.into()),
            "/worker.html" => document("text/html", WORKER_PAGE.into()),
            "/tests_start.js" => document("text/javascript", START.into()),
            "/feed" => Reply::stream().event("hello").event("wörld").stall(),
            "/received" => {
                if let Ok(gate) = gate.lock() {
                    gate.open();
                }
                Reply::status(204)
            }
            "/report" => {
                let report = String::from_utf8_lossy(&request.body).into_owned();
                if let Ok(sender) = sender.lock() {
                    let _ = sender.send(report);
                }
                Reply::status(204)
            }
            file @ ("/tests.js" | "/tests_bg.wasm") => {
                let kind = match file.ends_with(".js") {
                    true => "text/javascript",
                    false => "application/wasm",
                };
                let content = std::fs::read(folder.join(&file[1..])).unwrap_or_default();
                document(kind, content)
            }
            _ => Reply::status(404),
        }
    });
    (server, reports)
}

/// A headless Chromium with one page. Dropping it ends the process.
struct Browser(Child);

impl Browser {
    fn open(chromium: &Path, profile: &Path, url: &str) -> Outcome<Self> {
        let child = Command::new(chromium)
            // Dates without a time zone must not be taken for local ones.
            .env("TZ", "America/New_York")
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                // Keeps the browser open.
                "--remote-debugging-port=0",
            ])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(url)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Browser(child))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
