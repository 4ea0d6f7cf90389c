//! The events of the streams. Server and client compute them independently from the seed, so that
//! every byte that arrives can be compared.

use crate::numbers::Numbers;

/// The properties of a stream, which depend on its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) gzip: bool,
    pub(crate) tls: bool,
    /// How many events the server repeats each time the client resumes.
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

    /// The first event that the server sends to a client whose last event was `last` (0: none yet).
    pub(crate) fn first_after(self, last: u64) -> u64 {
        (last + 1).saturating_sub(self.replay).max(1)
    }
}

pub(crate) fn id(stream: u64, number: u64) -> String {
    format!("{stream}-{number}")
}

/// The number in an id of this stream.
pub(crate) fn number(stream: u64, id: &str) -> Option<u64> {
    let (of, number) = id.split_once('-')?;
    (of.parse() == Ok(stream)).then(|| number.parse().ok())?
}

/// An event as the client should receive it. Events of a stream are numbered from 1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) event: &'static str,
    pub(crate) data: String,
}

const TYPES: [&str; 4] = ["message", "message", "update", "état"];
/// Characters of one to four bytes, so that responses are cut in each of them.
const LETTERS: [&str; 12] = ["a", "e", "n", " ", ":", "7", "ß", "й", "€", "漢", "😀", "𝄞"];
/// More than one read of a socket, or the window of the compression.
const LARGE: usize = 40_000;

pub(crate) fn content(seed: u64, stream: u64, number: u64) -> Content {
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
    Content { event, data }
}

/// The encoded event. Its notation varies as much as the standard permits.
pub(crate) fn encoded(seed: u64, stream: u64, number: u64) -> Vec<u8> {
    let content = content(seed, stream, number);
    let mut numbers = Numbers::new(&[seed, stream, number, 1]);
    let end = ["\n", "\n", "\r\n", "\r"][numbers.between(0, 4)];
    let mut text = String::with_capacity(content.data.len() + 64);
    if numbers.once_in(10) {
        text.extend([": still here", end]);
    }
    let id = id(stream, number);
    let id_first = numbers.once_in(2);
    if id_first {
        text.extend(["id:", &id, end]);
    }
    if content.event != "message" || numbers.once_in(4) {
        text.extend(["event: ", content.event, end]);
    }
    for line in content.data.split('\n') {
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
    fn an_encoded_event_decodes_to_its_content() {
        for number in 1..2_000 {
            let encoded = encoded(1, 8, number);
            let mut rest = &encoded[..];
            let mut decoder = everstream::Decoder::new();
            let event = loop {
                match decoder.decode_owned(&mut rest) {
                    Ok(Some(everstream::Item::Event(event))) => break event,
                    Ok(Some(_)) => {}
                    other => panic!("event {number} isn't complete: {other:?}"),
                }
            };
            let content = content(1, 8, number);
            assert_eq!(
                (event.event(), event.data()),
                (content.event, &*content.data)
            );
            assert_eq!(event.id(), Some(&*id(8, number)));
        }
    }

    #[test]
    fn the_id_of_another_stream_has_no_number() {
        assert_eq!(number(7, &id(7, 12)), Some(12));
        assert_eq!(number(7, &id(8, 12)), None);
        assert_eq!(number(7, "7-"), None);
        assert_eq!(number(7, ""), None);
    }

    #[test]
    fn a_replay_begins_that_many_events_earlier_but_not_before_the_first() {
        let (exact, replaying) = (Kind::of(0), Kind::of(3));
        assert_eq!((exact.replay, replaying.replay), (0, 3));
        assert_eq!((exact.first_after(0), exact.first_after(10)), (1, 11));
        assert_eq!(
            (replaying.first_after(2), replaying.first_after(10)),
            (1, 8)
        );
    }
}
