//! What ends the command cleanly: Ctrl-C, SIGTERM, and a reader of its output that has enough.

use std::io;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use everstream::Handle;

use crate::exit::Exit;
use crate::report;

/// What was asked for, once it was.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    asked: Arc<OnceLock<&'static str>>,
}

/// What [`Stop::asked`] says when nobody reads the output any more.
pub(crate) const READER_GONE: &str = "the end of its output";

/// How long the command has to finish its line. It is stuck if whoever reads its output has
/// stopped reading.
pub(crate) const GRACE: Duration = Duration::from_secs(2);

impl Stop {
    /// Closes the client at the first signal. At the second one, or if the command hasn't ended
    /// within `grace` after the first, the process exits with `exit`.
    ///
    /// It has a thread of its own, because the main one may be blocked in writing.
    pub(crate) fn at_signals(
        client: Handle,
        exit: Exit,
        grace: Option<Duration>,
    ) -> io::Result<Stop> {
        let stop = Stop::default();
        let shared = stop.clone();
        let (ready, wait_ready) = mpsc::channel();
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                match runtime {
                    Ok(runtime) => runtime.block_on(shared.watch(&client, exit, grace, &ready)),
                    Err(error) => _ = ready.send(Err(error)),
                }
            })?;
        wait_ready
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("the signal thread ended")))?;
        Ok(stop)
    }

    /// Closes the client when nobody can read standard output any more, also while there is
    /// nothing to write: `| head -1` ends a silent stream too.
    #[cfg(unix)]
    pub(crate) fn when_reader_leaves(&self, client: Handle) -> io::Result<()> {
        use rustix::event::{PollFd, PollFlags, poll};

        let asked = self.asked.clone();
        thread::Builder::new()
            .name("reader".into())
            .spawn(move || {
                let stdout = io::stdout();
                loop {
                    // Asked for nothing, it tells of errors and hang-ups only (POSIX, poll).
                    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
                    match poll(&mut fds, None) {
                        Ok(_) => {}
                        Err(rustix::io::Errno::INTR) => continue,
                        // Then the next write finds out.
                        Err(_) => return,
                    }
                    if fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
                        _ = asked.set(READER_GONE);
                        client.close();
                    }
                    return;
                }
            })?;
        Ok(())
    }

    /// Only a write finds out here.
    #[cfg(not(unix))]
    pub(crate) fn when_reader_leaves(&self, _client: Handle) -> io::Result<()> {
        Ok(())
    }

    /// The signal that came, as a person calls it, or [`READER_GONE`].
    pub(crate) fn asked(&self) -> Option<&'static str> {
        self.asked.get().copied()
    }

    async fn watch(
        self,
        client: &Handle,
        exit: Exit,
        grace: Option<Duration>,
        ready: &mpsc::Sender<io::Result<()>>,
    ) {
        let mut signals = match Signals::new() {
            Ok(signals) => signals,
            Err(error) => {
                _ = ready.send(Err(error));
                return;
            }
        };
        _ = ready.send(Ok(()));
        let name = signals.next().await;
        _ = self.asked.set(name);
        client.close();
        match grace {
            Some(grace) => _ = tokio::time::timeout(grace, signals.next()).await,
            None => _ = signals.next().await,
        }
        report::erase_status();
        std::process::exit(exit as i32);
    }
}

/// What asks the process to end.
#[cfg(unix)]
pub(crate) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn new() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn new() -> io::Result<Signals> {
        Ok(Signals)
    }

    pub(crate) async fn next(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            // Then there are no signals here, and nothing to wait for.
            Err(_) => std::future::pending().await,
        }
    }
}
