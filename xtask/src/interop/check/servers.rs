//! The servers of others, and the broken setups.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Expected;
use crate::interop::programs::{
    self, APACHE, EVERYTHING, HAPROXY, NGINX, NODE, NPM, REDIS, fill, free_port, source,
};
use crate::{apt, python, sh};

const SUITE: &str = "check";
const APACHE_MODULES: &str = "/usr/lib/apache2/modules";

/// The origin of a page that none of these servers allows.
const ORIGIN: &str = "https://app.example.com";

const INITIALIZE: &str = r#"{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params":
    {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "check", "version": "1"}}}"#;

pub(super) struct Setup {
    pub(super) name: &'static str,
    pub(super) expected: Expected,
    pub(super) start: fn(&Programs) -> sh::Outcome<Running>,
}

/// A server, until it is dropped.
pub(super) struct Running {
    pub(super) url: String,
    pub(super) version: String,
    pub(super) options: Vec<String>,
    /// What is in front comes first, and is ended first.
    processes: Vec<sh::Guard>,
}

const fn healthy(name: &'static str, start: fn(&Programs) -> sh::Outcome<Running>) -> Setup {
    Setup {
        name,
        expected: Expected::NoFailure,
        start,
    }
}

const fn broken(
    name: &'static str,
    first: &'static str,
    start: fn(&Programs) -> sh::Outcome<Running>,
) -> Setup {
    Setup {
        name,
        expected: Expected::First(first),
        start,
    }
}

pub(super) const SETUPS: &[Setup] = &[
    healthy("MCP Python SDK, streamable HTTP", |it| it.mcp()),
    healthy("MCP server-everything, SSE", |it| it.everything()),
    healthy("better-sse", |it| it.better_sse()),
    healthy("Hono streamSSE", |it| it.hono("/feed")),
    healthy("django-eventstream under uvicorn", |it| it.django()),
    healthy("Flask-SSE under gunicorn", |it| it.flask()),
    healthy("sse-starlette under uvicorn", |it| it.starlette()),
    healthy("sse-starlette under hypercorn, HTTP/2", |it| it.hypercorn()),
    broken(
        "Flask-SSE behind nginx, default buffering",
        "proxy-buffering",
        |it| it.nginx(it.flask()?, ""),
    ),
    broken("Hono behind nginx, gzip on", "compression", |it| {
        it.nginx(it.hono("/feed")?, "gzip on; gzip_types text/event-stream;")
    }),
    broken("CGI under Apache, mod_deflate", "compression", |it| {
        it.apache()
    }),
    broken("Hono behind haproxy, timeouts of 3 s", "end", |it| {
        it.haproxy()
    }),
    broken("Hono without CORS, --origin", "cors", |it| {
        let mut running = it.hono("/feed")?;
        running.options = vec!["--origin".into(), ORIGIN.into()];
        Ok(running)
    }),
];

/// What the servers are started with.
pub(super) struct Programs {
    folder: PathBuf,
    python: PathBuf,
    /// npm's `node_modules`, next to our programs.
    modules: PathBuf,
}

impl Programs {
    pub(super) fn install(folder: &Path) -> sh::Outcome<Programs> {
        let wanted = [NGINX, HAPROXY, APACHE, REDIS, NODE, NPM];
        apt::install(&wanted, &folder.join("apt.log"))?;
        let modules = programs::node_modules(folder, &source(SUITE))?;
        // Modules are looked for next to the program that imports them.
        for name in ["feed.mjs", "better-sse.mjs", "hono.mjs"] {
            fs::copy(source(SUITE).join(name), modules.with_file_name(name))?;
        }
        Ok(Programs {
            python: python::venv(folder, &source(SUITE).join("requirements.txt"))?,
            folder: folder.to_path_buf(),
            modules,
        })
    }

    /// A server that listens on this port.
    fn running(&self, name: &str, command: &Command, port: u16) -> sh::Outcome<Running> {
        Ok(Running {
            url: format!("http://127.0.0.1:{port}/"),
            version: String::new(),
            options: Vec::new(),
            processes: vec![programs::serve(name, command, &self.folder, port)?],
        })
    }

    fn uvicorn(&self, app: &str, suite: &str, packages: &[&str]) -> sh::Outcome<Running> {
        let port = free_port()?;
        let mut command = programs::uvicorn(&self.python, app, &source(suite), port);
        command.env("DATABASE", self.folder.join("django.sqlite3"));
        let mut running = self.running(app.trim_end_matches(":app"), &command, port)?;
        running.url += "feed";
        running.version = programs::python_versions(&self.python, packages)?;
        Ok(running)
    }

    fn mcp(&self) -> sh::Outcome<Running> {
        let mut running = self.uvicorn("app:app", "mcp", &["mcp", "uvicorn"])?;
        running.url = running.url.replace("/feed", "/mcp");
        let accept = "Accept: application/json, text/event-stream";
        running.options = ["--json", INITIALIZE, "-H", accept]
            .map(str::to_owned)
            .into();
        Ok(running)
    }

    fn django(&self) -> sh::Outcome<Running> {
        let database = self.folder.join("django.sqlite3");
        if database.exists() {
            fs::remove_file(&database)?;
        }
        self.uvicorn("django_app:app", SUITE, &["django-eventstream", "Django"])
    }

    fn starlette(&self) -> sh::Outcome<Running> {
        self.uvicorn(
            "sse_starlette_app:app",
            SUITE,
            &["sse-starlette", "uvicorn"],
        )
    }

    fn everything(&self) -> sh::Outcome<Running> {
        let port = free_port()?;
        let command = programs::everything(&self.modules, "sse", port);
        let mut running = self.running("everything", &command, port)?;
        running.url += "sse";
        running.version = programs::node_version(&self.modules, EVERYTHING)?;
        Ok(running)
    }

    fn better_sse(&self) -> sh::Outcome<Running> {
        self.node_program("better-sse.mjs", "better-sse")
    }

    fn hono(&self, path: &str) -> sh::Outcome<Running> {
        let mut running = self.node_program("hono.mjs", "hono")?;
        running.url += path.trim_start_matches('/');
        Ok(running)
    }

    fn node_program(&self, program: &str, package: &str) -> sh::Outcome<Running> {
        let port = free_port()?;
        let mut command = Command::new(NODE.0);
        command.arg(self.modules.with_file_name(program));
        let mut running = self.running(package, command.arg(port.to_string()), port)?;
        running.version = programs::node_version(&self.modules, package)?;
        Ok(running)
    }

    fn flask(&self) -> sh::Outcome<Running> {
        let (port, redis_port) = (free_port()?, free_port()?);
        let redis = programs::redis(redis_port);
        let redis = programs::serve("redis", &redis, &self.folder, redis_port)?;
        let mut command = programs::python(&self.python, "gunicorn", &source(SUITE));
        command
            .args(["--worker-class", "gthread", "--threads", "16", "--bind"])
            .args([&*format!("127.0.0.1:{port}"), "flask_sse_app:app"])
            .env("REDIS_URL", format!("redis://127.0.0.1:{redis_port}"));
        let mut running = self.running("gunicorn", &command, port)?;
        running.url += "feed";
        running.version =
            programs::python_versions(&self.python, &["Flask-SSE", "Flask", "gunicorn"])?;
        running.processes.push(redis);
        Ok(running)
    }

    fn hypercorn(&self) -> sh::Outcome<Running> {
        let (certificate, key) = (self.folder.join("cert.pem"), self.folder.join("key.pem"));
        const REQUEST: &str = "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \
                               -addext subjectAltName=DNS:localhost";
        let mut openssl = Command::new("openssl");
        openssl
            .args(REQUEST.split_whitespace())
            .arg("-keyout")
            .arg(&key);
        sh::capture(openssl.arg("-out").arg(&certificate))?;
        let port = free_port()?;
        let mut command = programs::python(&self.python, "hypercorn", &source(SUITE));
        command.args([
            "sse_starlette_app:app",
            "--bind",
            &format!("127.0.0.1:{port}"),
        ]);
        command
            .arg("--certfile")
            .arg(&certificate)
            .arg("--keyfile")
            .arg(&key);
        let mut running = self.running("hypercorn", &command, port)?;
        running.url = format!("https://localhost:{port}/feed");
        running.version = programs::python_versions(&self.python, &["sse-starlette", "Hypercorn"])?;
        running.options = vec!["--cacert".into(), certificate.display().to_string()];
        Ok(running)
    }

    fn apache(&self) -> sh::Outcome<Running> {
        let folder = self.empty_folder("Apache")?;
        let port = free_port()?;
        let names = [
            ("@PORT@", &*port.to_string()),
            ("@FOLDER@", &*folder.display().to_string()),
            ("@MODULES@", APACHE_MODULES),
            (
                "@PROGRAM@",
                &*source(SUITE).join("feed.cgi").display().to_string(),
            ),
        ];
        fill(&source(SUITE), &folder, "apache.conf", &names)?;
        // When Apache ends, it ends its whole process group: without one of its own, that is ours.
        let mut command = Command::new("/usr/bin/setsid");
        command.args([APACHE.0, "-DFOREGROUND", "-f"]);
        let mut running = self.running("Apache", command.arg(folder.join("apache.conf")), port)?;
        running.url += "feed";
        running.version = format!("Apache {}", version_of(APACHE.0)?);
        Ok(running)
    }

    fn nginx(&self, server: Running, settings: &str) -> sh::Outcome<Running> {
        self.behind(server, NGINX, |folder, [port, server]| {
            let settings = ("@SETTINGS@", settings);
            programs::nginx(SUITE, folder, &[port, server, settings])
        })
    }

    fn haproxy(&self) -> sh::Outcome<Running> {
        self.behind(self.hono("/quiet")?, HAPROXY, |folder, names| {
            programs::haproxy(folder, &names)
        })
    }

    /// A server behind a proxy. `proxy` gets a folder and the ports of both, and returns the command.
    fn behind(
        &self,
        mut running: Running,
        (program, name): (&str, &str),
        proxy: impl FnOnce(&Path, [(&str, &str); 2]) -> sh::Outcome<Command>,
    ) -> sh::Outcome<Running> {
        let address = running.url.trim_start_matches("http://127.0.0.1:");
        let (server, path) = address.split_once('/').unwrap_or_default();
        let port = free_port()?;
        let folder = self.empty_folder(name)?;
        let command = proxy(
            &folder,
            [("@PORT@", &port.to_string()), ("@SERVER@", server)],
        )?;
        let proxy = programs::serve(name, &command, &folder, port)?;
        running.processes.insert(0, proxy);
        running.version = format!("{name} {}, {}", version_of(program)?, running.version);
        running.url = format!("http://127.0.0.1:{port}/{path}");
        Ok(running)
    }

    fn empty_folder(&self, name: &str) -> sh::Outcome<PathBuf> {
        let folder = self.folder.join(name);
        sh::empty_folder(&folder)?;
        Ok(folder)
    }
}

/// The first number of `-v`, on either output: 1.22.1 of `nginx version: nginx/1.22.1`.
fn version_of(program: &str) -> sh::Outcome<String> {
    let output = Command::new(program).arg("-v").output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let mut words = said.split(|it: char| !it.is_ascii_digit() && it != '.');
    Ok(words
        .find(|it| it.contains('.'))
        .unwrap_or_default()
        .to_owned())
}
