//! Counts the allocations of each decoder. Prints a line for each corpus and peer, with the allocations
//! and bytes per event, then a line for each peer with the bytes that a kept event holds.

use std::alloc::System;
use std::any::Any;

use everstream_bench::decode::corpora::{self, Chunks};
use everstream_bench::decode::counts::{CHUNK, SIZE};
use everstream_bench::decode::peers::{PEERS, Peer};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    for corpus in corpora::all(SIZE) {
        let chunks = corpus.chunks(CHUNK);
        for peer in &PEERS {
            let stats = counted(|| (peer.count)(&chunks)).1;
            let events = corpus.expected.events as f64;
            let number = stats.allocations + stats.reallocations;
            println!(
                "{} {}",
                number as f64 / events,
                stats.bytes_allocated as f64 / events
            );
        }
    }
    let tiny = || corpora::chunks(&b"data: x\n\n".repeat(CHUNK / 9), CHUNK);
    let after_large = || {
        let mut bytes = corpora::one_event(1 << 20);
        bytes.extend(b"data: x\n\n");
        corpora::chunks(&bytes, CHUNK)
    };
    for peer in &PEERS {
        println!("{} {}", held(peer, tiny), held(peer, after_large));
    }
}

/// The bytes that the last event holds once everything else is dropped.
fn held(peer: &Peer, chunks: impl Fn() -> Chunks) -> f64 {
    let Some(last) = peer.last else {
        return f64::NAN;
    };
    let keep = || last(&chunks());
    let (kept, stats) = counted(keep);
    let inline = size_of_val::<dyn Any>(&*kept) as f64;
    let live = stats.bytes_allocated as f64 - stats.bytes_deallocated as f64;
    // The event itself was boxed.
    live - inline
}

fn counted<T>(mut work: impl FnMut() -> T) -> (T, Stats) {
    // Allocates everything that is allocated only once.
    drop(work());
    let region = Region::new(ALLOCATOR);
    let result = work();
    let stats = region.change();
    (result, stats)
}
