//! Time of every decoder on every corpus, in chunks of every size.

use std::hint::black_box;
use std::time::Duration;

use super::corpora::{self, Chunks, Corpus};
use super::peers::{Peer, floor};
use crate::process::{median, quantile};
use crate::sys::thread_cpu;

/// A decoder that would take longer for one pass is skipped.
const PATIENCE: f64 = 3.0;

/// No decoder takes long for an event of this length.
const PROBE: usize = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Timing {
    /// Nanoseconds per event, or per byte where the page says so.
    Nanos(f64),
    /// The result differs from the standard's.
    Wrong,
    /// It would take too long.
    Slow,
    /// It doesn't return comments.
    Drops,
}

impl Timing {
    pub fn nanos(self) -> Option<f64> {
        match self {
            Timing::Nanos(nanos) => Some(nanos),
            _ => None,
        }
    }
}

pub struct Cell {
    pub corpus: &'static str,
    pub chunk: usize,
    pub comments: bool,
    pub floor: f64,
    /// The largest interquartile range of the measured decoders, relative to the median.
    pub spread: f64,
    /// In the order of the peers.
    pub timings: Vec<Timing>,
}

pub struct Effort {
    pub rounds: usize,
    /// The shortest time of a sample.
    pub sample: Duration,
}

/// All decoders on one corpus, taking turns.
pub fn cell(peers: &[&Peer], corpus: &Corpus, chunk: usize, effort: &Effort) -> Cell {
    let chunks = corpus.chunks(chunk);
    let longest = match corpus.name {
        "1 MiB" => 1 << 20,
        _ => 0,
    };
    let whether = |peer: &&Peer| match () {
        () if corpus.comments && !peer.has_comments() => Err(Timing::Drops),
        () if longest > 0 && predicted(peer, longest, chunk) > PATIENCE => Err(Timing::Slow),
        () if (peer.digest)(&chunks) != corpus.expected => Err(Timing::Wrong),
        () => Ok(()),
    };
    let can: Vec<Result<(), Timing>> = peers.iter().map(whether).collect();
    let per_pass = turns(peers, &can, &chunks, effort);
    let events = corpus.expected.events as f64;
    let spread = per_pass.iter().map(Pass::spread).fold(0.0, f64::max);
    let mut nanos = per_pass.iter().map(|pass| pass.median * 1e9 / events);
    Cell {
        corpus: corpus.name,
        chunk,
        comments: corpus.comments,
        floor: nanos.next().unwrap_or(f64::NAN),
        spread,
        timings: timings(&can, nanos),
    }
}

/// Nanoseconds per byte, for one event of each size, for each peer.
pub fn one_event(peers: &[&Peer], length: usize, chunk: usize, effort: &Effort) -> Vec<Timing> {
    let chunks = corpora::chunks(&corpora::one_event(length), chunk);
    let whether = |peer: &&Peer| match () {
        () if length > PROBE && predicted(peer, length, chunk) > PATIENCE => Err(Timing::Slow),
        () if (peer.count)(&chunks).bytes != length as u64 => Err(Timing::Wrong),
        () => Ok(()),
    };
    let can: Vec<Result<(), Timing>> = peers.iter().map(whether).collect();
    let per_pass = turns(peers, &can, &chunks, effort).into_iter().skip(1);
    timings(&can, per_pass.map(|pass| pass.median * 1e9 / length as f64))
}

fn timings(can: &[Result<(), Timing>], mut nanos: impl Iterator<Item = f64>) -> Vec<Timing> {
    let timing = |can: &Result<(), Timing>| match can {
        Ok(()) => Timing::Nanos(nanos.next().unwrap_or(f64::NAN)),
        Err(reason) => *reason,
    };
    can.iter().map(timing).collect()
}

/// Seconds of a pass in each round.
struct Pass {
    median: f64,
    quartiles: (f64, f64),
}

impl Pass {
    fn of(mut rounds: Vec<f64>) -> Pass {
        Pass {
            median: quantile(&mut rounds, 0.5),
            quartiles: (quantile(&mut rounds, 0.25), quantile(&mut rounds, 0.75)),
        }
    }

    fn spread(&self) -> f64 {
        (self.quartiles.1 - self.quartiles.0) / self.median
    }
}

/// The passes of the floor and of the peers that support this corpus.
fn turns(
    peers: &[&Peer],
    can: &[Result<(), Timing>],
    chunks: &Chunks,
    effort: &Effort,
) -> Vec<Pass> {
    type Work<'a> = Box<dyn Fn() + 'a>;
    let mut passes: Vec<Work<'_>> = vec![Box::new(|| {
        black_box(floor(black_box(chunks)));
    })];
    for (peer, _) in peers.iter().zip(can).filter(|(_, can)| can.is_ok()) {
        passes.push(Box::new(|| {
            black_box((peer.count)(black_box(chunks)).bytes);
        }));
    }
    let repeated = |pass: &Work<'_>| {
        pass();
        let start = thread_cpu();
        pass();
        let once = (thread_cpu() - start).max(1e-7);
        (effort.sample.as_secs_f64() / once).ceil().max(1.0) as u32
    };
    let times: Vec<u32> = passes.iter().map(repeated).collect();
    let mut samples = vec![Vec::new(); passes.len()];
    for _ in 0..effort.rounds {
        for ((pass, times), samples) in passes.iter().zip(&times).zip(&mut samples) {
            let start = thread_cpu();
            for _ in 0..*times {
                pass();
            }
            samples.push((thread_cpu() - start) / f64::from(*times));
        }
    }
    samples.into_iter().map(Pass::of).collect()
}

/// Estimates the seconds for one event from smaller ones: a decoder that takes more than four times as
/// long for four times the length counts as quadratic.
pub fn predicted(peer: &Peer, length: usize, chunk: usize) -> f64 {
    let time = |length: usize| {
        let chunks = corpora::chunks(&corpora::one_event(length), chunk);
        let once = || {
            let start = thread_cpu();
            black_box((peer.count)(&chunks).bytes);
            thread_cpu() - start
        };
        median(vec![once(), once(), once()])
    };
    // Events of one chunk would hide it.
    let larger = PROBE.max(16 * chunk);
    let (first, second) = (time(larger / 4), time(larger));
    let exponent = match second / first {
        growth if growth > 6.0 => 2.0,
        _ => 1.0,
    };
    second * (length as f64 / larger as f64).powf(exponent)
}
