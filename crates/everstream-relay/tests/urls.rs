//! Which URLs name a log, and what is said of the others: without their passwords.

use everstream_relay::{PostgresSink, RedisSink};

fn postgres(url: &str) -> String {
    match PostgresSink::from_url(url) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

fn redis(url: &str) -> String {
    match RedisSink::from_url(url) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn urls_that_name_a_log_are_accepted() {
    for url in [
        "postgres://host/db?table=events&feed=news",
        "postgresql://user:secret@host:5433/db?feed=my%20news&table=feeds.events&sslmode=require",
        "postgres:///db?host=/run/postgresql&table=events&feed=news",
        "postgres://one,two/db?table=events&feed=news&target_session_attrs=read-write",
    ] {
        assert_eq!(postgres(url), "", "{url}");
    }
    for url in [
        "redis://host?key=news",
        "redis://user:secret@host:6380/3?key=my%20news",
        "rediss://host/0?key={eu}news",
        "redis+unix:///run/redis.sock?key=news&db=2",
        "redis://host/0?key=news&protocol=resp3",
    ] {
        assert_eq!(redis(url), "", "{url}");
    }
}

#[test]
fn urls_that_do_not_are_told_with_what_is_wrong() {
    let query = "table=events&feed=news";
    for (url, told) in [
        (
            "host/db?table=events&feed=news",
            "begins with postgres:// or postgresql://",
        ),
        (
            "mysql://u:secret@host/db",
            "the scheme \"mysql\" isn't postgres://",
        ),
        (
            "postgres://u:secret@host/db?feed=news",
            "lacks the table for the events: add ?table=NAME",
        ),
        (
            "postgres://u:secret@host/db?table=events",
            "lacks a name for the feed: add ?feed=NAME",
        ),
        (
            "postgres://u:secret@host/db?table=&feed=news",
            "parameter table is empty",
        ),
        (
            "postgres://h/db?table=a&table=b&feed=news",
            "parameter table is given twice",
        ),
        (
            "postgres://h/db?table=%ff&feed=news",
            "parameter table isn't UTF-8",
        ),
        (
            "postgres://h/db?table=a.b.c&feed=news",
            "isn't the name of a table",
        ),
        (
            "postgres://h/db?table=everstream_cursors&feed=news",
            "is reserved for the cursors",
        ),
        (
            &format!("postgres://u:secret@h/db?{query}&sslmode=yes"),
            "sslmode=yes isn't",
        ),
        (
            &format!("postgres://u:secret@h/db?{query}&lable=x"),
            "lable",
        ),
        (&format!("postgres:///db?{query}"), "has no host"),
    ] {
        let message = postgres(url);
        assert!(message.contains(told), "{url}: {message:?}");
        assert!(!message.contains("secret"), "{message}");
    }
    for (url, told) in [
        ("postgres://u:secret@host/0?key=news", "isn't redis://"),
        (
            "redis://u:secret@host/0",
            "lacks the key of the stream: add ?key=NAME",
        ),
        ("redis://u:secret@host/abc?key=news", "URL"),
        (
            "redis://u:secret@h/0?key=a&lable=x",
            "no parameter \"lable\"",
        ),
        ("redis://h/?key=a&db=3", "no parameter \"db\""),
        ("redis://h/0?key=a}b", "no hash tag"),
        ("redis://h/0?key={}b", "no hash tag"),
    ] {
        let message = redis(url);
        assert!(message.contains(told), "{url}: {message:?}");
        assert!(!message.contains("secret"), "{message}");
    }
}

#[test]
fn passwords_are_not_shown_with_a_sink() {
    let sink = PostgresSink::from_url("postgres://u:secret@h/db?table=events&feed=news").unwrap();
    assert!(!format!("{sink:?}").contains("secret"), "{sink:?}");
    let sink = RedisSink::from_url("redis://u:secret@h/0?key=news").unwrap();
    assert!(!format!("{sink:?}").contains("secret"), "{sink:?}");
}
