//! Whether the connection has taken the request.
//!
//! hyper hands a request to the connection's task through a channel. If the connection ends at that
//! very moment, the request may stay in the channel: it comes back only when its sender is dropped,
//! and who waits for the answer holds the sender, for ever. A body tells, because whoever takes the
//! request reads or drops it at once.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::timeout;

/// In this time a new connection takes the request that it was made for.
const INSTANT: Duration = Duration::from_secs(1);

/// The body of a request, and what tells whether somebody took it.
pub(super) fn watched(bytes: Option<Bytes>) -> (reqwest::Body, Handover) {
    let waiting = Arc::new(());
    let handover = Handover(Arc::downgrade(&waiting));
    let body = Body {
        bytes: bytes.filter(|bytes| !bytes.is_empty()),
        waiting: Some(waiting),
    };
    (reqwest::Body::wrap(body), handover)
}

pub(super) struct Handover(Weak<()>);

impl Handover {
    /// The answer; `None` if nobody took the request, although the time to connect is over.
    pub(super) async fn answer<T>(
        &self,
        answer: impl Future<Output = T>,
        connect_timeout: Duration,
        may_wait: impl Fn() -> bool,
    ) -> Option<T> {
        let mut answer = pin!(answer);
        // One after the other: a blocking client's runtime may have rested for all of the first.
        for limit in [connect_timeout, INSTANT] {
            if let Ok(answer) = timeout(limit, answer.as_mut()).await {
                return Some(answer);
            }
            if self.is_done() || may_wait() {
                return Some(answer.await);
            }
        }
        None
    }

    fn is_done(&self) -> bool {
        self.0.strong_count() == 0
    }
}

struct Body {
    bytes: Option<Bytes>,
    waiting: Option<Arc<()>>,
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.waiting = None;
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.bytes.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(length as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::task::Waker;

    use http_body::Body as _;
    use tokio::time::{Instant, sleep};

    use super::*;

    const CONNECT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_request_that_nobody_takes_is_given_up_when_the_time_to_connect_is_over() {
        let (_body, handover) = watched(None);
        let began = Instant::now();
        let answer = handover.answer(pending::<()>(), CONNECT, || false).await;
        assert_eq!(answer, None);
        assert_eq!(began.elapsed(), CONNECT + INSTANT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_was_taken_or_waits_for_its_turn_is_answered_when_it_is() {
        let minutes = || async { sleep(Duration::from_secs(300)).await };
        let (body, handover) = watched(None);
        assert!(handover.answer(minutes(), CONNECT, || true).await.is_some());
        let late = async {
            sleep(CONNECT + INSTANT / 2).await;
            drop(body);
            minutes().await;
        };
        assert!(handover.answer(late, CONNECT, || false).await.is_some());
    }

    #[test]
    fn it_is_done_when_the_body_is_read_or_dropped() {
        let (mut body, handover) = watched(Some("prompt".into()));
        assert_eq!(body.size_hint().exact(), Some(6));
        assert!(!body.is_end_stream() && !handover.is_done());
        let frame = Pin::new(&mut body).poll_frame(&mut Context::from_waker(Waker::noop()));
        assert!(
            matches!(frame, Poll::Ready(Some(Ok(frame))) if frame.data_ref().unwrap() == "prompt")
        );
        assert!(body.is_end_stream() && handover.is_done());

        for nothing in [None, Some(Bytes::new())] {
            let (body, handover) = watched(nothing);
            assert!(body.is_end_stream() && !handover.is_done());
            drop(body);
            assert!(handover.is_done());
        }
    }
}
