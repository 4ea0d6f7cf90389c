//! The server: a separate process that writes to sockets. It prints its URL.
//!
//! `GET /feed/N/M` is answered with N tokens, M in each HTTP chunk, as fast as the client reads.
//! `GET /alone/N/R` is answered with N tokens, R a second, each in a separate chunk and write, which
//! begins with the time of that write.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::decode::corpora::TOKEN;
use crate::tls::Serve;
use crate::{Outcome, sys};

#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    tls: Serve,
}

/// Events per write, however they are divided into HTTP chunks.
const PER_WRITE: u64 = 64;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";

pub fn run(options: &Options) -> Outcome {
    let tls = options.tls.config()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}://{}", options.tls.scheme(), listener.local_addr()?);
    for connection in listener.incoming() {
        let (connection, tls) = (connection?, tls.clone());
        // A client closes the connection when it has finished.
        thread::spawn(move || Wire::new(connection, tls).and_then(serve).err());
    }
    Ok(())
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    fn new(connection: TcpStream, tls: Option<Arc<ServerConfig>>) -> Outcome<Wire> {
        connection.set_nodelay(true)?;
        Ok(match tls {
            None => Wire::Plain(connection),
            Some(config) => {
                let session = ServerConnection::new(config)?;
                Wire::Tls(Box::new(StreamOwned::new(session, connection)))
            }
        })
    }

    /// The request's first line.
    fn request(&mut self) -> Outcome<String> {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4 << 10]);
        while !bytes.ends_with(b"\r\n\r\n") {
            let read = self.read(&mut buffer)?;
            if read == 0 {
                return Err("no request".into());
            }
            bytes.extend(&buffer[..read]);
        }
        let text = String::from_utf8(bytes)?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(socket) => socket.read(buffer),
            Wire::Tls(stream) => stream.read(buffer),
        }
    }

    /// Sends all parts in one write; over TLS each part is a record.
    fn send(&mut self, parts: &Parts) -> io::Result<()> {
        match self {
            Wire::Plain(socket) => socket.write_all(&parts.bytes),
            Wire::Tls(stream) => {
                for part in parts.iter() {
                    stream.conn.writer().write_all(part)?;
                }
                while stream.conn.wants_write() {
                    stream.conn.write_tls(&mut stream.sock)?;
                }
                Ok(())
            }
        }
    }

    fn end(mut self) -> io::Result<()> {
        self.send(&Parts::of(b"0\r\n\r\n"))?;
        if let Wire::Tls(stream) = &mut self {
            stream.conn.send_close_notify();
            stream.flush()?;
        }
        match &self {
            Wire::Plain(socket) => socket.shutdown(Shutdown::Write)?,
            Wire::Tls(stream) => stream.sock.shutdown(Shutdown::Write)?,
        }
        // Until the client closes the connection.
        self.read(&mut [0]).map(drop)
    }
}

/// Bytes of one write, and the end of each part.
#[derive(Default)]
struct Parts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Parts {
    fn of(part: &[u8]) -> Parts {
        let mut parts = Parts::default();
        parts.push(part);
        parts
    }

    /// A part that is an HTTP chunk.
    fn chunk(body: &str) -> Parts {
        let mut parts = Parts::default();
        parts.push_chunk(body);
        parts
    }

    fn push(&mut self, part: &[u8]) {
        self.bytes.extend(part);
        self.ends.push(self.bytes.len());
    }

    fn push_chunk(&mut self, body: &str) {
        self.push(format!("{:x}\r\n{body}\r\n", body.len()).as_bytes());
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| &self.bytes[start..*end])
    }
}

fn serve(mut wire: Wire) -> Outcome {
    let request = wire.request()?;
    let path = request.split(' ').nth(1).unwrap_or_default();
    let mut parts = path.split('/').skip(1);
    let what = parts.next().unwrap_or_default();
    let mut number = || -> Outcome<u64> { Ok(parts.next().ok_or("no number")?.parse()?) };
    let (count, by) = (number()?, number()?.max(1));
    wire.send(&Parts::of(HEAD))?;
    match what {
        "feed" => feed(&mut wire, count, by)?,
        _ => alone(&mut wire, count, by)?,
    }
    Ok(wire.end()?)
}

fn feed(wire: &mut Wire, count: u64, per_chunk: u64) -> Outcome {
    let full = tokens(PER_WRITE, per_chunk);
    for _ in 0..count / PER_WRITE {
        wire.send(&full)?;
    }
    Ok(wire.send(&tokens(count % PER_WRITE, per_chunk))?)
}

fn tokens(events: u64, per_chunk: u64) -> Parts {
    let mut parts = Parts::default();
    let mut left = events;
    while left > 0 {
        let here = left.min(per_chunk);
        parts.push_chunk(&format!("data: {TOKEN}\n\n").repeat(here as usize));
        left -= here;
    }
    parts
}

fn alone(wire: &mut Wire, count: u64, per_second: u64) -> Outcome {
    let start = Instant::now();
    for number in 0..count {
        let due = start + Duration::from_secs_f64(number as f64 / per_second as f64);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        wire.send(&Parts::chunk(&format!("data: {} {TOKEN}\n\n", sys::now()?)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chunk_is_a_part() {
        let parts = tokens(5, 2);
        let lengths: Vec<usize> = parts.iter().map(<[u8]>::len).collect();
        let event = format!("data: {TOKEN}\n\n").len();
        let chunk = |events: usize| format!("{:x}", events * event).len() + events * event + 4;
        assert_eq!(lengths, [chunk(2), chunk(2), chunk(1)]);
        assert_eq!(parts.iter().flatten().count(), parts.bytes.len());
    }
}
