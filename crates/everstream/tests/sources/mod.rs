//! Sources of the user's own, in both clients. No feature is needed.

mod bytes;
mod closers;
mod strategies;

use everstream::{ConnectStrategy, Connection, Fault, connect_fn};

/// A strategy that makes this connection every time.
fn connecting(make: impl Fn() -> Connection + Send + Sync + 'static) -> impl ConnectStrategy {
    connect_fn(move |_| {
        let connection = make();
        async { Ok::<_, Fault>(connection) }
    })
}

/// A reader that fails.
struct Torn;

impl std::io::Read for Torn {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("torn"))
    }
}
