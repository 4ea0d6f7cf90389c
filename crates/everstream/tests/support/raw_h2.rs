//! HTTP/2 servers that send any number of informational responses before a stream.

use std::io::{self, BufWriter, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;
const DATA: u8 = 0;
const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;

/// `:status: 103`
const EARLY_HINTS: &[u8] = b"\x08\x03103";
/// `:status: 200`, `content-type: text/event-stream`
const STREAM: &[u8] = b"\x88\x0f\x10\x11text/event-stream";

/// Starts a server that answers each request with this many 103 responses, then one event. Returns its URL.
pub(crate) fn informational(count: usize) -> String {
    start(move |mut socket| {
        while let Ok(stream) = request(&mut socket) {
            // The client may close at any time.
            _ = answer(&socket, stream, count);
        }
    })
}

/// Starts a server for one request. It reports when the request has arrived, responds when the test sends
/// a command, and reports again when it has responded or the client has closed.
#[allow(dead_code)] // not used by every test program
pub(crate) fn on_command(count: usize) -> (String, Receiver<()>, Sender<()>) {
    let (report, reports) = channel();
    let (command, commands) = channel();
    let commands = Mutex::new(commands);
    let url = start(move |mut socket| {
        let stream = request(&mut socket).unwrap();
        report.send(()).unwrap();
        commands.lock().unwrap().recv().unwrap();
        _ = answer(&socket, stream, count);
        report.send(()).unwrap();
        // Wait until the client closes.
        _ = io::copy(&mut socket, &mut io::sink());
    });
    (url, reports, command)
}

fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let serve = serve.clone();
            std::thread::spawn(move || {
                socket.read_exact(&mut [0; 24]).unwrap();
                write(&mut socket, SETTINGS, 0, 0, &[]).unwrap();
                serve(socket);
            });
        }
    });
    url
}

/// Reads the next request, and returns its stream id.
fn request(socket: &mut TcpStream) -> io::Result<u32> {
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        socket.read_exact(&mut vec![0; usize::try_from(length).unwrap()])?;
        if head[3] == HEADERS {
            return Ok(u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
        }
    }
}

fn answer(socket: &TcpStream, stream: u32, count: usize) -> io::Result<()> {
    let mut out = BufWriter::new(socket);
    for _ in 0..count {
        write(&mut out, HEADERS, END_HEADERS, stream, EARLY_HINTS)?;
    }
    write(&mut out, HEADERS, END_HEADERS, stream, STREAM)?;
    write(&mut out, DATA, END_STREAM, stream, b"data: x\n\n")?;
    out.flush()
}

fn write(out: &mut impl Write, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
    out.write_all(&u32::try_from(payload.len()).unwrap().to_be_bytes()[1..])?;
    out.write_all(&[kind, flags])?;
    out.write_all(&stream.to_be_bytes())?;
    out.write_all(payload)
}
