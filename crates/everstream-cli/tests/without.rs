//! The command built without `jq` and `top`: errors name the missing feature, and how to get it.

use crate::common::Running;

#[cfg(not(feature = "jq"))]
#[test]
fn jq_names_the_missing_feature() {
    assert_missing(
        &["http://127.0.0.1:9/", "--jq", ".price"],
        "error: --jq isn't available: everstream was built without the feature `jq`",
        "hint: build it with --features jq: cargo install --git REPO everstream-cli --features jq",
    );
}

#[cfg(not(feature = "top"))]
#[test]
fn top_names_the_missing_feature() {
    for options in [&["top"][..], &["top", "http://127.0.0.1:9/", "-H", "a: b"]] {
        assert_missing(
            options,
            "error: everstream top isn't available: everstream was built without the feature \
             `top`",
            "hint: build it with --features top: cargo install --git REPO everstream-cli --features top",
        );
    }
}

/// Nothing else happens.
fn assert_missing(args: &[&str], error: &str, hint: &str) {
    let (code, stderr) = Running::follow(args.iter().copied()).end();
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains(error) && stderr.contains(hint), "{stderr}");
}
