//! A client of the Model Context Protocol over its streamable HTTP transport (version 2025-11-25).
//!
//! `mcp-client URL` lists a server's tools; `mcp-client URL TOOL '{"argument": 1}'` calls one. The
//! result is printed as JSON, and what the server notifies of meanwhile to standard error. A token in
//! `MCP_TOKEN` is sent along.
//!
//! Each message is a POST, which the server answers with JSON or with a stream. If a stream ends before
//! the answer arrived, `resume_with_get` resumes it: the message isn't sent again, because a tool may
//! have done its work already.
//!
//! JSON can be long, so reqwest sends the POST, and a custom source reads what is a stream. A client
//! whose server always answers with streams needs no more than the guide "MCP" shows.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use everstream::error_strategy::continue_with_max_attempts;
use everstream::{
    BoxError, ClientContext, ConnectFuture, ConnectRequest, ConnectStrategy, Connection,
    ConnectionClient, Error, ErrorResponse, Event, Fault, SseClient,
};
use futures_util::stream;
use reqwest::{RequestBuilder, Response, StatusCode, redirect};
use serde_json::{Value, json};

const VERSION: &str = "2025-11-25";

/// So many times in a row it tries in vain to resume an answer.
const ATTEMPTS: u32 = 5;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = tokio::select! {
        outcome = run() => outcome,
        _ = tokio::signal::ctrl_c() => return ExitCode::from(130),
    };
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    eprint!("mcp-client: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!();
    ExitCode::FAILURE
}

async fn run() -> Result<(), BoxError> {
    let mut args = std::env::args().skip(1);
    let Some(url) = args.next() else {
        return Err("usage: mcp-client URL [TOOL [ARGUMENTS]]".into());
    };
    // reqwest's TLS, without the feature `rustls`, uses the provider that the program installs.
    _ = rustls::crypto::ring::default_provider().install_default();
    let call = args.next();
    let arguments: Value = match args.next() {
        Some(arguments) => serde_json::from_str(&arguments)?,
        None => json!({}),
    };
    let mut session = Session::open(url, std::env::var("MCP_TOKEN").ok()).await?;
    let outcome = match call {
        Some(tool) => {
            // Without a token the server doesn't tell how far it is.
            let token = json!({"progressToken": 1});
            let params = json!({"name": tool, "arguments": arguments, "_meta": token});
            session.call("tools/call", params).await
        }
        None => session.call("tools/list", json!({})).await,
    };
    session.close().await;
    writeln!(io::stdout(), "{}", outcome?)?;
    Ok(())
}

struct Session {
    transport: Transport,
    calls: u64,
}

/// What all requests have in common; clones share their connections.
#[derive(Clone)]
struct Transport {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
    /// The server chooses it with its first answer, if it wants one.
    session: Option<String>,
    /// What was agreed on, from then on.
    version: Option<String>,
}

impl Session {
    async fn open(url: String, token: Option<String>) -> Result<Session, BoxError> {
        let mut session = Session {
            transport: Transport {
                // No limit for a whole answer: a tool may work for long.
                http: reqwest::Client::builder()
                    .connect_timeout(Duration::from_secs(10))
                    // Token and session are for this server alone.
                    .redirect(redirect::Policy::none())
                    .build()?,
                url,
                token,
                session: None,
                version: None,
            },
            calls: 0,
        };
        let hello = json!({
            "protocolVersion": VERSION,
            "capabilities": {},
            "clientInfo": {"name": "everstream-example", "version": "0.1.0"},
        });
        let answer = session.call("initialize", hello).await?;
        let version = answer["protocolVersion"].as_str().unwrap_or_default();
        if version != VERSION {
            return Err(format!("the server speaks version {version:?}, this is {VERSION}").into());
        }
        session.transport.version = Some(version.to_owned());
        let message = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        session.transport.post(&message).await?;
        Ok(session)
    }

    /// Sends a request, and waits for its result.
    async fn call(&mut self, method: &str, params: Value) -> Result<Value, BoxError> {
        self.calls += 1;
        let id = json!(self.calls);
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let response = self.transport.post(&message).await?;
        if let Some(session) = response.headers().get("mcp-session-id") {
            self.transport.session = Some(session.to_str()?.to_owned());
        }
        let mut answer = match content_type(&response).as_str() {
            "application/json" => serde_json::from_slice(&response.bytes().await?)?,
            "text/event-stream" => self.transport.read(response, &id).await?,
            other => return Err(format!("the answer is of type {other:?}").into()),
        };
        match answer.get("error") {
            Some(error) => Err(format!("{method}: {error}").into()),
            None => Ok(answer["result"].take()),
        }
    }

    /// Tells the server that it can forget the session.
    async fn close(self) {
        if self.transport.session.is_some() {
            let request = self.transport.http.delete(&self.transport.url);
            let request = request.timeout(Duration::from_secs(5));
            // It may refuse, and it has time-outs of its own.
            _ = self.transport.send(request).await;
        }
    }
}

impl Transport {
    async fn post(&self, message: &Value) -> Result<Response, BoxError> {
        let request = self
            .http
            .post(&self.url)
            .header("accept", "application/json, text/event-stream")
            .header("content-type", "application/json")
            .body(message.to_string());
        let response = self.send(request).await?;
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::NOT_FOUND if self.session.is_some() => {
                Err("the server has forgotten the session: begin anew".into())
            }
            status => {
                let said = response.text().await.unwrap_or_default();
                Err(format!("the server answered with {status}: {said}").into())
            }
        }
    }

    async fn send(&self, mut request: RequestBuilder) -> reqwest::Result<Response> {
        for (name, value) in [
            ("mcp-session-id", &self.session),
            ("mcp-protocol-version", &self.version),
        ] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request.send().await
    }

    /// Reads the stream until the answer with this id is there.
    async fn read(&self, response: Response, id: &Value) -> Result<Value, BoxError> {
        let answer = Answer {
            transport: self.clone(),
            first: Mutex::new(Some(response)),
        };
        // Not `until`: it doesn't hand out the event that ends the stream, and that one is the answer.
        let mut client = SseClient::builder(answer)
            .resume_with_get(true)
            .error_strategy(continue_with_max_attempts(ATTEMPTS))
            .build()?;
        while let Some(event) = client.next_event().await {
            let event = event.map_err(|error| match error {
                Error::NotRepeated(fault) => {
                    format!("the answer broke off, and has no ids to resume it by: {fault}").into()
                }
                error => BoxError::from(error),
            })?;
            let Some(message) = message(&event)? else {
                continue;
            };
            match (message.get("id"), message["method"].as_str()) {
                (Some(answered), None) if answered == id => return Ok(message),
                (Some(asked), Some(method)) => self.reply(asked, method).await?,
                (None, Some(_)) => eprintln!("{message}"),
                _ => {}
            }
        }
        Err("the stream ended without the answer".into())
    }

    async fn resume(&self, last_event_id: Option<String>) -> Result<Connection, Fault> {
        let request = self
            .http
            .get(&self.url)
            .header("accept", "text/event-stream")
            .header("last-event-id", last_event_id.unwrap_or_default());
        let response = self.send(request).await.map_err(|error| {
            if error.is_connect() {
                Fault::Connect(error.into())
            } else {
                Fault::Request(error.into())
            }
        })?;
        let mut refusal = ErrorResponse::new(response.status().as_u16());
        refusal.url = self.url.clone();
        if !response.status().is_success() {
            return Err(Fault::Status(Box::new(refusal)));
        }
        if content_type(&response) != "text/event-stream" {
            return Err(Fault::ContentType(Box::new(refusal)));
        }
        Ok(connection(response))
    }

    /// The server asks for something. This client only tells that it is alive.
    async fn reply(&self, id: &Value, method: &str) -> Result<(), BoxError> {
        let reply = match method {
            "ping" => json!({"jsonrpc": "2.0", "id": id, "result": {}}),
            _ => {
                let error = json!({"code": -32601, "message": format!("no method {method}")});
                json!({"jsonrpc": "2.0", "id": id, "error": error})
            }
        };
        self.post(&reply).await?;
        Ok(())
    }
}

/// The stream that answers one message.
struct Answer {
    transport: Transport,
    /// The response to the POST.
    first: Mutex<Option<Response>>,
}

impl ConnectStrategy for Answer {
    fn create_client(&self, _: ClientContext) -> Result<Box<dyn ConnectionClient>, Error> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Box::new(AnswerClient {
            transport: self.transport.clone(),
            first: first.take(),
        }))
    }
}

struct AnswerClient {
    transport: Transport,
    first: Option<Response>,
}

impl ConnectionClient for AnswerClient {
    fn connect(&mut self, request: ConnectRequest) -> ConnectFuture {
        let (first, transport) = (self.first.take(), self.transport.clone());
        Box::pin(async move {
            match first {
                Some(response) => Ok(connection(response)),
                // `request.resume_with_get` is set: the POST is never asked for again.
                None => transport.resume(request.last_event_id).await,
            }
        })
    }

    fn is_repeatable(&self) -> bool {
        false
    }

    fn can_resume_with_get(&self) -> bool {
        true
    }
}

fn connection(response: Response) -> Connection {
    Connection::from_stream(stream::try_unfold(response, async |mut response| {
        let chunk = response.chunk().await?;
        Ok::<_, reqwest::Error>(chunk.map(|chunk| (chunk, response)))
    }))
}

/// Events of other types, and those that only bring an id, are none of ours.
fn message(event: &Event) -> Result<Option<Value>, serde_json::Error> {
    match (event.event(), event.data()) {
        ("message", data) if !data.is_empty() => serde_json::from_str(data).map(Some),
        _ => Ok(None),
    }
}

/// Without its parameters.
fn content_type(response: &Response) -> String {
    let value = response.headers().get("content-type");
    let value = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}
