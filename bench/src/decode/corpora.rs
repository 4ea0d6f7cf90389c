//! The streams to decode: the same bytes in every run.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;

use super::tally::Digest;

/// Each chunk is a separate allocation, as when it is read from a socket.
#[derive(Clone)]
pub struct Chunks {
    chunks: Arc<[Bytes]>,
    /// Whether decoders that can return comments do.
    pub comments: bool,
}

impl Deref for Chunks {
    type Target = [Bytes];

    fn deref(&self) -> &[Bytes] {
        &self.chunks
    }
}

pub struct Corpus {
    pub name: &'static str,
    pub about: &'static str,
    pub bytes: Vec<u8>,
    pub comments: bool,
    /// The result according to the standard.
    pub expected: Digest,
}

impl Corpus {
    fn new(name: &'static str, about: &'static str) -> Corpus {
        let (bytes, expected) = (Vec::new(), Digest::default());
        Corpus {
            name,
            about,
            bytes,
            comments: false,
            expected,
        }
    }

    /// Repeats `block` at least twice, until there are that many bytes.
    fn filled(mut self, size: usize, mut block: impl FnMut(&mut Corpus, usize)) -> Corpus {
        let mut number = 0;
        while self.bytes.len() < size || number < 2 {
            block(&mut self, number);
            number += 1;
        }
        self
    }

    fn write(&mut self, text: &str) {
        self.bytes.extend_from_slice(text.as_bytes());
    }

    pub fn chunks(&self, size: usize) -> Chunks {
        Chunks {
            comments: self.comments,
            ..chunks(&self.bytes, size)
        }
    }
}

pub fn chunks(bytes: &[u8], size: usize) -> Chunks {
    Chunks {
        chunks: bytes.chunks(size).map(Bytes::copy_from_slice).collect(),
        comments: false,
    }
}

/// One token of a language model, as in `python/bench/server.py`: 235 bytes with its line ends.
pub const TOKEN: &str = concat!(
    r#"{"id":"chatcmpl-A1b2C3d4E5f6G7h8I9j0K1l2M3n4","object":"chat.completion.chunk","#,
    r#""created":1731000000,"model":"a-model-2026","choices":[{"index":0,"delta":{"content":"#,
    r#"" words,"},"logprobs":null,"finish_reason":null}],"usage":null}"#
);

const FOREIGN: &str = concat!(
    r#"{"index":0,"delta":{"content":"Съешь же ещё этих мягких французских булок, да выпей чаю. "#,
    r#"いろはにほへと ちりぬるを わかよたれそ つねならむ"}}"#
);

fn tokens(name: &'static str, about: &'static str, size: usize, end: &str) -> Corpus {
    Corpus::new(name, about).filled(size, |corpus, _| {
        corpus.write(&format!("data: {TOKEN}{end}{end}"));
        corpus.expected.expect("message", TOKEN);
    })
}

fn comments(name: &'static str, about: &'static str, size: usize) -> Corpus {
    Corpus::new(name, about).filled(size, |corpus, _| {
        for _ in 0..9 {
            corpus.write(": keep-alive\n\n");
        }
        corpus.write("data: x\n\n");
        corpus.expected.expect("message", "x");
    })
}

fn long_text(length: usize) -> String {
    let sentence = "A line of text that extends without an end of line in it. ";
    sentence.chars().cycle().take(length).collect()
}

/// One event with data of this length.
pub fn one_event(length: usize) -> Vec<u8> {
    format!("data: {}\n\n", long_text(length)).into_bytes()
}

/// All corpora, each of about this size.
pub fn all(size: usize) -> Vec<Corpus> {
    vec![
        tokens("LLM", "tokens of a language model, 235 B", size, "\n"),
        tokens("LLM, CRLF", "the same with CRLF", size, "\r\n"),
        Corpus::new("typed", "`event:` and `data:`, 121 B").filled(size, |corpus, number| {
            let kind = ["price", "trade", "quote"][number % 3];
            let data = format!(
                r#"{{"symbol":"ABCD","bid":101.{:04},"ask":102.{:04},"size":{:06},"venue":"XAMS","seq":{:017}}}"#,
                number % 9_999,
                number % 9_973,
                number % 999_983,
                number
            );
            corpus.write(&format!("event: {kind}\ndata: {data}\n\n"));
            corpus.expected.expect(kind, &data);
        }),
        Corpus::new("feed", "`id:` and 1.3 KB of data").filled(size, |corpus, number| {
            let data = format!(r#"{{"number":{number:08},"text":"{}"}}"#, long_text(1_270));
            corpus.write(&format!("id: {number:012}\ndata: {data}\n\n"));
            corpus.expected.expect("message", &data);
        }),
        Corpus::new("tiny", "`data: x`, 9 B").filled(size, |corpus, _| {
            corpus.write("data: x\n\n");
            corpus.expected.expect("message", "x");
        }),
        Corpus::new("20 lines", "20 `data:` lines of 44 B").filled(size, |corpus, number| {
            let lines: Vec<String> = (0..20)
                .map(|line| format!("    let line_{line:02} = value.of({number:08});"))
                .collect();
            for line in &lines {
                corpus.write(&format!("data: {line}\n"));
            }
            corpus.write("\n");
            corpus.expected.expect("message", &lines.join("\n"));
        }),
        Corpus::new("1 MiB", "one `data:` line of 1 MiB").filled(size, |corpus, _| {
            corpus.bytes.extend(one_event(1 << 20));
            corpus.expected.expect("message", &long_text(1 << 20));
        }),
        comments("comments", "nine keep-alive comments to one event of 9 B", size),
        Corpus {
            comments: true,
            ..comments("comments, kept", "the same, comments returned", size)
        },
        Corpus::new("non-ASCII", "Cyrillic and kana, 218 B").filled(size, |corpus, _| {
            corpus.write(&format!("data: {FOREIGN}\n\n"));
            corpus.expected.expect("message", FOREIGN);
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_as_large_as_their_descriptions_say() {
        let of = |name| {
            let all = all(1 << 16);
            let corpus = all.into_iter().find(|corpus| corpus.name == name).unwrap();
            corpus.bytes.len() as f64 / corpus.expected.events as f64
        };
        assert_eq!(of("LLM"), 235.0);
        assert_eq!(of("typed"), 121.0);
        assert_eq!(of("tiny"), 9.0);
        assert_eq!(of("20 lines"), 20.0 * 44.0 + 1.0);
        assert_eq!(of("non-ASCII"), 218.0);
        assert!((1_300.0..1_400.0).contains(&of("feed")));
    }
}
