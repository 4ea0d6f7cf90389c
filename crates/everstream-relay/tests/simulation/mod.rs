//! Random operations and faults over several relays, and what must hold in all of them: the log is the
//! feed, once, in order.
//!
//! Each run tries other sequences. A failure names the seed: `EVERSTREAM_SEED=n EVERSTREAM_SEQUENCES=1`
//! repeats it.

mod engine;
mod feed;
mod world;

use std::hash::{BuildHasher, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use world::{Counts, World};

const SEQUENCES: u64 = 10_000;
const STEPS: usize = 20;
const THREADS: u64 = 2;

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }

    /// One of `0..limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub(crate) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().expect("a number"))
}

fn run(seed: u64) -> Counts {
    let sequence = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(Random(seed));
        for _ in 0..STEPS {
            world.step();
        }
        world.settle();
        world.counts()
    }));
    sequence.unwrap_or_else(|panic| {
        eprintln!("\nEVERSTREAM_SEED={seed} EVERSTREAM_SEQUENCES=1 repeats this.");
        resume_unwind(panic)
    })
}

#[test]
fn the_log_is_the_feed_once_and_in_order() {
    let random = std::collections::hash_map::RandomState::new();
    let first = number("EVERSTREAM_SEED").unwrap_or(random.build_hasher().finish() >> 32);
    let sequences = number("EVERSTREAM_SEQUENCES").unwrap_or(SEQUENCES);
    println!("EVERSTREAM_SEED={first}");
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let seeds = (first + thread..first + sequences).step_by(THREADS as usize);
            thread::spawn(move || {
                let mut counts = Counts::default();
                seeds.for_each(|seed| counts.add(&run(seed)));
                counts
            })
        })
        .collect();
    let mut counts = Counts::default();
    for thread in threads {
        counts.add(&thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
    }
    println!("{counts:?}");
    // Sequences in which little happens would prove little.
    if sequences == SEQUENCES {
        for (what, number, least) in counts.all() {
            let least = least * sequences / 1000;
            assert!(number >= least, "{number} {what}, expected {least}");
        }
    }
}
