//! The example `mcp-client` against servers of the Model Context Protocol: the SDK of PyPI, and
//! `@modelcontextprotocol/server-everything` of npm. A call whose stream ends early is resumed by GET,
//! and its tool runs once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::cut::Cut;
use super::report::Report;
use super::{Context, http, scenario};
use crate::{apt, python, sh};

pub(super) const NODE: &str = "/usr/bin/node";
pub(crate) const NPM: &str = "/usr/bin/npm";

pub(super) fn run(context: &Context, reports: &mut Vec<Report>) -> sh::Outcome {
    // Nothing is measured here, and the dependencies of the examples take long to optimize.
    let mut build = sh::cargo(["build", "--package", "everstream-examples"]);
    sh::run(build.args(["--bin", "mcp-client"]))?;
    let client = sh::target()?.join("debug").join("mcp-client");
    let folder = context.folder.join("mcp");
    fs::create_dir_all(&folder)?;
    sdk(&client, &folder, reports)?;
    everything(&client, &folder, reports)
}

/// The server itself closes the stream of a call, twice.
fn sdk(client: &Path, folder: &Path, reports: &mut Vec<Report>) -> sh::Outcome {
    let source = sh::root().join("interop").join("mcp");
    let python = python::venv(folder, &source.join("requirements.txt"))?;
    let version = sh::capture(Command::new(&python).args([
        "-c",
        "from importlib.metadata import version as v; print('mcp', v('mcp'), end='')",
    ]))?;
    let port = http::free_port()?;
    let log = folder.join("sdk.log");
    let mut command = Command::new(&python);
    command
        .args(["-m", "uvicorn", "app:app", "--host", "127.0.0.1", "--port"])
        .arg(port.to_string())
        .current_dir(&source)
        // The source folder belongs to git.
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let _server = serve("uvicorn", &command, &log, port)?;
    let title = format!("{version}: closes the stream of a tool call twice");
    scenario(reports, &title, |report| {
        // Nothing fails on the way: what passes is counted.
        let network = Cut::start(port, "tools/call", "\0", Duration::ZERO)?;
        let called = call(client, &network, "work", r#"{"steps": 5}"#)?;
        report.require(
            called.result.contains("run 1\""),
            format!("the tool ran more than once: {}", called.result),
        );
        report.require(called.progress == 5, "not all that it notified of arrived");
        judge(report, &network, &called);
        Ok(())
    });
    Ok(())
}

/// The network fails in the middle of a call, and is back when the tool has done its work: that
/// server replays what it has sent, and sends nothing more over a stream that was resumed.
fn everything(client: &Path, folder: &Path, reports: &mut Vec<Report>) -> sh::Outcome {
    const PACKAGE: &str = "@modelcontextprotocol/server-everything";
    apt::install(&[(NODE, "nodejs"), (NPM, "npm")], &folder.join("apt.log"))?;
    let source = sh::root().join("interop").join("everything");
    let modules = install_modules(folder, &source)?;
    let package = modules.join(PACKAGE);
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(package.join("package.json"))?)?;
    let version = manifest["version"].as_str().unwrap_or_default().to_owned();
    let port = http::free_port()?;
    let log = folder.join("everything.log");
    let mut command = Command::new(NODE);
    command
        .arg(package.join("dist").join("index.js"))
        .arg("streamableHttp")
        .env("PORT", port.to_string());
    let _server = serve("node", &command, &log, port)?;
    let title = format!("{PACKAGE} {version}: the network fails during a tool call");
    scenario(reports, &title, |report| {
        let down = Duration::from_millis(2500);
        let network = Cut::start(port, "tools/call", "\"progress\":2", down)?;
        let arguments = r#"{"duration": 2, "steps": 4}"#;
        let called = call(
            client,
            &network,
            "trigger-long-running-operation",
            arguments,
        )?;
        report.require(
            called.result.contains("operation completed"),
            format!("the tool's result is {}", called.result),
        );
        report.require(called.progress == 4, "not all that it notified of arrived");
        judge(report, &network, &called);
        Ok(())
    });
    Ok(())
}

/// What a call led to.
struct Called {
    result: String,
    /// How many notifications of progress arrived.
    progress: usize,
}

fn call(client: &Path, network: &Cut, tool: &str, arguments: &str) -> sh::Outcome<Called> {
    let url = format!("http://127.0.0.1:{}/mcp", network.port);
    let output = Command::new(client)
        .args([&url, tool, arguments])
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(format!("mcp-client ended with {}: {told}", output.status).into());
    }
    Ok(Called {
        result: String::from_utf8_lossy(&output.stdout).into_owned(),
        progress: told.matches("notifications/progress").count(),
    })
}

fn judge(report: &mut Report, network: &Cut, called: &Called) {
    let requests = network.requests();
    let count = |what: &str| requests.iter().filter(|it| *it == what).count();
    report.fact(format!(
        "{} requests of tools/call, {} GETs, {} notifications",
        count("call"),
        count("GET"),
        called.progress
    ));
    report.require(count("call") == 1, "the tool was called more than once");
    report.require(count("GET") > 0, "the stream wasn't resumed");
}

pub(super) fn serve(
    name: &str,
    command: &Command,
    log: &Path,
    port: u16,
) -> sh::Outcome<sh::Guard> {
    let file = File::create(log)?;
    let mut server = sh::Guard::start_with(name, command, file.try_clone()?.into(), file.into())?;
    http::wait_for_port(&mut server, port)
        .map_err(|error| format!("{error}; see {}", log.display()))?;
    Ok(server)
}

/// Installs what the `package.json` in `source` names, once per version.
pub(crate) fn install_modules(folder: &Path, source: &Path) -> sh::Outcome<PathBuf> {
    let folder = folder.join("npm");
    let wanted = fs::read(source.join("package.json"))?;
    let installed = folder.join("installed.json");
    if !fs::read(&installed).is_ok_and(|installed| installed == wanted) {
        sh::empty_folder(&folder)?;
        fs::write(folder.join("package.json"), &wanted)?;
        let mut npm = Command::new(NPM);
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts"])
            .current_dir(&folder);
        sh::logged(&mut npm, &folder.join("npm.log"))?;
        // Last, so that a broken installation is made again.
        fs::write(&installed, wanted)?;
    }
    Ok(folder.join("node_modules"))
}
