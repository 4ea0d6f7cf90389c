//! Writes the events of a feed into a stream of Redis, each exactly once, whatever is restarted.
//!
//! `redis-sink URL redis://HOST/?key=STREAM`
//!
//! Where the stream ends is kept in Redis next to the events, and both change in one step, if the stream
//! still ends where this program believes. A run reads it before it connects. So Ctrl-C, a crash or a lost
//! connection to either side leaves nothing half done. What Redis keeps when it crashes itself is up to
//! its `appendfsync`.

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
            // Whether the last event was written can't be told from here: Redis knows.
            Err(Problem::Passing(error)) => {
                eprintln!("again, because of Redis: {error}");
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
    /// Waiting may help.
    Passing(String),
    Redis(String),
    /// After a restart there would be no telling what was written.
    NoId,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Sse(error) => error.fmt(f),
            Problem::Passing(error) | Problem::Redis(error) => error.fmt(f),
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
            SinkError::Unavailable(error) => Problem::Passing(error.to_string()),
            other => Problem::Redis(other.to_string()),
        }
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Unavailable(error) | AppendError::Unknown(error) => {
                Problem::Passing(error.to_string())
            }
            other => Problem::Redis(other.to_string()),
        }
    }
}
