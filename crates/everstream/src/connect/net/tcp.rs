//! TCP: tries the addresses of a host until one accepts ("happy eyeballs", RFC 8305).

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use everstream_http::{Failure, FailureKind, SocketFailure as _};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

use crate::clock::{Alarm, Instant};

/// How long to wait for an address before trying the next one as well (RFC 8305, section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The idle time after which keep-alive probes begin, to detect half-open connections to idle feeds.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// How long sent data may remain unacknowledged.
#[cfg(any(target_os = "linux", target_os = "android"))]
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// How many addresses a message names at most.
const MAX_NAMED_ADDRESSES: usize = 4;

/// Connects to the first of these addresses that accepts. `role` precedes the addresses in messages: it
/// is empty, or for example "the proxy at ".
pub(super) async fn connect(addresses: &[SocketAddr], role: &str) -> Result<TcpStream, Failure> {
    match race(interleaved(addresses), dial).await {
        Ok(stream) => Ok(stream),
        Err(failed) => Err(failure(&failed, role)),
    }
}

async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(super::io::explained)?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    // Ignore errors: without keep-alive, the connection only takes longer to detect a dead peer.
    _ = socket.set_tcp_keepalive(&keepalive());
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        _ = socket.set_tcp_user_timeout(Some(USER_TIMEOUT));
    }
    Ok(stream)
}

fn keepalive() -> TcpKeepalive {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    // Other systems can't set the interval and number of probes.
    #[cfg(any(
        windows,
        target_os = "android",
        target_os = "freebsd",
        target_os = "ios",
        target_os = "linux",
        target_os = "macos",
        target_os = "netbsd",
    ))]
    let keepalive = keepalive
        .with_interval(Duration::from_secs(15))
        .with_retries(3);
    keepalive
}

/// Removes duplicates and alternates the families, beginning with that of the first address (RFC 8305,
/// section 4).
fn interleaved(addresses: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let mut remaining: VecDeque<SocketAddr> = VecDeque::new();
    for address in addresses {
        if !remaining.contains(address) {
            remaining.push_back(*address);
        }
    }
    let mut ordered = VecDeque::with_capacity(remaining.len());
    let mut want_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    while !remaining.is_empty() {
        let next = remaining
            .iter()
            .position(|address| address.is_ipv6() == want_v6);
        ordered.extend(remaining.remove(next.unwrap_or(0)));
        want_v6 = !want_v6;
    }
    ordered
}

/// Dials the addresses in order, each one [`ATTEMPT_DELAY`] after the previous one, or as soon as an
/// attempt has failed. The first success wins, and the other attempts are dropped.
async fn race<D, F, T>(
    mut waiting: VecDeque<SocketAddr>,
    dial: D,
) -> Result<T, Vec<(SocketAddr, io::Error)>>
where
    D: Fn(SocketAddr) -> F,
    F: Future<Output = io::Result<T>>,
{
    let mut running: Vec<(SocketAddr, Pin<Box<F>>)> = Vec::new();
    let mut failed = Vec::new();
    let (mut alarm, mut next_attempt) = (Alarm::default(), Instant::now());
    poll_fn(move |cx| {
        loop {
            let mut may_start = running.is_empty();
            let mut index = 0;
            while let Some((address, attempt)) = running.get_mut(index) {
                match attempt.as_mut().poll(cx) {
                    Poll::Ready(Ok(connected)) => return Poll::Ready(Ok(connected)),
                    Poll::Ready(Err(error)) => {
                        failed.push((*address, error));
                        drop(running.remove(index));
                        may_start = true;
                    }
                    Poll::Pending => index += 1,
                }
            }
            if waiting.is_empty() {
                return match running.is_empty() {
                    true => Poll::Ready(Err(std::mem::take(&mut failed))),
                    false => Poll::Pending,
                };
            }
            if !may_start && alarm.poll_at(next_attempt, cx).is_pending() {
                return Poll::Pending;
            }
            if let Some(address) = waiting.pop_front() {
                running.push((address, Box::pin(dial(address))));
                next_attempt = Instant::now() + ATTEMPT_DELAY;
            }
        }
    })
    .await
}

/// Describes the most informative error, with all addresses that failed the same way.
fn failure(failed: &[(SocketAddr, io::Error)], role: &str) -> Failure {
    let Some((_, best)) = failed
        .iter()
        .max_by_key(|(_, error)| informativeness(error))
    else {
        return Failure::new(FailureKind::Resolve, "the host has no address");
    };
    let alike = failed
        .iter()
        .filter(|(_, error)| error.kind() == best.kind())
        .map(|(address, _)| *address);
    Failure::connecting(best, list(&alike.collect::<Vec<_>>(), role))
}

/// Ranks errors: highest if the peer answered, lowest if this machine has no route to the address.
fn informativeness(error: &io::Error) -> u8 {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => 5,
        Kind::ConnectionReset => 4,
        Kind::PermissionDenied => 3,
        Kind::HostUnreachable | Kind::NetworkUnreachable => 1,
        Kind::AddrNotAvailable => 0,
        _ => 2,
    }
}

/// Formats as "A", "A and B", "A, B and C" or "A, B, C, D and 2 more".
fn list(addresses: &[SocketAddr], role: &str) -> String {
    let mut text = role.to_owned();
    let shown = addresses.len().min(MAX_NAMED_ADDRESSES);
    let more = addresses.len() - shown;
    for (index, address) in addresses[..shown].iter().enumerate() {
        let separator = match index {
            0 => "",
            _ if index + 1 == shown && more == 0 => " and ",
            _ => ", ",
        };
        _ = write!(text, "{separator}{address}");
    }
    if more > 0 {
        _ = write!(text, " and {more} more");
    }
    text
}

#[cfg(test)]
#[path = "tcp_tests.rs"]
mod tests;
