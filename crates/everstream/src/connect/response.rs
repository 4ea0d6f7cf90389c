//! Whether a response is a stream, and what to keep of one that isn't.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use ::http::HeaderMap;
use ::http::header::{CONTENT_TYPE, RETRY_AFTER};
use bytes::Bytes;
use everstream_core::{ErrorResponse, Fault, Headers};
use futures_core::Stream;
use http_body::Body as _;
use reqwest::Response;

use super::decode::{self, Coding, Decoded};
use super::disconnect::{self, Phase};
use super::{Connection, Source};

/// How much of an error's body is kept.
const ERROR_BODY: usize = 1 << 10;

/// How long an error's body may take. A server that stalls there must not hold up the error.
const ERROR_BODY_TIME: Duration = Duration::from_secs(2);

/// The connection, if the response is a stream (WHATWG HTML 9.2.2, but for every 2xx status except
/// 204 rather than just 200).
pub(super) async fn check(response: Response) -> Result<Connection, Fault> {
    let status = response.status();
    if !status.is_success() || status.as_u16() == 204 {
        return Err(Fault::Status(Box::new(read_error(response).await)));
    }
    if !is_event_stream(response.headers()) {
        return Err(Fault::ContentType(Box::new(read_error(response).await)));
    }
    let Ok(coding) = decode::coding(response.headers()) else {
        return Err(Fault::ContentEncoding(Box::new(read_error(response).await)));
    };
    Ok(connection(response, coding))
}

/// The response's body, decoded, with what is known of the response.
pub(super) fn connection(response: Response, coding: Option<&Coding>) -> Connection {
    let status = response.status().as_u16();
    let headers = convert(response.headers());
    let url = response.url().to_string();
    let body = Body::new(response);
    let connection = match coding {
        Some(coding) => Connection::new(Decoded::new(body, coding)),
        None => Connection::from_source(Source::Body(body)),
    };
    connection.with_response(status, headers, url)
}

/// The essence is `text/event-stream`, in any case; parameters are allowed. Of several types, in one
/// line or in many, the last counts; what isn't a type doesn't (WHATWG Fetch, "extract a MIME type").
fn is_event_stream(headers: &HeaderMap) -> bool {
    let mut verdict = false;
    for value in headers.get_all(CONTENT_TYPE) {
        let (mut quoted, mut escaped) = (false, false);
        let outside_quotes = |byte: &u8| {
            let comma = *byte == b',' && !quoted;
            quoted ^= *byte == b'"' && !escaped;
            escaped = quoted && *byte == b'\\' && !escaped;
            comma
        };
        for value in value.as_bytes().split(outside_quotes) {
            let essence = value.split(|byte| *byte == b';').next();
            let essence = essence.unwrap_or_default().trim_ascii();
            match essence.iter().position(|byte| *byte == b'/') {
                Some(slash) if slash > 0 && slash + 1 < essence.len() && essence != b"*/*" => {
                    verdict = essence.eq_ignore_ascii_case(b"text/event-stream");
                }
                _ => {}
            }
        }
    }
    verdict
}

/// What is kept of a response that isn't a stream.
pub(super) async fn read_error(response: Response) -> ErrorResponse {
    let mut error = ErrorResponse::new(response.status().as_u16());
    error.headers = convert(response.headers());
    error.url = response.url().to_string();
    error.retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| parse_retry_after(value, SystemTime::now()));

    // In a coding that isn't decoded here it is kept as it is.
    let coding = decode::coding(response.headers()).ok().flatten();
    let body = Body::new(response);
    let mut body: Pin<Box<dyn Stream<Item = _> + Send>> = match coding {
        Some(coding) => Box::pin(Decoded::new(body, coding)),
        None => Box::pin(body),
    };
    let kept = &mut error.body;
    let reading = async {
        while kept.len() < ERROR_BODY {
            // A body that breaks or can't be decoded doesn't hide the error that it belongs to.
            let Some(Ok(chunk)) = std::future::poll_fn(|cx| body.as_mut().poll_next(cx)).await
            else {
                return;
            };
            kept.extend_from_slice(&chunk[..chunk.len().min(ERROR_BODY - kept.len())]);
        }
    };
    _ = tokio::time::timeout(ERROR_BODY_TIME, reading).await;
    error
}

/// The time that a `Retry-After` header asks for: seconds or a date (RFC 9110, section 10.2.3).
/// Nonsense asks for nothing.
///
/// For [`ErrorResponse`]s of sources of your own.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// let now = SystemTime::now();
/// assert_eq!(everstream::parse_retry_after("120", now), Some(Duration::from_secs(120)));
/// assert_eq!(everstream::parse_retry_after("soon", now), None);
/// ```
pub fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than fits is for ever.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

fn convert(headers: &HeaderMap) -> Headers {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect()
}

/// The body as chunks, none of them empty.
pub(super) struct Body(reqwest::Body);

impl Body {
    fn new(response: Response) -> Self {
        Body(::http::Response::from(response).into_body())
    }
}

impl Stream for Body {
    type Item = Result<Bytes, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.0).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => Some(Ok(data)),
                    // Empty, or trailers.
                    _ => continue,
                },
                Some(Err(error)) => {
                    Some(Err(Fault::Read(disconnect::cause(error, Phase::Response))))
                }
                None => None,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let parse = |value| parse_retry_after(value, now);
        assert_eq!(parse("120"), Some(Duration::from_secs(120)));
        assert_eq!(
            parse("Sun, 06 Nov 1994 08:50:37 GMT"),
            Some(Duration::from_secs(60))
        );
        assert_eq!(
            parse("Sun, 06 Nov 1994 08:00:00 GMT"),
            Some(Duration::ZERO),
            "it has passed"
        );
        assert_eq!(
            parse("99999999999999999999"),
            Some(Duration::from_secs(u64::MAX))
        );
        for nonsense in ["", "soon", "-5", "+5", "1.5", "5 s"] {
            assert_eq!(parse(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn a_content_type_is_judged_by_its_essence() {
        let verdict = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, ::http::HeaderValue::from_static(value));
            is_event_stream(&headers)
        };
        for good in [
            "text/event-stream",
            "Text/Event-Stream",
            "text/event-stream ; charset=utf-8",
            "text/html, text/event-stream",
            "text/event-stream; a=\"\\\", text/html\"",
        ] {
            assert!(verdict(good), "{good}");
        }
        for bad in [
            "text/event-streamfoo",
            "text/plain",
            "",
            "text/plain; text/event-stream",
            "text/event-stream, text/html",
            "text/html; a=\"\\\", text/event-stream\"",
        ] {
            assert!(!verdict(bad), "{bad}");
        }
        assert!(!is_event_stream(&HeaderMap::new()));
    }
}
