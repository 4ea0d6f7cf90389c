//! Tests of `custom-source`.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::{fs, io, thread};

use everstream_testing::{Feed, Reply, Server};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::program::{Ended, Program, command};

fn run(args: &[&str]) -> Ended {
    Program::start(command(env!("CARGO_BIN_EXE_custom-source"), args)).end()
}

#[test]
fn a_file_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recorded");
    fs::write(
        &path,
        "retry: 1\n\nevent: a\ndata: one\n\ndata: two\n\ndata: half",
    )
    .unwrap();
    let ended = run(&["file", path.to_str().unwrap()]);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(ended.stdout, "a: one\nmessage: two\n");
}

#[test]
fn a_missing_file_is_named() {
    let ended = run(&["file", "no/such/file"]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("no/such/file"), "{}", ended.stderr);
}

#[test]
fn a_unix_socket_is_resumed_after_the_last_id() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || -> io::Result<Vec<String>> {
        let mut requests = Vec::new();
        for answer in [
            "retry: 1\nid: 1\ndata: one\n\nid: 2\ndata: ha",
            "id: 2\ndata: two\n\ndata: the end\n\n",
        ] {
            let (mut socket, _) = listener.accept()?;
            let mut line = String::new();
            BufReader::new(&socket).read_line(&mut line)?;
            requests.push(line);
            socket.write_all(answer.as_bytes())?;
        }
        Ok(requests)
    });
    let ended = run(&["unix", path.to_str().unwrap()]);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(ended.stdout, "message: one\nmessage: two\n");
    assert_eq!(server.join().unwrap().unwrap(), ["after \n", "after 1\n"]);
}

#[test]
fn a_private_ca_is_trusted_only_if_configured() {
    let (server, feed) = (Server::start(), Feed::new());
    for text in ["one", "two", "three", "the end"] {
        feed.push(text);
    }
    server
        .enqueue(
            Reply::stream()
                .retry(1)
                .resume(feed.take(2))
                .drop_connection(),
        )
        .otherwise(Reply::stream().resume(&feed));
    let (ca, other) = (Ca::new(), Ca::new());
    let tls = Tls::start(&ca, &server);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, ca: &Ca| {
        let path = folder.path().join(name);
        fs::write(&path, &ca.pem).unwrap();
        path.to_str().unwrap().to_owned()
    };

    let ended = run(&["tls", &tls.url, &file("ca.pem", &ca)]);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(ended.stdout, "message: one\nmessage: two\nmessage: three\n");
    assert_eq!(server.requests()[1].header("last-event-id"), Some("2"));

    // The client retries, because the server's certificate may be fixed.
    let before = server.request_count();
    let args = ["tls", &tls.url, &file("other.pem", &other)];
    let program = Program::start(command(env!("CARGO_BIN_EXE_custom-source"), args));
    tls.wait_for_refused();
    program.interrupt();
    let ended = program.end();
    assert_eq!(
        (ended.stdout.as_str(), server.request_count()),
        ("", before)
    );

    let ended = run(&["tls", &tls.url, "no/such/file"]);
    assert!(ended.stderr.contains("no/such/file"), "{}", ended.stderr);
}

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Ca {
    fn new() -> Ca {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Ca {
            issuer: Issuer::new(params, key),
            pem,
        }
    }
}

/// Adds TLS to a server without it.
struct Tls {
    url: String,
    refused: std::sync::mpsc::Receiver<()>,
    _runtime: Runtime,
}

impl Tls {
    fn start(ca: &Ca, behind: &Server) -> Tls {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".into()]).unwrap();
        let chain = vec![params.signed_by(&key, &ca.issuer).unwrap().der().clone()];
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();

        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!(
            "https://localhost:{}/",
            listener.local_addr().unwrap().port()
        );
        let (acceptor, behind) = (TlsAcceptor::from(Arc::new(config)), behind.addr());
        let (refusal, refused) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, refusal) = (acceptor.clone(), refusal.clone());
                tokio::spawn(async move {
                    match acceptor.accept(socket).await {
                        Ok(mut outside) => {
                            let mut inside = TcpStream::connect(behind).await.unwrap();
                            _ = copy_bidirectional(&mut outside, &mut inside).await;
                        }
                        Err(_) => _ = refusal.send(()),
                    }
                });
            }
        });
        Tls {
            url,
            refused,
            _runtime: runtime,
        }
    }

    fn wait_for_refused(&self) {
        let limit = crate::program::LIMIT;
        self.refused.recv_timeout(limit).expect("a refusal in time");
    }
}
