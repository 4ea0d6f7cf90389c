//! Random scripts for a session, checked against a model.
//!
//! Every run uses the same scripts. `EVERSTREAM_SEED=n` selects others and `EVERSTREAM_SCRIPTS=n` their
//! number; a failure prints the seed that reproduces it.

mod server;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use world::{Counts, World};

use crate::numbers::{self, Random, number_from_environment};

const SCRIPTS: u64 = 20_000;
const STEPS: usize = 120;

fn run(seed: u64, counts: &mut Counts) {
    let mut world = World::new(Random(seed));
    for _ in 0..STEPS {
        world.step();
    }
    world.settle();
    counts.add(&world.counts);
}

#[test]
fn no_random_script_breaks_a_rule() {
    let first = number_from_environment("EVERSTREAM_SEED", 1);
    let scripts = number_from_environment("EVERSTREAM_SCRIPTS", SCRIPTS);
    let mut counts = Counts::default();
    for seed in first..first.saturating_add(scripts) {
        let script = catch_unwind(AssertUnwindSafe(|| run(seed, &mut counts)));
        if let Err(panic) = script {
            eprintln!("\nEVERSTREAM_SEED={seed} EVERSTREAM_SCRIPTS=1 reproduces this.");
            resume_unwind(panic);
        }
    }
    // Guards against scripts in which too little happens to prove anything.
    if scripts == SCRIPTS {
        let Counts {
            connections,
            resumed,
            events,
            late_events,
            waits,
            failures,
            interrupted_waits,
            not_repeated,
            by_get,
            refused,
            restarted,
            closed,
            polled_with_new_id,
            polled_again,
            reset_by_delivery,
            lengthened,
        } = counts;
        for (what, number, least) in [
            ("connections", connections, 3),
            ("connections that resume", resumed, 1),
            ("events", events, 3),
            ("events delivered after the disconnect", late_events, 1),
            ("waits", waits, 3),
            ("failures", failures, 1),
        ] {
            assert!(number >= least * SCRIPTS / 4, "only {number} {what}");
        }
        for (what, number, one_in) in [
            ("interrupted waits", interrupted_waits, 20),
            ("requests that weren't repeated", not_repeated, 20),
            ("streams resumed by GET", by_get, 20),
            ("servers that can't resume", refused, 100),
            ("starts before the end was reported", restarted, 50),
            ("closed sessions", closed, 20),
            ("clean ends with a new id", polled_with_new_id, 40),
            ("clean ends without a new id", polled_again, 40),
            ("resets by a delivering connection", reset_by_delivery, 20),
            ("interruptions before a longer retry", lengthened, 400),
        ] {
            assert!(number >= SCRIPTS / one_in, "only {number} {what}");
        }
    }
}
