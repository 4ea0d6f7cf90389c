//! Events and comments that lie whole in the chunk: most of most streams. They leave no trace in the
//! block, so that it needn't be cleared, and cost a fraction of what they would line by line.

use memchr::memchr2;

use super::Decoder;
use super::open_line::OpenLine;
use super::unfinished::Opening;
use crate::block;
use crate::field::{Field, split_field, without_space};
use crate::line::{after_lf, find_near_end};
use crate::utf8;

/// What the input begins with, at first sight.
pub(super) enum Plain<'i> {
    /// All of an event that has nothing but data: what most streams have most of.
    Event(&'i str),
    /// Nothing but the beginning of a line.
    Open,
    /// Nothing but a piece of the open data line.
    DataPiece,
    /// So many bytes of the open data line, and its end.
    DataEnd(usize),
    /// Nothing but a piece of another open line.
    Piece,
    /// So many bytes of another open line, and its end.
    End(usize),
    /// A type or an id, perhaps.
    Fields,
    Other,
}

/// What the input begins with.
pub(super) enum First<'i> {
    /// All of an event of one data line.
    Event(&'i str, Fields<'i>),
    /// All of a comment, between blocks.
    Comment(&'i str),
    /// Nothing but the beginning of a line.
    Open,
    /// Something that goes line by line.
    Lines,
}

/// What comes before the data.
#[derive(Clone, Copy, Default)]
pub(super) struct Fields<'i> {
    pub(super) event: Option<&'i str>,
    pub(super) id: Option<&'i str>,
}

impl Fields<'_> {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.event.is_none() && self.id.is_none()
    }
}

impl Decoder {
    /// The shortest way: what stands in the caller's loop.
    #[inline(always)]
    pub(super) fn plain<'i>(&mut self, input: &mut &'i [u8]) -> Plain<'i> {
        match self.open {
            OpenLine::Empty => {}
            OpenLine::Data => {
                return match memchr2(b'\n', b'\r', input) {
                    Some(end) => Plain::DataEnd(end),
                    None => Plain::DataPiece,
                };
            }
            // What is no data is mostly short.
            _ => {
                return match find_near_end(input) {
                    Some(end) => Plain::End(end),
                    None => Plain::Piece,
                };
            }
        }
        self.forget_last();
        let value = match *input {
            _ if !self.fresh => return Plain::Other,
            [b'd', b'a', b't', b'a', b':', value @ ..] => without_space(value),
            [b'e' | b'i', ..] => return Plain::Fields,
            _ => return Plain::Other,
        };
        let Some(end) = memchr2(b'\n', b'\r', value) else {
            return Plain::Open;
        };
        let rest = match &value[end..] {
            [b'\n', b'\n', rest @ ..] | [b'\r', b'\n', b'\r', b'\n', rest @ ..] => rest,
            _ => return Plain::Other,
        };
        if input.len() - rest.len() > self.limit {
            return Plain::Other;
        }
        let Some(data) = utf8::valid_prefix(value, end) else {
            return Plain::Other;
        };
        self.opening = Opening::Known;
        *input = rest;
        Plain::Event(data)
    }

    /// Passes over the end of a comment, or else does nothing.
    #[inline]
    pub(super) fn ends_ignored_comment(&mut self, rest: &[u8]) -> bool {
        let ignored = self.ignore_comments
            && self.raw.first() == Some(&b':')
            && self.raw.len() + rest.len() <= self.limit;
        if ignored {
            block::clear_bytes(&mut self.raw);
            self.open = OpenLine::Empty;
            if self.opening != Opening::Known {
                self.set_known();
            }
            self.ends.uncount_line();
        }
        ignored
    }

    /// Between blocks. (An LF that is still due after a CR would be a blank line here, which does
    /// nothing.)
    #[inline(always)]
    pub(super) fn first<'i>(&mut self, input: &mut &'i [u8]) -> First<'i> {
        self.forget_last();
        if !self.fresh {
            return First::Lines;
        }
        let mut rest = *input;
        let first = loop {
            rest = match rest {
                [b'\n', after @ ..] | [b'\r', b'\n', after @ ..] => {
                    if self.opening == Opening::Start {
                        self.opening = Opening::Blank;
                    }
                    after
                }
                [b':', text @ ..] => {
                    let Some(end) = find_near_end(text) else {
                        break First::Open;
                    };
                    let Some(after) = after_lf(&text[end..]) else {
                        break First::Lines;
                    };
                    if b":".len() + end > self.limit {
                        break First::Lines;
                    }
                    if !self.ignore_comments {
                        let Some(text) = utf8::valid_prefix(text, end) else {
                            break First::Lines;
                        };
                        self.opening = Opening::Known;
                        *input = after;
                        return First::Comment(text);
                    }
                    self.opening = Opening::Known;
                    after
                }
                // If nothing came before it, `plain` has seen that it isn't.
                [b'd', ..] if rest.len() < input.len() => {
                    *input = rest;
                    return self.first_data(Fields::default(), rest, input);
                }
                [b'e' | b'i', ..] => {
                    *input = rest;
                    return self.fields(input);
                }
                _ => break First::Lines,
            };
        };
        *input = rest;
        first
    }

    /// An event whose type or id comes before its data.
    #[inline(never)]
    pub(super) fn fields<'i>(&mut self, input: &mut &'i [u8]) -> First<'i> {
        let (mut fields, mut rest) = (Fields::default(), *input);
        loop {
            let (field, value, after) = match rest {
                [b'd', ..] => return self.first_data(fields, rest, input),
                [b'e' | b'i', ..] => {
                    let whole = rest;
                    let (line, rest) = match find_near_end(rest) {
                        Some(end) => rest.split_at(end),
                        None => return First::Lines,
                    };
                    let Some(after) = after_lf(rest) else {
                        return First::Lines;
                    };
                    let (field, value) = split_field(line);
                    let value = without_space(value);
                    // `value` ends where `line` does.
                    let start = line.len() - value.len();
                    (
                        field,
                        utf8::valid_prefix(&whole[start..], value.len()),
                        after,
                    )
                }
                _ => return First::Lines,
            };
            match (field, value) {
                (Field::Event, Some(event)) => fields.event = Some(event),
                (Field::Id, Some(id)) if !id.contains('\0') => fields.id = Some(id),
                _ => return First::Lines,
            }
            rest = after;
        }
    }

    /// An event of one `data:` line, which is its last, or what of that is in the chunk.
    #[inline(always)]
    fn first_data<'i>(
        &mut self,
        fields: Fields<'i>,
        line: &'i [u8],
        input: &mut &'i [u8],
    ) -> First<'i> {
        let value = match line.strip_prefix(b"data:") {
            Some(value) if input.len() - line.len() <= self.limit => without_space(value),
            _ => return First::Lines,
        };
        let Some(end) = memchr2(b'\n', b'\r', value) else {
            if !fields.is_empty() {
                self.keep_fields(fields, input.len() - line.len());
            }
            *input = line;
            return First::Open;
        };
        let rest = match &value[end..] {
            [b'\n', b'\n', rest @ ..] | [b'\r', b'\n', b'\r', b'\n', rest @ ..] => Some(rest),
            _ => None,
        };
        let whole = rest
            .filter(|rest| input.len() - rest.len() <= self.limit)
            .and_then(|rest| Some((utf8::valid_prefix(value, end)?, rest)));
        let Some((data, rest)) = whole else {
            if !fields.is_empty() {
                self.keep_fields(fields, input.len() - line.len());
            }
            *input = line;
            return First::Lines;
        };
        self.opening = Opening::Known;
        *input = rest;
        if let Some(id) = fields.id {
            block::clear(&mut self.last_id);
            self.last_id.push_str(id);
        }
        First::Event(data, fields)
    }

    #[inline(never)]
    fn keep_fields(&mut self, fields: Fields<'_>, received: usize) {
        self.opening = Opening::Known;
        self.fresh = false;
        self.block.count(received);
        self.block.set_fields(fields.event, fields.id);
    }
}
