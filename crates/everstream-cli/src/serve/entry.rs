//! Converts a line of input to bytes of the stream.

use std::collections::BTreeMap;
use std::time::Duration;

use everstream::{Encoder, Event};
use hyper::body::Bytes;
use serde_json::value::RawValue;

use super::history::Entry;

pub(super) struct Entries {
    json: bool,
    /// The prefix of generated ids; `None`: none are generated.
    run: Option<String>,
    /// The number of events so far.
    count: u64,
}

/// The fields of an object, each as it was written.
type Fields = BTreeMap<String, Box<RawValue>>;

impl Entries {
    pub(super) fn new(json: bool, run: Option<String>) -> Entries {
        Entries {
            json,
            run,
            count: 0,
        }
    }

    /// The number of events.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Returns what to send for a line, if anything, or what is wrong with it.
    pub(super) fn entry(&mut self, line: &[u8]) -> Result<Option<Entry>, String> {
        if self.json {
            // Empty lines between objects are common.
            if line.trim_ascii().is_empty() {
                return Ok(None);
            }
            return self.object(line).map(Some);
        }
        let data = String::from_utf8_lossy(line);
        let mut encoder = Encoder::new();
        let id = self.event(&mut encoder, "", &data, Id::Absent)?;
        Ok(Some(finish(encoder, id)))
    }

    fn object(&mut self, line: &[u8]) -> Result<Entry, String> {
        let mut fields: Fields = serde_json::from_slice(line).map_err(|error| {
            let error = error.to_string();
            format!(
                "not a JSON object: {}",
                error.replace(" at line 1 column ", " at column ")
            )
        })?;
        let event = text(&mut fields, "event")?;
        let comment = text(&mut fields, "comment")?;
        let data = data(&mut fields)?;
        let retry = retry(&mut fields)?;
        let id = match fields.contains_key("id") {
            true => text(&mut fields, "id")?.map_or(Id::None, Id::Own),
            false => Id::Absent,
        };
        // The output of `everstream URL` has these too; they aren't sent.
        fields.remove("last_event_id");
        fields.remove("time");
        if let Some(name) = fields.keys().next() {
            return Err(format!(
                "unknown field {name:?}; the fields are event, data, id, retry and comment"
            ));
        }
        if event.is_some() && data.is_none() {
            return Err("an event needs the field \"data\"".into());
        }

        let mut encoder = Encoder::new();
        if let Some(comment) = &comment {
            encoder.comment(comment);
        }
        if let Some(retry) = retry {
            encoder.retry(retry);
        }
        let id = match (data, id) {
            (Some(data), id) => {
                self.event(&mut encoder, event.as_deref().unwrap_or(""), &data, id)?
            }
            (None, Id::Own(id)) => {
                encoder.id(&id).map_err(|error| error.to_string())?;
                Some(id)
            }
            (None, _) => None,
        };
        if encoder.as_str().is_empty() {
            return Err("the object needs one of the fields data, id, retry and comment".into());
        }
        Ok(finish(encoder, id))
    }

    fn event(
        &mut self,
        encoder: &mut Encoder,
        event: &str,
        data: &str,
        id: Id,
    ) -> Result<Option<String>, String> {
        let id = match (id, &self.run) {
            (Id::Own(id), _) => Some(id),
            (Id::Absent, Some(run)) => Some(format!("{run}-{}", self.count + 1)),
            (Id::Absent, None) | (Id::None, _) => None,
        };
        encoder
            .event(&Event::new(event, data, id.as_deref()))
            .map_err(|error| error.to_string())?;
        self.count += 1;
        Ok(id)
    }
}

enum Id {
    Own(String),
    /// `null`: no value.
    None,
    /// The field is missing.
    Absent,
}

fn finish(encoder: Encoder, id: Option<String>) -> Entry {
    Entry {
        bytes: Bytes::from(encoder.into_string()),
        id,
    }
}

/// A field with a string or `null`.
fn text(fields: &mut Fields, name: &str) -> Result<Option<String>, String> {
    let Some(value) = fields.remove(name) else {
        return Ok(None);
    };
    serde_json::from_str(value.get())
        .map_err(|_| format!("the field {name:?} isn't a string: {}", shown(&value)))
}

/// A string, or JSON as it was written.
fn data(fields: &mut Fields) -> Result<Option<String>, String> {
    match fields.get("data").map(|value| value.get()) {
        Some(value) if value.starts_with('"') || value == "null" => text(fields, "data"),
        _ => Ok(fields.remove("data").map(|value| value.get().to_owned())),
    }
}

fn retry(fields: &mut Fields) -> Result<Option<Duration>, String> {
    let Some(value) = fields.remove("retry") else {
        return Ok(None);
    };
    let millis: Option<u64> = serde_json::from_str(value.get()).map_err(|_| {
        let value = shown(&value);
        format!("the field \"retry\" isn't a number of milliseconds: {value}")
    })?;
    Ok(millis.map(Duration::from_millis))
}

/// A value in an error.
fn shown(value: &RawValue) -> String {
    value.get().chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(json: bool) -> Entries {
        Entries::new(json, Some("r".into()))
    }

    fn sent(entries: &mut Entries, line: &str) -> Result<String, String> {
        let entry = entries.entry(line.as_bytes())?;
        let bytes = entry.map(|entry| entry.bytes.to_vec()).unwrap_or_default();
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_line_is_an_event_with_its_number() {
        let mut entries = numbered(false);
        assert_eq!(sent(&mut entries, "one").unwrap(), "id: r-1\ndata: one\n\n");
        assert_eq!(sent(&mut entries, "").unwrap(), "id: r-2\ndata:\n\n");
        let entry = entries.entry(b"\xff").unwrap().unwrap();
        assert_eq!(entry.bytes, "id: r-3\ndata: \u{fffd}\n\n");
        assert_eq!(entry.id.as_deref(), Some("r-3"));
        let mut entries = Entries::new(false, None);
        assert_eq!(sent(&mut entries, "one").unwrap(), "data: one\n\n");
    }

    #[test]
    fn an_object_has_the_fields_of_an_event() {
        let mut entries = numbered(true);
        for (line, expected) in [
            (r#"{"data":"a\nb"}"#, "id: r-1\ndata: a\ndata: b\n\n"),
            (
                r#"{"event":"price","data":{"p": 7.50},"id":"x"}"#,
                "event: price\nid: x\ndata: {\"p\": 7.50}\n\n",
            ),
            (r#"{"data":7,"id":null}"#, "data: 7\n\n"),
            (r#"{"retry":500}"#, "retry: 500\n\n"),
            (r#"{"comment":"hi"}"#, ": hi\n"),
            (r#"{"id":"y"}"#, "id: y\n\n"),
            (
                r#"{"comment":"c","retry":1,"data":"z"}"#,
                ": c\nretry: 1\n\nid: r-4\ndata: z\n\n",
            ),
            (
                r#"{"event":"message","data":"x","id":null,"last_event_id":"9","time":"2026"}"#,
                "data: x\n\n",
            ),
            ("  ", ""),
        ] {
            assert_eq!(sent(&mut entries, line).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn invalid_objects_are_explained() {
        for (line, expected) in [
            ("x", "not a JSON object"),
            ("[1]", "not a JSON object"),
            (r#"{"data":"x","idd":"1"}"#, "unknown field \"idd\""),
            (r#"{"data":"x","id":1}"#, "\"id\" isn't a string: 1"),
            (r#"{"event":"x"}"#, "needs the field \"data\""),
            (r#"{"event":"a\nb","data":"x"}"#, "type contains a line end"),
            (r#"{"id":"a\nb","data":"x"}"#, "id contains a line end"),
            (
                r#"{"retry":"1s"}"#,
                "isn't a number of milliseconds: \"1s\"",
            ),
            (r#"{"retry":-1}"#, "isn't a number of milliseconds: -1"),
            ("{}", "the object needs one of the fields"),
            (r#"{"data":null}"#, "needs one of the fields"),
        ] {
            let mut entries = numbered(true);
            let problem = sent(&mut entries, line).unwrap_err();
            assert!(problem.contains(expected), "{line}: {problem}");
            // The invalid line doesn't count.
            assert!(
                sent(&mut entries, r#"{"data":"x"}"#)
                    .unwrap()
                    .starts_with("id: r-1\n")
            );
        }
    }
}
