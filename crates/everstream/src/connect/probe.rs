//! Responses as they were received, for a tool that examines servers. Not part of the API.

use ::http::header::CONTENT_TYPE;
use everstream_core::{Fault, Start};
use everstream_http::policy::{content_coding, is_redirect};

use super::client::connection;
use super::decode::CODINGS;
use super::{ClientContext, ConnectRequest, Connection, Http};

/// A response of any kind.
pub struct Probe {
    /// The version of HTTP, such as `HTTP/1.1`.
    pub version: String,
    /// The method of the first request, before redirects.
    pub method: String,
    /// Whether the method is safe (RFC 9110, section 9.2.1).
    pub repeatable: bool,
    /// The header names of the first request, before redirects.
    pub sent: Vec<String>,
    /// The content type of the request's body.
    pub content_type: Option<String>,
    /// Whether the response's body is in no content coding or a supported one.
    pub readable: bool,
    /// The response's head and body.
    pub connection: Connection,
}

/// A redirect. Its URLs may contain secrets.
pub struct Hop {
    /// The status code.
    pub status: u16,
    /// The URL that redirects.
    pub from: String,
    /// The URL that it redirects to.
    pub to: String,
}

impl Http {
    /// Sends the request once and returns the response, whatever it is. Redirects are followed by the
    /// usual rules, and added to `hops` even if the request fails.
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
            // A redirect that can't be followed.
            let other = || Fault::Source("the redirect was not followed".into());
            return Err(attempting
                .into_connection(response)
                .await
                .err()
                .unwrap_or_else(other));
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
