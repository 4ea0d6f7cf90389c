//! Instructions, counted by callgrind, because most virtual machines have no hardware counters.
//! Instructions of the kernel aren't counted.

use std::process::{Command, Stdio};

use crate::Outcome;

pub fn is_installed() -> bool {
    let mut version = Command::new("valgrind");
    let status = version.arg("--version").stdout(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The instructions of this program with other arguments, or of one function of it.
pub fn instructions(arguments: &[&str], function: Option<&str>) -> Outcome<f64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    if let Some(function) = function {
        valgrind.arg(format!("--toggle-collect=*{function}*"));
    }
    let output = valgrind
        .arg(std::env::current_exe()?)
        .args(arguments)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, number)| number.trim().parse().ok());
    match collected {
        Some(collected) if output.status.success() => Ok(collected),
        _ => Err(format!("callgrind printed no count:\n{said}").into()),
    }
}
