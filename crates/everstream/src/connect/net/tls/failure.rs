//! Describes errors of rustls for users.

use std::io;

use super::super::Peer;
use super::validity::date;
use everstream_http::{Failure, FailureKind};
use rustls::{AlertDescription, CertificateError, Error};

/// How many names of a certificate a message shows at most.
const MAX_NAMES: usize = 3;

impl Peer<'_> {
    pub(super) fn has_no_valid_name(&self) -> Failure {
        let message = format!("no certificate can be valid for the name {}", self.host);
        Failure::new(FailureKind::Tls, message)
    }

    pub(super) fn handshake_failed(&self, error: &io::Error) -> Failure {
        use io::ErrorKind as Kind;
        let peer = self.to_string();
        if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
            return match inner {
                Error::InvalidCertificate(problem) => self.untrusted(problem),
                Error::InvalidMessage(_) => {
                    let message = format!("{peer} doesn't speak TLS on port {}", self.port);
                    Failure::new(FailureKind::Tls, message)
                }
                other => Failure::new(FailureKind::Tls, describe(other, &peer)),
            };
        }
        let (kind, message) = match error.kind() {
            Kind::UnexpectedEof | Kind::BrokenPipe | Kind::NotConnected => (
                FailureKind::Closed,
                format!("{peer} closed the connection during the TLS handshake"),
            ),
            Kind::ConnectionReset | Kind::ConnectionAborted => (
                FailureKind::Reset,
                format!("{peer} reset the connection during the TLS handshake"),
            ),
            _ => (
                FailureKind::Tls,
                format!("the TLS handshake with {peer} failed: {error}"),
            ),
        };
        Failure::new(kind, message)
    }

    fn untrusted(&self, problem: &CertificateError) -> Failure {
        use CertificateError as Bad;
        let host = self.host;
        let certificate = format!("the certificate of {self}");
        let distrust = |reason| format!("{certificate} is not trusted: {reason}");
        let message = match problem {
            Bad::UnknownIssuer => distrust("unknown issuer"),
            Bad::NotValidForNameContext { presented, .. } if presented.is_empty() => {
                format!(
                    "{certificate} isn't valid for any host: it has no subject alternative name"
                )
            }
            Bad::NotValidForNameContext { presented, .. } => {
                format!("{certificate} is for {}, not {host}", names(presented))
            }
            Bad::NotValidForName => format!("{certificate} is not for {host}"),
            Bad::ExpiredContext { not_after, .. } => {
                format!("{certificate} expired on {}", date(not_after.as_secs()))
            }
            Bad::Expired => format!("{certificate} has expired"),
            Bad::NotValidYetContext { not_before, .. } => {
                let date = date(not_before.as_secs());
                format!("{certificate} isn't valid before {date}")
            }
            Bad::NotValidYet => format!("{certificate} isn't valid yet"),
            Bad::Revoked => format!("{certificate} has been revoked"),
            Bad::UnknownRevocationStatus => distrust("it may have been revoked"),
            Bad::BadEncoding => distrust("it is malformed"),
            Bad::BadSignature => distrust("a signature is wrong"),
            Bad::UnhandledCriticalExtension => distrust("it has an unknown critical extension"),
            Bad::InvalidPurpose | Bad::InvalidPurposeContext { .. } => {
                distrust("it isn't meant for servers")
            }
            Bad::ApplicationVerificationFailure => distrust("it was rejected"),
            Bad::Other(other) => distrust(match &*other.0.to_string() {
                // The name of an error in rustls-webpki, which has no other text.
                "CaUsedAsEndEntity" => "it is self-signed, or is itself a CA certificate",
                // Windows and macOS give sentences. A single word is the name of an error.
                text if text.contains(' ') => text,
                _ => "it is not valid",
            }),
            // Includes the variants for unsupported algorithms, some deprecated and some recent.
            _ => distrust("it is not valid, or of an unsupported kind"),
        };
        Failure::new(FailureKind::Untrusted, message)
    }
}

/// Strips what rustls prints around the names, as in `DnsName("a.test")` and `IpAddress(192.0.2.1)`.
fn names(presented: &[String]) -> String {
    let bare = presented.iter().map(|name| {
        let inner = name.split_once('(').map(|(_, inner)| inner);
        let inner = inner.and_then(|inner| inner.strip_suffix(')'));
        inner.unwrap_or(name).trim_matches('"')
    });
    let shown: Vec<&str> = bare.take(MAX_NAMES).collect();
    match presented.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Replaces the message of an error on an established connection by one for users. Keeps its kind.
pub(in super::super) fn readable(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(inner) => io::Error::new(error.kind(), describe(inner, "the server")),
        None => error,
    }
}

fn describe(error: &Error, peer: &str) -> String {
    match error {
        Error::AlertReceived(alert) => describe_alert(*alert, peer),
        Error::PeerIncompatible(_) => {
            format!("{peer} and this client have no TLS version or cipher suite in common")
        }
        Error::NoApplicationProtocol => {
            format!("{peer} offers none of the requested HTTP versions")
        }
        Error::DecryptError => format!("{peer} sent data that was damaged or changed in transit"),
        Error::PeerMisbehaved(_)
        | Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerSentOversizedRecord => format!("{peer} violated the TLS protocol"),
        Error::NoCertificatesPresented => format!("{peer} has no certificate"),
        Error::InvalidCertificate(_) => format!("the certificate of {peer} is not trusted"),
        Error::General(text) => format!("TLS with {peer} failed: {text}"),
        _ => format!("TLS with {peer} failed"),
    }
}

fn describe_alert(alert: AlertDescription, peer: &str) -> String {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired => format!("{peer} requires a client certificate"),
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied => format!("{peer} requires another client certificate"),
        Alert::HandshakeFailure => {
            format!("{peer} refused the TLS handshake; it may require a client certificate")
        }
        Alert::ProtocolVersion | Alert::InsufficientSecurity => {
            format!("{peer} and this client have no TLS version or cipher suite in common")
        }
        Alert::UnrecognisedName => format!("{peer} doesn't know this host name"),
        Alert::NoApplicationProtocol => {
            format!("{peer} offers none of the requested HTTP versions")
        }
        Alert::InternalError => format!("{peer} had an internal error in TLS"),
        other => format!("{peer} ended TLS with alert {}", u8::from(other)),
    }
}

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
