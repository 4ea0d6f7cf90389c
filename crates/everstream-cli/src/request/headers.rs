//! The headers of `-H`.

use super::input::{read, text};
use crate::report::Problem;

/// A header option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Header {
    Set(String, String),
    /// `Name:` is a default header that isn't sent.
    Omit(String),
}

impl Header {
    pub(super) fn name(&self) -> &str {
        match self {
            Header::Set(name, _) | Header::Omit(name) => name,
        }
    }
}

/// The headers of the command line, and of files that each attempt reads again.
#[derive(Default)]
pub(super) struct Headers {
    pub(super) fixed: Vec<Header>,
    pub(super) files: Vec<String>,
    /// The current content of the files.
    pub(super) read: Vec<Header>,
}

impl Headers {
    pub(super) fn new(options: &[String]) -> Result<Headers, Problem> {
        let mut headers = Headers::default();
        for (index, option) in options.iter().enumerate() {
            match option.strip_prefix('@') {
                // Standard input can't be read again.
                Some("-") => headers.fixed.extend(from_file("-")?),
                Some(file) => {
                    headers.read.extend(from_file(file)?);
                    headers.files.push(file.to_owned());
                }
                None => {
                    let header = parse(option, || format!("header {}", index + 1))?;
                    headers.fixed.push(header);
                }
            }
        }
        Ok(headers)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Header> {
        self.fixed.iter().chain(&self.read)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.all()
            .any(|header| header.name().eq_ignore_ascii_case(name))
    }
}

pub(super) fn from_file(file: &str) -> Result<Vec<Header>, Problem> {
    let mut headers = Vec::new();
    for (index, line) in text(read(file)?, file)?.lines().enumerate() {
        if !line.trim().is_empty() {
            headers.push(parse(line, || format!("line {} of {file:?}", index + 1))?);
        }
    }
    Ok(headers)
}

/// Its text isn't shown: without a colon, the value is where the name should be.
fn parse(header: &str, place: impl Fn() -> String) -> Result<Header, Problem> {
    let bad = |what| {
        Problem::new(format!("{} {what}", place()))
            .hint("write headers like this: -H 'Authorization: Bearer TOKEN'")
    };
    let (name, value) = match header.split_once(':') {
        Some(parts) => parts,
        // As in curl: an empty header.
        None => match header.trim_end().strip_suffix(';') {
            Some(name) if is_token(name.trim()) => {
                return Ok(Header::Set(name.trim().into(), String::new()));
            }
            _ => return Err(bad("has no colon")),
        },
    };
    let (name, value) = (name.trim(), value.trim());
    if !is_token(name) {
        return Err(bad("has an invalid name before its colon"));
    }
    if value.chars().any(|c| c.is_ascii_control() && c != '\t') {
        return Err(bad("has control characters in its value"));
    }
    Ok(match value {
        "" => Header::Omit(name.into()),
        _ => Header::Set(name.into(), value.into()),
    })
}

/// RFC 9110, section 5.6.2.
fn is_token(name: &str) -> bool {
    let is_in_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    !name.is_empty() && name.chars().all(is_in_token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_set_omitted_or_empty() {
        let parsed = |text| parse(text, String::new);
        let set = |name: &str, value: &str| Ok(Header::Set(name.into(), value.into()));
        assert_eq!(parsed("X-A:  b: c "), set("X-A", "b: c"));
        assert_eq!(parsed("X-A;"), set("X-A", ""));
        assert_eq!(parsed("Accept:"), Ok(Header::Omit("Accept".into())));
        assert_eq!(parsed("Accept: "), Ok(Header::Omit("Accept".into())));
        for bad in [
            "", "X-A", ":", "a b: c", "secret;x", ";", "a b;", "a: b\0", "a: b\x1b",
        ] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }
}
