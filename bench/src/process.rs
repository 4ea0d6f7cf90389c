//! Processes of this program that measure and print numbers, and what becomes of the numbers. `relay-bench`
//! includes this file.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::Outcome;

/// The load average of the last minute.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

/// A process of this program that serves until this value is dropped.
pub struct Server {
    child: Child,
    /// The line that it printed when it was ready.
    pub said: String,
}

impl Server {
    pub fn start<S: AsRef<str>>(arguments: &[S]) -> Outcome<Server> {
        let mut command = this(arguments)?;
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut said = String::new();
        let mut out = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        out.read_line(&mut said)?;
        // Further output is discarded.
        thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let said = said.trim().to_owned();
        Ok(Server { child, said })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process of this program, run to its end; returns the numbers that it printed.
pub fn measure<S: AsRef<str>>(arguments: &[S]) -> Outcome<Vec<f64>> {
    let output = this(arguments)?.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
        return Err(format!("`{}` ended with {}", arguments.join(" "), output.status).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let numbers = text.split_whitespace().map(str::parse);
    Ok(numbers.collect::<Result<_, _>>()?)
}

fn this<S: AsRef<str>>(arguments: &[S]) -> Outcome<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments.iter().map(AsRef::as_ref));
    Ok(command)
}

/// Sorts; 0.5 is the median.
pub fn quantile(values: &mut [f64], at: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len().saturating_sub(1)) as f64 * at;
    values
        .get(index.round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    quantile(&mut values, 0.5)
}

pub fn geometric_mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let logarithms: Vec<f64> = values.into_iter().map(f64::ln).collect();
    (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_sorted_values() {
        let mut values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!(quantile(&mut values, 0.99), 99.0);
        assert_eq!(quantile(&mut values, 1.0), 100.0);
        assert_eq!(median(vec![9.0, 1.0, 5.0]), 5.0);
        assert!((geometric_mean([2.0, 8.0]) - 4.0).abs() < 1e-9);
    }
}
