//! The page.

use std::fmt::Write;

use crate::process::median;
use crate::{BATCHES, Cost, ENGINES, Engine, Options, PROGRAMS};

pub(crate) struct Row {
    pub(crate) engine: Engine,
    pub(crate) batch: usize,
    pub(crate) events: u64,
    /// Of each program, in the order of `PROGRAMS`.
    pub(crate) costs: [Vec<Cost>; PROGRAMS.len()],
}

impl Row {
    /// The medians: thousand records per second, and microseconds of CPU per record.
    fn figures(&self) -> [(f64, f64); PROGRAMS.len()] {
        let events = self.events as f64;
        self.costs.each_ref().map(|costs| {
            let rate = |it: &Cost| events / it.seconds / 1e3;
            let cpu = |it: &Cost| it.cpu / events * 1e6;
            (
                median(costs.iter().map(rate).collect()),
                median(costs.iter().map(cpu).collect()),
            )
        })
    }
}

pub(crate) fn text(options: &Options, rows: &[Row], load: &str) -> String {
    let mut text = String::from(
        "# The relay next to programs that write blindly\n\n\
         *relay*: a whole relay, from a feed over HTTP on loopback into the engine, each event once. *blind* has the same\n\
         records in memory, writes them with the same client and compares nothing, one batch at a time. *pipelined* does so\n\
         with four batches on their way, which no relay can: after a failure it wouldn't know which of them are stored.\n\n\
         CPU is that of the program alone, without the engine and the server of the feed.\n\n",
    );
    for (engine, name) in ENGINES {
        let _ = write!(
            text,
            "## {name}\n\n\
             | batch | relay, k/s | blind, k/s | pipelined, k/s | relay / blind | relay, µs CPU | blind, µs CPU | pipelined, µs CPU |\n\
             |---|---|---|---|---|---|---|---|\n"
        );
        for batch in BATCHES {
            let row = rows
                .iter()
                .find(|it| it.engine == engine && it.batch == batch);
            let Some(row) = row else { continue };
            let [relay, blind, pipelined] = row.figures();
            let _ = writeln!(
                text,
                "| {batch} | {:.1} | {:.1} | {:.1} | {:.2} | {:.1} | {:.1} | {:.1} |",
                relay.0,
                blind.0,
                pipelined.0,
                relay.0 / blind.0,
                relay.1,
                blind.1,
                pipelined.1
            );
        }
        text.push('\n');
    }
    let _ = writeln!(
        text,
        "Medians of {} rounds with {} records (batch 1: {}) of about 100 bytes, the programs taking turns. Engines on the same\n\
         machine: PostgreSQL with `fsync=off`, Redis with `appendfsync always`, NATS with one replica in a file. Load before: {load}.\n\
         `cargo xtask bench relay` writes this page.",
        options.rounds,
        options.events,
        options.events / 10
    );
    text
}
