//! The settings of a relay.

use std::time::Duration;

/// The settings of a [`Machine`](crate::Machine). All fields have a default.
///
/// ```
/// use everstream_relay::Config;
/// use std::time::Duration;
///
/// let mut config = Config::default();
/// config.takeover = Duration::from_secs(1);
/// assert_eq!(config.batch, 256);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The most records in a batch. Default: 256.
    pub batch: usize,
    /// The most bytes of data, types and ids in a batch that has more than one record. Default: 1 MiB.
    pub batch_bytes: usize,
    /// How long a batch waits for more records. Default: 5 ms.
    pub linger: Duration,
    /// The most records that wait for a batch before the feed isn't read any more. Default: 1024.
    pub buffer: usize,
    /// The most bytes that wait for a batch before the feed isn't read any more. Default: 4 MiB.
    pub buffer_bytes: usize,
    /// How long an event may be missing from a log that doesn't move before a standby takes over.
    /// Default: 5 s.
    pub takeover: Duration,
    /// How often a standby looks where the log ends. Default: 200 ms.
    pub poll: Duration,
    /// How many of the last ids a replayed event is compared with. Default: 1024.
    pub recent: usize,
    /// Accepts a feed without ids: at most once across reconnects, and without a standby. Ids that it
    /// has all the same aren't stored. Default: false.
    pub no_ids: bool,
    /// Stores a placeholder for a record that the log can't store, instead of stopping. Default: false.
    pub dead_letter: bool,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            batch: 256,
            batch_bytes: 1 << 20,
            linger: Duration::from_millis(5),
            buffer: 1024,
            buffer_bytes: 4 << 20,
            takeover: Duration::from_secs(5),
            poll: Duration::from_millis(200),
            recent: 1024,
            no_ids: false,
            dead_letter: false,
        }
    }
}
