//! External input: keys, the terminal's size, signals.
//!
//! Reading keys blocks, and the main thread may be blocked writing to a stopped terminal, so each
//! has its own thread.

use std::io;
use std::thread;
use std::time::Duration;

use crossterm::event::{Event, KeyEvent, KeyEventKind};
use tokio::sync::mpsc;

use super::screen;
use crate::exit::Exit;

/// How long the main thread has to exit after a signal.
const GRACE: Duration = Duration::from_secs(2);

pub(super) enum Input {
    Key(KeyEvent),
    /// The terminal was resized.
    Resized,
    /// The process was stopped, and continues.
    Continued,
    /// SIGINT, SIGTERM, or a closed terminal.
    Signal,
    /// There will be no more keys.
    Lost(io::Error),
}

/// Starts to read keys. Only one reader may exist.
pub(super) fn read_keys(to: mpsc::Sender<Input>) -> io::Result<()> {
    let read = move || loop {
        let input = match crossterm::event::read() {
            // Some terminals also report key releases.
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

/// Starts to watch the terminal. Only processes of its session get a signal when it is closed, and
/// crossterm would read its end again and again.
#[cfg(unix)]
pub(super) fn watch_terminal(to: mpsc::Sender<Input>) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::io::Errno;

    let watch = move || {
        let terminal = io::stdout();
        loop {
            // Without requested events, poll reports only errors and hang-ups (POSIX).
            match poll(&mut [PollFd::new(&terminal, PollFlags::empty())], None) {
                Ok(_) => break,
                Err(Errno::INTR) => {}
                // The next write will detect it.
                Err(_) => return,
            }
        }
        _ = to.try_send(Input::Signal);
        // A write to a closed terminal must not keep the process alive.
        thread::sleep(GRACE);
        std::process::exit(Exit::Done as i32);
    };
    thread::Builder::new()
        .name("terminal".into())
        .spawn(watch)?;
    Ok(())
}

/// Only a write can detect it here.
#[cfg(not(unix))]
pub(super) fn watch_terminal(_to: mpsc::Sender<Input>) -> io::Result<()> {
    Ok(())
}

/// Starts to watch signals. After one, the process exits within a moment, whatever it does.
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
            while signals.next().await == SignalEvent::Continue {
                _ = to.try_send(Input::Continued);
            }
            // If the queue is full, the main thread is stuck.
            _ = to.try_send(Input::Signal);
            let again = async { while signals.next().await == SignalEvent::Continue {} };
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
enum SignalEvent {
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
            // The terminal was closed.
            signal(SignalKind::hangup())?,
            signal(SignalKind::from_raw(rustix::process::Signal::CONT.as_raw()))?,
        ]))
    }

    async fn next(&mut self) -> SignalEvent {
        let [a, b, c, cont] = &mut self.0;
        tokio::select! {
            _ = a.recv() => SignalEvent::End,
            _ = b.recv() => SignalEvent::End,
            _ = c.recv() => SignalEvent::End,
            _ = cont.recv() => SignalEvent::Continue,
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

    async fn next(&mut self) -> SignalEvent {
        if tokio::signal::ctrl_c().await.is_err() {
            // This system has no signals, so there is nothing to wait for.
            std::future::pending().await
        }
        SignalEvent::End
    }
}
