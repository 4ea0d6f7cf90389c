//! Writes a recording, line by line.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use everstream::{Fault, RedactedUrl, Start};
use serde_json::{Value, json};

use super::{FORMAT, VERSION};
use crate::output::harmless;
use crate::report;

/// Parts of header names whose values are considered secrets, because recordings are shared.
const SECRET: [&str; 8] = [
    "cookie",
    "auth",
    "token",
    "secret",
    "session",
    "password",
    "credential",
    "signature",
];

/// A recording in progress. Clones share it.
#[derive(Clone)]
pub(crate) struct Writer(Arc<Mutex<Inner>>);

struct Inner {
    out: Box<dyn Write + Send>,
    begin: Instant,
    /// Why writing has stopped.
    error: Option<io::Error>,
}

impl Writer {
    /// Begins a recording. `out` must not buffer.
    pub(crate) fn begin(out: impl Write + Send + 'static) -> io::Result<Writer> {
        let mut inner = Inner {
            out: Box::new(out),
            begin: Instant::now(),
            error: None,
        };
        let started = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let head = format!(
            "{{\"format\":{},\"version\":{VERSION},\"started\":{}}}\n",
            json!(FORMAT),
            json!(started)
        );
        inner.out.write_all(head.as_bytes())?;
        Ok(Writer(Arc::new(Mutex::new(inner))))
    }

    pub(crate) fn connected(&self, start: &Start, last_event_id: Option<&str>) {
        let headers: Vec<_> = start
            .headers
            .iter()
            .flat_map(|headers| headers.iter())
            .filter(|(name, _)| !is_secret(name))
            .collect();
        let url = start.url.as_deref().map(|url| RedactedUrl(url).to_string());
        // Written by hand, because the order of the fields helps people who read it.
        let connected = format!(
            "\"connected\":{{\"url\":{},\"status\":{},\"headers\":{},\"last_event_id\":{}}}",
            json!(url),
            json!(start.status),
            json!(headers),
            json!(last_event_id)
        );
        self.line(&connected);
    }

    /// Returns false if it can't be written.
    pub(crate) fn chunk(&self, bytes: &[u8]) -> bool {
        let (name, text) = match std::str::from_utf8(bytes) {
            Ok(text) => ("text", Value::from(text)),
            Err(_) => ("base64", Value::from(STANDARD.encode(bytes))),
        };
        self.line(&format!("\"{name}\":{text}"))
    }

    pub(crate) fn ended_by_server(&self) {
        self.line("\"ended\":\"server\"");
    }

    pub(crate) fn ended_by_client(&self) {
        self.line("\"ended\":\"client\"");
    }

    pub(crate) fn ended_by_fault(&self, fault: &Fault) {
        let error = json!(report::chain(fault));
        self.line(&format!("\"ended\":\"fault\",\"error\":{error}"));
    }

    pub(crate) fn failed(&self, fault: &Fault) {
        self.line(&format!("\"failed\":{}", json!(report::chain(fault))));
    }

    /// Whether writing has stopped.
    pub(crate) fn has_failed(&self) -> bool {
        self.lock().error.is_some()
    }

    /// Takes the reason why writing has stopped.
    pub(crate) fn take_error(&self) -> Option<io::Error> {
        self.lock().error.take()
    }

    /// Writes a line at once, so that a kill afterwards doesn't lose it. Returns false on failure.
    fn line(&self, fields: &str) -> bool {
        let mut inner = self.lock();
        if inner.error.is_some() {
            return false;
        }
        let time = inner.begin.elapsed().as_secs_f64();
        let line = format!("{{\"time\":{time:.6},{}}}\n", harmless(fields));
        let result = inner.out.write_all(line.as_bytes());
        inner.error = result.err();
        inner.error.is_none()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_headers_are_recognized_by_name() {
        for name in [
            "Set-Cookie",
            "Authentication-Info",
            "WWW-Authenticate",
            "X-CSRF-Token",
            "x-session-id",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["Content-Type", "Server", "X-Request-Id", "ETag"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
