//! What the three processes tell each other: a line of JSON each, over standard input and output.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use clap::ValueEnum;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What goes wrong on purpose, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Sabotage {
    /// The server never sends one event.
    Lose,
    /// It sends one event twice.
    Duplicate,
    /// It sends two events the wrong way round.
    Swap,
    /// It changes a letter of one event.
    Corrupt,
    /// The client keeps what it received.
    Leak,
}

/// The first line to the server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ServerSettings {
    pub(crate) seed: u64,
    pub(crate) streams: u64,
    /// Each stream has a new event that often, in ms.
    pub(crate) interval_ms: u64,
    /// The mean time, in ms, after which a response breaks.
    pub(crate) break_ms: u64,
    /// The mean time, in ms, after which a listener and all its connections go away.
    pub(crate) restart_ms: u64,
    /// The mean time, in ms, after which something happens to all listeners at once.
    pub(crate) outage_ms: u64,
    pub(crate) sabotage: Option<Sabotage>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToServer {
    /// No new events and no more faults.
    Finish,
    /// Tell what there was, and exit.
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
    /// Of one listener each.
    pub(crate) restarts: u64,
    pub(crate) restarts_of_all: u64,
    pub(crate) silences_of_all: u64,
    /// Requests that no client of ours should have sent.
    pub(crate) bad_requests: u64,
    pub(crate) faults: BTreeMap<String, u64>,
}

/// The first line to the clients.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ClientSettings {
    pub(crate) seed: u64,
    pub(crate) streams: u64,
    /// So many of the streams are read by blocking clients.
    pub(crate) blocking: u64,
    pub(crate) addresses: Addresses,
    pub(crate) leak: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToClient {
    /// Read up to this number in each stream, and exit.
    Finish(u64),
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromClient {
    /// Once a second.
    Progress(ClientCounts),
    Done(ClientCounts),
}

/// What the clients have seen so far.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ClientCounts {
    /// Bytes that are allocated now, as far as Rust code allocates them.
    pub(crate) heap: u64,
    /// Events, those included that the server repeated.
    pub(crate) events: u64,
    pub(crate) replayed: u64,
    /// Of data.
    pub(crate) bytes: u64,
    /// Responses that were streams.
    pub(crate) starts: u64,
    /// Clients that were made.
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
    /// The first problems in words.
    pub(crate) problems: Vec<String>,
}

/// Says a line to whoever started this process, or to a process that was started.
pub(crate) fn say(to: &mut impl Write, what: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// The next line; `None` when whoever speaks is gone.
pub(crate) fn hear<T: DeserializeOwned>(from: &mut impl BufRead) -> io::Result<Option<T>> {
    let mut line = String::new();
    if from.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&line)?))
}
