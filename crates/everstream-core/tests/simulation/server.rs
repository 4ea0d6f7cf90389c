//! What the server sends over one connection, and which items the session must decode from it.

use std::collections::VecDeque;
use std::time::Duration;

use super::numbers::Random;

/// An item that the session must decode. An empty id clears the last event id.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Due {
    Event { data: String, id: Option<String> },
    Comment(String),
    Retry(Duration),
    Id(String),
}

/// The stream of one connection.
pub(crate) struct Stream {
    bytes: Vec<u8>,
    sent: usize,
    /// With the number of bytes that complete the item.
    due: VecDeque<(usize, Due)>,
}

impl Stream {
    /// `serial` makes everything that is sent unique.
    pub(crate) fn random(random: &mut Random, serial: &mut u64) -> Self {
        let end = ["\n", "\r\n", "\r"][random.below(3)];
        let (mut text, mut due) = (String::new(), VecDeque::new());
        if random.one_in(4) {
            text.push('\u{FEFF}');
        }
        for _ in 0..random.below(9) {
            *serial += 1;
            let id = match random.below(8) {
                0 => Some(serial.to_string()),
                1 => Some(format!("ü{serial}")),
                2 if random.one_in(3) => Some(String::new()),
                _ => None,
            };
            if random.one_in(7) {
                text += &format!(":{serial}{end}");
                due.push_back((text.len(), Due::Comment(serial.to_string())));
            }
            if random.one_in(7) {
                let millis = [0, 50, 150, 150, 2000, 40_000][random.below(6)];
                text += &format!("retry: {millis}{end}");
                due.push_back((text.len(), Due::Retry(Duration::from_millis(millis))));
            }
            if let Some(id) = &id {
                text += &format!("id: {id}{end}");
            }
            if !random.one_in(5) {
                let mut data = format!("event {serial}");
                text += &format!("data: {data}{end}");
                if random.one_in(3) {
                    data += "\nmore";
                    text += &format!("data: more{end}");
                }
                text += end;
                due.push_back((text.len(), Due::Event { data, id }));
            } else {
                text += end;
                if let Some(id) = id {
                    due.push_back((text.len(), Due::Id(id)));
                }
            }
        }
        if end == "\r\n" {
            // Already due with the CR.
            for (at, _) in &mut due {
                *at -= 1;
            }
        }
        // An unfinished event: neither the event nor its id may ever be seen.
        if random.one_in(2) {
            text += &format!("id: half{end}data: half");
        }
        Stream {
            bytes: text.into_bytes(),
            sent: 0,
            due,
        }
    }

    /// The next bytes, any number of them, and the items that they complete.
    pub(crate) fn next(&mut self, random: &mut Random) -> (Vec<u8>, Vec<Due>) {
        let left = self.bytes.len() - self.sent;
        let some = random.below(left + 1);
        let number = match random.below(4) {
            0 => left,
            1 => some.min(3),
            _ => some,
        };
        let bytes = self.bytes[self.sent..][..number].to_vec();
        self.sent += number;
        let mut whole = Vec::new();
        while self.due.front().is_some_and(|(at, _)| *at <= self.sent) {
            whole.extend(self.due.pop_front().map(|(_, due)| due));
        }
        (bytes, whole)
    }
}
