//! A log in memory, for tests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{AppendError, Held, Record, Sink, SinkError, Tail};

/// A log in memory, for tests. Clones share it, as two relays share an engine.
///
/// ```
/// use everstream_relay::{MemorySink, Record, Sink, Tail};
/// use std::time::SystemTime;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let mut sink = MemorySink::new();
/// let record = Record::new(Some("7".into()), "message", "hello", SystemTime::now());
/// let tail = sink.append(&Tail::default(), &[record]).await?;
/// assert_eq!((tail.pos, tail.id.as_deref()), (1, Some("7")));
/// assert_eq!(sink.records()[0].data, "hello");
/// # Ok::<(), everstream_relay::AppendError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemorySink {
    log: Arc<Mutex<Vec<Record>>>,
}

impl MemorySink {
    /// An empty log.
    pub fn new() -> MemorySink {
        MemorySink::default()
    }

    /// What it holds.
    pub fn records(&self) -> Vec<Record> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for MemorySink {
    async fn open(&mut self, recent: usize) -> Result<Held, SinkError> {
        let log = self.lock();
        let skipped = log.len().saturating_sub(recent);
        let recent = log[skipped..].iter().filter_map(|it| it.id.clone());
        Ok(Held::new(tail(&log), recent.collect(), None))
    }

    async fn tail(&mut self) -> Result<Tail, SinkError> {
        Ok(tail(&self.lock()))
    }

    async fn append(&mut self, after: &Tail, batch: &[Record]) -> Result<Tail, AppendError> {
        let mut log = self.lock();
        if *after != tail(&log) {
            return Err(AppendError::Conflict);
        }
        log.extend_from_slice(batch);
        Ok(tail(&log))
    }
}

fn tail(log: &[Record]) -> Tail {
    Tail {
        pos: log.len() as u64,
        id: log.last().and_then(|it| it.id.clone()),
    }
}
