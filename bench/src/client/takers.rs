//! Consumers of the events that a client reads.

use crate::sys;

pub trait Taker: Default + 'static {
    fn event(&mut self, data: &str);

    /// Bytes of a body or a connection, for the floors.
    fn bytes(&mut self, bytes: &[u8]);
}

/// Adds up lengths.
#[derive(Default)]
pub struct Total(pub u64);

impl Taker for Total {
    fn event(&mut self, data: &str) {
        self.0 += data.len() as u64;
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0 += bytes.len() as u64;
    }
}

/// The latency of each event in microseconds. Its data begins with the time of the server's write.
#[derive(Default)]
pub struct Late(pub Vec<f64>);

impl Taker for Late {
    fn event(&mut self, data: &str) {
        let stamp = data.split(' ').next().unwrap_or_default();
        // Data without a time isn't counted, which the number of events reveals.
        if let (Ok(now), Ok(written)) = (sys::now(), stamp.parse::<u64>()) {
            self.0.push(now.saturating_sub(written) as f64 / 1e3);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        // Several lines, if several events arrived together.
        for line in bytes.split(|byte| *byte == b'\n') {
            let data = line.strip_prefix(b"data: ").unwrap_or_default();
            if let Ok(data) = std::str::from_utf8(data) {
                self.event(data);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_data_with_a_time_counts() {
        let mut late = Late::default();
        late.event("0 token");
        late.event("token");
        late.bytes(b"data: 0 token\n\ndata: 0 token\n\n");
        assert_eq!(late.0.len(), 3);
        assert!(late.0.iter().all(|late| *late > 0.0));
    }
}
