//! NATS, with JetStream.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::process::Command;

use crate::process::{Engine, free_port, program};

/// `nats-server` with JetStream on a free port of loopback.
#[derive(Debug)]
pub struct Nats {
    engine: Engine,
    port: u16,
}

impl Nats {
    /// Starts it, and waits until it is ready.
    pub fn start() -> Nats {
        Nats::start_with(&[])
    }

    /// The same with more options.
    pub fn start_with(options: &[&str]) -> Nats {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let folders = [PathBuf::from("/usr/sbin")];
        let mut command = Command::new(program("nats-server", &folders, "nats-server"));
        command
            .args(["--addr", "127.0.0.1", "--port", &port.to_string()])
            .args(["--jetstream", "--store_dir", "."])
            .args(options)
            .current_dir(folder.path());
        Nats {
            engine: Engine::start("nats", folder, command, "Server is ready"),
            port,
        }
    }

    /// Without a stream.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port of loopback.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Deref for Nats {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl DerefMut for Nats {
    fn deref_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }
}
