//! Custom sources, with both clients. Needs no feature.

mod bytes;
mod closers;
mod strategies;

use everstream::{ConnectStrategy, Connection, Fault, connect_fn};

/// Returns a strategy that connects with this function.
fn connecting(connect: impl Fn() -> Connection + Send + Sync + 'static) -> impl ConnectStrategy {
    connect_fn(move |_| {
        let connection = connect();
        async { Ok::<_, Fault>(connection) }
    })
}

/// A reader that fails.
struct FailingReader;

impl std::io::Read for FailingReader {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("torn"))
    }
}
