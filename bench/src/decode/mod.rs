//! Decoders on chunks in memory.

pub mod corpora;
pub mod counts;
mod measure;
pub mod peers;
mod report;
pub mod tally;

use std::hint::black_box;
use std::time::Duration;

use crate::page::{Out, size};
use crate::{Outcome, count};
use measure::{Cell, Effort, Timing};
use peers::{LENT, OWNED, PEERS, Peer, SSE_CORE, SSE_STREAM};

#[derive(clap::Args)]
pub struct Options {
    /// Measure only ours, sse-core and sse-stream, in chunks of 64 B and 16 KiB; write no page
    #[arg(long)]
    quick: bool,
    /// Size of a corpus, in KiB
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = count::<usize>)]
    size: usize,
    /// Number of rounds
    #[arg(long, value_name = "N", default_value_t = 21, value_parser = count::<usize>)]
    rounds: usize,
    #[command(flatten)]
    out: Out,
}

#[derive(clap::Args)]
pub struct Once {
    peer: String,
    corpus: String,
}

const CHUNKS: [usize; 4] = [64, 1_460, 16 << 10, 256 << 10];
const LENGTHS: [usize; 6] = [1 << 10, 16 << 10, 256 << 10, 1 << 20, 16 << 20, 64 << 20];

/// Time per byte of one event, in chunks of one size.
struct Linear {
    chunk: usize,
    /// For each length and peer.
    timings: Vec<Vec<Timing>>,
}

pub fn run(options: &Options) -> Outcome {
    if options.quick {
        return quick(options);
    }
    let mut page = report::page();
    let effort = Effort {
        rounds: options.rounds,
        sample: Duration::from_millis(2),
    };
    let peers: Vec<&Peer> = PEERS.iter().collect();
    let cells = cells(&peers, &CHUNKS, options.size << 10, &effort);
    let few = Effort {
        rounds: options.rounds.min(5),
        ..effort
    };
    page.effort(format!(
        "Medians of {} rounds, of {} for the long events; in a round each repeats its corpus of {} for {} ms \
         at least.",
        effort.rounds,
        few.rounds,
        size(options.size << 10),
        effort.sample.as_millis()
    ));
    let linear = |chunk| {
        eprintln!("one event in chunks of {chunk} B");
        let timings = LENGTHS.map(|length| measure::one_event(&peers, length, chunk, &few));
        let timings = timings.into();
        Linear { chunk, timings }
    };
    let linear: Vec<Linear> = CHUNKS.into_iter().map(linear).collect();
    let instructions = counts::instructions()?;
    let allocations = counts::allocations()?;
    report::finish(
        page,
        &cells,
        &linear,
        instructions,
        &allocations,
        &options.out,
    )
}

fn cells(peers: &[&Peer], chunks: &[usize], size: usize, effort: &Effort) -> Vec<Cell> {
    let mut cells = Vec::new();
    for corpus in corpora::all(size) {
        for chunk in chunks {
            eprintln!("{} in chunks of {chunk} B", corpus.name);
            cells.push(measure::cell(peers, &corpus, *chunk, effort));
        }
    }
    cells
}

fn quick(options: &Options) -> Outcome {
    let names = [LENT, OWNED, SSE_CORE, SSE_STREAM];
    let chosen = PEERS.iter().filter(|peer| names.contains(&peer.name));
    let peers: Vec<&Peer> = chosen.collect();
    let effort = Effort {
        rounds: options.rounds.min(11),
        sample: Duration::from_millis(1),
    };
    let cells = cells(&peers, &[64, 16 << 10], options.size << 10, &effort);
    report::quick(&peers, &cells);
    Ok(())
}

/// One pass of one peer, for `counts`.
pub fn once(once: &Once) -> Outcome {
    let mut all = corpora::all(counts::SIZE).into_iter();
    let corpus = all.find(|corpus| corpus.name == once.corpus);
    let chunks = corpus.ok_or("no such corpus")?.chunks(counts::CHUNK);
    let mut peers = PEERS.iter();
    let peer = peers.find(|peer| peer.name == once.peer);
    let peer = peer.ok_or("no such peer")?;
    // The first call detects the features of the processor.
    (peer.count)(&corpora::chunks(&chunks[0], counts::CHUNK));
    black_box(counts::counted_pass(peer, &chunks).bytes);
    Ok(())
}
