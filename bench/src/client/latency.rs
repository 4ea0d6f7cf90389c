//! From the server's write to the event in the user's hands.

use everstream::{Http, SseClient, blocking};

use super::readers::{reqwest, runtime};
use crate::{Outcome, sys};

/// Microseconds, one for each event.
type Late = Vec<f64>;

/// Reads a URL to its end.
type Watch = fn(&str) -> Outcome<Late>;

pub const WATCHERS: [(&str, Watch); 3] = [
    ("reqwest, body read", body),
    ("everstream, async", with_async),
    ("everstream, blocking", with_blocking),
];

fn late(stamp: &str) -> Outcome<f64> {
    let written: u64 = stamp.trim().parse()?;
    Ok(sys::now()?.saturating_sub(written) as f64 / 1e3)
}

fn body(url: &str) -> Outcome<Late> {
    runtime()?.block_on(async {
        let mut response = reqwest()?.get(url).send().await?;
        let mut taken = Late::new();
        while let Some(chunk) = response.chunk().await? {
            // Those that came together, if some did.
            for line in std::str::from_utf8(&chunk)?.lines() {
                if let Some(stamp) = line.strip_prefix("data: ") {
                    taken.push(late(stamp)?);
                }
            }
        }
        Ok(taken)
    })
}

fn with_async(url: &str) -> Outcome<Late> {
    runtime()?.block_on(async {
        let mut client = SseClient::builder(Http::new(url).no_proxy())
            .error_strategy(everstream::error_strategy::always_fail())
            .build()?;
        let mut taken = Late::new();
        while let Some(event) = client.next_event().await {
            taken.push(late(event?.data())?);
        }
        Ok(taken)
    })
}

fn with_blocking(url: &str) -> Outcome<Late> {
    let mut client = blocking::SseClient::builder(Http::new(url).no_proxy())
        .error_strategy(everstream::error_strategy::always_fail())
        .build()?;
    let mut taken = Late::new();
    for event in client.events() {
        taken.push(late(event?.data())?);
    }
    Ok(taken)
}
