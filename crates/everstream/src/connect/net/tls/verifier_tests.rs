use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, date_time_ymd};
use std::time::Duration;

use super::*;

/// Creates a certificate like that of `openssl req -x509`.
fn self_signed(names: &[&str]) -> CertificateDer<'static> {
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "the same");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2030, 1, 1);
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    certificate.der().clone()
}

fn fallback_error() -> Error {
    Error::General("fallback".to_owned())
}

/// A verifier whose fallback always fails, to show that it was called.
fn trusting(roots: &[&CertificateDer<'static>]) -> PinnedVerifier {
    PinnedVerifier {
        roots: roots.iter().map(|root| (*root).clone()).collect(),
        fallback: Arc::new(FixedVerdict {
            verdict: Err(fallback_error()),
            schemes: vec![SignatureScheme::ED25519],
        }),
    }
}

fn verified(
    roots: &[&CertificateDer<'static>],
    presented: &CertificateDer<'static>,
    name: &str,
    year: i32,
) -> Result<(), Error> {
    let now = date_time_ymd(year, 6, 1)
        .unix_timestamp()
        .try_into()
        .unwrap();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    trusting(roots)
        .verify_server_cert(presented, &[], &name, &[], now)
        .map(|_| ())
}

#[test]
fn a_pinned_certificate_is_trusted_for_its_names_and_dates() {
    let (other, given) = (
        self_signed(&["other.test"]),
        self_signed(&["a.test", "127.0.0.1"]),
    );
    let roots = [&other, &given];
    assert_eq!(verified(&roots, &given, "a.test", 2026), Ok(()));
    assert_eq!(verified(&roots, &given, "127.0.0.1", 2026), Ok(()));
    assert!(matches!(
        verified(&roots, &given, "other.test", 2026),
        Err(Error::InvalidCertificate(
            CertificateError::NotValidForNameContext { .. }
        ))
    ));
    assert!(matches!(
        verified(&roots, &given, "a.test", 2030),
        Err(Error::InvalidCertificate(
            CertificateError::ExpiredContext { .. }
        ))
    ));
    assert!(matches!(
        verified(&roots, &given, "a.test", 2019),
        Err(Error::InvalidCertificate(
            CertificateError::NotValidYetContext { .. }
        ))
    ));
}

#[test]
fn similar_certificates_are_passed_to_the_fallback() {
    let (given, impostor) = (self_signed(&["a.test"]), self_signed(&["a.test"]));
    let fallback = Err(fallback_error());
    assert_eq!(verified(&[&given], &impostor, "a.test", 2026), fallback);
    let longer = CertificateDer::from([&given[..], &[0]].concat());
    assert_eq!(verified(&[&given], &longer, "a.test", 2026), fallback);
}

/// The tests in `net/tests` check signatures in real handshakes.
#[test]
fn signatures_are_passed_to_the_fallback() {
    let schemes = trusting(&[]).supported_verify_schemes();
    assert_eq!(schemes, [SignatureScheme::ED25519]);
}
