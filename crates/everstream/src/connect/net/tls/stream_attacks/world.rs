//! A server, and the network on which its records are attacked.

use std::collections::VecDeque;
use std::sync::Arc;

use rustls::ServerConfig;

use super::hostile;
use super::pipe::{Pipe, Random};
use super::server::Server;

/// The most attacks in a run: after many of them, nothing more is read.
const MAX_ATTACKS: usize = 20;

/// The server and the network.
pub(super) struct World {
    random: Random,
    pub(super) pipe: Pipe,
    pub(super) server: Server,
    /// Data that the server hasn't sent yet.
    to_send: VecDeque<u8>,
    pub(super) has_closed: bool,
    pub(super) sent: Vec<u8>,
    /// One in this many records is attacked. 0: none.
    pub(super) attack_one_in: usize,
    delayed_record: Option<Vec<u8>>,
    pub(super) attacks: usize,
    /// Attacks begin only after the handshake.
    pub(super) spares_handshake: bool,
}

impl World {
    pub(super) fn new(seed: u64, server: Arc<ServerConfig>, to_send: Vec<u8>) -> Self {
        World {
            pipe: Pipe::new(Random(seed ^ 0xff)),
            server: Server::new(server),
            to_send: to_send.into(),
            has_closed: false,
            sent: Vec::new(),
            attack_one_in: 0,
            delayed_record: None,
            attacks: 0,
            spares_handshake: false,
            random: Random(seed ^ 0xff00),
        }
    }

    /// Runs one step. Returns whether anything happened.
    pub(super) fn step(&mut self) -> bool {
        let mut state = self.pipe.state();
        let length = match self.random.below(3) {
            0 => state.from_client.len().min(1 + self.random.below(100)),
            _ => state.from_client.len(),
        };
        let received: Vec<u8> = state.from_client.drain(..length).collect();
        state.wake();
        drop(state);
        self.server.receive(&received);
        let mut happened = !received.is_empty();
        if !self.server.is_handshaking() && !self.server.is_dead && !self.has_closed {
            happened |= self.send_data();
        }
        for record in self.server.records() {
            happened = true;
            let delayed = self.delayed_record.take();
            self.forward(record);
            self.deliver(&delayed.unwrap_or_default());
        }
        if self.server.has_keys() && self.should_attack() {
            let records = hostile::forge(&mut self.server, &mut self.sent, &mut self.random);
            happened |= !records.is_empty();
            self.deliver(&records);
        }
        happened
    }

    fn send_data(&mut self) -> bool {
        if self.to_send.is_empty() {
            self.server.close();
            self.has_closed = true;
            return true;
        }
        if self.server.is_tls13() && self.random.one_in(20) {
            let changes = self.random.pick(&[1, 1, 3, 33]);
            // Clients refuse more than 32 in a row.
            self.attacks += changes / 33;
            for _ in 0..changes {
                self.server.change_keys();
            }
        }
        let length = self.random.pick(&[1, 10, 1000, 20_000]);
        let part: Vec<u8> = self.to_send.iter().copied().take(length).collect();
        let sent = self.server.send(&part);
        self.to_send.drain(..sent);
        self.sent.extend_from_slice(&part[..sent]);
        true
    }

    fn should_attack(&mut self) -> bool {
        let attacks = self.attack_one_in > 0
            && self.attacks < MAX_ATTACKS
            && !(self.spares_handshake && self.server.is_handshaking())
            && self.random.one_in(self.attack_one_in);
        self.attacks += usize::from(attacks);
        attacks
    }

    fn forward(&mut self, record: Vec<u8>) {
        if !self.should_attack() {
            return self.deliver(&record);
        }
        match hostile::tamper(record, &mut self.delayed_record, &mut self.random) {
            Some(records) => self.deliver(&records),
            None => {
                self.pipe.state().is_cut = true;
                self.pipe.state().wake();
            }
        }
    }

    pub(super) fn deliver(&mut self, bytes: &[u8]) {
        let mut state = self.pipe.state();
        if !state.is_cut {
            state.to_client.extend(bytes);
        }
        state.wake();
    }

    /// Cuts the connection when all tasks sleep and nothing is in transit, so that they wake up.
    pub(super) fn cut(&mut self) {
        let mut state = self.pipe.state();
        assert!(
            state.to_client.is_empty(),
            "a reader sleeps while there is something to read"
        );
        assert!(!state.is_cut, "a task waits for something after the end");
        state.is_cut = true;
        state.wake();
    }
}
