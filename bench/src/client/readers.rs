//! The clients. Each function sets up a client, and returns a function that reads a number of events from
//! a URL and passes them to a taker.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::pin::pin;
use std::sync::Arc;

use eventsource_client::{Client as _, ClientBuilder, ReconnectOptions, SSE};
use everstream::SseClient;
use futures_util::StreamExt;
use hyper_rustls::HttpsConnectorBuilder;
use launchdarkly_sdk_transport::{HttpTransport, HyperTransport};
use sse_reqwest_client::RequestBuilderExt as _;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::rustls::{ClientConnection, StreamOwned};

use super::takers::Taker;
use crate::Outcome;
use crate::page::version;
use crate::tls::Trust;

pub type Reading<T> = Box<dyn FnMut(&str, u64, &mut T) -> Outcome>;

pub struct Reader<T> {
    pub name: &'static str,
    /// The package whose version is shown.
    package: Option<&'static str>,
    pub kind: Kind,
    pub make: fn(&Trust) -> Outcome<Reading<T>>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    /// Reads bytes instead of events.
    Floor,
    Ours,
    Peer,
}

impl<T> Reader<T> {
    /// The name with the version, if there is one.
    pub fn title(&self) -> String {
        match self.package {
            Some(package) => format!("{} {}", self.name, version(package)),
            None => self.name.to_owned(),
        }
    }
}

pub const DRAINED: &str = "reqwest, body drained";
pub const ASYNC: &str = "everstream, async";
pub const BLOCKING: &str = "everstream, blocking";
pub const SSE_STREAM: &str = "reqwest + sse-stream";
pub const SSE_REQWEST_CLIENT: &str = "sse-reqwest-client";

#[rustfmt::skip] // a row for each
pub fn readers<T: Taker>() -> [Reader<T>; 9] {
    use Kind::{Floor, Ours, Peer};
    [
        reader("socket, read only", None, Floor, socket),
        reader(DRAINED, Some("reqwest"), Floor, drained),
        reader(ASYNC, None, Ours, everstream_async),
        reader(BLOCKING, None, Ours, everstream_blocking),
        reader(SSE_STREAM, Some("sse-stream"), Peer, sse_stream),
        reader(SSE_REQWEST_CLIENT, Some("sse-reqwest-client"), Peer, sse_reqwest_client),
        reader("reqwest + sseer", Some("sseer"), Peer, sseer),
        reader("eventsource-client", Some("eventsource-client"), Peer, eventsource_client),
        reader("reqwest-eventsource", Some("reqwest-eventsource"), Peer, reqwest_eventsource),
    ]
}

fn reader<T>(
    name: &'static str,
    package: Option<&'static str>,
    kind: Kind,
    make: fn(&Trust) -> Outcome<Reading<T>>,
) -> Reader<T> {
    Reader {
        name,
        package,
        kind,
        make,
    }
}

/// The reader with this name.
pub fn named<T: Taker>(name: &str) -> Outcome<Reader<T>> {
    let mut all = readers().into_iter();
    Ok(all
        .find(|reader| reader.name == name)
        .ok_or("no such client")?)
}

pub fn runtime() -> Outcome<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

/// Passes on the events of an asynchronous client, until that many have arrived.
macro_rules! events {
    ($stream:expr, $count:expr, $taker:expr, $item:pat => $data:expr) => {{
        let mut stream = pin!($stream);
        let mut left = $count;
        while left > 0 {
            // Other actions are skipped. An early end shows in the number of events.
            match stream.next().await {
                Some(Ok($item)) => {
                    $taker.event($data);
                    left -= 1;
                }
                #[allow(unreachable_patterns)] // some clients report only events
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.to_string().into()),
                None => break,
            }
        }
        Ok(())
    }};
}

/// The bytes of the connection, decrypted by rustls for an https URL. No client can do less.
fn socket<T: Taker>(trust: &Trust) -> Outcome<Reading<T>> {
    let tls = trust.rustls()?.map(Arc::new);
    Ok(Box::new(move |url, _, taker| {
        let (host, path) = url
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once('/'))
            .ok_or("no such URL")?;
        let address: std::net::SocketAddr = host.parse()?;
        let socket = TcpStream::connect(address)?;
        let request =
            format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\r\n");
        match &tls {
            None => read_all(socket, &request, taker),
            Some(config) => {
                let session = ClientConnection::new(config.clone(), address.ip().into())?;
                read_all(StreamOwned::new(session, socket), &request, taker)
            }
        }
    }))
}

fn read_all(mut connection: impl Read + Write, request: &str, taker: &mut impl Taker) -> Outcome {
    connection.write_all(request.as_bytes())?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match connection.read(&mut buffer)? {
            0 => return Ok(()),
            read => taker.bytes(&buffer[..read]),
        }
    }
}

fn drained<T: Taker>(trust: &Trust) -> Outcome<Reading<T>> {
    let (runtime, client) = (runtime()?, trust.reqwest()?.build()?);
    Ok(Box::new(move |url, _, taker| {
        runtime.block_on(async {
            let mut response = client.get(url).send().await?;
            while let Some(chunk) = response.chunk().await? {
                taker.bytes(&chunk);
            }
            Ok(())
        })
    }))
}

fn everstream_async<T: Taker>(trust: &Trust) -> Outcome<Reading<T>> {
    let (runtime, http) = (runtime()?, trust.http("http://unused/"));
    Ok(Box::new(move |url, count, taker| {
        runtime.block_on(async {
            let mut client = SseClient::new(http.clone().set_url(url))?;
            let mut left = count;
            while left > 0 {
                let Some(event) = client.next_event().await else {
                    break;
                };
                taker.event(event?.data());
                left -= 1;
            }
            Ok(())
        })
    }))
}

fn everstream_blocking<T: Taker>(trust: &Trust) -> Outcome<Reading<T>> {
    let http = trust.http("http://unused/");
    Ok(Box::new(move |url, count, taker| {
        let mut client = everstream::blocking::SseClient::new(http.clone().set_url(url))?;
        for event in client.events().take(count as usize) {
            taker.event(event?.data());
        }
        Ok(())
    }))
}

fn sse_stream<T: Taker>(trust: &Trust) -> Outcome<Reading<T>> {
    let (runtime, client) = (runtime()?, trust.reqwest()?.build()?);
    Ok(Box::new(move |url, count, taker| {
        runtime.block_on(async {
            let body = client.get(url).send().await?.bytes_stream();
            let stream = sse_stream::SseByteStream::new(body);
            events!(stream, count, taker, sse_stream::Sse { data: Some(data), .. } => &data)
        })
    }))
}

fn sse_reqwest_client<T: Taker>(trust: &Trust) -> Outcome<Reading<T>> {
    use sse_reqwest_client::SseEvent::Message;
    let (runtime, client) = (runtime()?, trust.reqwest()?.build()?);
    Ok(Box::new(move |url, count, taker| {
        runtime.block_on(async {
            let stream = client.get(url).into_event_source();
            events!(stream, count, taker, Message(event) => &event.data)
        })
    }))
}

fn sseer<T: Taker>(trust: &Trust) -> Outcome<Reading<T>> {
    let (runtime, client) = (runtime()?, trust.reqwest()?.build()?);
    Ok(Box::new(move |url, count, taker| {
        runtime.block_on(async {
            let body = client.get(url).send().await?.bytes_stream();
            let stream = sseer::EventStream::new(body);
            events!(stream, count, taker, sseer::event::Event { data, .. } => &data)
        })
    }))
}

fn eventsource_client<T: Taker>(trust: &Trust) -> Outcome<Reading<T>> {
    match trust.rustls()? {
        None => eventsource_client_over(HyperTransport::new()?),
        Some(config) => {
            let connector = HttpsConnectorBuilder::new().with_tls_config(config);
            let connector = connector.https_only().enable_http1().build();
            eventsource_client_over(HyperTransport::builder().build_with_connector(connector)?)
        }
    }
}

fn eventsource_client_over<T: Taker>(transport: impl HttpTransport) -> Outcome<Reading<T>> {
    let runtime = runtime()?;
    Ok(Box::new(move |url, count, taker| {
        runtime.block_on(async {
            let once = ReconnectOptions::reconnect(false).build();
            let builder = ClientBuilder::for_url(url).map_err(|error| error.to_string())?;
            let client = builder
                .reconnect(once)
                .build_with_transport(transport.clone());
            events!(client.stream(), count, taker, SSE::Event(event) => &event.data)
        })
    }))
}

fn reqwest_eventsource<T: Taker>(trust: &Trust) -> Outcome<Reading<T>> {
    use reqwest_eventsource::{Event::Message, EventSource};
    let (runtime, client) = (runtime()?, trust.reqwest_012()?.build()?);
    Ok(Box::new(move |url, count, taker| {
        runtime.block_on(async {
            let stream = EventSource::new(client.get(url))?;
            events!(stream, count, taker, Message(event) => &event.data)
        })
    }))
}
