//! Ctrl-C and SIGTERM end the command cleanly.

use std::io;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use everstream::Handle;

use crate::exit::Exit;

/// What was asked for, once it was.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    asked: Arc<OnceLock<&'static str>>,
}

/// How long the command has to finish its line. It is stuck if whoever reads its output has
/// stopped reading.
const GRACE: Duration = Duration::from_secs(2);

impl Stop {
    /// Closes the client at the first signal. At the second one, or if the command hasn't ended
    /// shortly after the first, the process exits with `exit`.
    ///
    /// It has a thread of its own, because the main one may be blocked in writing.
    pub(crate) fn at_signals(client: Handle, exit: Exit) -> io::Result<Stop> {
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
                    Ok(runtime) => runtime.block_on(shared.watch(&client, exit, &ready)),
                    Err(error) => _ = ready.send(Err(error)),
                }
            })?;
        wait_ready
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("the signal thread ended")))?;
        Ok(stop)
    }

    /// The signal that came, as a person calls it.
    pub(crate) fn asked(&self) -> Option<&'static str> {
        self.asked.get().copied()
    }

    async fn watch(self, client: &Handle, exit: Exit, ready: &mpsc::Sender<io::Result<()>>) {
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
        _ = tokio::time::timeout(GRACE, signals.next()).await;
        std::process::exit(exit as i32);
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
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

    async fn next(&mut self) -> &'static str {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            // Then there are no signals here, and nothing to wait for.
            Err(_) => std::future::pending().await,
        }
    }
}
