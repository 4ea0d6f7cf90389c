//! Reading from clients.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use everstream::{Action, Builder, Error, Fault, Http, SseClient, retry_delay};

use crate::js;

/// A client that reconnects at once, and always after the same delay.
pub(crate) fn client(http: Http) -> SseClient {
    eager(SseClient::builder(http)).build().unwrap()
}

/// Reconnects at once, and always after the same delay.
pub(crate) fn eager(builder: Builder) -> Builder {
    builder.retry_delay_strategy(retry_delay::from_fn(|_| Duration::from_millis(10)))
}

pub(crate) async fn action(client: &mut SseClient) -> Action {
    client.next_action().await.unwrap().unwrap()
}

/// The data of the next event. The runner receives it as a signal.
pub(crate) async fn data(client: &mut SseClient) -> String {
    let event = client.next_event().await.unwrap().unwrap();
    js::signal(event.data()).await;
    event.data().to_owned()
}

pub(crate) async fn error(client: &mut SseClient) -> Error {
    client.next_event().await.unwrap().unwrap_err()
}

/// Skips to the next fault, which must be the next thing that happens after the start of a connection.
pub(crate) async fn fault(client: &mut SseClient) -> Fault {
    loop {
        match action(client).await {
            Action::Fault(fault) => return fault,
            Action::Start(_) => {}
            other => panic!("{other:?} instead of a fault"),
        }
    }
}

/// Polls once, so that the task waits for the future.
pub(crate) async fn poll_once<F: Future>(future: &mut Pin<&mut F>) {
    poll_fn(|cx| {
        assert!(future.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}
