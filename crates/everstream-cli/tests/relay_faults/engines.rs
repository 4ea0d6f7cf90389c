//! The engines, and what their logs hold. It is read in each engine's own protocol, without the relay's
//! sinks and their clients.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use everstream_engines::{Nats, Postgres, Redis};
use serde_json::{Value, json};

use crate::common::PATIENCE;

/// An event as it is stored: its id, its type and its data.
pub(super) type Stored = (Option<String>, String, String);

pub(super) enum Engine {
    Postgres(Postgres),
    Redis(Redis),
    Nats(Nats),
}

impl Engine {
    pub(super) fn postgres() -> Engine {
        Engine::Postgres(Postgres::start())
    }

    pub(super) fn redis() -> Engine {
        Engine::Redis(Redis::start_with(&["--proto-max-bulk-len", "1mb"]))
    }

    pub(super) fn nats() -> Engine {
        Engine::Nats(Nats::start())
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
            Engine::Nats(it) => format!("{}/log", it.url()),
        }
    }

    /// To kill and to stop it.
    pub(super) fn process(&mut self) -> &mut everstream_engines::Engine {
        match self {
            Engine::Postgres(it) => it,
            Engine::Redis(it) => it,
            Engine::Nats(it) => it,
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

    /// How many records the log has; 0 if there is no log yet.
    pub(super) fn count(&self) -> usize {
        let count = match self {
            Engine::Postgres(it) => query(it.port(), "SELECT count(*) FROM log")
                .and_then(|rows| rows.first()?.parse().ok()),
            Engine::Redis(it) => redis(it, &["XLEN", "log"]).as_u64(),
            Engine::Nats(it) => {
                let mut client = NatsClient::connect(it.port());
                let info = client.request("$JS.API.STREAM.INFO.log", &Value::Null);
                info["state"]["messages"].as_u64()
            }
        };
        count.unwrap_or_default() as usize
    }

    /// All records, in order. Their positions have no gaps.
    pub(super) fn records(&self) -> Vec<Stored> {
        let records = match self {
            Engine::Postgres(it) => postgres_records(it),
            Engine::Redis(it) => redis_records(it),
            Engine::Nats(it) => nats_records(it),
        };
        for (index, (pos, _)) in records.iter().enumerate() {
            assert_eq!(*pos, index as u64 + 1, "a position");
        }
        records.into_iter().map(|(_, record)| record).collect()
    }
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

/// The first column of each row; `None` if the statement fails.
fn query(port: u16, sql: &str) -> Option<Vec<String>> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = |bytes: usize| (bytes as u32 + 4).to_be_bytes();
    let parameters = b"user\0postgres\0database\0postgres\0\0";
    let mut sent = length(parameters.len() + 4).to_vec();
    sent.extend((3_u32 << 16).to_be_bytes());
    sent.extend(parameters);
    sent.push(b'Q');
    sent.extend(length(sql.len() + 1));
    sent.extend(sql.as_bytes());
    sent.extend(b"\0X\0\0\0\x04");
    socket.write_all(&sent).unwrap();
    let mut from = BufReader::new(socket);
    let mut rows = Vec::new();
    let mut head = [0; 5];
    while from.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes(head[1..].try_into().unwrap());
        let mut body = vec![0; length as usize - 4];
        from.read_exact(&mut body).unwrap();
        match head[0] {
            // The number of columns and the length of the first come first.
            b'D' => rows.push(String::from_utf8(body.split_off(6)).unwrap()),
            b'E' => return None,
            _ => {}
        }
    }
    Some(rows)
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

fn redis(server: &Redis, words: &[&str]) -> Value {
    let mut socket = UnixStream::connect(server.folder().join("socket")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut sent = format!("*{}\r\n", words.len());
    for word in words {
        sent += &format!("${}\r\n{word}\r\n", word.len());
    }
    socket.write_all(sent.as_bytes()).unwrap();
    redis_value(&mut BufReader::new(socket))
}

fn redis_value(from: &mut impl BufRead) -> Value {
    let line = line(from);
    let (kind, rest) = line.split_at(1);
    match kind {
        ":" => json!(rest.parse::<u64>().unwrap()),
        "*" => {
            let count = rest.parse::<usize>().unwrap();
            (0..count).map(|_| redis_value(from)).collect()
        }
        "$" => {
            let mut bytes = vec![0; rest.parse::<usize>().unwrap() + 2];
            from.read_exact(&mut bytes).unwrap();
            bytes.truncate(bytes.len() - 2);
            json!(String::from_utf8(bytes).unwrap())
        }
        _ => panic!("Redis answered {line}"),
    }
}

fn line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn nats_records(nats: &Nats) -> Vec<(u64, Stored)> {
    let mut client = NatsClient::connect(nats.port());
    let info = client.request("$JS.API.STREAM.INFO.log", &Value::Null);
    let last = info["state"]["last_seq"].as_u64().unwrap_or_default();
    let records = (1..=last).map(|seq| {
        let found = client.request("$JS.API.STREAM.MSG.GET.log", &json!({"seq": seq}));
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

struct NatsClient(BufReader<TcpStream>);

impl NatsClient {
    fn connect(port: u16) -> NatsClient {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let hello = b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB answer 1\r\n";
        socket.write_all(hello).unwrap();
        NatsClient(BufReader::new(socket))
    }

    fn request(&mut self, subject: &str, body: &Value) -> Value {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let sent = format!("PUB {subject} answer {}\r\n{body}\r\n", body.len());
        self.0.get_mut().write_all(sent.as_bytes()).unwrap();
        loop {
            let line = line(&mut self.0);
            match line.split(' ').next() {
                Some("MSG") => {
                    let length: usize = line.rsplit(' ').next().unwrap().parse().unwrap();
                    let mut bytes = vec![0; length + 2];
                    self.0.read_exact(&mut bytes).unwrap();
                    return serde_json::from_slice(&bytes).unwrap();
                }
                Some("PING") => self.0.get_mut().write_all(b"PONG\r\n").unwrap(),
                Some("INFO" | "PONG") => {}
                _ => panic!("NATS said {line:?}"),
            }
        }
    }
}
