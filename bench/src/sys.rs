//! Measurements of a process, and child processes of this program.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::TimeVal;
use nix::time::{ClockId, clock_gettime};

use crate::Outcome;

/// User and system time of this process so far, in seconds.
pub fn cpu() -> Outcome<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// Nanoseconds of the clock that all processes share.
pub fn now() -> Outcome<u64> {
    nanoseconds(ClockId::CLOCK_MONOTONIC)
}

/// Seconds of CPU of this thread, which don't include other load.
pub fn thread_cpu() -> f64 {
    let nanoseconds = nanoseconds(ClockId::CLOCK_THREAD_CPUTIME_ID);
    nanoseconds.map_or(f64::NAN, |nanoseconds| nanoseconds as f64 / 1e9)
}

fn nanoseconds(clock: ClockId) -> Outcome<u64> {
    let time = clock_gettime(clock)?;
    Ok(time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

/// Resident memory of this process, in KiB.
pub fn resident() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmRSS")?.parse()?)
}

/// Raises the limit of open files as far as permitted; returns it.
pub fn raise_open_files(wanted: u64) -> Outcome<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // Only root may raise the hard limit.
    let raised = setrlimit(Resource::RLIMIT_NOFILE, wanted.max(soft), wanted.max(hard));
    if raised.is_err() {
        setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard).max(soft), hard)?;
    }
    Ok(getrlimit(Resource::RLIMIT_NOFILE)?.0)
}

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

    #[test]
    fn work_takes_cpu_and_the_clock_advances() {
        let (cpu_before, before) = (cpu().unwrap(), now().unwrap());
        while cpu().unwrap() == cpu_before {}
        assert!(now().unwrap() > before);
        assert!(resident().unwrap() > 0);
    }
}
