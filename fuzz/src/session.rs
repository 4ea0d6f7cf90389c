//! A session under arbitrary calls in any order, checked against the model of the simulation. The
//! fuzzer's bytes replace the random numbers.

#[allow(dead_code, reason = "the simulation counts what happened")]
#[path = "../../crates/everstream-core/tests/simulation/server.rs"]
mod server;
#[allow(dead_code, reason = "the simulation counts what happened")]
#[path = "../../crates/everstream-core/tests/simulation/world.rs"]
mod world;

use numbers::Random;
use world::World;

/// The approximate number of bytes per step.
const STEP: usize = 3;

/// Plays a script, and panics if the session violates a rule.
///
/// ```
/// everstream_fuzz::session(b"start, connect, read, end");
/// ```
pub fn session(input: &[u8]) {
    let mut world = World::new(Random::new(input));
    for _ in 0..input.len() / STEP {
        world.step();
    }
    world.settle();
}

mod numbers {
    /// The choices in an input. When they are used up, always the first choice.
    pub(super) struct Random {
        bytes: Vec<u8>,
        at: usize,
        /// Start over at the end.
        endless: bool,
    }

    impl Random {
        pub(super) fn new(bytes: &[u8]) -> Self {
            Random {
                bytes: bytes.to_vec(),
                at: 0,
                endless: false,
            }
        }

        fn byte(&mut self) -> usize {
            if self.at == self.bytes.len() && self.endless {
                self.at = 0;
            }
            let byte = self.bytes.get(self.at).copied().unwrap_or_default();
            self.at = self.bytes.len().min(self.at + 1);
            byte.into()
        }

        pub(super) fn below(&mut self, limit: usize) -> usize {
            let choice = match limit {
                ..=0x100 => self.byte(),
                _ => self.byte() << 8 | self.byte(),
            };
            choice % limit
        }

        pub(super) fn one_in(&mut self, odds: usize) -> bool {
            self.below(odds) == 0
        }

        pub(super) fn fork(&mut self) -> Self {
            Random {
                bytes: (0..8).map(|_| self.byte() as u8).collect(),
                at: 0,
                endless: true,
            }
        }
    }
}
