use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, date_time_ymd};
use std::time::Duration;

use super::*;

/// One as `openssl req -x509` makes it.
fn self_signed(names: &[&str]) -> CertificateDer<'static> {
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "the same");
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2030, 1, 1);
    let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    made.der().clone()
}

fn asked() -> Error {
    Error::General("asked".to_owned())
}

/// The other verifier only says that it was asked.
fn trusting(roots: &[&CertificateDer<'static>]) -> TrustGiven {
    TrustGiven {
        roots: roots.iter().map(|root| (*root).clone()).collect(),
        otherwise: Arc::new(FixedAnswer {
            answer: Err(asked()),
            schemes: vec![SignatureScheme::ED25519],
        }),
    }
}

fn verified(
    roots: &[&CertificateDer<'static>],
    shown: &CertificateDer<'static>,
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
        .verify_server_cert(shown, &[], &name, &[], now)
        .map(|_| ())
}

#[test]
fn a_given_certificate_is_trusted_for_its_names_and_dates() {
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
fn one_that_only_looks_the_same_is_for_the_other_verifier() {
    let (given, impostor) = (self_signed(&["a.test"]), self_signed(&["a.test"]));
    let asked = Err(asked());
    assert_eq!(verified(&[&given], &impostor, "a.test", 2026), asked);
    let longer = CertificateDer::from([&given[..], &[0]].concat());
    assert_eq!(verified(&[&given], &longer, "a.test", 2026), asked);
}

/// Of what a handshake with a real server shows, see the tests of connections.
#[test]
fn signatures_are_for_the_other_verifier() {
    let schemes = trusting(&[]).supported_verify_schemes();
    assert_eq!(schemes, [SignatureScheme::ED25519]);
}
