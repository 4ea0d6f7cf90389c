//! Stopping clients that wait for a response and for an event.

use std::future::{Future, poll_fn};
use std::pin::pin;

use everstream::{Error, Http, SseClient};

use crate::js;
use crate::reading::{self, poll_once};

/// Returns one client that waits for the head of its response, and one that has received an event.
async fn two_clients(server: &str) -> (SseClient, SseClient) {
    let mut silent = reading::client(Http::new(format!("{server}/silent")));
    poll_once(&mut pin!(silent.next_event())).await;
    let mut open = reading::client(Http::new(format!("{server}/feed")));
    assert_eq!(reading::data(&mut open).await, "hello");
    js::wait("stop").await;
    (silent, open)
}

/// A handle closes a client whose read is pending; the other one closes itself.
pub(crate) async fn close(server: &str) {
    let (mut silent, mut open) = two_clients(server).await;
    let handle = open.handle();
    let mut read = pin!(open.next_event());
    poll_once(&mut read).await;
    handle.close();
    assert!(read.await.is_none());
    silent.close();
    assert!(matches!(silent.start().await, Err(Error::Closed)));
    js::wait("checked").await;
}

pub(crate) async fn drop_client(server: &str) {
    let (silent, mut open) = two_clients(server).await;
    poll_once(&mut pin!(open.next_event())).await;
    drop((silent, open));
    js::wait("checked").await;
}

/// Both clients connect again.
pub(crate) async fn interrupt(server: &str) {
    let (mut silent, mut open) = two_clients(server).await;
    {
        let handle = open.handle();
        let mut read = pin!(open.next_event());
        poll_once(&mut read).await;
        handle.interrupt();
        assert_eq!(read.await.unwrap().unwrap().data(), "hello");
    }
    silent.interrupt();
    let mut read = pin!(silent.next_event());
    // It ends when the test does.
    let mut checked = pin!(js::wait("checked"));
    poll_fn(|cx| {
        assert!(read.as_mut().poll(cx).is_pending());
        checked.as_mut().poll(cx)
    })
    .await;
}
