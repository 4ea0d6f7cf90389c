//! A recording as one stream: its bytes, their arrival times, and where its events end.
//!
//! Everything is in files, because a recording may be larger than the memory. The system caches
//! what is read repeatedly.

use std::io::{self, BufRead};
use std::time::Duration;

use everstream::{Decoder, Item, Oversize};
use hyper::body::Bytes;

use super::joined::{BOM, JoinedStream};
use super::spool::{Index, Pairs, Spool};
use crate::recording::{Entry, Reader};
use crate::report::{self, Problem};

/// The size of a read.
const PART: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Timeline {
    bytes: Spool,
    /// The arrival time of the bytes up to a position, in nanoseconds since the first connection,
    /// and the position.
    chunks: Pairs,
    /// The end of each event.
    events: Pairs,
    /// The end of the last block with each id.
    ids: Index,
    /// When the last connection ended.
    end: Duration,
    /// Where a repetition begins: after the byte order mark, which is only valid at the start.
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
            .hint("set TMPDIR to a directory with enough free space: the copy is as large as the recording")
        };
        let mut reader = Reader::new(lines, name);
        let mut joined = JoinedStream::new().map_err(unwritten)?;
        while let Some(entry) = reader.next()? {
            if let Entry::Cut(line) = entry {
                report::info(&format!(
                    "skipped line {line} of {name}: it is cut off, probably because the recorder was \
                     killed"
                ));
            }
            joined.add(entry).map_err(unwritten)?;
        }
        Timeline::of(joined).map_err(unwritten)
    }

    fn of(mut joined: JoinedStream) -> io::Result<Timeline> {
        let whole = joined.finish()?;
        let mut timeline = Timeline {
            bytes: joined.bytes,
            chunks: joined.chunks,
            events: Pairs::new()?,
            ids: Index::new()?,
            end: joined.latest,
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

    /// The duration of the stream, and when its last bytes arrive if it isn't repeated.
    pub(super) fn duration(&self) -> Duration {
        self.end
    }

    /// Where a stream continues after this id.
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

    /// When the byte before this position arrived.
    pub(super) fn time_at(&self, place: u64) -> io::Result<Duration> {
        if place <= self.front {
            return Ok(Duration::ZERO);
        }
        let chunk = self.chunks.partition_point(|(_, end)| end < place)?;
        let chunk = self.chunks.get(chunk)?;
        Ok(chunk.map_or(self.end, |(time, _)| Duration::from_nanos(time)))
    }

    /// The next bytes and their arrival time, up to the end of their chunk or to `limit`. `chunk`
    /// is the index of the previous bytes' chunk, and is updated; any initial value is valid.
    pub(super) fn next(
        &self,
        place: u64,
        limit: u64,
        chunk: &mut u64,
    ) -> io::Result<Option<(Duration, Bytes)>> {
        // Usually it is this one or the next.
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

    /// How much of the stream is sent with or without repetition.
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

    /// Where a connection that receives `count` more events from here is dropped: after the last of
    /// them, or within the next one. `Err` is the number of events that are missing.
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
        // No event is larger than the stream.
        let limit = usize::try_from(self.bytes.len()).unwrap_or(usize::MAX);
        let mut decoder = Decoder::with_limit(limit.max(1), Oversize::Skip);
        let mut at = 0;
        // The last line ended with a CR, whose LF may be in the next part.
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
        // It already ends at the CR, if that is the end of its last line.
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

/// A block up to its last CR or LF.
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

    /// A timeline of connections whose chunks are a second apart.
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
        // For any previous chunk.
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
    fn partial_events_of_lost_connections_are_dropped() {
        let joined = timeline(&[
            &["id: 1\ndata: a\n\n: beat\nid: 2\nda", "ta: lost\n"],
            &["\u{feff}id: 2\ndata: b\n\nda", "ta: kept"],
        ]);
        assert_eq!(
            bytes(&joined),
            "id: 1\ndata: a\n\n: beat\nid: 2\ndata: b\n\ndata: kept"
        );
        assert_eq!(joined.event_count(), 2);
        assert_eq!(after_id(&joined, "1"), Some(15));
        assert_eq!(next(&joined, 15).1, ": beat\n");
        // Relative to the first connection.
        assert_eq!(next(&joined, 22).0, Duration::from_secs(4));
        assert_eq!(joined.time_at(15).unwrap(), Duration::from_secs(1));
        assert_eq!(joined.duration(), Duration::from_secs(5));
    }

    #[test]
    fn recordings_in_one_file_follow_each_other() {
        let one = "{\"time\":7,\"connected\":{}}\n{\"time\":8,\"text\":\"data: x\\n\\n\"}\n";
        let text = format!("{HEAD}{one}{HEAD}{one}");
        let joined = Timeline::read(text.as_bytes(), "FILE").unwrap();
        let times: Vec<_> = (0..joined.chunks.len())
            .map(|n| joined.chunks.get(n).unwrap().unwrap().0 / 1_000_000_000)
            .collect();
        assert_eq!(times, [1, 9]);
        assert_eq!(joined.event_count(), 2);
    }

    #[test]
    fn events_end_after_their_last_line_ending() {
        let joined = timeline(&[&["data: a\r\n\r\nid: 7\r\n\r\nid: 8\rdata: b\r\rdata: c"]]);
        assert_eq!(events(&joined), [11, 35]);
        assert_eq!(
            (after_id(&joined, "7"), after_id(&joined, "8")),
            (Some(20), Some(35))
        );
        assert!(joined.has_event_after(20).unwrap() && !joined.has_event_after(35).unwrap());
        assert!(!joined.repeats_ids());
    }

    #[test]
    fn the_last_event_with_an_id_counts() {
        let joined = timeline(&[&["id: 1\ndata: a\n\nid: 1\ndata: b\n\n"]]);
        assert_eq!(after_id(&joined, "1"), Some(30));
        assert!(joined.repeats_ids());
    }

    #[test]
    fn a_drop_is_after_an_event_or_within_the_next() {
        let joined = timeline(&[&["data: a\n\n", "data: b\n\n: beat\n"]]);
        assert_eq!(joined.cut(0, 1, false).unwrap(), Ok(9));
        assert_eq!(joined.cut(0, 1, true).unwrap(), Ok(13));
        assert_eq!(joined.cut(0, 2, true).unwrap(), Ok(18));
        assert_eq!(joined.cut(9, 1, false).unwrap(), Ok(18));
        assert_eq!(joined.cut(9, 3, false).unwrap(), Err(2));
        assert_eq!(joined.cut(25, 3, false).unwrap(), Err(3));
    }

    /// The recording is read in parts, which may split a CRLF.
    #[test]
    fn events_are_found_across_read_boundaries() {
        // One of them splits the last CRLF of an event.
        for shift in 0..20 {
            let event = format!("id: {}\r\ndata: x\r\n\r\n", "i".repeat(100));
            let front = format!(": {}\n", "x".repeat(shift));
            let text = front.clone() + &event.repeat(2 * PART / event.len());
            let joined = timeline(&[&[&text]]);
            let size = event.len() as u64;
            let expected: Vec<_> = (1..=joined.event_count())
                .map(|n| front.len() as u64 + n * size)
                .collect();
            assert_eq!(events(&joined), expected, "{shift}");
            assert_eq!(joined.end(false), *expected.last().unwrap());
        }
    }
}
