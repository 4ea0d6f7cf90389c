//! Measurements of a process.

use std::fs;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_cpu_and_the_clock_advances() {
        let (cpu_before, before) = (cpu().unwrap(), now().unwrap());
        while cpu().unwrap() == cpu_before {}
        assert!(now().unwrap() > before);
        assert!(resident().unwrap() > 0);
    }
}
