//! The result of a pass over a corpus.

use std::hash::{DefaultHasher, Hash, Hasher};

/// An event of any decoder.
pub trait Told {
    fn kind(&self) -> &str;
    fn data(&self) -> &str;
}

/// Used while time is measured.
#[derive(Default, Clone, Copy)]
pub struct Count {
    pub events: u64,
    pub bytes: u64,
}

impl Count {
    #[inline]
    pub fn add(&mut self, event: &impl Told) {
        self.events += 1;
        self.bytes += event.data().len() as u64;
    }
}

/// Used before that, to check that all decoders return the same types and data in the same order.
#[derive(Default, Clone, Debug, PartialEq)]
pub struct Digest {
    pub events: u64,
    hash: u64,
}

impl Digest {
    pub fn add(&mut self, event: &impl Told) {
        self.expect(event.kind(), event.data());
    }

    pub fn expect(&mut self, kind: &str, data: &str) {
        let mut hasher = DefaultHasher::new();
        (self.hash, kind, data).hash(&mut hasher);
        self.hash = hasher.finish();
        self.events += 1;
    }
}
