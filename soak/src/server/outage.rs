//! Restarts of all servers at once, and silence of all servers at once.
//!
//! All clients then do the same at the same time, which is when they use the most memory.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::State;
use crate::numbers::Numbers;

/// In ms; longer than the clients' `read_timeout`.
const SILENCE: std::ops::Range<usize> = 4_500..7_000;

pub(super) struct Outages {
    restarted: watch::Sender<u64>,
    silent: watch::Sender<bool>,
    silences: AtomicU64,
}

impl Outages {
    pub(super) fn new() -> Self {
        Outages {
            restarted: watch::Sender::new(0),
            silent: watch::Sender::new(false),
            silences: AtomicU64::new(0),
        }
    }

    /// How often all servers have restarted.
    pub(super) fn restarts(&self) -> u64 {
        *self.restarted.borrow()
    }

    pub(super) fn silences(&self) -> u64 {
        self.silences.load(Relaxed)
    }

    /// Changes when all servers have to restart.
    pub(super) fn restarted(&self) -> watch::Receiver<u64> {
        self.restarted.subscribe()
    }

    /// Waits for the end of a silence.
    pub(super) async fn silence(&self) {
        if *self.silent.borrow() {
            _ = self.silent.subscribe().wait_for(|silent| !silent).await;
        }
    }
}

pub(super) async fn run(state: Arc<State>) {
    let mut numbers = Numbers::new(&[state.settings.seed, 7]);
    let mean = Duration::from_millis(state.settings.outage_ms);
    let outages = &state.outages;
    loop {
        sleep(mean / 4 + numbers.around(mean.mul_f64(0.75))).await;
        if state.is_finished() {
            return;
        }
        if numbers.once_in(2) {
            outages.restarted.send_modify(|times| *times += 1);
        } else {
            outages.silences.fetch_add(1, Relaxed);
            outages.silent.send_replace(true);
            sleep(Duration::from_millis(
                numbers.between(SILENCE.start, SILENCE.end) as u64,
            ))
            .await;
            outages.silent.send_replace(false);
        }
    }
}
