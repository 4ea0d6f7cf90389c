//! The decoders: functions that call `each` for every event of the chunks.

use std::any::Any;
use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use eventsource_client::{Client as _, ClientBuilder, ReconnectOptions, SSE};
use eventsource_stream::Eventsource as _;
use everstream_core::{Decoder, EventRef, Item, ItemRef, Oversize};
use futures_util::stream::{self, Stream};
use launchdarkly_sdk_transport::{HttpTransport, ResponseFuture};

use super::corpora::Chunks;
use super::tally::{Count, Digest, Told};

/// No measured event is larger.
const LIMIT: usize = 128 << 20;

pub struct Peer {
    pub name: &'static str,
    pub ours: bool,
    pub count: fn(&Chunks) -> Count,
    pub digest: fn(&Chunks) -> Digest,
    /// Returns the last event, if events are owned.
    pub last: Option<Keep>,
}

impl Peer {
    /// Whether it can return comments. (eventsource-client always does.)
    pub fn has_comments(&self) -> bool {
        self.ours || self.name == "eventsource-client"
    }
}

type Keep = fn(&Chunks) -> Box<dyn Any>;

macro_rules! peer {
    (lent $name:literal, $ours:literal, $run:ident, $last:expr) => {
        Peer {
            name: $name,
            ours: $ours,
            count: |chunks| {
                let mut count = Count::default();
                $run(chunks, |event| count.add(&event));
                count
            },
            digest: |chunks| {
                let mut digest = Digest::default();
                $run(chunks, |event| digest.add(&event));
                digest
            },
            last: $last,
        }
    };
    ($name:literal, $ours:literal, $run:ident) => {
        peer!(lent $name, $ours, $run, Some(|chunks| {
            let mut last = None;
            $run(chunks, |event| last = Some(event));
            Box::new(last)
        }))
    };
}

pub const LENT: &str = "everstream, lent";
pub const OWNED: &str = "everstream, owned";
pub const SSE_CORE: &str = "sse-core";
pub const SSE_STREAM: &str = "sse-stream";

pub const PEERS: [Peer; 7] = [
    peer!(lent "everstream, lent", true, everstream_lent, None),
    peer!("everstream, owned", true, everstream_owned),
    peer!("sse-core", false, sse_core),
    peer!("sse-stream", false, sse_stream),
    peer!("sseer", false, sseer),
    peer!("eventsource-stream", false, eventsource_stream),
    peer!("eventsource-client", false, eventsource_client),
];

/// The minimum that a decoder must do: find the ends of the lines.
pub fn floor(chunks: &Chunks) -> usize {
    let ends = |chunk: &Bytes| memchr::memchr2_iter(b'\n', b'\r', chunk).count();
    chunks.iter().map(ends).sum()
}

fn everstream_lent(chunks: &Chunks, mut each: impl FnMut(EventRef<'_>)) {
    let mut decoder = Decoder::with_limit(LIMIT, Oversize::Fail);
    decoder.set_ignore_comments(!chunks.comments);
    for chunk in chunks.iter() {
        let mut input: &[u8] = chunk;
        while let Ok(Some(item)) = decoder.decode(&mut input) {
            if let ItemRef::Event(event) = item {
                each(event);
            }
        }
    }
}

fn everstream_owned(chunks: &Chunks, mut each: impl FnMut(everstream_core::Event)) {
    let mut decoder = Decoder::with_limit(LIMIT, Oversize::Fail);
    decoder.set_ignore_comments(!chunks.comments);
    for chunk in chunks.iter() {
        let mut input: &[u8] = chunk;
        while let Ok(Some(item)) = decoder.decode_owned(&mut input) {
            if let Item::Event(event) = item {
                each(event);
            }
        }
    }
}

fn sse_core(chunks: &Chunks, mut each: impl FnMut(sse_core::MessageEvent)) {
    let limit = NonZeroUsize::MIN.saturating_add(LIMIT);
    let mut decoder = sse_core::SseDecoder::with_limit(limit);
    for chunk in chunks.iter() {
        let mut input: &[u8] = chunk;
        while let Some(Ok(item)) = decoder.next(&mut input) {
            if let sse_core::SseEvent::Message(event) = item {
                each(event);
            }
        }
    }
}

fn sse_stream(chunks: &Chunks, mut each: impl FnMut(sse_stream::Sse)) {
    drain(sse_stream::SseByteStream::new(lent(chunks)), |event| {
        // A block without data isn't an event.
        if event.data.is_some() {
            each(event);
        }
    });
}

fn sseer(chunks: &Chunks, each: impl FnMut(sseer::event::Event)) {
    // It accepts only owned chunks.
    let chunks = stream::iter(chunks.iter().cloned().map(Ok::<_, Infallible>));
    drain(sseer::EventStream::new(chunks), each);
}

fn eventsource_stream(chunks: &Chunks, each: impl FnMut(eventsource_stream::Event)) {
    drain(lent(chunks).eventsource(), each);
}

/// Its parser is private, so it is measured through a connection in memory.
fn eventsource_client(chunks: &Chunks, mut each: impl FnMut(eventsource_client::Event)) {
    let once = ReconnectOptions::reconnect(false).build();
    let Ok(builder) = ClientBuilder::for_url("http://in.memory/") else {
        return;
    };
    let memory = Memory(chunks.clone());
    let client = builder.reconnect(once).build_with_transport(memory);
    drain(client.stream(), |item| {
        if let SSE::Event(event) = item {
            each(event);
        }
    });
}

#[derive(Clone)]
struct Memory(Chunks);

impl HttpTransport for Memory {
    fn request(&self, _: http::Request<Option<Bytes>>) -> ResponseFuture {
        let chunks = self.0.clone();
        let chunks = (0..chunks.len()).map(move |index| Ok(chunks[index].clone()));
        let body: launchdarkly_sdk_transport::ByteStream = Box::pin(stream::iter(chunks));
        Box::pin(std::future::ready(Ok(http::Response::new(body))))
    }
}

fn lent(chunks: &Chunks) -> impl Stream<Item = Result<&[u8], Infallible>> {
    stream::iter(chunks.iter().map(|chunk| Ok(&chunk[..])))
}

/// Polls a stream that never waits, to its end or its first error.
fn drain<T, E>(stream: impl Stream<Item = Result<T, E>>, mut each: impl FnMut(T)) {
    let mut stream = pin!(stream);
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(Ok(event))) = stream.as_mut().poll_next(&mut cx) {
        each(event);
    }
}

impl Told for EventRef<'_> {
    fn kind(&self) -> &str {
        self.event()
    }
    fn data(&self) -> &str {
        EventRef::data(self)
    }
}

impl Told for everstream_core::Event {
    fn kind(&self) -> &str {
        self.event()
    }
    fn data(&self) -> &str {
        everstream_core::Event::data(self)
    }
}

impl Told for sse_core::MessageEvent {
    fn kind(&self) -> &str {
        &self.event
    }
    fn data(&self) -> &str {
        &self.data
    }
}

impl Told for sse_stream::Sse {
    fn kind(&self) -> &str {
        self.event.as_deref().unwrap_or("message")
    }
    fn data(&self) -> &str {
        self.data.as_deref().unwrap_or_default()
    }
}

impl Told for sseer::event::Event {
    fn kind(&self) -> &str {
        &self.event
    }
    fn data(&self) -> &str {
        &self.data
    }
}

impl Told for eventsource_stream::Event {
    fn kind(&self) -> &str {
        &self.event
    }
    fn data(&self) -> &str {
        &self.data
    }
}

impl Told for eventsource_client::Event {
    fn kind(&self) -> &str {
        &self.event_type
    }
    fn data(&self) -> &str {
        &self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::corpora;

    #[test]
    fn our_decoder_decodes_every_corpus_correctly_in_chunks_of_every_size() {
        for corpus in corpora::all(1 << 14) {
            for size in [7, 64, 1_460, 1 << 14, 1 << 18] {
                for peer in PEERS.iter().filter(|peer| peer.ours) {
                    let chunks = corpus.chunks(size);
                    assert_eq!((peer.digest)(&chunks), corpus.expected, "{}", corpus.name);
                }
            }
        }
    }
}
