//! A feed of numbered events, as fast as its client reads. It resumes, and stays open at its end.

use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::{Outcome, data};

pub(crate) fn serve(events: u64) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}/", listener.local_addr()?);
    for socket in listener.incoming() {
        let socket = socket?;
        thread::spawn(move || {
            // A client that has gone is no error.
            let _ = answer(&socket, events);
        });
    }
    Ok(())
}

fn answer(socket: &TcpStream, events: u64) -> io::Result<()> {
    let mut last = 0;
    let mut request = BufReader::new(socket);
    loop {
        let mut line = String::new();
        if request.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            if name.eq_ignore_ascii_case("last-event-id") {
                last = value.trim().parse().unwrap_or(0);
            }
        }
    }
    let mut out = BufWriter::with_capacity(1 << 16, socket);
    out.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")?;
    for number in last + 1..=events {
        write!(out, "id: {number}\ndata: {}\n\n", data(number))?;
    }
    out.flush()?;
    // Until the client goes.
    io::copy(&mut request, &mut io::sink())?;
    Ok(())
}
