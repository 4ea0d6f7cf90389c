//! Measures how fast clients receive events, and how large they are; writes the page `browser.md`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use browser_common::{Outcome, Size};
use everstream_testing::{Reply, Request, Server};

use crate::{Programs, files};

const CHUNK: usize = 64;

/// The data of every event: 149 bytes with its id and field names.
const DATA: &str = r#"{"symbol":"ACME","price":187.25,"size":300,"venue":"XNAS","time":"2026-11-30T09:30:00.123456Z","conditions":["regular","odd lot"]}"#;

/// Generous: it is only waited for if something is wrong.
const LIMIT: Duration = Duration::from_secs(180);

struct Client {
    about: &'static str,
    /// In the page's location.
    parameters: &'static str,
    /// It receives one event of this many.
    divisor: usize,
}

const CLIENTS: &[Client] = &[
    Client {
        about: "everstream, `opt-level = 3`",
        parameters: "client=fast_events",
        divisor: 1,
    },
    Client {
        about: "everstream, `opt-level = \"z\"`",
        parameters: "client=events",
        divisor: 1,
    },
    Client {
        about: REFERENCE,
        parameters: "client=parser",
        divisor: 1,
    },
    Client {
        about: "reqwest-eventsource 0.6, `opt-level = 3`",
        parameters: "client=fast_events_reqwest",
        // With each line it copies the rest of what the browser has read at once.
        divisor: SLOW,
    },
    Client {
        about: "everstream, `opt-level = 3`, which passes each event's data to JavaScript",
        parameters: "client=fast_events&pass=yes",
        divisor: 1,
    },
    Client {
        about: "`fetch` and `EventSourceParserStream` of eventsource-parser",
        parameters: "client=parserStream",
        divisor: 1,
    },
    Client {
        about: "the browser's `EventSource`",
        parameters: "client=eventSource",
        divisor: 1,
    },
];

/// The share of the events that reqwest-eventsource gets.
const SLOW: usize = 30;

/// The row that others are compared with.
const REFERENCE: &str = "`fetch` and npm's eventsource-parser";

/// What is measured, and where the page is written.
pub(crate) struct Plan<'a> {
    pub(crate) events: usize,
    pub(crate) rounds: usize,
    /// `node_modules`.
    pub(crate) npm: &'a Path,
    pub(crate) page: &'a Path,
}

pub(crate) fn run(programs: &Programs, plan: &Plan<'_>) -> Outcome {
    for name in ["events", "minimal", "minimal_reqwest"] {
        programs.bind(name, "release", name)?;
    }
    for name in ["events", "events_reqwest"] {
        programs.bind(name, "speed", &format!("fast_{name}"))?;
    }
    let begin = load();
    let (server, reports) = serve(programs, plan);
    let mut rates = vec![Vec::new(); CLIENTS.len()];
    for round in 1..=plan.rounds {
        for (client, rates) in CLIENTS.iter().zip(&mut rates) {
            let events = plan.events / client.divisor;
            let feed = server.url(&format!("/feed?{events}"));
            let query = format!("{}&events={events}&url={feed}", client.parameters);
            let page = server.url(&format!("/page.html?{query}"));
            let browser = programs.open(&page)?;
            let report = reports.recv_timeout(LIMIT);
            drop(browser);
            let report = report.map_err(|_| format!("no report of {}", client.about))?;
            let rate = rate(&report, events)?;
            println!(
                "round {round}: {:.0} k events/s, {}",
                rate / 1e3,
                client.about
            );
            rates.push(rate);
        }
    }
    let text = page(programs, plan, &mut rates, &begin)?;
    println!("{text}");
    Ok(std::fs::write(plan.page, text)?)
}

/// Events per second, if all have arrived.
fn rate(report: &str, expected: usize) -> Outcome<f64> {
    let wanted = format!("ok {expected} {}", expected * DATA.len());
    let milliseconds = report
        .strip_prefix(&wanted)
        .ok_or_else(|| format!("expected {wanted:?}, received {report:?}"))?;
    let milliseconds: f64 = milliseconds.trim().parse()?;
    Ok(expected as f64 / milliseconds * 1000.0)
}

fn serve(programs: &Programs, plan: &Plan<'_>) -> (Server, Receiver<String>) {
    let (sender, reports) = channel();
    let sender = Mutex::new(sender);
    let event = |id: &usize| format!("id: {id:06}\ndata: {DATA}\n\n");
    // Prepared, so that the server is busy with nothing but writing.
    let feeds = CLIENTS.iter().map(|client| {
        let events = plan.events / client.divisor;
        let ids: Vec<usize> = (1..=events).collect();
        let chunks = ids.chunks(CHUNK);
        let chunks = chunks.map(|ids| ids.iter().map(event).collect::<String>());
        (events.to_string(), Reply::stream().send_each(chunks))
    });
    let feeds: HashMap<String, Reply> = feeds.collect();
    let pages = [
        (
            "/page.html",
            "<!doctype html><script type=module src=page.js></script>",
        ),
        ("/page.js", include_str!("../../bench/page.js")),
    ];
    let folders = [
        ("/programs/", programs.served.clone()),
        ("/npm/", plan.npm.to_path_buf()),
    ];
    let server = Server::with_handler(move |request: &Request| match request.path() {
        "/feed" => {
            let feed = feeds.get(request.query().unwrap_or_default());
            feed.cloned().unwrap_or_else(|| Reply::status(404))
        }
        "/report" => {
            let report = String::from_utf8_lossy(&request.body).into_owned();
            if let Ok(sender) = sender.lock() {
                let _ = sender.send(report);
            }
            Reply::status(204)
        }
        path => files::reply(path, &pages, &folders),
    });
    (server, reports)
}

fn page(
    programs: &Programs,
    plan: &Plan<'_>,
    rates: &mut [Vec<f64>],
    begin: &str,
) -> Outcome<String> {
    let mut text = String::from("# Clients in a browser, compared\n\n");
    let version = Command::new(&programs.chromium).arg("--version").output()?;
    let version = String::from_utf8_lossy(&version.stdout);
    let version: Vec<&str> = version.split(' ').take(2).collect();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    writeln!(
        text,
        "`cargo xtask wasm --bench` measures this and writes this page, in headless {}, on a page.\n",
        version.join(" ")
    )?;
    text.push_str("## Speed\n\n");
    writeln!(
        text,
        "A server in another process sends {} events of {} B of ASCII over HTTP/1.1 and loopback, {CHUNK} in each HTTP chunk. Each \
         client counts the events and the length of their data. The time is that from the creation of the client to the last \
         event, without loading and compiling the program. It includes the browser's part, which is the same for all but \
         `EventSource`. reqwest-eventsource gets one event of {SLOW}, because with each line it copies the rest of what \
         the browser has read at once.\n",
        thousands(plan.events as f64),
        event_size(),
    )?;
    writeln!(
        text,
        "A cell is the median of {}, with the lowest and the highest in parentheses. The clients take turns, each in a new \
         browser. {} {}, {cores} cores; the load average was {begin} at the start and {} at the end, including the benchmark \
         itself. Compare the ratios: absolute values are this machine's.\n",
        match plan.rounds {
            1 => "one round".to_owned(),
            rounds => format!("{rounds} rounds"),
        },
        std::env::consts::OS,
        std::env::consts::ARCH,
        load(),
    )?;
    text.push_str(
        "| client | thousand events per second | ratio to eventsource-parser |\n|---|---|---|\n",
    );
    for rates in rates.iter_mut() {
        rates.sort_by(f64::total_cmp);
    }
    let medians: Vec<f64> = rates.iter().map(|it| median(it)).collect();
    let reference = CLIENTS.iter().zip(&medians);
    let reference = reference
        .clone()
        .find(|(client, _)| client.about == REFERENCE);
    let reference = reference.map_or(f64::NAN, |(_, median)| *median);
    let mut rows: Vec<_> = CLIENTS.iter().zip(&medians).zip(rates.iter()).collect();
    rows.sort_by(|((_, a), _), ((_, b), _)| b.total_cmp(a));
    for ((client, median), rates) in rows {
        let (lowest, highest) = (rates.first(), rates.last());
        writeln!(
            text,
            "| {} | {} ({}-{}) | {:.2} |",
            client.about,
            thousands(median / 1e3),
            thousands(lowest.unwrap_or(median) / 1e3),
            thousands(highest.unwrap_or(median) / 1e3),
            median / reference
        )?;
    }
    text.push_str("\n## Size\n\n");
    text.push_str(
        "Both programs follow a stream, reconnect and print the data of each event on the console. They are built with \
         `opt-level = \"z\"`, fat link-time optimization and `panic = \"abort\"`. Compressed with gzip at its best level, in bytes.\n\n",
    );
    text.push_str(
        "| program | WebAssembly | compressed | JavaScript | compressed |\n|---|---|---|---|---|\n",
    );
    for (about, name) in [
        ("everstream", "minimal"),
        ("reqwest-eventsource 0.6", "minimal_reqwest"),
    ] {
        let cells =
            ["_bg.wasm", ".js"].map(|ending| programs.served.join(format!("{name}{ending}")));
        let mut row = format!("| {about} |");
        for file in cells {
            let Size { raw, compressed } = browser_common::size(&file)?;
            write!(
                row,
                " {} | {} |",
                thousands(raw as f64),
                thousands(compressed as f64)
            )?;
        }
        writeln!(text, "{row}")?;
    }
    Ok(text)
}

fn event_size() -> usize {
    "id: 000000\ndata: \n\n".len() + DATA.len()
}

fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[length / 2],
        length => (sorted[length / 2 - 1] + sorted[length / 2]) / 2.0,
    }
}

/// In groups of three digits; with a fraction only if there is one digit.
fn thousands(number: f64) -> String {
    if number < 9.95 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The load average of the last minute.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}
