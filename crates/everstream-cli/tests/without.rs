//! The command without its features `jq` and `top`: what is missing is named, with the way to get it.

use crate::common::Running;

#[cfg(not(feature = "jq"))]
#[test]
fn a_missing_jq_is_named() {
    assert_missing(
        &["http://127.0.0.1:9/", "--jq", ".price"],
        "error: --jq is not part of this everstream: it was built without the feature `jq`",
        "hint: cargo install everstream-cli --features jq",
    );
}

#[cfg(not(feature = "top"))]
#[test]
fn a_missing_top_is_named() {
    for options in [&["top"][..], &["top", "http://127.0.0.1:9/", "-H", "a: b"]] {
        assert_missing(
            options,
            "error: everstream top is not part of this everstream: it was built without the feature \
             `top`",
            "hint: cargo install everstream-cli --features top",
        );
    }
}

/// Nothing else is done.
fn assert_missing(args: &[&str], error: &str, hint: &str) {
    let (code, news) = Running::follow(args.iter().copied()).end();
    assert_eq!(code, 2, "{news}");
    assert!(news.contains(error) && news.contains(hint), "{news}");
}
