//! A recording as one stream: its bytes, when they came, and where its events end.
//!
//! All of it is in files, because a recording may be larger than the memory; what is read again and
//! again is in the system's cache.

use std::io::{self, BufRead};
use std::time::Duration;

use everstream::{Decoder, Item, Oversize};
use hyper::body::Bytes;

use super::joint::{BOM, Joint};
use super::spool::{Index, Pairs, Spool};
use crate::recording::{Entry, Reader};
use crate::report::{self, Problem};

/// Bytes that are read at a time.
const PART: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Timeline {
    bytes: Spool,
    /// When the bytes up to a place came, in nanoseconds since the first connection was there, and
    /// the place.
    chunks: Pairs,
    /// Where each event ends, and nothing more.
    events: Pairs,
    /// Where the last block with each id ends.
    ids: Index,
    /// When the last connection ended.
    end: Duration,
    /// Where a repetition begins: after the byte order mark, which can only be at the front.
    front: u64,
    /// Where a repetition may follow.
    whole: u64,
}

impl Timeline {
    pub(super) fn read(lines: impl BufRead, name: &str) -> Result<Timeline, Problem> {
        let unwritten = |error: io::Error| {
            Problem::because(
                "a temporary file for the recording can't be written",
                &error,
            )
            .hint("TMPDIR names the directory; it takes as much as the recording")
        };
        let mut reader = Reader::new(lines, name);
        let mut joint = Joint::new().map_err(unwritten)?;
        while let Some(entry) = reader.next()? {
            if let Entry::Cut(line) = entry {
                report::news(&format!(
                    "line {line} of {name} was cut off, as when a recorder is killed; it is left \
                     out"
                ));
            }
            joint.add(entry).map_err(unwritten)?;
        }
        Timeline::of(joint).map_err(unwritten)
    }

    fn of(mut joint: Joint) -> io::Result<Timeline> {
        let whole = joint.finish()?;
        let mut timeline = Timeline {
            bytes: joint.bytes,
            chunks: joint.chunks,
            events: Pairs::new()?,
            ids: Index::new()?,
            end: joint.latest,
            front: 0,
            whole,
        };
        if timeline.part(0, BOM.len() as u64)? == BOM {
            timeline.front = BOM.len() as u64;
        }
        timeline.find_events()?;
        Ok(timeline)
    }

    pub(super) fn event_count(&self) -> u64 {
        self.events.len()
    }

    pub(super) fn repeats_ids(&self) -> bool {
        self.ids.repeats()
    }

    /// How long it takes, and when its last bytes came if it is never repeated.
    pub(super) fn duration(&self) -> Duration {
        self.end
    }

    /// Where a stream goes on after this id.
    pub(super) fn after_id(&self, id: &str) -> io::Result<Option<u64>> {
        self.ids.get(id)
    }

    /// Whether an event ends after this place.
    pub(super) fn has_event_after(&self, place: u64) -> io::Result<bool> {
        let Some(last) = self.events.len().checked_sub(1) else {
            return Ok(false);
        };
        Ok(self.events.get(last)?.is_some_and(|(end, _)| end > place))
    }

    /// When the byte before this place came.
    pub(super) fn time_at(&self, place: u64) -> io::Result<Duration> {
        if place <= self.front {
            return Ok(Duration::ZERO);
        }
        let chunk = self.chunks.partition_point(|(_, end)| end < place)?;
        let chunk = self.chunks.get(chunk)?;
        Ok(chunk.map_or(self.end, |(time, _)| Duration::from_nanos(time)))
    }

    /// The next bytes and when they came, up to the end of their chunk or to `limit`. `chunk` is the
    /// one of the bytes before, and then of these; any number will do.
    pub(super) fn next(
        &self,
        place: u64,
        limit: u64,
        chunk: &mut u64,
    ) -> io::Result<Option<(Duration, Bytes)>> {
        // Most often it is this one or the next.
        let mut found = None;
        for index in [*chunk, chunk.saturating_add(1)] {
            let begin = match index.checked_sub(1) {
                Some(before) => self.chunks.get(before)?.map(|(_, end)| end),
                None => Some(0),
            };
            if begin.is_some_and(|begin| begin <= place) {
                let here = self.chunks.get(index)?.filter(|(_, end)| *end > place);
                found = found.or(here.map(|here| (index, here)));
            }
        }
        if found.is_none() {
            let index = self.chunks.partition_point(|(_, end)| end <= place)?;
            found = self.chunks.get(index)?.map(|here| (index, here));
        }
        let Some((index, (time, end))) = found else {
            return Ok(None);
        };
        *chunk = index;
        let end = end.min(limit);
        if end <= place {
            return Ok(None);
        }
        let bytes = self.part(place, end)?;
        Ok(Some((Duration::from_nanos(time), bytes.into())))
    }

    /// Bytes from one place to another, or the first of them.
    fn part(&self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        let length = to.min(self.bytes.len()).saturating_sub(from);
        let length = usize::try_from(length).map_or(PART, |length| length.min(PART));
        let mut bytes = vec![0; length];
        self.bytes.read(from, &mut bytes)?;
        Ok(bytes)
    }

    /// How much of it a stream sends that is repeated, or isn't.
    pub(super) fn end(&self, repeated: bool) -> u64 {
        match repeated {
            true => self.whole,
            false => self.bytes.len(),
        }
    }

    /// Where a repetition begins.
    pub(super) fn front(&self) -> u64 {
        self.front
    }

    /// Where the connection is dropped that gets so many more events from here: after the last of
    /// them, or within the next one. `Err` has how many of them don't come any more.
    pub(super) fn cut(&self, place: u64, count: u64, inside: bool) -> io::Result<Result<u64, u64>> {
        let next = self.events.partition_point(|(end, _)| end <= place)? + count;
        let end = |index: u64| -> io::Result<Option<u64>> {
            Ok(self.events.get(index)?.map(|(end, _)| end))
        };
        let last = match next.checked_sub(1) {
            Some(index) => end(index)?,
            None => None,
        };
        Ok(match (last, end(next)?) {
            (Some(end), Some(next)) if inside => Ok(end + (next - end) / 2),
            (Some(end), _) => Ok(end),
            (None, _) => Err(next - self.events.len()),
        })
    }

    fn find_events(&mut self) -> io::Result<()> {
        // None is larger than all of it.
        let limit = usize::try_from(self.bytes.len()).unwrap_or(usize::MAX);
        let mut decoder = Decoder::with_limit(limit.max(1), Oversize::Skip);
        let mut at = 0;
        // What ended with a CR, to which an LF belongs that may be in the next part.
        let mut found: Option<Found> = None;
        while at < self.bytes.len() {
            let part = self.part(at, self.bytes.len())?;
            let mut rest = &part[..];
            self.keep(found.take(), rest)?;
            while let Ok(Some(item)) = decoder.decode_owned(&mut rest) {
                let id = match &item {
                    Item::Event(event) => event.id(),
                    Item::Id => decoder.last_event_id(),
                    _ => None,
                };
                let used = part.len() - rest.len();
                let block = Found {
                    end: at + used as u64,
                    at_cr: part[..used].ends_with(b"\r"),
                    is_event: matches!(item, Item::Event(_)),
                    id: id.filter(|id| !id.is_empty()).map(str::to_owned),
                };
                match rest.is_empty() {
                    true => found = Some(block),
                    false => self.keep(Some(block), rest)?,
                }
            }
            at += part.len() as u64;
        }
        self.keep(found, b"")?;
        self.events.flush()?;
        self.ids.finish()
    }

    fn keep(&mut self, found: Option<Found>, rest: &[u8]) -> io::Result<()> {
        let Some(found) = found else { return Ok(()) };
        // It ends at a CR already, if that is the end of its last line.
        let lf = found.at_cr && rest.starts_with(b"\n");
        let end = found.end + u64::from(lf);
        if found.is_event {
            self.events.push((end, 0))?;
        }
        match &found.id {
            Some(id) => self.ids.insert(id, end),
            None => Ok(()),
        }
    }
}

/// A block, as far as its last CR or LF.
struct Found {
    end: u64,
    at_cr: bool,
    is_event: bool,
    id: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "{\"format\":\"everstream-recording\",\"version\":1}\n";

    /// A timeline of connections, each of chunks a second apart.
    fn timeline(connections: &[&[&str]]) -> Timeline {
        let mut text = HEAD.to_owned();
        let mut time = 0;
        for chunks in connections {
            time += 1;
            text += &format!("{{\"time\":{time},\"connected\":{{}}}}\n");
            for chunk in *chunks {
                time += 1;
                let chunk = serde_json::to_string(chunk).unwrap();
                text += &format!("{{\"time\":{time},\"text\":{chunk}}}\n");
            }
        }
        Timeline::read(text.as_bytes(), "FILE").unwrap()
    }

    fn bytes(timeline: &Timeline) -> String {
        let bytes = timeline.part(0, timeline.end(false)).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn after_id(timeline: &Timeline, id: &str) -> Option<u64> {
        timeline.after_id(id).unwrap()
    }

    fn next(timeline: &Timeline, place: u64) -> (Duration, Bytes) {
        let chunks = 0..timeline.chunks.len() + 2;
        // Whatever was the chunk before.
        let found = chunks.map(|mut chunk| timeline.next(place, 1000, &mut chunk).unwrap());
        let mut found: Vec<_> = found.collect();
        found.dedup();
        assert_eq!(found.len(), 1);
        found.remove(0).unwrap()
    }

    fn events(timeline: &Timeline) -> Vec<u64> {
        let events = 0..timeline.event_count();
        events
            .map(|n| timeline.events.get(n).unwrap().unwrap().0)
            .collect()
    }

    #[test]
    fn what_a_lost_connection_left_unfinished_is_left_out() {
        let joint = timeline(&[
            &["id: 1\ndata: a\n\n: beat\nid: 2\nda", "ta: lost\n"],
            &["\u{feff}id: 2\ndata: b\n\nda", "ta: kept"],
        ]);
        assert_eq!(
            bytes(&joint),
            "id: 1\ndata: a\n\n: beat\nid: 2\ndata: b\n\ndata: kept"
        );
        assert_eq!(joint.event_count(), 2);
        assert_eq!(after_id(&joint, "1"), Some(15));
        assert_eq!(next(&joint, 15).1, ": beat\n");
        // Since the first connection, and on from there.
        assert_eq!(next(&joint, 22).0, Duration::from_secs(4));
        assert_eq!(joint.time_at(15).unwrap(), Duration::from_secs(1));
        assert_eq!(joint.duration(), Duration::from_secs(5));
    }

    #[test]
    fn recordings_in_one_file_follow_each_other() {
        let one = "{\"time\":7,\"connected\":{}}\n{\"time\":8,\"text\":\"data: x\\n\\n\"}\n";
        let text = format!("{HEAD}{one}{HEAD}{one}");
        let joint = Timeline::read(text.as_bytes(), "FILE").unwrap();
        let times: Vec<_> = (0..joint.chunks.len())
            .map(|n| joint.chunks.get(n).unwrap().unwrap().0 / 1_000_000_000)
            .collect();
        assert_eq!(times, [1, 9]);
        assert_eq!(joint.event_count(), 2);
    }

    #[test]
    fn events_end_after_all_of_their_last_line() {
        let joint = timeline(&[&["data: a\r\n\r\nid: 7\r\n\r\nid: 8\rdata: b\r\rdata: c"]]);
        assert_eq!(events(&joint), [11, 35]);
        assert_eq!(
            (after_id(&joint, "7"), after_id(&joint, "8")),
            (Some(20), Some(35))
        );
        assert!(joint.has_event_after(20).unwrap() && !joint.has_event_after(35).unwrap());
        assert!(!joint.repeats_ids());
    }

    #[test]
    fn the_last_event_with_an_id_counts() {
        let joint = timeline(&[&["id: 1\ndata: a\n\nid: 1\ndata: b\n\n"]]);
        assert_eq!(after_id(&joint, "1"), Some(30));
        assert!(joint.repeats_ids());
    }

    #[test]
    fn a_cut_is_after_an_event_or_within_the_next() {
        let joint = timeline(&[&["data: a\n\n", "data: b\n\n: beat\n"]]);
        assert_eq!(joint.cut(0, 1, false).unwrap(), Ok(9));
        assert_eq!(joint.cut(0, 1, true).unwrap(), Ok(13));
        assert_eq!(joint.cut(0, 2, true).unwrap(), Ok(18));
        assert_eq!(joint.cut(9, 1, false).unwrap(), Ok(18));
        assert_eq!(joint.cut(9, 3, false).unwrap(), Err(2));
        assert_eq!(joint.cut(25, 3, false).unwrap(), Err(3));
    }

    /// The recording is read in parts, and a CRLF may be cut by them.
    #[test]
    fn events_are_found_over_the_edges_of_parts() {
        // One of them cuts the last CRLF of an event.
        for shift in 0..20 {
            let event = format!("id: {}\r\ndata: x\r\n\r\n", "i".repeat(100));
            let front = format!(": {}\n", "x".repeat(shift));
            let text = front.clone() + &event.repeat(2 * PART / event.len());
            let joint = timeline(&[&[&text]]);
            let size = event.len() as u64;
            let expected: Vec<_> = (1..=joint.event_count())
                .map(|n| front.len() as u64 + n * size)
                .collect();
            assert_eq!(events(&joint), expected, "{shift}");
            assert_eq!(joint.end(false), *expected.last().unwrap());
        }
    }
}
