//! Clients over loopback: CPU and latency.

mod latency;
pub mod readers;
pub mod server;

use crate::chart::{bars, short};
use crate::decode::corpora::TOKEN;
use crate::page::{Out, Page, version};
use crate::sys::{self, Server, median, quantile};
use crate::{Outcome, count, sys::measure};
use latency::WATCHERS;
use readers::{DRAINED, READERS};

#[derive(clap::Args)]
pub struct Options {
    /// How many events a client reads
    #[arg(long, value_name = "N", default_value_t = 1_700_000, value_parser = count::<u64>)]
    events: u64,
    /// How often everyone has a turn
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = count::<usize>)]
    rounds: usize,
    /// How long latency is measured, for each client
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = count::<u64>)]
    seconds: u64,
    #[command(flatten)]
    out: Out,
}

#[derive(clap::Args)]
pub struct Once {
    what: String,
    name: String,
    url: String,
    count: u64,
}

/// Events in an HTTP chunk.
const PER_CHUNK: [u64; 2] = [64, 1];
const PER_SECOND: u64 = 1_000;

pub fn run(options: &Options) -> Outcome {
    let mut page = Page::new("client", "Clients over loopback, compared");
    page.paragraph(&format!(
        "`cargo xtask bench client` measures it and writes this page. {} LLM events of 235 B ({} MB), over \
         HTTP/1.1 from a server in another process that writes 64 of them at once. A measurement is a \
         process of its own, after it has read 10 events; what a program makes once (a runtime, a reqwest \
         client) is made before. The clients take turns. CPU is user and system time of all threads; asynchronous \
         clients run on a current-thread runtime. eventsource-client brings an HTTP client of its own, and \
         reqwest-eventsource reqwest 0.12.",
        short(options.events as f64),
        options.events * 235 / 1_000_000,
    ));
    page.effort(format!(
        "CPU: medians of {} rounds, of {} events for each client. Latency: one round of {} events for each.",
        options.rounds,
        short(options.events as f64),
        short((options.seconds * PER_SECOND) as f64)
    ));
    let server = Server::start(&["client-server"])?;
    let mut used = Vec::new();
    for per_chunk in PER_CHUNK {
        used.push(cpu(&server.said, options, per_chunk)?);
    }
    let lateness = latencies(&server.said, options.seconds)?;
    drop(server);

    page.machine();
    page.chart("CPU of each client");
    let drained = READERS
        .iter()
        .position(|reader| reader.name == DRAINED)
        .unwrap_or(0);
    for (per_chunk, used) in PER_CHUNK.iter().zip(&used) {
        page.section(&match per_chunk {
            1 => "One event in each HTTP chunk".into(),
            many => format!("{many} events in each HTTP chunk"),
        });
        let mut rows: Vec<(f64, String)> = READERS
            .iter()
            .map(name)
            .zip(used)
            .map(|(a, b)| (*b, a))
            .collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let rows = rows.into_iter().map(|(seconds, name)| {
            let per_event = seconds * 1e9 / options.events as f64;
            let ratio = seconds / used[drained];
            vec![
                name,
                short(seconds),
                short(per_event),
                format!("{ratio:.2}"),
            ]
        });
        let head = [
            "client",
            "CPU, s",
            "CPU, ns for an event",
            "ratio to reqwest drained",
        ];
        page.table(&head, &rows.collect::<Vec<_>>());
    }
    page.section("Latency");
    page.paragraph(&format!(
        "From just before the server's write to the event in the user's hands, in microseconds; {PER_SECOND} \
         events a second for {} s, each written by itself, by a clock that both processes share.",
        options.seconds
    ));
    let rows = lateness.iter().map(|(name, numbers)| {
        let numbers = numbers.iter().map(|number| short(*number));
        [(*name).to_owned()].into_iter().chain(numbers).collect()
    });
    page.table(
        &["client", "p50", "p99", "p99.9", "max"],
        &rows.collect::<Vec<_>>(),
    );

    let mut bars_of: Vec<(String, f64)> = READERS
        .iter()
        .zip(&used[0])
        .map(|(reader, seconds)| {
            (
                reader.name.to_owned(),
                seconds * 1e9 / options.events as f64,
            )
        })
        .collect();
    bars_of.sort_by(|a, b| a.1.total_cmp(&b.1));
    let chart = bars(
        "nanoseconds of CPU for an event (less is better), 64 in an HTTP chunk",
        &bars_of,
    );
    page.finish(&options.out, &chart)
}

fn name(reader: &readers::Reader) -> String {
    match reader.package {
        Some(package) => format!("{} {}", reader.name, version(package)),
        None => reader.name.to_owned(),
    }
}

/// Seconds of CPU, for each reader.
fn cpu(base: &str, options: &Options, per_chunk: u64) -> Outcome<Vec<f64>> {
    let mut used = vec![Vec::new(); READERS.len()];
    for round in 1..=options.rounds {
        eprintln!("{per_chunk} events in a chunk, round {round}");
        for (reader, used) in READERS.iter().zip(&mut used) {
            let url = format!("{base}/feed/{{}}/{per_chunk}");
            let count = options.events.to_string();
            let measured = measure(&["client-once", "cpu", reader.name, &url, &count])?;
            used.push(*measured.first().ok_or("nothing was measured")?);
        }
    }
    Ok(used.into_iter().map(median).collect())
}

fn latencies(base: &str, seconds: u64) -> Outcome<Vec<(&'static str, Vec<f64>)>> {
    let mut all = Vec::new();
    for (name, _) in WATCHERS {
        eprintln!("latency: {name}");
        let count = seconds * PER_SECOND;
        let url = format!("{base}/stamped/{count}/{PER_SECOND}");
        let measured = measure(&["client-once", "latency", name, &url, &count.to_string()])?;
        all.push((name, measured));
    }
    Ok(all)
}

/// One measurement; prints its numbers.
pub fn once(once: &Once) -> Outcome {
    match once.what.as_str() {
        "cpu" => cpu_once(once),
        _ => latency_once(once),
    }
}

fn cpu_once(once: &Once) -> Outcome {
    let mut readers = READERS.iter();
    let reader = readers.find(|reader| reader.name == once.name);
    let reader = reader.ok_or("no such client")?;
    let mut read = (reader.make)()?;
    let url = |count: u64| once.url.replace("{}", &count.to_string());
    read(&url(10), 10)?;
    let before = sys::cpu()?;
    let bytes = read(&url(once.count), once.count)?;
    let used = sys::cpu()? - before;
    let expected = once.count * TOKEN.len() as u64;
    if bytes < expected || (!reader.raw && bytes != expected) {
        return Err(format!("{} read {bytes} bytes instead of {expected}", reader.name).into());
    }
    println!("{used}");
    Ok(())
}

fn latency_once(once: &Once) -> Outcome {
    let mut watchers = WATCHERS.iter();
    let watcher = watchers.find(|(name, _)| *name == once.name);
    let (name, watch) = watcher.ok_or("no such client")?;
    let mut taken = watch(&once.url)?;
    if taken.len() as u64 != once.count {
        return Err(format!(
            "{name} read {} events instead of {}",
            taken.len(),
            once.count
        )
        .into());
    }
    for at in [0.5, 0.99, 0.999, 1.0] {
        println!("{}", quantile(&mut taken, at));
    }
    Ok(())
}
