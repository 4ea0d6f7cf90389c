//! Thousands of idle streams: memory, CPU, an event a second, and their return after a drop.

mod report;
pub mod server;
pub mod streams;

use crate::page::Out;
use crate::process::{Server, measure};
use crate::spread::Spread;
use crate::sys;
use crate::targets::Way;
use crate::tls::Identity;
use crate::{Outcome, count};

#[derive(clap::Args)]
pub struct Options {
    /// Number of streams
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = count::<usize>)]
    streams: usize,
    /// Idle time in each round, before memory is measured
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = count::<u64>)]
    rest: u64,
    /// How long each stream then gets an event a second
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = count::<u64>)]
    seconds: u64,
    /// Number of rounds
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = count::<usize>)]
    rounds: usize,
    #[command(flatten)]
    out: Out,
}

const WHO: [&str; 2] = ["everstream", "reqwest"];

const WAYS: [Way; 3] = [Way::Http1, Way::Tls, Way::Http2];

/// Streams of one client over one transport.
struct Measured {
    way: Way,
    who: &'static str,
    /// As `streams` prints them: while idle, then with an event a second.
    numbers: Vec<Spread>,
}

/// How many of the numbers are measured while the streams are idle.
const OF_IDLE: usize = 3;

pub fn run(options: &Options) -> Outcome {
    // The process needs a few descriptors for itself.
    let limit = sys::raise_open_files(options.streams as u64 + 100)? as usize;
    let streams = options.streams.min(limit.saturating_sub(100));
    let page = report::page(options, streams, limit);
    let identity = Identity::new()?;
    let followed = follow(options, streams, &identity)?;
    let dropped = drops(options, streams, &identity)?;
    report::finish(page, &followed, &dropped, streams, options)
}

fn follow(options: &Options, streams: usize, identity: &Identity) -> Outcome<Vec<Measured>> {
    let all = WAYS.into_iter().flat_map(|way| WHO.map(|who| (way, who)));
    let mut rounds: Vec<_> = all.map(|(way, who)| (way, who, Vec::new())).collect();
    for round in 1..=options.rounds {
        for (way, who, rounds) in &mut rounds {
            eprintln!("{who}, {}, round {round}", title(*way));
            rounds.push(once(*way, who, "follow", streams, options, identity)?);
        }
    }
    let of = |(way, who, rounds): (Way, &'static str, Vec<Vec<f64>>)| Measured {
        way,
        who,
        numbers: Spread::of_each(&rounds),
    };
    Ok(rounds.into_iter().map(of).collect())
}

fn drops(options: &Options, streams: usize, identity: &Identity) -> Outcome<Vec<Spread>> {
    let round = |round| {
        eprintln!("all dropped, round {round}");
        once(WAYS[0], WHO[0], "drop", streams, options, identity)
    };
    let rounds: Outcome<Vec<_>> = (1..=options.rounds).map(round).collect();
    Ok(Spread::of_each(&rounds?))
}

/// One process with streams, and one with their server.
fn once(
    way: Way,
    who: &str,
    what: &str,
    streams: usize,
    options: &Options,
    identity: &Identity,
) -> Outcome<Vec<f64>> {
    let mut server = vec!["idle-server".to_owned()];
    if way == Way::Tls {
        server.extend(identity.for_server());
    }
    let server = Server::start(&server)?;
    let mut arguments = ["idle-once", who, what, &server.said]
        .map(str::to_owned)
        .to_vec();
    arguments.extend([streams as u64, options.rest, options.seconds].map(|it| it.to_string()));
    match way {
        Way::Http1 => {}
        Way::Tls => arguments.push(identity.for_client()),
        Way::Http2 => arguments.push("--http2".into()),
    }
    measure(&arguments)
}

fn title(way: Way) -> &'static str {
    match way {
        Way::Http1 => "HTTP/1.1",
        Way::Tls => "HTTP/1.1 over TLS",
        Way::Http2 => "HTTP/2, one connection",
    }
}
