//! Responses as they came, for a tool that examines servers. It isn't part of the API.

use ::http::header::CONTENT_TYPE;
use everstream_core::Fault;

use super::decode;
use super::response;
use super::{ClientContext, ConnectRequest, Connection, Http};

/// A response, whatever it is.
pub struct Probe {
    /// Of HTTP, as in `HTTP/1.1`.
    pub version: String,
    /// The method of the request at first, before redirects.
    pub method: String,
    /// Whether the method is safe (RFC 9110, section 9.2.1).
    pub repeatable: bool,
    /// The names of the request's headers at first, before redirects.
    pub sent: Vec<String>,
    /// The type of the body that was sent.
    pub content_type: Option<String>,
    /// Whether the body is in no coding, or in one that is decoded here.
    pub readable: bool,
    /// What the response says, and its body.
    pub connection: Connection,
}

/// A redirect. Its URLs may hold secrets.
pub struct Hop {
    /// The status code.
    pub status: u16,
    /// Who redirects.
    pub from: String,
    /// Where to.
    pub to: String,
}

impl Http {
    /// Sends the request once, follows redirects by the rules of every request, and judges nothing.
    /// `hops` has the redirects, also if it fails.
    #[doc(hidden)]
    pub async fn probe(
        &self,
        request: ConnectRequest,
        hops: &mut Vec<Hop>,
    ) -> Result<Probe, Fault> {
        let mut client = self
            .create(ClientContext::default())
            .map_err(|error| Fault::Other(error.into()))?;
        let (exchange, attempt) = client.prepare(request).await?;
        let sent = attempt.headers.keys();
        let sent = sent.map(|name| name.as_str().to_owned()).collect();
        let content_type = attempt.headers.get(CONTENT_TYPE);
        let content_type = content_type
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let response = exchange
            .open(attempt.url, attempt.headers, |response, target| {
                hops.push(Hop {
                    status: response.status().as_u16(),
                    from: response.url().to_string(),
                    to: target.to_string(),
                });
            })
            .await?;
        let coding = decode::coding(response.headers());
        Ok(Probe {
            version: format!("{:?}", response.version()),
            method: client.method.to_string(),
            repeatable: client.method.is_safe(),
            sent,
            content_type,
            readable: coding.is_ok(),
            connection: response::connection(response, coding.ok().flatten()),
        })
    }
}
