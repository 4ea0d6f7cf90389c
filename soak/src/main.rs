//! Follows thousands of streams through every kind of failure, and accounts for each event.
//!
//! There are three processes: the servers (`server/`), the clients (`client/`), which are separate so
//! that only they are measured, and this one, which starts both, takes samples (`sample.rs`) and
//! judges the run (`report.rs`).

mod client;
mod feed;
mod messages;
mod numbers;
mod plot;
mod refusals;
mod report;
mod run;
mod sample;
mod server;
mod trend;

use std::alloc::System;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use cap::Cap;
use clap::{Parser, Subcommand};
use messages::Sabotage;

/// The system's allocator, with a count of the bytes that are in use.
#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// Runs clients against servers that fail, and checks that no event is lost or duplicated and that
/// nothing leaks.
#[derive(Debug, Parser)]
#[command(name = "everstream-soak", version)]
struct Args {
    /// Length of the run in minutes.
    #[arg(long, default_value_t = 20.0, value_parser = positive)]
    minutes: f64,

    /// Ends the run earlier, after this many events.
    #[arg(long)]
    events: Option<u64>,

    /// Number of concurrent streams.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    streams: u64,

    /// Number of streams that blocking clients read, each on its own thread; at most a quarter.
    #[arg(long, default_value_t = 50)]
    blocking: u64,

    /// Seed of an earlier run, to repeat its choices. Default: random.
    #[arg(long)]
    seed: Option<u64>,

    /// Time between two events of a stream, in milliseconds.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    interval_ms: u64,

    /// Mean time until a response fails, in milliseconds.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    break_ms: u64,

    /// Mean time until a server restarts, in milliseconds.
    #[arg(long, default_value_t = 60_000, value_parser = clap::value_parser!(u64).range(1..))]
    restart_ms: u64,

    /// Mean time until all servers restart, or all go silent, in milliseconds.
    #[arg(long, default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(1..))]
    outage_ms: u64,

    /// Runs something else: this many attempts at a server that closes or resets each connection as
    /// it accepts it. Every attempt must end in a fault.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    attempts: Option<u64>,

    /// File for the plot.
    #[arg(long)]
    svg: Option<PathBuf>,

    /// Introduces an error on purpose; the run must fail.
    #[arg(long, value_enum)]
    sabotage: Option<Sabotage>,

    #[command(subcommand)]
    role: Option<Role>,
}

/// The processes that a run starts.
#[derive(Debug, Clone, Copy, Subcommand)]
#[command(hide = true)]
enum Role {
    #[command(hide = true)]
    Server,
    #[command(hide = true)]
    Client,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if f64::is_finite(number) && number > 0.0 => Ok(number),
        _ => Err("a number of minutes above 0 is needed".to_owned()),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let passed = match args.role {
        Some(Role::Server) => server::run().map(|()| true),
        Some(Role::Client) => client::run().map(|()| true),
        None => match args.attempts {
            Some(attempts) => refusals::run(attempts),
            None => run::run(&args),
        },
    };
    match passed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(2)
        }
    }
}
