//! The sums over all streams.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};

use everstream::Fault;

use crate::messages::ClientCounts;

/// How many problems are described in the report.
const MAX_PROBLEMS: usize = 20;

#[derive(Default)]
pub(super) struct Tally {
    pub(super) events: AtomicU64,
    pub(super) replayed: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) starts: AtomicU64,
    pub(super) clients: AtomicU64,
    pub(super) interrupts: AtomicU64,
    pub(super) closes: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) duplicated: AtomicU64,
    pub(super) out_of_order: AtomicU64,
    pub(super) corrupted: AtomicU64,
    pub(super) gave_up: AtomicU64,
    faults: Mutex<BTreeMap<String, u64>>,
    problems: Mutex<Vec<String>>,
}

pub(super) fn add(counter: &AtomicU64, number: u64) {
    counter.fetch_add(number, Relaxed);
}

impl Tally {
    pub(super) fn fault(&self, fault: Option<&Fault>) {
        let name = match fault {
            None => "clean end or interruption".to_owned(),
            Some(Fault::Connect(_)) => "Connect (refused)".to_owned(),
            Some(Fault::ConnectTimeout(_)) => "ConnectTimeout".to_owned(),
            Some(Fault::Request(_)) => "Request (no response)".to_owned(),
            Some(Fault::Read(_)) => "Read (cut off)".to_owned(),
            Some(Fault::ResponseTimeout(_)) => "ResponseTimeout (no response)".to_owned(),
            Some(Fault::ReadTimeout(_)) => "ReadTimeout (silence)".to_owned(),
            Some(fault) => match fault.status() {
                Some(status) => format!("Status {status}"),
                None => format!("{fault}"),
            },
        };
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        *faults.entry(name).or_default() += 1;
    }

    pub(super) fn problem(&self, problem: impl FnOnce() -> String) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        if problems.len() < MAX_PROBLEMS {
            problems.push(problem());
        }
    }

    pub(super) fn counts(&self) -> ClientCounts {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        ClientCounts {
            heap: crate::HEAP.allocated() as u64,
            events: self.events.load(Relaxed),
            replayed: self.replayed.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            starts: self.starts.load(Relaxed),
            clients: self.clients.load(Relaxed),
            interrupts: self.interrupts.load(Relaxed),
            closes: self.closes.load(Relaxed),
            faults: faults.clone(),
            lost: self.lost.load(Relaxed),
            duplicated: self.duplicated.load(Relaxed),
            out_of_order: self.out_of_order.load(Relaxed),
            corrupted: self.corrupted.load(Relaxed),
            gave_up: self.gave_up.load(Relaxed),
            problems: problems.clone(),
        }
    }
}
