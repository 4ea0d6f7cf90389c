//! What answers told of connections: those that HTTP keeps for another request, and that the server
//! may have closed by then (RFC 9112, section 9.3.1), and whether a server speaks HTTP/2.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ::http::Version;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpInfo;

/// Few are waiting for a request at a time: streams end seldom, and redirects are followed at once.
const REMEMBERED: usize = 64;

/// How the clients of one `Http` were answered.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<Answered>);

#[derive(Default)]
struct Answered {
    /// The last connections, known by their own addresses.
    over: Mutex<VecDeque<SocketAddr>>,
    /// Whether the last answer was no HTTP/2.
    by_http1: AtomicBool,
}

impl Kept {
    /// Takes note of the connection of a response.
    pub(super) fn note(&self, response: &reqwest::Response) {
        let by_http1 = response.version() <= Version::HTTP_11;
        self.0.by_http1.store(by_http1, Ordering::Relaxed);
        let Some(info) = response.extensions().get::<HttpInfo>() else {
            return;
        };
        self.with(|kept| {
            if !kept.contains(&info.local_addr()) {
                kept.truncate(REMEMBERED - 1);
                kept.push_front(info.local_addr());
            }
        });
    }

    pub(super) fn was_http1(&self) -> bool {
        self.0.by_http1.load(Ordering::Relaxed)
    }

    /// Whether a request failed because the connection was closed instead of an answer, and that
    /// connection had answered before.
    pub(super) fn was_closed(&self, error: &reqwest::Error) -> bool {
        let mut extras = ::http::Extensions::new();
        let mut is_close = false;
        let mut cause = error.source();
        while let Some(error) = cause {
            if let Some(error) = error.downcast_ref::<legacy::Error>() {
                if let Some(connection) = error.connect_info() {
                    connection.get_extras(&mut extras);
                }
            } else if let Some(error) = error.downcast_ref::<hyper::Error>() {
                is_close |= error.is_incomplete_message();
            } else if let Some(error) = error.downcast_ref::<io::Error>() {
                is_close |= matches!(
                    error.kind(),
                    ErrorKind::ConnectionReset
                        | ErrorKind::ConnectionAborted
                        | ErrorKind::BrokenPipe
                );
            }
            cause = error.source();
        }
        let info = extras.get::<HttpInfo>();
        is_close && info.is_some_and(|info| self.with(|kept| kept.contains(&info.local_addr())))
    }

    fn with<T>(&self, work: impl FnOnce(&mut VecDeque<SocketAddr>) -> T) -> T {
        work(&mut self.0.over.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_the_last_answer_is_known() {
        let kept = Kept::default();
        assert!(!kept.was_http1());
        for (version, http1) in [
            (Version::HTTP_11, true),
            (Version::HTTP_2, false),
            (Version::HTTP_10, true),
        ] {
            let mut answer = ::http::Response::new("");
            *answer.version_mut() = version;
            kept.note(&answer.into());
            assert_eq!(kept.was_http1(), http1);
        }
    }
}
