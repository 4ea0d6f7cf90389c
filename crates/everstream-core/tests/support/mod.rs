//! Decoder output in comparable form: each item, the byte that completed it, and the last event id.

pub(crate) mod reference;

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use everstream_core::{Decoder, Item, ItemRef};

/// One item, with everything that its accessors return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Event {
        event: String,
        data: String,
        /// The event's own id.
        id: Option<String>,
        /// The stream's last event id, read from the event.
        last: Option<String>,
    },
    Comment(String),
    Retry(Duration),
    /// A block without data set the last event id to this.
    Id(Option<String>),
    /// An item that none of these streams can cause.
    Other(&'static str),
}

/// An expected item, and the number of bytes of its stream after which it is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) at: usize,
    pub(crate) item: Seen,
}

/// An item that the decoder returned.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// The chunk that completed it.
    pub(crate) chunk: Range<usize>,
    /// How many bytes of the stream the decoder had taken by then.
    pub(crate) taken: usize,
    pub(crate) item: Seen,
    /// The decoder's last event id right after the item.
    pub(crate) last: Option<String>,
}

/// Which decoder method returns the items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Borrowed,
    Owned,
    /// Alternating, since one decoder may be used both ways.
    Alternating,
    /// Alternating, with a decoder that ignores comments.
    WithoutComments,
}

pub(crate) const FORMS: [Form; 4] = [
    Form::Borrowed,
    Form::Owned,
    Form::Alternating,
    Form::WithoutComments,
];

/// One stream, decoded to its end.
#[derive(Clone, Debug)]
pub(crate) struct Decoded {
    pub(crate) form: Form,
    pub(crate) arrivals: Vec<Arrival>,
    /// The last event id before and after `Decoder::end`.
    pub(crate) last_before_end: Option<String>,
    pub(crate) last: Option<String>,
}

/// Decodes several streams with one decoder. `cuts` are ascending positions in the concatenated streams;
/// the end of a stream always cuts. A repeated position makes an empty chunk.
pub(crate) fn decode(
    resume: Option<&str>,
    streams: &[&[u8]],
    cuts: &[usize],
    form: Form,
) -> Result<Vec<Decoded>, String> {
    let mut decoder = Decoder::new();
    decoder.set_ignore_comments(form == Form::WithoutComments);
    if resume.is_some() {
        decoder.set_last_event_id(resume);
    }
    let mut cuts = cuts.iter().copied().peekable();
    let mut before = 0;
    let mut result = Vec::new();
    for stream in streams {
        let mut arrivals = Vec::new();
        let mut start = 0;
        while let Some(cut) = cuts.next_if(|cut| *cut <= before + stream.len()) {
            take_all(
                &mut decoder,
                stream,
                start..cut - before,
                form,
                &mut arrivals,
            )?;
            start = cut - before;
        }
        take_all(
            &mut decoder,
            stream,
            start..stream.len(),
            form,
            &mut arrivals,
        )?;
        let last_before_end = decoder.last_event_id().map(str::to_owned);
        decoder.end();
        let last = decoder.last_event_id().map(str::to_owned);
        result.push(Decoded {
            form,
            arrivals,
            last_before_end,
            last,
        });
        before += stream.len();
    }
    Ok(result)
}

/// Decodes one chunk until there are no more items.
fn take_all(
    decoder: &mut Decoder,
    stream: &[u8],
    chunk: Range<usize>,
    form: Form,
    arrivals: &mut Vec<Arrival>,
) -> Result<(), String> {
    let mut input = &stream[chunk.clone()];
    loop {
        let left = input.len();
        let owned = match form {
            Form::Borrowed => false,
            Form::Owned => true,
            Form::Alternating | Form::WithoutComments => arrivals.len() % 2 == 1,
        };
        let item = if owned {
            decoder
                .decode_owned(&mut input)
                .map(|item| item.map(from_owned))
        } else {
            decoder
                .decode(&mut input)
                .map(|item| item.map(from_borrowed))
        };
        match item {
            Err(_) => return Err(format!("too large, at {}", chunk.end - input.len())),
            Ok(None) if input.is_empty() => return Ok(()),
            Ok(None) => return Err(format!("no item, and {} bytes left", input.len())),
            // Each item takes at least one byte, so this loop ends.
            Ok(Some(item)) if input.len() >= left => {
                return Err(format!("{item}, and no byte was taken for it"));
            }
            Ok(Some(item)) => arrivals.push(Arrival {
                chunk: chunk.clone(),
                taken: chunk.end - input.len(),
                item,
                last: decoder.last_event_id().map(str::to_owned),
            }),
        }
    }
}

pub(crate) fn from_borrowed(item: ItemRef<'_>) -> Seen {
    match item {
        ItemRef::Event(event) => Seen::Event {
            event: event.event().to_owned(),
            data: event.data().to_owned(),
            id: event.id().map(str::to_owned),
            last: event.last_event_id().map(str::to_owned),
        },
        ItemRef::Comment(text) => Seen::Comment(text.to_owned()),
        ItemRef::Retry(time) => Seen::Retry(time),
        // The item itself has no id: `compare` takes it from the decoder.
        ItemRef::Id => Seen::Id(None),
        ItemRef::Skipped => Seen::Other("skipped"),
        _ => Seen::Other("an unknown item"),
    }
}

pub(crate) fn from_owned(item: Item) -> Seen {
    match item {
        Item::Event(event) => Seen::Event {
            event: event.event().to_owned(),
            data: event.data().to_owned(),
            id: event.id().map(str::to_owned),
            last: event.last_event_id().map(str::to_owned),
        },
        Item::Comment(text) => Seen::Comment(text),
        Item::Retry(time) => Seen::Retry(time),
        Item::Id => Seen::Id(None),
        Item::Skipped => Seen::Other("skipped"),
        _ => Seen::Other("an unknown item"),
    }
}

/// Compares one decoded stream with what is due: the items, the chunk that completed each, and how much
/// of the input was taken for it.
pub(crate) fn compare(
    stream: &[u8],
    due: &[Due],
    last: Option<&str>,
    decoded: &Decoded,
) -> Result<(), String> {
    let comments = decoded.form != Form::WithoutComments;
    let due = due
        .iter()
        .filter(|due| comments || !matches!(due.item, Seen::Comment(_)));
    let due: Vec<&Due> = due.collect();
    let got: Vec<Seen> = decoded
        .arrivals
        .iter()
        .map(|arrival| match &arrival.item {
            Seen::Id(_) => Seen::Id(arrival.last.clone()),
            item => item.clone(),
        })
        .collect();
    if !due.iter().map(|due| &due.item).eq(&got) {
        let expected: Vec<Seen> = due.iter().map(|due| due.item.clone()).collect();
        return Err(format!(
            "expected\n{}got\n{}",
            listed(&expected),
            listed(&got)
        ));
    }
    for (number, (due, arrival)) in due.iter().zip(&decoded.arrivals).enumerate() {
        let item = &due.item;
        // The chunk with its last byte must complete it, and nothing after that may be taken except the
        // LF of a CRLF.
        let crlf = stream[due.at - 1..].starts_with(b"\r\n");
        let on_time = arrival.chunk.start < due.at && due.at <= arrival.chunk.end;
        let exact = arrival.taken == due.at || crlf && arrival.taken == due.at + 1;
        if !on_time || !exact {
            return Err(format!(
                "item {number},\n  {item}is due at byte {}, but was returned for chunk {:?} after {} bytes",
                due.at, arrival.chunk, arrival.taken
            ));
        }
        if let Seen::Event { last, .. } = item {
            if *last != arrival.last {
                return Err(format!(
                    "after item {number},\n  {item}the decoder's last event id is {:?}",
                    arrival.last
                ));
            }
        }
    }
    for (when, got) in [
        ("before", &decoded.last_before_end),
        ("after", &decoded.last),
    ] {
        if got.as_deref() != last {
            return Err(format!(
                "{when} the end, the last event id should be {last:?}, but is {got:?}"
            ));
        }
    }
    Ok(())
}

fn listed(items: &[Seen]) -> String {
    match items {
        [] => "  (nothing)\n".to_owned(),
        _ => items.iter().map(|item| format!("  {item}")).collect(),
    }
}

impl fmt::Display for Seen {
    /// One line, in the notation of `cases.txt`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Seen::Event {
                event,
                data,
                id,
                last,
            } => {
                write!(f, "> event data={} type={}", quoted(data), quoted(event))?;
                for (name, value) in [("id", id), ("last", last)] {
                    if let Some(value) = value {
                        write!(f, " {name}={}", quoted(value))?;
                    }
                }
                writeln!(f)
            }
            Seen::Comment(text) => writeln!(f, "> comment {}", quoted(text)),
            Seen::Retry(time) => writeln!(f, "> retry {}", time.as_millis()),
            Seen::Id(None) => writeln!(f, "> id none"),
            Seen::Id(Some(id)) => writeln!(f, "> id {}", quoted(id)),
            Seen::Other(what) => writeln!(f, "> {what}"),
        }
    }
}

/// Quoted, and truncated if very long, so that failures stay readable.
fn quoted(text: &str) -> String {
    const SHOWN: usize = 300;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}... ({} bytes)", &text[..end], text.len()),
        None => format!("{text:?}"),
    }
}
