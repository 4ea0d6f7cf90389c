//! What ends the command cleanly: Ctrl-C, SIGTERM, the end of its time, and a reader of its output
//! that has enough.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use everstream::Handle;
use tokio::sync::watch;

use crate::exit::Exit;
use crate::terminal;

/// What was asked for, once it was. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    asked: Arc<watch::Sender<Asked>>,
}

#[derive(Clone, Copy, Default)]
struct Asked {
    /// By whom.
    by: Option<&'static str>,
    /// Nothing more is waited for.
    at_once: bool,
}

/// What [`Stop::asked`] says when nobody reads the output any more.
pub(crate) const READER_GONE: &str = "the end of its output";

/// What it says when the time of `--duration` has passed.
pub(crate) const OUT_OF_TIME: &str = "--duration";

/// What it says when that of `--max-time` has.
pub(crate) const MAX_TIME: &str = "--max-time";

/// How long the command has to finish its line. It is stuck if whoever reads its output has
/// stopped reading, or if a regular expression takes its time.
const GRACE: Duration = Duration::from_secs(2);

/// What ends the command, and how.
pub(crate) struct Limits {
    /// The code of a process that signals had to end.
    pub(crate) exit: Exit,
    /// When it is out of time.
    pub(crate) deadline: Option<Deadline>,
    /// How long commands that run may go on, if there can be any.
    pub(crate) commands: Option<Duration>,
}

/// The end of a time.
#[derive(Clone, Copy)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    /// What [`Stop::asked`] says then.
    pub(crate) by: &'static str,
    /// The code of a process that had to be ended then.
    pub(crate) exit: Exit,
}

impl Deadline {
    /// So much from now, unless that is longer than can be counted.
    pub(crate) fn new(time: Option<Duration>, by: &'static str, exit: Exit) -> Option<Deadline> {
        let at = Instant::now().checked_add(time?)?;
        Some(Deadline { at, by, exit })
    }

    /// What comes first.
    pub(crate) fn first(all: [Option<Deadline>; 2]) -> Option<Deadline> {
        all.into_iter().flatten().min_by_key(|deadline| deadline.at)
    }
}

impl Stop {
    /// Closes the client at the first signal and at the deadline. Commands then have their time,
    /// unless there is a second signal. If the process hasn't ended shortly after, it is ended.
    pub(crate) fn watch(client: Handle, limits: Limits) -> io::Result<Stop> {
        let stop = Stop::default();
        let shared = stop.clone();
        with_signals(move |signals| shared.end(client, limits, signals))?;
        Ok(stop)
    }

    /// Closes the client when nobody can read standard output any more, also while there is
    /// nothing to write: `| head -1` ends a silent stream too.
    #[cfg(unix)]
    pub(crate) fn when_reader_leaves(&self, client: Handle) -> io::Result<()> {
        use rustix::event::{PollFd, PollFlags, poll};

        let stop = self.clone();
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
                        stop.ask(READER_GONE, &client);
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

    /// The signal that came, as a person calls it, or another of the names above.
    pub(crate) fn asked(&self) -> Option<&'static str> {
        self.asked.borrow().by
    }

    /// Waits until it is asked for.
    pub(crate) async fn when_asked(&self) {
        self.when(|asked| asked.by.is_some()).await;
    }

    /// Waits until nothing more is to be waited for.
    pub(crate) async fn at_once(&self) {
        self.when(|asked| asked.at_once).await;
    }

    async fn when(&self, is: impl FnMut(&Asked) -> bool) {
        // The sender isn't gone: it is here.
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

/// Does this in a thread of its own, because the main one may be blocked in writing.
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

/// Ends the process, if it doesn't end by itself before another signal, or shortly.
pub(crate) async fn end_process(signals: &mut Signals, exit: Exit) {
    _ = tokio::time::timeout(GRACE, signals.next()).await;
    terminal::erase_status();
    std::process::exit(exit as i32);
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
