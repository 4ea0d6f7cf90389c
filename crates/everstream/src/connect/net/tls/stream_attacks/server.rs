//! A TLS server that can also send malicious encrypted records.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use rustls::crypto::CryptoProvider;
use rustls::crypto::cipher::{
    AeadKey, Iv, KeyBlockShape, MessageDecrypter, MessageEncrypter, OutboundOpaqueMessage,
    OutboundPlainMessage, Tls12AeadAlgorithm, Tls13AeadAlgorithm, UnsupportedOperationError,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{
    CipherSuiteCommon, ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion, ServerConfig,
    ServerConnection, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite,
};

/// Encrypts with the keys of a server, for both the server and an attacker, in the order of their
/// calls.
struct Keys {
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Keys {
    fn encrypt(&mut self, message: OutboundPlainMessage<'_>) -> OutboundOpaqueMessage {
        let encrypted = self.encrypter.encrypt(message, self.sequence).unwrap();
        self.sequence += 1;
        encrypted
    }
}

type Shared = Arc<Mutex<Keys>>;

thread_local! {
    /// The last keys that a server in this thread started to use.
    static LATEST: RefCell<Option<Shared>> = const { RefCell::new(None) };
}

fn share(encrypter: Box<dyn MessageEncrypter>) -> Box<dyn MessageEncrypter> {
    let keys = Arc::new(Mutex::new(Keys {
        encrypter,
        sequence: 0,
    }));
    LATEST.set(Some(keys.clone()));
    Box::new(SharedEncrypter(keys))
}

struct SharedEncrypter(Shared);

impl MessageEncrypter for SharedEncrypter {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        _: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        Ok(self.0.lock().unwrap().encrypt(message))
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        let keys = self.0.lock().unwrap();
        keys.encrypter.encrypted_payload_len(length)
    }
}

struct Aead13(&'static dyn Tls13AeadAlgorithm);

impl Tls13AeadAlgorithm for Aead13 {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        share(self.0.encrypter(key, iv))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        self.0.decrypter(key, iv)
    }

    fn key_len(&self) -> usize {
        self.0.key_len()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv)
    }
}

struct Aead12(&'static dyn Tls12AeadAlgorithm);

impl Tls12AeadAlgorithm for Aead12 {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        share(self.0.encrypter(key, iv, extra))
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        self.0.decrypter(key, iv)
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        self.0.key_block_shape()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: &[u8],
        explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        self.0.extract_keys(key, iv, explicit)
    }
}

fn common(common: &CipherSuiteCommon) -> CipherSuiteCommon {
    CipherSuiteCommon {
        suite: common.suite,
        hash_provider: common.hash_provider,
        confidentiality_limit: common.confidentiality_limit,
    }
}

/// Wraps a cipher suite so that its keys are shared.
fn shared(suite: SupportedCipherSuite) -> SupportedCipherSuite {
    match suite {
        SupportedCipherSuite::Tls13(suite) => {
            SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                common: common(&suite.common),
                hkdf_provider: suite.hkdf_provider,
                aead_alg: Box::leak(Box::new(Aead13(suite.aead_alg))),
                quic: None,
            })))
        }
        SupportedCipherSuite::Tls12(suite) => {
            SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
                common: common(&suite.common),
                prf_provider: suite.prf_provider,
                kx: suite.kx,
                sign: suite.sign,
                aead_alg: Box::leak(Box::new(Aead12(suite.aead_alg))),
            })))
        }
    }
}

pub(super) struct Certificate {
    pub(super) certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Certificate {
    pub(super) fn new() -> Self {
        let generated = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
        Certificate {
            certificate: generated.cert.der().clone(),
            key: generated.signing_key.serialize_der(),
        }
    }

    /// Creates a server for each suite, and one that makes the client retry with another key share.
    pub(super) fn servers(&self) -> Vec<Arc<ServerConfig>> {
        let mut providers = Vec::new();
        for suite in ring::DEFAULT_CIPHER_SUITES {
            // The certificate's key is for ECDSA.
            if format!("{:?}", suite.suite()).contains("_RSA_") {
                continue;
            }
            let mut provider = ring::default_provider();
            provider.cipher_suites = vec![shared(*suite)];
            providers.push(provider);
        }
        let mut other_group = ring::default_provider();
        other_group.cipher_suites = vec![shared(ring::DEFAULT_CIPHER_SUITES[0])];
        other_group.kx_groups = vec![ring::kx_group::SECP256R1];
        providers.push(other_group);
        providers
            .into_iter()
            .map(|provider| self.server(provider))
            .collect()
    }

    fn server(&self, provider: CryptoProvider) -> Arc<ServerConfig> {
        let version = provider.cipher_suites[0].version();
        let key = PrivateKeyDer::try_from(self.key.clone()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth();
        let config = builder.with_single_cert(vec![self.certificate.clone()], key);
        Arc::new(config.unwrap())
    }
}

pub(super) struct Server {
    connection: ServerConnection,
    keys: Option<Shared>,
    /// The connection has ended, cleanly or by an error.
    pub(super) is_dead: bool,
    pub(super) received: Vec<u8>,
}

impl Server {
    pub(super) fn new(config: Arc<ServerConfig>) -> Self {
        LATEST.set(None);
        Server {
            connection: ServerConnection::new(config).unwrap(),
            keys: None,
            is_dead: false,
            received: Vec::new(),
        }
    }

    pub(super) fn is_tls13(&self) -> bool {
        self.connection.protocol_version() == Some(ProtocolVersion::TLSv1_3)
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    pub(super) fn receive(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_dead {
            if self.connection.read_tls(&mut bytes).unwrap() == 0 {
                self.is_dead = true;
            }
            self.is_dead |= self.connection.process_new_packets().is_err();
            let mut part = Vec::new();
            _ = self.connection.reader().read_to_end(&mut part);
            self.received.extend_from_slice(&part);
        }
        self.keys = LATEST.with_borrow(Clone::clone);
    }

    /// Encrypts bytes of the stream. Returns how many were accepted.
    pub(super) fn send(&mut self, bytes: &[u8]) -> usize {
        self.connection.writer().write(bytes).unwrap_or(0)
    }

    pub(super) fn close(&mut self) {
        self.connection.send_close_notify();
    }

    pub(super) fn change_keys(&mut self) {
        _ = self.connection.refresh_traffic_keys();
        self.keys = LATEST.with_borrow(Clone::clone);
    }

    pub(super) fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// Encrypts a record as the server's next one, if there are keys.
    pub(super) fn forge(&mut self, typ: ContentType, payload: &[u8]) -> Option<Vec<u8>> {
        let mut keys = self.keys.as_ref()?.lock().unwrap();
        let message = OutboundPlainMessage {
            typ,
            version: ProtocolVersion::TLSv1_2,
            payload: payload.into(),
        };
        Some(keys.encrypt(message).encode())
    }

    /// Returns the records that the server wants to send.
    pub(super) fn records(&mut self) -> VecDeque<Vec<u8>> {
        let mut bytes = Vec::new();
        while self.connection.wants_write() {
            self.connection.write_tls(&mut bytes).unwrap();
        }
        let mut records = VecDeque::new();
        while !bytes.is_empty() {
            let length = 5 + usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
            let rest = bytes.split_off(length);
            records.push_back(std::mem::replace(&mut bytes, rest));
        }
        records
    }
}
