//! Connections over real sockets.

mod direct;
#[cfg(all(feature = "native-tls", not(feature = "__rustls")))]
mod native_tls;
mod proxies;
#[cfg(feature = "__rustls")]
mod self_signed;
#[cfg(feature = "__rustls")]
mod tls;
#[cfg(feature = "__tls")]
mod tls_server;
#[cfg(feature = "__tls")]
mod tls_settings;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
#[cfg(any(feature = "system-proxy", feature = "__rustls"))]
use std::process::Command;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Settings that ignore the environment's proxies.
fn settings() -> Transport {
    with_proxy(None)
}

fn through(proxy: &str) -> Transport {
    with_proxy(Some(proxy.to_owned()))
}

fn with_proxy(proxy: Option<String>) -> Transport {
    // Not with the feature `rustls`, which must work without an installed provider.
    #[cfg(all(feature = "rustls-no-provider", not(feature = "rustls")))]
    {
        _ = rustls::crypto::ring::default_provider().install_default();
    }
    Transport {
        proxy: Some(proxy),
        ..Transport::default()
    }
}

async fn connected(transport: &Transport, url: &str) -> Result<Connected, ConnectError> {
    let connector = Connector::new(transport).unwrap();
    let url = Url::parse(url).unwrap();
    connector.connect(&url, Versions::Http1).await
}

async fn failed(transport: &Transport, url: &str) -> Failure {
    match connected(transport, url).await {
        Err(ConnectError::Failed(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

/// Starts a server that sends `greeting` on each connection, and keeps the connection open until the
/// client sends or closes.
async fn greeter(greeting: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(greet(socket, greeting));
        }
    });
    addr
}

async fn greet(mut socket: impl AsyncRead + AsyncWrite + Unpin, greeting: &str) {
    // The client sees errors by itself.
    _ = socket.write_all(greeting.as_bytes()).await;
    _ = socket.flush().await;
    _ = socket.read(&mut [0; 1024]).await;
}

async fn greeting(connected: Connected) -> String {
    let mut io = connected.io;
    let mut bytes = [0; 5];
    io.read_exact(&mut bytes).await.unwrap();
    String::from_utf8(bytes.into()).unwrap()
}

/// Returns a port on which nothing listens: it has just been freed, and isn't reused soon.
fn refusing_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Runs one test in a child process with these variables, and returns its output. `test` is the path of
/// the test, including the crate.
#[cfg(any(feature = "system-proxy", feature = "__rustls"))]
pub(super) fn in_child(test: &str, variables: &[(&str, &str)]) -> String {
    let (_crate, name) = test.split_once("::").unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--ignored", "--nocapture"]);
    for name in ["http", "https", "all", "no"].map(|name| format!("{name}_proxy")) {
        command.env_remove(name.to_uppercase()).env_remove(name);
    }
    command.env_remove("REQUEST_METHOD");
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(text.contains("1 passed"), "no test is named {name}");
    text
}
