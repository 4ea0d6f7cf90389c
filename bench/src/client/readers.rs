//! Who reads. Each makes what a program makes once, and returns the function that then reads so many
//! events from a URL and returns the length of their data.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::pin::pin;

use eventsource_client::{Client as _, ClientBuilder, ReconnectOptions, SSE};
use everstream::{Http, SseClient};
use futures_util::StreamExt;
use launchdarkly_sdk_transport::HyperTransport;
use sse_reqwest_client::RequestBuilderExt as _;
use tokio::runtime::{Builder, Runtime};

use crate::Outcome;

pub type Reading = Box<dyn FnMut(&str, u64) -> Outcome<u64>>;

pub struct Reader {
    pub name: &'static str,
    /// Whose version tells which one it is.
    pub package: Option<&'static str>,
    /// Bytes of the body instead of events.
    pub raw: bool,
    pub make: fn() -> Outcome<Reading>,
}

pub const DRAINED: &str = "reqwest, body drained";

pub const READERS: [Reader; 9] = [
    Reader {
        name: "TCP, read only",
        package: None,
        raw: true,
        make: tcp,
    },
    Reader {
        name: DRAINED,
        package: Some("reqwest"),
        raw: true,
        make: drained,
    },
    Reader {
        name: "everstream, async",
        package: None,
        raw: false,
        make: everstream_async,
    },
    Reader {
        name: "everstream, blocking",
        package: None,
        raw: false,
        make: everstream_blocking,
    },
    Reader {
        name: "reqwest + sse-stream",
        package: Some("sse-stream"),
        raw: false,
        make: sse_stream,
    },
    Reader {
        name: "sse-reqwest-client",
        package: Some("sse-reqwest-client"),
        raw: false,
        make: sse_reqwest_client,
    },
    Reader {
        name: "reqwest + sseer",
        package: Some("sseer"),
        raw: false,
        make: sseer,
    },
    Reader {
        name: "eventsource-client",
        package: Some("eventsource-client"),
        raw: false,
        make: eventsource_client,
    },
    Reader {
        name: "reqwest-eventsource",
        package: Some("reqwest-eventsource"),
        raw: false,
        make: reqwest_eventsource,
    },
];

pub fn runtime() -> Outcome<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

pub fn reqwest() -> Outcome<reqwest::Client> {
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

/// Adds up what an asynchronous client brings, until so many events came.
macro_rules! events {
    ($stream:expr, $count:expr, $item:pat => $length:expr) => {{
        let mut stream = pin!($stream);
        let (mut left, mut bytes) = ($count, 0);
        while left > 0 {
            // What isn't an event is passed over, and an early end shows in the sum.
            match stream.next().await {
                Some(Ok($item)) => {
                    bytes += $length as u64;
                    left -= 1;
                }
                #[allow(unreachable_patterns)] // some clients tell only of events
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.to_string().into()),
                None => break,
            }
        }
        Ok(bytes)
    }};
}

fn tcp() -> Outcome<Reading> {
    Ok(Box::new(|url, _| {
        let (host, path) = url
            .strip_prefix("http://")
            .and_then(|rest| rest.split_once('/'))
            .ok_or("no such URL")?;
        let mut connection = TcpStream::connect(host)?;
        write!(
            connection,
            "GET /{path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\r\n"
        )?;
        let mut buffer = vec![0; 64 << 10];
        let mut bytes = 0;
        loop {
            match connection.read(&mut buffer)? {
                0 => break,
                read => bytes += read as u64,
            }
        }
        Ok(bytes)
    }))
}

fn drained() -> Outcome<Reading> {
    let (runtime, client) = (runtime()?, reqwest()?);
    Ok(Box::new(move |url, _| {
        runtime.block_on(async {
            let mut response = client.get(url).send().await?;
            let mut bytes = 0;
            while let Some(chunk) = response.chunk().await? {
                bytes += chunk.len() as u64;
            }
            Ok(bytes)
        })
    }))
}

fn everstream_async() -> Outcome<Reading> {
    let (runtime, http) = (runtime()?, Http::new("http://unused/").no_proxy());
    Ok(Box::new(move |url, count| {
        runtime.block_on(async {
            let mut client = SseClient::new(http.clone().set_url(url))?;
            let (mut left, mut bytes) = (count, 0);
            while left > 0 {
                let Some(event) = client.next_event().await else {
                    break;
                };
                bytes += event?.data().len() as u64;
                left -= 1;
            }
            Ok(bytes)
        })
    }))
}

fn everstream_blocking() -> Outcome<Reading> {
    let http = Http::new("http://unused/").no_proxy();
    Ok(Box::new(move |url, count| {
        let mut client = everstream::blocking::SseClient::new(http.clone().set_url(url))?;
        let mut bytes = 0;
        for event in client.events().take(count as usize) {
            bytes += event?.data().len() as u64;
        }
        Ok(bytes)
    }))
}

fn sse_stream() -> Outcome<Reading> {
    let (runtime, client) = (runtime()?, reqwest()?);
    Ok(Box::new(move |url, count| {
        runtime.block_on(async {
            let body = client.get(url).send().await?.bytes_stream();
            let stream = sse_stream::SseByteStream::new(body);
            events!(stream, count, sse_stream::Sse { data: Some(data), .. } => data.len())
        })
    }))
}

fn sse_reqwest_client() -> Outcome<Reading> {
    use sse_reqwest_client::SseEvent::Message;
    let (runtime, client) = (runtime()?, reqwest()?);
    Ok(Box::new(move |url, count| {
        runtime.block_on(async {
            let stream = client.get(url).into_event_source();
            events!(stream, count, Message(event) => event.data.len())
        })
    }))
}

fn sseer() -> Outcome<Reading> {
    let (runtime, client) = (runtime()?, reqwest()?);
    Ok(Box::new(move |url, count| {
        runtime.block_on(async {
            let body = client.get(url).send().await?.bytes_stream();
            let stream = sseer::EventStream::new(body);
            events!(stream, count, sseer::event::Event { data, .. } => data.len())
        })
    }))
}

fn eventsource_client() -> Outcome<Reading> {
    let (runtime, transport) = (runtime()?, HyperTransport::new()?);
    Ok(Box::new(move |url, count| {
        runtime.block_on(async {
            let once = ReconnectOptions::reconnect(false).build();
            let builder = ClientBuilder::for_url(url).map_err(|error| error.to_string())?;
            let client = builder
                .reconnect(once)
                .build_with_transport(transport.clone());
            events!(client.stream(), count, SSE::Event(event) => event.data.len())
        })
    }))
}

fn reqwest_eventsource() -> Outcome<Reading> {
    use reqwest_eventsource::{Event::Message, EventSource};
    let runtime = runtime()?;
    let client = reqwest_012::Client::builder().no_proxy().build()?;
    Ok(Box::new(move |url, count| {
        runtime.block_on(async {
            let stream = EventSource::new(client.get(url))?;
            events!(stream, count, Message(event) => event.data.len())
        })
    }))
}
