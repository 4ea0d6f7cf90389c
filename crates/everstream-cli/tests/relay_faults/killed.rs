//! Relays and engines that are killed or stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use everstream_testing::Feed;

use super::{
    Engine, Random, STANDBY, TAKEOVER, active, assert_stored, is_active, messages, push, pushed,
    relay, serve, wait_for_count,
};
use crate::common::{Running, wait_for};

/// Pushes bursts of events until it is stopped.
pub(super) struct Load {
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Load {
    pub(super) fn start(feed: &Feed, random: &mut Random) -> Load {
        let stopping = Arc::new(AtomicBool::new(false));
        let (stop, feed) = (stopping.clone(), feed.clone());
        let mut random = Random(random.below(usize::MAX) as u64);
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                push(&feed, 1 + random.below(50));
                thread::sleep(Duration::from_millis(random.below(30) as u64));
            }
        });
        Load {
            stopping,
            thread: Some(thread),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        _ = self.thread.take().unwrap().join();
    }
}

pub(super) fn the_active_relay_is_killed_in_a_batch(engine: &mut Engine, random: &mut Random) {
    let feed = Feed::new();
    let server = serve(&feed);
    let mut relays = vec![relay(&server, engine, &[]), relay(&server, engine, &[])];
    let mut kills = 0;
    while kills < 3 {
        // Nobody takes over from a relay that had stored all.
        push(&feed, 1);
        let found = active(&relays);
        let stored = engine.count();
        push(&feed, 3000);
        wait_for_count(engine, stored + 1 + random.below(500));
        // With -9.
        drop(relays.remove(found));
        // Otherwise there was no batch on its way.
        kills += usize::from(engine.count() < feed.len());
        relays.push(relay(&server, engine, &[]));
    }
    active(&relays);
    push(&feed, 10);
    assert_stored(engine, &pushed(1..=feed.len()));
}

pub(super) fn the_engine_is_killed_under_load(engine: &mut Engine, random: &mut Random) {
    let feed = Feed::new();
    let server = serve(&feed);
    let relays = [relay(&server, engine, &[]), relay(&server, engine, &[])];
    let load = Load::start(&feed, random);
    let found = active(&relays);
    wait_for_count(engine, engine.count() + 1 + random.below(500));
    engine.process().kill();
    let notices = || {
        let count = messages(&relays[found], "the log isn't available, retrying")
            + messages(&relays[found], "can't tell whether a batch was stored");
        (count > 0).then_some(())
    };
    wait_for("notice of the active relay", notices);
    engine.process().restart();
    wait_for_count(engine, engine.count() + 500);
    drop(load);
    assert_stored(engine, &pushed(1..=feed.len()));
}

pub(super) fn a_relay_that_was_stopped_loses(engine: &mut Engine, random: &mut Random) {
    let feed = Feed::new();
    let server = serve(&feed);
    let relays = [relay(&server, engine, &[]), relay(&server, engine, &[])];
    let load = Load::start(&feed, random);
    let (zombie, lost) = loop {
        let zombie = active(&relays);
        let lost = messages(&relays[zombie], STANDBY);
        wait_for_count(engine, engine.count() + 1 + random.below(200));
        relays[zombie].signal("STOP");
        // On a busy machine the other one may have taken over before.
        if is_active(&relays[zombie]) {
            break (zombie, lost);
        }
        relays[zombie].signal("CONT");
    };
    let other = &relays[1 - zombie];
    let began = Instant::now();
    wait_for("takeover", || {
        (is_active(other) && began.elapsed() >= Duration::from_secs(3)).then_some(())
    });
    relays[zombie].signal("CONT");
    wait_for("lost comparison", || {
        (messages(&relays[zombie], STANDBY) > lost).then_some(())
    });
    wait_for_count(engine, engine.count() + 200);
    // Which one it is may have changed since.
    wait_for("one active relay", || {
        (is_active(other) != is_active(&relays[zombie])).then_some(())
    });
    drop(load);
    assert_stored(engine, &pushed(1..=feed.len()));
}

/// Without a takeover time both write whenever an event is missing. They read no ids when they open the log,
/// because it would have moved meanwhile. The rest of a batch lingers, so that the other one finds it missing.
pub(super) fn two_writers_at_full_speed(engine: &mut Engine, random: &mut Random) {
    let feed = Feed::new();
    let server = serve(&feed);
    let eager = ["--takeover", "0s", "--linger", "20ms", "--recent", "0"];
    let relays = [
        relay(&server, engine, &eager),
        relay(&server, engine, &eager),
    ];
    let load = Load::start(&feed, random);
    wait_for("20 conflicts", || {
        let conflicts = messages(&relays[0], STANDBY) + messages(&relays[1], STANDBY);
        (conflicts >= 20).then_some(())
    });
    drop(load);
    assert_stored(engine, &pushed(1..=feed.len()));
}

pub(super) fn memory_stays_flat_while_the_engine_is_stopped(
    engine: &mut Engine,
    _random: &mut Random,
) {
    const MORE: usize = 12 << 20;
    let feed = Feed::new();
    let server = serve(&feed);
    let relay = relay(&server, engine, &[]);
    push(&feed, 2000);
    wait_for_count(engine, 2000);
    let before = memory(&relay);
    engine.process().stop();
    // 60 MB.
    let large = "x".repeat(6000);
    for _ in 0..10_000 {
        feed.push(&large);
    }
    // The sink's time limit has passed.
    wait_for("notice", || {
        (messages(&relay, "can't tell whether a batch was stored") > 0).then_some(())
    });
    let more = memory(&relay).saturating_sub(before);
    println!("{before} bytes, and {more} more");
    assert!(more < MORE, "{more} bytes more");
    engine.process().resume();
    let mut expected = pushed(1..=feed.len());
    for record in &mut expected[2000..] {
        record.2.clone_from(&large);
    }
    assert_stored(engine, &expected);
    let more = memory(&relay).saturating_sub(before);
    assert!(more < MORE, "{more} bytes more");
}

/// The most that was ever in memory.
fn memory(relay: &Running) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", relay.id())).unwrap();
    let line = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<usize>().unwrap() << 10
}

pub(super) fn an_idle_feed_causes_no_takeover(engine: &mut Engine, _random: &mut Random) {
    let feed = Feed::new();
    let server = serve(&feed);
    let relays = [relay(&server, engine, &[]), relay(&server, engine, &[])];
    push(&feed, 10);
    let found = active(&relays);
    wait_for_count(engine, 10);
    let takeovers = || {
        let count = |it| messages(it, "this relay takes over");
        relays.iter().map(count).collect::<Vec<_>>()
    };
    let before = takeovers();
    // Nothing happens, so there is nothing to wait for but the time.
    thread::sleep(4 * TAKEOVER);
    assert_eq!(takeovers(), before);
    assert!(is_active(&relays[found]) && !is_active(&relays[1 - found]));
    push(&feed, 10);
    assert_stored(engine, &pushed(1..=20));
    assert_eq!(takeovers(), before);
}
