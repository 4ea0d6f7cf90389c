use std::cell::RefCell;
use std::net::SocketAddr;

use everstream_http::FailureKind;
use tokio::time::sleep;

use super::*;

fn addresses(list: &[&str]) -> Vec<SocketAddr> {
    list.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn address_families_alternate_and_the_first_address_stays_first() {
    let ordered = |list: &[&str]| {
        let ordered = interleaved(&addresses(list)).into_iter();
        ordered
            .map(|address| address.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        ordered(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "2.2.2.2:1"]),
        ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1"]
    );
    assert_eq!(
        ordered(&["1.1.1.1:1", "2.2.2.2:1", "[::1]:1"]),
        ["1.1.1.1:1", "[::1]:1", "2.2.2.2:1"]
    );
    assert_eq!(ordered(&["1.1.1.1:1", "1.1.1.1:1"]), ["1.1.1.1:1"]);
    assert!(ordered(&[]).is_empty());
}

/// What an address does when it is dialed, after this many milliseconds.
#[derive(Clone, Copy)]
enum Behavior {
    Accepts(u64),
    Fails(u64, io::ErrorKind),
    Hangs,
}

/// Returns the outcome, how many milliseconds it took, and when each attempt began.
async fn raced(behaviors: &[Behavior]) -> (Result<usize, Vec<io::ErrorKind>>, u64, Vec<u64>) {
    let began = Instant::now();
    let elapsed = || u64::try_from(began.elapsed().as_millis()).unwrap();
    let starts = RefCell::new(Vec::new());
    let waiting = (0..behaviors.len()).map(|index| SocketAddr::from(([0; 4], index as u16)));
    let outcome = race(waiting.collect(), |address| {
        starts.borrow_mut().push(elapsed());
        let index = usize::from(address.port());
        let behavior = behaviors[index];
        async move {
            match behavior {
                Behavior::Accepts(after) => sleep(Duration::from_millis(after)).await,
                Behavior::Fails(after, kind) => {
                    sleep(Duration::from_millis(after)).await;
                    return Err(kind.into());
                }
                Behavior::Hangs => std::future::pending().await,
            }
            Ok(index)
        }
    })
    .await;
    let kinds = |failed: Vec<(SocketAddr, io::Error)>| {
        failed.iter().map(|(_, error)| error.kind()).collect()
    };
    (outcome.map_err(kinds), elapsed(), starts.into_inner())
}

use Behavior::{Accepts, Fails, Hangs};
use io::ErrorKind::{ConnectionRefused, NetworkUnreachable};

#[tokio::test(start_paused = true)]
async fn no_other_address_is_dialed_if_the_first_accepts_within_250_ms() {
    assert_eq!(
        raced(&[Accepts(249), Accepts(0)]).await,
        (Ok(0), 249, vec![0])
    );
}

#[tokio::test(start_paused = true)]
async fn another_address_is_dialed_every_250_ms() {
    assert_eq!(
        raced(&[Hangs, Hangs, Accepts(10), Hangs]).await,
        (Ok(2), 510, vec![0, 250, 500])
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_address_wins_if_it_accepts_first() {
    assert_eq!(
        raced(&[Accepts(300), Accepts(100)]).await,
        (Ok(0), 300, vec![0, 250])
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_the_next_address_is_dialed_immediately() {
    assert_eq!(
        raced(&[Fails(20, ConnectionRefused), Accepts(5)]).await,
        (Ok(1), 25, vec![0, 20])
    );
    // Even if another attempt is still running.
    assert_eq!(
        raced(&[Hangs, Fails(20, ConnectionRefused), Accepts(5)]).await,
        (Ok(2), 275, vec![0, 250, 270])
    );
}

#[tokio::test(start_paused = true)]
async fn all_failures_are_returned() {
    let behaviors = [Fails(0, NetworkUnreachable), Fails(30, ConnectionRefused)];
    assert_eq!(
        raced(&behaviors).await,
        (
            Err(vec![NetworkUnreachable, ConnectionRefused]),
            30,
            vec![0, 0]
        )
    );
    assert_eq!(raced(&[]).await, (Err(vec![]), 0, vec![]));
}

fn failed(list: &[(&str, io::ErrorKind)]) -> Vec<(SocketAddr, io::Error)> {
    let pairs = list.iter();
    pairs
        .map(|(address, kind)| (address.parse().unwrap(), (*kind).into()))
        .collect()
}

#[test]
fn a_failure_names_all_addresses_that_refused() {
    let refused = failed(&[
        ("[::1]:8000", ConnectionRefused),
        ("127.0.0.1:8000", ConnectionRefused),
    ]);
    let failure = failure(&refused, "");
    assert_eq!(
        failure.to_string(),
        "connection refused by [::1]:8000 and 127.0.0.1:8000"
    );
    assert_eq!(failure.kind(), FailureKind::Refused);
}

#[test]
fn the_most_informative_failure_is_reported() {
    let mixed = failed(&[
        ("[2001:db8::1]:80", NetworkUnreachable),
        ("192.0.2.1:80", ConnectionRefused),
        ("192.0.2.2:80", io::ErrorKind::TimedOut),
    ]);
    assert_eq!(
        failure(&mixed, "the proxy at ").to_string(),
        "connection refused by the proxy at 192.0.2.1:80"
    );
    assert_eq!(
        failure(&mixed[..1], "").to_string(),
        "[2001:db8::1]:80 can't be reached"
    );
}

#[test]
fn a_host_with_many_addresses_has_a_short_message() {
    let text = |count: u16| {
        let all: Vec<SocketAddr> = (1..=count)
            .map(|port| ([127, 0, 0, 1], port).into())
            .collect();
        list(&all, "")
    };
    assert_eq!(text(1), "127.0.0.1:1");
    assert_eq!(text(3), "127.0.0.1:1, 127.0.0.1:2 and 127.0.0.1:3");
    assert_eq!(
        text(9),
        "127.0.0.1:1, 127.0.0.1:2, 127.0.0.1:3, 127.0.0.1:4 and 5 more"
    );
}

#[tokio::test]
async fn connections_have_nodelay_and_keepalive() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = connect(&[listener.local_addr().unwrap()], "")
        .await
        .unwrap();
    assert!(stream.nodelay().unwrap());
    let socket = SockRef::from(&stream);
    assert!(socket.keepalive().unwrap());
    #[cfg(target_os = "linux")]
    {
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(USER_TIMEOUT));
    }
}
