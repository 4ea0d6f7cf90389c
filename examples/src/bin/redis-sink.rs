//! Writes the events of a feed into a stream of Redis, each exactly once, whatever is restarted.
//!
//! `redis-sink URL REDIS-URL KEY`
//!
//! The id of the last event is kept in Redis beside the events, and both are written in one step. A run
//! reads it before it connects. So Ctrl-C, a crash or a lost connection to either side leaves nothing
//! half done. What Redis keeps when it crashes itself is up to its `appendfsync`.

use std::fmt;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use everstream::blocking::SseClient;
use everstream::error_strategy::{TRANSIENT_STATUSES, reconnect};
use everstream::{Event, Http};
use redis::{Connection, RedisError};

/// Not MULTI and EXEC: there the second command is executed although the first one failed, and an event
/// that could not be added would count as written. A script ends at its first error.
const ADD: &str = "
    if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then
        return redis.error_reply('CONFLICT ' .. KEYS[2] .. ' was changed by somebody else')
    end
    redis.call('XADD', KEYS[1], '*', 'id', ARGV[2], 'event', ARGV[3], 'data', ARGV[4])
    redis.call('SET', KEYS[2], ARGV[2])
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, redis_url, key] = args.as_slice() else {
        eprintln!("usage: redis-sink URL REDIS-URL KEY");
        return ExitCode::FAILURE;
    };
    loop {
        match sink(url, redis_url, key) {
            Ok(()) => return ExitCode::SUCCESS,
            // Whether the last event was written can't be told from here: Redis knows.
            Err(Problem::Redis(error)) if is_transient(&error) => {
                eprintln!("again, because of Redis: {error}");
                thread::sleep(Duration::from_secs(1));
            }
            Err(problem) => {
                eprintln!("redis-sink: {problem}");
                return ExitCode::FAILURE;
            }
        }
    }
}

fn sink(url: &str, redis_url: &str, key: &str) -> Result<(), Problem> {
    let mut redis = redis::Client::open(redis_url)?.get_connection()?;
    // The braces put it beside the stream in a cluster too.
    let cursor_key = format!("{{{key}}}:last-event-id");
    let mut cursor: Option<String> = redis::cmd("GET").arg(&cursor_key).query(&mut redis)?;

    let mut builder = SseClient::builder(Http::new(url))
        .error_strategy(reconnect().or_on_status(TRANSIENT_STATUSES));
    if let Some(id) = &cursor {
        builder = builder.last_event_id(id);
    }
    for event in builder.build()?.events() {
        let event = event?;
        let Some(id) = event.id().filter(|id| !id.is_empty()) else {
            return Err(Problem::NoId);
        };
        let before = cursor.as_deref().unwrap_or_default();
        add(&mut redis, [key, &cursor_key], before, id, &event)?;
        cursor = Some(id.to_owned());
    }
    Ok(())
}

fn add(
    redis: &mut Connection,
    keys: [&str; 2],
    before: &str,
    id: &str,
    event: &Event,
) -> Result<(), RedisError> {
    redis::cmd("EVAL")
        .arg(ADD)
        .arg(keys.len())
        .arg(&keys)
        .arg(&[before, id, event.event(), event.data()])
        .exec(redis)
}

/// Whether it is the connection's fault, or that of a server that is still loading.
fn is_transient(error: &RedisError) -> bool {
    error.is_io_error() || matches!(error.code(), Some("LOADING" | "BUSY" | "TRYAGAIN"))
}

enum Problem {
    Sse(everstream::Error),
    Redis(RedisError),
    /// After a restart there would be no telling what was written.
    NoId,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Sse(error) => error.fmt(f),
            Problem::Redis(error) => error.fmt(f),
            Problem::NoId => f.write_str("an event without an id can't be written exactly once"),
        }
    }
}

impl From<everstream::Error> for Problem {
    fn from(error: everstream::Error) -> Self {
        Problem::Sse(error)
    }
}

impl From<RedisError> for Problem {
    fn from(error: RedisError) -> Self {
        Problem::Redis(error)
    }
}
