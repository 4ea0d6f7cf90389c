//! Interrupts and closes clients at random, through their handles.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::Shared;
use super::tally::add;
use crate::numbers::Numbers;

/// Mean time between two interruptions of a stream.
const MEAN_PAUSE: Duration = Duration::from_secs(60);

pub(super) async fn run(shared: Arc<Shared>) {
    let streams = shared.settings.streams;
    let mut numbers = Numbers::new(&[shared.settings.seed, 6]);
    while shared.finish.borrow().is_none() {
        sleep(numbers.around(MEAN_PAUSE.div_f64(streams as f64))).await;
        let Some(handle) = shared.handle(numbers.below(streams)) else {
            continue;
        };
        if numbers.once_in(5) {
            add(&shared.tally.closes, 1);
            handle.close();
        } else {
            add(&shared.tally.interrupts, 1);
            handle.interrupt();
        }
    }
}
