//! Responses as they came, for a tool that examines servers. It isn't part of the API.

use ::http::header::CONTENT_TYPE;
use everstream_core::{Fault, Start};
use everstream_http::policy::{content_coding, is_redirect};

use super::client::connection;
use super::decode::CODINGS;
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
            .map_err(|error| Fault::Setup(error.into()))?;
        let mut attempting = client.prepare(request).await?;
        let method = attempting.exchange().request().method.clone();
        let headers = &attempting.exchange().request().headers;
        let sent = headers.keys().map(|name| name.as_str().to_owned());
        let sent = sent.collect();
        let content_type = headers.get(CONTENT_TYPE);
        let content_type = content_type
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let response = attempting
            .response(|exchange| {
                if let Some(redirect) = exchange.redirect() {
                    hops.push(Hop {
                        status: redirect.status,
                        from: redirect.url.clone(),
                        to: exchange.request().url.to_string(),
                    });
                }
            })
            .await?;
        if is_redirect(response.status) {
            // One that can't be followed.
            let other = || Fault::Source("the redirect was not followed".into());
            return Err(attempting.judge(response).await.err().unwrap_or_else(other));
        }
        let coding = content_coding(&response.headers, CODINGS);
        let url = attempting.exchange().request().url.to_string();
        let mut start = Start::default();
        let withheld = attempting.exchange().withheld().iter();
        start.withheld_headers = withheld.map(|name| name.to_string()).collect();
        let headers = response.headers.iter();
        let headers = headers
            .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
            .collect();
        let connection = connection(start, response.body, coding.ok().flatten());
        Ok(Probe {
            version: format!("{:?}", response.version),
            method: method.to_string(),
            repeatable: method.is_safe(),
            sent,
            content_type,
            readable: coding.is_ok(),
            connection: connection.with_response(response.status, headers, url),
        })
    }
}
