//! Just enough HTTP to publish a message and to ask a server how it is.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::sh;

/// A port of loopback that was free a moment ago.
pub(super) fn free_port() -> sh::Outcome<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Waits until something listens on the port, while `server` lives.
pub(super) fn wait_for_port(server: &mut sh::Guard, port: u16) -> sh::Outcome {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        server.check_alive()?;
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => {
                return Err(format!("nothing listens on port {port}: {error}").into());
            }
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// One request with a JSON answer. Anything but a status of 2xx is an error.
pub(super) fn json(
    method: &str,
    port: u16,
    path: &str,
    body: &str,
) -> sh::Outcome<serde_json::Value> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    // HTTP/1.0 keeps chunks out of the answer, which then ends with the connection.
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json\r\n\
         Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| format!("{method} {path}: no HTTP answer: {answer:?}"))?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    if !status.starts_with('2') {
        return Err(format!("{method} {path}: status {status}: {body}").into());
    }
    serde_json::from_str(body).map_err(|error| format!("{method} {path}: {error}: {body}").into())
}
