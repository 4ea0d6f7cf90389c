//! Events, comments and retry fields as bytes of an event stream.

/// Encodes an event block. Line breaks in `data` become additional `data` lines.
pub(crate) fn event(id: Option<&str>, kind: Option<&str>, data: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 32);
    if let Some(id) = id {
        field(&mut out, "id", id);
    }
    if let Some(kind) = kind {
        field(&mut out, "event", kind);
    }
    lines(&mut out, "data: ", data);
    out.push(b'\n');
    out
}

/// Encodes a comment. Each line of `text` becomes a comment line.
pub(crate) fn comment(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 4);
    lines(&mut out, ": ", text);
    out.push(b'\n');
    out
}

/// Encodes a `retry` field in its own block.
pub(crate) fn retry(milliseconds: u64) -> Vec<u8> {
    format!("retry: {milliseconds}\n\n").into_bytes()
}

/// Writes a field that can't span lines: its value ends at the first line break.
fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    let value = value.split(['\r', '\n']).next().unwrap_or_default();
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}

fn lines(out: &mut Vec<u8>, prefix: &str, text: &str) {
    let mut rest = text;
    loop {
        let end = rest.find(['\r', '\n']);
        out.extend_from_slice(prefix.as_bytes());
        out.extend_from_slice(&rest.as_bytes()[..end.unwrap_or(rest.len())]);
        out.push(b'\n');
        let Some(end) = end else { return };
        // CRLF is one line break.
        let width = if rest[end..].starts_with("\r\n") {
            2
        } else {
            1
        };
        rest = &rest[end + width..];
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_line_break_in_data_starts_a_new_data_line() {
        assert_eq!(
            super::event(Some("7"), Some("t"), "a\nb\r\nc\rd\n"),
            b"id: 7\nevent: t\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"
        );
    }

    #[test]
    fn a_line_break_in_an_id_or_a_type_injects_no_field() {
        assert_eq!(
            super::event(Some("7\ndata: x"), Some("t\rretry: 1"), "a"),
            b"id: 7\nevent: t\ndata: a\n\n"
        );
    }
}
