//! The example `mcp-client` against servers of the Model Context Protocol: the SDK of PyPI, and
//! `@modelcontextprotocol/server-everything` of npm. A call whose stream ends early is resumed by GET,
//! and its tool runs once.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::cut::Cut;
use super::programs::{self, EVERYTHING, free_port, source};
use super::report::Report;
use super::{Context, scenario};
use crate::{python, sh};

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
    let source = source("mcp");
    let python = python::venv(folder, &source.join("requirements.txt"))?;
    let version = programs::python_versions(&python, &["mcp"])?;
    let port = free_port()?;
    let command = programs::uvicorn(&python, "app:app", &source, port);
    let _server = programs::serve("sdk", &command, folder, port)?;
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
    let modules = programs::node_modules(folder, &source("everything"))?;
    let version = programs::node_version(&modules, EVERYTHING)?;
    let port = free_port()?;
    let command = programs::everything(&modules, "streamableHttp", port);
    let _server = programs::serve("everything", &command, folder, port)?;
    let title = format!("{version}: the network fails during a tool call");
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
