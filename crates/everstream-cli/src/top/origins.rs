//! Secrets are sent to one origin only: scheme, host and port (RFC 6454).

use url::{Origin, Url};

use crate::report::Problem;

/// Refuses to send these options to URLs of different origins.
pub(super) fn check(urls: &[impl AsRef<str>], options: &[&str]) -> Result<(), Problem> {
    // Invalid URLs are refused later.
    let origins: Vec<Origin> = urls
        .iter()
        .filter_map(|url| Url::parse(url.as_ref()).ok())
        .map(|url| url.origin())
        .collect();
    let Some(other) = origins.iter().find(|origin| **origin != origins[0]) else {
        return Ok(());
    };
    if options.is_empty() {
        return Ok(());
    }
    Err(Problem::new(format!(
        "{} would be sent to different origins: {} and {}",
        options.join(", "),
        origins[0].ascii_serialization(),
        other.ascii_serialization(),
    ))
    .hint("--all-origins sends it to all of them; or run one `everstream top` per origin"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_allowed_for_one_origin() {
        let same = ["https://a.test/x", "https://a.test:443/y?z"];
        for other in [
            "https://b.test/x",
            "http://a.test/x",
            "https://a.test:8443/x",
            "https://a.test.evil.test/x",
            "https://a.test@evil.test/",
        ] {
            let urls = [same[0], same[1], other];
            assert!(check(&urls, &["-H"]).is_err(), "{other}");
            assert_eq!(check(&urls, &[]), Ok(()));
        }
        assert_eq!(check(&same, &["-H", "--user"]), Ok(()));
        assert_eq!(
            check(&["https://A.test/", "https://a.test/"], &["-H"]),
            Ok(())
        );
    }
}
