//! Redis.

use std::ops::{Deref, DerefMut};
use std::process::Command;

use crate::process::{Engine, program};

/// `redis-server` on a Unix socket. What it has answered is on disk.
#[derive(Debug)]
pub struct Redis {
    engine: Engine,
}

impl Redis {
    /// Starts it, and waits until it accepts connections.
    pub fn start() -> Redis {
        Redis::start_with(&[])
    }

    /// The same with more options.
    pub fn start_with(options: &[&str]) -> Redis {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(program("redis-server", &[], "redis-server"));
        command
            .args(["--port", "0", "--unixsocket", "socket", "--save", ""])
            // With `everysec` the file may be written after the answer.
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .args(options)
            .current_dir(folder.path());
        let ready = "eady to accept connections";
        Redis {
            engine: Engine::start("redis", folder, command, ready),
        }
    }

    /// Without parameters.
    pub fn url(&self) -> String {
        format!("redis+unix://{}", self.folder().join("socket").display())
    }
}

impl Deref for Redis {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl DerefMut for Redis {
    fn deref_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }
}
