//! Settings of TLS, by whichever library.

use super::tls_server::trusting;
use super::*;

#[tokio::test]
async fn bad_settings_are_named_before_anything_is_connected() {
    let named = |transport: &Transport| match Connector::new(transport).err() {
        Some(Error::Config { setting, .. }) => setting,
        other => panic!("{other:?}"),
    };
    assert_eq!(named(&trusting("")), "root_certificates");
    let mut transport = settings();
    transport.tls.identity = Some((Vec::new(), Vec::new()));
    assert_eq!(named(&transport), "client_certificate");
}
