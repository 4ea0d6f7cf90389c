//! Plays replies on a connection.
//!
//! Generic over the stream, so that an encrypted stream can replace the socket.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::feed::Portion;
use crate::parse::{Inbox, NoRequest, READ_SIZE, read};
use crate::reply::{Cut, Ending, Head, Reply, Step};
use crate::request::Request;
use crate::response::{self, Framing};
use crate::shared::Shared;

/// How long the server keeps reading after a FIN. Closing a socket with unread bytes would send a reset,
/// which discards data that the client hasn't received yet.
const LINGER: Duration = Duration::from_secs(1);

/// While a thread waits for a gate or a feed, it checks whether its client has disconnected, at growing
/// intervals: short ones notice a disconnect soon, long ones keep thousands of idle streams cheap.
const FIRST_CHECK_INTERVAL: Duration = Duration::from_millis(5);
const MAX_CHECK_INTERVAL: Duration = Duration::from_millis(160);

/// A connection's byte stream, and its socket.
pub(crate) trait Stream: Read + Write {
    fn socket(&self) -> &TcpStream;
}

/// An unencrypted stream: the socket itself.
///
/// Don't keep other references to the socket for long: it closes when the last one is dropped.
pub(crate) struct Plain(pub(crate) Arc<TcpStream>);

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(buffer)
    }
}

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.0).flush()
    }
}

impl Stream for Plain {
    fn socket(&self) -> &TcpStream {
        &self.0
    }
}

/// Serves a connection until one side ends it. Dropping the stream then closes it.
pub(crate) fn serve<S: Stream>(stream: &mut S, connection: usize, server: &Shared) {
    let mut inbox = Inbox::default();
    if let Some(reply) = server.reply_on_accept() {
        play(stream, &mut inbox, &reply, None);
        return;
    }
    loop {
        if inbox.wait(stream).is_err() {
            return;
        }
        if let Some(reply) = server.reply_on_accept() {
            play(stream, &mut inbox, &reply, None);
            return;
        }
        let request = match inbox.request(stream) {
            Ok(parsed) => server.record(parsed, connection),
            Err(NoRequest::Disconnected) => return,
            Err(NoRequest::Rejected(status, why)) => {
                server.record_rejected();
                let reply = Reply::status(status).close_delimited().send(why);
                play(stream, &mut inbox, &reply, None);
                return;
            }
        };
        let reply = server.reply_to(&request);
        if let Next::Close = play(stream, &mut inbox, &reply, Some(&request)) {
            return;
        }
    }
}

/// What happens to the connection after a reply.
enum Next {
    Request,
    Close,
}

/// Why a script ends before its last step.
enum Interrupted {
    Disconnected,
    Cut(Ending),
}

impl From<io::Error> for Interrupted {
    fn from(_: io::Error) -> Interrupted {
        Interrupted::Disconnected
    }
}

fn play<S: Stream>(
    stream: &mut S,
    inbox: &mut Inbox,
    reply: &Reply,
    request: Option<&Request>,
) -> Next {
    let mut player = Player {
        framing: Framing::of(reply, request),
        stream,
        inbox,
        request,
        cut: reply.cut,
        piece: reply.piece,
        written: 0,
        body: 0,
        positions: Vec::new(),
    };
    let ending = match player.script(reply) {
        Ok(ending) => ending,
        Err(Interrupted::Cut(ending)) => ending,
        Err(Interrupted::Disconnected) => return Next::Close,
    };
    player.finish(reply, ending)
}

struct Player<'a, S> {
    stream: &'a mut S,
    inbox: &'a mut Inbox,
    request: Option<&'a Request>,
    framing: Framing,
    cut: Option<Cut>,
    piece: usize,
    /// All bytes written so far.
    written: usize,
    /// The bytes of the body so far, without framing.
    body: u64,
    /// How far each feed, by its key, has been sent.
    positions: Vec<(usize, usize)>,
}

impl<S: Stream> Player<'_, S> {
    fn script(&mut self, reply: &Reply) -> Result<Ending, Interrupted> {
        for step in &reply.before_head {
            self.step(step)?;
        }
        self.write(&response::head(reply, self.framing))?;
        for step in &reply.steps {
            self.step(step)?;
        }
        if reply.ending == Ending::Clean {
            self.write(self.framing.terminator())?;
        }
        Ok(reply.ending)
    }

    fn step(&mut self, step: &Step) -> Result<(), Interrupted> {
        match step {
            Step::Send(bytes) => self.send(bytes),
            // If no body is allowed, an endless body is empty too.
            Step::Forever(_) | Step::Follow { .. } if self.framing == Framing::Empty => Ok(()),
            Step::Forever(bytes) if bytes.is_empty() => Ok(()),
            Step::Forever(bytes) => loop {
                self.send(bytes)?;
            },
            Step::Pause(time) => self.pause(*time),
            Step::WaitFor(gate) => self.wait(|slice| gate.wait(slice)),
            Step::Open(gate) => {
                gate.open();
                Ok(())
            }
            Step::Follow { portion, resume } => self.follow(portion, *resume),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Interrupted> {
        self.body += bytes.len() as u64;
        let framed = self.framing.wrap(bytes);
        self.write(&framed)
    }

    /// Writes bytes, up to the cut if there is one.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Interrupted> {
        let end = match self.cut {
            Some(cut) => bytes.len().min(cut.at - self.written),
            None => bytes.len(),
        };
        for piece in bytes[..end].chunks(self.piece) {
            self.stream.write_all(piece)?;
            self.stream.flush()?;
        }
        self.written += end;
        match self.cut {
            Some(cut) if cut.at == self.written => Err(Interrupted::Cut(cut.ending)),
            _ => Ok(()),
        }
    }

    fn follow(&mut self, portion: &Portion, resume: bool) -> Result<(), Interrupted> {
        let feed = &portion.feed;
        let known = self
            .positions
            .iter()
            .position(|&(key, _)| key == feed.key());
        let slot = known.unwrap_or_else(|| {
            let id = self.request.and_then(|it| it.header("last-event-id"));
            let start = if resume { feed.position_after(id) } else { 0 };
            self.positions.push((feed.key(), start));
            self.positions.len() - 1
        });
        let mut position = self.positions[slot].1;
        let mut left = portion.limit.unwrap_or(usize::MAX);
        while left > 0 {
            self.wait(|slice| feed.wait_past(position, slice))?;
            let (count, bytes) = feed.read(position, left);
            if count == 0 {
                // The feed is closed and was sent completely.
                return Ok(());
            }
            self.send(&bytes)?;
            position += count;
            left -= count;
            self.positions[slot].1 = position;
        }
        if portion.half {
            self.wait(|slice| feed.wait_past(position, slice))?;
            let (_, bytes) = feed.read(position, 1);
            self.send(&bytes[..bytes.len() / 2])?;
        }
        Ok(())
    }

    /// Calls `attempt` repeatedly, with the time it may take, until it returns true or the client has
    /// disconnected.
    fn wait(&mut self, mut attempt: impl FnMut(Duration) -> bool) -> Result<(), Interrupted> {
        let mut slice = FIRST_CHECK_INTERVAL;
        while !attempt(slice) {
            if self.client_has_disconnected() {
                return Err(Interrupted::Disconnected);
            }
            slice = (slice * 2).min(MAX_CHECK_INTERVAL);
        }
        Ok(())
    }

    /// Whether the client has disconnected. Neither waits nor consumes any bytes.
    fn client_has_disconnected(&self) -> bool {
        let socket = self.stream.socket();
        if socket.set_nonblocking(true).is_err() {
            return true;
        }
        let gone = match socket.peek(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        };
        socket.set_nonblocking(false).is_err() || gone
    }

    /// Waits for `time`, or until the client disconnects. Keeps what the client sends.
    fn pause(&mut self, time: Duration) -> Result<(), Interrupted> {
        let mut buffer = [0; READ_SIZE];
        let end = Instant::now().checked_add(time);
        loop {
            let left = match end {
                Some(end) => end.saturating_duration_since(Instant::now()),
                None => Duration::MAX,
            };
            if left.is_zero() {
                self.stream.socket().set_read_timeout(None)?;
                return Ok(());
            }
            self.stream.socket().set_read_timeout(Some(left))?;
            match read(self.stream, &mut buffer) {
                Ok(0) => return Err(Interrupted::Disconnected),
                Ok(count) => self.inbox.keep(&buffer[..count]),
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn finish(&mut self, reply: &Reply, ending: Ending) -> Next {
        match ending {
            Ending::Clean if self.is_reusable(reply) => return Next::Request,
            Ending::Clean | Ending::Drop => {
                let _ = self.stream.socket().shutdown(Shutdown::Write);
                self.discard(Some(Instant::now() + LINGER));
            }
            Ending::Reset => {
                // The close that follows sends a RST.
                let _ = SockRef::from(self.stream.socket()).set_linger(Some(Duration::ZERO));
            }
            Ending::HalfClose => {
                let _ = self.stream.socket().shutdown(Shutdown::Write);
                self.discard(None);
            }
            Ending::Stall => self.discard(None),
        }
        Next::Close
    }

    /// Whether another request can follow a reply that ended cleanly.
    fn is_reusable(&self, reply: &Reply) -> bool {
        let complete = match self.framing {
            Framing::Chunked | Framing::Empty | Framing::Raw => true,
            Framing::Length(length) => length == self.body,
            Framing::Close => false,
        };
        let announced_close = match &reply.head {
            Head::Http { headers, .. } => headers.iter().any(|(name, value)| {
                name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case(b"close")
            }),
            Head::Raw | Head::OnAccept => false,
        };
        complete && !announced_close && self.request.is_some_and(Request::keeps_alive)
    }

    /// Reads and discards data until the client closes, or until `end`.
    fn discard(&mut self, end: Option<Instant>) {
        let mut buffer = [0; READ_SIZE];
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero())
                || self.stream.socket().set_read_timeout(left).is_err()
            {
                return;
            }
            match read(self.stream, &mut buffer) {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) if is_timeout(&error) => {}
                Err(_) => return,
            }
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Starts a thread for a connection. Its stack is small, so that thousands of threads fit.
pub(crate) fn spawn(
    connection: usize,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<thread::JoinHandle<()>> {
    const STACK: usize = 256 * 1024;
    thread::Builder::new()
        .name(format!("everstream-testing {connection}"))
        .stack_size(STACK)
        .spawn(run)
}
