//! Server certificate verifiers that rustls doesn't have.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::validity::Validity;

/// Trusts a server certificate that is itself one of the user's roots, such as a self-signed one created
/// by `openssl req -x509`. X.509 doesn't allow it as a server certificate, because it is marked as that of
/// a certificate authority.
///
/// Trusts only a certificate that is equal in every byte. Its dates and names are checked as usual, and
/// so is the server's signature, which proves that the server has the key.
#[derive(Debug)]
pub(super) struct PinnedVerifier {
    pub(super) roots: Vec<CertificateDer<'static>>,
    /// Verifies all other certificates, and all signatures.
    pub(super) fallback: Arc<dyn ServerCertVerifier>,
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !self.roots.iter().any(|root| root == end_entity) {
            return self.fallback.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            );
        }
        let validity = Validity::of(end_entity).ok_or(CertificateError::BadEncoding)?;
        validity.check(now)?;
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.fallback
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.fallback
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.fallback.supported_verify_schemes()
    }
}

/// Returns the same verdict for every certificate and signature, unchecked.
#[derive(Debug)]
pub(super) struct FixedVerdict {
    pub(super) verdict: Result<(), Error>,
    pub(super) schemes: Vec<SignatureScheme>,
}

impl FixedVerdict {
    /// For `danger_accept_invalid_certs`.
    pub(super) fn accept_anything() -> Self {
        FixedVerdict {
            verdict: Ok(()),
            // Includes schemes that no provider can verify, because nothing is verified.
            schemes: vec![
                SignatureScheme::ECDSA_NISTP256_SHA256,
                SignatureScheme::ECDSA_NISTP384_SHA384,
                SignatureScheme::ECDSA_NISTP521_SHA512,
                SignatureScheme::ED25519,
                SignatureScheme::ED448,
                SignatureScheme::RSA_PSS_SHA256,
                SignatureScheme::RSA_PSS_SHA384,
                SignatureScheme::RSA_PSS_SHA512,
                SignatureScheme::RSA_PKCS1_SHA256,
                SignatureScheme::RSA_PKCS1_SHA384,
                SignatureScheme::RSA_PKCS1_SHA512,
                SignatureScheme::ECDSA_SHA1_Legacy,
                SignatureScheme::RSA_PKCS1_SHA1,
            ],
        }
    }

    fn signature(&self) -> Result<HandshakeSignatureValid, Error> {
        self.verdict.clone()?;
        Ok(HandshakeSignatureValid::assertion())
    }
}

impl ServerCertVerifier for FixedVerdict {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verdict.clone()?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature()
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature()
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

#[cfg(test)]
#[path = "verifier_tests.rs"]
mod tests;
