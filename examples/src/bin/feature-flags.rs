//! A store of feature flags that a server keeps in sync, for programs without async: reading a flag is
//! a look into memory.
//!
//! `feature-flags URL` then prints the value of each flag that is named on standard input, a line each,
//! until its end.
//!
//! The server sends, with JSON as data:
//! - `put`, first on each connection: `{"NAME": {"version": 1, "value": true}, ...}`, all flags;
//! - `patch`: `{"name": "NAME", "version": 2, "value": false}`, one that is new or changed;
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
    // Whoever can do without would go on with defaults here.
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

/// The flags as they were told last. While the server can't be reached they stay as they are.
struct Flags {
    shared: Arc<Shared>,
    stream: Handle,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Written for as long as an insertion takes, so that no reader ever waits for the network.
    flags: RwLock<HashMap<String, Flag>>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
enum State {
    #[default]
    Starting,
    Ready,
    /// The stream is over for good, and this is why.
    Over(String),
}

#[derive(Deserialize)]
struct Flag {
    version: u64,
    /// `None`: deleted. It is remembered, so that an older patch doesn't bring it back.
    value: Option<Value>,
}

/// A patch or, without a value, a delete.
#[derive(Deserialize)]
struct Change {
    name: String,
    #[serde(flatten)]
    flag: Flag,
}

impl Flags {
    /// Begins to follow, in a thread of its own.
    fn follow(url: &str) -> Result<Flags, BoxError> {
        let mut client = SseClient::builder(Http::new(url))
            .error_strategy(reconnect().or_on_status(TRANSIENT_STATUSES))
            // The server is to send a comment now and then.
            .read_timeout(Duration::from_secs(300))
            .build()?;
        let stream = client.handle();
        let shared = Arc::<Shared>::default();
        let ours = shared.clone();
        let thread = thread::Builder::new()
            .name("feature-flags".into())
            .spawn(move || {
                let mut why = String::from("it was stopped");
                for event in client.events() {
                    let applied = match event {
                        Ok(event) => ours.apply(&event),
                        Err(error) => {
                            why = error.to_string();
                            break;
                        }
                    };
                    // One event that can't be read is no reason to miss the others.
                    if let Err(error) = applied {
                        eprintln!("left out: {error}");
                    }
                }
                ours.set_state(State::Over(why));
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
            State::Starting => Err(format!("no flags came within {limit:?}")),
            State::Over(why) => Err(why.clone()),
        }
    }

    /// The value of a flag, as of now.
    fn get(&self, name: &str) -> Option<Value> {
        let flags = self.shared.flags.read();
        let flags = flags.unwrap_or_else(PoisonError::into_inner);
        flags.get(name)?.value.clone()
    }

    /// Closes the connection, and waits for the thread to end. Dropping does the same.
    fn stop(self) {}
}

impl Drop for Flags {
    fn drop(&mut self) {
        self.stream.close();
        if let Some(thread) = self.thread.take() {
            // It can only have panicked, and has said so.
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
