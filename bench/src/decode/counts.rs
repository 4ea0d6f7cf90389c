//! Instructions and allocations, which don't depend on the machine's load.

use std::process::{Command, Stdio};

use super::corpora::{self, Chunks};
use super::measure::predicted;
use super::peers::{PEERS, Peer};
use super::tally::Count;
use crate::{Outcome, callgrind};

/// Small, because a counted pass is slow; large enough to make the setup of a decoder negligible.
pub const SIZE: usize = 256 << 10;
pub const CHUNK: usize = 16 << 10;

/// The function that callgrind counts, by its name.
#[inline(never)]
pub fn counted_pass(peer: &Peer, chunks: &Chunks) -> Count {
    (peer.count)(chunks)
}

/// The instructions per event, for each corpus and peer. `None` without callgrind.
pub fn instructions() -> Outcome<Option<Vec<Vec<Option<f64>>>>> {
    if !callgrind::is_installed() {
        return Ok(None);
    }
    let mut counted = Vec::new();
    for corpus in corpora::all(SIZE) {
        eprintln!("instructions: {}", corpus.name);
        let chunks = corpus.chunks(CHUNK);
        let of = |peer: &Peer| -> Outcome<Option<f64>> {
            let slow = corpus.name == "1 MiB" && predicted(peer, 1 << 20, CHUNK) > 0.2;
            let drops = corpus.comments && !peer.has_comments();
            if slow || drops || (peer.digest)(&chunks) != corpus.expected {
                return Ok(None);
            }
            let once = ["decode-once", peer.name, corpus.name];
            let instructions = callgrind::instructions(&once, Some("counted_pass"))?;
            Ok(Some(instructions / corpus.expected.events as f64))
        };
        counted.push(PEERS.iter().map(of).collect::<Outcome<_>>()?);
    }
    Ok(Some(counted))
}

/// The counts of the other program, `allocations.rs`.
pub struct Allocations {
    /// For each corpus and peer: allocations per event, and their bytes.
    pub per_event: Vec<Vec<(f64, f64)>>,
    /// For each peer: the bytes that a kept tiny event holds, from a chunk of tiny events and after an
    /// event of 1 MiB.
    pub held: Vec<(f64, f64)>,
}

pub fn allocations() -> Outcome<Allocations> {
    let program = std::env::current_exe()?.with_file_name("everstream-bench-allocations");
    let output = Command::new(&program)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
    let text = String::from_utf8(output.stdout)?;
    let pairs: Vec<(f64, f64)> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(first, second)| Ok((first.parse()?, second.parse()?)))
        .collect::<Outcome<_>>()?;
    let rows: Vec<Vec<(f64, f64)>> = pairs.chunks(PEERS.len()).map(<[_]>::to_vec).collect();
    match rows.split_last() {
        Some((held, per_event)) if output.status.success() => Ok(Allocations {
            per_event: per_event.to_vec(),
            held: held.clone(),
        }),
        _ => Err(format!("{} ended with {}", program.display(), output.status).into()),
    }
}
