//! Why a stream is disconnected, in a few columns.

use everstream::{FailureKind, Fault};

/// The maximum width of a reason.
pub(super) const WIDTH: u16 = 9;

/// The reason of an outage: a status, or one or two words. The full sentence is below the list.
pub(super) fn reason(fault: &Fault) -> String {
    if let Fault::Status(response) = fault {
        return response.status.to_string();
    }
    let kind = fault.failure().map(|failure| failure.kind());
    let words = match (fault, kind) {
        (_, Some(FailureKind::Resolve)) => "DNS error",
        (_, Some(FailureKind::Refused)) => "refused",
        (_, Some(FailureKind::Untrusted)) => "untrusted",
        (_, Some(FailureKind::Tls)) => "TLS error",
        (_, Some(FailureKind::ProxyAuthentication)) => "proxy 407",
        (_, Some(FailureKind::Proxy)) => "proxy",
        (_, Some(FailureKind::Closed)) => "closed",
        (_, Some(FailureKind::Reset)) => "reset",
        (_, Some(FailureKind::Malformed)) => "bad HTTP",
        (Fault::ConnectTimeout(_), _) => "timeout",
        (Fault::ResponseTimeout(_), _) => "no reply",
        (Fault::ReadTimeout(_), _) => "no data",
        (Fault::ContentType(_) | Fault::ContentEncoding(_), _) => "no stream",
        (Fault::Redirect(..), _) => "redirect",
        (Fault::TooLarge(_), _) => "too large",
        (Fault::Incomplete, _) => "cut off",
        (Fault::Read(_), _) => "broken",
        _ => "error",
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use everstream::{ErrorResponse, Failure};

    #[test]
    fn a_reason_fits_into_its_column() {
        let second = Duration::from_secs(1);
        for (fault, expected) in [
            (Fault::Status(Box::new(ErrorResponse::new(503))), "503"),
            (
                Fault::ContentType(Box::new(ErrorResponse::new(200))),
                "no stream",
            ),
            (Fault::ConnectTimeout(second), "timeout"),
            (Fault::ResponseTimeout(second), "no reply"),
            (Fault::ReadTimeout(second), "no data"),
            (Fault::Incomplete, "cut off"),
            (Fault::Connect("x".into()), "error"),
            (Fault::Read("x".into()), "broken"),
        ] {
            assert_eq!(reason(&fault), expected);
        }
        for kind in [
            FailureKind::Resolve,
            FailureKind::Refused,
            FailureKind::Untrusted,
            FailureKind::Tls,
            FailureKind::ProxyAuthentication,
            FailureKind::Proxy,
            FailureKind::Closed,
            FailureKind::Reset,
            FailureKind::Malformed,
        ] {
            let words = reason(&Fault::Connect(Failure::new(kind, "x").into()));
            assert!(words.len() <= WIDTH.into() && words != "error", "{words}");
        }
    }
}
