//! `cargo xtask start`: the time from the start of `everstream URL` to its request, and its memory on a
//! silent stream.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::sh;

const RUNS: usize = 31;

/// What `docs/performance.md` promises.
const LIMITS: (f64, f64) = (10.0, 10_000.0);

pub(crate) fn run(args: &[String]) -> sh::Outcome {
    sh::no_arguments("start", args)?;
    sh::run(&mut sh::cargo([
        "build",
        "--profile",
        "optimized",
        "--package",
        "everstream-cli",
    ]))?;
    let command = sh::target()?.join("optimized/everstream");
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/", listener.local_addr()?);
    let (mut millis, mut kilobytes) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let begin = Instant::now();
        let mut child = Command::new(&command)
            .arg(&url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let (mut socket, _) = listener.accept()?;
        socket.read_exact(&mut [0; 4])?;
        millis.push(begin.elapsed().as_secs_f64() * 1000.0);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
        socket.write_all(format!("{head}data: x\n\n").as_bytes())?;
        // By then it has written the event, and waits.
        thread::sleep(Duration::from_millis(100));
        let resident = resident(child.id());
        child.kill()?;
        child.wait()?;
        kilobytes.push(resident?);
    }
    let (millis, kilobytes) = (median(millis), median(kilobytes));
    println!(
        "start to request: {millis:.1} ms; resident memory: {kilobytes:.0} kB (medians of {RUNS} runs)"
    );
    match millis < LIMITS.0 && kilobytes < LIMITS.1 {
        true => Ok(()),
        false => Err(format!("more than {} ms or {} kB", LIMITS.0, LIMITS.1).into()),
    }
}

fn resident(id: u32) -> sh::Outcome<f64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))
        .map_err(|error| format!("this needs /proc, which only Linux has: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let figure = line.and_then(|line| line.trim().split(' ').next());
    Ok(figure.ok_or("the process has ended")?.parse()?)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}
