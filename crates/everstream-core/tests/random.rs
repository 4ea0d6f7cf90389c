//! The decoder against the reference, on random streams in random chunks.
//!
//! Every run uses the same streams. `EVERSTREAM_SEED=n` selects others and `EVERSTREAM_STREAMS=n` their
//! number; a failure prints the seed that reproduces it.

use crate::numbers::{Random, number_from_environment};
use crate::support::reference::Reference;
use crate::support::{Due, FORMS, Form, compare, decode};

const STREAMS: u64 = 20_000;

impl Random {
    fn pick<'a>(&mut self, from: &[&'a [u8]]) -> &'a [u8] {
        from[self.below(from.len())]
    }
}

const BOM: &[u8] = b"\xEF\xBB\xBF";
#[rustfmt::skip]
const NAMES: &[&[u8]] = &[b"data", b"data", b"data", b"event", b"id", b"id", b"retry", b""];
#[rustfmt::skip]
const NEAR_NAMES: &[&[u8]] = &[
    b"dat", b"dataa", b"Data", b" data", b"data ", b"ids", b"ID", b"retr", b"comment", b"\xFF",
];
const LINE_ENDS: &[&[u8]] = &[b"\n", b"\n", b"\r\n", b"\r\n", b"\r"];
#[rustfmt::skip]
const DIGITS: &[&[u8]] = &[
    b"0", b"10", b"3000", b"99999999999999999999", b"00000000000000000000007",
    b"-1", b"1a", b"", "١٢".as_bytes(),
];
/// Pieces of values: text, blanks, colons, NUL, whole characters, and partial characters that an adjacent
/// piece may complete.
#[rustfmt::skip]
const PIECES: &[&[u8]] = &[
    b"a", b"bc", b"1", b"23", b" ", b"  ", b":", b"\t", b"\0", b"data", b"data:", b"id: 9",
    b"0123456789abcdef0123456789abcdef",
    "ä".as_bytes(), "€".as_bytes(), "😀".as_bytes(), BOM, b"\xEF", b"\xEF\xBB", b"\xBF",
    b"\xC3", b"\xA4", b"\xE2", b"\xE2\x82", b"\x82", b"\xAC", b"\xF0\x9F", b"\xF0\x9F\x98",
    b"\x98\x80", b"\xFF", b"\xC0\xAF", b"\xED\xA0\x80", b"\xF4\x90\x80\x80", b"\xE0\x80",
];
const NOISE: &[u8] = b"\r\n\r\n:: datei\0\xEF\xBB\xBF\xE2\x82\xFF";

fn value(random: &mut Random, out: &mut Vec<u8>) {
    for _ in 0..random.below(4) {
        let piece = random.pick(PIECES);
        // Sometimes longer than the words of a vectorized search.
        let times = if random.one_in(15) {
            random.below(40)
        } else {
            1
        };
        out.extend(piece.repeat(times));
    }
}

fn line(random: &mut Random, out: &mut Vec<u8>) {
    match random.below(20) {
        // A blank line, so that blocks end.
        0..=5 => {}
        6..=15 => {
            let name = random.pick(NAMES);
            out.extend(name);
            if !random.one_in(6) {
                out.push(b':');
                if !random.one_in(3) {
                    out.push(b' ');
                }
                if name == b"retry" && !random.one_in(4) {
                    out.extend(random.pick(DIGITS));
                } else {
                    value(random, out);
                }
            }
        }
        16 => {
            out.extend(random.pick(NEAR_NAMES));
            out.extend(random.pick(&[b": x", b":1", b"", b":"]));
        }
        17 => {
            out.push(b':');
            value(random, out);
        }
        18 => value(random, out),
        _ => {
            for _ in 0..random.below(12) {
                let any = random.next().to_le_bytes()[0];
                out.push(if random.one_in(4) {
                    any
                } else {
                    NOISE[random.below(NOISE.len())]
                });
            }
        }
    }
    out.extend(random.pick(LINE_ENDS));
}

/// Consecutive streams for one decoder, and where they are cut.
#[derive(Clone, Debug)]
struct Trial {
    resume: Option<&'static str>,
    streams: Vec<Vec<u8>>,
    cuts: Vec<usize>,
}

impl Trial {
    fn random(seed: u64) -> Self {
        let mut random = Random(seed);
        let resume = random.one_in(4).then_some("resumed");
        let mut streams = Vec::new();
        for _ in 0..1 + random.below(3) {
            let mut stream = Vec::new();
            match random.below(8) {
                0 | 1 => stream.extend(BOM),
                2 => stream.extend(&BOM[..random.below(BOM.len())]),
                3 => stream.extend(BOM.repeat(2)),
                4 => stream.extend([b"\n", BOM].concat()),
                _ => {}
            }
            for _ in 0..random.below(14) {
                line(&mut random, &mut stream);
            }
            if random.one_in(3) {
                stream.truncate(random.below(stream.len() + 1));
            }
            streams.push(stream);
        }
        let len = streams.iter().map(Vec::len).sum::<usize>();
        let number = match random.below(4) {
            0 => 0,
            1 => random.below(3),
            2 => random.below(len / 4 + 2),
            _ => random.below(len * 2 + 1),
        };
        let mut cuts: Vec<usize> = (0..number).map(|_| random.below(len + 1)).collect();
        cuts.sort_unstable();
        Self {
            resume,
            streams,
            cuts,
        }
    }

    /// Decodes in this form. An error describes the difference from the reference.
    fn run(&self, form: Form) -> Result<(), String> {
        let streams: Vec<&[u8]> = self.streams.iter().map(|stream| &stream[..]).collect();
        let decoded = decode(self.resume, &streams, &self.cuts, form)?;
        let mut reference = Reference::resuming(self.resume);
        for (number, (stream, decoded)) in self.streams.iter().zip(&decoded).enumerate() {
            let due: Vec<Due> = reference.interpret_timed(stream);
            compare(stream, &due, reference.last_event_id(), decoded)
                .map_err(|why| format!("stream {number}: {why}"))?;
        }
        Ok(())
    }

    fn smaller(&self) -> Vec<Self> {
        let mut smaller = Vec::new();
        if self.resume.is_some() {
            smaller.push(Self {
                resume: None,
                ..self.clone()
            });
        }
        for cut in 0..self.cuts.len() {
            let mut trial = self.clone();
            trial.cuts.remove(cut);
            smaller.push(trial);
        }
        let mut start = 0;
        for (number, stream) in self.streams.iter().enumerate() {
            for byte in 0..stream.len() {
                let mut trial = self.clone();
                trial.streams[number].remove(byte);
                for cut in trial.cuts.iter_mut().filter(|cut| **cut > start + byte) {
                    *cut -= 1;
                }
                smaller.push(trial);
            }
            if stream.is_empty() && self.streams.len() > 1 {
                let mut trial = self.clone();
                trial.streams.remove(number);
                smaller.push(trial);
            }
            start += stream.len();
        }
        smaller
    }

    /// The smallest trial that still fails, found by removing one thing at a time.
    fn shrunk(mut self, form: Form) -> Self {
        while let Some(smaller) = self
            .smaller()
            .into_iter()
            .find(|trial| trial.run(form).is_err())
        {
            self = smaller;
        }
        self
    }
}

#[test]
fn random_streams_in_random_chunks_decode_as_in_the_reference() {
    let first = number_from_environment("EVERSTREAM_SEED", 1);
    let streams = number_from_environment("EVERSTREAM_STREAMS", STREAMS);
    for seed in first..first.saturating_add(streams) {
        let trial = Trial::random(seed);
        for form in FORMS {
            if trial.run(form).is_ok() {
                continue;
            }
            let trial = trial.shrunk(form);
            let why = trial.run(form).expect_err("a shrunk trial fails");
            let streams: String = trial
                .streams
                .iter()
                .map(|stream| format!("  b\"{}\"\n", stream.escape_ascii()))
                .collect();
            panic!(
                "\nEVERSTREAM_SEED={seed} EVERSTREAM_STREAMS=1 reproduces this. Shrunk:\n\
                 resume {:?}\n{streams}cut at {:?}, {form:?}: {why}",
                trial.resume, trial.cuts
            );
        }
    }
}

/// A generator that rarely makes events would prove little.
#[test]
fn the_random_streams_contain_every_kind_of_item() {
    use crate::support::Seen;
    let (mut events, mut comments, mut retries, mut ids, mut replaced) = (0, 0, 0, 0, 0);
    for seed in 1..=1000 {
        let trial = Trial::random(seed);
        let mut reference = Reference::resuming(trial.resume);
        for item in trial
            .streams
            .iter()
            .flat_map(|stream| reference.interpret(stream))
        {
            match item {
                Seen::Event { data, .. } => {
                    events += 1;
                    replaced += usize::from(data.contains('\u{FFFD}'));
                }
                Seen::Comment(_) => comments += 1,
                Seen::Retry(_) => retries += 1,
                Seen::Id(_) => ids += 1,
                Seen::Other(what) => panic!("{what} from the reference"),
            }
        }
    }
    for (kind, number) in [
        ("events", events),
        ("comments", comments),
        ("retries", retries),
        ("ids", ids),
        ("events with replaced bytes", replaced),
    ] {
        assert!(number >= 200, "only {number} {kind}");
    }
}
