//! What to try next: hints for specific cases. Each has a test that follows it, in `tests/hints`,
//! `tests/reconnect.rs` or `tests/tls.rs`.

use std::path::Path;

use everstream::error_strategy::TRANSIENT_STATUSES;
use everstream::{Error, ErrorResponse, Failure, FailureKind, Fault, RedirectProblem};

use super::answer;
use super::seconds;
use crate::reconnect::ReconnectArgs;
use crate::request::RequestArgs;
use crate::source::Saved;
use crate::until::UntilArgs;

/// The facts on which a hint depends.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a RequestArgs,
    pub(crate) reconnect: &'a ReconnectArgs,
    /// The number of connections so far.
    pub(crate) connections: u64,
    /// The id after which the last request resumed, or a newer one.
    pub(crate) last_event_id: Option<&'a str>,
    pub(crate) cursor: Option<&'a Path>,
    pub(crate) until: Option<&'a UntilArgs>,
    /// A saved stream, without a server.
    pub(crate) saved: Option<&'a Saved>,
    pub(crate) verbose: bool,
    /// The option whose limit ended the attempts.
    pub(crate) limit: Option<&'static str>,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(request: &'a RequestArgs, reconnect: &'a ReconnectArgs) -> Asked<'a> {
        Asked {
            request,
            reconnect,
            connections: 0,
            last_event_id: None,
            cursor: None,
            until: None,
            saved: None,
            verbose: false,
            limit: reconnect.reached_limit(),
        }
    }

    /// The last request was the GET of `--resume-get`.
    fn resumed(&self) -> bool {
        self.reconnect.resume_get && !self.request.is_safe() && self.connections > 0
    }

    /// The event at which the stream should end.
    pub(super) fn expected(&self) -> Option<String> {
        self.until.and_then(UntilArgs::describe)
    }

    /// Which option prevented reconnecting.
    pub(super) fn again(&self) -> String {
        format!("{} prevents reconnecting", self.reconnect.once())
    }

    /// The options that resend the request or resume its stream.
    pub(super) fn not_repeated(&self) -> &'static str {
        match (self.reconnect.resume_get, self.last_event_id) {
            (true, _) => {
                "the server sent no event id, so --resume-get can't resume; --repeat-unsafe sends \
                 the request again"
            }
            (false, Some(_)) => {
                "--repeat-unsafe sends it again; --resume-get resumes it with a GET, as MCP servers \
                 require"
            }
            (false, None) => "--repeat-unsafe sends it again",
        }
    }

    pub(super) fn hint(&self, error: &Error) -> Option<String> {
        let fault = error.fault()?;
        if self.saved.is_some() && !matches!(fault, Fault::TooLarge(_)) {
            return None;
        }
        // HTTP/2 was offered in TLS, or the response wasn't HTTP/2.
        let kind = fault.failure().map(Failure::kind);
        let no_http2 = matches!(kind, Some(FailureKind::Malformed | FailureKind::Tls));
        if no_http2 && self.request.is_http2_only() {
            return Some("try HTTP/1.1, without --http2-prior-knowledge".to_owned());
        }
        if let Some(response) = fault.response() {
            return self.about_response(fault, response);
        }
        match fault {
            Fault::Read(_) | Fault::Request(_) | Fault::Incomplete => self.about_break(error),
            Fault::Connect(_) | Fault::ConnectTimeout(_) => self.about_connecting(fault),
            _ => hint(fault).map(str::to_owned),
        }
    }

    fn about_response(&self, fault: &Fault, response: &ErrorResponse) -> Option<String> {
        let Fault::Status(_) = fault else {
            return match fault {
                Fault::ContentType(_) => Some(answer::not_a_stream(response, self.request)),
                _ => hint(fault).map(str::to_owned),
            };
        };
        if let (400 | 405 | 501, Some(method)) =
            (response.status, self.request.method_in_upper_case())
        {
            return Some(format!("methods are case-sensitive: -X {method}"));
        }
        let hint = match response.status {
            400 | 404 | 405 if self.resumed() => {
                "this server can't resume the stream: drop --resume-get to end with the connection, \
                 or use --repeat-unsafe to send the request again"
            }
            401 | 403 => return Some(self.about_credentials(response)),
            404 if self.request.header("mcp-session-id").is_some() => {
                "the MCP session has ended: start a new one and send its id with \
                 -H 'Mcp-Session-Id: ID'"
            }
            410 if self.last_event_id.is_some() => return Some(self.about_lost_events()),
            404 | 410 => "there is no stream at this URL: check its path",
            405 => return answer::other_method(fault, self.request),
            406 => answer::not_acceptable(self.request),
            407 => return self.about_proxy(false),
            415 if !self.request.is_safe() => {
                "the server may expect another body type: try --json, or -H 'Content-Type: ...'"
            }
            status if self.is_transient(status) => return self.about_outage(response),
            _ => return None,
        };
        Some(hint.to_owned())
    }

    fn about_credentials(&self, response: &ErrorResponse) -> String {
        let withheld = |name: &&String| name.eq_ignore_ascii_case("authorization");
        if response.withheld_headers.iter().any(|name| withheld(&name)) {
            return "the credentials were not sent to the server that the stream was redirected to: \
                    if they should be, use its URL directly"
                .to_owned();
        }
        match (self.request.credentials_option(), response.status) {
            (Some(option), 401) => format!(
                "the server rejected the credentials of {option}: check that they are complete, \
                 current and for this server"
            ),
            (Some(option), _) => {
                format!("the credentials of {option} don't give access to this stream")
            }
            (None, _) => match challenge(response).as_deref() {
                Some("basic") => "send credentials: -u USER:PASSWORD".to_owned(),
                Some("bearer") => {
                    "send a token: --bearer-env VARIABLE, or -H 'Authorization: Bearer TOKEN'"
                        .to_owned()
                }
                _ => "send credentials: -u USER:PASSWORD, --bearer-env VARIABLE or \
                      -H 'Authorization: Bearer TOKEN'"
                    .to_owned(),
            },
        }
    }

    /// The server no longer has the events after the last id.
    fn about_lost_events(&self) -> String {
        let why = "the server may no longer have the events after the last id";
        match self.cursor {
            Some(file) => format!("{why}: delete {} to start without an id", file.display()),
            None if self.reconnect.last_event_id.is_some() => {
                format!("{why}: start without --last-event-id")
            }
            None => format!("{why}: run the command again to start without an id"),
        }
    }

    fn is_transient(&self, status: u16) -> bool {
        TRANSIENT_STATUSES.contains(&status) || self.reconnect.statuses().contains(&status)
    }

    /// How to retry after such a status.
    fn about_outage(&self, response: &ErrorResponse) -> Option<String> {
        let repeats = self.request.is_safe() || self.reconnect.repeat_unsafe || self.resumed();
        let retried = self.reconnect.statuses().contains(&response.status);
        let once = self.reconnect.once();
        let how = match (self.reconnect.no_reconnect, repeats) {
            (true, true) => format!("without {once} the request is retried"),
            (true, false) => unsafe_again(&format!("--repeat-unsafe instead of {once}")),
            (false, true) if retried => self.longer()?,
            (false, false) if retried => unsafe_again("--repeat-unsafe"),
            (false, true) => "--retry-status 429,5xx retries it".to_owned(),
            (false, false) => unsafe_again("--retry-status 429,5xx with --repeat-unsafe"),
        };
        let wait = response
            .retry_after
            .map(|wait| format!(", and asks for a wait of {}", seconds(wait)))
            .unwrap_or_default();
        Some(format!("the server may recover{wait}: {how}"))
    }

    /// How to raise the limit that ended the attempts.
    fn longer(&self) -> Option<String> {
        Some(format!("to retry for longer, raise {}", self.limit?))
    }

    /// The connection broke, or the stream ended early.
    fn about_break(&self, error: &Error) -> Option<String> {
        let fault = error.fault()?;
        let is_safe = self.request.is_safe();
        let one_shot = !is_safe && self.expected().is_some();
        let repeats = matches!(error, Error::NotRepeated(_)) || self.reconnect.no_reconnect;
        if matches!(fault, Fault::Incomplete) && repeats {
            return self.about_a_missing_event(one_shot);
        }
        if one_shot && repeats && !self.reconnect.resume_get {
            return Some(match self.last_event_id {
                Some(_) => {
                    "the response is incomplete: --resume-get resumes it if the server supports that \
                     (MCP); run the command again for a new one"
                }
                None => "the response is incomplete: run the command again for a new one",
            }
            .to_owned());
        }
        match error {
            Error::NotRepeated(_) => Some(self.not_repeated().to_owned()),
            _ if self.reconnect.no_reconnect && is_safe => Some(self.again()),
            _ if self.reconnect.no_reconnect => Some(format!(
                "--repeat-unsafe instead of {} sends the request again",
                self.reconnect.once()
            )),
            _ => Some(format!(
                "{}; everstream check examines the server",
                self.longer()?
            )),
        }
    }

    /// The stream ended cleanly without the event of `--until`.
    fn about_a_missing_event(&self, one_shot: bool) -> Option<String> {
        let option = self.until.and_then(UntilArgs::option)?;
        let once = self.reconnect.once();
        let no_such_event = "if this server ends its streams without such an event";
        Some(match (self.reconnect.no_reconnect, one_shot) {
            (true, true) => format!(
                "{no_such_event}, drop {option}; otherwise the response is incomplete: run the command \
                 again for a new one"
            ),
            (true, false) => {
                format!("{no_such_event}, drop {option}; otherwise drop {once} to reconnect")
            }
            (false, _) => format!(
                "{no_such_event}, use --no-reconnect instead of {option}; otherwise the response is \
                 incomplete: run the command again for a new one"
            ),
        })
    }

    fn about_connecting(&self, fault: &Fault) -> Option<String> {
        // The message names the peer.
        let what = fault.to_string();
        let to_proxy = what.contains("the proxy at ");
        match fault.failure().map(Failure::kind) {
            Some(FailureKind::ProxyAuthentication) => {
                self.about_proxy(what.contains("not supported"))
            }
            Some(FailureKind::Refused) if to_proxy => Some(
                "nothing listens at the proxy's address: check -x, http_proxy and https_proxy; \
                 -x \"\" connects without a proxy"
                    .to_owned(),
            ),
            Some(FailureKind::Refused | FailureKind::Other) if self.request.is_local() => Some(
                "no server listens on this socket: check the path of --unix-socket, and that the \
                 server is running"
                    .to_owned(),
            ),
            _ => hint(fault).map(str::to_owned),
        }
    }

    /// The proxy requires other credentials, possibly of an unsupported kind.
    fn about_proxy(&self, unsupported: bool) -> Option<String> {
        Some(
            match (unsupported, self.request.proxy_credentials_option()) {
                (true, _) => {
                    "use a local proxy that supports this, such as cntlm, with -x".to_owned()
                }
                (false, Some("-x")) => {
                    "check the user and password in -x; special characters must be percent-encoded \
                 (@ is %40)"
                        .to_owned()
                }
                (false, Some(option)) => format!("check the user and password of {option}"),
                (false, None) => {
                    "send credentials to the proxy: -U USER:PASSWORD (--proxy-user)".to_owned()
                }
            },
        )
    }
}

/// The first authentication scheme of a 401 (RFC 9110, section 11.6.1), in lower case.
fn challenge(response: &ErrorResponse) -> Option<String> {
    let offered = response.headers.get("www-authenticate")?;
    let scheme = offered.split([' ', ',']).next()?;
    Some(scheme.to_ascii_lowercase())
}

/// Whether TLS needs CA certificates that this system doesn't have, such as a container image.
pub(super) fn has_no_certificates(fault: &Fault) -> bool {
    let error = match fault {
        Fault::Setup(error) => Some(&**error),
        Fault::Redirect(response, RedirectProblem::Unreachable) => response.cause.as_deref(),
        _ => None,
    };
    match error.and_then(|error| error.downcast_ref::<Error>()) {
        Some(Error::Config { setting, problem }) => {
            *setting == "https" && problem.to_string().starts_with("No CA certificates")
        }
        _ => false,
    }
}

const NO_CERTIFICATES: &str =
    "install them (the package ca-certificates), set SSL_CERT_FILE, or use --cacert FILE";

/// What to try after a fault, independent of the request.
pub(crate) fn hint(fault: &Fault) -> Option<&'static str> {
    match fault {
        Fault::ContentEncoding(_) => {
            Some("request an uncompressed response: -H 'Accept-Encoding: identity'")
        }
        Fault::Setup(_) if has_no_certificates(fault) => Some(NO_CERTIFICATES),
        Fault::Redirect(_, RedirectProblem::TooMany(_)) => Some(
            "use the URL that the redirects lead to, or raise --max-redirs; if they form a loop, check \
             the URL and the server",
        ),
        Fault::Redirect(_, RedirectProblem::Unreachable) => {
            has_no_certificates(fault).then_some(NO_CERTIFICATES)
        }
        Fault::Redirect(..) => Some(
            "the server's redirect is wrong: check the URL, and the Location header that the server sends",
        ),
        Fault::Connect(_) => Some(unreachable(fault)),
        Fault::ConnectTimeout(_) => Some(
            "check the host, the port and firewalls in between; a longer --connect-timeout waits longer",
        ),
        Fault::ResponseTimeout(_) | Fault::ReadTimeout(_) => Some(
            "the server sent nothing for longer than --read-timeout, or the connection is dead: \
             try a longer --read-timeout",
        ),
        Fault::TooLarge(_) => Some(
            "check that the URL serves an event stream; to accept larger events, raise --max-event-size",
        ),
        _ => None,
    }
}

fn unreachable(fault: &Fault) -> &'static str {
    match fault.failure().map(Failure::kind) {
        Some(FailureKind::Untrusted) => {
            "trust the server's CA with --cacert FILE; -k accepts any certificate, so anyone on the \
             network path can read and modify the stream"
        }
        Some(FailureKind::Resolve) => {
            "check the host name; --resolve HOST:PORT:ADDRESS skips the DNS lookup"
        }
        Some(FailureKind::Tls) => "the port may speak plain HTTP: try http:// instead of https://",
        Some(FailureKind::Refused) => {
            "nothing listens there: check the host and port, and that the server is running"
        }
        Some(FailureKind::ProxyAuthentication) => {
            "send credentials to the proxy: -U USER:PASSWORD (--proxy-user)"
        }
        Some(FailureKind::Proxy) => {
            "check the proxy, and that it allows connections to this host; -x \"\" connects without it"
        }
        _ => "check the host and port, and the proxy if you use one",
    }
}

/// How to send a request again that isn't safe to repeat and was refused.
fn unsafe_again(options: &str) -> String {
    format!(
        "run the command again, or use {options} (which also sends the request again after an answer)"
    )
}
