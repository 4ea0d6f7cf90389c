//! The content of a recording.

use std::path::Path;

use base64::Engine as _;
use serde_json::Value;

/// Its lines; the last one may still be written.
pub(crate) fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The bytes of all connections.
pub(crate) fn bytes(file: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in lines(file) {
        if let Some(text) = line["text"].as_str() {
            bytes.extend_from_slice(text.as_bytes());
        }
        if let Some(text) = line["base64"].as_str() {
            let decoded = base64::engine::general_purpose::STANDARD.decode(text);
            bytes.extend(decoded.unwrap());
        }
    }
    bytes
}

/// A recording of one connection, with these texts at these times.
pub(crate) fn of(chunks: &[(f64, &str)]) -> String {
    let mut text = String::from(
        "{\"format\":\"everstream-recording\",\"version\":1}\n{\"time\":0,\"connected\":{}}\n",
    );
    for (time, chunk) in chunks {
        text += &format!("{{\"time\":{time},\"text\":{}}}\n", Value::from(*chunk));
    }
    text
}

/// Events in one chunk, with their numbers as ids and data.
pub(crate) fn of_events(count: usize) -> String {
    let events: String = (1..=count)
        .map(|n| format!("id: {n}\ndata: {n}\n\n"))
        .collect();
    of(&[(0.0, &events)])
}
