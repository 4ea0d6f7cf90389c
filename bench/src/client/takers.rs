//! What takes the events that a client reads.

use crate::sys;

pub trait Taker: Default + 'static {
    fn event(&mut self, data: &str);

    /// What a floor reads: bytes of a body, or of a connection.
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

/// How late each event is, in microseconds. Its data begins with the time of the server's write.
#[derive(Default)]
pub struct Late(pub Vec<f64>);

impl Taker for Late {
    fn event(&mut self, data: &str) {
        let stamp = data.split(' ').next().unwrap_or_default();
        // Data without a time isn't counted, so the number of events will be wrong.
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
    fn only_what_has_a_time_is_late() {
        let mut late = Late::default();
        late.event("0 token");
        late.event("token");
        late.bytes(b"data: 0 token\n\ndata: 0 token\n\n");
        assert_eq!(late.0.len(), 3);
        assert!(late.0.iter().all(|late| *late > 0.0));
    }
}
