//! Messages between the three processes: lines of JSON over standard input and output.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use clap::ValueEnum;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// An error that is introduced on purpose, to show that it is detected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Sabotage {
    /// The server never sends one event.
    Lose,
    /// The server sends one event twice.
    Duplicate,
    /// The server sends two events in the wrong order.
    Swap,
    /// The server changes a letter of one event.
    Corrupt,
    /// The client keeps what it received.
    Leak,
}

/// The first message to the servers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ServerSettings {
    pub(crate) seed: u64,
    pub(crate) streams: u64,
    /// Time between two events of a stream, in ms.
    pub(crate) interval_ms: u64,
    /// Mean time until a response fails, in ms.
    pub(crate) break_ms: u64,
    /// Mean time until a listener restarts, in ms.
    pub(crate) restart_ms: u64,
    /// Mean time until all listeners restart or go silent, in ms.
    pub(crate) outage_ms: u64,
    pub(crate) sabotage: Option<Sabotage>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToServer {
    /// Stop making events and faults.
    Finish,
    /// Send the counts, and exit.
    Report,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromServer {
    Listening(Addresses),
    /// The number of the last event of each stream.
    Finished(u64),
    Report(ServerCounts),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) plain: Vec<u16>,
    pub(crate) tls: Vec<u16>,
    /// PEM.
    pub(crate) certificate: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct ServerCounts {
    pub(crate) connections: u64,
    pub(crate) requests: u64,
    /// Restarts of one listener.
    pub(crate) restarts: u64,
    pub(crate) restarts_of_all: u64,
    pub(crate) silences_of_all: u64,
    /// Requests that the clients should not have sent.
    pub(crate) bad_requests: u64,
    pub(crate) faults: BTreeMap<String, u64>,
}

/// The first message to the clients.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ClientSettings {
    pub(crate) seed: u64,
    pub(crate) streams: u64,
    /// Number of streams that blocking clients read.
    pub(crate) blocking: u64,
    pub(crate) addresses: Addresses,
    pub(crate) leak: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToClient {
    /// Read each stream up to the event with this number, and exit.
    Finish(u64),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromClient {
    /// Once a second.
    Progress(ClientCounts),
    Done(ClientCounts),
}

/// What the clients have received so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ClientCounts {
    /// Bytes that Rust code has allocated at the moment.
    pub(crate) heap: u64,
    /// Events, including those that a server repeated.
    pub(crate) events: u64,
    pub(crate) replayed: u64,
    /// Bytes of data.
    pub(crate) bytes: u64,
    /// Responses that were streams.
    pub(crate) starts: u64,
    /// Clients that were created.
    pub(crate) clients: u64,
    pub(crate) interrupts: u64,
    pub(crate) closes: u64,
    pub(crate) faults: BTreeMap<String, u64>,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) out_of_order: u64,
    pub(crate) corrupted: u64,
    /// Iterations that ended with an error.
    pub(crate) gave_up: u64,
    /// Descriptions of the first problems.
    pub(crate) problems: Vec<String>,
}

/// Writes a message.
pub(crate) fn send(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// The next message; `None` once the sender has ended.
pub(crate) fn receive<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}
