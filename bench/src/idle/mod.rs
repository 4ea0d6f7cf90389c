//! Thousands of idle streams: memory, CPU, and their return after a drop.

pub mod server;
pub mod streams;

use crate::chart::{bars, short};
use crate::page::{Out, Page};
use crate::sys::{self, Server, measure, median};
use crate::{Outcome, count};

#[derive(clap::Args)]
pub struct Options {
    /// How many
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = count::<usize>)]
    streams: usize,
    /// How long those with an event a second are measured
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = count::<u64>)]
    seconds: u64,
    /// How often idle streams and drops are measured
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = count::<usize>)]
    rounds: usize,
    #[command(flatten)]
    out: Out,
}

const WHO: [&str; 2] = ["everstream", "reqwest"];
const REST: u64 = 10;

/// A way to the server.
struct Way {
    name: &'static str,
    server: &'static [&'static str],
    http2: bool,
}

const WAYS: [Way; 3] = [
    Way {
        name: "HTTP/1.1",
        server: &["idle-server"],
        http2: false,
    },
    Way {
        name: "HTTP/1.1 over TLS",
        server: &["idle-server", "--tls"],
        http2: false,
    },
    Way {
        name: "HTTP/2, one connection",
        server: &["idle-server"],
        http2: true,
    },
];

pub fn run(options: &Options) -> Outcome {
    let mut page = Page::new("idle", "Thousands of idle streams");
    // A few descriptors are no streams.
    let limit = sys::raise_open_files(options.streams as u64 + 100)? as usize;
    let streams = options.streams.min(limit.saturating_sub(100));
    let number = short(streams as f64);
    page.paragraph(&format!(
        "`cargo xtask bench idle` measures it and writes this page: {number} streams over loopback, in one \
         process on a current-thread runtime, from a server in another process. reqwest alone reads the \
         bodies of the same responses; it follows no protocol and doesn't come back. Both have a reqwest \
         client for all streams, and a task for each.",
    ));
    if streams < options.streams {
        page.paragraph(&format!(
            "Fewer than the {} that were wanted: the system allows {limit} open files.",
            options.streams
        ));
    }
    page.effort(format!(
        "Idle streams and drops: medians of {} rounds, of {number} streams each. An event a second: one \
         round of {number} streams and {} events.",
        options.rounds,
        short(streams as f64 * options.seconds as f64)
    ));
    let idle = idle(options, streams)?;
    let ticks = ticks(options, streams)?;
    let returned = returned(options, streams)?;
    page.machine();
    page.chart("memory of an idle stream");

    page.section("Idle");
    page.paragraph(&format!(
        "Each stream has received one event, and waits. Resident memory after {} s, CPU to connect and to wait.",
        REST.min(options.seconds)
    ));
    let head = [
        "streams",
        "memory, KiB each",
        "CPU to connect, µs each",
        "CPU to wait, µs each a minute",
    ];
    page.table(&head, &rows(&idle));

    page.section("An event a second");
    page.paragraph(&format!(
        "Each stream receives an event a second, spread evenly, for {} s. How late an event is in the user's \
         hands is measured from just before the server's write, by a clock that both share.",
        options.seconds
    ));
    let head = [
        "streams",
        "CPU, µs for an event",
        "late p50, ms",
        "p99, ms",
        "most, ms",
        "events a second each",
    ];
    page.table(&head, &rows(&ticks));

    page.section("All dropped at once");
    page.paragraph(&format!(
        "The server drops all connections at the same moment; the clients come back with their default \
         settings. Until all {number} are there again, and the most connections that came within a second and \
         a tenth of a second.",
    ));
    let head = [
        "streams",
        "all back after, s",
        "most in 1 s",
        "most in 0.1 s",
    ];
    page.table(
        &head,
        &rows(&[("everstream, HTTP/1.1".to_owned(), returned)]),
    );

    let memory: Vec<(String, f64)> = idle
        .iter()
        .map(|(name, numbers)| (name.clone(), numbers[0]))
        .collect();
    let chart = bars(
        &format!("KiB of memory for each of {number} idle streams (less is better)"),
        &memory,
    );
    page.finish(&options.out, &chart)
}

type Measured = (String, Vec<f64>);

fn rows(measured: &[Measured]) -> Vec<Vec<String>> {
    let row = |(name, numbers): &Measured| {
        let numbers = numbers.iter().map(|number| short(*number));
        [name.clone()].into_iter().chain(numbers).collect()
    };
    measured.iter().map(row).collect()
}

/// One process of streams against a server of its own.
fn once(way: &Way, who: &str, what: &str, streams: usize, seconds: u64) -> Outcome<Vec<f64>> {
    eprintln!("{what}: {who}, {}", way.name);
    let server = Server::start(way.server)?;
    let (streams, seconds) = (streams.to_string(), seconds.to_string());
    let mut arguments = vec!["idle-once", who, what, &server.said, &streams, &seconds];
    arguments.extend(way.http2.then_some("--http2"));
    measure(&arguments)
}

/// The median of each number over the rounds.
fn medians(rounds: Vec<Vec<f64>>) -> Vec<f64> {
    let numbers = rounds.iter().map(Vec::len).min().unwrap_or(0);
    let of = |index: usize| median(rounds.iter().map(|round| round[index]).collect());
    (0..numbers).map(of).collect()
}

fn idle(options: &Options, streams: usize) -> Outcome<Vec<Measured>> {
    let mut all = Vec::new();
    for way in &WAYS {
        let mut rounds = WHO.map(|_| Vec::new());
        for _ in 0..options.rounds {
            for (who, rounds) in WHO.iter().zip(&mut rounds) {
                rounds.push(once(way, who, "idle", streams, REST.min(options.seconds))?);
            }
        }
        for (who, rounds) in WHO.iter().zip(rounds) {
            all.push((format!("{who}, {}", way.name), medians(rounds)));
        }
    }
    Ok(all)
}

fn ticks(options: &Options, streams: usize) -> Outcome<Vec<Measured>> {
    let one = |who: &&str| {
        let numbers = once(&WAYS[0], who, "tick", streams, options.seconds)?;
        Ok((format!("{who}, {}", WAYS[0].name), numbers))
    };
    WHO.iter().map(one).collect()
}

fn returned(options: &Options, streams: usize) -> Outcome<Vec<f64>> {
    let round = |_| once(&WAYS[0], WHO[0], "drop", streams, 0);
    Ok(medians(
        (0..options.rounds).map(round).collect::<Outcome<_>>()?,
    ))
}
