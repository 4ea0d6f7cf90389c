//! A log that compares and appends.

use std::error::Error;
use std::fmt;
use std::future::Future;

use crate::{Record, Tail};

/// A log with one writer at a time, by comparison rather than by a lease.
///
/// ```
/// use everstream_relay::{AppendError, MemorySink, Record, Sink, Tail};
/// use std::time::SystemTime;
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// let mut log = MemorySink::new();
/// let batch = [Record::new(Some("7".into()), "message", "hello", SystemTime::now())];
/// let tail = log.append(&Tail::default(), &batch).await?;
/// assert_eq!(tail.pos, 1);
///
/// // A second writer that believes the log to be empty.
/// let late = log.append(&Tail::default(), &batch).await;
/// assert!(matches!(late, Err(AppendError::Conflict)));
/// # Ok::<_, AppendError>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// What an implementation has to guarantee:
///
/// 1. The records and the tail change in one step.
/// 2. [`append`](Self::append) stores all records, the first few, or none: nothing is stored behind a gap.
/// 3. The tail moves only by `append`. The exception is an engine that fails over to a replica that lags:
///    then records and tail go back together.
/// 4. Position and id are both compared.
/// 5. After an `append` that returned [`AppendError::Unknown`], or whose future was dropped, a later
///    [`tail`](Self::tail) tells what was stored, and the records can no longer arrive after a later append
///    has succeeded.
pub trait Sink: Send {
    /// Prepares the log, and creates it if it's absent. Returns where it ends, and the ids of its last
    /// `recent` records.
    fn open(&mut self, recent: usize) -> impl Future<Output = Result<Held, SinkError>> + Send;

    /// Where the log ends. Only reads: a log that nobody has created yet is empty, and stays absent.
    fn tail(&mut self) -> impl Future<Output = Result<Tail, SinkError>> + Send;

    /// Stores `batch` if the log still ends with `after`, and returns the new end. If only the first few
    /// records are stored, the tail that is returned says how many, by its position.
    fn append(
        &mut self,
        after: &Tail,
        batch: &[Record],
    ) -> impl Future<Output = Result<Tail, AppendError>> + Send;
}

/// What a log held when it was opened.
///
/// ```
/// use everstream_relay::{Held, Tail};
///
/// let tail = Tail { pos: 2, id: Some("b".into()) };
/// let held = Held::new(tail, vec!["a".into(), "b".into()], None);
/// assert_eq!(held.recent.last(), held.tail.id.as_ref());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Held {
    /// Where it ends.
    pub tail: Tail,
    /// The ids of its last records, the oldest first.
    pub recent: Vec<String>,
    /// The largest record that it stores, in bytes of data, if it knows.
    pub max_record_bytes: Option<usize>,
}

impl Held {
    /// A log that ends with `tail`.
    pub fn new(tail: Tail, recent: Vec<String>, max_record_bytes: Option<usize>) -> Held {
        Held {
            tail,
            recent,
            max_record_bytes,
        }
    }
}

/// Why a log couldn't be read.
///
/// ```
/// use everstream_relay::SinkError;
///
/// let error = SinkError::Unavailable("connection refused".into());
/// assert_eq!(error.to_string(), "the log isn't available: connection refused");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum SinkError {
    /// The engine can't be reached, or refuses at the moment: tried again.
    Unavailable(Box<dyn Error + Send + Sync>),
    /// Trying again wouldn't help: a wrong password, a table of another shape.
    Unusable(Box<dyn Error + Send + Sync>),
}

/// Why records weren't stored, or may not have been.
///
/// ```
/// use everstream_relay::AppendError;
///
/// let error = AppendError::Rejected { index: 0, why: "U+0000 in the data".into() };
/// let text = "the log can't store record 0 of the batch: U+0000 in the data";
/// assert_eq!(error.to_string(), text);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum AppendError {
    /// The log doesn't end where the writer believes: another one has appended. Nothing was stored.
    Conflict,
    /// The records may have been stored, in part too: only [`Sink::tail`] tells.
    Unknown(Box<dyn Error + Send + Sync>),
    /// Nothing was stored; trying again may help.
    Unavailable(Box<dyn Error + Send + Sync>),
    /// Nothing was stored, and trying again wouldn't help: the table was dropped, or a right was revoked.
    Unusable(Box<dyn Error + Send + Sync>),
    /// The engine can't store this record of the batch, whenever it is tried: too large, or a character
    /// that it doesn't know. Nothing of the batch was stored.
    Rejected {
        /// Which one, from 0.
        index: usize,
        /// Why, for a person.
        why: String,
    },
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SinkError::Unavailable(error) => {
                write!(f, "the log isn't available: {}", Plain(&**error))
            }
            SinkError::Unusable(error) => write!(f, "the log can't be used: {}", Plain(&**error)),
        }
    }
}

impl Error for SinkError {}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppendError::Conflict => f.write_str("another writer has appended to the log"),
            AppendError::Unknown(error) => {
                write!(f, "the records may have been stored: {}", Plain(&**error))
            }
            AppendError::Unavailable(error) => {
                write!(f, "the log isn't available: {}", Plain(&**error))
            }
            AppendError::Unusable(error) => write!(f, "the log can't be used: {}", Plain(&**error)),
            AppendError::Rejected { index, why } => {
                write!(f, "the log can't store record {index} of the batch: {why}")
            }
        }
    }
}

impl Error for AppendError {}

/// An engine's error, without what clients and systems add for programmers.
pub(crate) struct Plain<'a>(pub(crate) &'a (dyn Error + Send + Sync));

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let text = match text.split_once(" (os error ") {
            Some((before, after)) => match after.split_once(')') {
                Some((_, after)) => format!("{before}{after}"),
                None => text,
            },
            None => text,
        };
        let text = ["IO error: ", "error connecting to server: ", "DNS error: "]
            .iter()
            .fold(text, |text, prefix| text.replacen(prefix, "", 1));
        // A place may stand before it.
        match text.split_once("received corrupt message of type") {
            Some((place, _)) => {
                write!(f, "{place}the server's answer isn't TLS; check the address")
            }
            None => f.write_str(&text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_an_engine_is_shown_without_jargon() {
        for (text, shown) in [
            ("Connection refused (os error 111)", "Connection refused"),
            (
                "IO error: Connection reset (os error 104)",
                "Connection reset",
            ),
            (
                "error connecting to server: no route (os error 113): x",
                "no route: x",
            ),
            (
                "DNS error: Name or service not known",
                "Name or service not known",
            ),
            ("odd (os error 1", "odd (os error 1"),
            (
                "received corrupt message of type InvalidContentType",
                "the server's answer isn't TLS; check the address",
            ),
            (
                "Redis at host:1: IO error: received corrupt message of type X",
                "Redis at host:1: the server's answer isn't TLS; check the address",
            ),
            (
                "permission denied for table log",
                "permission denied for table log",
            ),
        ] {
            let error: Box<dyn Error + Send + Sync> = text.into();
            assert_eq!(Plain(&*error).to_string(), shown);
        }
    }
}
