//! A client for the Model Context Protocol over its streamable HTTP transport (version 2025-11-25).
//!
//! `mcp-client URL` lists a server's tools; `mcp-client URL TOOL '{"argument": 1}'` calls one. Prints the
//! result as JSON, and the server's notifications to standard error. Set `MCP_TOKEN` to send a bearer
//! token.
//!
//! Each message is a POST, which the server answers with JSON or with a stream. If a stream ends before
//! the answer has arrived, `resume_with_get` resumes it. The message isn't resent, because the tool may
//! already have run.
//!
//! JSON can be long, so reqwest sends the POST, and a custom source reads the response if it is a
//! stream. If your server always answers with streams, use the code of the guide "MCP" instead.

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

/// How many consecutive attempts to resume an answer may fail.
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
            // Without a token, the server doesn't report progress.
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

/// What all requests have in common. Clones share connections.
#[derive(Clone)]
struct Transport {
    http: reqwest::Client,
    url: String,
    token: Option<String>,
    /// The session id, if the server's first response set one.
    session: Option<String>,
    /// The negotiated version, once known.
    version: Option<String>,
}

impl Session {
    async fn open(url: String, token: Option<String>) -> Result<Session, BoxError> {
        let mut session = Session {
            transport: Transport {
                // No timeout for the whole answer, because a tool may run for a long time.
                http: reqwest::Client::builder()
                    .connect_timeout(Duration::from_secs(10))
                    // Token and session id must not be sent to other servers.
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
            return Err(
                format!("the server uses version {version:?}, this client {VERSION}").into(),
            );
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
            // Ignore errors: the server may refuse, and it ends idle sessions itself.
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
                Err("the session has expired: start a new one".into())
            }
            status => {
                let body = response.text().await.unwrap_or_default();
                Err(format!("the server answered with {status}: {body}").into())
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

    /// Reads the stream until the answer with this id arrives.
    async fn read(&self, response: Response, id: &Value) -> Result<Value, BoxError> {
        let answer = Answer {
            transport: self.clone(),
            first: Mutex::new(Some(response)),
        };
        // Not with `until`, which doesn't deliver the last event, and here that is the answer.
        let mut client = SseClient::builder(answer)
            .resume_with_get(true)
            .error_strategy(continue_with_max_attempts(ATTEMPTS))
            .build()?;
        while let Some(event) = client.next_event().await {
            let event = event.map_err(|error| match error {
                Error::NotRepeated(fault) => {
                    format!("the answer was cut off, and has no ids to resume from: {fault}").into()
                }
                error => BoxError::from(error),
            })?;
            let Some(message) = message(&event)? else {
                continue;
            };
            match (message.get("id"), message["method"].as_str()) {
                (Some(answered), None) if answered == id => return Ok(message),
                (Some(request_id), Some(method)) => self.reply(request_id, method).await?,
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

    /// Answers a request from the server. This client supports only `ping`.
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

/// A strategy for the stream that answers one message.
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
                // `request.resume_with_get` is set, because the POST is never repeated.
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

/// Returns `None` for events of other types and for those without data.
fn message(event: &Event) -> Result<Option<Value>, serde_json::Error> {
    match (event.event(), event.data()) {
        ("message", data) if !data.is_empty() => serde_json::from_str(data).map(Some),
        _ => Ok(None),
    }
}

/// Returns the content type without parameters.
fn content_type(response: &Response) -> String {
    let value = response.headers().get("content-type");
    let value = value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}
