//! Responses that aren't a stream.

use everstream::{ErrorResponse, Fault, Http};

use crate::request::RequestArgs;
use crate::visible::{visible, visible_lines};

/// How many bytes of a body are shown without `--verbose`.
const SHOWN: usize = 1 << 10;

/// With `--verbose` the whole body is shown, up to a limit.
pub(crate) fn whole_if_verbose(http: Http, verbose: bool) -> Http {
    const WHOLE: usize = 8 << 20;
    match verbose {
        true => http.error_body_limit(WHOLE),
        false => http,
    }
}

/// Formats the body of a response that isn't a stream; `None` if it is empty.
pub(super) fn said(body: &[u8], verbose: bool) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let (shown, cut) = match text
        .char_indices()
        .find(|(at, c)| at + c.len_utf8() > SHOWN)
    {
        Some((end, _)) if !verbose => (&text[..end], true),
        // The library keeps only this much without --verbose.
        _ => (text, !verbose && body.len() >= SHOWN),
    };
    let mut lines: Vec<&str> = shown.lines().map(str::trim_end).collect();
    lines.retain(|line| !line.is_empty());
    let more = if cut { "... (-v shows all)" } else { "" };
    match &*lines {
        [] => None,
        [line] => Some(format!(
            "everstream: the server said: {}{more}",
            visible(line)
        )),
        lines => {
            let lines = visible_lines(&lines.join("\n  ")).into_owned();
            let more = if cut {
                format!("\n  {more}")
            } else {
                String::new()
            };
            Some(format!("everstream: the server said:\n  {lines}{more}"))
        }
    }
}

/// The kind of a body that isn't a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    NdJson,
    Json,
    Html,
    Other,
}

fn kind(response: &ErrorResponse) -> Kind {
    let declared = response.headers.get("content-type").unwrap_or_default();
    let declared = declared.split(';').next().unwrap_or_default().trim();
    let declared = declared.to_ascii_lowercase();
    let body = String::from_utf8_lossy(&response.body);
    let body = body.trim_start();
    match &*declared {
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines"
        | "application/stream+json"
        | "application/json-seq" => Kind::NdJson,
        "text/html" | "application/xhtml+xml" => Kind::Html,
        _ if body.starts_with(['{', '[']) => match is_ndjson(body) {
            true => Kind::NdJson,
            false => Kind::Json,
        },
        json if json == "application/json" || json.ends_with("+json") => Kind::Json,
        _ if body.starts_with('<') && body.to_ascii_lowercase().contains("<html") => Kind::Html,
        _ => Kind::Other,
    }
}

/// Whether the first line is a JSON value, and another line follows.
fn is_ndjson(body: &str) -> bool {
    let mut lines = body.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default();
    serde_json::from_str::<serde::de::IgnoredAny>(first).is_ok() && lines.next().is_some()
}

/// What to do about a response whose content type isn't that of a stream.
pub(super) fn not_a_stream(response: &ErrorResponse, request: &RequestArgs) -> String {
    match kind(response) {
        Kind::NdJson => {
            "this is NDJSON (one JSON value per line), not an event stream: read it with curl -N"
                .to_owned()
        }
        Kind::Html => {
            "this is a web page (HTML), not an event stream: check the path of the URL".to_owned()
        }
        Kind::Json => json(request).to_owned(),
        Kind::Other => {
            "this isn't an event stream: look at it with curl -i, and check the path of the URL"
                .to_owned()
        }
    }
}

fn json(request: &RequestArgs) -> &'static str {
    if request.is_safe() {
        return "this is a JSON document, not an event stream: check the path of the URL, or \
                fetch it with curl";
    }
    match request.json_body() {
        Some(body) if body.get("jsonrpc").is_some() => {
            "this JSON is the whole answer, which a JSON-RPC server may send instead of a stream: \
             fetch it with curl"
        }
        Some(body) if body.get("stream") == Some(&serde_json::Value::Bool(true)) => {
            "this is JSON, not an event stream, although the body requests one: see what the \
             server said, or fetch it with curl"
        }
        _ => {
            "this is JSON, the whole answer at once: most APIs stream it if the body contains \
             \"stream\": true"
        }
    }
}

/// What to do after a 406.
pub(super) fn not_acceptable(request: &RequestArgs) -> &'static str {
    match request.header("accept") {
        Some(accept) if accept.contains("application/json") && accept.contains("event-stream") => {
            "the server offers none of the types in your Accept header"
        }
        Some(_) => {
            "the server rejected your Accept header; the default is text/event-stream, and \
             MCP servers need -H 'Accept: application/json, text/event-stream'"
        }
        None => {
            "the server requires another Accept header; MCP servers need \
             -H 'Accept: application/json, text/event-stream'"
        }
    }
}

/// A hint about the methods that a 405 allows.
pub(super) fn other_method(fault: &Fault, request: &RequestArgs) -> Option<String> {
    let allowed = fault.headers().and_then(|headers| headers.get("allow"));
    Some(match allowed.map(str::trim).filter(|it| !it.is_empty()) {
        Some(methods) if request.is_safe() && methods.contains("POST") => format!(
            "the server allows {methods} only: a body (--json or -d) makes the request a POST"
        ),
        Some(methods) => format!("the server allows {methods} only: -X sets the method"),
        None if request.is_safe() => {
            "the stream may need another method: -X POST, or a body with --json or -d".to_owned()
        }
        None => "the stream may need another method: -X GET, or no body".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content_type: &str, body: &str) -> Kind {
        let mut response = ErrorResponse::new(200);
        response.headers = [("content-type", content_type)].into_iter().collect();
        response.body = body.into();
        kind(&response)
    }

    #[test]
    fn the_kind_of_a_body_is_detected() {
        assert_eq!(of("application/x-ndjson; charset=utf-8", ""), Kind::NdJson);
        let lines = "{\"a\":1}\n{\"a\":2}\n";
        assert_eq!(of("application/json", lines), Kind::NdJson);
        assert_eq!(of("application/json", "{\n \"a\": 1\n}\n"), Kind::Json);
        assert_eq!(of("application/problem+json", ""), Kind::Json);
        assert_eq!(of("text/plain", " {\"a\":1}"), Kind::Json);
        assert_eq!(of("Text/HTML", ""), Kind::Html);
        assert_eq!(of("", "<!DOCTYPE html>\n<HTML>"), Kind::Html);
        assert_eq!(of("text/plain", "no such feed"), Kind::Other);
    }

    #[test]
    fn up_to_one_kib_of_a_body_is_shown() {
        let shown = |body: &str, verbose| said(body.as_bytes(), verbose).unwrap();
        assert_eq!(said(b" \n\n", false), None);
        assert_eq!(
            shown("\n no such feed \n", false),
            "everstream: the server said: no such feed"
        );
        assert_eq!(
            shown("{\n\n  \"a\": \"\u{1b}\"\r\n}\n", false),
            "everstream: the server said:\n  {\n    \"a\": \"\\u{1b}\"\n  }"
        );
        let long = "é".repeat(600);
        let cut = format!(
            "everstream: the server said: {}... (-v shows all)",
            "é".repeat(512)
        );
        assert_eq!(shown(&long, false), cut);
        assert!(shown(&long, true).ends_with(&long));
    }
}
