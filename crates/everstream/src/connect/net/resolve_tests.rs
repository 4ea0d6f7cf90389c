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
async fn ip_addresses_are_not_looked_up() {
    let resolver = Resolver::new(&[]).unwrap();
    for (url, address) in [
        ("http://192.0.2.1/", "192.0.2.1:80"),
        ("http://[2001:db8::1]/", "[2001:db8::1]:80"),
    ] {
        assert_eq!(resolved(&resolver, url).await.unwrap(), [address]);
    }
}

#[tokio::test]
async fn a_setting_overrides_dns_in_any_spelling_of_the_host() {
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
fn a_setting_without_effect_is_refused() {
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
async fn other_names_are_resolved_by_the_system() {
    let resolver = Resolver::new(&[]).unwrap();
    let all = resolved(&resolver, "http://localhost/").await.unwrap();
    let is_local = |address: &String| ["127.0.0.1:80", "[::1]:80"].contains(&&**address);
    assert!(!all.is_empty() && all.iter().all(is_local), "{all:?}");
}

#[tokio::test]
async fn a_failure_names_the_host_and_the_reason() {
    static PERMITS: Semaphore = Semaphore::const_new(1);
    for (problem, expected) in [
        (
            "failed to lookup address information: Name or service not known",
            "can't resolve a.test: Name or service not known",
        ),
        ("out of luck", "can't resolve a.test: out of luck"),
    ] {
        let failed = look_up(&PERMITS, "a.test", 80, move |_, _| {
            Err(io::Error::other(problem))
        });
        let failure = failed.await.unwrap_err();
        assert_eq!(failure.to_string(), expected);
        assert_eq!(failure.kind(), FailureKind::Resolve);
    }
    let none = look_up(&PERMITS, "a.test", 80, |_, _| Ok(Vec::new())).await;
    assert_eq!(
        none.unwrap_err().to_string(),
        "can't resolve a.test: it has no address"
    );
    // A panic releases its permit, too.
    let panicked = look_up(&PERMITS, "a.test", 80, |_, _| panic!("for this test")).await;
    assert_eq!(panicked.unwrap_err().kind(), FailureKind::Resolve);
    assert_eq!(PERMITS.available_permits(), 1);
}

/// A name server that doesn't answer before `release`.
#[derive(Default)]
struct HangingResolver {
    released: Mutex<bool>,
    changed: Condvar,
    lookups: AtomicUsize,
}

impl HangingResolver {
    fn wait(&self) {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        let mut released = self.released.lock().unwrap();
        while !*released {
            released = self.changed.wait(released).unwrap();
        }
    }

    fn release(&self) {
        *self.released.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

/// Releases the threads even if the test fails, which would otherwise hang.
struct ReleaseOnDrop(Arc<HangingResolver>);

impl Drop for ReleaseOnDrop {
    fn drop(&mut self) {
        self.0.release();
    }
}

#[tokio::test]
async fn hanging_lookups_occupy_few_threads_and_dropped_ones_leave_the_queue() {
    static PERMITS: Semaphore = Semaphore::const_new(2);
    let hanging = Arc::new(HangingResolver::default());
    let _release_on_drop = ReleaseOnDrop(hanging.clone());
    let ask = || {
        let hanging = hanging.clone();
        tokio::spawn(look_up(&PERMITS, "a.test", 80, move |_, port| {
            hanging.wait();
            Ok(vec![(LOCAL, port).into()])
        }))
    };
    let mut tasks: Vec<_> = (0..20).map(|_| ask()).collect();
    while hanging.lookups.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    // By now every task has run several times.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(hanging.lookups.load(Ordering::SeqCst), 2);
    // Running lookups keep their threads; dropped ones leave the queue.
    for task in tasks.drain(5..) {
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
    }
    hanging.release();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap(), [SocketAddr::new(LOCAL, 80)]);
    }
    assert_eq!(hanging.lookups.load(Ordering::SeqCst), 5);
    assert_eq!(PERMITS.available_permits(), 2);
}

#[tokio::test]
async fn an_abandoned_lookup_keeps_its_permit_until_its_thread_is_free() {
    static PERMITS: Semaphore = Semaphore::const_new(1);
    let hanging = Arc::new(HangingResolver::default());
    let _release_on_drop = ReleaseOnDrop(hanging.clone());
    let in_task = hanging.clone();
    let task = tokio::spawn(look_up(&PERMITS, "a.test", 80, move |_, _| {
        in_task.wait();
        Ok(Vec::new())
    }));
    while hanging.lookups.load(Ordering::SeqCst) < 1 {
        tokio::task::yield_now().await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(PERMITS.available_permits(), 0);
    hanging.release();
    drop(PERMITS.acquire().await.unwrap());
}

#[test]
fn dropping_the_runtime_does_not_wait_for_a_hanging_lookup() {
    static PERMITS: Semaphore = Semaphore::const_new(1);
    let hanging = Arc::new(HangingResolver::default());
    let _release_on_drop = ReleaseOnDrop(hanging.clone());
    let (in_lookup, in_thread) = (hanging.clone(), hanging.clone());
    let (dropped, is_dropped) = std::sync::mpsc::channel();
    let program = std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.spawn(look_up(&PERMITS, "a.test", 80, move |_, _| {
            in_lookup.wait();
            Ok(Vec::new())
        }));
        while in_thread.lookups.load(Ordering::SeqCst) < 1 {
            std::thread::yield_now();
        }
        drop(runtime);
        dropped.send(()).unwrap();
    });
    let outcome = is_dropped.recv_timeout(std::time::Duration::from_secs(60));
    hanging.release();
    program.join().unwrap();
    assert!(outcome.is_ok(), "the runtime waited for the lookup");
}
