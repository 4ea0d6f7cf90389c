//! The deliberate differences from hyper, and how to detect that one applies to a response. The docs of
//! `http1` list the same differences.

use std::collections::BTreeSet;

use super::AcceptedBy;

/// A deliberate difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    // Accepted by ours alone.
    TransferCodingInHttp10,
    FoldedLine,
    ManyHeaders,
    SpaceBeforeColon,
    SpacesInStatusLine,
    StrayCr,
    LargeHead,
    EmptyLength,
    ExtensionWithoutSemicolon,
    InvalidTrailers,
    ManyExtensions,
    // Accepted by hyper alone.
    ManyInformational,
    OtherTransferCoding,
    LengthWithTransferCoding,
    LfBeforeTrailers,
    // Accepted by hyper, with the same body or another.
    IgnoredTransferCoding,
}

use Reason::*;

pub(super) const ALL: [(Reason, &[AcceptedBy]); 16] = [
    (TransferCodingInHttp10, &[AcceptedBy::Ours]),
    (FoldedLine, &[AcceptedBy::Ours]),
    (ManyHeaders, &[AcceptedBy::Ours]),
    (SpaceBeforeColon, &[AcceptedBy::Ours]),
    (SpacesInStatusLine, &[AcceptedBy::Ours]),
    (StrayCr, &[AcceptedBy::Ours]),
    (LargeHead, &[AcceptedBy::Ours]),
    (EmptyLength, &[AcceptedBy::Ours]),
    (ExtensionWithoutSemicolon, &[AcceptedBy::Ours]),
    (InvalidTrailers, &[AcceptedBy::Ours]),
    (ManyExtensions, &[AcceptedBy::Ours]),
    (ManyInformational, &[AcceptedBy::Hyper]),
    (OtherTransferCoding, &[AcceptedBy::Hyper]),
    (LengthWithTransferCoding, &[AcceptedBy::Hyper]),
    (LfBeforeTrailers, &[AcceptedBy::Hyper]),
    (
        IgnoredTransferCoding,
        &[AcceptedBy::Both, AcceptedBy::Hyper],
    ),
];

/// The reasons that apply to these bytes.
pub(super) fn of(bytes: &[u8]) -> BTreeSet<Reason> {
    let mut found = BTreeSet::new();
    let mut rest = bytes;
    let mut informational = 0;
    loop {
        let blank = rest.iter().take_while(|it| b"\r\n".contains(it)).count();
        let (blank, head) = rest.split_at(blank);
        let mut pairs = blank.iter().zip(blank.iter().skip(1).chain(head.first()));
        if pairs.any(|(a, b)| *a == b'\r' && *b != b'\n') {
            found.insert(StrayCr);
        }
        let (head, body) = head.split_at(end_of_head(head));
        let is_informational = head.get(9) == Some(&b'1') && head.get(9..12) != Some(b"101");
        reasons_in_head(head, is_informational, &mut found);
        rest = body;
        if !is_informational {
            break;
        }
        informational += 1;
    }
    if informational > 64 {
        found.insert(ManyInformational);
    }
    reasons_in_chunks(rest, &mut found);
    found
}

/// A line without its end, and what follows it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = &bytes[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &bytes[end + 1..]))
}

fn end_of_head(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((line, after)) = line(rest) {
        rest = after;
        if line.is_empty() {
            break;
        }
    }
    bytes.len() - rest.len()
}

fn reasons_in_head(head: &[u8], is_informational: bool, found: &mut BTreeSet<Reason>) {
    if head.len() > 400 << 10 {
        found.insert(LargeHead);
    }
    let Some((status_line, mut rest)) = line(head) else {
        return;
    };
    if status_line.get(8..10) == Some(b"  ") {
        found.insert(SpacesInStatusLine);
    }
    let (mut count, mut codings, mut lengths) = (0, Vec::new(), Vec::new());
    while let Some((line, after)) = line(rest) {
        rest = after;
        if line.first().is_some_and(|byte| b" \t".contains(byte)) {
            found.insert(FoldedLine);
        }
        count += usize::from(!line.is_empty());
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name != name.trim_ascii_end() {
            found.insert(SpaceBeforeColon);
        }
        let elements = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        match name.trim_ascii_end().to_ascii_lowercase().as_slice() {
            b"transfer-encoding" => codings.extend(elements),
            b"content-length" => lengths.extend(elements),
            _ => {}
        }
    }
    if count > 100 {
        found.insert(ManyHeaders);
    }
    if is_informational || codings.is_empty() && lengths.is_empty() {
        return;
    }
    if !codings.is_empty() {
        if status_line.starts_with(b"HTTP/1.0") {
            found.insert(TransferCodingInHttp10);
        }
        if codings != [b"chunked"] {
            found.insert(OtherTransferCoding);
        }
        if !lengths.is_empty() {
            found.insert(LengthWithTransferCoding);
        }
        let is_ignored = |it: &&[u8]| it.is_empty() || it.eq_ignore_ascii_case(b"identity");
        if codings.iter().any(is_ignored) {
            found.insert(IgnoredTransferCoding);
        }
    }
    if lengths.iter().any(|it| it.is_empty()) {
        found.insert(EmptyLength);
    }
}

/// If the body isn't chunked, or only partly, this finds at most too many reasons.
fn reasons_in_chunks(mut rest: &[u8], found: &mut BTreeSet<Reason>) {
    let mut extensions = 0;
    while let Some((line, after)) = line(rest) {
        let digits = line.iter().take_while(|it| it.is_ascii_hexdigit()).count();
        let (digits, extension) = line.split_at(digits);
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        let Ok(size) = usize::from_str_radix(digits, 16) else {
            return;
        };
        extensions += extension.len();
        if extensions >= 16 << 10 {
            found.insert(ManyExtensions);
        }
        let after_blanks = extension.trim_ascii_start();
        if extension.first().is_some_and(|it| b" \t".contains(it))
            && !after_blanks.is_empty()
            && !after_blanks.starts_with(b";")
        {
            found.insert(ExtensionWithoutSemicolon);
        }
        if size == 0 {
            return reasons_in_trailers(after, found);
        }
        match after.get(size.saturating_add(2)..) {
            Some(next) => rest = next,
            None => return,
        }
    }
}

fn reasons_in_trailers(mut rest: &[u8], found: &mut BTreeSet<Reason>) {
    let all = rest;
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let is_text = |byte: &u8| matches!(byte, b'\t' | 0x20..=0x7e | 0x80..);
    while let Some((line, after)) = line(rest) {
        if rest.first() == Some(&b'\n') {
            found.insert(LfBeforeTrailers);
        }
        if line.is_empty() {
            return;
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let is_valid = colon.is_some_and(|colon| {
            colon > 0 && line[..colon].iter().all(is_token) && line[colon + 1..].iter().all(is_text)
        });
        let has_crlf = rest[line.len()..].starts_with(b"\r\n");
        if !is_valid || !has_crlf || all.len() - after.len() > 16 << 10 {
            found.insert(InvalidTrailers);
        }
        rest = after;
    }
}
