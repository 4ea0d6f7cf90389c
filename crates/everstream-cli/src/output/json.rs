//! JSON as it was sent: validated, and reformatted without changing a value.
//!
//! Numbers keep their digits, and objects their order and repeated keys; a parsed tree would lose
//! these.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::de::IgnoredAny;

use crate::visible::is_control;

/// The maximum depth of JSON. It is serde_json's own limit, which applies only where it builds
/// values. Deeper data could overflow the stack of recursive readers.
const LEVELS: usize = 128;

/// Whether the text is one JSON value (RFC 8259), nested no deeper than 128 levels.
pub(crate) fn is_json(text: &str) -> bool {
    is_valid(text) && !is_deep(text)
}

fn is_deep(json: &str) -> bool {
    let brackets = json.bytes().filter(|byte| matches!(byte, b'[' | b'{'));
    if brackets.count() <= LEVELS {
        return false;
    }
    let mut tokens = tokens(json);
    while tokens.next().is_some() {
        if tokens.objects.len() > LEVELS {
            return true;
        }
    }
    false
}

fn is_valid(text: &str) -> bool {
    // A string that is only skipped may contain half a surrogate pair, and strict readers would
    // refuse our line.
    if text.contains("\\u") {
        serde_json::from_str::<serde_json::Value>(text).is_ok()
    } else {
        serde_json::from_str::<IgnoredAny>(text).is_ok()
    }
}

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `{` or `[`
    Open,
    /// `}` or `]`
    Close,
    Comma,
    Colon,
    Key,
    Text,
    Number,
    /// `true`, `false`, `null`
    Word,
}

/// The tokens of a text that [`is_json`], without the whitespace between them.
pub(super) struct Tokens<'a> {
    rest: &'a str,
    /// For each open bracket, whether it belongs to an object.
    objects: Vec<bool>,
    key_next: bool,
}

pub(super) fn tokens(json: &str) -> Tokens<'_> {
    Tokens {
        rest: json,
        objects: Vec::new(),
        key_next: false,
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = (Kind, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        let (kind, length) = match self.rest.as_bytes().first()? {
            b'{' | b'[' => (Kind::Open, 1),
            b'}' | b']' => (Kind::Close, 1),
            b',' => (Kind::Comma, 1),
            b':' => (Kind::Colon, 1),
            b'"' if self.key_next => (Kind::Key, string_length(self.rest)),
            b'"' => (Kind::Text, string_length(self.rest)),
            first => {
                let ends = |c: char| matches!(c, ',' | ']' | '}' | ' ' | '\t' | '\n' | '\r');
                let kind = match first {
                    b't' | b'f' | b'n' => Kind::Word,
                    _ => Kind::Number,
                };
                (kind, self.rest.find(ends).unwrap_or(self.rest.len()))
            }
        };
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        match kind {
            Kind::Open => self.objects.push(token == "{"),
            Kind::Close => _ = self.objects.pop(),
            _ => {}
        }
        self.key_next =
            matches!(kind, Kind::Open | Kind::Comma) && self.objects.last() == Some(&true);
        Some((kind, token))
    }
}

/// The length of the string that the text starts with, including its quotes.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// Writes a text that [`is_json`] on one line.
pub(super) fn write_compact(out: &mut String, json: &str) {
    for (_, token) in tokens(json) {
        out.push_str(&harmless(token));
    }
}

/// Writes a text as JSON; `null` if there is none.
pub(super) fn write_text(out: &mut String, text: Option<&str>) {
    // Writing a string as JSON can't fail.
    let json = serde_json::to_string(&text).unwrap_or_else(|_| "null".to_owned());
    out.push_str(&harmless(&json));
}

/// JSON doesn't escape most of the characters that affect a terminal. Escaped they mean the same,
/// and are harmless wherever the lines are shown: in a pager, in a log. Those of ASCII are escaped
/// already.
pub(crate) fn harmless(json: &str) -> Cow<'_, str> {
    if json.bytes().all(|byte| byte < 0x7f) || !json.contains(is_control) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        match is_control(c) {
            // All of them are below U+10000.
            true => _ = write!(escaped, "\\u{:04x}", u32::from(c)),
            false => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compact(json: &str) -> String {
        assert!(is_json(json), "{json}");
        let mut out = String::new();
        write_compact(&mut out, json);
        out
    }

    #[test]
    fn compacting_does_not_change_a_value() {
        for (json, expected) in [
            (" 1 ", "1"),
            ("\t1e400\n", "1e400"),
            (
                "{ \"b\" : 1.10, \"a\":[ ] ,\n\"b\":{}}",
                r#"{"b":1.10,"a":[],"b":{}}"#,
            ),
            (r#""a \" , [ \\" "#, r#""a \" , [ \\""#),
            ("[true, null,-0.0 ]", "[true,null,-0.0]"),
            ("12345678901234567890123", "12345678901234567890123"),
            ("\"\u{9b}\u{202e}\"", r#""\u009b\u202e""#),
        ] {
            assert_eq!(compact(json), expected);
        }
    }

    #[test]
    fn keys_are_distinguished_from_strings() {
        let keys = |json| {
            tokens(json)
                .filter(|(kind, _)| *kind == Kind::Key)
                .map(|(_, token)| token)
                .collect::<Vec<_>>()
        };
        let json = r#"{"a":"x","b":["y",{"c":1},"z"],"d":{}}"#;
        assert_eq!(keys(json), [r#""a""#, r#""b""#, r#""c""#, r#""d""#]);
    }

    #[test]
    fn invalid_json_is_detected() {
        for text in [
            "",
            "[DONE]",
            "{} {}",
            "nul",
            "01",
            "\"a\nb\"",
            "NaN",
            r#""\ud800""#,
            "'a'",
        ] {
            assert!(!is_json(text), "{text}");
        }
        let deep = "[".repeat(1_000_000);
        assert!(!is_json(&deep));
        assert!(!is_json(&format!("{deep}{}", "]".repeat(1_000_000))));
    }
}
