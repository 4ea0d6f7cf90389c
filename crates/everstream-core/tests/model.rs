//! The decoder against a model that processes one byte at a time: random streams in random chunks,
//! with limits, with comments ignored part of the time, and with borrowed or owned items at random.
//!
//! Every run uses the same streams. `EVERSTREAM_SEED=n` selects others and `EVERSTREAM_STREAMS=n` their
//! number; a failure prints the seed that reproduces it.

use std::mem::take;
use std::time::Duration;

use everstream_core::{Decoder, Oversize, TooLarge};

use crate::numbers::{Random, number_from_environment};
use crate::support::{Seen, from_borrowed, from_owned};

const STREAMS: u64 = 20_000;
const SKIPPED: Seen = Seen::Other("skipped");
const REJECTED: Seen = Seen::Other("too large");

/// Field names, values, line ends, and lines and events made of them.
#[rustfmt::skip]
const PIECES: &[&[u8]] = &[
    b"\n", b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b":", b"data:", b"data: ", b"data", b"d",
    b"event:", b"event", b"id:", b"id: ", b"id", b"retry:", b"retry: 12", b"1", b" ", b"x", b"\0",
    b"\xEF\xBB\xBF", b"\xEF", b"\xC3", b"\xA4", b":\xFF\n", b":c\n", b":cc\r\n", b"data: x\n\n",
    b"data:x\r\n\r\n", b"data: a\ndata: b\n\n", b"event: e\n", b"id: 1\n", b"id: 2\r\n", b"id:\n",
    b"id: 3\nevent: f\ndata: y\n\n", b"unknown: k\n", b"abcdefghijklmnop",
];
/// Line ends and bytes with adjacent values, for the word-at-a-time search.
const NEAR_ENDS: &[u8] = b"\n\r\x09\x0B\x0C\x0E\x00\x80\x8A\x8Dab";
const ENDS: &[&[u8]] = &[b"\n", b"\n\n", b"\r\n\r\n", b"\r"];
const FIELDS: &[&[u8]] = &[b"data: ", b"data:", b"event:", b"id: ", b":"];
/// Long values repeat one of these.
const FILLINGS: [&str; 5] = ["a", "\0", "\u{e9}", "\u{20ac}", "\u{1d11e}"];
/// Bytes that are invalid, at least on their own.
#[rustfmt::skip]
const BROKEN: &[&[u8]] = &[
    b"", b"", b"\xFF", b"\x80", b"\xC3", b"\xE2\x82", b"\xF0\x9D\x84", b"\xED\xA0\x80",
];

pub(crate) fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len())]
}

/// A line that fills several validation blocks, with possibly invalid bytes just before or after its
/// end.
fn long_line(random: &mut Random, out: &mut Vec<u8>) {
    out.extend(pick(random, FIELDS));
    out.extend(b"a".repeat(random.below(4)));
    let filling = pick(random, &FILLINGS);
    out.extend(filling.repeat(random.below(200) / filling.len()).as_bytes());
    out.extend(pick(random, BROKEN));
    out.extend(pick(random, ENDS));
    out.extend(pick(random, BROKEN));
}

pub(crate) fn stream(random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..1 + random.below(16) {
        match random.below(12) {
            0 => long_line(random, &mut out),
            1 => out.extend((0..random.below(24)).map(|_| pick(random, NEAR_ENDS))),
            _ => out.extend(pick(random, PIECES)),
        }
    }
    out
}

/// The standard's interpreter (WHATWG HTML 9.2.6) with the limit, without any fast path.
struct Model {
    limit: usize,
    oversize: Oversize,
    ignore_comments: bool,
    last_event_id: Option<String>,
    state: State,
    items: Vec<Seen>,
}

/// The state of one stream.
#[derive(Default)]
struct State {
    begun: bool,
    after_cr: bool,
    line: Vec<u8>,
    block: Block,
}

#[derive(Default)]
struct Block {
    data: Option<String>,
    event: String,
    id: Option<String>,
    skipped: bool,
}

impl Model {
    fn byte(&mut self, byte: u8) {
        let after_cr = take(&mut self.state.after_cr);
        match byte {
            b'\n' if after_cr => {}
            b'\n' | b'\r' => {
                self.state.after_cr = byte == b'\r';
                let line = take(&mut self.state.line);
                self.line(&line);
            }
            _ => self.state.line.push(byte),
        }
    }

    fn line(&mut self, whole: &[u8]) {
        let line = match whole.strip_prefix(b"\xEF\xBB\xBF") {
            Some(rest) if !self.state.begun => rest,
            _ => whole,
        };
        self.state.begun = true;
        if line.is_empty() {
            return self.dispatch();
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let is_event_field = matches!(name, b"data" | b"event" | b"id");
        if whole.len() > self.limit {
            return self.too_large(is_event_field);
        }
        let text = String::from_utf8_lossy(value).into_owned();
        if name.is_empty() {
            if !self.ignore_comments {
                self.items.push(Seen::Comment(text));
            }
            return;
        }
        let text = text.strip_prefix(' ').unwrap_or(&text);
        let block = &mut self.state.block;
        match name {
            b"retry" if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                let delay = text.parse().unwrap_or(u64::MAX);
                self.items.push(Seen::Retry(Duration::from_millis(delay)));
            }
            b"id" if !text.contains('\0') => block.id = Some(text.into()),
            b"data" if !block.skipped => match &mut block.data {
                Some(data) => *data += &format!("\n{text}"),
                data => *data = Some(text.into()),
            },
            b"event" if !block.skipped => block.event = text.into(),
            _ => return,
        }
        let parts = [block.data.as_ref(), block.id.as_ref(), Some(&block.event)];
        let len: usize = parts.into_iter().flatten().map(String::len).sum();
        if is_event_field && len > self.limit {
            self.too_large(true);
        }
    }

    fn too_large(&mut self, is_event_field: bool) {
        if is_event_field {
            let id = self.state.block.id.take();
            self.state.block = Block {
                id: id.filter(|id| id.len() <= self.limit),
                skipped: true,
                ..Block::default()
            };
        }
        if self.oversize == Oversize::Fail {
            self.items.push(REJECTED);
        }
    }

    fn dispatch(&mut self) {
        let block = take(&mut self.state.block);
        if let Some(id) = &block.id {
            self.last_event_id = Some(id.clone()).filter(|id| !id.is_empty());
        }
        let last = self.last_event_id.clone();
        let event = match &*block.event {
            "" => "message".to_owned(),
            event => event.to_owned(),
        };
        let item = match (block.data, block.id) {
            _ if block.skipped => SKIPPED,
            (Some(data), id) => Seen::Event {
                event,
                data,
                id,
                last,
            },
            (None, Some(_)) => Seen::Id(last),
            (None, None) => return,
        };
        self.items.push(item);
    }
}

/// Takes all items of a chunk.
fn decoded(decoder: &mut Decoder, mut chunk: &[u8], random: &mut Random) -> Vec<Seen> {
    let (mut items, bound) = (Vec::new(), 2 * chunk.len());
    loop {
        assert!(items.len() <= bound, "too many items");
        let item = match random.one_in(2) {
            true => decoder
                .decode(&mut chunk)
                .map(|item| item.map(from_borrowed)),
            false => decoder
                .decode_owned(&mut chunk)
                .map(|item| item.map(from_owned)),
        };
        items.push(match item {
            Ok(Some(Seen::Id(_))) => Seen::Id(decoder.last_event_id().map(String::from)),
            Ok(Some(item)) => item,
            Ok(None) => break,
            Err(TooLarge { .. }) => REJECTED,
        });
    }
    assert!(chunk.is_empty(), "the decoder stopped within a chunk");
    items
}

/// A cut line may be rejected before it ends, so only its position among the other items is certain.
fn without_rejections(items: &[Seen]) -> Vec<&Seen> {
    items.iter().filter(|item| **item != REJECTED).collect()
}

/// Whether the last, unfinished line was rejected isn't certain either.
fn without_last_rejections(items: &[Seen]) -> &[Seen] {
    let last = items.iter().rposition(|item| *item != REJECTED);
    &items[..last.map_or(0, |last| last + 1)]
}

/// Runs one seed. Returns the number of items.
fn run(seed: u64) -> usize {
    let mut random = Random(seed);
    let stream = stream(&mut random);
    let below = pick(&mut random, &[31, 31, 31, 300, 5000, 5000]);
    let limit = random.below(below);
    let oversize = pick(&mut random, &[Oversize::Fail, Oversize::Skip]);
    let one_cut_in = pick(&mut random, &[1, 2, 4, 10, 1000]);
    let one_change_in = pick(&mut random, &[2, 5, 1000]);
    let mut model = Model {
        limit,
        oversize,
        ignore_comments: false,
        last_event_id: None,
        state: State::default(),
        items: Vec::new(),
    };
    let mut decoder = Decoder::with_limit(limit, oversize);
    let (mut all, mut count, mut start) = (Vec::new(), 0, 0);
    for end in 1..=stream.len() {
        if end < stream.len() && !random.one_in(one_cut_in) {
            continue;
        }
        let (chunk, before) = (&stream[start..end], model.items.len());
        chunk.iter().for_each(|byte| model.byte(*byte));
        let items = decoded(&mut decoder, chunk, &mut random);
        let due = without_rejections(&model.items[before..]);
        let shown = chunk.escape_ascii();
        assert_eq!(without_rejections(&items), due, "after {start}: {shown}");
        assert_eq!(decoder.last_event_id(), model.last_event_id.as_deref());
        count += items.len();
        all.extend(items);
        start = end;
        if random.one_in(one_change_in) {
            model.ignore_comments = random.one_in(2);
            decoder.set_ignore_comments(model.ignore_comments);
        }
        if end == stream.len() || random.one_in(4 * one_change_in) {
            let due = without_last_rejections(&model.items);
            assert_eq!(without_last_rejections(&all), due);
            (model.state, model.items) = Default::default();
            decoder.end();
            all.clear();
        }
    }
    count
}

#[test]
fn fast_paths_decode_like_the_line_by_line_model() {
    let first = number_from_environment("EVERSTREAM_SEED", 1);
    let streams = number_from_environment("EVERSTREAM_STREAMS", STREAMS);
    let mut items = 0;
    for seed in first..first.saturating_add(streams) {
        match std::panic::catch_unwind(|| run(seed)) {
            Ok(number) => items += number,
            Err(panic) => {
                eprintln!("\nEVERSTREAM_SEED={seed} EVERSTREAM_STREAMS=1 reproduces this.");
                std::panic::resume_unwind(panic);
            }
        }
    }
    // Guards against streams with too few items to prove anything.
    if streams == STREAMS {
        assert!(items as u64 > STREAMS, "only {items} items");
    }
}
