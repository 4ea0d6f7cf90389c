//! What ends the command cleanly: Ctrl-C, SIGTERM, the end of its time, and a closed output.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use everstream::Handle;
use tokio::sync::watch;

use crate::exit::Exit;
use crate::terminal;

/// The request to stop, once there is one. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    asked: Arc<watch::Sender<Asked>>,
}

#[derive(Clone, Copy, Default)]
struct Asked {
    /// Who or what asked for it.
    by: Option<&'static str>,
    /// Nothing more should be waited for.
    at_once: bool,
}

/// What [`Stop::asked`] returns when nobody reads the output any more.
pub(crate) const OUTPUT_CLOSED: &str = "the end of its output";

/// What it returns when `--duration` expires.
pub(crate) const OUT_OF_TIME: &str = "--duration";

/// What it returns when `--max-time` expires.
pub(crate) const MAX_TIME: &str = "--max-time";

/// How long the command has to finish its current line. It is stuck if the reader of its output has
/// stopped reading, or if a regular expression takes too long.
const GRACE: Duration = Duration::from_secs(2);

/// What ends the command, and how.
pub(crate) struct Limits {
    /// The exit code of a process that has to be killed after a signal.
    pub(crate) exit: Exit,
    /// The time limits.
    pub(crate) deadline: Option<Deadline>,
    /// How long running commands of `--exec` may continue, if there can be any.
    pub(crate) commands: Option<Duration>,
}

/// A time limit.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    /// What [`Stop::asked`] returns then.
    pub(crate) by: &'static str,
    /// The exit code of a process that has to be killed then.
    pub(crate) exit: Exit,
}

impl Deadline {
    /// This time from now; `None` if that overflows.
    pub(crate) fn new(time: Option<Duration>, by: &'static str, exit: Exit) -> Option<Deadline> {
        let at = Instant::now().checked_add(time?)?;
        Some(Deadline { at, by, exit })
    }

    /// The earliest of them.
    pub(crate) fn first(all: [Option<Deadline>; 2]) -> Option<Deadline> {
        all.into_iter().flatten().min_by_key(|deadline| deadline.at)
    }
}

impl Stop {
    /// Closes the client at the first signal and at the deadline. Running commands then have their
    /// time, unless there is a second signal. If the process hasn't exited shortly afterwards, it
    /// is killed.
    pub(crate) fn watch(client: Handle, limits: Limits) -> io::Result<Stop> {
        let stop = Stop::default();
        let shared = stop.clone();
        with_signals(move |signals| shared.end(client, limits, signals))?;
        Ok(stop)
    }

    /// Closes the client when nobody can read standard output any more, also when there is nothing
    /// to write: `| head -1` ends a silent stream too.
    #[cfg(unix)]
    pub(crate) fn close_when_output_closes(&self, client: Handle) -> io::Result<()> {
        use rustix::event::{PollFd, PollFlags, poll};

        let stop = self.clone();
        thread::Builder::new()
            .name("reader".into())
            .spawn(move || {
                let stdout = io::stdout();
                loop {
                    // Without requested events, poll reports only errors and hang-ups (POSIX).
                    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
                    match poll(&mut fds, None) {
                        Ok(_) => {}
                        Err(rustix::io::Errno::INTR) => continue,
                        // The next write will detect it.
                        Err(_) => return,
                    }
                    if fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
                        stop.ask(OUTPUT_CLOSED, &client);
                    }
                    return;
                }
            })?;
        Ok(())
    }

    /// Only a write can detect it here.
    #[cfg(not(unix))]
    pub(crate) fn close_when_output_closes(&self, _client: Handle) -> io::Result<()> {
        Ok(())
    }

    /// The signal by its common name, or another of the names above.
    pub(crate) fn asked(&self) -> Option<&'static str> {
        self.asked.borrow().by
    }

    /// Waits for a request to stop.
    pub(crate) async fn close_when_requested(&self) {
        self.when(|asked| asked.by.is_some()).await;
    }

    /// Waits until nothing more should be waited for.
    pub(crate) async fn at_once(&self) {
        self.when(|asked| asked.at_once).await;
    }

    async fn when(&self, is: impl FnMut(&Asked) -> bool) {
        // We hold the sender, so it isn't gone.
        _ = self.asked.subscribe().wait_for(is).await;
    }

    /// The first one counts.
    fn ask(&self, by: &'static str, client: &Handle) {
        self.asked.send_if_modified(|asked| {
            let first = asked.by.is_none();
            asked.by.get_or_insert(by);
            first
        });
        client.close();
    }

    async fn end(self, client: Handle, limits: Limits, mut signals: Signals) {
        let mut exit = limits.exit;
        let by = match limits.deadline {
            None => signals.next().await,
            Some(deadline) => {
                match tokio::time::timeout_at(deadline.at.into(), signals.next()).await {
                    Ok(name) => name,
                    Err(_) => {
                        exit = deadline.exit;
                        deadline.by
                    }
                }
            }
        };
        self.ask(by, &client);
        if let Some(time) = limits.commands {
            _ = tokio::time::timeout(time, signals.next()).await;
        }
        self.asked.send_modify(|asked| asked.at_once = true);
        end_process(&mut signals, exit).await;
    }
}

/// Runs this in a separate thread, because the main one may be blocked in a write.
pub(crate) fn with_signals<W: Future<Output = ()>>(
    work: impl FnOnce(Signals) -> W + Send + 'static,
) -> io::Result<()> {
    let (ready, wait_ready) = mpsc::channel();
    let watch = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let signals = {
            let _inside = runtime.enter();
            Signals::new()?
        };
        Ok((runtime, signals))
    };
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || match watch() {
            Ok((runtime, signals)) => {
                _ = ready.send(Ok(()));
                runtime.block_on(work(signals));
            }
            Err(error) => _ = ready.send(Err(error)),
        })?;
    wait_ready
        .recv()
        .unwrap_or_else(|_| Err(io::Error::other("the signal thread ended")))
}

/// Kills the process, unless it exits by itself before another signal or within a moment.
pub(crate) async fn end_process(signals: &mut Signals, exit: Exit) {
    _ = tokio::time::timeout(GRACE, signals.next()).await;
    terminal::erase_status();
    std::process::exit(exit as i32);
}

/// The signals that ask the process to end.
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
            // This system has no signals, so there is nothing to wait for.
            Err(_) => std::future::pending().await,
        }
    }
}
