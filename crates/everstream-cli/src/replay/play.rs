//! Sends a recording to one client, at the recording's pace or another.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::timeline::Timeline;
use crate::report;
use crate::server::Out;

/// How a recording is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) speed: Speed,
    /// Start again at the end.
    pub(super) repeat: bool,
    pub(super) drop_every: Option<u64>,
    pub(super) drop_inside: bool,
}

/// The speed relative to the recording; 0: without delays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Speed(f64);

pub(super) fn parse_speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed(0.0));
    }
    // The parser also accepts signs, `inf` and `nan`.
    match text.parse::<f64>() {
        Ok(factor) if factor.is_finite() && factor.is_sign_positive() => Ok(Speed(factor)),
        _ => Err("use a factor such as 2 or 0.5, or max (or 0) for no delays".into()),
    }
}

impl Speed {
    pub(super) fn apply(self, time: Duration) -> Duration {
        if self.0 == 0.0 {
            return Duration::ZERO;
        }
        let seconds = time.as_secs_f64() / self.0;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

/// Sends what follows `place`, until the end or until the client has gone.
pub(super) async fn play(timeline: Arc<Timeline>, place: u64, pace: Pace, out: Out) {
    if let Err(error) = send(&timeline, place, pace, &out).await {
        report::error("the recording's temporary file can't be read", Some(&error));
        out.abort();
    }
}

async fn send(timeline: &Timeline, mut place: u64, pace: Pace, out: &Out) -> io::Result<()> {
    let mut events = pace.drop_every;
    let mut chunk = 0;
    loop {
        let cut = match events {
            Some(events) => Some(timeline.cut(place, events, pace.drop_inside)?),
            None => None,
        };
        let limit = match cut {
            Some(Ok(cut)) => cut,
            _ => timeline.end(pace.repeat),
        };
        let clock = Clock {
            begin: Instant::now(),
            time: timeline.time_at(place)?,
            speed: pace.speed,
        };
        while let Some((time, bytes)) = timeline.next(place, limit, &mut chunk)? {
            clock.wait(time).await;
            place += bytes.len() as u64;
            if out.send(bytes).await.is_err() {
                return Ok(());
            }
        }
        match cut {
            Some(Ok(_)) => {
                out.drop_connection().await;
                return Ok(());
            }
            Some(Err(left)) => events = Some(left),
            None => {}
        }
        clock.wait(timeline.duration()).await;
        if !pace.repeat {
            return Ok(());
        }
        place = timeline.front();
    }
}

struct Clock {
    begin: Instant,
    /// The time in the recording at the start.
    time: Duration,
    speed: Speed,
}

impl Clock {
    /// Waits until this time in the recording.
    async fn wait(&self, time: Duration) {
        let due = self.speed.apply(time.saturating_sub(self.time));
        let left = due.saturating_sub(self.begin.elapsed());
        if !left.is_zero() {
            tokio::time::sleep(left).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_accepts_factors_and_max() {
        for (text, millis) in [("1", 1000), ("2", 500), ("0.5", 2000), ("0", 0), ("max", 0)] {
            let speed = parse_speed(text).unwrap();
            assert_eq!(speed.apply(Duration::from_secs(1)).as_millis(), millis);
        }
        let slow = parse_speed("1e-300").unwrap();
        assert_eq!(slow.apply(Duration::from_secs(1)), Duration::MAX);
        for text in ["", "-1", "-0", "inf", "nan", "fast", "2x"] {
            assert!(parse_speed(text).is_err(), "{text}");
        }
    }
}
