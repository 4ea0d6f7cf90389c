//! Errors that a server makes on purpose, to show that they are detected.

use super::State;
use crate::feed;
use crate::messages::Sabotage;

/// The stream and the event with the error.
const STREAM: u64 = 0;
const NUMBER: u64 = 10;

/// Whether the stream must have no other fault: an event that is sent twice, with a cut in between, isn't
/// a duplicate.
pub(super) fn needs_no_faults(state: &State, stream: u64) -> bool {
    stream == STREAM && state.settings.sabotage.is_some()
}

/// The event as it is sent.
pub(super) fn encoded(state: &State, stream: u64, number: u64) -> Vec<u8> {
    let of = |number| feed::encoded(state.settings.seed, stream, number);
    let here = stream == STREAM && number == NUMBER;
    match state.settings.sabotage {
        Some(Sabotage::Lose) if here => Vec::new(),
        Some(Sabotage::Duplicate) if here => [of(number), of(number)].concat(),
        Some(Sabotage::Swap) if here => [of(number + 1), of(number)].concat(),
        // It was sent already.
        Some(Sabotage::Swap) if stream == STREAM && number == NUMBER + 1 => Vec::new(),
        Some(Sabotage::Corrupt) if here => {
            let text = String::from_utf8_lossy(&of(number)).replacen('§', "$", 1);
            text.into_bytes()
        }
        _ => of(number),
    }
}
