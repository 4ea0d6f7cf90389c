use rustls::{AlertDescription, InvalidMessage, OtherError, PeerMisbehaved};
use std::sync::Arc;

use url::Host;

use super::*;

fn handshake(error: Error) -> Failure {
    let peer = Peer {
        role: "",
        host: &Host::Domain("a.test"),
        port: 8443,
    };
    peer.handshake_failed(&io::Error::new(io::ErrorKind::InvalidData, error))
}

#[test]
fn untrusted_certificates_are_described() {
    use CertificateError as Bad;
    for (problem, expected) in [
        (Bad::UnknownIssuer, "is not trusted: unknown issuer"),
        (Bad::Expired, "has expired"),
        (Bad::Revoked, "has been revoked"),
        (
            Bad::Other(OtherError(Arc::new(io::Error::other("CaUsedAsEndEntity")))),
            "is not trusted: it is self-signed, or is itself a CA certificate",
        ),
        (
            Bad::Other(OtherError(Arc::new(io::Error::other("SomeNameOfAnError")))),
            "is not trusted: it is not valid",
        ),
        (
            Bad::Other(OtherError(Arc::new(io::Error::other("as the system says")))),
            "is not trusted: as the system says",
        ),
    ] {
        let failure = handshake(Error::InvalidCertificate(problem));
        let expected = format!("the certificate of a.test {expected}");
        assert_eq!(failure.to_string(), expected);
        assert_eq!(failure.kind(), FailureKind::Untrusted);
    }
}

#[test]
fn certificate_names_are_unwrapped_and_limited_to_three() {
    let owned = |list: &[&str]| list.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&owned(&["DnsName(\"b.test\")"])), "b.test");
    let all = owned(&["DnsName(\"*.b.test\")", "IpAddress(192.0.2.1)", "odd"]);
    assert_eq!(names(&all), "*.b.test, 192.0.2.1, odd");
    assert_eq!(
        names(&[&all[..], &all[..]].concat()),
        "*.b.test, 192.0.2.1, odd and 3 more"
    );
}

#[test]
fn other_handshake_failures_contain_no_library_jargon() {
    for (error, expected) in [
        (
            Error::InvalidMessage(InvalidMessage::InvalidContentType),
            "a.test doesn't speak TLS on port 8443",
        ),
        (
            Error::AlertReceived(AlertDescription::CertificateRequired),
            "a.test requires a client certificate",
        ),
        (
            Error::AlertReceived(AlertDescription::ProtocolVersion),
            "a.test and this client have no TLS version or cipher suite in common",
        ),
        (
            Error::AlertReceived(AlertDescription::UserCanceled),
            "a.test ended TLS with alert 90",
        ),
        (
            Error::PeerMisbehaved(PeerMisbehaved::TooManyEmptyFragments),
            "a.test violated the TLS protocol",
        ),
    ] {
        let failure = handshake(error);
        assert_eq!(failure.to_string(), expected);
        assert_eq!(failure.kind(), FailureKind::Tls);
    }
}

#[test]
fn connection_errors_are_readable_and_keep_their_kind() {
    let alert = Error::AlertReceived(AlertDescription::CertificateRequired);
    let error = readable(io::Error::new(io::ErrorKind::InvalidData, alert));
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert_eq!(
        error.to_string(),
        "the server requires a client certificate"
    );
    let reset = readable(io::Error::from_raw_os_error(104));
    assert_eq!(reset.raw_os_error(), Some(104));
}
