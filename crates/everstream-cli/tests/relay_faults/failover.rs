//! Engines of several servers, of which one is lost.

use std::os::unix::fs::symlink;
use std::time::Instant;

use everstream_engines::{Nats, Redis, free_port};
use everstream_testing::Feed;
use serde_json::Value;

use super::engines::ports;
use super::engines::wire::{nats, redis};
use super::killed::Load;
use super::soak::{Times, seconds};
use super::{
    Engine, Random, active, assert_stored, messages, pushed, relay, relay_into, serve,
    wait_for_count,
};
use crate::common::{Folder, wait_for};

const FAILOVERS: usize = 5;
const LEADER_KILLS: usize = 6;

/// Redis acknowledges what its replica doesn't have yet. After the failover these records are missing, the
/// cursor is behind by as many, and the relay fetches them from the feed again.
pub(super) fn redis_to_a_replica_that_lags(random: &mut Random) {
    let began = Instant::now();
    // The address that clients know, whichever server is the primary.
    let folder = Folder::new("relay-failover");
    let address = folder.path("socket");
    let mut port = free_port();
    let mut primary = Engine::Redis(start_redis(port, &[]));
    point(&folder, &primary);
    let log = format!("redis+unix://{}?key=log", address.display());
    let feed = Feed::new();
    let server = serve(&feed);
    let relays = [
        relay_into(&log, &server, &[]),
        relay_into(&log, &server, &[]),
    ];
    let load = Load::start(&feed, random);
    let mut times = Times::default();
    for _ in 0..FAILOVERS {
        active(&relays);
        let next_port = free_port();
        let of = ["--replicaof", &format!("127.0.0.1 {port}")];
        let replica = Engine::Redis(start_redis(next_port, &of));
        wait_for_count(&replica, primary.count() + 1 + random.below(200));
        // From here on it lags.
        let Engine::Redis(promoted) = &replica else {
            unreachable!()
        };
        redis(promoted, &["REPLICAOF", "NO", "ONE"]);
        let had = replica.count();
        wait_for_count(&primary, had + 1 + random.below(300));
        primary.process().kill();
        let killed = Instant::now();
        point(&folder, &replica);
        wait_for_count(&replica, had + 1);
        times.add(killed.elapsed());
        // All that the primary had is there again, and more.
        wait_for_count(&replica, feed.len());
        (primary, port) = (replica, next_port);
    }
    drop(load);
    assert_stored(&primary, &pushed(1..=feed.len()));
    let told =
        messages(&relays[0], "and now ends with") + messages(&relays[1], "and now ends with");
    assert!(
        told >= FAILOVERS,
        "only {told} of {FAILOVERS} failovers were reported"
    );
    println!(
        "Redis: {} events, {FAILOVERS} failovers to a replica that lagged, in {}; the lost events were \
         stored again, none twice; {times}",
        feed.len(),
        seconds(began.elapsed()),
    );
}

fn start_redis(port: u16, options: &[&str]) -> Redis {
    let port = port.to_string();
    // It waits 5 s for more replicas otherwise.
    let own = ["--port", &port, "--repl-diskless-sync-delay", "0"];
    Redis::start_with(&[&own[..], options].concat())
}

/// Clients find this server from now on.
fn point(folder: &Folder, engine: &Engine) {
    let Engine::Redis(server) = engine else {
        unreachable!()
    };
    let next = folder.path("next");
    symlink(server.folder().join("socket"), &next).unwrap();
    std::fs::rename(next, folder.path("socket")).unwrap();
}

/// What is acknowledged is on two of three servers, so that no other server can be without it and lead.
pub(super) fn leader_of_a_nats_cluster(random: &mut Random) {
    let began = Instant::now();
    let mut engine = Engine::nats_cluster();
    let feed = Feed::new();
    let server = serve(&feed);
    let mut relays = vec![relay(&server, &engine, &[]), relay(&server, &engine, &[])];
    let load = Load::start(&feed, random);
    let (mut times, mut relay_kills) = (Times::default(), 0);
    for round in 0..LEADER_KILLS {
        let found = active(&relays);
        wait_for_count(&engine, engine.count() + 1 + random.below(300));
        let leader = leader(&engine);
        let before = engine.count();
        servers(&mut engine)[leader].kill();
        let killed = Instant::now();
        if round % 2 == 1 {
            relay_kills += 1;
            drop(relays.remove(found));
            relays.push(relay(&server, &engine, &[]));
        }
        wait_for_count(&engine, before + 100);
        times.add(killed.elapsed());
        servers(&mut engine)[leader].restart();
        let ports = ports(servers(&mut engine));
        wait_for("replicas that are current", || {
            let info = nats(&ports, "$JS.API.STREAM.INFO.log", &Value::Null);
            let replicas = info["cluster"]["replicas"].as_array()?;
            (replicas.len() == 2 && replicas.iter().all(|it| it["current"] == true)).then_some(())
        });
    }
    drop(load);
    assert_stored(&engine, &pushed(1..=feed.len()));
    println!(
        "NATS: {} events, {LEADER_KILLS} kills of the leader of 3 servers and {relay_kills} of the active \
         relay, in {}; none lost, none twice; {times}",
        feed.len(),
        seconds(began.elapsed()),
    );
}

fn servers(engine: &mut Engine) -> &mut Vec<Nats> {
    match engine {
        Engine::Nats(servers) => servers,
        _ => unreachable!(),
    }
}

/// Which server leads the stream.
fn leader(engine: &Engine) -> usize {
    let Engine::Nats(servers) = engine else {
        unreachable!()
    };
    wait_for("leader", || {
        let info = nats(&ports(servers), "$JS.API.STREAM.INFO.log", &Value::Null);
        let name = info["cluster"]["leader"].as_str()?;
        name.strip_prefix("server-")?.parse().ok()
    })
}
