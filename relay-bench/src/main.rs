//! `cargo xtask bench relay`: a whole relay, from a feed over HTTP into an engine, next to a program that
//! writes the same records blindly with the same client.
//!
//! | file | subject |
//! |---|---|
//! | `feed.rs` | the server of the feed, a process of its own |
//! | `relay.rs` | one run of a relay |
//! | `blind.rs` | one run of a program that compares nothing |
//! | `page.rs` | the page |
//!
//! Each run is a process with one thread, so that its CPU time is its own.

mod blind;
mod feed;
mod page;
// Shared with `bench`, which is another workspace.
#[allow(dead_code, unreachable_pub)]
#[path = "../../bench/src/process.rs"]
mod process;
mod relay;

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, Parser, Subcommand, ValueEnum};
use everstream_engines::{Nats, Postgres, Redis};
use process::Server;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

const BATCHES: [usize; 3] = [1, 64, 512];

#[derive(Parser)]
#[command(about = "Measures the relay next to programs that write the same records blindly.")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Every engine, batch and program, interleaved
    All(Options),
    /// A part of `all`: the server of the feed
    #[command(hide = true)]
    Feed { events: u64 },
    /// A part of `all`: one run
    #[command(hide = true)]
    Once(Once),
}

#[derive(Args)]
struct Options {
    /// How many records a run stores at batch 64 and 512; at batch 1 a tenth
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(100..))]
    events: u64,
    /// How often everyone has a turn
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The folder of the page; without it, it is only printed
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

#[derive(Args)]
struct Once {
    program: Program,
    engine: Engine,
    batch: usize,
    events: u64,
    /// Of the engine
    url: String,
    /// A name that nobody has used there
    log: String,
    /// Of the feed
    feed: String,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Program {
    Relay,
    /// One batch at a time
    Blind,
    /// Four batches at a time
    Pipelined,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engine {
    Postgres,
    Redis,
    Nats,
}

const ENGINES: [(Engine, &str); 3] = [
    (Engine::Postgres, "PostgreSQL"),
    (Engine::Redis, "Redis"),
    (Engine::Nats, "NATS"),
];

const PROGRAMS: [(Program, &str); 3] = [
    (Program::Relay, "relay"),
    (Program::Blind, "blind"),
    (Program::Pipelined, "pipelined"),
];

/// What a run took.
struct Cost {
    seconds: f64,
    cpu: f64,
}

/// From here to its end.
struct Meter {
    begin: Instant,
    cpu: f64,
}

impl Meter {
    fn start() -> Outcome<Meter> {
        Ok(Meter {
            begin: Instant::now(),
            cpu: cpu()?,
        })
    }

    fn cost(&self) -> Outcome<Cost> {
        Ok(Cost {
            seconds: self.begin.elapsed().as_secs_f64(),
            cpu: cpu()? - self.cpu,
        })
    }
}

/// Seconds that the thread has run, which is the process's only one.
fn cpu() -> Outcome<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = text.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1e9)
}

/// The data of the event with this number: about 100 bytes.
fn data(number: u64) -> String {
    format!(
        r#"{{"number": {number}, "symbol": "ACME", "price": 7.50, "note": "a record of an ordinary size"}}"#
    )
}

fn main() -> Outcome {
    match Arguments::parse().what {
        What::All(options) => all(&options),
        What::Feed { events } => feed::serve(events),
        What::Once(once) => {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let cost = runtime.block_on(async {
                match once.program {
                    Program::Relay => relay::run(&once).await,
                    Program::Blind => blind::run(&once, 1).await,
                    Program::Pipelined => blind::run(&once, 4).await,
                }
            })?;
            println!("{} {}", cost.seconds, cost.cpu);
            Ok(())
        }
    }
}

fn all(options: &Options) -> Outcome {
    let load = process::load();
    let (postgres, redis, nats) = (Postgres::start(), Redis::start(), Nats::start());
    let feed = Server::start(&["feed", &options.events.to_string()])?;
    let mut results = Vec::new();
    for (engine, _) in ENGINES {
        let url = match engine {
            Engine::Postgres => postgres.url(),
            Engine::Redis => redis.url(),
            Engine::Nats => nats.url(),
        };
        for batch in BATCHES {
            let events = match batch {
                1 => options.events / 10,
                _ => options.events,
            };
            let mut costs = PROGRAMS.map(|_| Vec::new());
            for round in 0..options.rounds {
                for ((program, name), costs) in PROGRAMS.iter().zip(&mut costs) {
                    let log = format!("{name}-{batch}-{round}");
                    let once = [
                        "once".to_owned(),
                        value(*program),
                        value(engine),
                        batch.to_string(),
                        events.to_string(),
                        url.clone(),
                        log,
                        feed.said.clone(),
                    ];
                    let [seconds, cpu] = process::measure(&once)?[..] else {
                        return Err(format!("{name} printed no figures").into());
                    };
                    costs.push(Cost { seconds, cpu });
                }
            }
            results.push(page::Row {
                engine,
                batch,
                events,
                costs,
            });
        }
    }
    let text = page::text(options, &results, &load);
    print!("{text}");
    if let Some(folder) = &options.out {
        fs::write(folder.join("relay.md"), text)?;
    }
    Ok(())
}

fn value(it: impl ValueEnum) -> String {
    it.to_possible_value()
        .map(|it| it.get_name().to_owned())
        .unwrap_or_default()
}
