//! Writes the events of a feed to a Redis stream, each exactly once, whatever is restarted.
//!
//! `redis-sink URL redis://HOST/?key=STREAM`
//!
//! Redis also stores the position and id of the last event. Events and position are written in one step,
//! and only if the stream still ends where this program expects. On start, the program reads the position
//! before it connects. So Ctrl-C, a crash or a lost connection to either side leaves nothing half done.
//! What survives a crash of Redis itself depends on its `appendfsync`.

use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use everstream::error_strategy::{TRANSIENT_STATUSES, reconnect};
use everstream::{Http, SseClient};
use everstream_relay::{AppendError, Record, RedisSink, Sink, SinkError};
use futures_util::StreamExt;

#[tokio::main]
async fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, redis_url] = args.as_slice() else {
        eprintln!("usage: redis-sink URL redis://HOST/?key=STREAM");
        return ExitCode::FAILURE;
    };
    let mut sink = match RedisSink::from_url(redis_url) {
        Ok(sink) => sink,
        Err(error) => {
            eprintln!("redis-sink: {error}");
            return ExitCode::FAILURE;
        }
    };
    loop {
        match store(url, &mut sink).await {
            Ok(()) => return ExitCode::SUCCESS,
            // The last event may or may not have been written; reading the position from Redis tells.
            Err(Problem::Transient(error)) => {
                eprintln!("retrying after an error of Redis: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(problem) => {
                eprintln!("redis-sink: {problem}");
                return ExitCode::FAILURE;
            }
        }
    }
}

async fn store(url: &str, sink: &mut RedisSink) -> Result<(), Problem> {
    let mut end = sink.open(0).await?.tail;
    let mut builder = SseClient::builder(Http::new(url))
        .error_strategy(reconnect().or_on_status(TRANSIENT_STATUSES));
    if let Some(id) = &end.id {
        builder = builder.last_event_id(id);
    }
    let mut client = builder.build()?;
    let mut events = client.events();
    while let Some(event) = events.next().await {
        let event = event?;
        let Some(id) = event.id().filter(|id| !id.is_empty()) else {
            return Err(Problem::NoId);
        };
        let id = Some(id.to_owned());
        let record = Record::new(id, event.event(), event.data(), SystemTime::now());
        end = sink.append(&end, &[record]).await?;
    }
    Ok(())
}

enum Problem {
    Sse(everstream::Error),
    /// An error that retrying may fix.
    Transient(String),
    Redis(String),
    /// Without an id, a restart couldn't tell what was written.
    NoId,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Sse(error) => error.fmt(f),
            Problem::Transient(error) | Problem::Redis(error) => error.fmt(f),
            Problem::NoId => f.write_str("an event without an id can't be written exactly once"),
        }
    }
}

impl From<everstream::Error> for Problem {
    fn from(error: everstream::Error) -> Self {
        Problem::Sse(error)
    }
}

impl From<SinkError> for Problem {
    fn from(error: SinkError) -> Self {
        match error {
            SinkError::Unavailable(error) => Problem::Transient(error.to_string()),
            other => Problem::Redis(other.to_string()),
        }
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Unavailable(error) | AppendError::Unknown(error) => {
                Problem::Transient(error.to_string())
            }
            other => Problem::Redis(other.to_string()),
        }
    }
}
