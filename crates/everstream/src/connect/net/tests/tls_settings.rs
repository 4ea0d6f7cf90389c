//! TLS settings, with either library.

use super::tls_server::trusting;
use super::*;

#[tokio::test]
async fn invalid_tls_settings_are_reported_before_connecting() {
    let named = |transport: &Transport| match Connector::new(transport).err() {
        Some(Error::Config { setting, .. }) => setting,
        other => panic!("{other:?}"),
    };
    assert_eq!(named(&trusting("")), "root_certificates");
    let mut transport = settings();
    transport.tls.identity = Some((Vec::new(), Vec::new()));
    assert_eq!(named(&transport), "client_certificate");
}
