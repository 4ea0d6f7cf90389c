//! How a request is answered, at random from the seed.

use std::time::Duration;

use crate::numbers::Numbers;

/// All faults, in the order of the report.
pub(crate) const FAULTS: [Fault; 10] = [
    Fault::NoAnswer,
    Fault::Unavailable,
    Fault::TooMany,
    Fault::End,
    Fault::Drop,
    Fault::Reset,
    Fault::Stall,
    Fault::CutEvent,
    Fault::CutCharacter,
    Fault::CutChunkSize,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection is closed instead of an answer.
    NoAnswer,
    /// 503 with Retry-After.
    Unavailable,
    /// 429 with Retry-After.
    TooMany,
    /// The response ends cleanly.
    End,
    /// The connection is closed between two events.
    Drop,
    /// RST between two events.
    Reset,
    /// Nothing more is sent.
    Stall,
    CutEvent,
    CutCharacter,
    /// Only in chunked responses; others are cut in an event.
    CutChunkSize,
}

impl Fault {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Fault::NoAnswer => "no answer",
            Fault::Unavailable => "503 with Retry-After",
            Fault::TooMany => "429 with Retry-After",
            Fault::End => "clean end",
            Fault::Drop => "dropped between events",
            Fault::Reset => "reset (RST)",
            Fault::Stall => "silence",
            Fault::CutEvent => "cut in an event",
            Fault::CutCharacter => "cut in a character",
            Fault::CutChunkSize => "cut in a chunk size",
        }
    }
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    /// As HTTP requires. It may be kept for another request.
    Clean { keep: bool },
    /// FIN, even if HTTP or TLS expects more.
    Fin,
    /// RST.
    Reset,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) fault: Fault,
    pub(crate) close: Close,
    /// How long the stream lasts before that.
    pub(crate) lasts: Duration,
    /// Otherwise the end of the connection ends the body.
    pub(crate) chunked: bool,
    pub(crate) byte_order_mark: bool,
}

impl Plan {
    pub(crate) fn draw(numbers: &mut Numbers, mean: Duration) -> Self {
        let chunked = !numbers.once_in(4);
        let fault = match numbers.below(20) {
            0 => Fault::NoAnswer,
            1 => Fault::Unavailable,
            2 => Fault::TooMany,
            3..=5 => Fault::End,
            6..=7 => Fault::Drop,
            8..=10 => Fault::Reset,
            11 => Fault::Stall,
            12..=14 => Fault::CutEvent,
            15..=17 => Fault::CutCharacter,
            _ if chunked => Fault::CutChunkSize,
            _ => Fault::CutEvent,
        };
        // A body without chunks needs the end of the connection.
        let keep = chunked && numbers.once_in(2);
        let close = match (fault, numbers.below(3)) {
            (Fault::End | Fault::Unavailable | Fault::TooMany, _) => Close::Clean { keep },
            (Fault::Drop | Fault::Stall, _) => Close::Fin,
            (Fault::Reset, _) => Close::Reset,
            (Fault::CutEvent | Fault::CutCharacter, 0) => Close::Clean { keep },
            (_, 1) => Close::Reset,
            _ => Close::Fin,
        };
        Plan {
            fault,
            close,
            lasts: numbers.around(mean),
            chunked,
            byte_order_mark: numbers.once_in(8),
        }
    }

    /// A stream without a fault.
    pub(crate) fn undisturbed() -> Self {
        Plan {
            fault: Fault::End,
            close: Close::Clean { keep: false },
            lasts: Duration::MAX,
            chunked: true,
            byte_order_mark: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_drawn_and_only_chunked_bodies_are_cut_in_a_chunk_size() {
        let mut seen = [0; FAULTS.len()];
        for seed in 0..2_000 {
            let plan = Plan::draw(&mut Numbers::new(&[seed]), Duration::from_secs(1));
            let place = FAULTS
                .iter()
                .position(|fault| *fault == plan.fault)
                .unwrap();
            seen[place] += 1;
            assert!(plan.chunked || plan.fault != Fault::CutChunkSize);
        }
        assert!(seen.iter().all(|times| *times > 20), "{seen:?}");
    }
}
