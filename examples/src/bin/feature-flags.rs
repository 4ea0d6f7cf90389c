//! A store of feature flags that a server keeps in sync, for programs without async: reading a flag only
//! reads memory.
//!
//! `feature-flags URL` reads names of flags from standard input, one per line, and prints their values.
//!
//! The server sends these events, with JSON as data:
//! - `put`, first on each connection, with all flags: `{"NAME": {"version": 1, "value": true}, ...}`;
//! - `patch`, a new or changed flag: `{"name": "NAME", "version": 2, "value": false}`;
//! - `delete`: `{"name": "NAME", "version": 3}`.

use std::collections::HashMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use everstream::blocking::SseClient;
use everstream::error_strategy::{TRANSIENT_STATUSES, reconnect};
use everstream::{BoxError, Event, Handle, Http};
use serde::Deserialize;
use serde_json::Value;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("feature-flags: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), BoxError> {
    let Some(url) = std::env::args().nth(1) else {
        return Err("usage: feature-flags URL".into());
    };
    let flags = Flags::follow(&url)?;
    // A program that can work without the server would continue with defaults here.
    flags.wait_until_ready(Duration::from_secs(10))?;
    for name in io::stdin().lines() {
        let name = name?;
        match flags.get(&name) {
            Some(value) => writeln!(io::stdout(), "{name} = {value}")?,
            None => writeln!(io::stdout(), "{name} is not set")?,
        }
    }
    flags.stop();
    eprintln!("stopped");
    Ok(())
}

/// The flags as last received. They stay available while the server is unreachable.
struct Flags {
    shared: Arc<Shared>,
    stream: Handle,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Locked for writing only during an insertion, so readers never wait for the network.
    flags: RwLock<HashMap<String, Flag>>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
enum State {
    #[default]
    Starting,
    Ready,
    /// The stream has ended permanently, for this reason.
    Ended(String),
}

#[derive(Deserialize)]
struct Flag {
    version: u64,
    /// `None` if deleted. Kept so that an older patch doesn't restore the flag.
    value: Option<Value>,
}

/// A patch, or a delete if there is no value.
#[derive(Deserialize)]
struct Change {
    name: String,
    #[serde(flatten)]
    flag: Flag,
}

impl Flags {
    /// Starts a thread that follows the stream.
    fn follow(url: &str) -> Result<Flags, BoxError> {
        let mut client = SseClient::builder(Http::new(url))
            .error_strategy(reconnect().or_on_status(TRANSIENT_STATUSES))
            // This server sends comments more often than that.
            .read_timeout(Duration::from_secs(300))
            .build()?;
        let stream = client.handle();
        let shared = Arc::<Shared>::default();
        let thread_shared = shared.clone();
        let thread = thread::Builder::new()
            .name("feature-flags".into())
            .spawn(move || {
                let mut reason = String::from("stopped");
                for event in client.events() {
                    let applied = match event {
                        Ok(event) => thread_shared.apply(&event),
                        Err(error) => {
                            reason = error.to_string();
                            break;
                        }
                    };
                    // Skip malformed events.
                    if let Err(error) = applied {
                        eprintln!("skipped: {error}");
                    }
                }
                thread_shared.set_state(State::Ended(reason));
            })?;
        Ok(Flags {
            shared,
            stream,
            thread: Some(thread),
        })
    }

    /// Waits for the first flags.
    fn wait_until_ready(&self, limit: Duration) -> Result<(), String> {
        let state = self.shared.lock_state();
        let (state, _) = self
            .shared
            .changed
            .wait_timeout_while(state, limit, |state| matches!(state, State::Starting))
            .unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Ready => Ok(()),
            State::Starting => Err(format!("no flags received within {limit:?}")),
            State::Ended(reason) => Err(reason.clone()),
        }
    }

    /// Returns the current value of a flag.
    fn get(&self, name: &str) -> Option<Value> {
        let flags = self.shared.flags.read();
        let flags = flags.unwrap_or_else(PoisonError::into_inner);
        flags.get(name)?.value.clone()
    }

    /// Closes the connection and waits for the thread. Dropping does the same.
    fn stop(self) {}
}

impl Drop for Flags {
    fn drop(&mut self) {
        self.stream.close();
        if let Some(thread) = self.thread.take() {
            // An error means that the thread panicked, which has already been printed.
            _ = thread.join();
        }
    }
}

impl Shared {
    fn apply(&self, event: &Event) -> Result<(), BoxError> {
        match event.event() {
            "put" => {
                let new: HashMap<String, Flag> = event.json()?;
                *self.flags.write().unwrap_or_else(PoisonError::into_inner) = new;
                self.set_state(State::Ready);
            }
            "patch" | "delete" => {
                let Change { name, mut flag } = event.json()?;
                match event.event() {
                    "delete" => flag.value = None,
                    _ if flag.value.is_none() => return Err(format!("{name}: no value").into()),
                    _ => {}
                }
                let mut flags = self.flags.write().unwrap_or_else(PoisonError::into_inner);
                let known = flags.get(&name).map(|flag| flag.version);
                if known < Some(flag.version) {
                    flags.insert(name, flag);
                }
            }
            other => return Err(format!("an event of the unknown type {other:?}").into()),
        }
        Ok(())
    }

    fn set_state(&self, state: State) {
        *self.lock_state() = state;
        self.changed.notify_all();
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
