//! Logs that are full, and logs whose records are removed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use everstream_testing::Feed;
use serde_json::{Value, json};

use super::engines::ports;
use super::engines::wire::{nats, query, redis};
use super::killed::Load;
use super::soak::{Times, seconds};
use super::{
    Engine, Random, TAKEOVER, active, messages, push, pushed, relay, serve, wait_for_count,
};
use crate::common::{Folder, Running, wait_for};

const FULL: usize = 5;
const EMPTIED: usize = 5;

/// Each time the relay waits, a relay is killed meanwhile, and continues when there is room.
pub(super) fn the_log_is_full(engine: &mut Engine, random: &mut Random) {
    let Some(space) = Space::limited(engine) else {
        println!(
            "{}: skipped, because only root can mount a small disk",
            engine.name()
        );
        return;
    };
    let began = Instant::now();
    let feed = Feed::new();
    let server = serve(&feed);
    let mut relays = vec![relay(&server, engine, &[]), relay(&server, engine, &[])];
    let load = Load::start(&feed, random);
    let mut times = Times::default();
    for round in 0..FULL {
        let found = active(&relays);
        wait_for_count(engine, engine.count() + 1 + random.below(300));
        let before = refusals(&relays[found]);
        space.fill(engine);
        wait_for("notice that the log is full", || {
            (refusals(&relays[found]) > before).then_some(())
        });
        let waiting = feed.len() + 300;
        wait_for("events that wait", || (feed.len() >= waiting).then_some(()));
        drop(relays.remove((found + round) % 2));
        relays.push(relay(&server, engine, &[]));
        space.make_room(engine);
        let made = Instant::now();
        let full = engine.count();
        wait_for_count(engine, full + 1);
        times.add(made.elapsed());
        wait_for_count(engine, feed.len());
    }
    drop(load);
    wait_for_count(engine, feed.len());
    // NATS 2.9.10 counts too few bytes before it stores a message in a stream with `discard new`, and then
    // removes the oldest one, whose size exceeds what is missing.
    let removed = engine.removed();
    assert!(removed < 100, "{removed} records were removed");
    let expected = pushed(removed + 1..=feed.len());
    assert!(
        engine.records_after(removed) == expected,
        "a record differs"
    );
    println!(
        "{}: {} events, full {FULL} times, with a relay killed each time, in {}; none lost, none twice; {times}; \
         the engine removed {removed}",
        engine.name(),
        feed.len(),
        seconds(began.elapsed()),
    );
}

/// How often it reported that the log takes nothing.
fn refusals(relay: &Running) -> usize {
    messages(relay, "the log isn't available, retrying")
}

/// What limits the space of a log.
enum Space {
    Redis,
    Nats,
    /// A small disk for the tables.
    Disk(Disk),
}

impl Space {
    /// Creates the log, or where it will be. `None` without the right to.
    fn limited(engine: &Engine) -> Option<Space> {
        match engine {
            Engine::Redis(_) => Some(Space::Redis),
            Engine::Nats(servers) => {
                let config = json!({
                    "name": "log", "subjects": ["log"], "discard": "new", "storage": "file",
                    "max_bytes": -1, "num_replicas": 1,
                });
                let created = nats(&ports(servers), "$JS.API.STREAM.CREATE.log", &config);
                assert!(created["error"].is_null(), "{created}");
                Some(Space::Nats)
            }
            Engine::Postgres(server) => {
                let disk = Disk::mount()?;
                for sql in [
                    format!(
                        "CREATE TABLESPACE small LOCATION '{}'",
                        disk.data().display()
                    ),
                    "ALTER DATABASE postgres SET default_tablespace = small".to_owned(),
                ] {
                    query(server.port(), &sql).unwrap_or_else(|| panic!("{sql} failed"));
                }
                Some(Space::Disk(disk))
            }
        }
    }

    fn fill(&self, engine: &Engine) {
        match (self, engine) {
            (Space::Redis, Engine::Redis(server)) => {
                redis(server, &["CONFIG", "SET", "maxmemory", "1"]);
            }
            (Space::Nats, Engine::Nats(servers)) => {
                let info = nats(&ports(servers), "$JS.API.STREAM.INFO.log", &Value::Null);
                // More than the load stores meanwhile: a lower limit would remove messages.
                limit(engine, info["state"]["bytes"].as_i64().unwrap() + 100_000);
            }
            (Space::Disk(disk), _) => disk.fill(),
            _ => unreachable!(),
        }
    }

    fn make_room(&self, engine: &Engine) {
        match (self, engine) {
            (Space::Redis, Engine::Redis(server)) => {
                redis(server, &["CONFIG", "SET", "maxmemory", "0"]);
            }
            (Space::Nats, _) => limit(engine, -1),
            (Space::Disk(disk), _) => disk.make_room(),
            _ => unreachable!(),
        }
    }
}

/// Of the stream, in bytes.
fn limit(engine: &Engine, bytes: i64) {
    let Engine::Nats(servers) = engine else {
        unreachable!()
    };
    let info = nats(&ports(servers), "$JS.API.STREAM.INFO.log", &Value::Null);
    let mut config = info["config"].clone();
    config["max_bytes"] = json!(bytes);
    let updated = nats(&ports(servers), "$JS.API.STREAM.UPDATE.log", &config);
    assert!(updated["error"].is_null(), "{updated}");
}

/// A file system in memory.
struct Disk {
    _folder: Folder,
    path: PathBuf,
}

impl Disk {
    fn mount() -> Option<Disk> {
        let folder = Folder::new("relay-disk");
        let path = folder.path("disk");
        std::fs::create_dir(&path).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=32m,mode=777", "tmpfs"])
            .arg(&path);
        if !mount.output().is_ok_and(|it| it.status.success()) {
            return None;
        }
        let disk = Disk {
            _folder: folder,
            path,
        };
        let data = disk.data();
        std::fs::create_dir(&data).unwrap();
        let mut owner = Command::new("chown");
        assert!(owner.arg("postgres").arg(&data).status().unwrap().success());
        Some(disk)
    }

    fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }

    fn fill(&self) {
        let all = std::fs::write(self.filler(), vec![0; 32 << 20]);
        assert!(all.is_err(), "the disk isn't full");
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // The engine may still use it.
        unmount(&self.path);
    }
}

fn unmount(path: &Path) {
    let mut unmount = Command::new("umount");
    _ = unmount.arg("--lazy").arg(path).status();
}

/// All records are removed, again and again. The position stays, and relays that run know the id there.
/// One that starts then doesn't with NATS, and says so.
pub(super) fn the_log_is_emptied(engine: &mut Engine, random: &mut Random) {
    let began = Instant::now();
    let feed = Feed::new();
    let server = serve(&feed);
    let mut relays = vec![relay(&server, engine, &[]), relay(&server, engine, &[])];
    let mut seen = Vec::new();
    let mut kills = 0;
    for round in 0..EMPTIED {
        push(&feed, 100 + random.below(300));
        let found = active(&relays);
        wait_for_count(engine, feed.len());
        // The standby polls the end.
        thread::sleep(TAKEOVER / 2);
        seen.extend(engine.records_after(seen.len()));
        remove_all(engine);
        // A writer without events looks where the log ends.
        thread::sleep(2 * TAKEOVER);
        if round % 2 == 1 {
            kills += 1;
            drop(relays.remove(found));
        }
        push(&feed, 10);
        wait_for_count(engine, feed.len());
        if round % 2 == 1 {
            relays.push(relay(&server, engine, &[]));
        }
    }
    seen.extend(engine.records_after(seen.len()));
    let expected = pushed(1..=feed.len());
    assert!(
        seen == expected,
        "{} records of {}",
        seen.len(),
        expected.len()
    );
    drop(relays);

    remove_all(engine);
    let before = feed.len();
    let last = relay(&server, engine, &[]);
    push(&feed, 10);
    let warned = "but the id of that event is gone";
    let again = match engine {
        // The feed begins at its beginning without an id.
        Engine::Nats(_) => {
            wait_for("warning", || (messages(&last, warned) == 1).then_some(()));
            before
        }
        _ => 0,
    };
    wait_for_count(engine, feed.len() + again);
    let first = before + 1 - again;
    assert_eq!(engine.records_after(before), pushed(first..=feed.len()));
    assert_eq!(messages(&last, warned) > 0, again > 0);
    println!(
        "{}: {} events, emptied {EMPTIED} times, {kills} kills of the active relay, in {}; none lost, none \
         twice; a relay that started afterwards {}",
        engine.name(),
        before,
        seconds(began.elapsed()),
        match again {
            0 => "continued",
            _ => "reported that the id is gone, and stored again what the feed sent",
        },
    );
}

fn remove_all(engine: &Engine) {
    match engine {
        Engine::Postgres(server) => drop(query(server.port(), "DELETE FROM log").unwrap()),
        Engine::Redis(server) => drop(redis(server, &["XTRIM", "log", "MAXLEN", "0"])),
        Engine::Nats(servers) => {
            let purged = nats(&ports(servers), "$JS.API.STREAM.PURGE.log", &json!({}));
            assert!(purged["error"].is_null(), "{purged}");
        }
    }
    assert!(engine.records_after(0).is_empty());
}
