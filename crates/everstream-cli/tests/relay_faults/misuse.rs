//! Wrong use, and engines that refuse: each says what is wrong, and no event is lost.

use std::io::Write;
use std::net::{TcpListener, TcpStream};

use everstream_engines::{Certificates, Nats, Postgres, Redis, free_port};
use everstream_testing::{Feed, Reply, Server};

use super::engines::wire::{query, redis};
use super::{
    Engine, active, assert_stored, is_active, push, pushed, relay, relay_into, serve,
    wait_for_count,
};
use crate::common::{Running, everstream, wait_for};
use crate::relay::get;

const UNAVAILABLE: &str = "the log isn't available, retrying";

fn feed(events: usize) -> (Feed, Server) {
    let feed = Feed::new();
    push(&feed, events);
    let server = serve(&feed);
    (feed, server)
}

/// The log in the engine on this port.
fn urls(port: u16) -> [String; 3] {
    [
        format!("postgres://postgres@127.0.0.1:{port}/postgres?table=log&feed=log"),
        format!("redis://127.0.0.1:{port}/0?key=log"),
        format!("nats://127.0.0.1:{port}/log"),
    ]
}

#[test]
fn an_engine_that_cannot_be_reached_is_tried_again_until_the_relay_is_stopped() {
    let (_feed, server) = feed(3);
    let port = free_port();
    for url in urls(port) {
        let mut relay = relay_into(&url, &server, &[]);
        let lines = relay.out.wait_for_text(UNAVAILABLE);
        let reason = format!("{} at 127.0.0.1:{port}: ", engine_of(&url));
        let line = lines.iter().find(|it| it.contains(UNAVAILABLE)).unwrap();
        assert!(line.contains(&reason), "{line}");
        assert!(
            line.contains("refused") && !line.contains("os error"),
            "{line}"
        );
        relay.signal("TERM");
        assert_eq!(relay.wait().code(), Some(0));
        let lines = relay.out.all();
        assert_eq!(
            lines.iter().filter(|it| it.contains(UNAVAILABLE)).count(),
            1
        );
        // It was never seen.
        assert!(!lines.last().unwrap().contains("the log ends"), "{lines:?}");
        // `--check` fails at once.
        let (code, said) = relay_into(&url, &server, &["--check"]).end();
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("refused") && said.contains(&reason), "{said}");
    }
}

fn engine_of(url: &str) -> &'static str {
    match url.split_once(':').map(|(scheme, _)| scheme) {
        Some("postgres") => "PostgreSQL",
        Some("redis") => "Redis",
        _ => "NATS",
    }
}

/// A web server, say. The clients of the other engines wait for more, until the sink's time limit.
#[test]
fn a_server_that_is_not_redis_is_reported() {
    let (_feed, server) = feed(3);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n<html></html>";
            socket.unwrap().write_all(answer).unwrap();
        }
    });
    let (code, said) = relay_into(&urls(port)[1], &server, &[]).end();
    assert_eq!(code, 1, "{said}");
    let told = "the log can't be used: the server doesn't answer like Redis";
    assert!(said.contains(told), "{said}");
}

#[test]
fn a_wrong_password_ends_the_relay() {
    let (_feed, server) = feed(3);
    let postgres = Postgres::start_prepared(&[], |data| {
        let rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(data.join("pg_hba.conf"), rules).unwrap();
    });
    let port = free_port().to_string();
    let _redis = Redis::start_with(&["--port", &port, "--requirepass", "sesame"]);
    let nats = Nats::start_with(&["--user", "relay", "--pass", "sesame"]);
    for (url, told) in [
        (
            urls(postgres.port())[0].clone(),
            "password authentication failed",
        ),
        (
            format!("redis://127.0.0.1:{port}/0?key=log"),
            "refused the user or the password",
        ),
        (
            format!("nats://relay@127.0.0.1:{}/log", nats.port()),
            "authorization violation",
        ),
    ] {
        let feed = server.url("/");
        let mut command = everstream(["relay", &feed, &url]);
        command.env("EVERSTREAM_SINK_PASSWORD", "open-up");
        let (code, said) = Running::start(command).end();
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("the log can't be used"), "{said}");
        assert!(said.contains(told), "{said}");
        assert!(!said.contains("open-up"), "{said}");
    }
}

/// `--cacert` is for the engine too.
#[test]
fn a_certificate_of_another_authority_is_trusted_with_cacert() {
    let (_feed, server) = feed(3);
    let certificates = Certificates::new();
    let (certificate, key) = (certificates.certificate(), certificates.key());
    let (certificate, key) = (certificate.to_str().unwrap(), key.to_str().unwrap());
    let postgres = Postgres::start_prepared(
        &[
            "ssl=on",
            "ssl_cert_file=server.crt",
            "ssl_key_file=server.key",
        ],
        |data| {
            std::fs::copy(certificate, data.join("server.crt")).unwrap();
            std::fs::copy(key, data.join("server.key")).unwrap();
        },
    );
    let port = free_port().to_string();
    let tls = ["--tls-port", &port, "--tls-auth-clients", "no"];
    let files = ["--tls-cert-file", certificate, "--tls-key-file", key];
    let _redis = Redis::start_with(&[&tls[..], &files[..]].concat());
    let nats = Nats::start_with(&["--tls", "--tlscert", certificate, "--tlskey", key]);
    let ca = certificates.ca();
    let ca = ca.to_str().unwrap();
    for url in [
        format!(
            "postgres://postgres@localhost:{}/postgres?table=log&feed=log&sslmode=verify-full",
            postgres.port()
        ),
        format!("rediss://localhost:{port}/0?key=log"),
        format!("tls://localhost:{}/log", nats.port()),
    ] {
        let (code, said) = relay_into(&url, &server, &[]).end();
        assert_eq!(code, 1, "{said}");
        assert!(said.contains("certificate"), "{said}");
        let relay = relay_into(&url, &server, &["--cacert", ca]);
        relay.out.wait_for_text(r#""stored":3"#);
    }
}

#[test]
fn a_log_of_another_program_ends_the_relay_and_is_unchanged() {
    let (_feed, server) = feed(3);
    let postgres = Postgres::start();
    let create = "CREATE TABLE log (id int, text text); INSERT INTO log VALUES (1, 'x')";
    query(postgres.port(), create).unwrap();
    let (code, said) = relay_into(&Engine::Postgres(postgres).url(), &server, &[]).end();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("the log can't be used: "), "{said}");

    let server_of_redis = Redis::start();
    redis(&server_of_redis, &["XADD", "log", "*", "a", "b"]);
    let engine = Engine::Redis(server_of_redis);
    let (code, said) = relay(&server, &engine, &[]).end();
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("which says where it ends, is missing"),
        "{said}"
    );
    let Engine::Redis(server_of_redis) = engine else {
        unreachable!()
    };
    assert_eq!(redis(&server_of_redis, &["XLEN", "log"]), 1);
}

/// As after a failover to a standby, or with a full disk.
#[test]
fn an_engine_that_takes_no_writes_is_waited_for() {
    let postgres = Engine::postgres();
    let redis_server = Engine::redis();
    for engine in [postgres, redis_server] {
        let (feed, server) = feed(20);
        let relays = [relay(&server, &engine, &[])];
        active(&relays);
        wait_for_count(&engine, 20);
        set_read_only(&engine, true);
        push(&feed, 20);
        relays[0].out.wait_for_text(UNAVAILABLE);
        assert_eq!(engine.count(), 20);
        set_read_only(&engine, false);
        assert_stored(&engine, &pushed(1..=40));
    }
}

fn set_read_only(engine: &Engine, is_read_only: bool) {
    match engine {
        Engine::Postgres(server) => {
            let set = format!(
                "ALTER DATABASE postgres SET default_transaction_read_only = {is_read_only}"
            );
            // The second time, transactions read by default.
            query(server.port(), &format!("BEGIN READ WRITE; {set}; COMMIT")).unwrap();
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE application_name = 'everstream-relay'";
            query(server.port(), end).unwrap();
        }
        Engine::Redis(server) => {
            let replicas = if is_read_only { "1" } else { "0" };
            redis(
                server,
                &["CONFIG", "SET", "min-replicas-to-write", replicas],
            );
        }
        Engine::Nats(_) => unreachable!(),
    }
}

/// A dropped table, a revoked right: a writer that retried it would wait forever.
#[test]
fn a_log_that_can_no_longer_be_used_ends_the_active_relay() {
    let engine = Engine::postgres();
    let (feed, server) = feed(20);
    let relays = [relay(&server, &engine, &[])];
    active(&relays);
    wait_for_count(&engine, 20);
    let Engine::Postgres(postgres) = &engine else {
        unreachable!()
    };
    query(postgres.port(), "ALTER TABLE log RENAME TO elsewhere").unwrap();
    push(&feed, 5);
    let [relay] = relays;
    let (code, said) = relay.end();
    assert_eq!(code, 1, "{said}");
    let told = "the log can't be used: relation \"log\" does not exist";
    assert!(said.contains(told), "{said}");
    query(postgres.port(), "ALTER TABLE elsewhere RENAME TO log").unwrap();
    let _next = super::relay(&server, &engine, &[]);
    assert_stored(&engine, &pushed(1..=25));
}

#[test]
fn sigterm_ends_a_relay_in_every_state() {
    let mut engine = Engine::redis();
    let (feed, server) = feed(20);
    let ends = |mut relay: Running, code: i32| {
        relay.signal("TERM");
        assert_eq!(relay.wait().code(), Some(code));
    };
    // While it waits for an engine that doesn't answer.
    let address = format!("127.0.0.1:{}", free_port());
    let metrics = ["--metrics", &address, "--linger", "0s"];
    engine.process().stop();
    let starting = relay(&server, &engine, &metrics);
    wait_for("relay", || {
        TcpStream::connect(&address).is_ok().then_some(())
    });
    assert!(get(&address, "/healthz").contains("503"));
    ends(starting, 0);
    engine.process().resume();
    // Without a feed.
    let nobody = Server::start();
    nobody.otherwise(Reply::status(503));
    let without = relay(&nobody, &engine, &[]);
    without.out.wait_for_text("feed: ");
    ends(without, 0);
    // As the standby, and as the active relay.
    let pair = [relay(&server, &engine, &[]), relay(&server, &engine, &[])];
    let found = active(&pair);
    wait_for_count(&engine, 20);
    let [first, second] = pair;
    let (writer, standby) = if found == 0 {
        (first, second)
    } else {
        (second, first)
    };
    assert!(!is_active(&standby));
    ends(standby, 0);
    push(&feed, 3000);
    wait_for_count(&engine, 21);
    ends(writer, 0);
    // With an append that isn't answered: a second signal ends it at once.
    push(&feed, 1);
    let mut last = relay(&server, &engine, &metrics);
    assert_stored(&engine, &pushed(1..=3021));
    engine.process().stop();
    push(&feed, 9);
    wait_for("events that wait", || {
        let text = get(&address, "/metrics");
        text.contains("everstream_relay_waiting_events 9")
            .then_some(())
    });
    last.signal("TERM");
    // Two of a kind may arrive as one.
    last.signal("INT");
    assert_eq!(last.wait().code(), Some(1));
    // It didn't wait for the append.
    assert_eq!(last.err.all(), [""; 0]);
    engine.process().resume();
    let _next = relay(&server, &engine, &[]);
    assert_stored(&engine, &pushed(1..=3030));
}
