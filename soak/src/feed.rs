//! What the streams say. Server and client make it independently from the seed, so that every byte
//! of what arrives can be compared.

use crate::numbers::Numbers;

/// What is particular about a stream; its number decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) gzip: bool,
    pub(crate) tls: bool,
    /// How many events before the one that was asked for the server repeats at every resumption.
    pub(crate) replay: u64,
}

impl Kind {
    /// The periods have no common factor: every combination occurs.
    pub(crate) fn of(stream: u64) -> Self {
        Kind {
            gzip: stream % 5 == 1,
            tls: stream % 8 == 5,
            replay: if stream % 7 == 3 { 3 } else { 0 },
        }
    }

    /// The first event of the answer to who has had everything up to `last` (0: nothing yet).
    pub(crate) fn first_after(self, last: u64) -> u64 {
        (last + 1).saturating_sub(self.replay).max(1)
    }
}

pub(crate) fn id(stream: u64, number: u64) -> String {
    format!("{stream}-{number}")
}

/// The number in an id, if it is one of this stream.
pub(crate) fn number(stream: u64, id: &str) -> Option<u64> {
    let (of, number) = id.split_once('-')?;
    (of.parse() == Ok(stream)).then(|| number.parse().ok())?
}

/// An event as it is meant. Events of a stream are numbered from 1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) event: &'static str,
    pub(crate) data: String,
}

const TYPES: [&str; 4] = ["message", "message", "update", "état"];
/// Of one to four bytes, so that cuts fall into characters of each length.
const LETTERS: [&str; 12] = ["a", "e", "n", " ", ":", "7", "ß", "й", "€", "漢", "😀", "𝄞"];
/// More than a read of a socket or a compression window takes at once.
const LARGE: usize = 40_000;

pub(crate) fn said(seed: u64, stream: u64, number: u64) -> Said {
    let mut numbers = Numbers::new(&[seed, stream, number]);
    let event = TYPES[numbers.between(0, TYPES.len())];
    let letters = match numbers.below(200) {
        0 => numbers.between(2_000, LARGE / 2),
        1..=20 => 1,
        _ => numbers.between(10, 150),
    };
    // At least one character that can be cut.
    let mut data = String::from("§");
    for _ in 0..letters {
        if numbers.once_in(40) {
            data.push('\n');
        } else {
            data.push_str(LETTERS[numbers.between(0, LETTERS.len())]);
        }
    }
    Said { event, data }
}

/// The event in the stream's notation, which varies as far as the standard lets it.
pub(crate) fn written(seed: u64, stream: u64, number: u64) -> Vec<u8> {
    let said = said(seed, stream, number);
    let mut numbers = Numbers::new(&[seed, stream, number, 1]);
    let end = ["\n", "\n", "\r\n", "\r"][numbers.between(0, 4)];
    let mut text = String::with_capacity(said.data.len() + 64);
    if numbers.once_in(10) {
        text.extend([": still here", end]);
    }
    let id = id(stream, number);
    let id_first = numbers.once_in(2);
    if id_first {
        text.extend(["id:", &id, end]);
    }
    if said.event != "message" || numbers.once_in(4) {
        text.extend(["event: ", said.event, end]);
    }
    for line in said.data.split('\n') {
        // One space after the colon isn't part of the value.
        let colon = if line.starts_with(' ') || numbers.once_in(2) {
            "data: "
        } else {
            "data:"
        };
        text.extend([colon, line, end]);
    }
    if !id_first {
        text.extend(["id: ", &id, end]);
    }
    text.push_str(end);
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_decodes_to_what_is_said() {
        for number in 1..2_000 {
            let written = written(1, 8, number);
            let mut rest = &written[..];
            let mut decoder = everstream::Decoder::new();
            let event = loop {
                match decoder.decode_owned(&mut rest) {
                    Ok(Some(everstream::Item::Event(event))) => break event,
                    Ok(Some(_)) => {}
                    other => panic!("event {number} isn't complete: {other:?}"),
                }
            };
            let said = said(1, 8, number);
            assert_eq!((event.event(), event.data()), (said.event, &*said.data));
            assert_eq!(event.id(), Some(&*id(8, number)));
        }
    }

    #[test]
    fn an_id_of_another_stream_has_no_number_here() {
        assert_eq!(number(7, &id(7, 12)), Some(12));
        assert_eq!(number(7, &id(8, 12)), None);
        assert_eq!(number(7, "7-"), None);
        assert_eq!(number(7, ""), None);
    }

    #[test]
    fn a_server_that_replays_begins_so_many_events_earlier_but_not_before_the_first() {
        let (exact, replaying) = (Kind::of(0), Kind::of(3));
        assert_eq!((exact.replay, replaying.replay), (0, 3));
        assert_eq!((exact.first_after(0), exact.first_after(10)), (1, 11));
        assert_eq!(
            (replaying.first_after(2), replaying.first_after(10)),
            (1, 8)
        );
    }
}
