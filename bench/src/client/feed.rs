//! CPU for a body with many events, sent as fast as the client reads.

use super::readers::{self, Reader, readers};
use super::takers::Total;
use super::{Once, Options, Servers};
use crate::decode::corpora::TOKEN;
use crate::spread::Spread;
use crate::{Outcome, process, sys};

/// How the events reach the client.
pub struct Case {
    pub tls: bool,
    pub per_chunk: u64,
}

pub const CASES: [Case; 4] = [
    Case {
        tls: false,
        per_chunk: 64,
    },
    Case {
        tls: false,
        per_chunk: 1,
    },
    Case {
        tls: true,
        per_chunk: 64,
    },
    Case {
        tls: true,
        per_chunk: 1,
    },
];

impl Case {
    pub fn title(&self) -> String {
        let events = match self.per_chunk {
            1 => "One event".to_owned(),
            many => format!("{many} events"),
        };
        match self.tls {
            true => format!("{events} in each TLS record"),
            false => format!("{events} in each HTTP chunk"),
        }
    }

    /// Half as many over TLS: decryption takes longer, so the figures are as exact.
    pub fn events(&self, options: &Options) -> u64 {
        match self.tls {
            true => options.events.div_ceil(2),
            false => options.events,
        }
    }
}

/// Nanoseconds of CPU per event, for each case and reader.
pub fn measure(servers: &Servers, options: &Options) -> Outcome<Vec<Vec<Spread>>> {
    let readers = readers::<Total>();
    let mut rounds = CASES.each_ref().map(|_| Vec::new());
    for round in 1..=options.rounds {
        for (case, rounds) in CASES.iter().zip(&mut rounds) {
            eprintln!("{}, round {round}", case.title());
            let of = |reader| once_of(servers, case, reader, case.events(options));
            let measured: Outcome<Vec<f64>> = readers.iter().map(of).collect();
            rounds.push(measured?);
        }
    }
    Ok(rounds
        .iter()
        .map(|rounds| Spread::of_each(rounds))
        .collect())
}

fn once_of(servers: &Servers, case: &Case, reader: &Reader<Total>, events: u64) -> Outcome<f64> {
    let path = format!("feed/{{}}/{}", case.per_chunk);
    let arguments = servers.client(case.tls, "feed", reader.name, &path, events);
    let measured = process::measure(&arguments)?;
    let seconds = measured.first().ok_or("nothing was measured")?;
    Ok(seconds * 1e9 / events as f64)
}

/// One measurement; prints the seconds.
pub fn once(once: &Once) -> Outcome {
    let reader = readers::named::<Total>(&once.name)?;
    let mut read = (reader.make)(&once.trust)?;
    read(&once.url(10), 10, &mut Total::default())?;
    let mut taken = Total::default();
    let before = sys::cpu()?;
    read(&once.url(once.count), once.count, &mut taken)?;
    let used = sys::cpu()? - before;
    let (bytes, expected) = (taken.0, once.count * TOKEN.len() as u64);
    let raw = reader.kind == readers::Kind::Floor;
    if bytes < expected || (!raw && bytes != expected) {
        return Err(format!("{} read {bytes} bytes instead of {expected}", reader.name).into());
    }
    println!("{used}");
    Ok(())
}
