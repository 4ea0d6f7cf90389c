//! `cargo xtask soak --relay`: more kills than in the tests, under load all the time.

use std::time::{Duration, Instant};

use everstream_testing::Feed;

use super::killed::Load;
use super::{Engine, Random, active, assert_stored, pushed, relay, serve, wait_for_count};

const RELAY_KILLS: usize = 20;
const ENGINE_KILLS: usize = 5;

pub(super) fn kills(engine: &mut Engine, random: &mut Random) {
    let began = Instant::now();
    let feed = Feed::new();
    let server = serve(&feed);
    let mut relays = vec![relay(&server, engine, &[]), relay(&server, engine, &[])];
    let load = Load::start(&feed, random);
    let (mut kills, mut in_batch, mut takeovers) = (0, 0, Vec::new());
    for round in 1..=RELAY_KILLS {
        let found = active(&relays);
        wait_for_count(engine, engine.count() + 1 + random.below(300));
        drop(relays.remove(found));
        let (killed, stored) = (Instant::now(), engine.count());
        kills += 1;
        in_batch += usize::from(stored < feed.len());
        relays.push(relay(&server, engine, &[]));
        wait_for_count(engine, stored + 1);
        takeovers.push(killed.elapsed());
        if round % (RELAY_KILLS / ENGINE_KILLS) == 0 {
            wait_for_count(engine, engine.count() + 1 + random.below(300));
            engine.process().kill();
            engine.process().restart();
        }
    }
    wait_for_count(engine, engine.count() + 300);
    drop(load);
    assert_stored(engine, &pushed(1..=feed.len()));
    takeovers.sort();
    let seconds = |it: Duration| format!("{:.1} s", it.as_secs_f64());
    println!(
        "{}: {} events, {kills} kills of the active relay ({in_batch} with events not stored), \
         {ENGINE_KILLS} of the engine, in {}; none lost, none twice; next event stored after {} \
         (median), {} at most",
        engine.name(),
        feed.len(),
        seconds(began.elapsed()),
        seconds(takeovers[takeovers.len() / 2]),
        seconds(takeovers[takeovers.len() - 1]),
    );
}
