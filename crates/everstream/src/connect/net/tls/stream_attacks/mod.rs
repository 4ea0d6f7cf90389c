//! Attacks on a TLS stream, by someone on the network path or by the server itself.
//!
//! Whatever they send, nothing panics, every task ends, memory is bounded, no task sleeps that could
//! continue, and the bytes read are a prefix of the bytes sent.
//!
//! `EVERSTREAM_TLS_ATTACKS` sets the number of runs, and `EVERSTREAM_SEED` the seed of the first one.

mod hostile;
mod pipe;
mod server;
mod tasks;
mod world;

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use self::pipe::{Pipe, Random, Task};
use self::server::Certificate;
use self::tasks::{Next, Reader, Writer};
use self::world::World;
use super::{MAX_WRITE, TlsStream};
use crate::connect::buffer::SIZE;
use crate::connect::transport::{Roots, Tls};

/// More steps than any run needs.
const MAX_STEPS: usize = 1_000_000;

/// Prints the seed if the test panics.
struct SeedPrinter(u64);

impl Drop for SeedPrinter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}", self.0);
        }
    }
}

struct Configs {
    servers: Vec<Arc<ServerConfig>>,
    clients: Vec<Arc<ClientConfig>>,
}

impl Configs {
    fn new() -> Self {
        let certificate = Certificate::new();
        let settings = Tls {
            accept_invalid_certs: true,
            ..Tls::default()
        };
        let accepts_any = settings.client_config(Roots::UserOnly, &[]).unwrap();
        let with_roots = |roots| {
            let builder = ClientConfig::builder_with_provider(Arc::new(
                rustls::crypto::ring::default_provider(),
            ));
            let builder = builder.with_safe_default_protocol_versions().unwrap();
            Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
        };
        let mut roots = RootCertStore::empty();
        roots.add(certificate.certificate.clone()).unwrap();
        let verifies = with_roots(roots);
        Configs {
            servers: certificate.servers(),
            // The last one trusts no server.
            clients: [
                vec![accepts_any; 6],
                vec![verifies; 6],
                vec![with_roots(RootCertStore::empty())],
            ]
            .concat(),
        }
    }
}

type Stream = TlsStream<Pipe>;

/// Runs the handshake.
fn connect(world: &mut World, config: Arc<ClientConfig>) -> Option<Stream> {
    let name = ServerName::try_from("localhost").unwrap();
    let mut connecting = pin!(Stream::connect(config, name, world.pipe.clone()));
    let task = Task::new();
    let waker = Waker::from(task.clone());
    for _ in 0..MAX_STEPS {
        let happened = world.step();
        if task.is_awake() {
            task.sleeps();
            match connecting.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(connected) => return connected.ok(),
                Poll::Pending => {}
            }
        } else if !happened {
            world.cut();
        }
    }
    panic!("the handshake didn't end");
}

fn run(seed: u64, configs: &Configs) -> (bool, usize) {
    let _seed_printer = SeedPrinter(seed);
    let mut random = Random(seed);
    let (down, up) = (
        random.pick(&[0, 100, 3000, 20_000, 70_000]),
        random.pick(&[0, 0, 100, 3000, 20_000, 70_000]),
    );
    let (to_send, to_write) = (random.bytes(down), random.bytes(up));
    let config = configs.clients[random.below(configs.clients.len())].clone();
    let server = configs.servers[random.below(configs.servers.len())].clone();
    let mut world = World::new(seed, server, to_send);
    world.attack_one_in = random.pick(&[0, 2, 5, 10, 20, 50, 100]);
    world.spares_handshake = random.one_in(2);
    let Some(mut stream) = connect(&mut world, config) else {
        return (false, world.attacks);
    };
    let mut reader = Reader::new();
    reader.is_late = random.one_in(4);
    let mut writer = Writer::new(to_write);
    writer.is_hasty = random.one_in(4);
    let mut steps = 0;
    while reader.end.is_none() || !matches!(writer.next, Next::Done) {
        steps += 1;
        assert!(steps < MAX_STEPS, "the run didn't end");
        let happened = random.one_in(2) && world.step();
        let may_read = !reader.is_late || matches!(writer.next, Next::Done | Next::Shutdown);
        let reads = reader.end.is_none() && may_read && reader.task.is_awake();
        let writes = writer.is_runnable(&reader);
        match (reads, writes) {
            (true, true) if random.one_in(2) => reader.poll(&mut stream, &mut random),
            (true, false) => reader.poll(&mut stream, &mut random),
            (_, true) => writer.poll(&mut stream, &mut random),
            (false, false) if !happened && !world.step() => {
                // The server always receives, so there is room to write.
                let waits = matches!(writer.next, Next::Write | Next::Flush);
                assert!(!waits, "a writer sleeps while there is room");
                world.cut();
            }
            (false, false) => {}
        }
        assert!(stream.incoming.filled().len() <= SIZE);
        assert!(stream.plain.len() <= SIZE + MAX_WRITE);
        assert!(stream.outgoing.len() <= MAX_WRITE + 1000);
    }
    let end = reader.end;
    for _ in 0..2 {
        reader.poll(&mut stream, &mut random);
        assert!(
            end == Some(Ok(())) || reader.end != Some(Ok(())),
            "{end:?} is forgotten"
        );
        writer.to_write.push(0);
        writer.next = Next::Write;
        // An alert may have to be sent first.
        while !matches!(writer.next, Next::Done) {
            steps += 1;
            assert!(steps < MAX_STEPS, "the stream accepts writes after the end");
            writer.poll(&mut stream, &mut random);
            world.step();
        }
    }
    while world.step() {}
    assert!(world.sent.starts_with(&reader.read));
    assert!(writer.to_write.starts_with(&world.server.received));
    if world.attacks == 0 && !world.server.is_dead {
        assert_eq!(world.server.received.len(), up);
        if !writer.is_hasty {
            assert_eq!((end, reader.read.len()), (Some(Ok(())), down));
        }
    }
    (true, world.attacks)
}

#[test]
fn attacked_streams_are_read_correctly_or_fail() {
    let variable = std::env::var("EVERSTREAM_TLS_ATTACKS");
    let runs = variable.map_or(150, |runs| runs.parse().unwrap());
    let first = std::env::var("EVERSTREAM_SEED").map_or(0, |seed| seed.parse().unwrap());
    let configs = Configs::new();
    let (mut connected, mut attacks) = (0, 0);
    for seed in first..first + runs {
        let (is_connected, attacked) = run(seed, &configs);
        connected += u64::from(is_connected);
        attacks += attacked;
    }
    println!("{runs} runs, {connected} connected, {attacks} attacks");
    assert!(runs == 1 || connected > runs / 4 && connected < runs && attacks > 100);
}

fn connected(
    server: &Arc<ServerConfig>,
    client: &Arc<ClientConfig>,
    to_send: Vec<u8>,
) -> (World, Stream) {
    let mut world = World::new(2, server.clone(), to_send);
    let stream = connect(&mut world, client.clone()).unwrap();
    (world, stream)
}

#[test]
fn a_writer_does_not_receive_unless_someone_reads() {
    let configs = Configs::new();
    for server in &configs.servers {
        let (mut world, mut stream) = connected(server, &configs.clients[0], vec![1; 150_000]);
        while world.step() {}
        let mut writer = Writer::new(vec![2; 150_000]);
        let mut random = Random(1);
        while !matches!(writer.next, Next::Shutdown) {
            writer.poll(&mut stream, &mut random);
            world.step();
            assert!(stream.plain.len() <= SIZE);
            assert!(world.pipe.state().to_client.len() > 150_000 - SIZE);
        }
        while world.step() {}
        assert_eq!(world.server.received.len(), 150_000);
    }
}

#[test]
fn a_refused_renegotiation_is_answered_without_a_write() {
    let configs = Configs::new();
    let mut refused = 0;
    for server in &configs.servers {
        let (mut world, mut stream) = connected(server, &configs.clients[0], vec![0; 10]);
        world.has_closed = true;
        while world.server.is_handshaking() {
            world.step();
        }
        if world.server.is_tls13() {
            continue;
        }
        // A HelloRequest.
        let record = world
            .server
            .forge(rustls::ContentType::Handshake, &[0; 4])
            .unwrap();
        world.deliver(&record);
        let mut reader = Reader::new();
        while reader.task.is_awake() && reader.end.is_none() {
            reader.poll(&mut stream, &mut Random(1));
        }
        assert!(stream.outgoing.is_empty() && reader.end.is_none());
        assert_eq!(world.pipe.state().from_client[..3], [21, 3, 3]);
        refused += 1;
    }
    assert_eq!(refused, 3);
}
