//! Runs the tests: several at the same time, each in its own window and with its own servers.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use browser_common::{Browser, Outcome, Window};
use everstream_testing::{Gate, Reply, Request, Server};

use crate::script::{Program, Replies, Signals, page_reply};

/// How long a test may take. Generous: it is only reached if something is wrong.
const LIMIT: Duration = Duration::from_secs(60);

/// How many tests run at the same time. Most of them wait most of the time.
const AT_ONCE: usize = 8;

/// A test, whose other half has the same name in `guest`.
pub(crate) struct Test {
    pub(crate) name: &'static str,
    /// Scripts the servers, opens the page, and checks what the servers saw.
    pub(crate) run: fn(&Run<'_>),
}

#[derive(Clone, Copy)]
enum Place {
    Page,
    Worker,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Page => "on a page",
            Place::Worker => "in a worker",
        })
    }
}

/// What all tests use.
pub(crate) struct Stage {
    program: Arc<Program>,
    /// The second one has a profile and processes of its own.
    browsers: [Browser; 2],
}

impl Stage {
    pub(crate) fn new(folder: &Path, chromium: &Path) -> Outcome<Self> {
        let profile = |number: u32| -> PathBuf { folder.join(format!("profile-{number}")) };
        Ok(Stage {
            program: Arc::new(Program::read(folder)?),
            browsers: [
                Browser::start(chromium, &profile(1))?,
                Browser::start(chromium, &profile(2))?,
            ],
        })
    }

    /// Runs each test on a page and in a worker. Returns how many of these runs failed.
    pub(crate) fn run_all<'a>(&self, tests: impl Iterator<Item = &'a Test>) -> usize {
        let runs: Vec<_> = tests
            .flat_map(|test| [Place::Page, Place::Worker].map(|place| (test, place)))
            .collect();
        let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    while let Some((test, place)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        if !self.run(test, *place) {
                            failed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        failed.into_inner()
    }

    fn run(&self, test: &Test, place: Place) -> bool {
        let begin = Instant::now();
        let title = format!("{} {place}", test.name);
        let succeeded = thread::scope(|scope| {
            // With a thread of that name, a panic's message names the test.
            thread::Builder::new()
                .name(title.clone())
                .spawn_scoped(scope, || (test.run)(&Run::new(self, test.name, place)))
                .is_ok_and(|thread| thread.join().is_ok())
        });
        let verdict = if succeeded { "ok" } else { "FAILED" };
        println!("{title}: {verdict}, {:.1} s", begin.elapsed().as_secs_f64());
        succeeded
    }
}

/// A test in one place. A failure panics.
pub(crate) struct Run<'a> {
    /// A server of another origin than the page's.
    pub(crate) server: Server,
    /// The replies of that server.
    pub(crate) replies: Replies,
    /// The server that the page is from.
    pub(crate) origin: Server,
    /// The replies of that server to what isn't part of the page.
    pub(crate) origin_replies: Replies,
    signals: Signals,
    reports: Receiver<String>,
    stage: &'a Stage,
    query: String,
    place: Place,
    deadline: Instant,
    windows: Mutex<Vec<(usize, Window)>>,
}

impl<'a> Run<'a> {
    fn new(stage: &'a Stage, name: &str, place: Place) -> Self {
        let (sender, reports) = channel();
        let (sender, signals) = (Mutex::new(sender), Signals::default());
        let (replies, origin_replies) = (Replies::new(), Replies::new());
        let next = replies.clone();
        let server = Server::with_handler(move |request: &Request| next.next(request));
        let (next, program, gates) = (
            origin_replies.clone(),
            stage.program.clone(),
            signals.clone(),
        );
        let origin = Server::with_handler(move |request: &Request| {
            page_reply(request, &program, &gates, &sender).unwrap_or_else(|| next.next(request))
        });
        let query = format!("{name}&{}", server.url("").trim_end_matches('/'));
        Run {
            server,
            replies,
            origin,
            origin_replies,
            signals,
            reports,
            stage,
            query,
            place,
            deadline: Instant::now() + LIMIT,
            windows: Mutex::default(),
        }
    }

    /// Adds a reply of the other origin, which the page may read.
    pub(crate) fn reply(&self, reply: Reply) {
        self.replies.push(crate::script::allowed(reply));
    }

    /// A signal of the guest, or one that the guest waits for. Guests signal each event by its data.
    pub(crate) fn gate(&self, name: &str) -> Gate {
        self.signals.gate(name)
    }

    /// Opens the page.
    pub(crate) fn open(&self) {
        self.open_in(0);
    }

    /// Opens the page in the first or the second browser.
    pub(crate) fn open_in(&self, browser: usize) {
        let page = match self.place {
            Place::Page => "page.html",
            Place::Worker => "worker.html",
        };
        let url = self.origin.url(&format!("{page}?{}", self.query));
        let window = self.stage.browsers[browser].open(&url).unwrap();
        self.windows.lock().unwrap().push((browser, window));
    }

    /// Minimizes all windows of this test.
    pub(crate) fn minimize(&self) {
        for (browser, window) in &*self.windows.lock().unwrap() {
            self.stage.browsers[*browser].minimize(window).unwrap();
        }
    }

    /// Waits until the guest has signaled this.
    pub(crate) fn wait(&self, name: &str) {
        let gate = self.gate(name);
        // A guest that has failed signals no more.
        while !gate.wait(self.left().min(Duration::from_millis(100))) {
            match self.reports.try_recv() {
                Ok(report) => panic!("the guest reported {report:?} instead of signaling {name}"),
                Err(_) => assert!(!self.left().is_zero(), "the guest didn't signal {name}"),
            }
        }
    }

    /// Waits until the other origin has received this many requests, not counting preflight requests.
    pub(crate) fn wait_for_requests(&self, count: usize) {
        loop {
            let all = self.server.request_count();
            if self.requests().len() >= count {
                return;
            }
            assert!(
                self.server.wait_for_requests(all + 1, self.left()),
                "the server received only {:#?}",
                self.server.requests()
            );
        }
    }

    /// Waits until the other origin has exactly this many open connections.
    pub(crate) fn wait_for_open_connections(&self, count: usize) {
        assert!(
            self.server.wait_for_open_connections(count, self.left()),
            "{} connections are open instead of {count}",
            self.server.open_connections()
        );
    }

    /// Waits until the guest has succeeded. Returns what it reported.
    pub(crate) fn finish(&self) -> String {
        match self.reports.recv_timeout(self.left()) {
            Ok(report) => match report.strip_prefix("ok") {
                Some(details) => details.trim().to_owned(),
                None => panic!("the guest reported: {report}"),
            },
            Err(_) => panic!(
                "the guest didn't report. The server received {:#?}",
                self.server.requests()
            ),
        }
    }

    /// What the other origin received, without preflight requests.
    pub(crate) fn requests(&self) -> Vec<Request> {
        let all = self.server.requests().into_iter();
        all.filter(|it| it.method != "OPTIONS").collect()
    }

    /// The preflight requests that the other origin received.
    pub(crate) fn preflights(&self) -> Vec<Request> {
        let all = self.server.requests().into_iter();
        all.filter(|it| it.method == "OPTIONS").collect()
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        let windows = self.windows.get_mut();
        for (browser, window) in windows.into_iter().flatten() {
            if let Err(error) = self.stage.browsers[*browser].close(window) {
                eprintln!("a window wasn't closed: {error}");
            }
        }
    }
}
