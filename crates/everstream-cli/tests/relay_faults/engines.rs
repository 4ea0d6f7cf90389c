//! The engines, and what their logs hold. It is read in each engine's own protocol, without the relay's
//! sinks and their clients.

pub(super) mod wire;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use everstream_engines::{Nats, Postgres, Redis};
use serde_json::{Value, json};

use crate::common::wait_for;
use wire::{NatsClient, nats, query, redis};

/// An event as it is stored: its id, its type and its data.
pub(super) type Stored = (Option<String>, String, String);

pub(super) enum Engine {
    Postgres(Postgres),
    Redis(Redis),
    /// One server, or a cluster.
    Nats(Vec<Nats>),
}

impl Engine {
    pub(super) fn postgres() -> Engine {
        Engine::Postgres(Postgres::start())
    }

    pub(super) fn redis() -> Engine {
        Engine::Redis(Redis::start_with(&["--proto-max-bulk-len", "1mb"]))
    }

    pub(super) fn nats() -> Engine {
        Engine::Nats(vec![Nats::start()])
    }

    pub(super) fn nats_cluster() -> Engine {
        Engine::Nats(Nats::start_cluster(3))
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Engine::Postgres(_) => "PostgreSQL",
            Engine::Redis(_) => "Redis",
            Engine::Nats(_) => "NATS",
        }
    }

    /// The URL of the log.
    pub(super) fn url(&self) -> String {
        match self {
            Engine::Postgres(it) => format!("{}&table=log&feed=log", it.url()),
            Engine::Redis(it) => format!("{}?key=log", it.url()),
            Engine::Nats(it) => {
                let hosts: Vec<_> = it
                    .iter()
                    .map(|it| it.url().replace("nats://", ""))
                    .collect();
                format!("nats://{}/log?replicas={}", hosts.join(","), it.len())
            }
        }
    }

    /// To kill and to stop it: the first of its servers.
    pub(super) fn process(&mut self) -> &mut everstream_engines::Engine {
        match self {
            Engine::Postgres(it) => it,
            Engine::Redis(it) => it,
            Engine::Nats(it) => &mut it[0],
        }
    }

    /// The largest data that it stores, if that is less than what the client accepts from a feed.
    pub(super) fn limit(&self) -> Option<usize> {
        match self {
            Engine::Postgres(_) => None,
            Engine::Redis(_) | Engine::Nats(_) => Some(1 << 20),
        }
    }

    pub(super) fn stores_nul(&self) -> bool {
        !matches!(self, Engine::Postgres(_))
    }

    /// The position of the last record; 0 if there is no log yet.
    pub(super) fn count(&self) -> usize {
        let count = match self {
            Engine::Postgres(it) => query(it.port(), "SELECT pos FROM everstream_cursors")
                .and_then(|rows| rows.first()?.parse().ok()),
            Engine::Redis(it) => {
                let pos = redis(it, &["HGET", "{log}:cursor", "pos"]);
                pos.as_str().and_then(|it| it.parse().ok())
            }
            Engine::Nats(it) => {
                let info = nats(&ports(it), "$JS.API.STREAM.INFO.log", &Value::Null);
                info["state"]["last_seq"].as_u64()
            }
        };
        count.unwrap_or_default() as usize
    }

    /// How many of the oldest records a limit of the engine has removed.
    pub(super) fn removed(&self) -> usize {
        let Engine::Nats(servers) = self else {
            return 0;
        };
        let info = nats(&ports(servers), "$JS.API.STREAM.INFO.log", &Value::Null);
        let first = info["state"]["first_seq"].as_u64().unwrap_or_default();
        first.saturating_sub(1) as usize
    }

    /// All records, in order. Their positions have no gaps.
    pub(super) fn records(&self) -> Vec<Stored> {
        self.records_after(0)
    }

    /// Those behind this position, before which all were removed.
    pub(super) fn records_after(&self, removed: usize) -> Vec<Stored> {
        let records = match self {
            Engine::Postgres(it) => postgres_records(it),
            Engine::Redis(it) => redis_records(it),
            Engine::Nats(it) => nats_records(&ports(it)),
        };
        for (index, (pos, _)) in records.iter().enumerate() {
            assert_eq!(*pos, (removed + index) as u64 + 1, "a position");
        }
        records.into_iter().map(|(_, record)| record).collect()
    }
}

/// Of all servers, also of those that don't run.
pub(super) fn ports(servers: &[Nats]) -> Vec<u16> {
    servers.iter().map(Nats::port).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn postgres_records(postgres: &Postgres) -> Vec<(u64, Stored)> {
    let sql = "SELECT json_build_array(pos, sse_id, sse_event, data) FROM log ORDER BY pos";
    let rows = query(postgres.port(), sql).unwrap();
    let rows = rows.iter().map(|row| {
        let row: Value = serde_json::from_str(row).unwrap();
        let id = row[1].as_str().map(str::to_owned);
        (row[0].as_u64().unwrap(), (id, text(&row[2]), text(&row[3])))
    });
    rows.collect()
}

fn redis_records(server: &Redis) -> Vec<(u64, Stored)> {
    let entries = redis(server, &["XRANGE", "log", "-", "+"]);
    let entries = entries.as_array().unwrap().iter().map(|entry| {
        let fields = entry[1].as_array().unwrap();
        let field = |name: &str| {
            let mut pairs = fields.chunks(2);
            pairs.find(|it| it[0] == name).map(|it| text(&it[1]))
        };
        let pos = field("sse-pos").unwrap().parse().unwrap();
        let (event, data) = (field("sse-event").unwrap(), field("data").unwrap());
        (pos, (field("sse-id"), event, data))
    });
    entries.collect()
}

fn nats_records(ports: &[u16]) -> Vec<(u64, Stored)> {
    let info = nats(ports, "$JS.API.STREAM.INFO.log", &Value::Null);
    let at = |name: &str| info["state"][name].as_u64().unwrap_or_default();
    let mut client = wait_for("connection to NATS", || NatsClient::connect(ports));
    let records = (at("first_seq").max(1)..=at("last_seq")).map(|seq| {
        let request = json!({"seq": seq});
        let found = client.request("$JS.API.STREAM.MSG.GET.log", &request);
        let found = found.expect("an answer of NATS");
        let message = &found["message"];
        let decoded = |name: &str| {
            let bytes = STANDARD.decode(message[name].as_str().unwrap_or_default());
            String::from_utf8(bytes.unwrap()).unwrap()
        };
        let (headers, data) = (decoded("hdrs"), decoded("data"));
        let header = |name: &str| {
            let mut pairs = headers.lines().filter_map(|it| it.split_once(": "));
            let value = pairs.find(|it| it.0 == name)?.1;
            Some(percent_decoded(value))
        };
        let pos = header("sse-pos").unwrap().parse().unwrap();
        (pos, (header("sse-id"), header("sse-event").unwrap(), data))
    });
    records.collect()
}

fn percent_decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}
