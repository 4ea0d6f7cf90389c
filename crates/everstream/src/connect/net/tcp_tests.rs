use std::cell::RefCell;
use std::net::SocketAddr;

use everstream_http::FailureKind;
use tokio::time::sleep;

use super::*;

fn addresses(list: &[&str]) -> Vec<SocketAddr> {
    list.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn families_take_turns_and_the_first_address_stays_first() {
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

/// What a dialled address does, and when.
#[derive(Clone, Copy)]
enum Fate {
    Accepts(u64),
    Fails(u64, io::ErrorKind),
    Hangs,
}

/// The outcome, the milliseconds it took, and the milliseconds at which each attempt began.
async fn raced(fates: &[Fate]) -> (Result<usize, Vec<io::ErrorKind>>, u64, Vec<u64>) {
    let began = Instant::now();
    let elapsed = || u64::try_from(began.elapsed().as_millis()).unwrap();
    let starts = RefCell::new(Vec::new());
    let waiting = (0..fates.len()).map(|index| SocketAddr::from(([0; 4], index as u16)));
    let outcome = race(waiting.collect(), |address| {
        starts.borrow_mut().push(elapsed());
        let index = usize::from(address.port());
        let fate = fates[index];
        async move {
            match fate {
                Fate::Accepts(after) => sleep(Duration::from_millis(after)).await,
                Fate::Fails(after, kind) => {
                    sleep(Duration::from_millis(after)).await;
                    return Err(kind.into());
                }
                Fate::Hangs => std::future::pending().await,
            }
            Ok(index)
        }
    })
    .await;
    let kinds =
        |failed: Vec<(SocketAddr, io::Error)>| failed.iter().map(|it| it.1.kind()).collect();
    (outcome.map_err(kinds), elapsed(), starts.into_inner())
}

use Fate::{Accepts, Fails, Hangs};
use io::ErrorKind::{ConnectionRefused, NetworkUnreachable};

#[tokio::test(start_paused = true)]
async fn an_address_that_accepts_in_time_is_the_only_one_dialled() {
    assert_eq!(
        raced(&[Accepts(249), Accepts(0)]).await,
        (Ok(0), 249, vec![0])
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_address_gets_a_rival_every_250_ms() {
    assert_eq!(
        raced(&[Hangs, Hangs, Accepts(10), Hangs]).await,
        (Ok(2), 510, vec![0, 250, 500])
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_address_wins_if_it_is_still_first() {
    assert_eq!(
        raced(&[Accepts(300), Accepts(100)]).await,
        (Ok(0), 300, vec![0, 250])
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_the_next_address_is_dialled_at_once() {
    assert_eq!(
        raced(&[Fails(20, ConnectionRefused), Accepts(5)]).await,
        (Ok(1), 25, vec![0, 20])
    );
    // Also if another attempt still runs.
    assert_eq!(
        raced(&[Hangs, Fails(20, ConnectionRefused), Accepts(5)]).await,
        (Ok(2), 275, vec![0, 250, 270])
    );
}

#[tokio::test(start_paused = true)]
async fn all_failures_are_returned() {
    let fates = [Fails(0, NetworkUnreachable), Fails(30, ConnectionRefused)];
    assert_eq!(
        raced(&fates).await,
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
fn the_most_telling_failure_counts() {
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
        named(&all, "")
    };
    assert_eq!(text(1), "127.0.0.1:1");
    assert_eq!(text(3), "127.0.0.1:1, 127.0.0.1:2 and 127.0.0.1:3");
    assert_eq!(
        text(9),
        "127.0.0.1:1, 127.0.0.1:2, 127.0.0.1:3, 127.0.0.1:4 and 5 more"
    );
}

#[tokio::test]
async fn a_connection_has_no_delay_and_is_kept_alive() {
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
