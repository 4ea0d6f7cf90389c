//! What the decoder did, in a form that can be compared: every item, the byte with which it came,
//! and the last event id.

pub(crate) mod reference;

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use everstream_core::{Decoder, Item, ItemRef};

/// One item, with everything that can be read from it.
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
    /// Something that none of these streams can bring about.
    Other(&'static str),
}

/// An item, and how many bytes of its stream it takes to make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) at: usize,
    pub(crate) item: Seen,
}

/// An item as it came out of the decoder.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// The chunk with which it came.
    pub(crate) chunk: Range<usize>,
    /// How many bytes of the stream the decoder had taken by then.
    pub(crate) taken: usize,
    pub(crate) item: Seen,
    /// The decoder's last event id right after the item.
    pub(crate) last: Option<String>,
}

/// How items are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Lent,
    Owned,
    /// By turns, since both may be used on one decoder.
    Alternating,
    /// By turns, from a decoder that ignores comments.
    WithoutComments,
}

pub(crate) const FORMS: [Form; 4] = [
    Form::Lent,
    Form::Owned,
    Form::Alternating,
    Form::WithoutComments,
];

/// One stream, decoded to its end.
#[derive(Clone, Debug)]
pub(crate) struct Decoded {
    pub(crate) form: Form,
    pub(crate) arrivals: Vec<Arrival>,
    /// The last event id before and after the decoder learnt that the stream had ended.
    pub(crate) last_before_end: Option<String>,
    pub(crate) last: Option<String>,
}

/// Decodes streams one after the other with one decoder. `cuts` are ascending positions in all of
/// the streams joined; the end of a stream always cuts. A position given twice makes an empty chunk.
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

/// Offers one chunk, and asks for items until there is none.
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
            Form::Lent => false,
            Form::Owned => true,
            Form::Alternating | Form::WithoutComments => arrivals.len() % 2 == 1,
        };
        let item = if owned {
            decoder
                .decode_owned(&mut input)
                .map(|item| item.map(from_owned))
        } else {
            decoder.decode(&mut input).map(|item| item.map(from_lent))
        };
        match item {
            Err(_) => return Err(format!("too large, at {}", chunk.end - input.len())),
            Ok(None) if input.is_empty() => return Ok(()),
            Ok(None) => return Err(format!("no item, and {} bytes left", input.len())),
            // Each item ends with a byte of its own, so this cannot go on for ever.
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

pub(crate) fn from_lent(item: ItemRef<'_>) -> Seen {
    match item {
        ItemRef::Event(event) => Seen::Event {
            event: event.event().to_owned(),
            data: event.data().to_owned(),
            id: event.id().map(str::to_owned),
            last: event.last_event_id().map(str::to_owned),
        },
        ItemRef::Comment(text) => Seen::Comment(text.to_owned()),
        ItemRef::Retry(time) => Seen::Retry(time),
        // `compare` fills it in from the decoder: the item itself carries no id.
        ItemRef::Id => Seen::Id(None),
        ItemRef::Skipped => Seen::Other("skipped"),
        _ => Seen::Other("an item unknown to these tests"),
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
        _ => Seen::Other("an item unknown to these tests"),
    }
}

/// Holds one decoded stream against what is due in it: the items, the moment of each, and how much
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
        // It must come with the chunk that holds its last byte, and leave what follows alone, but
        // for the LF of a CRLF.
        let crlf = stream[due.at - 1..].starts_with(b"\r\n");
        let on_time = arrival.chunk.start < due.at && due.at <= arrival.chunk.end;
        let exact = arrival.taken == due.at || crlf && arrival.taken == due.at + 1;
        if !on_time || !exact {
            return Err(format!(
                "item {number},\n  {item}is due at byte {}, but came with the chunk {:?} when {} bytes were taken",
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
    /// One line, in the notation of the case file.
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

/// Quoted, and cut if very long, so that a failure can be read.
fn quoted(text: &str) -> String {
    const SHOWN: usize = 300;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}... ({} bytes)", &text[..end], text.len()),
        None => format!("{text:?}"),
    }
}
