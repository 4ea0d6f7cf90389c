//! The protocols of the engines, as far as the tests need them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use everstream_engines::Redis;
use serde_json::{Value, json};

use crate::common::{PATIENCE, wait_for};

/// The first column of each row; `None` if the statement fails.
pub(crate) fn query(port: u16, sql: &str) -> Option<Vec<String>> {
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

/// What Redis answers; null instead of an error.
pub(crate) fn redis(server: &Redis, words: &[&str]) -> Value {
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
        "$" if rest == "-1" => Value::Null,
        "$" => {
            let mut bytes = vec![0; rest.parse::<usize>().unwrap() + 2];
            from.read_exact(&mut bytes).unwrap();
            bytes.truncate(bytes.len() - 2);
            json!(String::from_utf8(bytes).unwrap())
        }
        "+" => json!(rest),
        "-" => Value::Null,
        _ => panic!("Redis answered {line}"),
    }
}

fn line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// What any of these servers answers to a request; they are asked until one does.
pub(crate) fn nats(ports: &[u16], subject: &str, body: &Value) -> Value {
    let what = format!("answer of NATS to {subject}");
    wait_for(&what, || NatsClient::connect(ports)?.request(subject, body))
}

pub(crate) struct NatsClient(BufReader<TcpStream>);

/// Names the subject of an answer, so that nobody gets that of an earlier request.
static REQUESTS: AtomicUsize = AtomicUsize::new(0);

impl NatsClient {
    /// Connects to the first of these that runs.
    pub(crate) fn connect(ports: &[u16]) -> Option<NatsClient> {
        let mut sockets = ports.iter();
        let mut socket = sockets.find_map(|port| TcpStream::connect(("127.0.0.1", *port)).ok())?;
        // A cluster without a leader doesn't answer.
        socket.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        let hello = b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";
        socket.write_all(hello).ok()?;
        Some(NatsClient(BufReader::new(socket)))
    }

    /// `None` if nobody answers.
    pub(crate) fn request(&mut self, subject: &str, body: &Value) -> Option<Value> {
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let number = REQUESTS.fetch_add(1, Ordering::SeqCst);
        let (inbox, length) = (format!("answer.{number}"), body.len());
        let sent = format!("SUB {inbox} {number}\r\nPUB {subject} {inbox} {length}\r\n{body}\r\n");
        self.0.get_mut().write_all(sent.as_bytes()).ok()?;
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).ok()?;
            let line = line.trim_end();
            match line.split(' ').next() {
                Some("MSG") => {
                    let length: usize = line.rsplit(' ').next()?.parse().ok()?;
                    let mut bytes = vec![0; length + 2];
                    self.0.read_exact(&mut bytes).ok()?;
                    return serde_json::from_slice(&bytes).ok();
                }
                Some("PING") => self.0.get_mut().write_all(b"PONG\r\n").ok()?,
                Some("INFO" | "PONG") => {}
                Some("") | None => return None,
                _ => panic!("NATS said {line:?}"),
            }
        }
    }
}
