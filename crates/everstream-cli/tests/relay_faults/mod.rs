//! `everstream relay` with the engines themselves, and every fault: kills, stops, and odd feeds. After each
//! the log has every event once, in order, or what the documentation says instead.
//!
//! - `engines`: the engines, and what their logs hold
//! - `killed`: relays and engines that are killed or stopped
//! - `feeds`: what feeds do, and what engines can't store
//! - `misuse`: wrong use, and engines that refuse
//! - `soak`: more kills, for `cargo xtask soak --relay`
//! - `space`: logs that are full, and logs that are emptied; part of the soak
//! - `failover`: engines of several servers, of which one is lost; part of the soak
//!
//! A failure prints its seed; `EVERSTREAM_SEED=n` uses it again. Times remain those of the machine.

mod engines;
mod failover;
mod feeds;
mod killed;
mod misuse;
mod soak;
mod space;

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use everstream_testing::{Feed, Reply, Server};

use crate::common::{Running, everstream, wait_for};
use engines::{Engine, Stored};

const TAKEOVER: Duration = Duration::from_secs(1);

macro_rules! on_engine {
    ($engine:ident: $($module:ident::$fault:ident),*) => {
        mod $engine {
            $(
                #[test]
                fn $fault() {
                    super::run(super::Engine::$engine, super::$module::$fault);
                }
            )*

            #[test]
            #[ignore = "minutes: cargo xtask soak --relay"]
            fn soak_kills() {
                super::run(super::Engine::$engine, super::soak::kills);
            }

            #[test]
            #[ignore = "minutes: cargo xtask soak --relay"]
            fn soak_full() {
                super::run(super::Engine::$engine, super::space::the_log_is_full);
            }

            #[test]
            #[ignore = "minutes: cargo xtask soak --relay"]
            fn soak_emptied() {
                super::run(super::Engine::$engine, super::space::the_log_is_emptied);
            }
        }
    };
}

macro_rules! faults {
    ($($module:ident::$fault:ident),* $(,)?) => {
        on_engine!(postgres: $($module::$fault),*);
        on_engine!(redis: $($module::$fault),*);
        on_engine!(nats: $($module::$fault),*);
    };
}

faults!(
    killed::the_active_relay_is_killed_in_a_batch,
    killed::the_engine_is_killed_under_load,
    killed::a_relay_that_was_stopped_loses,
    killed::two_writers_at_full_speed,
    killed::memory_stays_flat_while_the_engine_is_stopped,
    killed::an_idle_feed_causes_no_takeover,
    feeds::an_event_is_too_large,
    feeds::data_contains_nul,
    feeds::types_and_ids_are_odd,
    feeds::the_feed_replays_20_events,
    feeds::the_feed_no_longer_knows_the_id,
    feeds::a_feed_without_ids,
);

#[test]
fn a_feed_that_begins_now_starts_an_empty_log() {
    run(Engine::redis, feeds::the_feed_begins_now);
}

#[test]
#[ignore = "minutes: cargo xtask soak --relay"]
fn soak_redis_fails_over_to_a_replica_that_lags() {
    with_seed(failover::redis_to_a_replica_that_lags);
}

#[test]
#[ignore = "minutes: cargo xtask soak --relay"]
fn soak_the_leader_of_a_nats_cluster_is_killed() {
    with_seed(failover::leader_of_a_nats_cluster);
}

fn run(start: fn() -> Engine, fault: fn(&mut Engine, &mut Random)) {
    with_seed(|random| fault(&mut start(), random));
}

fn with_seed(test: impl FnOnce(&mut Random)) {
    let seed = std::env::var("EVERSTREAM_SEED").ok();
    let seed = seed.map_or_else(
        || RandomState::new().hash_one(0) >> 32,
        |it| it.parse().unwrap(),
    );
    println!("EVERSTREAM_SEED={seed}");
    test(&mut Random(seed));
}

/// SplitMix64.
struct Random(u64);

impl Random {
    /// One of `0..limit`.
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((it ^ (it >> 31)) % limit as u64) as usize
    }
}

/// A relay of this feed into the engine's log. Later options take precedence.
fn relay(server: &Server, engine: &Engine, options: &[&str]) -> Running {
    relay_into(&engine.url(), server, options)
}

/// The same into the log with this URL.
fn relay_into(log: &str, server: &Server, options: &[&str]) -> Running {
    let feed = server.url("/");
    let args = [
        "relay",
        &feed,
        log,
        "--takeover",
        "1s",
        "--batch",
        "16",
        "--retry-delay",
        "20ms",
        "--retry-max",
        "200ms",
    ];
    Running::start(everstream(args.into_iter().chain(options.iter().copied())))
}

/// A feed that resumes.
fn serve(feed: &Feed) -> Server {
    let server = Server::start();
    server.otherwise(Reply::stream().resume(feed));
    server
}

/// The data of each event names its id.
fn push(feed: &Feed, count: usize) {
    for _ in 0..count {
        feed.push(format!("data {}", feed.len() + 1));
    }
}

/// What the log should hold of these.
fn pushed(ids: impl IntoIterator<Item = usize>) -> Vec<Stored> {
    let record = |id| {
        (
            Some(format!("{id}")),
            "message".to_owned(),
            format!("data {id}"),
        )
    };
    ids.into_iter().map(record).collect()
}

/// Waits until the log has as many records, and compares them.
fn assert_stored(engine: &Engine, expected: &[Stored]) {
    wait_for_count(engine, expected.len());
    let found = engine.records();
    let differs =
        (0..found.len().max(expected.len())).find(|&it| found.get(it) != expected.get(it));
    if let Some(at) = differs {
        let near = |records: &[Stored]| {
            let range = at.saturating_sub(2)..(at + 3).min(records.len());
            let shown = records.get(range).unwrap_or_default().iter();
            let shorten = |it: &String| it.chars().take(80).collect::<String>();
            let shown = shown.map(|it| (it.0.clone(), shorten(&it.1), shorten(&it.2)));
            shown.collect::<Vec<_>>()
        };
        panic!(
            "record {at} of {} differs from {} expected: {:#?} instead of {:#?}",
            found.len(),
            expected.len(),
            near(&found),
            near(expected)
        );
    }
}

fn wait_for_count(engine: &Engine, count: usize) {
    let what = format!("{count} records");
    wait_for(&what, || (engine.count() >= count).then_some(()));
}

/// How many messages of the relay contain this.
fn messages(relay: &Running, text: &str) -> usize {
    let lines = relay.out.wait_for(0);
    lines.iter().filter(|line| line.contains(text)).count()
}

const ACTIVE: &str = r#""message":"this relay is now the active one""#;
const STANDBY: &str = "another relay is writing: this relay is now the standby";

/// Whether it became active, and hasn't lost a comparison since.
fn is_active(relay: &Running) -> bool {
    messages(relay, ACTIVE) > 0 && {
        let lines = relay.out.wait_for(0);
        let last = |text: &str| lines.iter().rposition(|line| line.contains(text));
        last(ACTIVE) > last(STANDBY)
    }
}

/// Waits until one of them is active; returns which.
fn active(relays: &[Running]) -> usize {
    wait_for("active relay", || relays.iter().position(is_active))
}
