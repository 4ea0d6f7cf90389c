//! The memory, descriptors and threads of a process, from `/proc`.

use std::fs;
use std::io;
use std::time::Duration;

/// One measurement of the clients.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    /// Resident memory, in KiB.
    pub(crate) rss: u64,
    /// Allocated, in KiB. `rss` also has code, stacks and the memory that the allocator retains.
    pub(crate) heap: u64,
    /// Open file descriptors.
    pub(crate) fds: u64,
    pub(crate) threads: u64,
    /// Since the last sample.
    pub(crate) reconnects_per_second: f64,
}

/// The resident memory in KiB, the open file descriptors and the threads of a process.
pub(crate) fn usage_of(process: u32) -> io::Result<(u64, u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let fds = fs::read_dir(format!("/proc/{process}/fd"))?.count();
    let field = |name| field(&status, name).ok_or_else(|| io::Error::other(format!("no {name}")));
    Ok((field("VmRSS")?, fds as u64, field("Threads")?))
}

/// The number after a name in `/proc/<process>/status`.
fn field(status: &str, name: &str) -> Option<u64> {
    let of_name = |line: &str| {
        line.strip_prefix(name)?
            .strip_prefix(':')
            .map(str::to_owned)
    };
    let value = status.lines().find_map(of_name)?;
    value.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_after_a_name_is_found() {
        let status = "Name:\tx\nVmRSS:\t  1234 kB\nThreads:\t7\n";
        assert_eq!(field(status, "VmRSS"), Some(1234));
        assert_eq!(field(status, "Threads"), Some(7));
        assert_eq!(field(status, "Vm"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_usage_of_this_process_can_be_read() {
        let (rss, fds, threads) = usage_of(std::process::id()).unwrap();
        assert!(rss > 0 && fds > 0 && threads > 0);
    }
}
