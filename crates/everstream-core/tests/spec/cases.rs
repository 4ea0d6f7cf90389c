//! Reads `cases.txt`. The notation is explained at the top of that file.

use std::time::Duration;

use super::support::{Due, Seen};

/// The number of cases, so that none is lost unnoticed.
pub(crate) const COUNT: usize = 238;

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) clause: String,
    pub(crate) resume: Option<String>,
    pub(crate) streams: Vec<Stream>,
    /// The last event id when all streams have ended.
    pub(crate) last: Option<String>,
}

#[derive(Default)]
pub(crate) struct Stream {
    pub(crate) bytes: Vec<u8>,
    pub(crate) due: Vec<Due>,
}

impl Case {
    pub(crate) fn len(&self) -> usize {
        self.streams.iter().map(|stream| stream.bytes.len()).sum()
    }

    /// The last event id at the end of each stream. Only dispatched blocks change it, and each of those
    /// is an item.
    pub(crate) fn last_of_each_stream(&self) -> Vec<Option<String>> {
        let mut last = self.resume.clone().filter(|id| !id.is_empty());
        let streams = self.streams.iter().map(|stream| {
            for due in &stream.due {
                match &due.item {
                    Seen::Event { last: new, .. } | Seen::Id(new) => last.clone_from(new),
                    _ => {}
                }
            }
            last.clone()
        });
        streams.collect()
    }
}

/// All cases, or an error that names the line.
pub(crate) fn read(text: &str) -> Result<Vec<Case>, String> {
    let mut reader = Reader::default();
    for (number, line) in text.lines().enumerate() {
        reader
            .line(line)
            .map_err(|why| format!("line {}: {why}: {line}", number + 1))?;
    }
    match reader.open {
        Some(case) => Err(format!("the last case, {:?}, has no `=`", case.name)),
        None => Ok(reader.cases),
    }
}

#[derive(Default)]
struct Reader {
    clause: String,
    open: Option<Case>,
    cases: Vec<Case>,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if line.ends_with([' ', '\t']) {
            return Err("white space at the end".to_owned());
        }
        let (keyword, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (keyword, &mut self.open) {
            ("clause", None) => rest.clone_into(&mut self.clause),
            ("case", None) => {
                if self.cases.iter().any(|case| case.name == rest) {
                    return Err("a second case of this name".to_owned());
                }
                self.open = Some(Case {
                    name: rest.to_owned(),
                    clause: self.clause.clone(),
                    resume: None,
                    streams: vec![Stream::default()],
                    last: None,
                });
            }
            ("clause" | "case", Some(_)) => return Err("the case before has no `=`".to_owned()),
            (_, None) => return Err("outside of a case".to_owned()),
            ("resume", Some(case)) => case.resume = id(rest)?,
            ("end", Some(case)) => case.streams.push(Stream::default()),
            ("<", Some(case)) => {
                let stream = case.streams.last_mut().ok_or("no stream")?;
                stream.bytes.extend(unescaped(&mut rest.chars(), None)?);
            }
            (">", Some(case)) => {
                let stream = case.streams.last_mut().ok_or("no stream")?;
                if stream.bytes.is_empty() {
                    return Err("due before anything is sent".to_owned());
                }
                stream.due.push(Due {
                    at: stream.bytes.len(),
                    item: item(rest)?,
                });
            }
            ("=", Some(case)) => {
                case.last = id(rest)?;
                self.cases.extend(self.open.take());
            }
            _ => return Err(format!("unknown keyword {keyword:?}")),
        }
        Ok(())
    }
}

/// Parses the text after `>`.
fn item(text: &str) -> Result<Seen, String> {
    let (keyword, rest) = text.split_once(' ').unwrap_or((text, ""));
    match keyword {
        "comment" => Ok(Seen::Comment(string(rest)?)),
        "retry" => {
            let milliseconds = rest.parse().map_err(|_| "no number of milliseconds")?;
            Ok(Seen::Retry(Duration::from_millis(milliseconds)))
        }
        "id" => Ok(Seen::Id(id(rest)?)),
        "event" => event(rest),
        _ => Err(format!("unknown item {keyword:?}")),
    }
}

/// data="D" type="T" id="I" last="L"
fn event(mut rest: &str) -> Result<Seen, String> {
    let (mut data, mut event, mut id, mut last) = (None, None, None, None);
    while !rest.is_empty() {
        let (name, value) = rest.split_once('=').ok_or("an attribute without a value")?;
        let mut chars = value.strip_prefix('"').ok_or("no opening quote")?.chars();
        let value = text(unescaped(&mut chars, Some('"'))?)?;
        let slot = match name {
            "data" => &mut data,
            "type" => &mut event,
            "id" => &mut id,
            "last" => &mut last,
            _ => return Err(format!("unknown attribute {name:?}")),
        };
        if slot.replace(value).is_some() {
            return Err(format!("{name} twice"));
        }
        rest = chars.as_str();
        rest = rest.strip_prefix(' ').unwrap_or(rest);
    }
    Ok(Seen::Event {
        event: event.unwrap_or_else(|| "message".to_owned()),
        data: data.ok_or("an event without data")?,
        id,
        last,
    })
}

/// "ID" or none
fn id(text: &str) -> Result<Option<String>, String> {
    if text == "none" {
        Ok(None)
    } else {
        string(text).map(Some)
    }
}

/// One string in quotes and nothing else.
fn string(quoted: &str) -> Result<String, String> {
    let mut chars = quoted.strip_prefix('"').ok_or("no opening quote")?.chars();
    let bytes = unescaped(&mut chars, Some('"'))?;
    if chars.as_str().is_empty() {
        text(bytes)
    } else {
        Err("text after the string".to_owned())
    }
}

fn text(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|_| "items are always UTF-8".to_owned())
}

/// The unescaped bytes, up to the closing character (which is taken) or the end of the line.
fn unescaped(chars: &mut std::str::Chars<'_>, close: Option<char>) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    loop {
        let c = match chars.next() {
            c if c == close => return Ok(bytes),
            None => return Err("not closed".to_owned()),
            Some('\t') => return Err("write a tab as \\t".to_owned()),
            Some('\\') => match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('0') => '\0',
                Some(c @ ('\\' | '"')) => c,
                Some('x') => {
                    let digits: String = chars.by_ref().take(2).collect();
                    bytes.push(u8::from_str_radix(&digits, 16).map_err(|_| "not \\xHH")?);
                    continue;
                }
                Some('u') => {
                    let digits: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                    let number = u32::from_str_radix(&digits, 16).map_err(|_| "not \\u{H}")?;
                    char::from_u32(number).ok_or("not a character")?
                }
                Some('(') => {
                    let count: String = chars.by_ref().take_while(|c| *c != '*').collect();
                    let count = count.parse().map_err(|_| "not \\(N*TEXT)")?;
                    bytes.extend(unescaped(chars, Some(')'))?.repeat(count));
                    continue;
                }
                _ => return Err("unknown escape".to_owned()),
            },
            Some(c) => c,
        };
        bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
    }
}
