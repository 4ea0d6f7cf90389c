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

    /// Starts servers that are one cluster. Until they have found each other, JetStream isn't available.
    pub fn start_cluster(size: usize) -> Vec<Nats> {
        let routes: Vec<_> = (0..size)
            .map(|_| format!("nats://127.0.0.1:{}", free_port()))
            .collect();
        let all = routes.join(",");
        let start = |(number, route): (usize, &String)| {
            let name = format!("server-{number}");
            Nats::start_with(&[
                "--server_name",
                &name,
                "--cluster_name",
                "test",
                "--cluster",
                route,
                "--routes",
                &all,
            ])
        };
        routes.iter().enumerate().map(start).collect()
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
