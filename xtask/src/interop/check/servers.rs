//! The servers of others, and the broken set-ups.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Expected;
use crate::interop::{http, mcp};
use crate::{apt, python, sh};

const NGINX: &str = "/usr/sbin/nginx";
const HAPROXY: &str = "/usr/sbin/haproxy";
const APACHE: &str = "/usr/sbin/apache2";
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
    /// With the packages in `node_modules`, and our programs.
    node: PathBuf,
}

impl Programs {
    pub(super) fn install(folder: &Path) -> sh::Outcome<Programs> {
        let wanted = [
            (NGINX, "nginx"),
            (HAPROXY, "haproxy"),
            (APACHE, "apache2-bin"),
            (apt::REDIS, "redis-server"),
            (mcp::NODE, "nodejs"),
            (mcp::NPM, "npm"),
        ];
        apt::install(&wanted, &folder.join("apt.log"))?;
        let modules = mcp::install_modules(folder, &source())?;
        let node = modules.parent().unwrap_or(folder).to_path_buf();
        // Modules are looked for next to the program that imports them.
        for name in ["feed.mjs", "better-sse.mjs", "hono.mjs"] {
            fs::copy(source().join(name), node.join(name))?;
        }
        Ok(Programs {
            python: python::venv(folder, &source().join("requirements.txt"))?,
            folder: folder.to_path_buf(),
            node,
        })
    }

    fn mcp(&self) -> sh::Outcome<Running> {
        let app = sh::root().join("interop").join("mcp");
        let mut running = self.uvicorn("app:app", &app, &[])?;
        running.url += "mcp";
        running.version = self.python_versions(&["mcp", "uvicorn"])?;
        let accept = "Accept: application/json, text/event-stream";
        running.options = ["--json", INITIALIZE, "-H", accept]
            .map(str::to_owned)
            .into();
        Ok(running)
    }

    fn everything(&self) -> sh::Outcome<Running> {
        const PACKAGE: &str = "@modelcontextprotocol/server-everything";
        let port = http::free_port()?;
        let mut command = Command::new(mcp::NODE);
        let program = self.node.join("node_modules").join(PACKAGE);
        command
            .arg(program.join("dist").join("index.js"))
            .arg("sse");
        command.env("PORT", port.to_string());
        Ok(Running {
            url: format!("http://127.0.0.1:{port}/sse"),
            version: self.node_version(PACKAGE)?,
            options: Vec::new(),
            processes: vec![self.serve("everything", &command, port)?],
        })
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
        let port = http::free_port()?;
        let mut command = Command::new(mcp::NODE);
        command.arg(self.node.join(program)).arg(port.to_string());
        Ok(Running {
            url: format!("http://127.0.0.1:{port}/"),
            version: self.node_version(package)?,
            options: Vec::new(),
            processes: vec![self.serve(package, &command, port)?],
        })
    }

    fn django(&self) -> sh::Outcome<Running> {
        let database = self.folder.join("django.sqlite3");
        if database.exists() {
            fs::remove_file(&database)?;
        }
        let database = database.display().to_string();
        let mut running = self.uvicorn("django_app:app", &source(), &[("DATABASE", &database)])?;
        running.url += "feed";
        running.version = self.python_versions(&["django-eventstream", "Django"])?;
        Ok(running)
    }

    fn flask(&self) -> sh::Outcome<Running> {
        let redis_port = http::free_port()?;
        let mut redis = Command::new(apt::REDIS);
        redis.args([
            "--port",
            &redis_port.to_string(),
            "--save",
            "",
            "--bind",
            "127.0.0.1",
        ]);
        let redis = self.serve("redis", &redis, redis_port)?;
        let port = http::free_port()?;
        let mut command = self.python_module("gunicorn", &source());
        command
            .args(["--worker-class", "gthread", "--threads", "16", "--bind"])
            .args([&*format!("127.0.0.1:{port}"), "flask_sse_app:app"])
            .env("REDIS_URL", format!("redis://127.0.0.1:{redis_port}"));
        Ok(Running {
            url: format!("http://127.0.0.1:{port}/feed"),
            version: self.python_versions(&["Flask-SSE", "Flask", "gunicorn"])?,
            options: Vec::new(),
            processes: vec![self.serve("gunicorn", &command, port)?, redis],
        })
    }

    fn starlette(&self) -> sh::Outcome<Running> {
        let mut running = self.uvicorn("sse_starlette_app:app", &source(), &[])?;
        running.url += "feed";
        running.version = self.python_versions(&["sse-starlette", "uvicorn"])?;
        Ok(running)
    }

    fn hypercorn(&self) -> sh::Outcome<Running> {
        let (certificate, key) = (self.folder.join("cert.pem"), self.folder.join("key.pem"));
        sh::capture(
            Command::new("openssl")
                .args([
                    "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30",
                ])
                .args([
                    "-subj",
                    "/CN=localhost",
                    "-addext",
                    "subjectAltName=DNS:localhost",
                ])
                .arg("-keyout")
                .arg(&key)
                .arg("-out")
                .arg(&certificate),
        )?;
        let port = http::free_port()?;
        let mut command = self.python_module("hypercorn", &source());
        command
            .args([
                "sse_starlette_app:app",
                "--bind",
                &format!("127.0.0.1:{port}"),
            ])
            .arg("--certfile")
            .arg(&certificate)
            .arg("--keyfile")
            .arg(&key);
        Ok(Running {
            url: format!("https://localhost:{port}/feed"),
            version: self.python_versions(&["sse-starlette", "Hypercorn"])?,
            options: vec!["--cacert".into(), certificate.display().to_string()],
            processes: vec![self.serve("hypercorn", &command, port)?],
        })
    }

    fn nginx(&self, server: Running, settings: &str) -> sh::Outcome<Running> {
        self.behind(server, "nginx", |port, server, folder| {
            fill(
                &source().join("nginx.conf"),
                &folder.join("nginx.conf"),
                &[
                    ("@PORT@", port),
                    ("@SERVER@", server),
                    ("@SETTINGS@", settings),
                ],
            )?;
            let mut command = Command::new(NGINX);
            command.arg("-p").arg(folder);
            command.args(["-e", "error.log", "-c", "nginx.conf"]);
            // `nginx version: nginx/1.22.1`, on standard error.
            let said = Command::new(NGINX).arg("-v").output()?.stderr;
            let said = String::from_utf8_lossy(&said).into_owned();
            Ok((
                command,
                said.trim()
                    .rsplit('/')
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            ))
        })
    }

    fn apache(&self) -> sh::Outcome<Running> {
        let folder = self.empty_folder("Apache")?;
        let (port, file) = (http::free_port()?, folder.join("apache.conf"));
        fill(
            &source().join("apache.conf"),
            &file,
            &[
                ("@PORT@", &*port.to_string()),
                ("@FOLDER@", &*folder.display().to_string()),
                ("@MODULES@", APACHE_MODULES),
                (
                    "@PROGRAM@",
                    &*source().join("feed.cgi").display().to_string(),
                ),
            ],
        )?;
        // When Apache ends, it ends its whole process group: without one of its own, that is ours.
        let mut command = Command::new("/usr/bin/setsid");
        command.arg(APACHE).arg("-f").arg(file).arg("-DFOREGROUND");
        // `Server version: Apache/2.4.71 (Debian)`
        let said = sh::capture(Command::new(APACHE).arg("-v"))?;
        let version = said.split('/').nth(1).and_then(|it| it.split(' ').next());
        Ok(Running {
            url: format!("http://127.0.0.1:{port}/feed"),
            version: format!("Apache {}", version.unwrap_or_default()),
            options: Vec::new(),
            processes: vec![self.serve("Apache", &command, port)?],
        })
    }

    fn haproxy(&self) -> sh::Outcome<Running> {
        self.behind(self.hono("/quiet")?, "haproxy", |port, server, folder| {
            let file = folder.join("haproxy.cfg");
            let template = sh::root()
                .join("interop")
                .join("proxies")
                .join("haproxy.cfg");
            fill(&template, &file, &[("@PORT@", port), ("@SERVER@", server)])?;
            let mut command = Command::new(HAPROXY);
            command.arg("-db").arg("-f").arg(file);
            // `HAProxy version 2.6.12-1+deb12u2 2025/04/16 - https://haproxy.org/`
            let said = sh::capture(Command::new(HAPROXY).arg("-v"))?;
            let version = said.split_whitespace().nth(2).unwrap_or_default();
            let version = version.split('-').next().unwrap_or_default();
            Ok((command, version.to_owned()))
        })
    }

    /// A server behind a proxy. `proxy` gets the ports of both and a folder, and returns the command and the
    /// version of the proxy.
    fn behind(
        &self,
        mut running: Running,
        name: &str,
        proxy: impl FnOnce(&str, &str, &Path) -> sh::Outcome<(Command, String)>,
    ) -> sh::Outcome<Running> {
        let address = running.url.trim_start_matches("http://127.0.0.1:");
        let (server, path) = address.split_once('/').unwrap_or_default();
        let port = http::free_port()?;
        let folder = self.empty_folder(name)?;
        let (command, version) = proxy(&port.to_string(), server, &folder)?;
        running
            .processes
            .insert(0, self.serve(name, &command, port)?);
        running.version = format!("{name} {version}, {}", running.version);
        running.url = format!("http://127.0.0.1:{port}/{path}");
        Ok(running)
    }

    fn empty_folder(&self, name: &str) -> sh::Outcome<PathBuf> {
        let folder = self.folder.join(name);
        sh::empty_folder(&folder)?;
        Ok(folder)
    }

    fn uvicorn(&self, app: &str, folder: &Path, env: &[(&str, &str)]) -> sh::Outcome<Running> {
        let port = http::free_port()?;
        let mut command = self.python_module("uvicorn", folder);
        command.args([app, "--host", "127.0.0.1", "--port", &port.to_string()]);
        command.envs(env.iter().copied());
        let name = app.split(':').next().unwrap_or_default();
        Ok(Running {
            url: format!("http://127.0.0.1:{port}/"),
            version: String::new(),
            options: Vec::new(),
            processes: vec![self.serve(name, &command, port)?],
        })
    }

    fn python_module(&self, module: &str, folder: &Path) -> Command {
        let mut command = Command::new(&self.python);
        command.args(["-m", module]).current_dir(folder);
        // The source folder belongs to git.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    fn serve(&self, name: &str, command: &Command, port: u16) -> sh::Outcome<sh::Guard> {
        mcp::serve(
            name,
            command,
            &self.folder.join(format!("{name}.log")),
            port,
        )
    }

    fn node_version(&self, package: &str) -> sh::Outcome<String> {
        let manifest = self
            .node
            .join("node_modules")
            .join(package)
            .join("package.json");
        let manifest: serde_json::Value = serde_json::from_slice(&fs::read(manifest)?)?;
        let version = manifest["version"].as_str().unwrap_or_default();
        let package = package.rsplit('/').next().unwrap_or_default();
        Ok(format!("{package} {version}"))
    }

    fn python_versions(&self, packages: &[&str]) -> sh::Outcome<String> {
        const PROGRAM: &str = "import sys; from importlib.metadata import version as v; \
            print(', '.join(f'{it} {v(it)}' for it in sys.argv[1:]), end='')";
        sh::capture(
            Command::new(&self.python)
                .args(["-c", PROGRAM])
                .args(packages),
        )
    }
}

/// Writes a template with its names filled in.
fn fill(template: &Path, file: &Path, names: &[(&str, &str)]) -> sh::Outcome {
    let text = fs::read_to_string(template)?;
    let fill = |text: String, (name, value): &(&str, &str)| text.replace(name, value);
    Ok(fs::write(file, names.iter().fold(text, fill))?)
}

fn source() -> PathBuf {
    sh::root().join("interop").join("check")
}
