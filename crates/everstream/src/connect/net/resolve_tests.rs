use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use super::*;

const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn host(url: &Url) -> Host<&str> {
    url.host().unwrap()
}

async fn resolved(resolver: &Resolver, url: &str) -> Result<Vec<String>, Failure> {
    let url = Url::parse(url).unwrap();
    let addresses = resolver.resolve(&host(&url), 80).await?;
    Ok(addresses.iter().map(SocketAddr::to_string).collect())
}

#[tokio::test]
async fn addresses_are_not_looked_up() {
    let resolver = Resolver::new(&[]).unwrap();
    for (url, address) in [
        ("http://192.0.2.1/", "192.0.2.1:80"),
        ("http://[2001:db8::1]/", "[2001:db8::1]:80"),
    ] {
        assert_eq!(resolved(&resolver, url).await.unwrap(), [address]);
    }
}

#[tokio::test]
async fn a_setting_replaces_the_look_up_however_its_host_is_written() {
    let second = IpAddr::from([192, 0, 2, 2]);
    for setting in [
        "bücher.test",
        "BÜCHER.TEST",
        "xn--bcher-kva.test",
        "bücher.test.",
    ] {
        let settings = [
            (setting.to_owned(), LOCAL),
            ("bücher.test".to_owned(), second),
        ];
        let resolver = Resolver::new(&settings).unwrap();
        for url in ["http://bücher.test/", "http://Bücher.test./"] {
            let all = resolved(&resolver, url).await.unwrap();
            assert_eq!(all, ["127.0.0.1:80", "192.0.2.2:80"], "{setting} {url}");
        }
    }
}

#[tokio::test]
async fn addresses_of_the_other_family_are_not_used() {
    let settings = [
        ("both.test".to_owned(), IpAddr::from([192, 0, 2, 1])),
        ("both.test".to_owned(), "2001:db8::1".parse().unwrap()),
    ];
    for (family, expected, literal, other) in [
        (
            AddressFamily::Ipv4,
            "192.0.2.1:80",
            "http://[2001:db8::2]/",
            "[2001:db8::2]: it has no IPv4 address",
        ),
        (
            AddressFamily::Ipv6,
            "[2001:db8::1]:80",
            "http://192.0.2.2/",
            "192.0.2.2: it has no IPv6 address",
        ),
    ] {
        let resolver = Resolver::new(&settings).unwrap().only(Some(family));
        let found = resolved(&resolver, "http://both.test/").await.unwrap();
        assert_eq!(found, [expected]);
        let failure = resolved(&resolver, literal).await.unwrap_err();
        assert_eq!(failure.kind(), FailureKind::Resolve);
        assert_eq!(failure.to_string(), format!("can't resolve {other}"));
    }
}

#[test]
fn a_setting_that_would_do_nothing_is_refused() {
    for bad in [
        "",
        "a.test:80",
        "http://a.test",
        "*.test",
        "a b",
        "127.0.0.1",
        "a.test/x",
    ] {
        let error = Resolver::new(&[(bad.to_owned(), LOCAL)]).err().unwrap();
        let is_named = matches!(
            error,
            Error::Config {
                setting: "resolve",
                ..
            }
        );
        assert!(is_named, "{bad}: {error:?}");
    }
}

#[tokio::test]
async fn the_system_is_asked() {
    let resolver = Resolver::new(&[]).unwrap();
    let all = resolved(&resolver, "http://localhost/").await.unwrap();
    let is_local = |address: &String| ["127.0.0.1:80", "[::1]:80"].contains(&&**address);
    assert!(!all.is_empty() && all.iter().all(is_local), "{all:?}");
}

#[tokio::test]
async fn a_failure_says_which_name_and_why() {
    static PLACES: Semaphore = Semaphore::const_new(1);
    for (problem, expected) in [
        (
            "failed to lookup address information: Name or service not known",
            "can't resolve a.test: Name or service not known",
        ),
        ("out of luck", "can't resolve a.test: out of luck"),
    ] {
        let failed = look_up(&PLACES, "a.test", 80, move |_, _| {
            Err(io::Error::other(problem))
        });
        let failure = failed.await.unwrap_err();
        assert_eq!(failure.to_string(), expected);
        assert_eq!(failure.kind(), FailureKind::Resolve);
    }
    let none = look_up(&PLACES, "a.test", 80, |_, _| Ok(Vec::new())).await;
    assert_eq!(
        none.unwrap_err().to_string(),
        "can't resolve a.test: it has no address"
    );
    // A panic gives its place back too.
    let panicked = look_up(&PLACES, "a.test", 80, |_, _| panic!("for this test")).await;
    assert_eq!(panicked.unwrap_err().kind(), FailureKind::Resolve);
    assert_eq!(PLACES.available_permits(), 1);
}

/// A name server that doesn't answer until it is allowed to.
#[derive(Default)]
struct Dead {
    is_open: Mutex<bool>,
    changed: Condvar,
    asked: AtomicUsize,
}

impl Dead {
    fn wait(&self) {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut is_open = self.is_open.lock().unwrap();
        while !*is_open {
            is_open = self.changed.wait(is_open).unwrap();
        }
    }

    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

/// A test that fails must not wait for its threads.
struct OpenedInTheEnd(Arc<Dead>);

impl Drop for OpenedInTheEnd {
    fn drop(&mut self) {
        self.0.open();
    }
}

#[tokio::test]
async fn a_dead_name_server_occupies_few_threads_and_dropping_leaves_the_queue() {
    static PLACES: Semaphore = Semaphore::const_new(2);
    let dead = Arc::new(Dead::default());
    let _opened = OpenedInTheEnd(dead.clone());
    let ask = || {
        let dead = dead.clone();
        tokio::spawn(look_up(&PLACES, "a.test", 80, move |_, port| {
            dead.wait();
            Ok(vec![(LOCAL, port).into()])
        }))
    };
    let mut tasks: Vec<_> = (0..20).map(|_| ask()).collect();
    while dead.asked.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    // Each task has had its turn several times over.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(dead.asked.load(Ordering::SeqCst), 2);
    // Those that are asked for keep their thread, and the other ones disappear.
    for task in tasks.drain(5..) {
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    dead.open();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), [SocketAddr::new(LOCAL, 80)]);
    }
    assert_eq!(dead.asked.load(Ordering::SeqCst), 5);
    assert_eq!(PLACES.available_permits(), 2);
}

#[tokio::test]
async fn an_abandoned_look_up_keeps_its_place_until_its_thread_is_free() {
    static PLACES: Semaphore = Semaphore::const_new(1);
    let dead = Arc::new(Dead::default());
    let _opened = OpenedInTheEnd(dead.clone());
    let asking = dead.clone();
    let task = tokio::spawn(look_up(&PLACES, "a.test", 80, move |_, _| {
        asking.wait();
        Ok(Vec::new())
    }));
    while dead.asked.load(Ordering::SeqCst) < 1 {
        tokio::task::yield_now().await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(PLACES.available_permits(), 0);
    dead.open();
    drop(PLACES.acquire().await.unwrap());
}
