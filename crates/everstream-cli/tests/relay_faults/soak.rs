//! `cargo xtask soak --relay`: more kills than in the tests, under load all the time.

use std::fmt;
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
    let (mut kills, mut in_batch, mut times) = (0, 0, Times::default());
    for round in 1..=RELAY_KILLS {
        let found = active(&relays);
        wait_for_count(engine, engine.count() + 1 + random.below(300));
        drop(relays.remove(found));
        let (killed, stored) = (Instant::now(), engine.count());
        kills += 1;
        in_batch += usize::from(stored < feed.len());
        relays.push(relay(&server, engine, &[]));
        wait_for_count(engine, stored + 1);
        times.add(killed.elapsed());
        if round % (RELAY_KILLS / ENGINE_KILLS) == 0 {
            wait_for_count(engine, engine.count() + 1 + random.below(300));
            engine.process().kill();
            engine.process().restart();
        }
    }
    wait_for_count(engine, engine.count() + 300);
    drop(load);
    assert_stored(engine, &pushed(1..=feed.len()));
    println!(
        "{}: {} events, {kills} kills of the active relay ({in_batch} with events not stored), \
         {ENGINE_KILLS} of the engine, in {}; none lost, none twice; {times}",
        engine.name(),
        feed.len(),
        seconds(began.elapsed()),
    );
}

pub(super) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// How long it took after each fault until the next event was stored.
#[derive(Default)]
pub(super) struct Times(Vec<Duration>);

impl Times {
    pub(super) fn add(&mut self, time: Duration) {
        self.0.push(time);
        self.0.sort();
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, longest) = (self.0[self.0.len() / 2], self.0[self.0.len() - 1]);
        write!(
            f,
            "next event stored after {} (median), {} at most",
            seconds(median),
            seconds(longest)
        )
    }
}
