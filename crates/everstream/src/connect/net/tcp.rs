//! TCP: tries the addresses of a host until one of them accepts ("happy eyeballs", RFC 8305).

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use everstream_http::{Failure, FailureKind, SocketFailure as _};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};

/// The time that an address has before the next one is tried as well (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// The silence after which the peer is probed, so that a half-open connection ends although a feed
/// may be silent.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// The time that sent data may stay unacknowledged.
#[cfg(any(target_os = "linux", target_os = "android"))]
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Addresses named in a message, at most.
const MAX_NAMED: usize = 4;

/// Connects to the first of these addresses that accepts. `role` precedes them in messages: it is
/// empty or like "the proxy at ".
pub(super) async fn connect(addresses: &[SocketAddr], role: &str) -> Result<TcpStream, Failure> {
    match race(interleaved(addresses), dial).await {
        Ok(stream) => Ok(stream),
        Err(failed) => Err(failure(&failed, role)),
    }
}

async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    // Without them the connection is as good, only slower to notice that its peer is gone.
    _ = socket.set_tcp_keepalive(&keepalive());
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        _ = socket.set_tcp_user_timeout(Some(USER_TIMEOUT));
    }
    Ok(stream)
}

fn keepalive() -> TcpKeepalive {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
    // Other systems have no settings for probes.
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

/// Each address once, the families in turn, beginning with that of the first one (RFC 8305, section 4).
fn interleaved(addresses: &[SocketAddr]) -> VecDeque<SocketAddr> {
    let mut left: VecDeque<SocketAddr> = VecDeque::new();
    for address in addresses {
        if !left.contains(address) {
            left.push_back(*address);
        }
    }
    let mut ordered = VecDeque::with_capacity(left.len());
    let mut want_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    while !left.is_empty() {
        let next = left.iter().position(|address| address.is_ipv6() == want_v6);
        ordered.extend(left.remove(next.unwrap_or(0)));
        want_v6 = !want_v6;
    }
    ordered
}

/// Dials the addresses in their order, the next one after [`HEAD_START`] or as soon as one has
/// failed. The first success wins, and the other attempts are dropped.
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
    let mut head_start = pin!(sleep_until(Instant::now()));
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
            if !may_start && head_start.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if let Some(address) = waiting.pop_front() {
                running.push((address, Box::pin(dial(address))));
                head_start.as_mut().reset(Instant::now() + HEAD_START);
            }
        }
    })
    .await
}

/// The failure that says most, with all addresses that failed that way.
fn failure(failed: &[(SocketAddr, io::Error)], role: &str) -> Failure {
    let Some((_, telling)) = failed.iter().max_by_key(|(_, error)| weight(error)) else {
        return Failure::new(FailureKind::Resolve, "the host has no address");
    };
    let alike = failed
        .iter()
        .filter(|(_, error)| error.kind() == telling.kind())
        .map(|(address, _)| *address);
    Failure::connecting(telling, named(&alike.collect::<Vec<_>>(), role))
}

/// An answer says more than none, and the addresses that this machine has no way to say least.
fn weight(error: &io::Error) -> u8 {
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

/// "A", "A and B", "A, B and C".
fn named(addresses: &[SocketAddr], role: &str) -> String {
    let mut text = role.to_owned();
    let shown = addresses.len().min(MAX_NAMED);
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
