use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::connect::transport::{Roots, Tls};

type Accepted = tokio_rustls::server::TlsStream<TcpStream>;

/// Returns both ends of a connection with this version of TLS.
async fn pair(version: &'static rustls::SupportedProtocolVersion) -> (TlsStream, Accepted) {
    let generated = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    let key = PrivateKeyDer::try_from(generated.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![generated.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = async { acceptor.accept(listener.accept().await.unwrap().0).await };
    let connecting = async {
        let settings = Tls {
            accept_invalid_certs: true,
            ..Tls::default()
        };
        let config = settings.client_config(Roots::UserOnly, &[]).unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let io = Io::Tcp(TcpStream::connect(address).await.unwrap());
        TlsStream::connect(config, name, io).await
    };
    let (accepted, connected) = tokio::join!(accepting, connecting);
    (connected.unwrap(), accepted.unwrap())
}

fn data(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 31 % 251) as u8).collect()
}

#[tokio::test]
async fn data_arrives_intact_in_both_directions_at_once() {
    for version in [&TLS12, &TLS13] {
        let (client, server) = pair(version).await;
        let (sent, received) = (data(3 << 20), data(2 << 20));
        let (mut server_read, mut server_write) = tokio::io::split(server);
        let (mut client_read, mut client_write) = tokio::io::split(client);
        let (from_client, from_server) = (sent.clone(), received.clone());
        let reading = tokio::spawn(async move {
            let mut all = Vec::new();
            server_read.read_to_end(&mut all).await.unwrap();
            all
        });
        let writing = tokio::spawn(async move {
            server_write.write_all(&from_server).await.unwrap();
            server_write.shutdown().await.unwrap();
        });
        let uploading = tokio::spawn(async move {
            client_write.write_all(&from_client).await.unwrap();
            client_write.flush().await.unwrap();
            client_write
        });
        // Smaller than a record, so that a part of each record has to be kept.
        let mut all = Vec::new();
        let mut part = [0; 1000];
        loop {
            match client_read.read(&mut part).await.unwrap() {
                0 => break,
                length => all.extend_from_slice(&part[..length]),
            }
        }
        assert!(all == received);
        writing.await.unwrap();
        let mut client_write = uploading.await.unwrap();
        client_write.shutdown().await.unwrap();
        assert!(reading.await.unwrap() == sent);
    }
}

#[tokio::test]
async fn the_server_may_update_its_keys() {
    let (mut client, mut server) = pair(&TLS13).await;
    for round in 0..5 {
        server.get_mut().1.refresh_traffic_keys().unwrap();
        let message = data(40_000 + round);
        server.write_all(&message).await.unwrap();
        server.flush().await.unwrap();
        let mut received = vec![0; message.len()];
        client.read_exact(&mut received).await.unwrap();
        assert!(received == message);
        client.write_all(b"back").await.unwrap();
        let mut back = [0; 4];
        server.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"back");
    }
}

#[tokio::test]
async fn close_notify_is_a_clean_end_and_a_tcp_close_is_an_error() {
    for version in [&TLS12, &TLS13] {
        let (mut client, mut server) = pair(version).await;
        server.write_all(b"all").await.unwrap();
        server.shutdown().await.unwrap();
        let mut all = Vec::new();
        assert_eq!(client.read_to_end(&mut all).await.unwrap(), 3);
        // Reading again returns the end again.
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);

        let (mut client, mut server) = pair(version).await;
        server.write_all(b"part").await.unwrap();
        server.flush().await.unwrap();
        server.into_inner().0.shutdown().await.unwrap();
        let error = client.read_to_end(&mut Vec::new()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}

/// Otherwise rustls would panic in debug builds, because it would have to send an alert after the end of TLS.
#[tokio::test]
async fn after_shutdown_nothing_is_processed() {
    for version in [&TLS12, &TLS13] {
        let (mut client, server) = pair(version).await;
        let (mut socket, _) = server.into_inner();
        client.shutdown().await.unwrap();
        socket.write_all(b"no TLS at all").await.unwrap();
        for _ in 0..2 {
            let error = client.read(&mut [0; 8]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotConnected);
            let error = client.write(b"x").await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
            client.flush().await.unwrap();
            client.shutdown().await.unwrap();
        }
    }
}

#[tokio::test]
async fn data_before_an_error_is_delivered() {
    for version in [&TLS12, &TLS13] {
        let (mut client, mut server) = pair(version).await;
        server.write_all(b"first").await.unwrap();
        server.write_all(b"second").await.unwrap();
        server.flush().await.unwrap();
        let (mut socket, _) = server.into_inner();
        socket
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        let mut received = Vec::new();
        let error = client.read_to_end(&mut received).await.unwrap_err();
        assert_eq!(received, b"firstsecond");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}

/// rustls panics if it gets refused bytes again.
#[tokio::test]
async fn after_invalid_records_every_call_fails() {
    for version in [&TLS12, &TLS13] {
        for garbage in [
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            &[
                23, 3, 3, 0, 40, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
                20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40,
            ],
            &[22, 3, 3, 0xff, 0xff],
        ] {
            let (mut client, server) = pair(version).await;
            let (mut socket, _) = server.into_inner();
            socket.write_all(garbage).await.unwrap();
            for _ in 0..3 {
                let error = client.read(&mut [0; 8]).await.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
            }
            let error = client.write_all(b"x").await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(client.shutdown().await.is_err());
            // The server receives the alert.
            let mut alert = Vec::new();
            drop(client);
            _ = socket.read_to_end(&mut alert).await;
            assert!(!alert.is_empty());
        }
    }
}
