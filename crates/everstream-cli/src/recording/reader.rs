//! Reads a recording.

use std::io::BufRead;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{FORMAT, VERSION};
use crate::report::Problem;

/// The content of a line that a replay needs. Times are relative to the start of its recording.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The first line of a recording.
    Begin,
    Connected(Duration),
    Bytes(Duration, Vec<u8>),
    /// A connection ended, or an attempt failed.
    Over(Duration),
    /// This line is cut off, because the recorder was killed.
    Cut(u64),
}

/// Reads a recording line by line.
pub(crate) struct Reader<R> {
    lines: R,
    /// The name of the file in errors.
    name: String,
    number: u64,
    line: Vec<u8>,
    /// The line after a cut one has already been read.
    read_ahead: bool,
}

impl<R: BufRead> Reader<R> {
    pub(crate) fn new(lines: R, name: &str) -> Reader<R> {
        Reader {
            lines,
            name: name.to_owned(),
            number: 0,
            line: Vec::new(),
            read_ahead: false,
        }
    }

    /// Returns the next entry, or what is wrong with its line.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, Problem> {
        if !std::mem::take(&mut self.read_ahead) && !self.read()? {
            return match self.number {
                0 => Err(self.problem("is empty").hint(HINT)),
                _ => Ok(None),
            };
        }
        let problem = match parse(&self.line, self.number == 1) {
            Ok(entry) => return Ok(Some(entry)),
            Err(ParseError::Line(what)) => self.problem(&what),
            Err(ParseError::File(what)) => return Err(self.problem(&what).hint(HINT)),
            Err(ParseError::NoRecording(why)) => return Err(self.no_recording(&why).hint(HINT)),
        };
        if self.number == 1 {
            return Err(problem.hint(HINT));
        }
        let whole = self.line.ends_with(b"\n");
        let cut = self.number;
        let more = whole && self.read()?;
        // A later recording in the same file begins on its own line.
        let begins = more && matches!(parse(&self.line, false), Ok(Entry::Begin));
        if whole && !begins {
            let hint = format!(
                "the lines before it are intact: head -n {} keeps them",
                cut - 1
            );
            return Err(problem.hint(hint));
        }
        self.read_ahead = more;
        Ok(Some(Entry::Cut(cut)))
    }

    fn read(&mut self) -> Result<bool, Problem> {
        self.line.clear();
        match self.lines.read_until(b'\n', &mut self.line) {
            Ok(0) => Ok(false),
            Ok(_) => {
                self.number += 1;
                Ok(true)
            }
            Err(error) => Err(Problem::because(
                &format!("{} can't be read", self.name),
                &error,
            )),
        }
    }

    fn no_recording(&self, why: &str) -> Problem {
        match self.number {
            1 => Problem::new(format!(
                "{} isn't an everstream recording: {why}",
                self.name
            )),
            // After another recording.
            _ => self.problem(&format!("doesn't begin an everstream recording: {why}")),
        }
    }

    fn problem(&self, what: &str) -> Problem {
        match self.number {
            0 => Problem::new(format!("{} {what}", self.name)),
            number => Problem::new(format!("line {number} of {} {what}", self.name)),
        }
    }
}

const HINT: &str = "everstream record URL FILE makes a recording";

enum ParseError {
    /// The line may be cut off.
    Line(String),
    File(String),
    /// The file, or the part that begins with this line, is something else.
    NoRecording(String),
}

fn parse(line: &[u8], is_first: bool) -> Result<Entry, ParseError> {
    let object: Map<String, Value> = serde_json::from_slice(line.trim_ascii_end())
        .map_err(|error| ParseError::Line(cause(line, &error)))?;
    if let Some(format) = object.get("format") {
        return begin(format, object.get("version"));
    }
    if is_first {
        let what = format!("isn't the first line of a recording: it lacks {FORMAT:?}");
        return Err(ParseError::File(what));
    }
    let time = object.get("time").and_then(Value::as_f64);
    let time = time.and_then(|time| Duration::try_from_secs_f64(time).ok());
    let Some(time) = time else {
        return Err(ParseError::Line("has no \"time\" in seconds".into()));
    };
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    if let Some(text) = text("text") {
        return Ok(Entry::Bytes(time, text.into()));
    }
    if let Some(text) = text("base64") {
        let bytes = STANDARD.decode(text);
        return bytes
            .map(|bytes| Entry::Bytes(time, bytes))
            .map_err(|error| ParseError::Line(format!("has invalid \"base64\": {error}")));
    }
    if object.contains_key("connected") {
        return Ok(Entry::Connected(time));
    }
    if object.contains_key("ended") || object.contains_key("failed") {
        return Ok(Entry::Over(time));
    }
    let what = "has no \"connected\", \"text\", \"base64\", \"ended\" or \"failed\"";
    Err(ParseError::Line(what.into()))
}

/// What is wrong with a line that isn't JSON, without the parser's line number, which is always 1.
fn cause(line: &[u8], error: &serde_json::Error) -> String {
    if line.trim_ascii().is_empty() {
        return "is empty".to_owned();
    }
    if error.is_eof() {
        return "is incomplete".to_owned();
    }
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    format!("isn't valid JSON: {what} at column {}", error.column())
}

fn begin(format: &Value, version: Option<&Value>) -> Result<Entry, ParseError> {
    if format.as_str() != Some(FORMAT) {
        return Err(ParseError::NoRecording(format!("its format is {format}")));
    }
    match version.and_then(Value::as_u64) {
        Some(VERSION) => Ok(Entry::Begin),
        Some(other) => Err(ParseError::File(format!(
            "has format version {other}; this command supports version {VERSION}"
        ))),
        None => Err(ParseError::NoRecording("it has no version".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "{\"format\":\"everstream-recording\",\"version\":1}\n";

    fn read(text: &str) -> Result<Vec<Entry>, String> {
        let mut reader = Reader::new(text.as_bytes(), "FILE");
        let mut entries = Vec::new();
        loop {
            match reader.next() {
                Ok(Some(entry)) => entries.push(entry),
                Ok(None) => return Ok(entries),
                Err(problem) => return Err(format!("{problem:?}")),
            }
        }
    }

    #[test]
    fn every_kind_of_line_is_parsed() {
        let text = format!(
            "{HEAD}{}\n{}\n{}\n{}\n{}\n",
            r#"{"time":0.5,"failed":"refused"}"#,
            r#"{"time":1,"connected":{"status":200},"later":"versions may add fields"}"#,
            r#"{"time":2,"text":"data: \u00e9\n"}"#,
            r#"{"time":3.25,"base64":"/w=="}"#,
            r#"{"time":4,"ended":"fault","error":"reset"}"#,
        );
        let at = Duration::from_millis;
        assert_eq!(
            read(&text).unwrap(),
            [
                Entry::Begin,
                Entry::Over(at(500)),
                Entry::Connected(at(1000)),
                Entry::Bytes(at(2000), "data: é\n".into()),
                Entry::Bytes(at(3250), vec![0xff]),
                Entry::Over(at(4000)),
            ]
        );
    }

    #[test]
    fn a_cut_line_is_skipped_at_the_end_and_before_another_recording() {
        let line = r#"{"time":1,"text":"x"}"#;
        for cut in 1..line.len() {
            let cut = &line[..cut];
            let entries = read(&format!("{HEAD}{cut}")).unwrap();
            assert_eq!(entries, [Entry::Begin, Entry::Cut(2)]);
            let entries = read(&format!("{HEAD}{cut}\n{HEAD}{line}\n{cut}")).unwrap();
            assert_eq!(entries.len(), 5, "{entries:?}");
            assert_eq!((&entries[1], &entries[4]), (&Entry::Cut(2), &Entry::Cut(5)));
        }
        // Cut just before its end it is whole.
        assert_eq!(read(&format!("{HEAD}{line}")).unwrap().len(), 2);
    }

    #[test]
    fn errors_name_the_line() {
        for (text, expected) in [
            ("", "FILE is empty"),
            (
                "data: x\n",
                "line 1 of FILE isn't valid JSON: expected value at column 1",
            ),
            (
                "{\"time\":1,\"text\":\"x\"}\n",
                "line 1 of FILE isn't the first line of a recording",
            ),
            (
                "{\"format\":\"har\"}\n",
                "\"FILE isn't an everstream recording: its format is \\\"har\\\"",
            ),
            (
                "{\"format\":\"everstream-recording\",\"version\":2}\n",
                "version 2",
            ),
            (
                "{\"format\":\"everstream-recording\"}\n",
                "\"FILE isn't an everstream recording: it has no version",
            ),
        ] {
            let problem = read(text).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
            assert!(problem.contains("everstream record"), "{problem}");
        }
        for (line, expected) in [
            ("{", "line 2 of FILE is incomplete"),
            ("", "line 2 of FILE is empty"),
            ("{\"text\":\"x\"}", "has no \\\"time\\\""),
            ("{\"time\":-1,\"text\":\"x\"}", "has no \\\"time\\\""),
            ("{\"time\":1e300,\"text\":\"x\"}", "has no \\\"time\\\""),
            ("{\"time\":1}", "has no \\\"connected\\\""),
            ("{\"time\":1,\"text\":7}", "has no \\\"connected\\\""),
            ("{\"time\":1,\"base64\":\"?\"}", "invalid"),
            (
                "{\"format\":\"har\"}",
                "line 2 of FILE doesn't begin an everstream recording: its format is",
            ),
        ] {
            let more = "{\"time\":2,\"text\":\"y\"}";
            let problem = read(&format!("{HEAD}{line}\n{more}\n")).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
            assert!(!problem.contains(" at line "), "{problem}");
        }
    }
}
