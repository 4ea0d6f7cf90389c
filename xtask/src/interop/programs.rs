//! Programs that are not ours: how they are installed, configured, started and awaited.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::PATIENCE;
use crate::{apt, sh};

/// Files, and the Debian packages that have them.
pub(super) const APACHE: (&str, &str) = ("/usr/sbin/apache2", "apache2-bin");
pub(crate) const CHROMIUM: (&str, &str) = ("/usr/bin/chromium", "chromium");
pub(super) const HAPROXY: (&str, &str) = ("/usr/sbin/haproxy", "haproxy");
pub(super) const NGINX: (&str, &str) = ("/usr/sbin/nginx", "nginx");
pub(super) const NODE: (&str, &str) = ("/usr/bin/node", "nodejs");
pub(super) const NPM: (&str, &str) = ("/usr/bin/npm", "npm");
pub(super) const REDIS: (&str, &str) = (apt::REDIS, "redis-server");

/// A folder of the repository with the configurations and programs of a suite.
pub(super) fn source(name: &str) -> PathBuf {
    sh::root().join("interop").join(name)
}

/// A port of loopback that was free a moment ago.
pub(super) fn free_port() -> sh::Outcome<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Waits until this is so.
pub(super) fn wait(what: &str, mut ready: impl FnMut() -> sh::Outcome<bool>) -> sh::Outcome {
    let deadline = Instant::now() + PATIENCE;
    while !ready()? {
        if Instant::now() >= deadline {
            return Err(format!("waited too long: {what}").into());
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Starts a server, and waits until it listens. Its output goes to `<name>.log` in the folder.
pub(super) fn serve(
    name: &str,
    command: &Command,
    folder: &Path,
    port: u16,
) -> sh::Outcome<sh::Guard> {
    let log = folder.join(format!("{name}.log"));
    let file = File::options().create(true).append(true).open(&log)?;
    let mut server = sh::Guard::start_with(name, command, file.try_clone()?.into(), file.into())?;
    let what = format!("{name} listens on port {port}; see {}", log.display());
    wait(&what, || {
        server.check_alive()?;
        Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())
    })?;
    Ok(server)
}

/// A proxy in the environment is not what is tested here.
pub(super) fn without_proxies(command: &mut Command) {
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
}

/// A module of Python, with a folder of the repository as its own.
pub(super) fn python(python: &Path, module: &str, folder: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", module]).current_dir(folder);
    // The source folder belongs to git.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

pub(super) fn uvicorn(interpreter: &Path, app: &str, folder: &Path, port: u16) -> Command {
    let mut command = python(interpreter, "uvicorn", folder);
    command.args([app, "--host", "127.0.0.1", "--port", &port.to_string()]);
    command
}

/// Redis, with nothing on disk.
pub(super) fn redis(port: u16) -> Command {
    let mut command = Command::new(REDIS.0);
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--save", "", "--appendonly", "no"]);
    command
}

/// nginx with the configuration of a suite, whose names are filled in.
pub(super) fn nginx(suite: &str, folder: &Path, names: &[(&str, &str)]) -> sh::Outcome<Command> {
    fill(&source(suite), folder, "nginx.conf", names)?;
    let mut command = Command::new(NGINX.0);
    // Or else it looks for the system's log before it reads the configuration.
    command.arg("-p").arg(folder);
    command.args(["-e", "error.log", "-c", "nginx.conf"]);
    Ok(command)
}

/// haproxy with time-outs of 3 s.
pub(super) fn haproxy(folder: &Path, names: &[(&str, &str)]) -> sh::Outcome<Command> {
    fill(&source("proxies"), folder, "haproxy.cfg", names)?;
    let mut command = Command::new(HAPROXY.0);
    command.arg("-db").arg("-f").arg(folder.join("haproxy.cfg"));
    Ok(command)
}

/// Copies a template with its names filled in.
pub(super) fn fill(from: &Path, to: &Path, file: &str, names: &[(&str, &str)]) -> sh::Outcome {
    let text = fs::read_to_string(from.join(file))?;
    let fill = |text: String, (name, value): &(&str, &str)| text.replace(name, value);
    Ok(fs::write(to.join(file), names.iter().fold(text, fill))?)
}

/// Installs what the `package.json` in `source` names, once per version. Returns the `node_modules`.
pub(crate) fn node_modules(folder: &Path, source: &Path) -> sh::Outcome<PathBuf> {
    apt::install(&[NODE, NPM], &folder.join("apt.log"))?;
    let folder = folder.join("npm");
    let wanted = fs::read(source.join("package.json"))?;
    let installed = folder.join("installed.json");
    if !fs::read(&installed).is_ok_and(|installed| installed == wanted) {
        sh::empty_folder(&folder)?;
        fs::write(folder.join("package.json"), &wanted)?;
        let mut npm = Command::new(NPM.0);
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
            .current_dir(&folder);
        sh::logged(&mut npm, &folder.join("npm.log"))?;
        // Last, so that a broken installation is made again.
        fs::write(&installed, wanted)?;
    }
    Ok(folder.join("node_modules"))
}

/// The example server of MCP's authors, and `sse` or `streamableHttp`.
pub(super) fn everything(modules: &Path, transport: &str, port: u16) -> Command {
    let program = modules.join(EVERYTHING).join("dist").join("index.js");
    let mut command = Command::new(NODE.0);
    command.arg(program).arg(transport);
    command.env("PORT", port.to_string());
    command
}

pub(super) const EVERYTHING: &str = "@modelcontextprotocol/server-everything";

pub(super) fn node_version(modules: &Path, package: &str) -> sh::Outcome<String> {
    let manifest = fs::read(modules.join(package).join("package.json"))?;
    let manifest: Value = serde_json::from_slice(&manifest)?;
    let version = manifest["version"].as_str().unwrap_or_default();
    let package = package.rsplit('/').next().unwrap_or_default();
    Ok(format!("{package} {version}"))
}

pub(super) fn python_versions(python: &Path, packages: &[&str]) -> sh::Outcome<String> {
    const PROGRAM: &str = "import sys; from importlib.metadata import version as v; \
        print(', '.join(f'{it} {v(it)}' for it in sys.argv[1:]), end='')";
    sh::capture(Command::new(python).args(["-c", PROGRAM]).args(packages))
}

/// One request with a JSON answer. Anything but a status of 2xx is an error.
pub(super) fn json(method: &str, port: u16, path: &str, body: &str) -> sh::Outcome<Value> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    // HTTP/1.0 keeps chunks out of the answer, which then ends with the connection.
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json\r\n\
         Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some(status) if status.starts_with('2') => Ok(serde_json::from_str(body)?),
        _ => Err(format!("{method} {path}: {answer}").into()),
    }
}
