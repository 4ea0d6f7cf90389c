//! The tests for sinks, with a sink in memory that can be broken in many ways: each is found.

use std::collections::HashMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex};

use everstream_relay::sink_tests::{self, Log};
use everstream_relay::{AppendError, Held, Record, Sink, SinkError, Tail};

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Defect {
    None,
    ComparesNothing,
    ComparesOnlyPositions,
    ComparesOnlyIds,
    /// Compares, and stores later.
    ComparesBefore,
    StoresOnlyTheFirst,
    LeavesOneOut,
    ReturnsTheOldTail,
    TrimsTexts,
    TurnsNoneIntoEmpty,
    StoresNulAsSpace,
    RejectsTheFirst,
    StoresBeforeTheRejected,
    HasNoLimit,
    RecentIsReversed,
    RecentIsAll,
    ForgetsWhenReopened,
    IsEmptiedByOpen,
    FailsToOpenTwice,
    LosesWhatIsDropped,
}

const LIMIT: usize = 100_000;

#[derive(Debug, Default)]
struct Logs {
    records: HashMap<String, Vec<Record>>,
    opening: usize,
}

struct Memory {
    defect: Defect,
    logs: Arc<Mutex<Logs>>,
}

struct MemorySink {
    defect: Defect,
    logs: Arc<Mutex<Logs>>,
    log: String,
    /// Of a sink that keeps the tail to itself.
    own: Option<Tail>,
}

impl Log for Memory {
    type Sink = MemorySink;

    fn sink(&self, log: &str) -> MemorySink {
        MemorySink {
            defect: self.defect,
            logs: self.logs.clone(),
            log: log.to_owned(),
            own: None,
        }
    }

    async fn records(&self, log: &str) -> Vec<Record> {
        let logs = self.logs.lock().unwrap();
        logs.records.get(log).cloned().unwrap_or_default()
    }
}

impl MemorySink {
    fn now(&self) -> Tail {
        if let Some(own) = &self.own {
            return own.clone();
        }
        let mut logs = self.logs.lock().unwrap();
        let records = logs.records.entry(self.log.clone()).or_default();
        let mut id = records.last().and_then(|it| it.id.clone());
        if self.defect == Defect::TurnsNoneIntoEmpty && !records.is_empty() {
            id = Some(id.unwrap_or_default());
        }
        Tail {
            pos: records.len() as u64,
            id,
        }
    }

    fn agrees(&self, after: &Tail) -> bool {
        let now = self.now();
        match self.defect {
            Defect::ComparesNothing => true,
            Defect::ComparesOnlyPositions => after.pos == now.pos,
            Defect::ComparesOnlyIds => after.id == now.id,
            _ => after == &now,
        }
    }

    fn rejected(&self, batch: &[Record]) -> Option<usize> {
        let is_rejected = |record: &Record| {
            record.data.contains('\0') && self.defect != Defect::StoresNulAsSpace
                || record.data.len() > LIMIT && self.defect != Defect::HasNoLimit
        };
        batch.iter().position(is_rejected)
    }

    fn push(&self, records: &[Record]) {
        let mut logs = self.logs.lock().unwrap();
        let log = logs.records.entry(self.log.clone()).or_default();
        for (at, record) in records.iter().enumerate() {
            let mut record = record.clone();
            match self.defect {
                Defect::LeavesOneOut if at == 1 => continue,
                Defect::TrimsTexts => record.event = record.event.trim().to_owned(),
                Defect::StoresNulAsSpace => record.data = record.data.replace('\0', " "),
                _ => {}
            }
            log.push(record);
        }
    }
}

impl Sink for MemorySink {
    async fn open(&mut self, recent: usize) -> Result<Held, SinkError> {
        if self.defect == Defect::FailsToOpenTwice {
            self.logs.lock().unwrap().opening += 1;
            if self.logs.lock().unwrap().opening > 1 {
                return Err(SinkError::Unusable("it exists".into()));
            }
        }
        if self.defect == Defect::IsEmptiedByOpen {
            self.logs.lock().unwrap().records.remove(&self.log);
        }
        if self.defect == Defect::ForgetsWhenReopened {
            self.own = Some(Tail::default());
        }
        let tail = self.now();
        let logs = self.logs.lock().unwrap();
        let records = logs.records.get(&self.log).map_or(&[][..], |it| it);
        let from = match self.defect {
            Defect::RecentIsAll => 0,
            _ => records.len().saturating_sub(recent),
        };
        let mut ids: Vec<String> = records[from..]
            .iter()
            .filter_map(|it| it.id.clone())
            .collect();
        if self.defect == Defect::RecentIsReversed {
            ids.reverse();
        }
        Ok(Held::new(tail, ids, Some(LIMIT)))
    }

    async fn tail(&mut self) -> Result<Tail, SinkError> {
        Ok(self.now())
    }

    async fn append(&mut self, after: &Tail, batch: &[Record]) -> Result<Tail, AppendError> {
        if let Some(index) = self.rejected(batch) {
            if self.defect == Defect::StoresBeforeTheRejected {
                self.push(&batch[..index]);
            }
            let index = match self.defect {
                Defect::RejectsTheFirst => 0,
                _ => index,
            };
            let why = "it can't be stored".to_owned();
            return Err(AppendError::Rejected { index, why });
        }
        if self.defect == Defect::ComparesBefore {
            if !self.agrees(after) {
                return Err(AppendError::Conflict);
            }
            // Long enough for the other writer.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        } else if self.defect == Defect::LosesWhatIsDropped {
            // The first of them, then a pause, then the second.
            if !self.agrees(after) {
                return Err(AppendError::Conflict);
            }
            self.push(&batch[batch.len() / 2..]);
            tokio::task::yield_now().await;
            self.push(&batch[..batch.len() / 2]);
            return Ok(self.now());
        } else {
            tokio::task::yield_now().await;
            if !self.agrees(after) {
                return Err(AppendError::Conflict);
            }
        }
        let batch = match self.defect {
            Defect::StoresOnlyTheFirst => &batch[..batch.len().min(1)],
            _ => batch,
        };
        self.push(batch);
        match self.defect {
            Defect::ReturnsTheOldTail => Ok(after.clone()),
            Defect::StoresOnlyTheFirst => Ok(Tail {
                pos: after.pos + 7,
                id: None,
            }),
            _ => {
                if let Some(own) = &mut self.own {
                    own.pos += batch.len() as u64;
                    own.id = batch.last().map_or(own.id.take(), |it| it.id.clone());
                }
                Ok(self.now())
            }
        }
    }
}

/// In a runtime of its own: whether all checks succeed.
fn succeeds(defect: Defect) -> bool {
    let memory = Memory {
        defect,
        logs: Arc::default(),
    };
    let checked = panic::catch_unwind(AssertUnwindSafe(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(sink_tests::all(&memory));
    }));
    checked.is_ok()
}

#[test]
fn a_sink_that_keeps_the_promises_passes() {
    assert!(succeeds(Defect::None));
}

#[test]
fn each_defect_is_found() {
    for defect in [
        Defect::ComparesNothing,
        Defect::ComparesOnlyPositions,
        Defect::ComparesOnlyIds,
        Defect::ComparesBefore,
        Defect::StoresOnlyTheFirst,
        Defect::LeavesOneOut,
        Defect::ReturnsTheOldTail,
        Defect::TrimsTexts,
        Defect::TurnsNoneIntoEmpty,
        Defect::StoresNulAsSpace,
        Defect::RejectsTheFirst,
        Defect::StoresBeforeTheRejected,
        Defect::HasNoLimit,
        Defect::RecentIsReversed,
        Defect::RecentIsAll,
        Defect::ForgetsWhenReopened,
        Defect::IsEmptiedByOpen,
        Defect::FailsToOpenTwice,
        Defect::LosesWhatIsDropped,
    ] {
        assert!(!succeeds(defect), "{defect:?} isn't found");
    }
}
