//! What comes from outside: keys, the terminal's size, signals.
//!
//! Reading keys blocks, and the main thread may be blocked in writing to a terminal that nobody
//! looks at, so that each has a thread of its own.

use std::io;
use std::thread;
use std::time::Duration;

use crossterm::event::{Event, KeyEvent, KeyEventKind};
use tokio::sync::mpsc;

use super::screen;
use crate::exit::Exit;

/// How long the main thread has to end after a signal.
const GRACE: Duration = Duration::from_secs(2);

pub(super) enum Input {
    Key(KeyEvent),
    /// The terminal has another size.
    Resized,
    /// The process was stopped, and goes on.
    Continued,
    /// Ctrl-C from elsewhere, SIGTERM, the end of the terminal.
    Signal,
    /// There will be no more keys.
    Lost(io::Error),
}

/// Begins to read keys. Only one reader may exist.
pub(super) fn read_keys(to: mpsc::Sender<Input>) -> io::Result<()> {
    let read = move || loop {
        let input = match crossterm::event::read() {
            // Some terminals tell of releases too.
            Ok(Event::Key(key)) if key.kind == KeyEventKind::Release => continue,
            Ok(Event::Key(key)) => Input::Key(key),
            Ok(Event::Resize(..)) => Input::Resized,
            Ok(_) => continue,
            Err(error) => {
                _ = to.blocking_send(Input::Lost(error));
                return;
            }
        };
        if to.blocking_send(input).is_err() {
            return;
        }
    };
    thread::Builder::new().name("keys".into()).spawn(read)?;
    Ok(())
}

/// Begins to watch the terminal. Only the processes of its session are told by a signal that it has
/// gone, and crossterm would read its end again and again.
#[cfg(unix)]
pub(super) fn watch_terminal(to: mpsc::Sender<Input>) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::io::Errno;

    let watch = move || {
        let terminal = io::stdout();
        loop {
            // Asked for nothing, it tells of errors and hang-ups only (POSIX, poll).
            match poll(&mut [PollFd::new(&terminal, PollFlags::empty())], None) {
                Ok(_) => break,
                Err(Errno::INTR) => {}
                // Then the next write finds out.
                Err(_) => return,
            }
        }
        _ = to.try_send(Input::Signal);
        // What is drawn on a terminal that has gone can't keep the process.
        thread::sleep(GRACE);
        std::process::exit(Exit::Done as i32);
    };
    thread::Builder::new()
        .name("terminal".into())
        .spawn(watch)?;
    Ok(())
}

/// Only a write finds out here.
#[cfg(not(unix))]
pub(super) fn watch_terminal(_to: mpsc::Sender<Input>) -> io::Result<()> {
    Ok(())
}

/// Begins to watch signals. After one, the process ends within a moment, whatever it does.
pub(super) fn watch_signals(to: mpsc::Sender<Input>) -> io::Result<()> {
    let (ready, wait_ready) = std::sync::mpsc::channel();
    let watch = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => {
                _ = ready.send(Err(error));
                return;
            }
        };
        runtime.block_on(async move {
            let mut signals = match Signals::new() {
                Ok(signals) => signals,
                Err(error) => {
                    _ = ready.send(Err(error));
                    return;
                }
            };
            _ = ready.send(Ok(()));
            while signals.next().await == Told::Continue {
                _ = to.try_send(Input::Continued);
            }
            // If the queue is full, the main thread is stuck.
            _ = to.try_send(Input::Signal);
            let again = async { while signals.next().await == Told::Continue {} };
            _ = tokio::time::timeout(GRACE, again).await;
            screen::abandon();
            std::process::exit(Exit::Done as i32);
        });
    };
    thread::Builder::new().name("signals".into()).spawn(watch)?;
    wait_ready
        .recv()
        .unwrap_or_else(|_| Err(io::Error::other("the signal thread ended")))
}

#[derive(PartialEq, Eq)]
enum Told {
    End,
    #[cfg_attr(not(unix), allow(dead_code))] // there is no such signal
    Continue,
}

#[cfg(unix)]
struct Signals([tokio::signal::unix::Signal; 4]);

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            // The terminal has gone.
            signal(SignalKind::hangup())?,
            signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
        ]))
    }

    async fn next(&mut self) -> Told {
        let [a, b, c, go_on] = &mut self.0;
        tokio::select! {
            _ = a.recv() => Told::End,
            _ = b.recv() => Told::End,
            _ = c.recv() => Told::End,
            _ = go_on.recv() => Told::Continue,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals)
    }

    async fn next(&mut self) -> Told {
        if tokio::signal::ctrl_c().await.is_err() {
            // Then there are no signals here, and nothing to wait for.
            std::future::pending().await
        }
        Told::End
    }
}
