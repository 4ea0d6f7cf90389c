//! The server: a writer on a socket, in a process of its own. Prints its address.
//!
//! `GET /feed/N/M` is answered with N tokens, M of them in each HTTP chunk, as fast as they are read.
//! `GET /stamped/N/R` is answered with N events, R a second, whose data is the time of their writing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::decode::corpora::TOKEN;
use crate::{Outcome, sys};

/// Written at once, however they are divided into HTTP chunks.
const PER_WRITE: u64 = 64;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
    Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";

pub fn run() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}", listener.local_addr()?);
    for connection in listener.incoming() {
        let connection = connection?;
        // A client that has what it wanted hangs up.
        thread::spawn(move || serve(connection).err());
    }
    Ok(())
}

fn serve(mut connection: TcpStream) -> Outcome {
    connection.set_nodelay(true)?;
    let mut lines = BufReader::new(connection.try_clone()?).lines();
    let request = lines.next().ok_or("no request")??;
    while !lines.next().ok_or("no end of the request")??.is_empty() {}

    let path = request.split(' ').nth(1).unwrap_or_default();
    let mut parts = path.split('/').skip(1);
    let what = parts.next().unwrap_or_default();
    let mut number = || -> Outcome<u64> { Ok(parts.next().ok_or("no number")?.parse()?) };
    let (count, by) = (number()?, number()?.max(1));
    connection.write_all(HEAD)?;
    match what {
        "feed" => feed(&mut connection, count, by)?,
        _ => stamped(&mut connection, count, by)?,
    }
    connection.write_all(b"0\r\n\r\n")?;
    connection.shutdown(Shutdown::Write)?;
    // Until the client is gone.
    let _ = connection.read(&mut [0]);
    Ok(())
}

fn feed(connection: &mut TcpStream, count: u64, per_chunk: u64) -> Outcome {
    let full = written(PER_WRITE, per_chunk);
    for _ in 0..count / PER_WRITE {
        connection.write_all(&full)?;
    }
    connection.write_all(&written(count % PER_WRITE, per_chunk))?;
    Ok(())
}

fn written(events: u64, per_chunk: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut left = events;
    while left > 0 {
        let here = left.min(per_chunk);
        bytes.extend(chunk(&format!("data: {TOKEN}\n\n").repeat(here as usize)));
        left -= here;
    }
    bytes
}

fn chunk(body: &str) -> Vec<u8> {
    format!("{:x}\r\n{body}\r\n", body.len()).into_bytes()
}

fn stamped(connection: &mut TcpStream, count: u64, per_second: u64) -> Outcome {
    let start = Instant::now();
    for number in 0..count {
        let due = start + Duration::from_secs_f64(number as f64 / per_second as f64);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        connection.write_all(&chunk(&format!("data: {}\n\n", sys::now()?)))?;
    }
    Ok(())
}
