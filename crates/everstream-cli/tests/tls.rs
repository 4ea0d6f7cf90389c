//! Certificates: which servers the command trusts, and its own.

use everstream_testing::{Reply, Server};

use crate::certs::{Authority, Validity};
use crate::common::{Folder, Running, everstream};
use crate::tls_server::TlsServer;

fn gone() -> Server {
    let server = Server::start();
    server.otherwise(Reply::status(204));
    server
}

fn follow(tls: &TlsServer, options: &[&str]) -> (i32, String) {
    let url = tls.url("/");
    let args = [&*url, "--max-attempts", "1"];
    Running::follow(args.into_iter().chain(options.iter().copied())).end()
}

#[test]
fn cacert_trusts_an_unknown_authority() {
    let (server, authority, folder) = (gone(), Authority::new(), Folder::new("cacert"));
    let leaf = authority.server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["http/1.1"]), &server);
    let (code, stderr) = follow(&tls, &[]);
    assert_eq!(code, 5, "{stderr}");
    assert!(
        stderr.contains("hint: trust the server's CA with --cacert"),
        "{stderr}"
    );
    assert_eq!(server.request_count(), 0);

    let ca = folder.file("ca.pem", &authority.pem());
    let (code, stderr) = follow(&tls, &["--cacert", ca.to_str().unwrap()]);
    assert_eq!(code, 4, "{stderr}");
    assert_eq!(follow(&tls, &["-k"]).0, 4);
    assert_eq!(server.request_count(), 2);
}

/// Such as a container image without the package.
#[test]
fn missing_ca_certificates_have_a_hint_that_helps() {
    let (server, authority, folder) = (gone(), Authority::new(), Folder::new("no-ca"));
    let leaf = authority.server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(leaf.config(&["http/1.1"]), &server);
    let follow = |url: &str, options: &[&str]| {
        let mut command = everstream([url].into_iter().chain(options.iter().copied()));
        command.env("SSL_CERT_FILE", "/no/such/file");
        command.env("SSL_CERT_DIR", "/no/such/dir");
        Running::start(command).end()
    };
    let hint = "everstream: hint: install them (the package ca-certificates), set SSL_CERT_FILE, or \
                use --cacert FILE";
    let (code, stderr) = follow(&tls.url("/"), &[]);
    assert_eq!(code, 1, "{stderr}");
    let error =
        "everstream: error: gave up: this system has no CA certificates to verify the server with";
    assert_eq!(stderr, format!("{error}\n{hint}"));
    let moved = Server::start();
    moved.otherwise(Reply::redirect(307, tls.url("/")));
    let (code, stderr) = follow(&moved.url("/"), &[]);
    assert_eq!(code, 3, "{stderr}");
    assert!(stderr.contains("No CA certificates"), "{stderr}");
    assert!(stderr.ends_with(hint), "{stderr}");
    let ca = folder.file("ca.pem", &authority.pem());
    for url in [tls.url("/"), moved.url("/")] {
        let (code, stderr) = follow(&url, &["--cacert", ca.to_str().unwrap()]);
        assert_eq!(code, 4, "{stderr}");
    }
}

#[test]
fn a_client_certificate_is_sent_on_request() {
    let (server, authority, folder) = (gone(), Authority::new(), Folder::new("cert"));
    let leaf = authority.server(&["localhost"], Validity::Now);
    let tls = TlsServer::start(leaf.config_for_clients_of(&authority), &server);
    assert_ne!(follow(&tls, &["-k"]).0, 4);
    assert_eq!(server.request_count(), 0);

    let client = authority.client();
    let cert = folder.file("cert.pem", &client.pem);
    let key = folder.file("key.pem", &client.key_pem);
    let both = folder.file("both.pem", &format!("{}{}", client.pem, client.key_pem));
    let [cert, key, both] = [&cert, &key, &both].map(|path| path.to_str().unwrap());
    let (code, stderr) = follow(&tls, &["-k", "--cert", cert, "--key", key]);
    assert_eq!(code, 4, "{stderr}");
    let (code, stderr) = follow(&tls, &["-k", "--cert", both]);
    assert_eq!(code, 4, "{stderr}");
    let (code, stderr) = follow(&tls, &["-k", "--cert", cert]);
    assert_eq!(code, 2, "{stderr}");
    let (code, stderr) = follow(&tls, &["-k", "--cacert", "/no/such.pem"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("/no/such.pem can't be read"), "{stderr}");
}

#[test]
fn a_certificate_that_becomes_untrusted_is_retried_with_a_warning() {
    let (server, folder) = (Server::start(), Folder::new("no-longer-trusted"));
    let (authority, other) = (Authority::new(), Authority::new());
    let tls = [&authority, &other].map(|authority| {
        let leaf = authority.server(&["localhost"], Validity::Now);
        TlsServer::start(leaf.config(&["http/1.1"]), &server)
    });
    // Only the second attempt meets the other certificate.
    let gate = Server::start();
    gate.enqueue(Reply::redirect(307, tls[0].url("/")))
        .enqueue(Reply::redirect(307, tls[1].url("/")))
        .otherwise(Reply::redirect(307, tls[0].url("/")));
    server
        .enqueue(Reply::stream().retry(1).event("a").end())
        .otherwise(Reply::status(204));
    let ca = folder.file("ca.pem", &authority.pem());
    let (code, stderr) = Running::follow([&*gate.url("/"), "--cacert", ca.to_str().unwrap()]).end();
    assert_eq!(code, 4, "{stderr}");
    let warning = "everstream: warning: retrying although the certificate is not trusted, because \
                   an earlier connection succeeded; on the first attempt this would be final\n";
    assert_eq!(stderr.matches(warning).count(), 1, "{stderr}");
    let lost = "the certificate of localhost is not trusted: unknown issuer; retrying in";
    assert!(stderr.contains(lost), "{stderr}");
}
