//! Opens tunnels through `http` and `https` proxies (CONNECT; RFC 9110, section 9.3.6).

use std::io;

use everstream_http::http1::{HeadReader, Malformed, write_connect};
use everstream_http::{Failure, FailureKind};
use http::header::PROXY_AUTHENTICATE;
use http::{HeaderMap, StatusCode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use url::Url;

use super::proxy::Proxy;

const READ_SIZE: usize = 1024;

/// Asks the proxy at the other end of `io` for a tunnel to the URL's host. Afterwards `io` is the tunnel.
pub(super) async fn open<T>(io: &mut T, url: &Url, proxy: &Proxy) -> Result<(), Failure>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = Vec::new();
    write_connect(&mut request, url, proxy.authorization.as_ref());
    let sent = async {
        io.write_all(&request).await?;
        io.flush().await
    };
    sent.await.map_err(|error| broken(&error, proxy))?;
    let mut head = HeadReader::new(false);
    let mut received = Vec::new();
    loop {
        let mut piece = [0; READ_SIZE];
        let length = io
            .read(&mut piece)
            .await
            .map_err(|error| broken(&error, proxy))?;
        if length == 0 {
            return Err(broken(&io::ErrorKind::UnexpectedEof.into(), proxy));
        }
        received.extend_from_slice(&piece[..length]);
        let step = head
            .read(&received)
            .map_err(|problem| malformed(problem, proxy))?;
        drop(received.drain(..step.consumed));
        let Some(head) = step.head else { continue };
        return match head.status {
            // These bytes can't be from the server, which waits for the client to send first.
            status if status.is_success() && !received.is_empty() => {
                let message = format!("the proxy at {proxy} sent unexpected data");
                Err(Failure::new(FailureKind::Proxy, message))
            }
            // `Content-Length` and `Transfer-Encoding` have no meaning in this response.
            status if status.is_success() => Ok(()),
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(unauthorized(&head.headers, proxy)),
            status => {
                let status = status.as_u16();
                let message = format!("the proxy at {proxy} refused the tunnel: {status}");
                Err(Failure::new(FailureKind::Proxy, message))
            }
        };
    }
}

/// Describes an error on a connection to a proxy before the proxy has answered.
pub(super) fn broken(error: &io::Error, proxy: &Proxy) -> Failure {
    use io::ErrorKind as Kind;
    let message = match error.kind() {
        Kind::UnexpectedEof | Kind::BrokenPipe | Kind::NotConnected => {
            format!("the proxy at {proxy} closed the connection before answering")
        }
        Kind::ConnectionReset | Kind::ConnectionAborted => {
            format!("the proxy at {proxy} reset the connection before answering")
        }
        _ => format!("the proxy at {proxy} didn't answer: {error}"),
    };
    Failure::new(FailureKind::Proxy, message)
}

fn malformed(problem: Malformed, proxy: &Proxy) -> Failure {
    let message = match problem {
        Malformed::NotHttp => {
            format!("the proxy at {proxy} didn't answer with HTTP/1.1 or HTTP/1.0")
        }
        problem => format!("invalid answer from the proxy at {proxy}: {problem}"),
    };
    Failure::new(FailureKind::Proxy, message)
}

fn unauthorized(headers: &HeaderMap, proxy: &Proxy) -> Failure {
    let offered = schemes(headers);
    let has_basic = offered
        .iter()
        .any(|name| name.eq_ignore_ascii_case("basic"));
    let what = match offered.first() {
        Some(other) if !has_basic => {
            format!("requires {other} authentication, which is not supported")
        }
        _ if proxy.authorization.is_some() => "rejected the credentials".to_owned(),
        _ => "requires credentials".to_owned(),
    };
    let message = format!("the proxy at {proxy} {what} (407)");
    Failure::new(FailureKind::ProxyAuthentication, message)
}

/// The authentication schemes of all challenges (RFC 9110, section 11.6.1): the list elements that don't
/// begin with a parameter.
fn schemes(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(PROXY_AUTHENTICATE).into_iter();
    let mut schemes = Vec::new();
    for value in values.filter_map(|value| value.to_str().ok()) {
        let mut is_quoted = false;
        let mut is_escaped = false;
        let elements = value.split(|c| {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = is_quoted,
                '"' => is_quoted = !is_quoted,
                _ => return c == ',' && !is_quoted,
            }
            false
        });
        for element in elements.map(str::trim) {
            let end = element
                .find(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c))
                .unwrap_or(element.len());
            let (name, rest) = element.split_at(end);
            if !name.is_empty() && !rest.trim_start().starts_with('=') {
                schemes.push(name.to_owned());
            }
        }
    }
    schemes
}

#[cfg(test)]
#[path = "tunnel_tests.rs"]
mod tests;
