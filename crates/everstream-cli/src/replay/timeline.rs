//! A recording as one stream: its bytes, when they came, and where its events end.
//!
//! Where a connection was lost, what came of its last event is left out, as clients leave it out;
//! only the last connection keeps it.

use std::collections::HashMap;
use std::io::BufRead;
use std::time::Duration;

use everstream::{Decoder, Item, Oversize};
use hyper::body::Bytes;

use crate::recording::{Entry, Reader};
use crate::report::{self, Problem};

const BOM: &[u8] = b"\xef\xbb\xbf";

#[derive(Debug)]
pub(super) struct Timeline {
    bytes: Bytes,
    chunks: Vec<Chunk>,
    /// Where each event ends.
    events: Vec<usize>,
    /// Where the last block with each id ends.
    ids: HashMap<String, usize>,
    /// Whether an id is there more than once.
    repeats_ids: bool,
    /// When the last connection ended.
    end: Duration,
    /// Where a repetition begins: after the byte order mark, which can only be at the front.
    front: usize,
    /// Where a repetition may follow.
    whole: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunk {
    /// Since the first connection was there.
    time: Duration,
    /// Where it ends.
    end: usize,
}

impl Timeline {
    pub(super) fn read(lines: impl BufRead, name: &str) -> Result<Timeline, Problem> {
        let mut reader = Reader::new(lines, name);
        let mut joint = Joint::default();
        while let Some(entry) = reader.next()? {
            if let Entry::Cut(line) = entry {
                report::news(&format!(
                    "line {line} of {name} was cut off, as when a recorder is killed; it is left \
                     out"
                ));
            }
            joint.add(entry);
        }
        Ok(joint.finish())
    }

    pub(super) fn event_count(&self) -> usize {
        self.events.len()
    }

    pub(super) fn repeats_ids(&self) -> bool {
        self.repeats_ids
    }

    /// How long it takes, and when its last bytes came if it is never repeated.
    pub(super) fn duration(&self) -> Duration {
        self.end
    }

    /// Where a stream goes on after this id.
    pub(super) fn after_id(&self, id: &str) -> Option<usize> {
        self.ids.get(id).copied()
    }

    /// Whether an event ends after this place.
    pub(super) fn has_event_after(&self, place: usize) -> bool {
        self.events.last().is_some_and(|&end| end > place)
    }

    /// When the byte before this place came.
    pub(super) fn time_at(&self, place: usize) -> Duration {
        if place <= self.front {
            return Duration::ZERO;
        }
        let chunk = self.chunks.partition_point(|chunk| chunk.end < place);
        self.chunks.get(chunk).map_or(self.end, |chunk| chunk.time)
    }

    /// The next bytes and when they came, up to the end of their chunk or to `limit`.
    pub(super) fn next(&self, place: usize, limit: usize) -> Option<(Duration, Bytes)> {
        let chunk = self.chunks.partition_point(|chunk| chunk.end <= place);
        let chunk = self.chunks.get(chunk)?;
        let end = chunk.end.min(limit);
        (end > place).then(|| (chunk.time, self.bytes.slice(place..end)))
    }

    /// How much of it a stream sends that is repeated, or isn't.
    pub(super) fn end(&self, repeated: bool) -> usize {
        match repeated {
            true => self.whole,
            false => self.bytes.len(),
        }
    }

    /// Where a repetition begins.
    pub(super) fn front(&self) -> usize {
        self.front
    }

    /// Where the connection is dropped that gets so many more events from here: after the last of
    /// them, or within the next one. `Err` has how many of them don't come any more.
    pub(super) fn cut(&self, place: usize, count: usize, inside: bool) -> Result<usize, usize> {
        let first = self.events.partition_point(|&end| end <= place);
        let rest = &self.events[first..];
        match (rest.get(count.saturating_sub(1)), rest.get(count)) {
            (Some(&end), Some(&next)) if inside => Ok(end + (next - end) / 2),
            (Some(&end), _) => Ok(end),
            (None, _) => Err(count - rest.len()),
        }
    }
}

/// Connections that are made one.
#[derive(Default)]
struct Joint {
    bytes: Vec<u8>,
    chunks: Vec<Chunk>,
    /// What came of the connection that is read now, and when.
    open: Vec<(Duration, Vec<u8>)>,
    /// When the recording began that is read now; recordings in one file follow each other.
    base: Duration,
    /// When the first connection was there.
    first: Option<Duration>,
    /// The latest time so far, since the first connection.
    latest: Duration,
}

impl Joint {
    fn add(&mut self, entry: Entry) {
        match entry {
            Entry::Begin => self.base = self.first.unwrap_or_default() + self.latest,
            Entry::Connected(time) => {
                self.passed(time);
                self.close(false);
            }
            Entry::Bytes(time, bytes) => {
                self.passed(time);
                self.open.push((self.latest, bytes));
            }
            // Attempts before the first connection are no part of the stream.
            Entry::Over(time) if self.first.is_some() => self.passed(time),
            Entry::Over(_) | Entry::Cut(_) => {}
        }
    }

    /// Times that were mixed up by hand don't go back.
    fn passed(&mut self, time: Duration) {
        let time = self.base.saturating_add(time);
        let first = *self.first.get_or_insert(time);
        self.latest = self.latest.max(time.saturating_sub(first));
    }

    /// Adds what came of a connection. What comes after another connection has no byte order mark,
    /// and what comes before one no part of an event.
    fn close(&mut self, is_last: bool) {
        let open = std::mem::take(&mut self.open);
        let pieces: Vec<_> = open.iter().map(|(_, bytes)| &**bytes).collect();
        let whole = pieces.concat();
        let begin = match whole.starts_with(BOM) && !self.bytes.is_empty() {
            true => BOM.len(),
            false => 0,
        };
        let end = match is_last {
            true => whole.len(),
            false => whole_blocks(&whole),
        };
        let mut place = 0;
        for (time, bytes) in &open {
            let from = place.max(begin);
            place += bytes.len();
            if let Some(part) = whole.get(from..place.min(end)) {
                self.bytes.extend_from_slice(part);
                self.chunks.push(Chunk {
                    time: *time,
                    end: self.bytes.len(),
                });
            }
        }
    }

    fn finish(mut self) -> Timeline {
        self.close(true);
        let bytes = Bytes::from(self.bytes);
        let front = if bytes.starts_with(BOM) { BOM.len() } else { 0 };
        let mut timeline = Timeline {
            chunks: self.chunks,
            events: Vec::new(),
            ids: HashMap::new(),
            repeats_ids: false,
            end: self.latest,
            front,
            whole: whole_blocks(&bytes).max(front),
            bytes,
        };
        timeline.find_events();
        timeline
    }
}

impl Timeline {
    fn find_events(&mut self) {
        // None is larger than all of it.
        let mut decoder = Decoder::with_limit(self.bytes.len().max(1), Oversize::Skip);
        let mut rest = &self.bytes[..];
        while let Ok(Some(item)) = decoder.decode_owned(&mut rest) {
            // It ends at a CR already, if that is the end of its last line.
            let mut end = self.bytes.len() - rest.len();
            if self.bytes[..end].ends_with(b"\r") && rest.starts_with(b"\n") {
                end += 1;
            }
            let id = match &item {
                Item::Event(event) => {
                    self.events.push(end);
                    event.id()
                }
                Item::Id => decoder.last_event_id(),
                _ => None,
            };
            if let Some(id) = id.filter(|id| !id.is_empty()) {
                self.repeats_ids |= self.ids.insert(id.to_owned(), end).is_some();
            }
        }
    }
}

/// How much of it are blocks and comments up to their ends.
fn whole_blocks(bytes: &[u8]) -> usize {
    let mut whole = 0;
    let mut in_block = false;
    let mut place = if bytes.starts_with(BOM) { BOM.len() } else { 0 };
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    while let Some(length) = bytes[place..].iter().position(is_end) {
        let line = &bytes[place..place + length];
        let rest = &bytes[place + length..];
        place += length + if rest.starts_with(b"\r\n") { 2 } else { 1 };
        match line.first() {
            None => in_block = false,
            Some(b':') => {}
            Some(_) => in_block = true,
        }
        if !in_block {
            whole = place;
        }
    }
    whole
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

    fn bytes(timeline: &Timeline) -> &str {
        std::str::from_utf8(&timeline.bytes).unwrap()
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
        assert_eq!(joint.after_id("1"), Some(15));
        assert_eq!(joint.next(15, 1000).unwrap().1, ": beat\n");
        // Since the first connection, and on from there.
        assert_eq!(joint.next(22, 1000).unwrap().0, Duration::from_secs(4));
        assert_eq!(joint.time_at(15), Duration::from_secs(1));
        assert_eq!(joint.duration(), Duration::from_secs(5));
    }

    #[test]
    fn recordings_in_one_file_follow_each_other() {
        let one = "{\"time\":7,\"connected\":{}}\n{\"time\":8,\"text\":\"data: x\\n\\n\"}\n";
        let text = format!("{HEAD}{one}{HEAD}{one}");
        let joint = Timeline::read(text.as_bytes(), "FILE").unwrap();
        let times: Vec<_> = joint
            .chunks
            .iter()
            .map(|chunk| chunk.time.as_secs())
            .collect();
        assert_eq!(times, [1, 9]);
        assert_eq!(joint.event_count(), 2);
    }

    #[test]
    fn events_end_after_all_of_their_last_line() {
        let joint = timeline(&[&["data: a\r\n\r\nid: 7\r\n\r\nid: 8\rdata: b\r\rdata: c"]]);
        assert_eq!(joint.events, [11, 35]);
        assert_eq!(
            (joint.after_id("7"), joint.after_id("8")),
            (Some(20), Some(35))
        );
        assert!(joint.has_event_after(20) && !joint.has_event_after(35));
        assert!(!joint.repeats_ids());
    }

    #[test]
    fn the_last_event_with_an_id_counts() {
        let joint = timeline(&[&["id: 1\ndata: a\n\nid: 1\ndata: b\n\n"]]);
        assert_eq!(joint.after_id("1"), Some(30));
        assert!(joint.repeats_ids());
    }

    #[test]
    fn a_cut_is_after_an_event_or_within_the_next() {
        let joint = timeline(&[&["data: a\n\n", "data: b\n\n: beat\n"]]);
        assert_eq!(joint.cut(0, 1, false), Ok(9));
        assert_eq!(joint.cut(0, 1, true), Ok(13));
        assert_eq!(joint.cut(0, 2, true), Ok(18));
        assert_eq!(joint.cut(9, 1, false), Ok(18));
        assert_eq!(joint.cut(9, 3, false), Err(2));
        assert_eq!(joint.cut(25, 3, false), Err(3));
    }

    #[test]
    fn blocks_and_comments_are_whole_at_any_line_end() {
        for (text, whole) in [
            ("", 0),
            ("data: a", 0),
            ("data: a\n", 0),
            ("data: a\n\n", 9),
            ("data: a\r\r", 9),
            ("data: a\r\n\r\n", 11),
            ("data: a\n: c\n", 0),
            (": c\ndata: a\n", 4),
            (": c\n: d", 4),
            ("\u{feff}: c\n", 7),
        ] {
            assert_eq!(whole_blocks(text.as_bytes()), whole, "{text:?}");
        }
    }
}
