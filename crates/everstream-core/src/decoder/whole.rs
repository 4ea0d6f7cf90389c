//! Fast paths for events and comments that are contained in the chunk, as most are. They don't touch the
//! block, so it needn't be cleared, and cost a fraction of decoding line by line: events with a type take 609
//! instructions instead of 865. Two alternatives were slower: the same code within the loop over lines, and one path
//! for events with and without a type.

use memchr::memchr2;

use super::Decoder;
use super::open_line::OpenLine;
use super::unfinished::StreamContent;
use crate::block;
use crate::field::{Field, split_field, without_space};
use crate::line::{after_lf, find_short_line_end};
use crate::utf8;

/// What the input begins with, according to the first, inlined check.
pub(super) enum FastPath<'i> {
    /// A complete event with nothing but data: the most common case.
    Event(&'i str),
    /// The input is the start of a line.
    LineStart,
    /// The whole input continues the open data line.
    DataContinued,
    /// The open data line ends after this many bytes.
    DataEnd(usize),
    /// The whole input continues another open line.
    LineContinued,
    /// Another open line ends after this many bytes.
    LineEnd(usize),
    /// Perhaps an `event:` or `id:` field.
    LeadingFields,
    Other,
}

/// What the input begins with, between two blocks.
pub(super) enum BlockStart<'i> {
    /// A complete event with one data line.
    Event(&'i str, LeadingFields<'i>),
    /// A complete comment.
    Comment(&'i str),
    /// The input is the start of a line.
    LineStart,
    /// Something that has to be decoded line by line.
    LineByLine,
}

/// The fields before the data.
#[derive(Clone, Copy, Default)]
pub(super) struct LeadingFields<'i> {
    pub(super) event: Option<&'i str>,
    pub(super) id: Option<&'i str>,
}

impl LeadingFields<'_> {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.event.is_none() && self.id.is_none()
    }
}

impl Decoder {
    /// The fastest path, inlined into the caller's loop.
    #[inline(always)]
    pub(super) fn fast_path<'i>(&mut self, input: &mut &'i [u8]) -> FastPath<'i> {
        match self.open {
            OpenLine::Empty => {}
            OpenLine::Data => {
                return match memchr2(b'\n', b'\r', input) {
                    Some(end) => FastPath::DataEnd(end),
                    None => FastPath::DataContinued,
                };
            }
            // Other lines are usually short.
            _ => {
                return match find_short_line_end(input) {
                    Some(end) => FastPath::LineEnd(end),
                    None => FastPath::LineContinued,
                };
            }
        }
        self.clear_last_item();
        let value = match *input {
            _ if !self.at_block_start => return FastPath::Other,
            [b'd', b'a', b't', b'a', b':', value @ ..] => without_space(value),
            [b'e' | b'i', ..] => return FastPath::LeadingFields,
            _ => return FastPath::Other,
        };
        let Some(end) = memchr2(b'\n', b'\r', value) else {
            return FastPath::LineStart;
        };
        let rest = match &value[end..] {
            [b'\n', b'\n', rest @ ..] | [b'\r', b'\n', b'\r', b'\n', rest @ ..] => rest,
            _ => return FastPath::Other,
        };
        if input.len() - rest.len() > self.limit {
            return FastPath::Other;
        }
        let Some(data) = utf8::valid_prefix(value, end) else {
            return FastPath::Other;
        };
        self.content = StreamContent::Recognized;
        *input = rest;
        FastPath::Event(data)
    }

    /// Skips the end of a comment if comments are ignored; otherwise does nothing.
    #[inline]
    pub(super) fn ends_ignored_comment(&mut self, rest: &[u8]) -> bool {
        let ignored = self.ignore_comments
            && self.raw.first() == Some(&b':')
            && self.raw.len() + rest.len() <= self.limit;
        if ignored {
            block::clear_bytes(&mut self.raw);
            self.open = OpenLine::Empty;
            if self.content != StreamContent::Recognized {
                self.set_recognized();
            }
            self.line_ends.uncount_line();
        }
        ignored
    }

    /// Decodes the start of a block. An LF that belongs to a CR in the last chunk looks like a blank line
    /// here, which has no effect.
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(super) fn block_start<'i>(&mut self, input: &mut &'i [u8]) -> BlockStart<'i> {
        self.clear_last_item();
        if !self.at_block_start {
            return BlockStart::LineByLine;
        }
        let mut rest = *input;
        let start = loop {
            rest = match rest {
                // A branch, because `unwrap_or` becomes a conditional move, which takes 108 ns instead of 86.
                [b'\n', after @ ..] | [b'\r', b'\n', after @ ..] => {
                    if self.content == StreamContent::Nothing {
                        self.content = StreamContent::Blank;
                    }
                    after
                }
                [b':', text @ ..] => {
                    let Some(end) = find_short_line_end(text) else {
                        break BlockStart::LineStart;
                    };
                    let Some(after) = after_lf(&text[end..]) else {
                        break BlockStart::LineByLine;
                    };
                    if b":".len() + end > self.limit {
                        break BlockStart::LineByLine;
                    }
                    if !self.ignore_comments {
                        let Some(text) = utf8::valid_prefix(text, end) else {
                            break BlockStart::LineByLine;
                        };
                        self.content = StreamContent::Recognized;
                        *input = after;
                        return BlockStart::Comment(text);
                    }
                    self.content = StreamContent::Recognized;
                    after
                }
                // Otherwise `fast_path` has already ruled this out.
                [b'd', ..] if rest.len() < input.len() => {
                    *input = rest;
                    return self.one_line_event(LeadingFields::default(), rest, input);
                }
                [b'e' | b'i', ..] => {
                    *input = rest;
                    return self.leading_fields(input);
                }
                _ => break BlockStart::LineByLine,
            };
        };
        *input = rest;
        start
    }

    /// Decodes an event whose type or id precedes its data.
    #[inline(never)]
    pub(super) fn leading_fields<'i>(&mut self, input: &mut &'i [u8]) -> BlockStart<'i> {
        let (mut fields, mut rest) = (LeadingFields::default(), *input);
        loop {
            let (field, value, after) = match rest {
                [b'd', ..] => return self.one_line_event(fields, rest, input),
                [b'e' | b'i', ..] => {
                    let whole = rest;
                    let (line, rest) = match find_short_line_end(rest) {
                        Some(end) => rest.split_at(end),
                        None => return BlockStart::LineByLine,
                    };
                    let Some(after) = after_lf(rest) else {
                        return BlockStart::LineByLine;
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
                _ => return BlockStart::LineByLine,
            };
            match (field, value) {
                (Field::Event, Some(event)) => fields.event = Some(event),
                (Field::Id, Some(id)) if !id.contains('\0') => fields.id = Some(id),
                _ => return BlockStart::LineByLine,
            }
            rest = after;
        }
    }

    /// Decodes an event whose last line is its only `data:` line, or the part of it in the chunk.
    #[inline(always)]
    fn one_line_event<'i>(
        &mut self,
        fields: LeadingFields<'i>,
        line: &'i [u8],
        input: &mut &'i [u8],
    ) -> BlockStart<'i> {
        let value = match line.strip_prefix(b"data:") {
            Some(value) if input.len() - line.len() <= self.limit => without_space(value),
            _ => return BlockStart::LineByLine,
        };
        let Some(end) = memchr2(b'\n', b'\r', value) else {
            if !fields.is_empty() {
                self.store_leading_fields(fields, input.len() - line.len());
            }
            *input = line;
            return BlockStart::LineStart;
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
                self.store_leading_fields(fields, input.len() - line.len());
            }
            *input = line;
            return BlockStart::LineByLine;
        };
        self.content = StreamContent::Recognized;
        *input = rest;
        if let Some(id) = fields.id {
            block::clear(&mut self.last_id);
            self.last_id.push_str(id);
        }
        BlockStart::Event(data, fields)
    }

    #[inline(never)]
    fn store_leading_fields(&mut self, fields: LeadingFields<'_>, received: usize) {
        self.content = StreamContent::Recognized;
        self.at_block_start = false;
        self.block.count(received);
        self.block.set_fields(fields.event, fields.id);
    }
}
