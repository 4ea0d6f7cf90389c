//! Events that arrive one at a time, each in a separate write: CPU, instructions and latency.

use super::readers::{self, ASYNC, BLOCKING, DRAINED, Reader, SSE_REQWEST_CLIENT, SSE_STREAM};
use super::takers::{Late, Total};
use super::{Once, Options, Servers};
use crate::spread::Spread;
use crate::{Outcome, callgrind, process, sys};

pub const PER_SECOND: u64 = 1_000;

/// The floor, ours, and the best peers.
const WHO: [&str; 5] = [DRAINED, ASYNC, BLOCKING, SSE_STREAM, SSE_REQWEST_CLIENT];

/// Instructions per event are the difference of two runs, divided by the difference of their lengths.
/// That excludes the setup and the first events, which are slower.
const COUNTED: [u64; 2] = [100, 500];
/// Even under callgrind, which is slow, a client waits for each event at this rate.
const COUNTED_PER_SECOND: u64 = 500;

/// The figures of one client.
pub struct Measured {
    pub reader: Reader<Late>,
    /// Microseconds per event.
    pub cpu: Spread,
    /// Instructions per event. `None` without valgrind.
    pub instructions: Option<Spread>,
    /// Microseconds.
    pub p50: Spread,
    pub p99: Spread,
    pub latest: Spread,
}

pub fn measure(servers: &Servers, options: &Options) -> Outcome<Vec<Measured>> {
    let counts = callgrind::is_installed();
    let mut timed = WHO.map(|_| Vec::new());
    let mut counted = WHO.map(|_| Vec::new());
    for round in 1..=options.rounds {
        eprintln!("each event alone, round {round}");
        for (index, name) in WHO.iter().enumerate() {
            let events = options.seconds * PER_SECOND;
            let arguments = arguments(servers, "alone", name, events, PER_SECOND);
            timed[index].push(process::measure(&arguments)?);
            if counts {
                counted[index].push(instructions(servers, name)?);
            }
        }
    }
    let of = |((name, timed), counted): ((&str, Vec<Vec<f64>>), Vec<f64>)| {
        let timed = Spread::of_each(&timed);
        let [cpu, p50, p99, latest] = timed.try_into().map_err(|_| "a figure is missing")?;
        Ok(Measured {
            reader: readers::named(name)?,
            cpu,
            instructions: counts.then(|| Spread::of(counted)),
            p50,
            p99,
            latest,
        })
    };
    WHO.into_iter().zip(timed).zip(counted).map(of).collect()
}

fn arguments(
    servers: &Servers,
    what: &str,
    name: &str,
    events: u64,
    per_second: u64,
) -> Vec<String> {
    servers.client(
        false,
        what,
        name,
        &format!("alone/{{}}/{per_second}"),
        events,
    )
}

fn instructions(servers: &Servers, name: &str) -> Outcome<f64> {
    let of = |events| {
        let arguments = arguments(servers, "count", name, events, COUNTED_PER_SECOND);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        callgrind::instructions(&arguments, None)
    };
    let [few, many] = COUNTED;
    Ok((of(many)? - of(few)?) / (many - few) as f64)
}

/// One measurement; prints the microseconds of CPU per event and the latency: p50, p99, maximum.
pub fn once(once: &Once) -> Outcome {
    let reader = readers::named::<Late>(&once.name)?;
    let mut read = (reader.make)(&once.trust)?;
    read(&once.url(10), 10, &mut Late::default())?;
    let mut taken = Late::default();
    let before = sys::cpu()?;
    read(&once.url(once.count), once.count, &mut taken)?;
    let used = sys::cpu()? - before;
    let (name, events) = (reader.name, taken.0.len() as u64);
    if events != once.count {
        return Err(format!("{name} read {events} events instead of {}", once.count).into());
    }
    println!("{}", used * 1e6 / once.count as f64);
    for at in [0.5, 0.99, 1.0] {
        println!("{}", process::quantile(&mut taken.0, at));
    }
    Ok(())
}

/// Only reads, for callgrind.
pub fn counted(once: &Once) -> Outcome {
    let reader = readers::named::<Total>(&once.name)?;
    let mut taken = Total::default();
    (reader.make)(&once.trust)?(&once.url(once.count), once.count, &mut taken)?;
    match taken.0 {
        0 => Err(format!("{} read nothing", reader.name).into()),
        _ => Ok(()),
    }
}
