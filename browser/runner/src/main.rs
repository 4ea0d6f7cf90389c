//! Runs the tests of `guest` in headless Chromium, on a page and in a worker, and measures the minimal
//! client. Runs the examples, or the benchmark, instead if the first argument says so. The other arguments:
//! the folder of the compiled guests, an empty folder, and Chromium.

mod bench;
mod browser;
mod examples;
mod files;

use std::error::Error;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use everstream_testing::{Gate, Reply, Request, Server};
use wasm_bindgen_cli_support::Bindgen;

use crate::browser::Browser;
use crate::files::Size;

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
        name: "settings",
        prepare: |_, _| {},
        check: |_| {},
    },
];

/// Allows pages of other origins to read the response.
fn allowed(reply: Reply) -> Reply {
    reply
        .header("Access-Control-Allow-Origin", "*")
        .header("Access-Control-Expose-Headers", "Retry-After")
}

fn preflight() -> Reply {
    let headers = "Authorization, Content-Type, Last-Event-ID";
    allowed(Reply::status(204)).header("Access-Control-Allow-Headers", headers)
}

fn main() -> Outcome {
    let mut arguments = std::env::args_os().skip(1);
    let mut next = |what: &str| arguments.next().ok_or_else(|| format!("expected: {what}"));
    let mode = next("tests, examples or bench")?;
    let guests = Guests {
        built: next("the folder of the guests")?.into(),
        served: next("an empty folder")?.into(),
        chromium: next("Chromium")?.into(),
    };
    match mode.to_str() {
        Some("tests") => run_tests(&guests),
        Some("examples") => examples::run_leptos(&guests),
        Some("bench") => {
            let number = |text: std::ffi::OsString| text.to_string_lossy().parse::<usize>();
            let plan = bench::Plan {
                events: number(next("the number of events")?)?,
                rounds: number(next("the number of rounds")?)?,
                npm: &PathBuf::from(next("node_modules")?),
                page: &PathBuf::from(next("the page to write")?),
            };
            bench::run(&guests, &plan)
        }
        _ => Err(format!("unknown mode {}", mode.display()).into()),
    }
}

/// The programs to run.
struct Guests {
    /// Has a folder for each profile.
    built: PathBuf,
    /// What the pages load.
    served: PathBuf,
    chromium: PathBuf,
}

impl Guests {
    /// Writes `NAME.js` and `NAME_bg.wasm`, which pages load.
    fn bind(&self, program: &str, profile: &str, name: &str) -> Outcome {
        let mut bindgen = Bindgen::new();
        let file = self.built.join(profile).join(program);
        bindgen.input_path(file.with_extension("wasm"));
        bindgen
            .web(true)?
            .typescript(false)
            .out_name(name)
            .omit_default_module_path(false);
        bindgen.remove_name_section(true);
        Ok(bindgen.generate(&self.served)?)
    }

    fn open(&self, url: &str) -> Outcome<Browser> {
        Browser::open(&self.chromium, &self.served.join("profile"), url)
    }
}

fn run_tests(guests: &Guests) -> Outcome {
    for guest in ["minimal", "tests"] {
        guests.bind(guest, "release", guest)?;
    }
    let Size { raw, compressed } = files::size(&guests.served.join("minimal_bg.wasm"))?;
    println!("the minimal client: {raw} bytes, {compressed} compressed");
    let gate = Arc::new(Mutex::new(Gate::new()));
    let (pages, reports) = serve(guests, gate.clone());
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
            let browser = guests.open(&url)?;
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
    examples::run_guide(guests)?;
    if compressed >= MAX_SIZE {
        return Err(format!("the minimal client has more than {MAX_SIZE} bytes").into());
    }
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} tests failed").into()),
    }
}

/// Serves the pages, the programs and a feed of the same origin, and receives the reports.
fn serve(guests: &Guests, gate: Arc<Mutex<Gate>>) -> (Server, Receiver<String>) {
    let (sender, reports) = channel();
    let sender = Arc::new(Mutex::new(sender));
    let folders = [("/", guests.served.clone())];
    let texts = [
        ("/page.html", PAGE),
        ("/worker.html", WORKER_PAGE),
        ("/tests_start.js", START),
    ];
    let server = Server::with_handler(move |request: &Request| match request.path() {
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
        file => files::reply(file, &texts, &folders),
    });
    (server, reports)
}
