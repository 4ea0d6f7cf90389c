//! An in-memory connection with partial reads and writes like those of a real one.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A random number generator: SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(super) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    pub(super) fn some_bytes(&mut self, lengths: &[usize]) -> Vec<u8> {
        let length = self.pick(lengths);
        self.bytes(length)
    }

    pub(super) fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }
}

/// The waker of a task; true if the task needs to be polled.
pub(super) struct Task(AtomicBool);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Task {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Task(AtomicBool::new(true)))
    }

    pub(super) fn is_awake(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn sleeps(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

pub(super) struct State {
    random: Random,
    /// The most bytes that one call reads or writes.
    step: usize,
    /// How many bytes from the client are buffered before the server receives them.
    capacity: usize,
    pub(super) to_client: VecDeque<u8>,
    pub(super) from_client: Vec<u8>,
    pub(super) is_cut: bool,
    pub(super) calls: usize,
    // Like a socket, this wakes only the last task that waited.
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl State {
    /// Wakes the tasks that can continue.
    pub(super) fn wake(&mut self) {
        if !self.to_client.is_empty() || self.is_cut {
            self.reader.take().into_iter().for_each(Waker::wake);
        }
        if self.from_client.len() < self.capacity {
            self.writer.take().into_iter().for_each(Waker::wake);
        }
    }
}

#[derive(Clone)]
pub(super) struct Pipe(Arc<Mutex<State>>);

impl Pipe {
    pub(super) fn new(mut random: Random) -> Self {
        let step = random.pick(&[1, 7, 1000, 70_000, 70_000, 70_000]);
        let capacity = random.pick(&[1, 100, 5000, 100_000, 100_000]);
        Pipe(Arc::new(Mutex::new(State {
            random,
            step,
            capacity,
            to_client: VecDeque::new(),
            from_client: Vec::new(),
            is_cut: false,
            calls: 0,
            reader: None,
            writer: None,
        })))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state();
        state.calls += 1;
        assert!(
            room.remaining() > 0,
            "reading 0 bytes would look like the end"
        );
        if state.random.one_in(8) {
            // Like tokio when a task has used up its budget.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if state.to_client.is_empty() && !state.is_cut {
            state.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let most = room.remaining().min(state.to_client.len()).min(state.step);
        let length = match state.random.below(4) {
            0 if most > 0 => 1 + state.random.below(most),
            _ => most,
        };
        for byte in state.to_client.drain(..length) {
            room.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        state.calls += 1;
        let room = state.capacity.saturating_sub(state.from_client.len());
        if room == 0 {
            state.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let most = bytes.len().min(room).min(state.step);
        let length = match state.random.below(4) {
            0 if most > 0 => 1 + state.random.below(most),
            _ => most,
        };
        state.from_client.extend_from_slice(&bytes[..length]);
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
