//! PostgreSQL.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Engine, free_port, program};

/// The user that Debian's package creates. PostgreSQL refuses to run as root.
const USER: &str = "postgres";

/// `postgres` with a new cluster, on a Unix socket and a free port of loopback, for anyone.
#[derive(Debug)]
pub struct Postgres {
    engine: Engine,
    port: u16,
}

impl Postgres {
    /// Starts it, and waits until it accepts connections.
    pub fn start() -> Postgres {
        Postgres::start_with(&[])
    }

    /// The same with more settings, as in `ssl=on`. Paths are relative to the cluster, whose folder is
    /// `data`.
    pub fn start_with(settings: &[&str]) -> Postgres {
        Postgres::start_prepared(settings, |_| {})
    }

    /// The same; before it starts, files may be added to the folder of the cluster.
    pub fn start_prepared(settings: &[&str], prepare: impl FnOnce(&std::path::Path)) -> Postgres {
        let folder = tempfile::tempdir().unwrap();
        let user = unprivileged(&folder);
        let data = folder.path().join("data");
        let mut initdb = command("initdb", user);
        initdb
            .arg("--pgdata")
            .arg(&data)
            .args(["--username", USER, "--auth", "trust", "--no-sync"])
            .args(["--encoding", "UTF8", "--locale", "C"])
            .current_dir(folder.path());
        let output = initdb.output().unwrap();
        assert!(output.status.success(), "initdb: {output:?}");
        prepare(&data);
        own(&data, user);
        let port = free_port();
        let mut server = command("postgres", user);
        server
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-p", &port.to_string()]);
        let defaults = [
            "listen_addresses=127.0.0.1",
            // The system isn't killed here, so that what was written stays.
            "fsync=off",
            "shared_buffers=16MB",
        ];
        for setting in defaults.iter().chain(settings) {
            server.args(["-c", setting]);
        }
        server.current_dir(folder.path());
        let ready = "database system is ready to accept connections";
        Postgres {
            engine: Engine::start("postgres", folder, server, ready),
            port,
        }
    }

    /// Over the Unix socket. Further parameters follow an `&`.
    pub fn url(&self) -> String {
        let folder = self.folder().display();
        format!(
            "postgres:///postgres?host={folder}&port={}&user={USER}",
            self.port
        )
    }

    /// The port of loopback.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// The user and group under which it runs, if this is root. They own the folder.
fn unprivileged(folder: &TempDir) -> Option<(u32, u32)> {
    let owner = fs::metadata(folder.path()).unwrap().uid();
    if owner != 0 {
        return None;
    }
    let id = |option: &str| {
        let output = Command::new("id").args([option, USER]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let number = text.trim().parse();
        number.unwrap_or_else(|_| panic!("no user {USER}: apt-get install postgresql"))
    };
    let user = (id("-u"), id("-g"));
    chown(folder.path(), Some(user.0), Some(user.1)).unwrap();
    Some(user)
}

/// Files that were added belong to the server's user, and only to that.
fn own(data: &std::path::Path, user: Option<(u32, u32)>) {
    for entry in fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        if let Some((user, group)) = user {
            chown(&path, Some(user), Some(group)).unwrap();
        }
    }
}

fn command(name: &str, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program(name, &folders(), "postgresql"));
    if let Some((user, group)) = user {
        command.gid(group).uid(user);
    }
    command.env_remove("PGDATA").env("LC_ALL", "C");
    command
}

/// Where Debian has its programs: not in the path, since several versions may be installed.
fn folders() -> Vec<PathBuf> {
    let Ok(versions) = fs::read_dir("/usr/lib/postgresql") else {
        return Vec::new();
    };
    let mut versions: Vec<PathBuf> = versions.map(|it| it.unwrap().path()).collect();
    versions.sort_by_key(|path| {
        let name = path.file_name().and_then(|it| it.to_str());
        std::cmp::Reverse(name.and_then(|it| it.parse::<u32>().ok()))
    });
    versions.into_iter().map(|it| it.join("bin")).collect()
}

impl Deref for Postgres {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl DerefMut for Postgres {
    fn deref_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }
}
